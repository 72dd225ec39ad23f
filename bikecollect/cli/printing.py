"""Print results and complaints, without secrets or control characters."""

import io
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import click

from bikecollect.core.secrets.redact import Redact, redacted_json, unredacted
from bikecollect.core.text import PATH, visible

OURS = re.compile(r"(\x1b\[(?:0|1|22|3[0-7])m)")
"""The colours that are used; no other escape sequence is printed on a terminal."""

DENIED = "Permission denied"


class Screen:
    """The state of printing: *redact* removes secrets from everything printed.

    *config* is the settings file on the command line, *shard* the share; *lost* is the
    error if a result could not be printed, else None. *clear* removes the progress
    shown on a terminal: what is printed must not follow on its line.
    """

    clear: Callable[[], None] = staticmethod(lambda: None)
    redact: Redact = staticmethod(unredacted)
    config: str | None = None
    shard = ""
    lost: OSError | None = None

    @classmethod
    def person(cls, text: str) -> str:
        """Return *text* without secrets, with commands in the form that works here."""
        return addressed(cls.redact(text))


def is_on_terminal() -> bool:
    """Return whether what is logged is read by a person, not mailed by cron."""
    return sys.stderr is not None and sys.stderr.isatty()


def called(path: Path) -> str:
    """Return the command that runs this program with the settings file at *path*."""
    from bikecollect.setup import program  # only where it is printed

    return program.command_line(path, Path.cwd())


def addressed(text: str) -> str:
    """Return *text* with its commands in the form that works here, with full paths."""
    if "bikecollect " not in text and "pip install" not in text:
        return text
    from bikecollect.setup import program, settings_file  # only where it is printed

    command = program.command_line(
        settings_file.find(Screen.config), shard=Screen.shard
    )
    return program.expand_commands(text, command)


def output() -> TextIO:
    """Return standard output for data: UTF-8, line ends unchanged.

    On a terminal control characters are escaped; elsewhere every byte is kept.
    """
    kind = _Terminal if os.isatty(1) else io.TextIOWrapper
    return kind(open(1, "wb", closefd=False), encoding="utf-8", newline="")


class _Terminal(io.TextIOWrapper):
    def write(self, text: str) -> int:
        super().write(visible(text, lines=True))
        return len(text)


def say(text: str) -> bool:
    """Print the result *text*; if that fails, the command ends with 74 (`main`).

    The command itself continues. A closed pipe is not a failure. Secrets are removed
    and control characters escaped, except our own colours. Returns whether it was
    printed.
    """
    return _print(mention, text)


def say_json(text: str) -> bool:
    """Print lines of JSON like `say`; only texts in them are redacted."""
    return _print(mention_json, text)


def say_figures(text: str) -> bool:
    """Print *text*, which has only figures and names, like `say` without redaction.

    Returns whether it was printed.
    """
    return _print(_echo, _shown(text))


def say_step(line: str, json: str, form: str, *, is_error: bool, quiet: bool) -> None:
    """Print a step of a long command: its *line*, to stderr if it *is_error*.

    If *form* is json, its *json* is printed in any case; with *quiet* only errors are.
    """
    if form == "json":
        say_json(json)
    elif is_error:
        click.echo(Screen.person(line), err=True, nl=False)
    elif not quiet:
        say(line)


def emit(data: str) -> bool:
    """Print *data* (CSV or HTML) like `say`; escape it only on a terminal.

    Returns whether it was printed.
    """
    return _print(_echo, visible(data, lines=True) if sys.stdout.isatty() else data)


def _print(write: Callable[[str], None], text: str) -> bool:
    try:
        write(text)
    except BrokenPipeError:
        return False
    except OSError as error:
        Screen.lost = error
        return False
    return True


def mention(text: str) -> None:
    """Print *text* like `say`; raises OSError if that fails."""
    _echo(_shown(Screen.person(text)))


def mention_json(text: str) -> None:
    """Print *text* like `say_json`; raises OSError if that fails."""
    _echo(redacted_json(text, Screen.redact))


def complain(text: str) -> None:
    """Print *text* to stderr, after the program's name; failures are ignored.

    Blank lines in it, as in an error of DuckDB, are left out. If it is about a denied
    access to a file of another user, it ends with both users.
    """
    shown = Screen.person(text) + _users(text)
    first, *others = visible(shown, lines=True).split("\n")
    lines = [f"bikecollect: {first}", *filter(str.strip, others)]
    Screen.clear()
    with suppress(OSError):
        click.echo("\n  ".join(lines), err=True)


def _users(text: str) -> str:
    """Return whose the file is to which *text* says that access was denied, and not to.

    It is empty if the file is this user's, or *text* says something else.
    """
    paths: list[str] = PATH.findall(text) if DENIED in text else []
    # What stands between two paths, without a colon, is not of the first.
    paths.sort(
        key=lambda path: not (os.path.lexists(path) or Path(path).parent.is_dir())
    )
    denied = next((path for path in paths if not os.access(path, os.R_OK)), "")
    for place in (Path(denied), *Path(denied).parents) if denied else ():
        with suppress(OSError, KeyError):
            return _both_users(place)
    return ""


def _both_users(place: Path) -> str:
    """Return the owner of *place* and this user; raises OSError, KeyError."""
    import pwd  # seldom needed

    owner, own = place.stat().st_uid, os.geteuid()
    names = pwd.getpwuid(owner).pw_name, pwd.getpwuid(own).pw_name
    return (
        "" if owner == own else f"; it belongs to {names[0]}, this user is {names[1]}"
    )


def _shown(text: str) -> str:
    parts = OURS.split(text)
    parts[::2] = [visible(part, lines=True) for part in parts[::2]]
    return "".join(parts)


def _echo(text: str) -> None:
    # https://no-color.org: any value but an empty one.
    colour = False if os.environ.get("NO_COLOR") else None
    Screen.clear()
    click.echo(text, nl=False, color=colour)
