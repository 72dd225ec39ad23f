"""The archive's layout: its datasets, their paths and their columns."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.snapshot import VEHICLE_KINDS
from bikecollect.storage import data_folder
from bikecollect.storage.csv_format import COLUMNS as STATION_COLUMNS
from bikecollect.storage.data_folder import (
    ARCHIVE,
    CERTIFICATES,
    VEHICLE_STATUS,
    VEHICLES,
)
from bikecollect.storage.vehicles import ALONE

STATUS = data_folder.STATUS
DATASETS = (STATUS, "slots", "coverage", "profile", "runs")
VEHICLE_SLOTS = "vehicle_slots"
PART = "part.parquet"
DAYS = "system_id={}/date={}"

TIMES = ("slot", "fetched_at", "last_reported")
TYPES = {
    "slot": "BIGINT",
    "fetched_at": "BIGINT",
    "station_id": "VARCHAR",
    "num_vehicles_available": "INTEGER",
    "num_ebikes_available": "INTEGER",
    "num_docks_available": "INTEGER",
    "num_vehicles_disabled": "INTEGER",
    "num_docks_disabled": "INTEGER",
    "capacity": "INTEGER",
    "is_installed": "BOOLEAN",
    "is_renting": "BOOLEAN",
    "is_returning": "BOOLEAN",
    "last_reported": "BIGINT",
    "occupancy": "DOUBLE",
    "weekday": "SMALLINT",
    "hour": "SMALLINT",
    "is_empty": "BOOLEAN",
    "is_full": "BOOLEAN",
    **dict.fromkeys(VEHICLE_KINDS, "INTEGER"),
}
"""The type of each column of a daily file; a user's own are VARCHAR."""
VEHICLE_TYPES = {
    "slot": "BIGINT",
    "fetched_at": "BIGINT",
    "vehicle_id": "VARCHAR",
    "lat": "DOUBLE",
    "lon": "DOUBLE",
    "type": "VARCHAR",
    "is_reserved": "BOOLEAN",
    "is_disabled": "BOOLEAN",
    "current_range_meters": "INTEGER",
    "current_fuel_percent": "DOUBLE",
    "station_id": "VARCHAR",
    "last_reported": "BIGINT",
}
"""The type of each column of a daily file of vehicles."""
KNOWN = frozenset({*TYPES, *VEHICLE_TYPES})
KEY = 2
"""The index of the column that identifies a row of a slot."""
ADDED = {"minute_of_day": "SMALLINT", "hour_of_week": "SMALLINT"}
"""Columns that an archived day has in addition to those of its CSV; local time."""
VERBATIM = "verbatim_line"
"""The text of a row whose values do not reproduce it; absent on most days."""
OCCUPANCY, OCCUPANCY_DERIVED = "occupancy", "occupancy_is_derived"
"""A column that takes 12 to 38 % of a file, and the column that replaces it.

If each value of a day follows from its row, the views compute it.
"""
DERIVED_FROM = ("num_vehicles_available", "capacity")
OCCUPANCY_SQL = (
    "CASE WHEN capacity <> 0"
    " THEN round_even(CAST(num_vehicles_available AS DOUBLE) / capacity, 4) END"
)
NOT_COLLECTED = frozenset({VERBATIM, OCCUPANCY_DERIVED})
"""Columns of the files that are neither in views nor in CSVs."""
SLOT_TIME = "slot_time"
"""A column that only views have: the slot as TIMESTAMP WITH TIME ZONE."""
SLOTS = {
    "slot": "BIGINT",
    "minute_of_day": "SMALLINT",
    "hour_of_week": "SMALLINT",
    "state": "VARCHAR",
    "cause": "VARCHAR",
    "rows": "INTEGER",
    "flags": "VARCHAR",
    "source": "VARCHAR",
    "fetched_at": "BIGINT",
    "last_updated": "BIGINT",
    "sha256": "VARCHAR",
    "run_id": "VARCHAR",
}
RUNS = {
    "run_id": "VARCHAR",
    "slot": "BIGINT",
    "started": "DOUBLE",
    "finished": "DOUBLE",
    "outcome": "VARCHAR",
    "cause": "VARCHAR",
    "http_status": "INTEGER",
    "attempts": "INTEGER",
    "bytes": "BIGINT",
    "stations": "INTEGER",
    "rows": "INTEGER",
    "flags": "VARCHAR",
    "file": "VARCHAR",
    "accepted": "BOOLEAN",
    "boot_id": "VARCHAR",
    "uptime": "DOUBLE",
    "awake": "DOUBLE",
    "version": "VARCHAR",
    "error": "VARCHAR",
}
STATIONS = {
    "station_id": "VARCHAR",
    "name": "VARCHAR",
    "short_name": "VARCHAR",
    "lat": "DOUBLE",
    "lon": "DOUBLE",
    "capacity": "INTEGER",
    "address": "VARCHAR",
    "region": "VARCHAR",
    "post_code": "VARCHAR",
    "is_virtual_station": "BOOLEAN",
    "name_en": "VARCHAR",
    "address_en": "VARCHAR",
    "region_en": "VARCHAR",
    "is_listed": "BOOLEAN",
}
"""The columns of the view `stations`, without its two times."""
SPAN = ("first_slot", "last_slot")
COVERAGE = {
    "station_id": "VARCHAR",
    "slots": "INTEGER",
    "expected": "INTEGER",
    "collected": "INTEGER",
    "first_slot": "BIGINT",
    "last_slot": "BIGINT",
    "gaps": "INTEGER",
    "longest_gap_s": "BIGINT",
    "known": "INTEGER",
    "empty_slots": "INTEGER",
    "full_slots": "INTEGER",
    "changes": "INTEGER",
    "capacity_min": "INTEGER",
    "capacity_max": "INTEGER",
    "silent": "INTEGER",
    "inactive": "INTEGER",
    "stale": "INTEGER",
    "first_vehicles": "INTEGER",
    "last_vehicles": "INTEGER",
}
PROFILE = {
    "station_id": "VARCHAR",
    "hour_of_week": "SMALLINT",
    "slots": "INTEGER",
    "known": "INTEGER",
    "docks_known": "INTEGER",
    "with_vehicle": "INTEGER",
    "with_dock": "INTEGER",
    "sum_vehicles": "BIGINT",
    "sum_docks": "BIGINT",
    "min_vehicles": "INTEGER",
    "max_vehicles": "INTEGER",
    "sum_capacity": "BIGINT",
    "capacity_known": "INTEGER",
    "closed": "INTEGER",
    "stale": "INTEGER",
}

STATUS_COLUMNS = {
    name: kind
    for name, kind in (TYPES | ADDED).items()
    if name
    not in {"occupancy", "weekday", "hour", "is_empty", "is_full", *VEHICLE_KINDS}
}
COLUMNS = {
    STATUS: STATUS_COLUMNS,
    "slots": SLOTS,
    "coverage": COVERAGE,
    "profile": PROFILE,
    "runs": RUNS,
    VEHICLE_STATUS: VEHICLE_TYPES | ADDED,
    VEHICLE_SLOTS: SLOTS,
}
"""The columns that each dataset always has, by name, with their types."""

STATION_DAYS = "station_days"
"""A view for reports on DuckDB: the columns that only the files of coverage have."""
PRESENCE = "presence"
"""A view for reports on DuckDB: the first and the last slot of each day of coverage.

An open day takes about an eighth of the time that its coverage takes.
"""
EPISODES = (
    "STRUCT(what VARCHAR, first_slot BIGINT, last_slot BIGINT, slots INTEGER,"
    " begin_seen BOOLEAN, end_seen BOOLEAN)[]"
)
STATION_DAY = {
    "station_id": "VARCHAR",
    "sum_docks": "BIGINT",
    "docks_known": "INTEGER",
    "episodes": EPISODES,
}
EXTRACTS = {
    STATION_DAYS: STATION_DAY,
    PRESENCE: {name: COVERAGE[name] for name in ("station_id", *SPAN)},
}
"""The columns of views for reports, which the files of coverage have, too."""


def part(data: Path, dataset: str, system_id: str, day: str) -> Path:
    """Return the path of the file of *dataset* for *day* of a system."""
    return data / ARCHIVE / part_of(dataset, system_id, day)


class DatasetLayout(NamedTuple):
    """One kind of rows in the archive: of stations, or of vehicles.

    *columns* are those of a daily file. A day has *datasets*, which include *rows* and
    *slots*; its certificate is in the folder *certificates*, and it is prepared in the
    folder *work*.
    """

    rows: str
    columns: tuple[str, ...]
    slots: str
    datasets: tuple[str, ...]
    certificates: str
    work: str

    def accounts_for(self, flags: str) -> bool:
        """Return whether a block with *flags* in the dataset of slots has such rows."""
        return self.rows == VEHICLE_STATUS or ALONE not in flags.split()

    def certificate(self, data: Path, system_id: str, day: str) -> Path:
        """Return the path of the certificate of *day*."""
        folder = data / ARCHIVE / self.certificates / f"system_id={system_id}"
        return folder / f"{day}.json"

    def work_folder(self, data: Path, system_id: str) -> Path:
        """Return the folder in which days of a system are prepared."""
        return data / ARCHIVE / self.work / system_id

    def label(self, system_id: str) -> str:
        """Return the name under which commands print what is of a system's rows.

        >>> STATION_LAYOUT.label("city"), VEHICLE_LAYOUT.label("city")
        ('city', 'city/vehicles')
        """
        is_vehicles = self.rows == VEHICLE_STATUS
        return f"{system_id}/{VEHICLES}" if is_vehicles else system_id


STATION_LAYOUT = DatasetLayout(
    STATUS, tuple(STATION_COLUMNS), "slots", DATASETS, CERTIFICATES, ".work"
)
VEHICLE_LAYOUT = DatasetLayout(
    VEHICLE_STATUS,
    tuple(VEHICLE_TYPES),
    VEHICLE_SLOTS,
    (VEHICLE_STATUS, VEHICLE_SLOTS),
    "vehicle_certificates",
    ".work-vehicles",
)
LAYOUTS = (STATION_LAYOUT, VEHICLE_LAYOUT)


def of_label(label: str) -> tuple[str, DatasetLayout]:
    """Return the system and the layout whose `DatasetLayout.label` is *label*.

    >>> system_id, layout = of_label("city/vehicles")
    >>> system_id, layout.rows
    ('city', 'vehicle_status')
    """
    system_id, _, vehicles = label.partition("/")
    return system_id, VEHICLE_LAYOUT if vehicles else STATION_LAYOUT


def types_of(columns: Sequence[str]) -> Mapping[str, str]:
    """Return the types of the columns of a daily file with *columns*."""
    is_vehicles = columns[KEY : KEY + 1] == ("vehicle_id",)
    return VEHICLE_TYPES if is_vehicles else TYPES


def type_of(column: str, types: Mapping[str, str] = TYPES) -> str:
    """Return the type of the *column* of a daily file.

    >>> type_of("slot"), type_of("my_own")
    ('BIGINT', 'VARCHAR')
    """
    return types.get(column, "VARCHAR")


def part_of(dataset: str, system_id: str, day: str) -> str:
    """Return the path of the file of *dataset* for *day* below the archive.

    >>> part_of("coverage", "city", "2026-11-22")
    'coverage/system_id=city/date=2026-11-22/part.parquet'
    """
    return f"{dataset}/{DAYS.format(system_id, day)}/{PART}"
