"""Write the tables of a published dataset as CSV and Parquet."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from bikecollect.archive.datasets import STATUS
from bikecollect.archive.day_csv import DaySummary
from bikecollect.archive.query.duckdb_engine import translated
from bikecollect.cli.output_file import placed, text_file
from bikecollect.reports.data_dictionary import resource
from bikecollect.reports.export import Exporter, ExportRequest

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

READABLE = 0o644
DATA = "data"
PUBLISHED = (STATUS, "stations", "slots", "gaps", "runs", "coverage")
PRIVATE = frozenset({"boot_id", "uptime", "awake", "file", "error"})
"""Columns of the runs that describe the collecting machine; they are not published."""


class WrittenTable(NamedTuple):
    """A written file of a table: its *path* in the dataset, and its resource."""

    path: str
    rows: int
    resource: Mapping[str, Any]


@dataclass(frozen=True)
class TableWriter:
    """Writes tables of *system_id* from *db*, which has the views, to *folder*.

    The days are from *since* to before *until*; *days* are those that have rows, with
    their rows and slots.
    """

    db: "DuckDBPyConnection"
    folder: Path
    system_id: str
    zone: ZoneInfo
    since: str
    until: str
    days: Mapping[str, tuple[int, int]]

    def csv(self, what: str) -> WrittenTable:
        """Write the table *what* as CSV."""
        exporter = self._exporter(what, self.since, self.until)
        path = f"{DATA}/{what}.csv"
        with placed(self.folder / path, READABLE) as fd, text_file(fd) as out:
            out.writelines(exporter.csv())
        return self._written(exporter, what, path, "csv")

    def parquet(self, what: str, fd: int) -> WrittenTable:
        """Write the table *what* as Parquet to *fd*, opened at its `parquet_path`."""
        exporter = self._exporter(what, self.since, self.until)
        exporter.parquet(fd)
        return self._written(exporter, what, parquet_path(what), "parquet")

    def status_csv(self) -> tuple[WrittenTable, Mapping[str, DaySummary]]:
        """Write the rows of all stations as CSV, with a summary of each day.

        A day's sha256 is that of the header and of its rows, as `verify` computes it.
        """
        path = f"{DATA}/{STATUS}.csv"
        days: dict[str, DaySummary] = {}
        exporter = self._exporter(STATUS, self.since, self.until)
        with placed(self.folder / path, READABLE) as fd, text_file(fd) as out:
            for day, (_, slots) in self.days.items():
                next_day = date.fromisoformat(day) + timedelta(days=1)
                daily = self._exporter(STATUS, day, next_day.isoformat())
                parts = daily.csv()
                header = next(parts)
                if not days:
                    out.write(header)
                digest = hashlib.sha256(header.encode())
                for text in _hashed(parts, digest):
                    out.write(text)
                exporter.rows += daily.rows
                days[day] = DaySummary(daily.rows, slots, digest.hexdigest())
        return self._written(exporter, STATUS, path, "csv"), days

    def _exporter(self, what: str, since: str, until: str) -> Exporter:
        request = ExportRequest(
            what, {self.system_id: self.zone}, since, until, public=True
        )
        exporter = Exporter(self.db, request)
        exporter.columns = {
            name: kind
            for name, kind in exporter.columns.items()
            if what != "runs" or name not in PRIVATE
        }
        return exporter

    def _written(
        self, exporter: Exporter, what: str, path: str, form: str
    ) -> WrittenTable:
        described = resource(what, path, form, exporter.columns)
        described |= {"name": _name(path)}
        if form == "parquet":  # validators of tables read CSV; its columns are the same
            described |= {"profile": "data-resource", "type": "file"}
        return WrittenTable(path, exporter.rows, described)


def parquet_path(what: str) -> str:
    """Return the path of the table *what* as Parquet, in the dataset."""
    return f"{DATA}/{what}.parquet"


def _name(path: str) -> str:
    """Return the name of the resource at *path*, unique in a dataset.

    >>> _name("data/slots.csv"), _name("data/slots.parquet")
    ('slots', 'slots-parquet')
    """
    name = path.rpartition("/")[2]
    return name.removesuffix(".csv").replace(".", "-").lower()


def _hashed(parts: Iterator[str], digest: Any) -> Iterator[str]:
    for text in parts:
        digest.update(text.encode())
        yield text


def counted_days(
    db: "DuckDBPyConnection", since: str, until: str
) -> dict[str, tuple[int, int]]:
    """Return the days with rows from *since* to before *until*: their rows and slots.

    Raises StorageError.
    """
    sql = (
        "SELECT CAST(date AS VARCHAR), count(*), count(DISTINCT slot)"
        " FROM station_status"
        " WHERE date >= CAST(? AS DATE) AND date < CAST(? AS DATE)"
        " GROUP BY 1 ORDER BY 1"
    )
    with translated("cannot read the history"):
        rows = db.execute(sql, [since, until]).fetchall()
    return {day: (count, slots) for day, count, slots in rows}
