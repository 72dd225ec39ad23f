"""A time zone as whole numbers: from which second on it is how far ahead of UTC."""

from datetime import datetime, tzinfo

from bikecollect.core.slots import DAY


def steps(zone: tzinfo, first: int, last: int) -> list[tuple[int, int]]:
    """Return (since, seconds ahead of UTC) for the time from *first* to *last*.

    >>> from zoneinfo import ZoneInfo
    >>> steps(ZoneInfo("Europe/Vienna"), 1792800000, 1793000000)
    [(1792800000, 7200), (1792890000, 3600)]
    """
    found = [(first, _offset(zone, first))]
    before = first
    for each in [*range(first + DAY, last, DAY), last]:
        while (offset := _offset(zone, each)) != found[-1][1]:
            found.append(_change(zone, max(before, found[-1][0]), each))
            if found[-1][1] == offset:
                break
        before = each
    return found


def _change(zone: tzinfo, low: int, high: int) -> tuple[int, int]:
    """Return the first second behind *low* at which the offset is another."""
    old = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == old:
            low = middle
        else:
            high = middle
    return high, _offset(zone, high)


def _offset(zone: tzinfo, moment: int) -> int:
    ahead = datetime.fromtimestamp(moment, zone).utcoffset()
    return int(ahead.total_seconds()) if ahead else 0
