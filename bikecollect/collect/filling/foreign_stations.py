"""The list of stations of another bikecollect, which is untrusted."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from bikecollect.collect.sources.bikecollect_folder import REPLACED, FolderSource
from bikecollect.collect.sources.plausible import Plausible
from bikecollect.collect.sources.tables import TableSource
from bikecollect.collect.sources.tabular.list_rows import list_rows, time_of
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationInformation
from bikecollect.feeds.reading import values
from bikecollect.feeds.reading.station_reader import TEXTS
from bikecollect.storage.csv_format import INFORMATION_COLUMNS

MAX_BYTES = 256 << 20
MAX_VERSIONS = 500_000
"""Most versions that are read; a city has some thousand in ten years."""
TIME, KEY = tuple(INFORMATION_COLUMNS)[:2]
LISTED = {"true": True, "false": False}
Versions = Mapping[str, Mapping[Slot, StationInformation]]
"""The versions of each station, by its id and by the slot they are valid from."""
log = logging.getLogger(__name__)


def versions_of(source: FolderSource | TableSource) -> Versions:
    """Return the versions in the lists of *source*; invalid lists are reported.

    A replaced list that has half of its versions in common with the others is a damaged
    copy of one of them, or an earlier state: nothing is taken from it.
    """
    versions: dict[str, dict[Slot, StationInformation]] = {}
    for name in source.lists():
        try:
            read = read_versions(source.folder, name, source.listed, source.grid.floor)
        except OSError as error:
            what = f"the stations of {source.label} are not taken over"
            log.warning("%s: %s", what, error)
            source.listed.bad += 1
            continue
        if name.startswith(REPLACED) and _is_copy(read, versions):
            continue
        for station_id, known in read.items():
            versions[station_id] = {**known, **versions.get(station_id, {})}
    return versions


def _is_copy(versions: Versions, others: Versions) -> bool:
    """Return whether at least half of *versions* are among the *others*."""
    common = sum(len(v.keys() & others.get(i, {}).keys()) for i, v in versions.items())
    return 2 * common >= sum(map(len, versions.values()))


def read_versions(
    folder: Path, name: str, judge: Plausible, floor: Callable[[float], Slot]
) -> dict[str, dict[Slot, StationInformation]]:
    """Return the versions in the list *name* below *folder*; *floor* gives our slots.

    Lines that are impossible, of a time after now, or torn are skipped, and counted by
    *judge*; invalid values are left empty. Raises OSError if it is no list of stations,
    or larger than any.
    """
    versions: dict[str, dict[Slot, StationInformation]] = {}
    rows = list_rows(
        folder, name, "stations", judge, needed=(TIME, KEY), most=MAX_BYTES
    )
    empty = dict.fromkeys(INFORMATION_COLUMNS, "")
    for number, cells in enumerate(rows):
        if number == MAX_VERSIONS:
            raise OSError(f"{name} has more than {MAX_VERSIONS:,} versions")
        row = empty | cells
        since, version = time_of(row[TIME]), _version(row, judge)
        if version is None or since is None or not judge.is_time(since):
            judge.bad += 1
            continue
        versions.setdefault(version.station_id, {})[floor(since)] = version
    return versions


def _version(row: Mapping[str, str], judge: Plausible) -> StationInformation | None:
    """Return the version in *row*, None without an id or a state; count odd values."""
    station_id, is_listed = values.identifier(row[KEY]), LISTED.get(row["is_listed"])
    if station_id is None or is_listed is None:
        return None
    lat, lon = values.place(row["lat"], row["lon"])
    capacity = values.count(row["capacity"])
    virtual = LISTED.get(row["is_virtual_station"])
    parsed = {"lat": lat, "lon": lon, "capacity": capacity}
    parsed["is_virtual_station"] = virtual
    judge.odd += sum(bool(row[name]) and parsed[name] is None for name in parsed)
    return StationInformation(
        station_id=station_id,
        lat=lat,
        lon=lon,
        capacity=capacity,
        is_virtual_station=virtual,
        is_listed=is_listed,
        **{name: values.text(row[name]) for name in TEXTS},
    )
