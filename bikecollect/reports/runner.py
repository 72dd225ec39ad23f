"""Run a report on a database engine that has the views, and return its rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bikecollect.archive.query.duckdb_engine import load, translated
from bikecollect.core.errors import UsageError
from bikecollect.reports.registry import DISTRICT, STATION, Report, Rows, Values, wilson

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ASKED = {
    "system_id": "VARCHAR",
    "station_id": "VARCHAR",
    "place": "VARCHAR",
    "first_slot": "BIGINT",
    "last_slot": "BIGINT",
}
STATIONS = (
    "SELECT s.system_id AS system_id, s.station_id AS station_id, s.region AS region"
    " FROM stations AS s WHERE s.valid_to IS NULL"
)
NAMES = (
    "SELECT s.system_id AS system_id, s.station_id AS station_id, s.name AS name"
    " FROM stations AS s WHERE s.valid_to IS NULL"
)
NAMED = {"station_id": "name", "neighbour": "neighbour_name"}
"""Columns with ids of stations, and the column for their names."""
SEEN = (
    "SELECT c.system_id AS system_id, c.station_id AS station_id,"
    " MIN(c.first_slot) AS first_slot, MAX(c.last_slot) AS last_slot,"
    " MAX(CASE WHEN c.date >= DATE '$since' AND c.date < DATE '$until'"
    " THEN 1 ELSE 0 END) AS is_in_range"
    " FROM coverage AS c GROUP BY c.system_id, c.station_id"
)
EXPECTED = (
    "SELECT s.slot AS slot FROM slots AS s"
    " WHERE s.date >= DATE '$since' AND s.date < DATE '$until' LIMIT 1"
)
TABLES = frozenset({"stations", "coverage", "slots"})
"""The tables that every report reads, beside those in its SQL."""
ENDS = (
    "SELECT s.system_id AS system_id, MIN(s.slot) AS first_slot,"
    " MAX(s.slot) AS last_slot FROM slots AS s WHERE s.state <> 'missing'"
    " GROUP BY s.system_id"
)
COUNT = (
    "SELECT COUNT(*) AS slots FROM slots AS s"
    " WHERE s.date >= DATE '$since' AND s.date < DATE '$until' GROUP BY s.system_id"
)
ROWS_AT_ONCE = 150_000
"""Rows that a heavy report reads at a time: 140 MB in DuckDB for `typical`."""
ALWAYS = (0, 1 << 40)
NEVER = (1, 0)
"""First and last slot of a station that was always, or never, in the system."""
NOWHERE = "(no district)"


class Engine(Protocol):
    """A database engine that can run reports."""

    def register(self, table: str, columns: dict[str, str], rows: Rows) -> None:
        """Create or replace *table* with *rows*; *columns* are names with SQL types."""
        ...

    def query(self, sql: str) -> tuple[list[str], Rows]:
        """Run *sql*; return the names of its columns and its rows."""
        ...


class Duck:
    """DuckDB as an engine; *db* has the views."""

    def __init__(self, db: "DuckDBPyConnection") -> None:
        self._db = db

    def register(self, table: str, columns: dict[str, str], rows: Rows) -> None:
        """See `Engine`."""
        with translated(f"cannot create the table {table}"):
            self._db.execute(f"DROP TABLE IF EXISTS {table}")
            load(self._db, table, columns, rows)

    def query(self, sql: str) -> tuple[list[str], Rows]:
        """See `Engine`."""
        with translated("the report failed"):
            cursor = self._db.execute(sql)
            names = [column[0] for column in cursor.description or ()]
            return names, cursor.fetchall()


@dataclass(frozen=True)
class Answer:
    """The *rows* that a report returned, and the names of their *columns*."""

    columns: list[str]
    rows: Rows


def ask(
    engine: Engine,
    report: Report,
    values: Values,
    *,
    by: str = "",
    stations: Sequence[str] = (),
) -> Answer:
    """Run *report*, with its figures *by* station, district or system.

    *stations* limits it to these ids. Raises UsageError for a grouping that the report
    does not have, or an unknown station.
    """
    by = by or report.places[0]
    if by not in report.places:
        known = ", ".join(report.places)
        raise UsageError(f"`{report.name}` cannot be grouped by {by}, only by {known}")
    members = asked(engine, values, by, stations)
    if report.is_heavy:
        return _in_parts(engine, values, values.sql(report), members)
    engine.register("asked", ASKED, members)
    columns, rows = engine.query(values.sql(report))
    if report.name == "chance":
        return _with_interval(columns, rows)
    return Answer(columns, rows)


def _in_parts(
    engine: Engine, values: Values, sql: str, members: Sequence[tuple[Any, ...]]
) -> Answer:
    """Run *sql* on some stations at a time: an engine holds a list per group."""
    counts = engine.query(_in_range(COUNT, values))[1]
    slots = max((count for (count,) in counts), default=1)
    most = max(1, ROWS_AT_ONCE // slots)
    columns: list[str] = []
    rows: list[Sequence[Any]] = []
    for begin in range(0, max(1, len(members)), most):
        engine.register("asked", ASKED, members[begin : begin + most])
        columns, some = engine.query(sql)
        rows += some
    return Answer(columns, rows)


def _in_range(sql: str, values: Values) -> str:
    since, until = values.since.isoformat(), values.until.isoformat()
    return sql.replace("$since", since).replace("$until", until)


def refuse_nothing(engine: Engine, report: Report, values: Values) -> None:
    """Raise UsageError if a *report* without any row has no data to report on."""
    if not engine.query(_in_range(EXPECTED, values))[1]:
        text = "no data in that range"
    elif report.needs_moment:
        text = "no such day of the week in that range"
    elif report.may_be_empty:
        return
    else:
        text = f"no data for `{report.name}` in that range"
    raise UsageError(f"{text}; see: bikecollect backfill-report")


def with_names(engine: Engine, result: Answer) -> Answer:
    """Return *result* with the name of each station after its id."""
    if "name" in result.columns or "system_id" not in result.columns:
        return result
    names = {(s, i): name for s, i, name in engine.query(NAMES)[1]}
    system = result.columns.index("system_id")
    columns, rows = result.columns, result.rows
    for column, label in NAMED.items():
        if column in columns:
            at = columns.index(column) + 1
            columns = [*columns[:at], label, *columns[at:]]
            rows = [
                (*row[:at], names.get((row[system], row[at - 1])), *row[at:])
                for row in rows
            ]
    return Answer(columns, rows)


def asked(
    engine: Engine, values: Values, by: str, stations: Sequence[str] = ()
) -> list[tuple[str, str, str, int, int]]:
    """Return the stations to report on as (system, station, place, first, last).

    This includes stations that have rows but are in no station list. The last two are
    the slots between which a station is expected, see `_lives`.
    """
    regions = {(s, i): region for s, i, region in engine.query(STATIONS)[1]}
    seen = engine.query(_in_range(SEEN, values))[1]
    in_range = [(s, i) for s, i, _, _, is_in_range in seen if is_in_range]
    known = dict.fromkeys([*regions, *in_range])
    unknown = sorted(set(stations) - {station for _, station in known})
    if unknown:
        raise UsageError(
            f"unknown station {', '.join(unknown)}; see: bikecollect report stations"
        )
    lives = _lives(seen, engine.query(ENDS)[1])
    selected = [key for key in sorted(known) if not stations or key[1] in stations]
    return [
        (*key, _place(key, by, regions), *lives.get(key, NEVER)) for key in selected
    ]


def _lives(seen: Rows, ends: Rows) -> dict[tuple[str, str], tuple[int, int]]:
    """Return the first and the last slot of each station of *seen*.

    A station that was there in the system's first (last) slot of *ends* is expected
    before (after) it too: those slots were lost, the station was not absent.
    """
    bounds = {system: (first, last) for system, first, last in ends}
    lives = {}
    for system, station, first, last, _ in seen:
        begin, end = bounds.get(system, (first, last))
        lives[system, station] = (
            ALWAYS[0] if first <= begin else first,
            ALWAYS[1] if last >= end else last,
        )
    return lives


def _place(
    key: tuple[str, str], by: str, regions: Mapping[tuple[str, str], str | None]
) -> str:
    if by == DISTRICT:
        return regions.get(key) or NOWHERE
    return key[1] if by == STATION else key[0]


def _with_interval(columns: list[str], rows: Rows) -> Answer:
    seen, good = columns.index("days_seen"), columns.index("with_vehicle")
    with_bounds: list[tuple[Any, ...]] = [
        (*row, *(wilson(row[good], row[seen]) or (None, None))) for row in rows
    ]
    return Answer([*columns, "low", "high"], with_bounds)
