"""Questions at the terminal: repeated after an invalid answer, with a way back."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from bikecollect.cli.printing import say
from bikecollect.setup.checks import machine

BACK = "<"
YES_OR_NO = {"y": True, "yes": True, "n": False, "no": False}
Check = Callable[[str], str]
"""Returns what is wrong with an answer, empty if it is valid."""


class Back(Exception):  # noqa: N818 - a user's choice
    """The user wants to answer the previous question again."""


def accept_any(_answer: str) -> str:
    """Accept every answer."""
    return ""


def ask(
    text: str, default: str, check: Check = accept_any, *, hidden: bool = False
) -> str:
    """Ask a question until the answer is valid; raises Back for a single ``<``."""
    while True:
        answer = _prompt(text, default, hidden=hidden)
        if answer == BACK:
            raise Back
        error = check(answer)
        if not error:
            return answer
        say(f"{error}\n")


def confirm(text: str, *, default: bool = True) -> bool:
    """Ask a yes-or-no question; raises Back for a single ``<``."""
    hint = "Y/n" if default else "y/N"
    answer = ask(f"{text} [{hint}]", "", _yes_or_no_error)
    return YES_OR_NO.get(answer.lower(), default)


def _yes_or_no_error(answer: str) -> str:
    is_valid = not answer or answer.lower() in YES_OR_NO
    return "" if is_valid else f'"{answer}" is neither y (yes) nor n (no)'


def ask_in_order(steps: Sequence[Callable[[], None]]) -> None:
    """Run *steps* in order; if one raises Back, return to the previous step.

    If the first step raises Back, the caller gets it.
    """
    index = 0
    while index < len(steps):
        try:
            steps[index]()
        except Back:
            if not index:
                raise
            index -= 1
        else:
            index += 1


def _prompt(text: str, default: str, *, hidden: bool) -> str:
    try:
        answer: str = click.prompt(
            text, default=default, show_default=bool(default), hide_input=hidden
        )
    except click.Abort as end:
        raise _no_answer() from end
    return answer.strip()


def _no_answer() -> Exception:
    """Return Abort for a terminal, UsageError without one."""
    if sys.stdin is not None and sys.stdin.isatty():
        return click.Abort()
    return click.UsageError(
        "no terminal to answer questions: use --yes and --system ID"
    )


def folder_error(text: str) -> str:
    """Return why *text* is not usable as the data folder, empty if it is.

    What others may still do, such as create it, is named with the command.
    """
    if text.lower() in {"y", "yes", "n", "no"}:
        return "enter a folder, such as ~/bikes, or nothing for the one in brackets"
    return impossible_folder(text) or unwritable_folder(text)


def impossible_folder(text: str) -> str:
    """Return why the folder *text* can have no data, empty if it can."""
    try:
        place = Path(text).expanduser().absolute()
        if "$" in text and not place.exists():
            return f"{text}: $ is not replaced here: write ~, or the whole path"
        problem = machine.unusable(place, machine.nearest_existing(place))
    except (OSError, RuntimeError, ValueError) as error:
        return f"{text}: {error}"
    return problem[0] if problem else ""


def unwritable_folder(text: str) -> str:
    """Return why this user cannot write to the folder *text*, and a command."""
    place = Path(text).expanduser().absolute()
    problem = machine.not_creatable(place / "system")
    return "; ".join(problem) if problem else ""
