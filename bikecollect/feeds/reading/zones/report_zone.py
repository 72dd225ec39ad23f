"""Find out in which zone stations or vehicles report, if their stamps have none."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from bikecollect.feeds.reading.stamps import AHEAD, Stamps

SAMPLE = 500
"""Distinct stamps that are looked at."""
ERRORS = 0.05
"""Share of the newest stamps that may be errors of single clocks, at least one."""
LATE = 10_800.0
"""Seconds by which the newest report may be old: at night stations may be silent."""


def fitting(
    reported: Iterable[Any], utc: Stamps, local: Stamps, fetched_at: float
) -> Stamps | None:
    """Return *utc* or *local*, whichever makes the newest of *reported* recent.

    GBFS wants a zone in each stamp, and many feeds have one in their own stamp only.
    Stamps with a zone are no evidence. None if both readings are recent, or neither is.

    >>> from datetime import UTC, timedelta, timezone
    >>> utc, local = Stamps(UTC), Stamps(timezone(timedelta(hours=-5)))
    >>> fitting(["2027-01-15T02:59:00"], utc, local, 1.8e9) is local
    True
    >>> fitting(["2027-01-15T07:59:00"], utc, local, 1.8e9) is utc
    True
    >>> fitting(["2027-01-15T02:59:00Z"], utc, local, 1.8e9)
    >>> fitting(["2026-01-15T02:59:00"], utc, local, 1.8e9)
    """
    texts = dict.fromkeys(value for value in reported if type(value) is str)
    naive = _naive(islice(texts, SAMPLE), utc, local)
    if not naive:
        return None
    newest = _newest([u for u, _ in naive]), _newest([own for _, own in naive])
    recent = [-AHEAD <= fetched_at - moment <= LATE for moment in newest]
    if recent[0] == recent[1]:
        return None
    return utc if recent[0] else local


def _naive(texts: Iterable[str], utc: Stamps, local: Stamps) -> list[tuple[int, int]]:
    """Return both readings of those of *texts* for which they differ."""
    read = ((utc(text), local(text)) for text in texts)
    return [(u, own) for u, own in read if u and own and u != own]


def _newest(moments: Sequence[int]) -> int:
    """Return the newest of *moments* besides the `ERRORS`."""
    skipped = max(1, int(len(moments) * ERRORS))
    return sorted(moments, reverse=True)[min(skipped, len(moments) - 1)]
