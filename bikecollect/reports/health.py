"""Health of a system: the last runs, coverage, and whether data are late."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bikecollect.core.incidents import Incident
from bikecollect.core.run import Run
from bikecollect.core.slots import DAY, Slot, SlotState, VehicleSlots
from bikecollect.core.timeline.grid import Grid
from bikecollect.reports.coverage import Coverage, end_of_slots, with_others

if TYPE_CHECKING:
    from bikecollect.archive.mirror.waiting import MirrorStanding

GRACE = 60.0
"""Seconds that a run may take before its slot counts as late."""
WINDOWS: Mapping[str, int] = {"today": 0, "7d": 7, "30d": 30}
"""The days of each coverage; 0 is since the last midnight."""
GOOD = frozenset({"collected", "duplicate"})
FEW, OLD = 3, 900
"""Minimum stale slots in a row, and their seconds, that are named."""


@dataclass(frozen=True)
class Past:
    """The last 31 days of a system, from its ledger.

    *blocks* maps the slots of the last day that have a block to their states; *older*
    are earlier slots with a block. *first* is the first expected slot, *newest* the
    newest slot with a block. *is_known* is set if the folder has held data before;
    *configured* is when the settings were written. *mirror* is the state of the mirror,
    None if none is set. *is_over* is set if no more data are expected: it *is_demo*, or
    was stopped; *final* then has its last slot (`last_of`). *is_lost* is set if there
    are files of days, but no ledger: nothing is known then. *seen* is the latest slot
    whose run was evaluated for alerts, 0 if that is unknown. *gone* says in a few words
    that all earlier data are gone, empty if not. *ended* are the incidents that were
    over in the last 24 hours, some of them already when they were noticed. *vehicles*
    are the slots of single vehicles, if any are collected.
    """

    first: Slot | None
    blocks: Mapping[Slot, SlotState]
    outcomes: Sequence[str] = ()
    last_run: Run | None = None
    newest: Slot | None = None
    incidents: Sequence[Incident] = ()
    damage: Sequence[str] = ()
    older: AbstractSet[Slot] = frozenset()
    is_known: bool = False
    configured: float = math.inf
    mirror: "MirrorStanding | None" = None
    is_over: bool = False
    is_demo: bool = False
    final: frozenset[Slot] = frozenset()
    is_lost: bool = False
    seen: Slot = Slot(0)
    gone: str = ""
    ended: Sequence[Incident] = ()
    vehicles: VehicleSlots = VehicleSlots()


@dataclass(frozen=True)
class Health:
    """Health of a system at *now*, with slots of *grid*; durations are in seconds.

    *strip* has the state of each slot of the last 24 hours, oldest first; *runs* is the
    number of runs in that time, *good* of the successful ones. *behind* is the age of
    the newest block's slot, None without a block. *silent* is the time since the last
    run started, None if that is usual. *late* is set if either is too long or the first
    block is overdue; a system without any run is late if its settings are that old. If
    *is_over*, no more data are expected (it *is_demo*, or was stopped): it is never
    late, and *next_slot* is None; the last 24 hours and the days of *coverage* end with
    its last slot. If *is_lost*, the ledger is missing: runs and slots are unknown.
    *unrecorded* is the slot of a later run than *last_run* that the ledger lacks, as on
    a full disk, 0 if there is none. *gone* and *ended* are as in `Past`. *elsewhere*
    says that a new history has begun though the earlier data are in another folder,
    empty if not. *vehicles* is like *coverage*, of single vehicles; empty if none were
    expected.
    """

    now: float
    grid: Grid
    interval: int
    last_run: Run | None
    strip: Sequence[tuple[Slot, SlotState]]
    runs: int
    good: int
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    behind: float | None = None
    late: bool = False
    silent: float | None = None
    next_slot: Slot | None = None
    incidents: Sequence[Incident] = ()
    damage: Sequence[str] = ()
    mirror: "MirrorStanding | None" = None
    is_over: bool = False
    is_demo: bool = False
    is_lost: bool = False
    unrecorded: Slot = Slot(0)
    gone: str = ""
    elsewhere: str = ""
    ended: Sequence[Incident] = ()
    vehicles: Mapping[str, Coverage] = field(default_factory=dict)

    @property
    def is_new(self) -> bool:
        """Whether there is neither a run nor a block yet."""
        return self.last_run is None and self.behind is None

    @property
    def stale_slots(self) -> int:
        """The number of the last slots in a row that have data, but old ones."""
        states = [state for _, state in self.strip if state is not SlotState.DUE]
        fresh = (n for n, s in enumerate(reversed(states)) if s is not SlotState.STALE)
        return next(fresh, len(states))

    @property
    def has_old_data(self) -> bool:
        """Whether the data have been old for some slots and a quarter of an hour.

        A feed that is asked more often than it changes is stale for a slot or two.
        """
        count = self.stale_slots
        return count >= FEW and count * self.interval >= OLD

    @property
    def in_trouble(self) -> bool:
        """Whether data are late, damaged, elsewhere or unmirrored, or an incident."""
        is_bad = self.late or self.is_mirror_behind
        return is_bad or bool(self.incidents or self.damage or self.elsewhere)

    @property
    def is_mirror_behind(self) -> bool:
        """Whether copying to the mirror failed, or days have waited too long for it."""
        return self.mirror is not None and self.mirror.is_behind(self.now)


def judge(
    past: Past,
    now: float,
    grid: Grid,
    zone: ZoneInfo,
    windows: Mapping[str, int] = WINDOWS,
) -> Health:
    """Return the health at *now*, computed from *past*, with coverage in *windows*."""
    interval = grid.interval
    last = min({now, *past.final})
    # One lost slot followed by a slow run does not count as late.
    patience = 2 * interval + GRACE
    newest, run = past.newest, past.last_run
    behind = None if newest is None else now - newest
    is_recorded = run is None or not run.slot < past.seen <= now
    begun = past.seen if run is None or not is_recorded else run.started
    silent = None if run is None or now - begun <= patience else now - begun
    expected = 0 if past.is_known else min(now, past.configured)
    waited = now - (newest or past.first or expected)
    late = waited > patience or silent is not None
    if past.is_over:
        late, silent = False, None
    counted = _expected(past, last, grid, zone, windows)
    return Health(
        now=now,
        grid=grid,
        interval=interval,
        last_run=run,
        strip=_strip(past, last, grid),
        runs=len(past.outcomes),
        good=sum(outcome in GOOD for outcome in past.outcomes),
        coverage=_coverages(counted, past.blocks.keys() | past.older),
        behind=behind,
        late=late,
        silent=silent,
        next_slot=None if past.is_over else grid.next(grid.at(now)),
        incidents=past.incidents,
        damage=past.damage,
        mirror=past.mirror,
        is_over=past.is_over,
        is_demo=past.is_demo,
        is_lost=past.is_lost,
        unrecorded=Slot(0) if is_recorded else past.seen,
        gone=past.gone,
        ended=past.ended,
        vehicles=_vehicle_coverages(counted, past.vehicles),
    )


def _strip(past: Past, now: float, grid: Grid) -> list[tuple[Slot, SlotState]]:
    """Return the state of each slot of the 24 hours up to *now*.

    The present slot is missing once coverage counts it (`end_of_slots`), not before.
    """
    current = grid.at(now)
    over = end_of_slots(now, grid, past.blocks.keys() | _settled(past))
    begin, end = grid.next(grid.at(now - DAY)), grid.next(current)
    slots = with_others(grid.between(begin, end), past.blocks, begin, end)
    return [(slot, _state(slot, past, over)) for slot in slots]


def _settled(past: Past) -> frozenset[Slot]:
    """Return slots without a block that count although they may not have ended."""
    return past.final | (past.last_run.lost if past.last_run else frozenset())


def _state(slot: Slot, past: Past, over: Slot) -> SlotState:
    if slot in past.blocks:
        return past.blocks[slot]
    if past.first is None or slot < past.first:
        return SlotState.BEFORE
    return SlotState.MISSING if slot < over else SlotState.DUE


def _expected(
    past: Past, now: float, grid: Grid, zone: ZoneInfo, windows: Mapping[str, int]
) -> dict[str, list[Slot]]:
    """Return the slots of today and the last days that `backfill-report` expects.

    Each begins at the first expected slot; for the end see `end_of_slots`. The first
    slot of tomorrow, which a run may fill just before midnight, is not one of today.
    """
    # A day may have 23 or 25 hours, so midnight is found by the calendar.
    today = datetime.fromtimestamp(now, zone).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    tomorrow = (today + timedelta(days=1)).timestamp()
    filled = past.blocks.keys() | past.older
    end, begins = end_of_slots(now, grid, filled | _settled(past)), {}
    for name, days in windows.items():
        since = (
            now - timedelta(days=days).total_seconds() if days else today.timestamp()
        )
        begins[name] = max(math.ceil(since), end if past.first is None else past.first)
    begin = min(begins.values(), default=end)
    slots = with_others(grid.between(begin, end), filled, Slot(begin), end)
    today_end = bisect_left(slots, tomorrow)
    return {
        name: slots[bisect_left(slots, begin) : None if windows[name] else today_end]
        for name, begin in begins.items()
    }


def _coverages(
    expected: Mapping[str, Sequence[Slot]], filled: AbstractSet[Slot]
) -> dict[str, Coverage]:
    """Return the coverage of the *expected* slots of each window."""
    return {
        name: Coverage(len(slots), len(filled & set(slots)))
        for name, slots in expected.items()
    }


def _vehicle_coverages(
    expected: Mapping[str, Sequence[Slot]], vehicles: VehicleSlots
) -> dict[str, Coverage]:
    """Return the coverage of *vehicles* in the *expected* slots of each window."""
    own = {name: vehicles.expected_of(slots) for name, slots in expected.items()}
    return _coverages(own, vehicles.filled) if any(own.values()) else {}
