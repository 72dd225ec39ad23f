"""SQL that writes values as the cells of a daily file, with the bytes of Python."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from math import isnan
from typing import TYPE_CHECKING

from bikecollect.archive import datasets
from bikecollect.archive.query.duckdb_engine import name, text
from bikecollect.core.slots import DAY, EARLIEST, LATEST
from bikecollect.core.timeline import utc_offsets

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FIRST, LAST = -62_135_596_800 + DAY, 253_402_300_800 - DAY
"""The times that Python's datetime can represent in every time zone."""
WIDE = 10 * 366 * DAY
"""Seconds of a span of times from which the days of times are looked up."""
ISO = "'%Y-%m-%dT%H:%M:%S'"


def line_of(columns: Sequence[str], written: str) -> str:
    """Return the expression that writes a row's *columns* as a line of a daily file."""
    types = datasets.types_of(columns)
    cells = ", ".join(cell(column, written, types) for column in columns)
    # `||` would copy the beginning of the line once per cell.
    return f"concat_ws(',', {cells})"


def cell(column: str, written: str, types: Mapping[str, str] = datasets.TYPES) -> str:
    """Return the expression that writes *column* as a cell of a daily file.

    *written* is the expression of `iso_text` for times.
    """
    if column in datasets.TIMES:
        return f"coalesce({written.format(name(column))}, '')"
    if datasets.type_of(column, types) != "VARCHAR":
        return f"coalesce(CAST({name(column)} AS VARCHAR), '')"
    return quoted(name(column))


def quoted(sql: str, special: str = '[,"\\n]') -> str:
    """Return the expression that writes the text *sql* as `csv.writer` does.

    A text that matches the pattern *special* is quoted.
    """
    inside = f"'\"' || replace({sql}, '\"', '\"\"') || '\"'"
    needs = f"regexp_matches({sql}, {text(special)})"
    return f"coalesce(CASE WHEN {needs} THEN {inside} ELSE {sql} END, '')"


def text_of_times(
    db: "DuckDBPyConnection",
    zone: tzinfo,
    times: Iterable[str],
    source: str,
    values: Sequence[object] = (),
) -> str:
    """Return the expression that writes the columns *times* of *source*.

    See `iso_text`. It contains only the offsets of *zone* at these times: with those of
    a century DuckDB takes a second to plan a query, and one station that reports the
    year 9999 would add eight thousand years of offsets.
    """
    times = list(times)
    ends = ", ".join(f"min({time}), max({time})" for time in times)
    row = db.execute(f"SELECT {ends or 'NULL'} FROM {source}", values).fetchone() or ()
    moments = [_limited(end) for end in row if end is not None and not isnan(end)]
    if not moments:
        return iso_text(zone, EARLIEST, EARLIEST)
    first, last = min(moments), max(moments)
    if last - first < WIDE:
        return iso_text(zone, first, last)
    days = ", ".join(f"TRY_CAST(floor({time} / {DAY}) AS BIGINT)" for time in times)
    sql = f"SELECT DISTINCT unnest([{days}]) AS day FROM {source} ORDER BY day"
    begins = [day * DAY for (day,) in db.execute(sql, values).fetchall() if day]
    days_ends = (_limited(begin + at) for begin in begins for at in (0, DAY - 1))
    return _written(utc_offsets.steps_between(zone, (first, *days_ends, last)))


def any_time(zone: tzinfo) -> str:
    """Return the expression that writes any time of a slot, see `iso_text`."""
    return iso_text(zone, EARLIEST, LATEST)


def iso_text(zone: tzinfo, first: int, last: int) -> str:
    """Return the expression, with {0} for epoch seconds, that writes ISO 8601.

    It is NULL for times without a date.
    """
    return _written(utc_offsets.steps(zone, first, last))


def _written(steps: Sequence[tuple[int, int]]) -> str:
    begins = (FIRST, *(since for since, _ in steps[1:]))
    ends = (*(since - 1 for since, _ in steps[1:]), LAST)
    # One branch per offset, not per change: a century has 150 changes, and the cells of
    # a row repeat them all.
    spans: dict[int, list[str]] = {}
    for begin, end, (_, offset) in zip(begins, ends, steps, strict=True):
        spans.setdefault(offset, []).append(f"{{0}} BETWEEN {begin} AND {end}")
    cases = []
    for offset, within in spans.items():
        sign, (hours, rest) = "-" if offset < 0 else "+", divmod(abs(offset), 3600)
        minutes, seconds = divmod(rest, 60)
        moment = f"strftime(make_timestamp(({{0}} + {offset}) * 1000000), {ISO})"
        odd = f":{seconds:02}" if seconds else ""  # before 1900, as Python writes it
        written = f"{moment} || '{sign}{hours:02}:{minutes:02}{odd}'"
        cases.append(f"WHEN {' OR '.join(within)} THEN {written}")
    return f"CASE {' '.join(cases)} END"


def _limited(moment: float) -> int:
    """Return *moment*, limited to the range of Python's datetime."""
    return int(min(max(moment, FIRST), LAST))
