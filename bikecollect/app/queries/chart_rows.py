"""The rows of figures: answers of reports with additional columns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise
from typing import Any

from bikecollect.core.snapshot import FLAGS, is_closed
from bikecollect.core.text import WEEKDAYS
from bikecollect.reports.runner import Answer

Row = Mapping[str, Any]
BAND = ("low", "mid", "high")
BASIS = ("days_seen", "days_expected")


def with_columns(answer: Answer, **columns: Callable[[Row], Any]) -> Answer:
    """Return *answer* with more *columns*, each computed from the values of a row.

    >>> with_columns(Answer(["a"], [(2,)]), b=lambda row: row["a"] + 1)
    Answer(columns=['a', 'b'], rows=[(2, 3)])
    """
    rows = []
    for values, row in zip(answer.rows, answer.records(), strict=True):
        rows.append((*values, *(compute(row) for compute in columns.values())))
    return Answer([*answer.columns, *columns], rows)


def where(answer: Answer, **values: object) -> Answer:
    """Return the rows of *answer* that have these *values* in their columns.

    >>> where(Answer(["a"], [(1,), (2,)]), a=2).rows
    [(2,)]
    """
    cells = {answer.columns.index(name): value for name, value in values.items()}
    rows = [row for row in answer.rows if all(row[n] == v for n, v in cells.items())]
    return replace(answer, rows=rows)


def by_hour(answer: Answer) -> Answer:
    """Return *answer* with the hour of the week split into weekday and hour."""
    return with_columns(
        answer,
        weekday=lambda row: WEEKDAYS[row["hour_of_week"] // 24],
        hour=lambda row: row["hour_of_week"] % 24,
    )


def slots(answer: Answer, seconds: int, seen: str) -> Answer:
    """Return *answer*, a row per slot, in order, with columns for shading.

    ``until`` is the end of the slot, see `_lengths`; ``missing`` is true if the column
    *seen* has no value; ``said`` is the cause or the state of the slot; ``closed`` is
    as reported by the station.
    """
    begins = [row[answer.columns.index("slot")] for row in answer.rows]
    sizes = _lengths(begins, seconds)
    ends = {begin: begin + size for begin, size in zip(begins, sizes, strict=True)}
    return with_columns(
        answer,
        until=lambda row: ends[row["slot"]],
        missing=lambda row: row[seen] is None,
        said=lambda row: row["cause"] or row["state"],
        closed=lambda row: is_closed([row.get(flag) for flag in FLAGS]),
    )


def _lengths(begins: Sequence[int], seconds: int) -> list[int]:
    """Return the length of each slot: the distance to the next one.

    A distance that is longer than the one before, and not equal to the next, is a span
    between imported slots in which none is listed: that slot has the length of the one
    before. A single slot has *seconds*.

    >>> _lengths([0, 300, 900, 1_500, 90_000], 300)
    [300, 600, 600, 600, 88500]
    """
    if len(begins) <= 1:
        return [seconds] * len(begins)
    steps = [after - before for before, after in pairwise(begins)]
    befores, afters = [steps[0], *steps], [*steps, steps[-1]]
    return [
        after if after <= before or after == later else before
        for before, after, later in zip(
            befores, afters, [*steps[1:], 0, 0], strict=True
        )
    ]


def hours(answer: Answer) -> Answer:
    """Return *answer*, a row per hour of a local day, with columns for shading.

    ``closed`` is true if the station was closed for half of that day or more.
    """
    return with_columns(
        answer,
        time=lambda row: f"{row['date']} {row['hour']:02}:00",
        until=lambda row: f"{row['date']} {row['hour']:02}:59:59",
        missing=lambda row: row["slots_seen"] == 0,
        closed=lambda row: 0 < row["day_slots"] <= 2 * row["day_closed"],
    )


def days(answer: Answer) -> Answer:
    """Return *answer*, a row per local day, with columns for shading as in `hours`."""
    return with_columns(
        answer,
        time=lambda row: row["date"],
        until=lambda row: f"{row['date']} 23:59:59",
        missing=lambda row: row["slots_seen"] == 0,
        closed=lambda row: 0 < row["day_slots"] <= 2 * row["day_closed"],
    )


def overlaid(typical: Answer, history: Answer, day: date, column: str) -> Answer:
    """Return the *typical* day of *day*'s weekday, merged with that day's *history*.

    There is a row for each minute that either has: ``low``, ``mid``, ``high`` of
    *column* (vehicles or docks), their basis in days, the count ``that_day``, and
    ``asked``, which is true if that day has the slot.
    """
    band = {
        row["minute"]: tuple(row[f"{quartile}_{column}"] for quartile in BAND)
        + tuple(row[name] for name in BASIS)
        for row in where(typical, weekday=day.weekday()).records()
    }
    counts = {
        row["minute_of_day"]: row[f"num_{column}_available"]
        for row in history.records()
    }
    rows = [
        (
            f"{day} {minute // 60:02}:{minute % 60:02}",
            *band.get(minute, (None,) * len((*BAND, *BASIS))),
            counts.get(minute),
            minute in counts,
        )
        for minute in sorted(band.keys() | counts.keys())
    ]
    return Answer(["time", *BAND, *BASIS, "that_day", "asked"], rows)
