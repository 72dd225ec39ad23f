"""Dated facts of a system: its time zone, interval and columns, each since when."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bikecollect.core.slots import DAY, iso
from bikecollect.core.timeline.grid import Grid, Period
from bikecollect.core.timeline.interval import interval_text
from bikecollect.core.timeline.zones import SystemZone, first_clear, first_midnight

MAX_AHEAD = 3 * DAY
"""Maximum seconds until a change takes effect; a later one is due to a wrong clock."""
MAX_SINCE = 3 * DAY
"""Maximum seconds between a killed run and the next one that records a new interval."""


class SystemFact(NamedTuple):
    """The settings that hold from the epoch second *since* on.

    *interval* is in seconds; if *local*, slots are aligned to local time, else to UTC.
    """

    since: int
    timezone: str
    interval: int
    columns: tuple[str, ...] = ()
    local: bool = True

    @property
    def values(self) -> tuple[str, int, tuple[str, ...]]:
        """The fields that the settings can change."""
        return self.timezone, self.interval, self.columns


def zone_of(facts: Sequence[SystemFact]) -> ZoneInfo:
    """Return the time zone of *facts*."""
    return SystemZone.of([(fact.since, fact.timezone) for fact in facts])


def grid_of(facts: Sequence[SystemFact]) -> Grid:
    """Return the grid of slots of *facts*."""
    return Grid(
        [
            Period(f.since, f.interval, ZoneInfo(f.timezone) if f.local else UTC)
            for f in facts
        ]
    )


def with_settings(
    facts: Sequence[SystemFact],
    now: float,
    *,
    timezone: str,
    interval: int,
    columns: Sequence[str],
) -> list[SystemFact]:
    """Return *facts* with the current settings added.

    A new zone holds from its next midnight (a later one if a clock is set back around
    it), a new interval from its next slot. A change that has not taken effect yet is
    dropped if it is no longer in the settings.
    """
    wanted = SystemFact(0, timezone, interval, tuple(columns))
    if not facts:
        return [wanted]
    if facts[-1].values == wanted.values and facts[-1].since <= now + MAX_AHEAD:
        return list(facts)
    past = [fact for fact in facts if fact.since <= now] or [facts[0]]
    last = past[-1]
    if interval != last.interval or wanted.columns != last.columns:
        since = _next_slot(past, now, interval)
        last = last._replace(since=since, interval=interval, columns=wanted.columns)
        past.append(last._replace(local=True))
    if timezone != last.timezone:
        begin, zone = max(now, last.since), ZoneInfo(timezone)
        midnights = (first_midnight(begin + n * DAY, zone) for n in range(3))
        moment = first_clear(midnights, last.timezone, timezone)
        past.append(wanted._replace(since=moment))
    return past


def inherited(
    ours: Sequence[SystemFact], theirs: Sequence[SystemFact], begin: int
) -> list[SystemFact]:
    """Return *ours*, with zones and intervals of *theirs* before our slot *begin*.

    Our zone holds from the last of its midnights that is not after *begin*. If our
    settings changed before that, our ledger was lost, and ours hold from the change on.

    >>> one, other = SystemFact(0, "UTC", 60), SystemFact(0, "UTC", 600)
    >>> [(fact.since, fact.interval) for fact in inherited([other], [one], 86_400)]
    [(0, 60), (86400, 600)]
    """
    begin = min([begin, *(fact.since for fact in ours[1:2])])
    first = [fact for fact in ours if fact.since <= begin][-1]
    past = [f._replace(columns=first.columns) for f in theirs if f.since < begin]
    if not past:
        return list(ours)
    past[0] = past[0]._replace(since=0)
    if past[-1].timezone != first.timezone:
        zone = ZoneInfo(first.timezone)
        midnights = (first_midnight(begin - n * DAY, zone) for n in range(1, 4))
        begin = first_clear(midnights, past[-1].timezone, first.timezone)
        past = [fact for fact in past if fact.since < begin]
    if past[-1][1:] != first[1:]:
        past.append(first._replace(since=begin))
    return past + [fact for fact in ours if fact.since > first.since]


def begun_earlier(
    facts: Sequence[SystemFact],
    recorded: Sequence[SystemFact],
    slots: Callable[[], Iterable[int]],
) -> list[SystemFact]:
    """Return *facts*; an interval that is not *recorded* holds from its first slot.

    *slots* are those of payloads and blocks. A run that was killed after it had
    accepted a payload has not recorded the interval. One of long ago had an interval
    that was set for a moment only.

    >>> facts = [SystemFact(0, "UTC", 2_700), SystemFact(3_600, "UTC", 600)]
    >>> earlier = begun_earlier(facts, facts[:1], lambda: [0, 2_400, 3_000])
    >>> [(fact.since, fact.interval) for fact in earlier]
    [(0, 2700), (2400, 600)]
    """
    at = len(facts) - 1
    while at > 0 and facts[at - 1].interval == facts[at].interval:
        at -= 1
    if at <= 0 or facts[at] in recorded:
        return list(facts)
    fact, old = facts[at], grid_of(facts[:at])
    first = max(facts[at - 1].since, fact.since - MAX_SINCE)
    new = Grid.of(fact.interval, ZoneInfo(fact.timezone))
    only_new = (
        slot
        for slot in slots()
        if first < slot < fact.since
        if old.floor(slot) != slot == new.floor(slot)
    )
    since = min(only_new, default=fact.since)
    return [*facts[:at], fact._replace(since=since), *facts[at + 1 :]]


def _next_slot(facts: Sequence[SystemFact], now: float, interval: int) -> int:
    """Return the first slot of *interval* that overlaps no earlier one."""
    old = grid_of(facts)
    new = Grid.of(interval, ZoneInfo(facts[-1].timezone))
    slot = new.at(now)
    return slot if slot >= old.at(now) else new.next(slot)


def describe_change(before: SystemFact, after: SystemFact) -> str:
    """Return what differs between two facts, for people.

    >>> describe_change(SystemFact(0, "UTC", 300), SystemFact(600, "UTC", 60))
    'interval 5 min -> 1 min from 1970-01-01T00:10:00+00:00 on'
    """
    changes = []
    if before.timezone != after.timezone:
        changes.append(f"time zone {before.timezone} -> {after.timezone}")
    if before.interval != after.interval:
        texts = interval_text(before.interval), interval_text(after.interval)
        changes.append(f"interval {' -> '.join(texts)}")
    if before.columns != after.columns:
        changes.append(f"columns {list(before.columns)} -> {list(after.columns)}")
    moment = iso(after.since, ZoneInfo(after.timezone))
    kept = ""
    if before.timezone != after.timezone:
        kept = (
            "; rows until now keep their times, also if they were read in a wrong zone"
        )
    return f"{', '.join(changes)} from {moment} on{kept}"
