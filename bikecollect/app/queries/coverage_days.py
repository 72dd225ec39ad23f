"""The coverage of each day."""

from datetime import date, timedelta
from typing import NamedTuple

from bikecollect.core.text import WEEKDAYS, percent
from bikecollect.reports.coverage import Coverage, level
from bikecollect.reports.runner import Answer


class Day(NamedTuple):
    """A local *day* (ISO 8601) and its slots.

    *why* is the most frequent cause of missing ones, *share* the coverage as
    texts have it, *level* the word for it in reports, *week* the day's Monday.
    """

    day: str
    expected: int
    collected: int
    missing: int
    why: str
    level: str
    share: str
    weekday: str
    week: str


def mondays(newest: date, first: date) -> list[str]:
    """Return the Mondays of the weeks from *first* to *newest*, 26 to 53 of them.

    >>> mondays(date(2026, 11, 25), date(2026, 11, 20))[-2:]
    ['2026-11-16', '2026-11-23']
    """
    last = newest - timedelta(days=newest.weekday())
    weeks = min(52, max(25, ((newest - first).days + 6) // 7))
    return [
        (last - timedelta(weeks=count)).isoformat() for count in range(weeks, -1, -1)
    ]


def days_of(answer: Answer) -> list[Day]:
    """Return the days of an answer of the report ``coverage``, oldest first."""
    at = {name: number for number, name in enumerate(answer.columns)}
    states: dict[str, list[tuple[int, str, str]]] = {}
    for row in answer.rows:
        state = row[at["slots"]], row[at["state"]], row[at["cause"]]
        states.setdefault(row[at["date"]], []).append(state)
    return [_day(day, states[day]) for day in sorted(states)]


def _day(day: str, states: list[tuple[int, str, str]]) -> Day:
    missing = [(slots, cause) for slots, state, cause in states if state == "missing"]
    expected = sum(slots for slots, _, _ in states)
    lost = sum(slots for slots, _ in missing)
    why = max(missing)[1] if missing else ""
    coverage, at = Coverage(expected, expected - lost), date.fromisoformat(day)
    return Day(
        day=day,
        expected=expected,
        collected=coverage.collected,
        missing=lost,
        why=why,
        level=level(coverage),
        share=percent(coverage.ratio),
        weekday=WEEKDAYS[at.weekday()],
        week=(at - timedelta(days=at.weekday())).isoformat(),
    )
