"""Run a report on a database engine that has the views, and return its rows."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from bikecollect.archive.query.duckdb_engine import load, translated
from bikecollect.core.errors import UsageError
from bikecollect.core.text import WEEKDAYS
from bikecollect.reports.engines.stations_asked import (
    COVERAGE,
    ENDS,
    NOWHERE,
    presence,
    seen_query,
)
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
PLACED = {**NAMED, "place": "name"}
"""The same if each place is a station."""
EVER = "SELECT s.slot AS slot FROM slots AS s LIMIT 1"
COLLECTED = "SELECT s.slot AS slot FROM slots AS s WHERE s.state <> 'missing' LIMIT 1"
WEEKDAYS_SEEN = (
    "SELECT DISTINCT CAST(FLOOR(s.hour_of_week / 24) AS BIGINT) AS weekday"
    " FROM slots AS s WHERE s.date >= DATE '$since' AND s.date < DATE '$until'"
    " ORDER BY weekday"
)
COUNT = (
    "SELECT COUNT(*) AS slots FROM slots AS s"
    " WHERE s.date >= DATE '$since' AND s.date < DATE '$until' GROUP BY s.system_id"
)
VALUES_AT_ONCE = 150_000
"""Maximum values that a heavy report holds at a time (`typical` in DuckDB: 140 MB)."""
BATCH = 10_000
"""Rows of a result that are read at a time."""
WEEK = 168
"""In hours."""
ALWAYS = (0, 1 << 40)
NEVER = (1, 0)
"""First and last slot of a station that was always, or never, in the system."""
NO_DATA = "no data in that range"
NO_DATA_YET = "no data yet"
VEHICLES = "vehicles are collected only with `vehicles = true` in the settings"


class Engine(Protocol):
    """A database engine that can run reports.

    *presence* is its table that tells when each station had rows.
    """

    presence: str

    def register(self, table: str, columns: dict[str, str], rows: Rows) -> None:
        """Create or replace *table* with *rows*; *columns* are names with SQL types."""
        ...

    def query(self, sql: str) -> tuple[list[str], Rows]:
        """Run *sql*; return the names of its columns and its rows."""
        ...

    def stream(self, sql: str) -> "BatchedAnswer":
        """Run *sql*; its rows must be read before the next query is run."""
        ...


class Duck:
    """DuckDB as an engine; *db* has the views of *tables*."""

    def __init__(
        self, db: "DuckDBPyConnection", tables: Container[str] = (COVERAGE,)
    ) -> None:
        self._db = db
        self.presence = presence(tables)

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

    def stream(self, sql: str) -> "BatchedAnswer":
        """See `Engine`."""
        with translated("the report failed"):
            cursor = self._db.execute(sql)
            names = [column[0] for column in cursor.description or ()]
        return BatchedAnswer(names, self._batches())

    def _batches(self) -> Iterator[Rows]:
        with translated("the report failed"):
            while rows := self._db.fetchmany(BATCH):
                yield rows


@dataclass(frozen=True)
class Answer:
    """The *rows* that a report returned, and the names of their *columns*."""

    columns: list[str]
    rows: Rows

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as values by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class BatchedAnswer(NamedTuple):
    """The rows that a report returned, in *batches*, none of them empty.

    A month of a large city has a million rows. They can be read only once, and before
    the engine runs another query.
    """

    columns: list[str]
    batches: Iterator[Rows]


def ask(
    engine: Engine,
    report: Report,
    values: Values,
    *,
    by: str = "",
    stations: Sequence[str] = (),
) -> Answer:
    """Run *report* like `stream`, and return all its rows."""
    answer = stream(engine, report, values, by=by, stations=stations)
    return Answer(answer.columns, list(chain.from_iterable(answer.batches)))


def stream(
    engine: Engine,
    report: Report,
    values: Values,
    *,
    by: str = "",
    stations: Sequence[str] = (),
    names: bool = False,
) -> BatchedAnswer:
    """Run *report*, with its figures *by* station, district or system.

    *stations* limits it to these ids; if *names*, the name of each station follows its
    id. Raises UsageError for a grouping that the report does not have, and for an
    unknown station.
    """
    by = by or report.places[0]
    if by not in report.places:
        known = ", ".join(report.places)
        raise UsageError(f"`{report.name}` cannot be grouped by {by}, only by {known}")
    is_asked = report.asks_stations or stations
    members = asked(engine, values, by, stations) if is_asked else ()
    names_by_id = _names(engine) if names else None
    answer = _run(engine, report, values, members)
    if report.name == "chance":
        answer = _with_interval(answer)
    if names_by_id is None:
        return answer
    return _with_names(answer, names_by_id, PLACED if by == STATION else NAMED)


def _run(
    engine: Engine, report: Report, values: Values, members: Sequence[tuple[Any, ...]]
) -> BatchedAnswer:
    # Other engines limit their memory themselves, and start slowly.
    if report.slots_per_value and isinstance(engine, Duck):
        return _in_parts(engine, report, values, members)
    engine.register("asked", ASKED, members)
    return engine.stream(values.sql(report))


def _in_parts(
    engine: Engine, report: Report, values: Values, members: Sequence[tuple[Any, ...]]
) -> BatchedAnswer:
    """Run *report* on some stations at a time; its rows are in their order.

    This limits the memory of the engine.
    """
    sql = values.sql(report)
    counts = engine.query(_in_range(COUNT, values))[1]
    slots = max((count for (count,) in counts), default=1)
    most = max(1, VALUES_AT_ONCE * report.slots_per_value // slots)

    def run(begin: int) -> BatchedAnswer:
        engine.register("asked", ASKED, members[begin : begin + most])
        return engine.stream(sql)

    columns, first = run(0)
    others = (run(begin).batches for begin in range(most, len(members), most))
    return BatchedAnswer(columns, chain(first, chain.from_iterable(others)))


def _in_range(sql: str, values: Values) -> str:
    since, until = values.since.isoformat(), values.until.isoformat()
    return sql.replace("$since", since).replace("$until", until)


def missing_data(engine: Engine, report: Report, values: Values) -> list[UsageError]:
    """Return the error if *report* has no row because data are missing, else empty."""
    is_of_weekday = (
        "$first_hour" in report.text and values.end_hour < values.first_hour + WEEK
    )
    weekday = WEEKDAYS[values.first_hour // 24]
    if not engine.query(EVER)[1]:
        text = NO_DATA_YET
    elif not (weekdays := _weekdays(engine, values)):
        text = NO_DATA
    elif not (report.may_be_empty or engine.query(COLLECTED)[1]):
        text = "no slot has been collected yet, so no station is known"
    elif is_of_weekday and weekday not in weekdays:
        text = f"no slot on {weekday} in that range, only on {', '.join(weekdays)}"
    elif report.needs_moment:
        text = "no slot at that time of the week in that range"
    elif report.may_be_empty:
        return []
    else:
        text = f"no data for `{report.name}` in that range"
        if report.is_of_vehicles:
            return [UsageError(f"{text}\n{VEHICLES}", lines=True)]
    return [UsageError(f"{text}; see: bikecollect backfill-report")]


def emptiness(error: UsageError) -> int:
    """Return how much is missing according to *error*, one of `missing_data`."""
    beginnings = (NO_DATA, NO_DATA_YET)
    return max(n * str(error).startswith(t) for n, t in enumerate(beginnings, 1))


def _weekdays(engine: Engine, values: Values) -> list[str]:
    """Return the weekdays of the slots in the range."""
    rows = engine.query(_in_range(WEEKDAYS_SEEN, values))[1]
    return [WEEKDAYS[int(weekday)] for (weekday,) in rows]


def _names(engine: Engine) -> dict[tuple[str, str], str | None]:
    """Return the names of stations by system and id."""
    return {(s, i): name for s, i, name in engine.query(NAMES)[1]}


def _with_names(
    answer: BatchedAnswer,
    names: Mapping[tuple[str, str], str | None],
    named_by: Mapping[str, str],
) -> BatchedAnswer:
    """Return *answer* with the name of each station after its id."""
    columns, batches = answer
    if "name" in columns or "system_id" not in columns:
        return answer
    system = columns.index("system_id")
    named = {columns.index(column) for column in named_by if column in columns}

    def cells(row: Sequence[Any]) -> Iterator[Any]:
        for n, value in enumerate(row):
            yield value
            if n in named:
                yield names.get((row[system], value))

    labels = [
        label for column in columns for label in (column, named_by.get(column)) if label
    ]
    return BatchedAnswer(
        labels, ([tuple(cells(row)) for row in rows] for rows in batches)
    )


def asked(
    engine: Engine, values: Values, by: str, stations: Sequence[str] = ()
) -> list[tuple[str, str, str, int, int]]:
    """Return the stations to report on as (system, station, place, first, last).

    Stations that have rows but are in no station list are included. *first* and *last*
    are the slots between which a station is expected, see `_lives`. Raises UsageError
    for an unknown one; where none is known, there are only no data yet.
    """
    regions = {(s, i): region for s, i, region in engine.query(STATIONS)[1]}
    seen = engine.query(seen_query(values, engine.presence))[1]
    in_range = [(s, i) for s, i, _, _, is_in_range in seen if is_in_range]
    known = dict.fromkeys([*regions, *in_range])
    unknown = sorted(set(stations) - {station for _, station in known})
    if unknown and known:
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

    A station with a row in the system's first (last) slot of *ends* is also expected
    before (after) it: there slots were lost, but the station was not absent.
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


def _with_interval(answer: BatchedAnswer) -> BatchedAnswer:
    columns, batches = answer
    seen, good = columns.index("days_seen"), columns.index("with_vehicle")
    bounded: Iterator[Rows] = (
        [(*row, *(wilson(row[good], row[seen]) or (None, None))) for row in rows]
        for rows in batches
    )
    return BatchedAnswer([*columns, "low", "high"], bounded)
