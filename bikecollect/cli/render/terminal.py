"""Words and marks that screens share."""

import sys

import click

WIDTH = 80


def unicode() -> bool:
    """Tell whether what is printed may hold more than ASCII."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def bar(part: float, whole: float, width: int) -> str:
    """Return a bar that is *part* of *whole* as long as *width*, at least a trace."""
    if not whole or part <= 0:
        return ""
    mark = "█" if unicode() else "#"
    return mark * max(1, round(part / whole * width))


def title(text: str) -> str:
    """Return *text* as a heading."""
    return click.style(text, bold=True)
