"""Archive days with rows that typed values cannot reproduce: their text is kept too.

Examples are a count of twenty digits, a time in another format, and `007`.
"""

import csv
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.archive.datasets import KEY, VERBATIM
from bikecollect.archive.encoding.copying import copy
from bikecollect.archive.encoding.csv_cells import any_time, cell, line_of
from bikecollect.archive.parquet import OPTIONS, as_rows, grouped
from bikecollect.archive.query.duckdb_engine import load, translated
from bikecollect.archive.query.own_columns import sql_names
from bikecollect.core.errors import StorageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def write_day(
    db: "DuckDBPyConnection",
    sheet: Path,
    columns: Sequence[str],
    target: Path,
    zone: tzinfo,
) -> None:
    """Write *sheet*, a day's sorted CSV, to *target*, with the text of odd rows.

    Raises StorageError, also if no slot has an offset of *zone*.
    """
    columns = sql_names(columns)
    types = dict.fromkeys((*columns, VERBATIM), "VARCHAR")
    with translated(f"{sheet} cannot be archived"):
        load(db, "day_lines", types, _lines(sheet, len(columns)))
        written = any_time(zone)
        line, slot = line_of(columns, written), cell("slot", written)
        db.execute(
            "CREATE TABLE day_rows AS"
            " SELECT * EXCLUDE (verbatim_line_was, verbatim_slot_was),"
            f" nullif(verbatim_line_was, {line}) AS {VERBATIM},"
            f" {slot} = verbatim_slot_was AS verbatim_in_zone"
            f" FROM (SELECT {as_rows(columns)}, {VERBATIM} AS verbatim_line_was,"
            " slot AS verbatim_slot_was FROM day_lines) AS typed"
        )
        db.execute("DROP TABLE day_lines")
        sql = "SELECT count(*), count(*) FILTER (verbatim_in_zone) FROM day_rows"
        ((rows, good),) = db.execute(sql).fetchall()
        if rows and not good:
            raise StorageError(
                f"the slots of {sheet.parent.stem} have no offset of {zone}: has the "
                "system's timezone in the settings changed? its CSV is kept",
                cause="archive",
            )
        order = f"{columns[KEY]}, slot"
        rows_ = f"SELECT * EXCLUDE (verbatim_in_zone) FROM day_rows ORDER BY {order}"
        options = grouped(OPTIONS, columns)
        copy(db, rows_, target, options)
        db.execute("DROP TABLE day_rows")


def _lines(sheet: Path, width: int) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each line of *sheet* after its header, and the line itself."""
    with sheet.open("rb") as lines:
        next(lines, None)
        for line in lines:
            text_ = line.removesuffix(b"\n").decode("utf-8")
            try:
                cells = next(csv.reader([text_]), [])
            except csv.Error:
                cells = []
            yield (*[*cells, *[""] * width][:width], text_)
