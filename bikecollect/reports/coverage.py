"""The account of the past: every expected slot, what became of it, and why."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import groupby
from typing import NamedTuple

from bikecollect.core.blocks import Block
from bikecollect.core.causes import Cause, SeenRun, SeenRuns, cause_of
from bikecollect.core.incidents import Incident
from bikecollect.core.slots import Slot, SlotState, grid, local_days, state_of

HOURS = 168
BOUNDS = (0.5, 0.9, 0.99, 1.0)
LEGEND = ("none", "to 50 %", "to 90 %", "to 99 %", "below 100 %", "whole")
"""The words for coverage: of nothing, and up to each of `BOUNDS`."""


@dataclass(frozen=True)
class Evidence:
    """What is known of a range of slots.

    *first* is the first slot that was ever tried; *runs* are in the order in which
    they began, with a neighbour before and behind the range (the last one may be this
    moment's: no run, but a boot id and its times); *spare* says of slots where a
    payload of theirs lies that has no block: inbox, rejected or kept. *incidents* are
    incidents in which a run may not even have been able to say that it was there.
    """

    first: Slot | None = None
    runs: Sequence[SeenRun] = ()
    blocks: Mapping[Slot, Block] = field(default_factory=dict)
    spare: Mapping[Slot, str] = field(default_factory=dict)
    incidents: Sequence[Incident] = ()


class Judged(NamedTuple):
    """An expected slot; *spare* says from where it could still be filled."""

    slot: Slot
    state: SlotState
    cause: str = ""
    spare: str = ""


@dataclass(frozen=True)
class Gap:
    """Missing slots from *start* to before *end* (epoch seconds), for one *cause*.

    *backfillable* of them could still be filled, from *origin*.
    """

    start: Slot
    end: Slot
    slots: int
    cause: str
    backfillable: int = 0
    origin: str = ""


@dataclass(frozen=True)
class Coverage:
    """Slots: *stale* and *partial* ones are among the *collected*."""

    expected: int = 0
    collected: int = 0
    stale: int = 0
    partial: int = 0

    @property
    def missing(self) -> int:
        """Slots that have no block."""
        return self.expected - self.collected

    @property
    def ratio(self) -> float | None:
        """Collected of expected, None where nothing was expected."""
        return self.collected / self.expected if self.expected else None


@dataclass(frozen=True)
class Account:
    """The account of a system from *since* to before *until* (epoch seconds).

    *days* are local ones; *hours* are the 168 of the local week, Monday 00:00 first.
    """

    system_id: str
    zone: tzinfo
    since: Slot
    until: Slot
    interval: int
    total: Coverage
    days: Mapping[str, Coverage]
    hours: Sequence[Coverage]
    gaps: Sequence[Gap]
    judged: Sequence[Judged]

    @property
    def causes(self) -> Mapping[str, int]:
        """Missing slots by cause, the most first."""
        found: Counter[str] = Counter()
        for gap in self.gaps:
            found[gap.cause] += gap.slots
        return dict(found.most_common())


def account(
    system_id: str,
    evidence: Evidence,
    zone: tzinfo,
    interval: int,
    *,
    since: Slot,
    until: Slot,
) -> Account:
    """Return the account that follows from *evidence*."""
    judged = list(judge(evidence, interval, since, until))
    slots = [each.slot for each in judged]
    days: dict[str, Coverage] = {}
    for day, begin, end in local_days(since, until, zone):
        low, high = bisect_left(slots, begin), bisect_left(slots, end)
        days[day] = coverage_of(judged[low:high])
    return Account(
        system_id=system_id,
        zone=zone,
        since=since,
        until=until,
        interval=interval,
        total=coverage_of(judged),
        days=days,
        hours=_hours(judged, zone),
        gaps=gaps(judged, interval),
        judged=judged,
    )


def judge(
    evidence: Evidence, interval: int, since: Slot, until: Slot
) -> Iterator[Judged]:
    """Yield what became of each slot of the grid from *since* to before *until*."""
    runs = SeenRuns(evidence.runs)
    for each in grid(since, until, interval):
        slot = Slot(each)
        block = evidence.blocks.get(slot)
        if block is not None:
            yield Judged(slot, state_of(block.flags))
            continue
        run = runs.last(slot)
        if run is not None:
            cause = cause_of(run)
            if cause == "ledger":  # on a full disk it is the ledger that complains
                cause = _silenced(slot, evidence.incidents) or cause
        elif evidence.first is None or slot < evidence.first:
            cause = Cause.NOT_COLLECTING
        else:
            cause = _silenced(slot, evidence.incidents)
            cause = cause or runs.unstarted(slot, interval)
        yield Judged(slot, SlotState.MISSING, cause, evidence.spare.get(slot, ""))


def _silenced(slot: Slot, incidents: Iterable[Incident]) -> str:
    """Return the trouble in which the run of *slot* could leave no word of itself."""
    return next((t.kind for t in incidents if t.opened <= slot <= t.last), "")


def gaps(judged: Iterable[Judged], interval: int) -> list[Gap]:
    """Return the maximal rows of missing slots, each with one cause.

    >>> lost = Judged(Slot(0), SlotState.MISSING, "disk")
    >>> gaps([lost, Judged(Slot(300), SlotState.COLLECTED)], 300)
    [Gap(start=0, end=300, slots=1, cause='disk', backfillable=0, origin='')]
    """
    found = []
    for (what, cause), members in groupby(judged, key=lambda j: (j.state, j.cause)):
        if what != SlotState.MISSING:
            continue
        lost = list(members)
        spare = [each.spare for each in lost if each.spare]
        found.append(
            Gap(
                start=lost[0].slot,
                end=Slot(lost[-1].slot + interval),
                slots=len(lost),
                cause=cause,
                backfillable=len(spare),
                origin=", ".join(dict.fromkeys(spare)),
            )
        )
    return found


def coverage_of(judged: Iterable[Judged]) -> Coverage:
    """Return how many slots became what."""
    states = Counter(each.state for each in judged)
    expected = sum(states.values())
    return Coverage(
        expected=expected,
        collected=expected - states[SlotState.MISSING],
        stale=states[SlotState.STALE],
        partial=states[SlotState.PARTIAL],
    )


def _hours(judged: Sequence[Judged], zone: tzinfo) -> list[Coverage]:
    expected, collected = [0] * HOURS, [0] * HOURS
    # The offset is asked for once an hour: it does not change within one.
    for hour, members in groupby(judged, key=lambda each: each.slot // 3600):
        found = list(members)
        local = datetime.fromtimestamp(hour * 3600, zone)
        place = local.weekday() * 24 + local.hour
        if local.minute:
            for each in found:
                local = datetime.fromtimestamp(each.slot, zone)
                place = local.weekday() * 24 + local.hour
                expected[place] += 1
                collected[place] += each.state != SlotState.MISSING
            continue
        expected[place] += len(found)
        collected[place] += sum(each.state != SlotState.MISSING for each in found)
    return [Coverage(e, c) for e, c in zip(expected, collected, strict=True)]


def level(coverage: Coverage) -> str:
    """Return the word of the legend for *coverage*.

    >>> level(Coverage(288, 0)), level(Coverage(288, 280)), level(Coverage(288, 288))
    ('none', 'to 99 %', 'whole')
    """
    return LEGEND[level_number(coverage)]


def level_number(coverage: Coverage) -> int:
    """Return the place in `LEGEND` of *coverage*."""
    if not coverage.collected:
        return 0
    return 1 + sum((coverage.ratio or 0) >= each for each in BOUNDS)
