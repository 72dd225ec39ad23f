"""The results of a report on the history, some rows at a time."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.archive.query import views
from bikecollect.archive.query.view_source import ViewedSystem
from bikecollect.cli.reporting.viewed_systems import SkippedDays, error_of
from bikecollect.core.errors import BikecollectError
from bikecollect.reports import runner
from bikecollect.reports.engines import by_day, spark
from bikecollect.reports.engines.archive_place import ArchivePlace
from bikecollect.reports.engines.merged_rows import merged
from bikecollect.reports.engines.stations_asked import (
    ALWAYS_READ,
    COVERAGE,
    in_duckdb,
)
from bikecollect.reports.registry import Report, Rows, Values
from bikecollect.reports.runner import BatchedAnswer

if TYPE_CHECKING:
    from bikecollect.core.errors import UsageError

DAILY = frozenset({"system_id", "date", "slots_seen"})
"""Columns of a report with a row for each day, whether or not it was collected."""
Results = Generator[tuple[list[str], Rows], None, None]
"""Columns and some rows at a time; the first has no rows if there are none."""


@dataclass(frozen=True)
class Question:
    """A *report*, its *values*, and what its figures are grouped *by*."""

    report: Report
    values: Values
    by: str
    stations: Sequence[str]

    @property
    def span(self) -> tuple[str, str]:
        """The first day, and the day after the last one."""
        return self.values.since.isoformat(), self.values.until.isoformat()


def tables_of(question: Question) -> frozenset[str]:
    """Return the tables of the archive that the report reads on other engines."""
    return _in_sql(question) | ALWAYS_READ | {COVERAGE}


def _in_sql(question: Question) -> frozenset[str]:
    return views.tables_in(question.values.sql(question.report))


def results_of(
    data: Path,
    systems: Sequence[ViewedSystem],
    question: Question,
    skipped: SkippedDays,
    *,
    names: bool,
) -> Results:
    """Yield columns and some rows at a time, in the order of the report.

    Systems are read one by one unless stations are asked for, so that memory does not
    grow with their number. At least one result, unless all are without data: then
    UsageError is raised.
    """
    groups = [systems]
    if not question.stations:
        groups = [[system] for system in sorted(systems, key=lambda s: s.system_id)]
    results = _results_by_group(data, groups, question, skipped, names=names)
    if len(groups) > 1 and question.report.order_of_systems:
        yield from merged(question.report, results, runner.BATCH)
    else:
        yield from results


def without_skipped(results: Results, skipped: SkippedDays) -> Results:
    """Yield *results* without rows of *skipped* days in which nothing was seen.

    They would look like those of a day that was not collected.
    """
    with closing(results):
        for columns, rows in results:
            kept = rows
            if skipped.days and {*columns} >= DAILY:
                places = [columns.index(name) for name in ("system_id", "date")]
                seen = columns.index("slots_seen")
                kept = [
                    row
                    for row in rows
                    if row[seen] or tuple(row[n] for n in places) not in skipped.days
                ]
            yield columns, kept


def _results_by_group(
    data: Path,
    groups: Sequence[Sequence[ViewedSystem]],
    question: Question,
    skipped: SkippedDays,
    *,
    names: bool,
) -> Results:
    """Yield columns and some rows at a time, of one of *groups* after the other."""
    report, values = question.report, question.values
    columns: list[str] = []
    errors: list[UsageError] = []
    count = 0
    for group in groups:
        with _connected(data, group, question, skipped) as (engine, best):
            columns, batches = _stream(engine, best, names=names)
            before = count
            for rows in batches:
                count += len(rows)
                yield columns, rows
            if count == before:
                errors += runner.missing_data(engine, report, values)
    if not count:
        if len(errors) == len(groups):
            raise _no_rows(min(errors, key=runner.emptiness), skipped)
        yield columns, []


def _no_rows(error: "UsageError", skipped: SkippedDays) -> BikecollectError:
    """Return *error*, with the code of what was *skipped*: that may have rows."""
    return error_of(skipped.code, str(error)) if skipped.code else error


@contextmanager
def _connected(
    data: Path,
    group: Sequence[ViewedSystem],
    question: Question,
    skipped: SkippedDays,
) -> Iterator[tuple[runner.Duck, Question]]:
    """Yield DuckDB with the views for *question*, and the question to ask it.

    The report's variant from summaries is asked instead if there is one, and the
    history has what it reads.
    """
    if (faster := by_day.variant(question.report, question.values)) is not None:
        tables = by_day.tables(faster, question.values)
        with views.connected(
            data, group, fails_on=(), tables=tables, on_skip=skipped
        ) as db:
            if by_day.is_possible(db):
                skipped.warn()
                yield runner.Duck(db, tables), replace(question, report=faster)
                return
        skipped.losses.clear()
    report = question.report
    reads_rows = report.is_of_rows or report.asks_stations or bool(question.stations)
    tables = in_duckdb(_in_sql(question), asked=reads_rows)
    with views.connected(
        data, group, fails_on=(), tables=tables, on_skip=skipped
    ) as db:
        skipped.warn()
        yield runner.Duck(db, tables), question


def results_of_spark(
    place: ArchivePlace,
    master: str,
    question: Question,
    skipped: SkippedDays,
    *,
    names: bool,
) -> Results:
    """Yield columns and some rows at a time, at least once.

    Raises UsageError if there is no data in the range, see `_no_rows`.
    """
    tables = tables_of(question)
    with spark.connected(place, tables, master, on_skip=skipped) as engine:
        skipped.warn()
        columns, batches = _stream(engine, question, names=names)
        first = next(batches, [])
        if not first:
            for error in runner.missing_data(engine, question.report, question.values):
                raise _no_rows(error, skipped)
        yield columns, first
        yield from ((columns, rows) for rows in batches)


def _stream(engine: runner.Engine, question: Question, *, names: bool) -> BatchedAnswer:
    return runner.stream(
        engine,
        question.report,
        question.values,
        by=question.by,
        stations=question.stations,
        names=names,
    )
