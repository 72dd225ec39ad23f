"""A check of `doctor`: its subject, its result, and the remedy."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


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
