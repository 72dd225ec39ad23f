"""Marks, bars, headings and wrapped lines for the terminal."""

import sys
import textwrap

import click

WIDTH = 80


def unicode() -> bool:
    """Return whether standard output takes more than ASCII."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def bar(part: float, whole: float, width: int) -> str:
    """Return a bar for *part* of *whole*, at most *width* and at least 1 long."""
    if not whole or part <= 0:
        return ""
    mark = "█" if unicode() else "#"
    return mark * max(1, round(part / whole * width))


def wrapped(
    text: str, first: str = "", rest: str | None = None, *, width: int = WIDTH - 1
) -> list[str]:
    """Return *text* as lines of at most *width*, broken at blanks only.

    A path or an address stays whole, even if its line is then longer.

    *first* is put before the first line, *rest* before the others (default: *first*).

    >>> wrapped("see /srv/city-bikes/ledger.sqlite3", "  ", width=20)
    ['  see', '  /srv/city-bikes/ledger.sqlite3']
    """
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def title(text: str) -> str:
    """Return *text* as a heading."""
    return click.style(text, bold=True)
