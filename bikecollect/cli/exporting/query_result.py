"""The result of a query: printed as a table, or as CSV, JSON lines or a workbook."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from itertools import chain, count
from math import isfinite
from typing import Any

import click

from bikecollect.cli.exporting import workbook
from bikecollect.cli.output_file import text_file
from bikecollect.cli.printing import complain, say_figures
from bikecollect.cli.printing import output as standard
from bikecollect.cli.render.table import fitted
from bikecollect.cli.render.terminal import terminal_columns, wrapped
from bikecollect.core.text import csv_text, visible_json

SHOWN = 100
BATCH = 10_000
TOO_WIDE = "too wide for a table: select fewer columns, or see --format csv"


class QueryResult:
    """The rows of DuckDB's *cursor*, which can be read only once."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._names = _distinct([column[0] for column in cursor.description or ()])

    def print(self, form: str) -> None:
        """Print the rows, as a table only the first ones."""
        if form == "table":
            self._print_table()
            return
        with standard() as out:
            out.writelines(self._texts(form))

    def write(self, fd: int, form: str, zones: Mapping[str, tzinfo]) -> None:
        """Write the rows to the open file *fd*.

        *zones* are those of the times, by system: a workbook names them.
        """
        if form == "xlsx":
            rows = chain.from_iterable(iter(lambda: self._cursor.fetchmany(BATCH), []))
            workbook.write(fd, "query", self._names, rows, zones=zones, formats={})
            return
        with text_file(fd) as out:
            out.writelines(self._texts(form))

    def _print_table(self) -> None:
        rows = self._fetch(SHOWN + 1)
        screen = fitted(self._names, rows[:SHOWN], terminal_columns())
        say_figures(screen.text)
        if screen.is_per_value and len(rows) > 1:
            click.echo("\n".join(wrapped(TOO_WIDE, "")), err=True)
        if self._names and not rows:
            text = "no rows: nothing matches, or it was not collected; see: "
            complain(f"{text}bikecollect backfill-report")
        if len(rows) > SHOWN:
            click.echo(f"... and more than {SHOWN} rows; see --format csv", err=True)

    def _texts(self, form: str) -> Iterator[str]:
        """Yield the rows as text, in batches."""
        if form == "csv":
            yield csv_text([self._names])
        while rows := self._fetch(BATCH):
            if form == "csv":
                yield csv_text([_flag_text(value) for value in row] for row in rows)
                continue
            for row in rows:
                record = dict(zip(self._names, map(_json, row), strict=True))
                yield visible_json(record, default=str) + "\n"

    def _fetch(self, number: int) -> list[Sequence[object]]:
        """Return the next rows; timestamps become ISO 8601 with their offset."""
        rows = self._cursor.fetchmany(number)
        return [[_time_text(value) for value in row] for row in rows]


def _distinct(names: Iterable[str]) -> list[str]:
    """Return *names* with a number after those that came before, as DuckDB does.

    An object of JSON would have only the last of them.

    >>> _distinct(["date", "vehicles", "Date", "date_1"])
    ['date', 'vehicles', 'Date_1', 'date_1_1']
    """
    known = dict[str, str]()
    for name in names:
        numbered = chain([name], (f"{name}_{n}" for n in count(1)))
        new = next(text for text in numbered if text.casefold() not in known)
        known[new.casefold()] = new
    return [*known.values()]


def _time_text(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _json(value: object) -> object:
    """Return *value*, None for a number that JSON does not have."""
    return None if isinstance(value, float) and not isfinite(value) else value


def _flag_text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
