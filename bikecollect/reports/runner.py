"""Asks reports of an engine that has the views, and gives their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bikecollect.archive.query.duckdb_engine import load, translated
from bikecollect.core.errors import UsageError
from bikecollect.reports.registry import DISTRICT, STATION, Report, Rows, Values, wilson

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ASKED = {"system_id": "VARCHAR", "station_id": "VARCHAR", "place": "VARCHAR"}
STATIONS = (
    "SELECT s.system_id AS system_id, s.station_id AS station_id, s.region AS region"
    " FROM stations AS s WHERE s.valid_to IS NULL"
)
SEEN = (
    "SELECT DISTINCT c.system_id AS system_id, c.station_id AS station_id"
    " FROM coverage AS c WHERE c.date >= DATE '$since' AND c.date < DATE '$until'"
)
NOWHERE = "(no district)"


class Engine(Protocol):
    """What a report needs: tables to be made, and SQL to be answered."""

    def register(self, table: str, columns: dict[str, str], rows: Rows) -> None:
        """Make *table* of *rows*, in place of an earlier one; types are SQL's."""
        ...

    def query(self, sql: str) -> tuple[list[str], Rows]:
        """Return the names of the columns and the rows that *sql* gives."""
        ...


class Duck:
    """DuckDB, with the views in *db*."""

    def __init__(self, db: "DuckDBPyConnection") -> None:
        self._db = db

    def register(self, table: str, columns: dict[str, str], rows: Rows) -> None:
        """See `Engine`."""
        with translated(f"cannot make {table}"):
            self._db.execute(f"DROP TABLE IF EXISTS {table}")
            load(self._db, table, columns, rows)

    def query(self, sql: str) -> tuple[list[str], Rows]:
        """See `Engine`."""
        with translated("the report failed"):
            cursor = self._db.execute(sql)
            names = [each[0] for each in cursor.description or ()]
            return names, cursor.fetchall()


@dataclass(frozen=True)
class Answer:
    """A report's *rows* under their *columns*."""

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
    """Return what *report* says; figures are given *by* station, district or system.

    With *stations* only of these. Raises UsageError for what the report cannot do.
    """
    by = by or report.places[0]
    if by not in report.places:
        known = ", ".join(report.places)
        raise UsageError(f"{report.name} is given by {known}, not by {by}")
    engine.register("asked", ASKED, asked(engine, values, by, stations))
    columns, rows = engine.query(values.sql(report))
    if report.name == "chance":
        return _with_interval(columns, rows)
    return Answer(columns, rows)


def asked(
    engine: Engine, values: Values, by: str, stations: Sequence[str] = ()
) -> list[tuple[str, str, str]]:
    """Return the stations that are asked for, each with its place.

    Stations that no list has named, but that were seen, are among them.
    """
    seen_sql = SEEN.replace("$since", values.since.isoformat())
    seen_sql = seen_sql.replace("$until", values.until.isoformat())
    regions = {(s, i): region for s, i, region in engine.query(STATIONS)[1]}
    found = dict.fromkeys([*regions, *((s, i) for s, i in engine.query(seen_sql)[1])])
    unknown = set(stations) - {station for _, station in found}
    if unknown:
        raise UsageError(f"no station was ever called {', '.join(sorted(unknown))}")
    wanted = [key for key in sorted(found) if not stations or key[1] in stations]
    return [(*key, _place(key, by, regions)) for key in wanted]


def _place(
    key: tuple[str, str], by: str, regions: Mapping[tuple[str, str], str | None]
) -> str:
    if by == DISTRICT:
        return regions.get(key) or NOWHERE
    return key[1] if by == STATION else key[0]


def _with_interval(columns: list[str], rows: Rows) -> Answer:
    seen, good = columns.index("days_seen"), columns.index("with_vehicle")
    made: list[tuple[Any, ...]] = [
        (*row, *(wilson(row[good], row[seen]) or (None, None))) for row in rows
    ]
    return Answer([*columns, "low", "high"], made)
