"""Infer the facts of a system without a facts file from its ledger.

An earlier version stored no facts: zone and interval show in the blocks, and in the
certificates of archived days.
"""

import math
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.core.errors import StorageError
from bikecollect.core.slots import DAY, Slot, bounds, day_of
from bikecollect.core.timeline.facts import SystemFact, grid_of
from bikecollect.storage.data_folder import LEDGER
from bikecollect.storage.facts.certified import certified
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.ledger_schema import file_day
from bikecollect.storage.runs.ends import WITHIN

BLOCKS = f"SELECT slot, {file_day()} FROM blocks WHERE {WITHIN} ORDER BY slot"
ARCHIVES = "SELECT day, timezone FROM archives ORDER BY day"
MIN_BLOCKS = 12
"""Minimum blocks from which an interval is inferred."""
USUAL_SHARE = 0.5
"""Minimum share of the distances between blocks that equal the interval."""
SAMPLE = 5_000
"""Maximum blocks, the newest ones, that show whether slots are in local time."""

Rows = Sequence[tuple[int, str]]


def facts_of(name: str, folder: Path, wanted: SystemFact) -> list[SystemFact]:
    """Return the facts that the ledger of the system *name* shows.

    Empty if they agree with *wanted*, the current settings, or cannot be read.
    """
    if not os.path.exists(folder / LEDGER):  # noqa: PTH110 - False where it fails
        return []
    history = History(name, folder)
    try:
        with history.session():
            blocks: Rows = history.select(BLOCKS)
            archives = [row for row in history.select(ARCHIVES) if _is_known(*row)]
    except StorageError:
        return []
    if not blocks:
        return []
    zones = _zones(archives, blocks, wanted.timezone)
    slots, begin = [slot for slot, _ in blocks], 0
    known = list(certified(folder, name)) if archives else []
    if known:
        begin = int(bounds(archives[-1][0], ZoneInfo(archives[-1][1]))[1])
    usual = known[-1].interval if known else wanted.interval
    interval = _interval([slot for slot in slots if slot >= begin], usual)
    intervals = [*_on_time(known, slots), SystemFact(begin, "", interval)]
    facts = _dated(zones, intervals, wanted.columns)
    if not _is_local(facts, slots[-SAMPLE:]):
        return [fact._replace(local=False) for fact in facts]
    agrees = [(f.timezone, f.interval) for f in facts] == [wanted[1:3]]
    return [] if agrees else facts


def _dated(
    zones: Sequence[tuple[int, str]],
    intervals: Sequence[SystemFact],
    columns: tuple[str, ...],
) -> list[SystemFact]:
    """Return the facts with *zones* and *intervals*, both since when; the first from 0.

    >>> hour, ten = SystemFact(9, "", 3_600), SystemFact(86_400, "", 600)
    >>> [fact[:3] for fact in _dated([(0, "UTC"), (99, "Etc/GMT+1")], [hour, ten], ())]
    [(0, 'UTC', 3600), (99, 'Etc/GMT+1', 3600), (86400, 'Etc/GMT+1', 600)]
    """
    facts: list[SystemFact] = []
    changes = {0, *(since for since, _ in zones), *(f.since for f in intervals[1:])}
    for since in sorted(changes):
        zone = [zone for begun, zone in zones if begun <= since][-1]
        begun = [fact.interval for fact in intervals if fact.since <= since]
        interval = begun[-1] if begun else intervals[0].interval
        if not facts or facts[-1][1:3] != (zone, interval):
            facts.append(SystemFact(since, zone, interval, columns))
    return facts


def _on_time(known: Sequence[SystemFact], slots: Sequence[int]) -> list[SystemFact]:
    """Return *known*, the facts of days, from the slot on in which an interval changed.

    On the day of a change, blocks are nearer to each other than the longer of both
    intervals while the shorter one holds.
    """
    facts = list(known[:1])
    for fact in known[1:]:
        before, zone = facts[-1].interval, ZoneInfo(fact.timezone)
        is_longer = fact.interval > before
        day = day_of(Slot(fact.since - is_longer), zone)
        begin, end = (bisect_left(slots, moment) for moment in bounds(day, zone))
        longer = max(before, fact.interval)
        near = [(a, b) for a, b in pairwise(slots[begin:end]) if b - a < longer]
        since = fact.since
        if near and fact.interval != before:
            since = near[-1][1] if is_longer else near[0][0]
        facts.append(fact._replace(since=since))
    return facts


def _is_local(facts: Sequence[SystemFact], slots: Sequence[int]) -> bool:
    """Return whether more of *slots* are on the local grid of *facts* than in UTC.

    Those of an earlier version may be in UTC. A few may be on neither grid.
    """
    local = grid_of(facts)
    if local.has_all(slots):
        return True
    utc = grid_of([fact._replace(local=False) for fact in facts])
    on_local, on_utc = (
        sum(grid.floor(slot) == slot for slot in slots) for grid in (local, utc)
    )
    return on_local >= on_utc


def _zones(
    archives: Sequence[tuple[str, str]], blocks: Rows, wanted: str
) -> list[tuple[int, str]]:
    """Return the zones shown by archived days and by the names of daily files."""
    zones = [(0, archives[0][1] if archives else wanted)]
    for day, name in archives:
        if name != zones[-1][1]:
            zones.append((int(bounds(day, ZoneInfo(name))[0]), name))
    last_day = archives[-1][0] if archives else ""
    others = [
        (slot, day)
        for slot, day in blocks
        if day > last_day and day_of(Slot(slot), ZoneInfo(zones[-1][1])) != day
    ]
    agree = all(day_of(Slot(slot), ZoneInfo(wanted)) == day for slot, day in others)
    if others and zones[-1][1] != wanted and agree:
        zones.append((int(bounds(others[0][1], ZoneInfo(wanted))[0]), wanted))
    elif others and not archives:
        zones = [(0, _fixed_zone(others) or wanted)]
    return zones


def _is_known(day: object, zone: object) -> bool:
    """Return whether *day* and *zone*, read from a ledger, are known here as such."""
    try:
        return bool(bounds(str(day), ZoneInfo(str(zone))))
    except (ValueError, LookupError, OSError, OverflowError):
        return False


def _fixed_zone(blocks: Rows) -> str:
    """Return a zone of fixed offset that explains the days of *blocks*, else ""."""
    names = (f"Etc/GMT{hours:+d}" for hours in range(-14, 13))
    return next(
        (n for n in names if all(day_of(Slot(s), ZoneInfo(n)) == d for s, d in blocks)),
        "",
    )


def _interval(slots: Sequence[int], usual: int) -> int:
    """Return the interval of *slots*; *usual* is likely."""
    steps = Counter(after - before for before, after in pairwise(slots))
    if len(slots) >= MIN_BLOCKS:
        step, count = steps.most_common(1)[0]
        is_most = count >= len(slots) * USUAL_SHARE
        return step if is_most and DAY % step == 0 else usual
    if any(slot % math.gcd(usual, 900) for slot in slots):
        return math.gcd(*steps, usual) or usual
    return usual
