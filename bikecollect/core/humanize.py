"""Lengths, sizes and shares in words."""

from datetime import tzinfo

from bikecollect.core.slots import DAY, iso

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def length(seconds: float) -> str:
    """Return *seconds* in words.

    >>> length(300), length(5_400), length(180_000)
    ('5 min', '1 h 30 min', '2 d 2 h')
    """
    minutes = round(seconds / 60)
    if seconds >= DAY:
        return f"{minutes // 1440} d {minutes % 1440 // 60} h"
    if minutes >= 60:  # noqa: PLR2004 - an hour
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"


def ago(seconds: float) -> str:
    """Return how long ago something was.

    >>> ago(125)
    '2 min ago'
    """
    return f"{length(seconds)} ago" if seconds >= 0 else "in the future"


def percent(ratio: float | None) -> str:
    """Return *ratio* as percents that never round a loss away.

    >>> percent(1), percent(0.99996), percent(None)
    ('100 %', '99.9 %', 'nothing yet')
    """
    if ratio is None:
        return "nothing yet"
    return "100 %" if ratio == 1 else f"{min(ratio * 100, 99.9):.1f} %"


def size(count: float) -> str:
    """Return *count* bytes in the unit that suits.

    >>> size(0), size(1_500), size(38_000_000)
    ('0 B', '1.5 kB', '38.0 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1_000:  # noqa: PLR2004 - SI
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1_000
    return f"{count:.1f} TB"


def local_minute(moment: float, zone: tzinfo) -> str:
    """Return *moment* as day, minute and offset."""
    text = iso(moment, zone)
    return f"{text[:10]} {text[11:16]} ({text[19:] or '+00:00'})"
