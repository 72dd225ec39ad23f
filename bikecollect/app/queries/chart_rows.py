"""Answers in the form in which figures draw them: more columns, made row by row."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from bikecollect.core.text import WEEKDAYS
from bikecollect.reports.runner import Answer

Row = Mapping[str, Any]
BAND = ("low", "mid", "high")
BASIS = ("days_seen", "days_expected")


def with_columns(answer: Answer, **made: Callable[[Row], Any]) -> Answer:
    """Return *answer* with more columns, each made of a row's values by their names.

    >>> with_columns(Answer(["a"], [(2,)]), b=lambda row: row["a"] + 1)
    Answer(columns=['a', 'b'], rows=[(2, 3)])
    """
    rows = []
    for values in answer.rows:
        row = dict(zip(answer.columns, values, strict=True))
        rows.append((*values, *(make(row) for make in made.values())))
    return Answer([*answer.columns, *made], rows)


def where(answer: Answer, **wanted: object) -> Answer:
    """Return the rows of *answer* that have the *wanted* values.

    >>> where(Answer(["a"], [(1,), (2,)]), a=2).rows
    [(2,)]
    """
    at = {answer.columns.index(name): value for name, value in wanted.items()}
    rows = [row for row in answer.rows if all(row[n] == v for n, v in at.items())]
    return replace(answer, rows=rows)


def by_hour(answer: Answer) -> Answer:
    """Return *answer* with its hour of the week as a weekday's name and an hour."""
    return with_columns(
        answer,
        weekday=lambda row: WEEKDAYS[row["hour_of_week"] // 24],
        hour=lambda row: row["hour_of_week"] % 24,
    )


def slots(answer: Answer, seconds: int, seen: str) -> Answer:
    """Return *answer*, a row a slot of so many *seconds*, with what is shaded of it.

    ``until`` is where the slot ends; ``missing``: the column *seen* has no value there;
    ``said``: why it is missing, or how the slot came; ``closed``: the station says so.
    """
    return with_columns(
        answer,
        until=lambda row: row["slot"] + seconds,
        missing=lambda row: row[seen] is None,
        said=lambda row: row["cause"] or row["state"],
        closed=lambda row: False in {row.get("is_renting"), row.get("is_installed")},
    )


def hours(answer: Answer) -> Answer:
    """Return *answer*, a row an hour of a local day, with what is shaded of it.

    ``closed``: the station was closed for half of that day or more.
    """
    return with_columns(
        answer,
        time=lambda row: f"{row['date']} {row['hour']:02}:00",
        until=lambda row: f"{row['date']} {row['hour']:02}:59:59",
        missing=lambda row: row["slots_seen"] == 0,
        closed=lambda row: 0 < row["day_slots"] <= 2 * row["day_closed"],
    )


def days(answer: Answer) -> Answer:
    """Return *answer*, a row a local day, with what is shaded, as `hours` does."""
    return with_columns(
        answer,
        time=lambda row: row["date"],
        until=lambda row: f"{row['date']} 23:59:59",
        missing=lambda row: row["slots_seen"] == 0,
        closed=lambda row: 0 < row["day_slots"] <= 2 * row["day_closed"],
    )


def reach(answer: Answer, column: str, least: float) -> tuple[float, float]:
    """Return the ends of a scale around nought that has all of *column*.

    It reaches *least* at the least, so that noise does not look like a finding.

    >>> reach(Answer(["a"], [(-0.2,), (None,), (0.1,)]), "a", 0.05)
    (-0.2, 0.2)
    """
    at = answer.columns.index(column)
    far = max([least, *(abs(row[at]) for row in answer.rows if row[at] is not None)])
    return -far, far


def overlaid(typical: Answer, history: Answer, day: date, column: str) -> Answer:
    """Return the *typical* day of *day*'s weekday and that day's *history* in one.

    A row for each minute of the day at which one of both has something; ``low``,
    ``mid``, ``high`` of *column* (vehicles or docks), their basis in days;
    ``that_day``: what the day had; ``asked``: the day has such a slot.
    """
    usual = {
        row["minute"]: tuple(row[f"{each}_{column}"] for each in BAND)
        + tuple(row[each] for each in BASIS)
        for row in _rows(where(typical, weekday=day.weekday()))
    }
    then = {
        row["minute_of_day"]: row[f"num_{column}_available"] for row in _rows(history)
    }
    rows = [
        (
            f"{day} {minute // 60:02}:{minute % 60:02}",
            *usual.get(minute, (None,) * len((*BAND, *BASIS))),
            then.get(minute),
            minute in then,
        )
        for minute in sorted(usual.keys() | then.keys())
    ]
    return Answer(["time", *BAND, *BASIS, "that_day", "asked"], rows)


def _rows(answer: Answer) -> list[Row]:
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
