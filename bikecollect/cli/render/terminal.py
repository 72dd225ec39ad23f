"""Words and marks that screens share."""

import sys
import textwrap

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


def wrapped(
    text: str, first: str = "", rest: str | None = None, *, width: int = WIDTH - 1
) -> list[str]:
    """Return the lines of *text*, none longer than *width* where a blank allows it.

    Lines are broken at blanks only, so a path or an address stays whole. *first*
    stands before the first line, *rest* before the others (default: *first*).

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
