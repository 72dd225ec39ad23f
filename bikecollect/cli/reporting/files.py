"""Print the result of a report, or write it to a file, such as a workbook."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from itertools import chain, islice
from pathlib import Path
from typing import Any

from bikecollect.cli.exporting import workbook
from bikecollect.cli.log_setup import progress
from bikecollect.cli.output_file import placed, say_written, text_file
from bikecollect.cli.printing import emit, say_figures
from bikecollect.cli.render.reports import WORDS, answer, machine_rows
from bikecollect.cli.reporting.results import Results
from bikecollect.reports.engines import parquet_file
from bikecollect.reports.registry import Report
from bikecollect.reports.runner import BatchedAnswer

SHARES = ("low", "high", "current_fuel_percent")
MEANS = ("mean_", "low_", "mid_", "high_")
TENTHS = ("longest_hours", "metres")
NUMBERED = ("weekday", "hour_of_week")
"""Columns with numbers for what people name."""


@dataclass(frozen=True)
class Output:
    """Where the result goes, None for standard output, as what, and how many rows."""

    path: Path | None
    form: str
    limit: int | None


def give(
    report: Report,
    results: Results,
    zones: Mapping[str, tzinfo],
    output: Output,
) -> None:
    """Write *results* to *output*, completely or not at all; or print them."""
    with ExitStack() as stack:
        fd = None
        if output.path is not None:
            fd = stack.enter_context(placed(output.path))
        stack.enter_context(closing(results))
        with progress(f"reading the history for `{report.name}` ..."):
            columns, first = next(results)
        batches = chain([first], (rows for _, rows in results))
        result = BatchedAnswer(columns, batches)
        if fd is None:
            _print(report, result, zones, output)
        else:
            write(fd, report, result, zones, output)
    if output.path is not None:
        say_written(output.path)


def _print(
    report: Report,
    result: BatchedAnswer,
    zones: Mapping[str, tzinfo],
    output: Output,
) -> None:
    print_text = emit if output.form == "csv" else say_figures
    for text in answer(report, result, zones, output.form, output.limit):
        if not print_text(text):
            break


def write(
    fd: int,
    report: Report,
    result: BatchedAnswer,
    zones: Mapping[str, tzinfo],
    output: Output,
) -> None:
    """Write the *result* of *report* to the open file *fd* of *output*.

    Times are epoch seconds in Parquet, and local times in a workbook. That has the
    weekdays and hours as words, too.
    """
    form, limit = output.form, output.limit
    if form == "parquet":
        rows = _rows(result, zones, lambda moment, _: moment, limit)
        parquet_file.write(fd, result.columns, rows)
    elif form == "xlsx":
        columns = result.columns
        rows = _rows(result, zones, datetime.fromtimestamp, limit)
        cells = (list(_cells(columns, row)) for row in rows)
        header, formats = _header(columns), _formats(columns)
        workbook.write(fd, report.name, header, cells, zones=zones, formats=formats)
    else:
        with text_file(fd) as out:
            out.writelines(answer(report, result, zones, form, limit))


def _rows(
    result: BatchedAnswer,
    zones: Mapping[str, tzinfo],
    time_of: Callable[[float, tzinfo], object],
    limit: int | None,
) -> Iterator[list[Any]]:
    batches = (
        machine_rows(result.columns, rows, zones, time_of) for rows in result.batches
    )
    return islice(chain.from_iterable(batches), limit)


def _header(columns: Sequence[str]) -> list[str]:
    """Return *columns* with one of words after each of `NUMBERED`.

    >>> _header(["hour_of_week", "slots"])
    ['hour_of_week', 'hour_of_week_name', 'slots']
    """
    return [
        label
        for column in columns
        for label in [column, f"{column}_name"][: 1 + (column in NUMBERED)]
    ]


def _formats(columns: Sequence[str]) -> dict[str, str]:
    """Return the formats of those of *columns* that have fractions.

    >>> formats = _formats(["lat", "share_seen", "mean_docks", "low", "low_docks"])
    >>> [name for name, form in formats.items() if form == workbook.PERCENT]
    ['share_seen', 'low']
    >>> [name for name, form in formats.items() if form == workbook.TENTHS]
    ['mean_docks', 'low_docks']
    """
    shares = [name for name in columns if name.startswith("share") or name in SHARES]
    tenths = [name for name in columns if name.startswith(MEANS) or name in TENTHS]
    return {
        **dict.fromkeys(shares, workbook.PERCENT),
        **dict.fromkeys(tenths, workbook.TENTHS),
    }


def _cells(columns: Sequence[str], row: Sequence[Any]) -> Iterator[Any]:
    """Yield the cells of *row* below `_header`.

    >>> list(_cells(["hour_of_week", "date"], [138, "2026-11-22"]))
    [138, 'Sat 18:00', datetime.date(2026, 11, 22)]
    """
    for column, value in zip(columns, row, strict=True):
        yield date.fromisoformat(value) if column == "date" and value else value
        if column in NUMBERED:
            yield None if value is None else WORDS[column](value)
