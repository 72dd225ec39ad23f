"""Export the rows of a range of days as CSV (as collected), JSON lines or Parquet."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from bikecollect.archive import datasets, parquet
from bikecollect.archive.encoding import csv_cells
from bikecollect.archive.query import duckdb_engine
from bikecollect.archive.query.own_columns import csv_names
from bikecollect.core.errors import UsageError
from bikecollect.core.slots import iso
from bikecollect.core.text import FORMULA_STARTS, NUMBER, csv_text
from bikecollect.reports import data_dictionary
from bikecollect.storage.data_folder import VEHICLE_STATUS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NAMED = ("name", "region", "lat", "lon")
"""Columns of the station list that are joined on request."""
GAPS = """
SELECT system_id, MIN(slot) AS first_slot, MAX(slot) AS last_slot,
    CAST(COUNT(*) AS INTEGER) AS slots, cause
FROM (
    SELECT system_id, date, slot, cause, place - ROW_NUMBER() OVER (
        PARTITION BY system_id, cause ORDER BY slot) AS island
    FROM (
        SELECT *, ROW_NUMBER() OVER (PARTITION BY system_id ORDER BY slot) AS place
        FROM slots WHERE {where}
    ) AS numbered WHERE state = 'missing'
) AS missing GROUP BY system_id, cause, island
"""
GAPS_COLUMNS = {
    "first_slot": "BIGINT",
    "last_slot": "BIGINT",
    "slots": "INTEGER",
    "cause": "VARCHAR",
}
STATIONS = {"valid_from": "BIGINT", "valid_to": "BIGINT", **datasets.STATIONS}
WHATS: Mapping[str, Mapping[str, str]] = {
    **{n: c for n, c in datasets.COLUMNS.items() if n != datasets.VEHICLE_SLOTS},
    VEHICLE_STATUS: datasets.VEHICLE_TYPES,
    "gaps": GAPS_COLUMNS,
    "stations": STATIONS,
}
"""Tables that can be exported, with their columns; station status may have more."""
ORDER = {
    "station_status": "slot, station_id",
    VEHICLE_STATUS: "slot, vehicle_id",
    "slots": "slot",
    "runs": "slot, started, run_id",
    "coverage": "date, station_id",
    "profile": "date, station_id, hour_of_week",
    "stations": "station_id, valid_from",
    "gaps": "first_slot",
}
ROWS = frozenset({datasets.STATUS, VEHICLE_STATUS})
"""Tables with a row per slot and station or vehicle; they are read day by day."""
WITHOUT_NAMES = frozenset({"stations", VEHICLE_STATUS})
DAILY = frozenset({"coverage", "profile"})
PUBLIC_SOURCE = (
    "CASE WHEN source LIKE 'backfill bikecollect %://%' THEN 'backfill mirror'"
    " WHEN source LIKE 'backfill %' THEN"
    " regexp_extract(source, '^backfill [^ /]*') ELSE source END"
)
"""The source of a slot without the path or address of the archive that filled it."""
BATCH = 10_000
FORMULA = f"^[{''.join(FORMULA_STARTS).replace('-', chr(92) + '-')}]"
QUOTED = '[,"\\n\\r\\t]'
"""Characters that require quotes for spreadsheets, which also end a line at a CR."""


@dataclass(frozen=True)
class ExportRequest:
    """The table to export (*what*), and its *systems*, days and *stations*.

    *since* is the first day, *until* the day after the last; *stations* are ids, empty
    for all. *names* joins the station list as of each slot; *excel_safe* keeps
    spreadsheets from running cells as formulas. If *with_system*, there is a column
    system_id even for a single system. If *public*, sources are named without the path
    or address of another archive.
    """

    what: str
    systems: Mapping[str, tzinfo]
    since: str
    until: str
    stations: Sequence[str] = ()
    names: bool = False
    excel_safe: bool = False
    with_system: bool = False
    public: bool = False

    @property
    def has_system_id(self) -> bool:
        """Whether each row names its system."""
        return self.with_system or len(self.systems) > 1

    @property
    def tables(self) -> frozenset[str]:
        """The tables that are read."""
        what = "slots" if self.what == "gaps" else self.what
        needs_list = self.names or self.stations
        return frozenset({what, "stations"} if needs_list else {what})

    def where(self) -> tuple[str, list[Any]]:
        """Return the SQL condition and its parameters."""
        texts, values = [], list[Any]()
        if self.what != "stations":
            texts = ["date >= CAST(? AS DATE)", "date < CAST(? AS DATE)"]
            values = [self.since, self.until]
        if self.stations and "station_id" in WHATS[self.what]:
            marks = ", ".join("?" * len(self.stations))
            texts.append(f"station_id IN ({marks})")
            values += self.stations
        return " AND ".join(texts) or "true", values


class Exporter:
    """Exports the table of *request* from *db*, which has the views.

    *rows* counts the rows written so far. Raises StorageError.
    """

    def __init__(self, db: "DuckDBPyConnection", request: ExportRequest) -> None:
        self._db = db
        self._request = request
        self.rows = 0
        self.columns = self._columns()

    def _columns(self) -> dict[str, str]:
        """Return the columns of the export with their types."""
        request = self._request
        columns = dict(WHATS[request.what])
        if request.what == datasets.STATUS:
            described = self._db.execute("DESCRIBE station_status").fetchall()
            hidden = {"system_id", "date", datasets.SLOT_TIME, *datasets.ADDED}
            names = [name for name, *_ in described if name not in hidden]
            columns = {name: datasets.type_of(name) for name in names}
        if request.what in DAILY:
            columns = {"date": "DATE", **columns}
        if (
            request.names
            and "station_id" in columns
            and request.what not in WITHOUT_NAMES
        ):
            columns |= {name: datasets.STATIONS[name] for name in NAMED}
        if request.has_system_id:
            return {"system_id": "VARCHAR", **columns}
        return columns

    def refuse_unknown_stations(self) -> None:
        """Raise UsageError for requested stations unknown to systems that have some."""
        unknown = set(self._request.stations)
        for table in ("stations", self._request.what):
            if unknown:
                marks = ", ".join("?" * len(unknown))
                sql = f"SELECT DISTINCT station_id FROM {table}"
                sql += f" WHERE station_id IN ({marks})"
                with duckdb_engine.translated("cannot read the stations"):
                    known = self._db.execute(sql, sorted(unknown)).fetchall()
                unknown -= {station for (station,) in known}
        if unknown and self._finds("SELECT 1 FROM stations LIMIT 1"):
            raise UsageError(
                f"no rows of station {', '.join(sorted(unknown))}: unknown station; "
                "see: bikecollect report stations"
            )

    def has_slots(self) -> bool:
        """Return whether any slot of the requested days was expected."""
        where, values = self._request.where()
        return self._finds(f"SELECT 1 FROM slots WHERE {where} LIMIT 1", values)

    def _finds(self, sql: str, values: object = ()) -> bool:
        with duckdb_engine.translated("cannot read the history"):
            return self._db.execute(sql, values).fetchone() is not None

    def header(self) -> tuple[str, ...]:
        """Return the names of the columns in CSV: those of the daily files."""
        is_collected = self._request.what == datasets.STATUS
        if not is_collected or self._request.has_system_id:
            return tuple(self.columns)
        return csv_names(self.columns)

    def csv(self) -> Iterator[str]:
        """Yield the export as CSV with its header, in the exact text of daily files."""
        days = self._all_days()
        mark = "\ufeff" if self._request.excel_safe else ""
        yield mark + csv_text([self.header()])
        for name, zone in self._request.systems.items():
            for day in days[name]:
                time_text = self._time_text(name, day, zone)
                cells = (self._cell(column, time_text) for column in self.columns)
                line = " || ',' || ".join(cells) + " || chr(10)"
                for rows in self._rows(name, line, day):
                    yield "".join(row for (row,) in rows)

    def jsonl(self) -> Iterator[str]:
        """Yield the export as JSON lines; times are ISO 8601."""
        for rows in self.records(iso):
            records = (dict(zip(self.columns, row, strict=True)) for row in rows)
            texts = (json.dumps(r, ensure_ascii=False, default=str) for r in records)
            yield "".join(f"{text}\n" for text in texts)

    def records(
        self, time_of: Callable[[float, tzinfo], object]
    ) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield batches of rows; *time_of* converts times, given the system's zone."""
        days = self._all_days()
        names = ", ".join(map(duckdb_engine.name, self.columns))
        are_times = [column in data_dictionary.SECONDS for column in self.columns]
        for name, zone in self._request.systems.items():
            for day in days[name]:
                for rows in self._rows(name, names, day):
                    yield [
                        [
                            time_of(value, zone)
                            if is_time and value is not None
                            else value
                            for value, is_time in zip(row, are_times, strict=True)
                        ]
                        for row in rows
                    ]

    def parquet(self, fd: int) -> None:
        """Write the export to the open file *fd* as Parquet; times are epoch seconds.

        DuckDB opens *fd* again by its path in ``/proc``, and never by its name in a
        folder to which others may write. Raises OSError if that fails.
        """
        names = ", ".join(map(duckdb_engine.name, self.columns))
        parts, values = [], list[Any]()
        for name in self._request.systems:
            sql, parameters = self._select(name, names)
            parts.append(f"({sql})")
            values += parameters
        union = " UNION ALL ".join(parts)
        with duckdb_engine.translated("cannot write the export"):
            self.rows = duckdb_engine.copy_into(
                fd, self._db, union, parquet.OPTIONS, values
            )

    def _all_days(self) -> Mapping[str, Sequence[str]]:
        """Return the days of each system.

        An unreadable day fails here, before any row is written.
        """
        return {name: list(self._days(name)) for name in self._request.systems}

    def _days(self, name: str) -> Iterator[str]:
        """Yield the days to read, one at a time; an empty text reads all at once."""
        request = self._request
        if request.what not in ROWS:
            yield ""
            return
        where, values = request.where()
        sql = (
            f"SELECT DISTINCT date FROM {request.what} WHERE {where} AND system_id = ?"
        )
        with duckdb_engine.translated("cannot read the history"):
            days = self._db.execute(f"{sql} ORDER BY date", [*values, name]).fetchall()
        yield from (str(day) for (day,) in days)

    def _time_text(self, name: str, day: str, zone: tzinfo) -> str:
        """Return the expression that writes the times of *day*."""
        times = [
            duckdb_engine.name(column)
            for column, kind in self.columns.items()
            if column in data_dictionary.SECONDS and kind in {"BIGINT", "DOUBLE"}
        ]
        rows, values = self._select(name, ", ".join(times) or "NULL", day)
        with duckdb_engine.translated("cannot read the history"):
            return csv_cells.text_of_times(
                self._db, zone, times, f"({rows}) AS times", values
            )

    def _rows(
        self, name: str, columns: str, day: str
    ) -> Iterator[list[tuple[Any, ...]]]:
        sql, values = self._select(name, columns, day)
        with duckdb_engine.translated("cannot read the history"):
            cursor = self._db.execute(sql, values)
            while rows := cursor.fetchmany(BATCH):
                self.rows += len(rows)
                yield rows

    def _select(self, name: str, columns: str, day: str = "") -> tuple[str, list[Any]]:
        request = self._request
        where, values = request.where()
        # As literals, so that DuckDB plans only with the files of this system and day.
        where += f" AND system_id = {duckdb_engine.text(name)}"
        if day:
            where += f" AND date = DATE {duckdb_engine.text(day)}"
        kept = "*"
        if request.public and "source" in WHATS[request.what]:
            kept = f"* REPLACE ({PUBLIC_SOURCE} AS source)"
        source = f"SELECT {kept} FROM {request.what} WHERE {where}"
        if request.what == "gaps":
            source = GAPS.format(where=where)
        if (
            request.names
            and "name" in self.columns
            and request.what not in WITHOUT_NAMES
        ):
            source = self._with_names(source)
        order = ORDER[request.what]
        sql = f"SELECT {columns} FROM ({source}) AS requested ORDER BY {order}"
        return sql, values

    def _with_names(self, source: str) -> str:
        """Return *source* joined with the station list as of each row.

        Rows before the first version of a station get the first one.
        """
        at = "first_slot" if self._request.what in DAILY else "slot"
        names = ", ".join(f"s.{column}" for column in NAMED)
        first = (
            "SELECT *, CASE WHEN ROW_NUMBER() OVER (PARTITION BY system_id, station_id"
            " ORDER BY valid_from) = 1 THEN 0 ELSE valid_from END AS since"
            " FROM stations"
        )
        moment = at if self._request.what != "profile" else "9000000000"
        return (
            f"SELECT r.*, {names} FROM ({source}) AS r LEFT JOIN ({first}) AS s"
            " ON s.system_id = r.system_id AND s.station_id = r.station_id"
            f" AND s.since <= {moment}"
            f" AND ({moment} < s.valid_to OR s.valid_to IS NULL)"
        )

    def _cell(self, column: str, time_text: str) -> str:
        kind = self.columns[column]
        if column in data_dictionary.SECONDS and kind in {"BIGINT", "DOUBLE"}:
            seconds = f"TRY_CAST(floor({duckdb_engine.name(column)}) AS BIGINT)"
            return f"coalesce({time_text.format(seconds)}, '')"
        if kind != "VARCHAR":
            return f"coalesce(CAST({duckdb_engine.name(column)} AS VARCHAR), '')"
        if not self._request.excel_safe:
            return csv_cells.quoted(duckdb_engine.name(column))
        return csv_cells.quoted(_disarmed(duckdb_engine.name(column)), QUOTED)


def _disarmed(cell: str) -> str:
    """Return the SQL expression of `core.text.disarmed` for *cell*."""
    formula = f"regexp_matches({cell}, {duckdb_engine.text(FORMULA)})"
    number = f"regexp_full_match({cell}, {duckdb_engine.text(NUMBER.pattern)})"
    is_formula = f"{formula} AND NOT {number}"
    return f"CASE WHEN {is_formula} THEN chr(39) || {cell} ELSE {cell} END"
