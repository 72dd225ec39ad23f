"""Sort the rows of a table by time, on disk."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing

from bikecollect.collect.sources.table_rows import Row
from bikecollect.core.errors import StorageError
from bikecollect.storage.files.scratch import scratch

Timed = tuple[float, Row]
"""A row, after its time."""


def sorted_rows(rows: Iterable[Timed], width: int) -> Iterator[Timed]:
    """Yield *rows*, of *width* cells, sorted by time on disk."""
    marks = ", ".join("?" * (width + 1))
    names = ", ".join(f"c{n}" for n in range(width))
    with scratch() as folder, closing(sqlite3.connect(folder / "rows.sqlite3")) as db:
        try:
            for setting in ("journal_mode = OFF", "synchronous = OFF"):
                db.execute(f"PRAGMA {setting}")
            db.execute(f"CREATE TABLE sorted (moment REAL, {names})")
            values_ = ((moment, *row) for moment, row in rows)
            db.executemany(f"INSERT INTO sorted VALUES ({marks})", values_)
            order = f"SELECT moment, {names} FROM sorted ORDER BY moment, rowid"
            for moment, *row in db.execute(order):
                yield moment, row
        except sqlite3.Error as error:
            raise StorageError(f"cannot sort the rows in {folder}: {error}") from error
