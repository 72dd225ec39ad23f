"""Coverage of the past: the state of every expected slot, and why some are missing."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from bikecollect.core.blocks import Block
from bikecollect.core.causes import KnownCause, SeenRun, SeenRuns
from bikecollect.core.slots import Slot, SlotState, local_days, state_of
from bikecollect.core.text import count_of, percent
from bikecollect.core.timeline.grid import Grid

HOURS = 168
BOUNDS = (0.5, 0.9, 0.99, 1.0)
LEGEND = (
    "none",
    "below 50 %",
    "50 to 90 %",
    "90 to 99 %",
    "99 to 100 %",
    "complete",
)
"""Labels of the levels of coverage; each begins where the one before it ends."""
COLOURS = ("#3b0f47", "#43377f", "#2c718e", "#29af7f", "#9ed93a", "#fde725")
"""The colours of the levels in all charts: viridis, for colour-blind readers too."""


@dataclass(frozen=True)
class Evidence:
    """The evidence about a range of slots.

    *first* is the first expected slot. *runs* are sorted by their start and include one
    run before and one after the range; the last one may be the present moment (without
    outcome, only a boot id and uptimes). *failing* and *silencing* are as of
    `SeenRuns`. *spare* maps slots to the folder that has a payload for them: inbox,
    rejected or kept; *unreadable* are slots whose payloads this version cannot read,
    *untried* those whose payloads were not tried.
    """

    first: Slot | None = None
    runs: Sequence[SeenRun] = ()
    blocks: Mapping[Slot, Block] = field(default_factory=dict)
    spare: Mapping[Slot, str] = field(default_factory=dict)
    unreadable: frozenset[Slot] = frozenset()
    untried: frozenset[Slot] = frozenset()
    failing: Sequence[KnownCause] = ()
    silencing: Sequence[KnownCause] = ()

    @property
    def seen_runs(self) -> SeenRuns:
        """The runs and incidents, which decide the causes."""
        return SeenRuns(
            self.runs,
            first=self.first,
            failing=self.failing,
            silencing=self.silencing,
        )


class Judged(NamedTuple):
    """An expected slot and its state; *spare* names a source that can still fill it.

    It is *unreadable* if none of its payloads can be read, *untried* if none was tried.
    """

    slot: Slot
    state: SlotState
    cause: str = ""
    spare: str = ""
    unreadable: bool = False
    untried: bool = False


STATE_AND_CAUSE = itemgetter(1, 2)
"""The state and the cause of a `Judged`: a year has 100,000 slots."""


@dataclass(frozen=True)
class Gap:
    """Consecutive missing slots from *start* to before *end* (epoch seconds).

    All have the same *cause*. Of them, *backfillable* can still be filled from
    *origin*, *unreadable* have only payloads that cannot be read, and *untried* have
    payloads that were not tried.
    """

    start: Slot
    end: Slot
    slots: int
    cause: str
    backfillable: int = 0
    origin: str = ""
    unreadable: int = 0
    untried: int = 0

    @property
    def fillable(self) -> str:
        """How many slots can be filled, and from where, as shown to people.

        >>> Gap(Slot(0), Slot(300), 1, "rejected: drift", untried=1).fillable
        'kept, not tried'
        """
        if self.backfillable:
            return f"{self.backfillable} from {self.origin}"
        if self.unreadable:
            return "kept, unreadable"
        return "kept, not tried" if self.untried else ""


@dataclass(frozen=True)
class Coverage:
    """Counts of slots; *collected* includes the *stale* and *partial* ones."""

    expected: int = 0
    collected: int = 0
    stale: int = 0
    partial: int = 0

    @property
    def missing(self) -> int:
        """Number of slots without a block."""
        return self.expected - self.collected

    @property
    def ratio(self) -> float | None:
        """Share of expected slots that were collected; None if none was expected."""
        return self.collected / self.expected if self.expected else None

    @property
    def sentence(self) -> str:
        """What was collected, as the beginning of a sentence.

        >>> Coverage(expected=2_000, collected=1_000).sentence
        '1,000 of 2,000 expected slots were collected (50.0 %)'
        """
        counts = f"{self.collected:,} of {count_of(self.expected, 'expected slot')}"
        verb = "was" if self.expected == 1 else "were"
        return f"{counts} {verb} collected ({percent(self.ratio)})"


@dataclass(frozen=True)
class Account:
    """Coverage and gaps of a system from *since* to before *until* (epoch seconds).

    *intervals* are the lengths of slots in seconds, in turn; *days* are local days;
    *hours* are the 168 of the local week, from Monday 00:00. *vehicles* counts those.
    """

    system_id: str
    zone: tzinfo
    since: Slot
    until: Slot
    intervals: Sequence[int]
    total: Coverage
    days: Mapping[str, Coverage]
    hours: Sequence[Coverage]
    gaps: Sequence[Gap]
    judged: Sequence[Judged]
    vehicles: Coverage = Coverage()

    @property
    def causes(self) -> Mapping[str, int]:
        """Number of missing slots by cause, most frequent first."""
        slots: Counter[str] = Counter()
        for gap in self.gaps:
            slots[gap.cause] += gap.slots
        return dict(slots.most_common())


def account(
    system_id: str,
    evidence: Evidence,
    zone: tzinfo,
    grid: Grid,
    *,
    since: Slot,
    until: Slot,
) -> Account:
    """Return the account of a system, computed from *evidence*."""
    judged = list(judge(evidence, grid, since, until))
    slots = [item.slot for item in judged]
    days: dict[str, Coverage] = {}
    for day, begin, end in local_days(since, until, zone):
        low, high = bisect_left(slots, begin), bisect_left(slots, end)
        if low < high:
            days[day] = coverage_of(judged[low:high])
    return Account(
        system_id=system_id,
        zone=zone,
        since=since,
        until=until,
        intervals=grid.intervals(since, until),
        total=_sum(days.values()),
        days=days,
        hours=_hours(judged, zone),
        gaps=gaps(judged, grid),
        judged=judged,
    )


def end_of_slots(now: float, grid: Grid, filled: Collection[Slot]) -> Slot:
    """Return the end of the slots that count at *now*, wherever coverage is shown.

    These are the slots that have ended, and the current one once it is *filled* (or
    lost). Blocks that lie off the grid count too, with all slots before them.
    """
    for slot in (grid.at(now), grid.floor(now)):
        if slot in filled:
            return grid.next(slot)
    end = grid.floor(now)
    return max([end, *(Slot(slot + 1) for slot in filled if end <= slot <= now)])


def last_of(ends: tuple[Slot, Slot] | None, *, is_over: bool) -> frozenset[Slot]:
    """Return the last slot if no more data are expected (*is_over*).

    It is the second of *ends*, the first and last known slot. It counts, collected or
    not; coverage ends with it wherever it is shown.
    """
    return frozenset(ends[1:]) if ends and is_over else frozenset()


def with_others(
    slots: Iterable[Slot], filled: Collection[Slot], since: Slot, until: Slot
) -> list[Slot]:
    """Return *slots* of a grid and the *filled* ones from *since* to before *until*.

    If the facts of a system were lost, a past zone or interval is not known any more,
    and blocks may lie between the slots of the grid: no report may leave them out.

    >>> with_others([Slot(0), Slot(600)], {Slot(600), Slot(900)}, Slot(0), Slot(1200))
    [0, 600, 900]
    """
    expected = list(slots)
    others = set(filled).difference(expected)
    others = {slot for slot in others if since <= slot < until}
    return sorted([*expected, *others]) if others else expected


def judge(evidence: Evidence, grid: Grid, since: Slot, until: Slot) -> Iterator[Judged]:
    """Yield the state of each slot from *since* to before *until*.

    These are the slots of the grid, and those of all blocks.
    """
    runs, block_of = evidence.seen_runs, evidence.blocks.get
    for slot in with_others(grid.between(since, until), evidence.blocks, since, until):
        block = block_of(slot)
        if block is not None:
            state = state_of(block.flags) if block.flags else SlotState.COLLECTED
            yield Judged(slot, state)
            continue
        cause = runs.cause(slot, grid.interval_at(slot))
        spare, unreadable = evidence.spare.get(slot, ""), slot in evidence.unreadable
        untried = slot in evidence.untried
        yield Judged(slot, SlotState.MISSING, cause, spare, unreadable, untried)


def gaps(judged: Iterable[Judged], grid: Grid) -> list[Gap]:
    """Return the gaps: maximal sequences of missing slots with the same cause.

    >>> lost = Judged(Slot(0), SlotState.MISSING, "disk")
    >>> (gap,) = gaps([lost, Judged(Slot(300), SlotState.COLLECTED)], Grid.of(300))
    >>> gap.start, gap.end, gap.slots, gap.cause
    (0, 300, 1, 'disk')
    """
    gaps_found: list[Gap] = []
    for (state, cause), group in groupby(judged, key=STATE_AND_CAUSE):
        members = list(group)
        if gaps_found and gaps_found[-1].end > members[0].slot:  # a block off the grid
            gaps_found[-1] = replace(gaps_found[-1], end=members[0].slot)
        if state != SlotState.MISSING:
            continue
        sources = [item.spare for item in members if item.spare]
        gaps_found.append(
            Gap(
                start=members[0].slot,
                end=grid.next(members[-1].slot),
                slots=len(members),
                cause=cause,
                backfillable=len(sources),
                origin=", ".join(dict.fromkeys(sources)),
                unreadable=sum(item.unreadable for item in members),
                untried=sum(item.untried for item in members),
            )
        )
    return gaps_found


def coverage_of(judged: Iterable[Judged]) -> Coverage:
    """Count the slots of *judged* by state."""
    states = [item.state for item in judged]
    return Coverage(
        expected=len(states),
        collected=len(states) - states.count(SlotState.MISSING),
        stale=states.count(SlotState.STALE),
        partial=states.count(SlotState.PARTIAL),
    )


def _sum(parts: Iterable[Coverage]) -> Coverage:
    """Return the coverage of *parts* together."""
    counts = [(p.expected, p.collected, p.stale, p.partial) for p in parts]
    return Coverage(*map(sum, zip(*counts, strict=True)))


def _hours(judged: Sequence[Judged], zone: tzinfo) -> list[Coverage]:
    expected, collected = [0] * HOURS, [0] * HOURS
    # The UTC offset is looked up once per hour of UTC: it does not change within one.
    for hour, members in groupby(judged, key=lambda item: item.slot // 3600):
        slots = list(members)
        local = datetime.fromtimestamp(hour * 3600, zone)
        place = local.weekday() * 24 + local.hour
        if local.minute:  # a zone such as +05:30: the hour of UTC spans two local ones
            for item in slots:
                local = datetime.fromtimestamp(item.slot, zone)
                place = local.weekday() * 24 + local.hour
                expected[place] += 1
                collected[place] += item.state != SlotState.MISSING
            continue
        expected[place] += len(slots)
        missing = [item.state for item in slots].count(SlotState.MISSING)
        collected[place] += len(slots) - missing
    return [Coverage(e, c) for e, c in zip(expected, collected, strict=True)]


def level(coverage: Coverage) -> str:
    """Return the label in `LEGEND` for *coverage*.

    >>> level(Coverage(288, 0)), level(Coverage(288, 280)), level(Coverage(288, 288))
    ('none', '90 to 99 %', 'complete')
    """
    return LEGEND[level_number(coverage)]


def level_number(coverage: Coverage) -> int:
    """Return the index in `LEGEND` for *coverage*."""
    if not coverage.collected:
        return 0
    return 1 + sum((coverage.ratio or 0) >= bound for bound in BOUNDS)
