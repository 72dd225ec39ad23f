"""A time zone as numbers: its UTC offsets, each with its first epoch second."""

from collections.abc import Iterable
from datetime import datetime, tzinfo
from functools import lru_cache

from bikecollect.core.slots import DAY
from bikecollect.core.timeline.zones import SystemZone


@lru_cache(maxsize=8)
def steps(zone: tzinfo, first: int, last: int) -> tuple[tuple[int, int], ...]:
    """Return (since, seconds ahead of UTC) for the time from *first* to *last*.

    >>> from zoneinfo import ZoneInfo
    >>> steps(ZoneInfo("Europe/Vienna"), 1792800000, 1793000000)
    ((1792800000, 7200), (1792890000, 3600))
    """
    return steps_between(zone, (first, *range(first + DAY, last, DAY), last))


def steps_between(zone: tzinfo, moments: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Return the same for ascending *moments*, beginning with the first of them.

    The result is valid at the moments, and between those at most a day apart.
    """
    remaining = iter(moments)
    before = next(remaining)
    offsets = [(before, _offset(zone, before))]
    for moment in remaining:
        while (offset := _offset(zone, moment)) != offsets[-1][1]:
            offsets.append(_change(zone, max(before, offsets[-1][0]), moment))
            if offsets[-1][1] == offset:
                break
        before = moment
    return tuple(offsets)


def _change(zone: tzinfo, low: int, high: int) -> tuple[int, int]:
    """Return the first second after *low* with another offset, and the offset."""
    old = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == old:
            low = middle
        else:
            high = middle
    return high, _offset(zone, high)


def _offset(zone: tzinfo, moment: int) -> int:
    if isinstance(zone, SystemZone):  # which takes a hundred times as long
        zone = zone.zone_at(moment)
    ahead = datetime.fromtimestamp(moment, zone).utcoffset()
    return int(ahead.total_seconds()) if ahead else 0
