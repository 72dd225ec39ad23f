"""Questions at the terminal: asked again after a bad answer, and back by one."""

import sys
from collections.abc import Callable, Sequence

import click

from bikecollect.cli.options import say

BACK = "<"
Check = Callable[[str], str]
"""Says what is wrong with an answer, empty where nothing is."""


class Back(Exception):  # noqa: N818 - what the person wants
    """The person wants to answer the question before once more."""


def anything(_answer: str) -> str:
    """Find nothing wrong with an answer."""
    return ""


def ask(
    text: str, default: str, check: Check = anything, *, hidden: bool = False
) -> str:
    """Ask a question until the answer is right; raises Back for a single ``<``."""
    while True:
        answer = _prompt(text, default, hidden=hidden)
        if answer == BACK:
            raise Back
        wrong = check(answer)
        if not wrong:
            return answer
        say(f"{wrong}\n")


def sure(text: str, *, default: bool = True) -> bool:
    """Ask for yes or no."""
    try:
        return click.confirm(text, default=default)
    except click.Abort as end:
        raise _no_answer() from end


def in_turn(steps: Sequence[Callable[[], None]]) -> None:
    """Take *steps*, one after the other; one that raises Back leads to the one before.

    From the first one Back goes on: it is for who asked for the steps.
    """
    at = 0
    while at < len(steps):
        try:
            steps[at]()
        except Back:
            if not at:
                raise
            at -= 1
        else:
            at += 1


def _prompt(text: str, default: str, *, hidden: bool) -> str:
    try:
        answer: str = click.prompt(
            text, default=default, show_default=bool(default), hide_input=hidden
        )
    except click.Abort as end:
        raise _no_answer() from end
    return answer.strip()


def _no_answer() -> Exception:
    """Return how it ends without an answer: by ctrl-C, or for want of a terminal."""
    if sys.stdin is not None and sys.stdin.isatty():
        return click.Abort()
    return click.UsageError("nobody answers: give --yes, and --system ID")
