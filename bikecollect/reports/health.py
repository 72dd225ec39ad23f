"""How a system stands: what was expected, what is there, and what comes next."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bikecollect.core.incidents import Incident
from bikecollect.core.run import Run
from bikecollect.core.slots import DAY, Slot, SlotState, slot_at
from bikecollect.reports.coverage import Coverage

GRACE = 60.0
"""A run may take so long before its slot is called late, in seconds."""
GOOD = frozenset({"collected", "duplicate"})


@dataclass(frozen=True)
class Past:
    """What the ledger says of a system, for its health.

    *blocks* are the states of the slots with a block, of 31 days.
    """

    first: Slot | None
    blocks: Mapping[Slot, SlotState]
    outcomes: Sequence[str] = ()
    last_run: Run | None = None
    newest: Slot | None = None
    incidents: Sequence[Incident] = ()


@dataclass(frozen=True)
class Health:
    """How a system stands at *now*; lengths in seconds.

    *strip* has the state of each slot of the last 24 hours, the oldest first.
    *runs* and *good* count the runs of that time. *behind* is the age of the newest
    block's slot, None where there is none; *silent* is how long no run has begun,
    None where one did in time. *late* says that one of both is too long ago.
    """

    now: float
    interval: int
    last_run: Run | None
    strip: Sequence[tuple[Slot, SlotState]]
    runs: int
    good: int
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    behind: float | None = None
    late: bool = False
    silent: float | None = None
    next_slot: Slot = Slot(0)
    incidents: Sequence[Incident] = ()

    @property
    def in_trouble(self) -> bool:
        """Whether a person should look."""
        return self.late or bool(self.incidents)


def judge(past: Past, now: float, interval: int, zone: ZoneInfo) -> Health:
    """Return the health that follows from *past* at *now*."""
    current = slot_at(now, interval)
    over = _over(now, current, interval, past.blocks)
    begun = slot_at(now - DAY, interval) + interval
    strip = [
        (Slot(each), _state(Slot(each), past, over))
        for each in range(begun, current + interval, interval)
    ]
    # One slot may be lost, and the next one slow, without being late.
    patience = 2 * interval + GRACE
    newest, run = past.newest, past.last_run
    behind = None if newest is None else now - newest
    silent = None if run is None or now - run.started <= patience else now - run.started
    late = behind is None or behind > patience or silent is not None
    return Health(
        now=now,
        interval=interval,
        last_run=run,
        strip=strip,
        runs=len(past.outcomes),
        good=sum(each in GOOD for each in past.outcomes),
        coverage=_coverages(past, now, over, interval, zone),
        behind=behind,
        late=late,
        silent=silent,
        next_slot=Slot(current + interval),
        incidents=past.incidents,
    )


def _over(now: float, current: Slot, interval: int, filled: Collection[Slot]) -> Slot:
    """Return the slot before which all slots should be filled by now."""
    done = current in filled or now - current > min(GRACE * 3, interval * 0.9)
    return Slot(current + interval if done else current)


def _state(slot: Slot, past: Past, over: Slot) -> SlotState:
    if slot in past.blocks:
        return past.blocks[slot]
    if past.first is None or slot < past.first:
        return SlotState.BEFORE
    return SlotState.MISSING if slot < over else SlotState.DUE


def _coverages(
    past: Past, now: float, over: Slot, interval: int, zone: ZoneInfo
) -> dict[str, Coverage]:
    # Midnight may lie at an odd hour and a day have 23 or 25: ask the calendar.
    today = datetime.fromtimestamp(now, zone).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    found = {}
    for name, days in (("today", 0), ("7d", 7), ("30d", 30)):
        if days:
            since = now - timedelta(days=days).total_seconds()
        else:
            since = today.timestamp()
        begun = -(-since // interval) * interval
        first = max(int(begun), past.first or over)
        expected = range(first, over, interval)
        got = sum(each in past.blocks for each in expected)
        found[name] = Coverage(len(expected), got)
    return found
