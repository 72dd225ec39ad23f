"""Gaps: maximal rows of missing slots, each with its cause."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from bikecollect.errors import Outcome
from bikecollect.run import Run
from bikecollect.slot import Slot

FILLED = frozenset({Outcome.COLLECTED, Outcome.DUPLICATE})


@dataclass(frozen=True)
class Gap:
    """Missing slots from *start* to before *end* (epoch seconds), for one *cause*."""

    start: Slot
    end: Slot
    slots: int
    cause: str


def gaps(runs: Iterable[Run], interval: int) -> list[Gap]:
    """Return the gaps among *runs*, one run a slot, oldest first.

    >>> gaps([], 300)
    []
    """
    found = []
    for cause, members in groupby(runs, key=_cause):
        lost = list(members)
        if cause:
            end = Slot(lost[-1].slot + interval)
            found.append(Gap(lost[0].slot, end, len(lost), cause))
    return found


def _cause(run: Run) -> str:
    if run.outcome in FILLED or run.outcome is None:
        return ""
    return f"{run.outcome.value} ({run.cause})" if run.cause else run.outcome.value
