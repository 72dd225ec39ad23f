"""Report low space on the disk before it is full."""

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.incidents import Signal
from bikecollect.core.text import count_of, size

ENOUGH_DAYS = 14
"""Days until the disk is full below which people are warned."""
LOW_BYTES, LOW_INODES = 200_000_000, 2_000
"""Free bytes and inodes below which people are warned..."""
LOW_SHARE = 0.1
"""... or that share of a small disk."""
MARGIN = 1.25
"""The factor by which a limit must be exceeded for the warning to end."""
FULL = "No slot can be collected now"
UNTIL_FULL = "Slots are collected until it is full"
RECENT, MIN_DAYS = 8, 4
"""Maximum and minimum of daily measurements from which a rate is computed."""


class Space(NamedTuple):
    """Free and total bytes and inodes of a disk; 0 inodes if it has no limit."""

    free: int
    total: int
    inodes: int = 0
    all_inodes: int = 0


class DailySpace(NamedTuple):
    """The free bytes and inodes of a disk at the first run of a *day*."""

    day: str
    free: int
    inodes: int


def measure(folder: Path) -> Space | None:
    """Return the space on the disk of *folder*, None if it cannot be read."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    unit = disk.f_frsize
    return Space(
        disk.f_bavail * unit, disk.f_blocks * unit, disk.f_favail, disk.f_files
    )


def noted(
    days: Sequence[DailySpace], day: str, space: Space | None
) -> tuple[DailySpace, ...]:
    """Return *days* with the first measurement of *day*; only the newest are kept.

    Later days are dropped: the clock was ahead.
    """
    if space is None or (days and days[-1].day == day):
        return tuple(days)
    earlier = [known for known in days if known.day < day]
    return (*earlier, DailySpace(day, space.free, space.inodes))[-RECENT:]


def of_space(
    folder: Path, space: Space | None, days: Sequence[DailySpace]
) -> dict[str, Signal | None]:
    """Return the signal of low *space* in *folder*, as a run observes it.

    *days* are the daily measurements. Just above a limit nothing is observed, so that
    the warning neither begins nor ends there.
    """
    if space is None:
        return {}
    bytes_low = min(LOW_BYTES, space.total * LOW_SHARE)
    inodes_low = min(LOW_INODES, space.all_inodes * LOW_SHARE)
    left = days_left(days, space)
    for factor in (1.0, MARGIN):
        few = space.all_inodes and space.inodes < inodes_low * factor
        soon = left is not None and left < ENOUGH_DAYS * factor
        if few or soon or space.free < bytes_low * factor:
            if factor > 1:
                return {}
            return {"space": Signal("low-space", _text(folder, space, left))}
    return {"space": None}


def days_left(days: Sequence[DailySpace], space: Space) -> float | None:
    """Return the number of days until *space* is used up at the rate of *days*.

    None if it does not shrink, or if there are too few measurements.
    """
    if len(days) < MIN_DAYS:
        return None
    first, last = days[0], days[-1]
    elapsed = (date.fromisoformat(last.day) - date.fromisoformat(first.day)).days
    # Space used temporarily (by a backup), now or at the last measurement, is no trend.
    rates = [
        (space.free, first.free - max(last.free, space.free)),
        (
            space.inodes if space.all_inodes else 0,
            first.inodes - max(last.inodes, space.inodes),
        ),
    ]
    left = [free * elapsed / used for free, used in rates if free and used > 0]
    return min(left, default=None)


def _text(folder: Path, space: Space, left: float | None) -> str:
    inodes = f" and {space.inodes:,} inodes" if space.all_inodes else ""
    text = f"{size(space.free)}{inodes} free on the disk of {folder}"
    if left is not None:
        days = count_of(round(left), "day")
        text += f", used up in {days} at the rate of the last week"
    is_full = not space.free or (space.all_inodes and not space.inodes)
    until = FULL if is_full else UNTIL_FULL
    return f"{text}; free some space, or enlarge the disk. {until}"
