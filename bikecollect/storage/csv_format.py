"""Rows: a snapshot as the lines of a daily file; the format's only definition."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import NamedTuple

from bikecollect.core.errors import SettingsError
from bikecollect.core.slots import Slot, iso
from bikecollect.core.snapshot import VEHICLE_KINDS, StationInformation, StationStatus
from bikecollect.core.text import clean

LONGEST_CELL = 1 << 30
Value = str | int | float | bool | None
Row = dict[str, Value]
Derive = Callable[[Row], Mapping[str, Value]]

COLUMNS: Mapping[str, str] = {
    "slot": "start of the slot; ISO 8601 with the system's own offset",
    "fetched_at": "when the answer was complete; ISO 8601 with offset",
    "station_id": "the publisher's id, as text",
    "num_vehicles_available": "vehicles that can be rented",
    "num_ebikes_available": "of these, electric ones",
    "num_docks_available": "docks that take a vehicle",
    "num_vehicles_disabled": "vehicles out of service at the station",
    "num_docks_disabled": "docks out of service",
    "capacity": "docks in all, as the publisher says",
    "is_installed": "the station stands; true or false",
    "is_renting": "it gives vehicles; true or false",
    "is_returning": "it takes vehicles back; true or false",
    "last_reported": "when the station last spoke; ISO 8601 with offset",
}
INFORMATION_COLUMNS: Mapping[str, str] = {
    "valid_from": "the first slot at which this version was seen",
    "station_id": "the publisher's id, as text",
    "name": "in the publisher's first language",
    "short_name": "the number or code that stands on the station",
    "lat": "degrees north, WGS 84",
    "lon": "degrees east, WGS 84",
    "capacity": "docks in all",
    "address": "as the publisher writes it",
    "region": "district or region by name; its id where nobody names it",
    "post_code": "as the publisher writes it",
    "is_virtual_station": "no physical station; true or false",
    "name_en": "the name in English, where given beside another",
    "address_en": "the address in English, where given beside another",
    "region_en": "the district in English, where given beside another",
    "is_listed": "false from the version on that says it left the list",
}


class Derived(NamedTuple):
    """A derived column, or several, made from one row by *make*."""

    names: tuple[str, ...]
    make: Derive
    doc: str = ""


def _occupancy(row: Row) -> Row:
    vehicles, capacity = row["num_vehicles_available"], row["capacity"]
    if not isinstance(vehicles, int) or not isinstance(capacity, int) or not capacity:
        return {"occupancy": None}
    return {"occupancy": round(vehicles / capacity, 4)}


def _weekday(row: Row) -> Row:
    day = datetime.fromisoformat(str(row["slot"])).isoweekday()
    return {"weekday": day}


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


BY_KIND = Derived(tuple(VEHICLE_KINDS), _kinds, "the kinds of vehicles, a column each")
DERIVED: Mapping[str, Derived] = {
    "vehicle_types": BY_KIND,
} | {
    each.names[0]: each
    for each in (
        Derived(("occupancy",), _occupancy, "num_vehicles_available / capacity"),
        Derived(("weekday",), _weekday, "local day of the week, 1 = Monday"),
        Derived(("hour",), _hour, "local hour of the slot, 0 to 23"),
        Derived(("is_empty",), _is_empty, "no vehicle to rent; true or false"),
        Derived(("is_full",), _is_full, "no free dock; true or false"),
    )
}

EXAMPLE: Row = {
    "slot": "2026-11-22T10:05:00+08:00",
    "fetched_at": "2026-11-22T10:05:02+08:00",
    "station_id": "500101001",
    "num_vehicles_available": 7,
    "num_ebikes_available": 1,
    "num_docks_available": 20,
    "num_vehicles_disabled": 1,
    "num_docks_disabled": 0,
    "capacity": 28,
    "is_installed": True,
    "is_renting": True,
    "is_returning": True,
    "last_reported": "2026-11-22T10:04:31+08:00",
}
"""The row that a user's function is tried on before any network."""


def derived(name: str) -> Derived:
    """Return the derived column called *name*; raises SettingsError for no such."""
    if name in DERIVED:
        return DERIVED[name]
    import difflib  # only on the way to an error

    near = difflib.get_close_matches(name, DERIVED, 1)
    hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(DERIVED)}"
    raise SettingsError(
        f'no derived column is called "{name}"; {hint} '
        '(a function of your own is written "package.module:function")'
    )


class EncodedRows(NamedTuple):
    """The rows of one slot as bytes; *troubles* are failures of derived columns."""

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
        extra = (name for each in self.derived for name in each.names)
        return (*COLUMNS, *extra)

    @property
    def header(self) -> bytes:
        """The file's first line."""
        return _lines([self.names])

    def block(
        self,
        slot: Slot,
        fetched_at: float,
        statuses: Sequence[StationStatus],
        known: Mapping[str, StationInformation],
        kinds: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
    ) -> EncodedRows:
        """Return the rows of *slot*, one for each of *statuses*, in their order.

        A capacity that the status does not carry is taken from *known*, the
        station information valid at the slot. A derived column that fails leaves
        its place empty. *kinds* are the counts by kind of vehicle, by station. Pure:
        the same arguments give the same bytes.
        """
        zone, times = self.zone, dict[int | None, str | None]({None: None})
        head = (iso(slot, zone), iso(fetched_at, zone))
        base: list[list[Value]] = []
        for status in statuses:
            reported = status.last_reported
            if reported not in times:
                times[reported] = iso(reported or 0, zone)
            row: list[Value] = [*head, *status]
            row[2] = clean(status.station_id)
            row[12] = times[reported]
            if row[8] is None and (about := known.get(status.station_id)):
                row[8] = about.capacity
            base.append(row)
        troubles = self._derive(base, [kinds.get(s.station_id, {}) for s in statuses])
        for row in base:
            row[9:12] = [_FLAGS[value] for value in row[9:12]]  # type: ignore[index]
        return EncodedRows(_written(base), len(base), troubles)

    def _derive(
        self, base: list[list[Value]], kinds: Sequence[Mapping[str, int]]
    ) -> tuple[str, ...]:
        """Append the derived columns to each row of *base*; return what failed."""
        troubles: dict[str, None] = {}
        for each in self.derived:
            for row, counts in zip(base, kinds, strict=True):
                try:
                    said = zip(COLUMNS, row, strict=False)
                    made = each.make(dict(counts if each is BY_KIND else said))
                    row.extend([_cell(plain(made.get(n))) for n in each.names])
                except Exception as error:  # noqa: BLE001 - the user's own code
                    row.extend([None] * len(each.names))
                    what = f"{type(error).__name__}: {error}"
                    troubles[f"column {each.names[0]} failed: {what}"[:300]] = None
        return tuple(troubles)[:5]


def plain(value: object) -> Value:
    """Return *value* as a cell can hold it; raises TypeError where it cannot."""
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a column must be text, a number or a bool, not {value!r}")


def _cell(value: Value) -> Value:
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return clean(value)
    return value


_FLAGS = {True: "true", False: "false", None: None}


def _lines(rows: Iterable[Sequence[Value]]) -> bytes:
    return _written([_cell(value) for value in row] for row in rows)


def _written(rows: Iterable[Sequence[Value]]) -> bytes:
    """Return *rows* as lines; their texts are clean and hold no bool."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode("utf-8")


def read_cells(lines: Iterable[str], *, strict: bool = False) -> Iterator[list[str]]:
    r"""Yield the cells of each of *lines*, however long a cell is.

    The csv module refuses more than 131,072 letters, which a version before wrote.

    >>> next(read_cells(["1," + "x" * 200_000 + "\n"]))[0]
    '1'
    """
    csv.field_size_limit(LONGEST_CELL)
    return csv.reader(lines, strict=strict)


def information_header() -> bytes:
    """Return the first line of station_information.csv."""
    return _lines([tuple(INFORMATION_COLUMNS)])


def information_lines(
    slot: Slot, zone: tzinfo, versions: Iterable[StationInformation]
) -> bytes:
    """Return the lines that say: these *versions* are valid from *slot* on."""
    since = iso(slot, zone)
    return _lines([(since, *each) for each in versions])


def read_information(line: Sequence[str]) -> StationInformation:
    """Return the version that a line of station_information.csv holds.

    Raises ValueError where *line* (its cells) is not one.
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
    """Return the capacity in *cell*; raises ValueError for what no ledger holds."""
    found = int(cell) if cell else None
    if found is not None and abs(found) >= 1 << 63:
        raise ValueError(f"a capacity of {cell[:30]}")
    return found
