"""Days and how well they were collected."""

from typing import NamedTuple

from bikecollect.account import Count
from bikecollect.asking import Answer
from bikecollect.screens.report_html import level


class Day(NamedTuple):
    """A local *day* (ISO 8601): its slots, and the cause that cost the most.

    *level* is its coverage in the words of the report.
    """

    day: str
    expected: int
    collected: int
    missing: int
    why: str
    level: str


def days_of(answer: Answer) -> list[Day]:
    """Return the days of an answer of the report ``coverage``, oldest first."""
    at = {name: number for number, name in enumerate(answer.columns)}
    states: dict[str, list[tuple[int, str, str]]] = {}
    for row in answer.rows:
        each = row[at["slots"]], row[at["state"]], row[at["cause"]]
        states.setdefault(row[at["date"]], []).append(each)
    return [_day(day, states[day]) for day in sorted(states)]


def _day(day: str, states: list[tuple[int, str, str]]) -> Day:
    missing = [(slots, cause) for slots, state, cause in states if state == "missing"]
    expected = sum(slots for slots, _, _ in states)
    lost = sum(slots for slots, _ in missing)
    why = max(missing)[1] if missing else ""
    found = Count(expected, expected - lost)
    return Day(day, expected, found.collected, lost, why, level(found))
