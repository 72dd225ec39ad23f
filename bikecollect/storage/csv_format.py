"""A snapshot as rows of a daily file: the only definition of the CSV format."""

import csv
import math
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import NamedTuple

from bikecollect.core.errors import SettingsError
from bikecollect.core.slots import IsoTexts, Slot, iso
from bikecollect.core.snapshot import (
    CAPACITY,
    FLAGS,
    VEHICLE_KINDS,
    StationInformation,
    StationStatus,
)
from bikecollect.core.text import clean, csv_text, suggestion
from bikecollect.storage.rows.plain_rows import Cell, plain_rows

MAX_CELL = 1 << 30
MAX_OWN = 1_024
"""Characters of a text in a column of the user; texts of a feed have as few bytes."""
Value = str | int | float | bool | None
Row = dict[str, Value]
Derive = Callable[[Row], Mapping[str, Value]]

COLUMNS: Mapping[str, str] = {
    "slot": "start of the slot; ISO 8601 with the system's own offset",
    "fetched_at": "when the response was complete; ISO 8601 with offset",
    "station_id": "the publisher's id, as text",
    "num_vehicles_available": "vehicles that can be rented",
    "num_ebikes_available": "of these, the electric ones",
    "num_docks_available": "docks that accept a vehicle",
    "num_vehicles_disabled": "vehicles out of service at the station",
    "num_docks_disabled": "docks out of service",
    "capacity": "number of docks, as published",
    "is_installed": "the station is on the street; true or false",
    "is_renting": "vehicles can be rented; true or false",
    "is_returning": "vehicles can be returned; true or false",
    "last_reported": "when the station last reported; ISO 8601 with offset",
}
NAMES = tuple(COLUMNS)
ID, REPORTED = NAMES.index("station_id"), NAMES.index("last_reported")
FLAG_PLACES = tuple(map(NAMES.index, FLAGS))
"""The places of columns in a row."""
INFORMATION_COLUMNS: Mapping[str, str] = {
    "valid_from": "the first slot with this version; if it left: the first without it",
    "station_id": "the publisher's id, as text",
    "name": "in the publisher's first language",
    "short_name": "the number or code on the station",
    "lat": "degrees north, WGS 84",
    "lon": "degrees east, WGS 84",
    "capacity": "number of docks",
    "address": "as published",
    "region": "name of the district or region; its id if it has no name",
    "post_code": "as published",
    "is_virtual_station": "a place without docks; true or false",
    "name_en": "the name in English, if published in addition to another",
    "address_en": "the address in English, if published in addition to another",
    "region_en": "the district in English, if published in addition to another",
    "is_listed": "false from the version in which the station left the list: its first "
    "slot without it, known after 24 hours; a shorter absence does not count",
}


class Derived(NamedTuple):
    """A derived column, or several, computed from one row by *make*.

    *cell*, a faster alternative for a single column, computes a number from a status
    that has its capacity.
    """

    names: tuple[str, ...]
    make: Derive
    doc: str = ""
    cell: Cell | None = None


def _occupancy(row: Row) -> Row:
    return {"occupancy": _share(row["num_vehicles_available"], row["capacity"])}


def _occupancy_cell(status: StationStatus) -> float | None:
    return _share(status.num_vehicles_available, status.capacity)


def _share(vehicles: Value, capacity: Value) -> float | None:
    if not isinstance(vehicles, int) or not isinstance(capacity, int) or not capacity:
        return None
    return round(vehicles / capacity, 4)


def _weekday(row: Row) -> Row:
    return {"weekday": datetime.fromisoformat(str(row["slot"])).isoweekday()}


def _hour(row: Row) -> Row:
    return {"hour": int(str(row["slot"])[11:13])}


def _is_empty(row: Row) -> Row:
    vehicles = row["num_vehicles_available"]
    return {"is_empty": None if vehicles is None else vehicles == 0}


def _is_full(row: Row) -> Row:
    docks = row["num_docks_available"]
    return {"is_full": None if docks is None else docks == 0}


def _kinds(row: Row) -> Row:
    return dict(row)


BY_KIND = Derived(tuple(VEHICLE_KINDS), _kinds, "one column per kind of vehicle")
DERIVED: Mapping[str, Derived] = {
    "vehicle_types": BY_KIND,
} | {
    column.names[0]: column
    for column in (
        Derived(
            ("occupancy",),
            _occupancy,
            "num_vehicles_available / capacity",
            _occupancy_cell,
        ),
        Derived(("weekday",), _weekday, "local day of the week, 1 = Monday"),
        Derived(("hour",), _hour, "local hour of the slot, 0 to 23"),
        Derived(("is_empty",), _is_empty, "no vehicle to rent; true or false"),
        Derived(("is_full",), _is_full, "no free dock; true or false"),
    )
}


def derived(name: str) -> Derived:
    """Return the derived column *name*; raises SettingsError if it is unknown."""
    if name in DERIVED:
        return DERIVED[name]
    hint = suggestion(name, DERIVED, "") or f"known: {', '.join(DERIVED)}"
    raise SettingsError(
        f'unknown derived column "{name}"; {hint} '
        '(write your own function as "package.module:function")'
    )


class EncodedRows(NamedTuple):
    """The rows of one slot as CSV; *troubles* are errors of derived columns."""

    text: bytes
    rows: int
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Format:
    """How rows of one system are written: its time zone and derived columns."""

    zone: tzinfo
    derived: tuple[Derived, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All column names, in the order of the file."""
        extra = (name for column in self.derived for name in column.names)
        return (*COLUMNS, *extra)

    @property
    def header(self) -> bytes:
        """The file's first line."""
        return _encode([self.names])

    def block(
        self,
        slot: Slot,
        fetched_at: float,
        statuses: Sequence[StationStatus],
        known: Mapping[str, StationInformation],
        kinds: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
    ) -> EncodedRows:
        """Return the rows of *slot*, one for each of *statuses*, in their order.

        A missing capacity is taken from *known*, the station information valid at the
        slot. A derived column that fails is left empty. *kinds* has the numbers of
        vehicles by kind, by station id. The same arguments always give the same bytes.
        """
        head = (iso(slot, self.zone), iso(fetched_at, self.zone))
        filled = [
            status if status.capacity is not None else _with_capacity(status, known)
            for status in statuses
        ]
        ids = "".join([status.station_id for status in statuses])
        is_plain = ids.isprintable() and "," not in ids and '"' not in ids
        cells = [column.cell for column in self.derived if column.cell]
        if is_plain and len(cells) == len(self.derived):
            text = plain_rows(head, filled, cells, self.zone)
            return EncodedRows(text.encode("utf-8"), len(filled))
        times = IsoTexts(self.zone)
        base: list[list[Value]] = [[*head, *status] for status in filled]
        for row, status in zip(base, filled, strict=True):
            row[ID] = clean(status.station_id)
            row[REPORTED] = times[status.last_reported]
        troubles = self._derive(base, [kinds.get(s.station_id, {}) for s in statuses])
        for row in base:
            for place in FLAG_PLACES:
                row[place] = FLAG_TEXTS[row[place]]  # type: ignore[index]
        return EncodedRows(csv_text(base).encode("utf-8"), len(base), troubles)

    def _derive(
        self, base: list[list[Value]], kinds: Sequence[Mapping[str, int]]
    ) -> tuple[str, ...]:
        """Append the derived columns to each row of *base*; return their errors."""
        troubles: dict[str, None] = {}
        for column in self.derived:
            for row, counts in zip(base, kinds, strict=True):
                try:
                    cells = zip(COLUMNS, row, strict=False)
                    values = column.make(dict(counts if column is BY_KIND else cells))
                    found = [values.get(name) for name in column.names]
                except (Exception, SystemExit) as error:  # noqa: BLE001 - user's code
                    row.extend([None] * len(column.names))
                    troubles[_failed(column.names[0], error)] = None
                    continue
                for name, value in zip(column.names, found, strict=True):
                    try:
                        row.append(_cell(_checked(value)))
                    except (TypeError, ValueError) as error:
                        row.append(None)
                        troubles[_failed(name, error)] = None
        return tuple(troubles)[:5]


def _failed(name: str, error: BaseException) -> str:
    return f"column {name} failed: {type(error).__name__}: {error}"[:300]


def _checked(value: object) -> Value:
    """Return *value* if a cell can hold it; raises TypeError, ValueError otherwise."""
    if isinstance(value, str) and len(value) > MAX_OWN:
        raise ValueError(f"a text of {len(value):,} characters; at most {MAX_OWN:,}")
    if isinstance(value, int) and abs(value) >= 1 << 63:
        raise ValueError("an integer must be between -2**63 and 2**63")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number; what is unknown is None")
    if value is None or isinstance(value, str | int | float):
        return value
    shown = reprlib.repr(value)[:80]  # its own repr may fail
    raise TypeError(f"a column must be text, a number or a bool, not {shown}")


def _cell(value: Value) -> Value:
    if value is True or value is False:
        return FLAG_TEXTS[value]
    if isinstance(value, str):
        return clean(value)
    return value


FLAG_TEXTS = {True: "true", False: "false", None: None}


def _with_capacity(
    status: StationStatus, known: Mapping[str, StationInformation]
) -> StationStatus:
    """Return *status* with the capacity of its station, if that is *known*."""
    station = known.get(status.station_id)
    capacity = station.capacity if station else None
    return StationStatus._make((*status[:CAPACITY], capacity, *status[CAPACITY + 1 :]))


def _encode(rows: Iterable[Sequence[Value]]) -> bytes:
    cells = [
        [
            FLAG_TEXTS[value] if value is True or value is False else value
            for value in row
        ]
        for row in rows
    ]
    text = csv_text(cells)
    # One check of the whole text instead of one per cell: texts were cleaned when read.
    if text.count("\n") != len(cells) or not text.replace("\n", "").isprintable():
        text = csv_text([_cell(value) for value in row] for row in cells)
    return text.encode("utf-8")


def read_cells(
    lines: Iterable[str], *, strict: bool = False, delimiter: str = ","
) -> Iterator[list[str]]:
    r"""Yield the cells of each of *lines*, of any length.

    By default the csv module rejects cells over 131,072 characters, but files of an
    earlier version have such cells.

    >>> next(read_cells(["1," + "x" * 200_000 + "\n"]))[0]
    '1'
    """
    csv.field_size_limit(MAX_CELL)
    return csv.reader(lines, strict=strict, delimiter=delimiter)


def information_header() -> bytes:
    """Return the first line of station_information.csv."""
    return _encode([tuple(INFORMATION_COLUMNS)])


def information_lines(
    slot: Slot, zone: tzinfo, versions: Iterable[StationInformation]
) -> bytes:
    """Return the lines of *versions* that are valid from *slot* on."""
    since = iso(slot, zone)
    return _encode([(since, *version) for version in versions])


def read_information(line: Sequence[str]) -> StationInformation:
    """Return the station version in the cells of a *line* of station_information.csv.

    Raises ValueError if *line* is not one.
    """
    if len(line) != len(INFORMATION_COLUMNS):
        raise ValueError(f"{len(line)} cells instead of {len(INFORMATION_COLUMNS)}")
    cell = dict(zip(INFORMATION_COLUMNS, line, strict=True))
    text = {name: value or None for name, value in cell.items()}
    flag = {"true": True, "false": False}
    return StationInformation(
        station_id=cell["station_id"],
        name=text["name"],
        short_name=text["short_name"],
        lat=float(cell["lat"]) if cell["lat"] else None,
        lon=float(cell["lon"]) if cell["lon"] else None,
        capacity=_capacity(cell["capacity"]),
        address=text["address"],
        region=text["region"],
        post_code=text["post_code"],
        is_virtual_station=flag.get(cell["is_virtual_station"]),
        name_en=text["name_en"],
        address_en=text["address_en"],
        region_en=text["region_en"],
        is_listed=cell["is_listed"] != "false",
    )


def _capacity(cell: str) -> int | None:
    """Return the capacity in *cell*; raises ValueError if SQLite cannot store it."""
    capacity = int(cell) if cell else None
    if capacity is not None and abs(capacity) >= 1 << 63:
        raise ValueError(f"capacity out of range: {cell[:30]}")
    return capacity
