"""Layouts of tables that others publish: their names for our columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bikecollect.core.errors import UsageError
from bikecollect.core.snapshot import StationStatus

TIME = "time"
SHOWN = 1_000
FIELDS = StationStatus._fields
"""The columns that a mapping may name, in addition to the time."""


@dataclass(frozen=True)
class Layout:
    """The *columns* of a table by our names; *time* is the time of the poll.

    Times without an offset are in UTC if *utc*, else in the system's zone. *network* is
    the column that names the system of a row. If *apart*, stations are not polled
    together: each row has a time of its own. *updated* is the column of the source's
    stamp, *published* that of the republisher's, in the system's zone; both are
    optional, and so is *fetched*, that of the time when a response was complete.
    """

    name: str
    time: str
    columns: Mapping[str, str]
    utc: bool = False
    network: str = ""
    apart: bool = False
    updated: str = ""
    published: str = ""
    fetched: str = ""


YOUBIKE = {
    "station_id": "sno",
    "capacity": "Quantity",
    "num_vehicles_available": "available_rent_bikes",
    "num_docks_available": "available_return_bikes",
    "is_renting": "act",
    "is_returning": "act",
    "last_reported": "infoTime",
}
YOUBIKE_CSV = Layout(
    "youbike-csv",
    "collect_time",
    YOUBIKE,
    updated="srcUpdateTime",
    published="updateTime",
)
OURS = "bikecollect"
KNOWN = (
    # What `export` and `publish` write, and the files of the archive.
    Layout(
        OURS,
        "slot",
        {name: name for name in FIELDS},
        network="system_id",
        fetched="fetched_at",
    ),
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
    YOUBIKE_CSV,
    # Recorded by hourly jobs on hosted runners, whose clock is UTC
    # (infoTime 08:33:01 in Taipei beside timestamp 00:35:33).
    replace(YOUBIKE_CSV, time="timestamp", utc=True),
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
"""The last layout that a table satisfies is chosen; the most specific ones are last."""
NAMES = tuple(dict.fromkeys(layout.name for layout in KNOWN))


def recognised(header: Sequence[str], name: str = "") -> Layout:
    """Return the layout of *header*, restricted to *name* if given.

    Raises UsageError for an unknown layout.

    >>> recognised(["sno", "total", "available_rent_bikes", "available_return_bikes",
    ...     "infoTime"]).name
    'taipei-archive'
    """
    matches = [
        layout
        for layout in KNOWN
        if {layout.time, *layout.columns.values()} <= set(header)
        and (not name or layout.name == name)
    ]
    if matches:
        return matches[-1]
    message = f"lacks columns of the layout {name}" if name else "has an unknown layout"
    raise UsageError(
        f"the table {message}; its columns are {_listed(header)}. Map the columns: "
        "--map time=... --map station_id=... --map num_vehicles_available=..."
    )


def mapped(pairs: Sequence[str], header: Sequence[str]) -> Layout:
    """Return the layout of *pairs*, each OURS=THEIRS; raises UsageError."""
    columns = {}
    for pair in pairs:
        ours, _, theirs = pair.partition("=")
        if ours not in {TIME, *FIELDS}:
            known = ", ".join((TIME, *FIELDS))
            raise UsageError(
                f'--map {pair}: unknown column "{ours}"; known are {known}'
            )
        if theirs not in header:
            have = _listed(header)
            raise UsageError(f'--map {pair}: unknown column "{theirs}"; known: {have}')
        columns[ours] = theirs
    for name in (TIME, "station_id", "num_vehicles_available"):
        if name not in columns:
            raise UsageError(f"--map {name}=... is missing")
    time = columns.pop(TIME)
    apart = columns.get("last_reported") == time
    return Layout("mapped", time, columns, apart=apart)


def _listed(header: Sequence[str]) -> str:
    text = ", ".join(header)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."
