"""Export: the rows of a range of days, in the text they were collected in, or typed."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from bikecollect.archive import datasets, parquet
from bikecollect.archive.query import duckdb_engine
from bikecollect.core.slots import bounds, iso
from bikecollect.core.text import FORMULA_STARTS, NUMBER
from bikecollect.reports import data_dictionary

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NAMED = ("name", "region", "lat", "lon")
"""Of the stations: what is joined on request."""
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
    **datasets.COLUMNS,
    "gaps": GAPS_COLUMNS,
    "stations": STATIONS,
}
"""What can be exported, and its columns; of station status, those it has at least."""
ORDER = {
    "station_status": "slot, station_id",
    "slots": "slot",
    "runs": "slot, started, run_id",
    "coverage": "date, station_id",
    "profile": "date, station_id, hour_of_week",
    "stations": "station_id, valid_from",
    "gaps": "first_slot",
}
DAILY = frozenset({"coverage", "profile"})
BATCH = 10_000
FIRST, LAST = 1_000_000_000, 4_102_444_800
FORMULA = f"^[{''.join(FORMULA_STARTS).replace('-', chr(92) + '-')}]"
QUOTED = '[,"\\n\\r\\t]'
"""What a cell for spreadsheets is quoted for: their readers end a line at a CR too."""


@dataclass(frozen=True)
class Wish:
    """What is to be exported: *what* of which *systems*, and of which days.

    *since* and *until* (behind the last) are days; *stations* are ids, none for all.
    *names* joins what the station list said at the slot; *excel_safe* disarms cells.
    """

    what: str
    systems: Mapping[str, tzinfo]
    since: str
    until: str
    stations: Sequence[str] = ()
    names: bool = False
    excel_safe: bool = False

    def where(self) -> tuple[str, list[Any]]:
        """Return the condition and its values."""
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
    """Reads what *wish* asks for from *db*, which has the views; StorageError."""

    def __init__(self, db: "DuckDBPyConnection", wish: Wish) -> None:
        self._db = db
        self._wish = wish
        self.columns = self._columns()

    def _columns(self) -> dict[str, str]:
        """Return the columns of the export, with their types."""
        wish = self._wish
        columns = dict(WHATS[wish.what])
        if wish.what == datasets.STATUS:
            found = self._db.execute("DESCRIBE station_status").fetchall()
            hidden = {"system_id", "date", *datasets.ADDED}
            names = [each for each, *_ in found if each not in hidden]
            columns = {each: datasets.type_of(each) for each in names}
        if wish.what in DAILY:
            columns = {"date": "DATE", **columns}
        if wish.names and "station_id" in columns and wish.what != "stations":
            columns |= {each: datasets.STATIONS[each] for each in NAMED}
        return {"system_id": "VARCHAR", **columns} if len(wish.systems) > 1 else columns

    def csv(self) -> Iterator[str]:
        """Yield the export as CSV, its header first: a daily file's very text."""
        spans = self._all_spans()
        mark = "\ufeff" if self._wish.excel_safe else ""
        yield mark + ",".join(self.columns) + "\n"
        for name, zone in self._wish.systems.items():
            written = parquet.iso_text(zone, FIRST, LAST)
            cells = (self._cell(each, written) for each in self.columns)
            line = " || ',' || ".join(cells) + " || chr(10)"
            for begin, end in spans[name]:
                for rows in self._rows(name, line, begin, end):
                    yield "".join(row for (row,) in rows)

    def jsonl(self) -> Iterator[str]:
        """Yield the export as JSON lines; times are ISO 8601."""
        spans = self._all_spans()
        names = ", ".join(f"{duckdb_engine.name(each)}" for each in self.columns)
        for name, zone in self._wish.systems.items():
            times = [
                n
                for n, each in enumerate(self.columns)
                if each in data_dictionary.SECONDS
            ]
            for begin, end in spans[name]:
                for rows in self._rows(name, names, begin, end):
                    yield "".join(self._json(row, times, zone) for row in rows)

    def parquet(self, fd: int) -> None:
        """Write the export to the open file *fd* as Parquet; times are epoch seconds.

        DuckDB opens it once more by the kernel's name for it: no name of a folder that
        others may write to is ever opened.
        """
        names = ", ".join(f"{duckdb_engine.name(each)}" for each in self.columns)
        parts, values = [], list[Any]()
        for name in self._wish.systems:
            sql, given = self._select(name, names)
            parts.append(f"({sql})")
            values += given
        union = " UNION ALL ".join(parts)
        options = f"({parquet.OPTIONS}, {duckdb_engine.AS_IT_IS})"
        target = f"TO '{duckdb_engine.descriptor(fd)}' {options}"
        with duckdb_engine.translated("cannot write the export"):
            self._db.execute(f"COPY ({union}) {target}", values)

    def _json(self, row: Sequence[Any], times: Iterable[int], zone: tzinfo) -> str:
        values = list(row)
        for place in times:
            if values[place] is not None:
                values[place] = iso(values[place], zone)
        made = dict(zip(self.columns, values, strict=True))
        return json.dumps(made, ensure_ascii=False, default=str) + "\n"

    def _all_spans(self) -> Mapping[str, Sequence[tuple[int, int]]]:
        """Return what `_spans` yields of each system, before anything is given out.

        A day that is asked for and cannot be read fails here.
        """
        return {name: list(self._spans(name)) for name in self._wish.systems}

    def _spans(self, name: str) -> Iterator[tuple[int, int]]:
        """Yield the times from which to which to read in one go: day by day."""
        wish = self._wish
        if wish.what != datasets.STATUS:
            yield FIRST, LAST
            return
        where, values = wish.where()
        sql = (
            f"SELECT DISTINCT date FROM station_status WHERE {where} AND system_id = ?"
        )
        with duckdb_engine.translated("cannot read the history"):
            days = self._db.execute(f"{sql} ORDER BY date", [*values, name]).fetchall()
        for (day,) in days:
            begin, end = bounds(str(day), wish.systems[name])
            yield begin, end

    def _rows(
        self, name: str, what: str, begin: int, end: int
    ) -> Iterator[list[tuple[Any, ...]]]:
        sql, values = self._select(name, what, (begin, end))
        with duckdb_engine.translated("cannot read the history"):
            cursor = self._db.execute(sql, values)
            while rows := cursor.fetchmany(BATCH):
                yield rows

    def _select(
        self, name: str, what: str, span: tuple[int, int] | None = None
    ) -> tuple[str, list[Any]]:
        wish = self._wish
        where, values = wish.where()
        values = [*values, name]
        source = f"SELECT * FROM {wish.what} WHERE {where} AND system_id = ?"
        if wish.what == "gaps":
            source = GAPS.format(where=f"{where} AND system_id = ?")
        if wish.names and "name" in self.columns and wish.what != "stations":
            source = self._named(source)
        if span and wish.what == datasets.STATUS:
            source = f"SELECT * FROM ({source}) AS days WHERE slot >= ? AND slot < ?"
            values += span
        order = ORDER[wish.what]
        sql = f"SELECT {what} FROM ({source}) AS wished ORDER BY {order}"
        return sql, values

    def _named(self, source: str) -> str:
        """Return *source* with what the station list said then; later if it must."""
        at = "first_slot" if self._wish.what in DAILY else "slot"
        names = ", ".join(f"s.{each}" for each in NAMED)
        first = (
            "SELECT *, CASE WHEN ROW_NUMBER() OVER (PARTITION BY system_id, station_id"
            " ORDER BY valid_from) = 1 THEN 0 ELSE valid_from END AS since"
            " FROM stations"
        )
        moment = at if self._wish.what != "profile" else "9000000000"
        return (
            f"SELECT r.*, {names} FROM ({source}) AS r LEFT JOIN ({first}) AS s"
            " ON s.system_id = r.system_id AND s.station_id = r.station_id"
            f" AND s.since <= {moment}"
            f" AND ({moment} < s.valid_to OR s.valid_to IS NULL)"
        )

    def _cell(self, column: str, written: str) -> str:
        kind = self.columns[column]
        if column in data_dictionary.SECONDS and kind in {"BIGINT", "DOUBLE"}:
            seconds = f"TRY_CAST(floor({duckdb_engine.name(column)}) AS BIGINT)"
            return f"coalesce({written.format(seconds)}, '')"
        if kind != "VARCHAR":
            return f"coalesce(CAST({duckdb_engine.name(column)} AS VARCHAR), '')"
        if not self._wish.excel_safe:
            return parquet.quoted(duckdb_engine.name(column))
        return parquet.quoted(_disarmed(duckdb_engine.name(column)), QUOTED)


def _disarmed(cell: str) -> str:
    """Return the expression that makes of *cell* what `disarmed` makes of a text."""
    formula = f"regexp_matches({cell}, {duckdb_engine.text(FORMULA)})"
    number = f"regexp_full_match({cell}, {duckdb_engine.text(NUMBER.pattern)})"
    armed = f"{formula} AND NOT {number}"
    return f"CASE WHEN {armed} THEN chr(39) || {cell} ELSE {cell} END"
