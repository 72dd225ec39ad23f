"""Marks, bars, headings and wrapped lines for the terminal."""

import os
import re
import sys
import textwrap
from contextlib import suppress

import click

WIDTH = 80
"""The columns of a pipe or a file, and the maximum for running text."""
COMMAND = re.compile(r"(?<=: )bikecollect (?!.*: bikecollect )|(?<=see: )", re.DOTALL)
"""The beginning of a command at the end of a text."""
KEPT_TOGETHER = re.compile("(?<=bikecollect) |(?<=[0-9]) (?=%)")
"""A blank at which no line is broken."""
UNBROKEN = "\0"
NARROWEST = 30
"""Minimum columns; on a narrower terminal lines are broken by the terminal."""


def terminal_columns() -> int | None:
    """Return the columns of standard output, None if that is not a terminal."""
    with suppress(OSError, ValueError):
        size = os.get_terminal_size(sys.stdout.fileno()).columns
        return max(NARROWEST, size or WIDTH)
    return None


def columns() -> int:
    """Return the columns for running text: those of the terminal, at most `WIDTH`."""
    return min(WIDTH, terminal_columns() or WIDTH)


def unicode() -> bool:
    """Return whether standard output accepts more than ASCII."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def bar(part: float, total: float, width: int) -> str:
    """Return a bar for *part* of *total*, at most *width* and at least 1 long."""
    if not total or part <= 0:
        return ""
    mark = "█" if unicode() else "#"
    return mark * max(1, round(part / total * width))


def wrapped(
    text: str, first: str = "", rest: str | None = None, *, width: int | None = None
) -> list[str]:
    """Return *text* as lines of at most *width*, broken only at blanks.

    By default lines fit the terminal, see `columns`. A path or an address is not
    broken, even if its line gets longer. *first* precedes the first line, *rest* the
    others (default: *first*). A command keeps its name and the next word together (it
    is recognised by them, see `program.expand_commands`), a percentage its sign.

    >>> wrapped("to read it: bikecollect verify", width=24)
    ['to read it:', 'bikecollect verify']
    >>> wrapped("see /srv/city-bikes/ledger.sqlite3", "  ", width=20)
    ['  see', '  /srv/city-bikes/ledger.sqlite3']
    >>> wrapped("slots collected (93.4 %)", width=23)
    ['slots collected', '(93.4 %)']
    """
    lines = textwrap.wrap(
        KEPT_TOGETHER.sub(UNBROKEN, text),
        width or columns() - 1,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(UNBROKEN, " ") for line in lines]


def title(text: str) -> str:
    """Return *text* as a heading."""
    return click.style(text, bold=True)


def beside(head: str, value: str) -> list[str]:
    """Return *value* after *head*, wrapped to the screen (colours not counted).

    A command is on a separate line, so that it can be copied; what follows it is below
    it, if the line would be too long.

    >>> beside("! ", "a day is lost; accept it: bikecollect forget x 2026-11-22")
    ['! a day is lost; accept it:', '  bikecollect forget x 2026-11-22']
    >>> steps = "run: bikecollect backfill x --from COPY; the next run begins a new one"
    >>> [line.strip() for line in beside("! all of it is lost; ", steps)[1:]]
    ['bikecollect backfill x --from COPY', 'the next run begins a new one']
    """
    begin = match.start() if (match := COMMAND.search(value)) else len(value)
    text, command = value[:begin].rstrip(), value[begin:]
    lines, below = [f"{head}{text}"], " " * len(head)
    if len(click.unstyle(lines[0])) >= columns():
        lines = wrapped(click.unstyle(text), head, below)
    if len(click.unstyle(f"{below}{command}")) < columns():
        return [*lines, f"{below}{command}"] if command else lines
    command, _, rest = command.partition("; ")
    return [*lines, f"{below}{command}", *wrapped(click.unstyle(rest), below)]
