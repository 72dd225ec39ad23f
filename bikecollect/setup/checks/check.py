"""A check of `doctor`: its subject, its result, and the remedy."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

MOUNT = "is its disk mounted?"
_END = re.compile(r"; |(?<=\?) (?=[A-Z])")
"""Matches what is between a problem and its remedies."""


class Verdict(Enum):
    """The result of a check."""

    GOOD = "ok"
    NOTE = "note"
    BAD = "BAD"


@dataclass(frozen=True)
class Check:
    """The subject of a check, its result, and the remedy for a bad one."""

    name: str
    verdict: Verdict
    text: str
    remedy: str = ""


Checks = Iterator[Check]


def good(name: str, text: str) -> Check:
    """Return a check that passed."""
    return Check(name, Verdict.GOOD, text)


def note(name: str, text: str, remedy: str) -> Check:
    """Return a check that passed, with a *remedy* that a user may want to apply."""
    return Check(name, Verdict.NOTE, text, remedy)


def bad(name: str, text: str, remedy: str) -> Check:
    """Return a check that failed."""
    return Check(name, Verdict.BAD, text, remedy)


def parted(message: str) -> tuple[str, str]:
    """Return the problem of *message*, and all of its remedies, in their order.

    The best remedy is the first one, and the last one often accepts a loss.

    >>> parted("it was gone: was it removed? Put it back; or run: forget it")
    ('it was gone: was it removed?', 'put it back; or run: forget it')
    >>> parted("no file here: is its disk mounted? To start anew: touch file")
    ('no file here: is its disk mounted?', 'mount its disk; to start anew: touch file')
    """
    problem, *rest = _END.split(message, maxsplit=1)
    remedy = "".join(rest).removeprefix("run: ")
    if problem.endswith("?"):  # the remedy was a sentence of its own
        remedy = remedy[:1].lower() + remedy[1:]
    if remedy and problem.endswith(MOUNT):
        remedy = f"mount its disk; {remedy}"
    return problem, remedy
