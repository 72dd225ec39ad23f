"""The files of the open days in the mirror, and their paths."""

from bikecollect.archive.datasets import STATION_LAYOUT, VEHICLE_LAYOUT
from bikecollect.archive.mirror.record import LIVE
from bikecollect.storage.data_folder import STATUS, VEHICLE_STATUS, VEHICLES

PARTS = (("", STATUS, STATION_LAYOUT), (f"{VEHICLES}/", VEHICLE_STATUS, VEHICLE_LAYOUT))
"""Subfolder, folder of daily files, and layout in the archive: stations, vehicles."""

LEDGERS = "ledgers"
"""The folder, in a local copy of the mirror, with earlier ledgers, each in a folder."""


def live_path(system_id: str, name: str = "") -> str:
    """Return the path in the mirror of the live copy of the file *name*."""
    return f"{LIVE}/{system_id}/{name}".rstrip("/")
