"""The rows of a report on a world, read as the command `report` reads them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keeping import viewed
from world import World

from bikecollect.archive.query.views import tables_in
from bikecollect.reports.registry import Report, Values
from bikecollect.reports.runner import TABLES, Duck, ask


@contextmanager
def engine_for(world: World, report: Report, values: Values) -> Iterator[Duck]:
    """Yield DuckDB with the views of the tables that *report* reads, and no others."""
    with viewed(world, tables=tables_in(values.sql(report)) | TABLES) as db:
        yield Duck(db)


def read_report(
    world: World, report: Report, values: Values, **more: Any
) -> list[dict[str, Any]]:
    """Return the rows of *report* on *world*; *more* is for `runner.ask`."""
    with engine_for(world, report, values) as engine:
        answer = ask(engine, report, values, **more)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
