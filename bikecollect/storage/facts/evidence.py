"""Infer the facts of a system without a facts file from its ledger.

An earlier version stored no facts: zone and interval show in the blocks and archives.
"""

import math
import os
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.core.errors import StorageError
from bikecollect.core.slots import DAY, Slot, bounds, day_of
from bikecollect.core.timeline.facts import SystemFact
from bikecollect.core.timeline.grid import Grid
from bikecollect.storage.data_folder import LEDGER
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.runs.ends import WITHIN

BLOCKS = f"SELECT slot, substr(file, 16, 10) FROM blocks WHERE {WITHIN} ORDER BY slot"
ARCHIVES = "SELECT day, timezone FROM archives ORDER BY day"
MIN_BLOCKS = 12
"""Minimum blocks from which an interval is inferred."""
USUAL_SHARE = 0.5
"""Minimum share of the distances between blocks that equal the interval."""

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
            archives = [row for row in history.select(ARCHIVES) if _is_zone(row[1])]
    except StorageError:
        return []
    if not blocks:
        return []
    zones = _zones(archives, blocks, wanted.timezone)
    interval, local = _interval([slot for slot, _ in blocks], zones[-1][1], wanted)
    facts = [
        SystemFact(since, zone, interval, wanted.columns, local)
        for since, zone in zones
    ]
    agrees = [(f.timezone, f.interval) for f in facts] == [wanted[1:3]]
    return [] if agrees and local else facts


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


def _is_zone(name: object) -> bool:
    """Return whether *name*, read from a ledger, is a time zone known here."""
    try:
        return isinstance(name, str) and bool(ZoneInfo(name))
    except (ValueError, LookupError, OSError):
        return False


def _fixed_zone(blocks: Rows) -> str:
    """Return a zone of fixed offset that explains the days of *blocks*, else ""."""
    names = (f"Etc/GMT{hours:+d}" for hours in range(-14, 13))
    return next(
        (n for n in names if all(day_of(Slot(s), ZoneInfo(n)) == d for s, d in blocks)),
        "",
    )


def _interval(slots: Sequence[int], zone: str, wanted: SystemFact) -> tuple[int, bool]:
    """Return the interval of *slots*, and whether they are on the local grid."""
    steps = Counter(after - before for before, after in pairwise(slots))
    interval = wanted.interval
    if len(slots) >= MIN_BLOCKS:
        usual, count = steps.most_common(1)[0]
        if count >= len(slots) * USUAL_SHARE and DAY % usual == 0:
            interval = usual
    elif any(slot % math.gcd(interval, 900) for slot in slots):
        interval = math.gcd(*steps, interval) or interval
    grid = Grid.of(interval, ZoneInfo(zone))
    return interval, grid.has_all(slots)
