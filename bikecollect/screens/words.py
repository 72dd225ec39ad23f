"""Words and marks that screens share."""

import sys
from datetime import tzinfo

import click

from bikecollect.letter import length
from bikecollect.slot import iso

WIDTH = 80
__all__ = ["WIDTH", "ago", "bar", "clock", "length", "percent", "size", "unicode"]


def unicode() -> bool:
    """Tell whether what is printed may hold more than ASCII."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def clock(moment: float, zone: tzinfo) -> str:
    """Return *moment* as day, minute and offset."""
    text = iso(moment, zone)
    return f"{text[:10]} {text[11:16]} ({text[19:] or '+00:00'})"


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


def bar(part: float, whole: float, width: int) -> str:
    """Return a bar that is *part* of *whole* as long as *width*, at least a trace."""
    if not whole or part <= 0:
        return ""
    mark = "█" if unicode() else "#"
    return mark * max(1, round(part / whole * width))


def title(text: str) -> str:
    """Return *text* as a heading."""
    return click.style(text, bold=True)
