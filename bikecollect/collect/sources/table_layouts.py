"""Layouts of tables that others publish: which of their columns is which of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bikecollect.core.errors import UsageError

TIME = "time"
SHOWN = 1_000
FIELDS = (
    *("station_id", "num_vehicles_available", "num_ebikes_available"),
    *("num_docks_available", "num_vehicles_disabled", "num_docks_disabled"),
    *("capacity", "is_installed", "is_renting", "is_returning", "last_reported"),
)
"""What a mapping may name, beside the time; in the order of a station's status."""


@dataclass(frozen=True)
class Layout:
    """A table's *columns*: of ours, theirs. *time* is when the rows were fetched.

    With *utc* a time without an offset is of UTC, else of the system's zone.
    *network* is the column that says of which system a row is. With *apart* the time is
    not that of a poll: each station has its own.
    """

    name: str
    time: str
    columns: Mapping[str, str]
    utc: bool = False
    network: str = ""
    apart: bool = False


YOUBIKE = {
    "station_id": "sno",
    "capacity": "Quantity",
    "num_vehicles_available": "available_rent_bikes",
    "num_docks_available": "available_return_bikes",
    "is_renting": "act",
    "is_returning": "act",
    "last_reported": "infoTime",
}
KNOWN = (
    Layout(
        "taipei-archive",
        "infoTime",
        {
            "station_id": "sno",
            "capacity": "total",
            "num_vehicles_available": "available_rent_bikes",
            "num_docks_available": "available_return_bikes",
            "last_reported": "infoTime",
        },
        apart=True,
    ),
    Layout("youbike-csv", "collect_time", YOUBIKE),
    # Recorded by hourly jobs on hosted runners: their clock, and it is UTC's
    # (infoTime 08:33:01 in Taipei beside timestamp 00:35:33).
    Layout("youbike-csv", "timestamp", YOUBIKE, utc=True),
    Layout(
        "citybikes",
        "timestamp",
        {
            "station_id": "id",
            "num_vehicles_available": "bikes",
            "num_docks_available": "free",
        },
        # github.com/citybikes/analytics: the timestamp is SQLite's CURRENT_TIMESTAMP.
        utc=True,
        network="tag",
        apart=True,
    ),
)
"""The most telling ones last: a table is taken for the last one that it satisfies."""
NAMES = tuple(dict.fromkeys(each.name for each in KNOWN))


def recognised(header: Sequence[str], name: str = "") -> Layout:
    """Return the layout that *header* has, *name*'s where one is given.

    Raises UsageError where it is none of ours.

    >>> recognised(["sno", "total", "available_rent_bikes", "available_return_bikes",
    ...     "infoTime"]).name
    'taipei-archive'
    """
    fit = [
        each
        for each in KNOWN
        if {each.time, *each.columns.values()} <= set(header)
        and (not name or each.name == name)
    ]
    if fit:
        return fit[-1]
    what = f"has not the columns of {name}" if name else "has no layout that is known"
    raise UsageError(
        f"the table {what}; its columns are {_listed(header)}. Say which is which: "
        "--map time=... --map station_id=... --map num_vehicles_available=..."
    )


def mapped(pairs: Sequence[str], header: Sequence[str]) -> Layout:
    """Return the layout that *pairs*, each OURS=THEIRS, say; raises UsageError."""
    columns = {}
    for pair in pairs:
        ours, _, theirs = pair.partition("=")
        if ours not in {TIME, *FIELDS}:
            known = ", ".join((TIME, *FIELDS))
            raise UsageError(f'--map {pair}: "{ours}" is none of {known}')
        if theirs not in header:
            has = _listed(header)
            raise UsageError(f'--map {pair}: the table has no "{theirs}", but {has}')
        columns[ours] = theirs
    for needed in (TIME, "station_id", "num_vehicles_available"):
        if needed not in columns:
            raise UsageError(f"--map {needed}=... is missing")
    time = columns.pop(TIME)
    apart = columns.get("last_reported") == time
    return Layout("mapped", time, columns, apart=apart)


def _listed(header: Sequence[str]) -> str:
    text = ", ".join(header)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."
