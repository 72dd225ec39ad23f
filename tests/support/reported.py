"""The rows of a report on a world, read as the command `report` reads them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from keeping import viewed
from world import World

from bikecollect.archive.query.views import tables_in
from bikecollect.reports.engines.stations_asked import in_duckdb
from bikecollect.reports.registry import Report, Values
from bikecollect.reports.runner import Duck, ask


@contextmanager
def engine_for(world: World, report: Report, values: Values) -> Iterator[Duck]:
    """Yield DuckDB with the views of the tables that *report* reads, and no others."""
    tables = in_duckdb(tables_in(values.sql(report)))
    with viewed(world, tables=tables) as db:
        yield Duck(db, tables)


def read_reports(
    world: World, questions: Sequence[tuple[Report, Values, str]]
) -> list[list[dict[str, Any]]]:
    """Return the rows of some reports on *world*, each with values and a grouping.

    All are asked of the same views.
    """
    read = {table for r, values, _ in questions for table in tables_in(values.sql(r))}
    tables = in_duckdb(frozenset(read))
    with viewed(world, tables=tables) as db:
        duck = Duck(db, tables)
        answers = [ask(duck, r, values, by=by) for r, values, by in questions]
    return [
        [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        for answer in answers
    ]


def read_report(
    world: World, report: Report, values: Values, **more: Any
) -> list[dict[str, Any]]:
    """Return the rows of *report* on *world*; *more* is for `runner.ask`."""
    with engine_for(world, report, values) as engine:
        answer = ask(engine, report, values, **more)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
