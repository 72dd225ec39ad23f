"""What commands share."""

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TextIO

import click

from bikecollect.core.text import Redact, redactor, unredacted

if TYPE_CHECKING:
    from bikecollect.setup.settings import Settings


class Screen:
    """What is printed goes through here, so that no secret does.

    *lost* is why a result could not be written, None while all could.
    """

    redact: Redact = staticmethod(unredacted)
    lost: OSError | None = None


@dataclass(frozen=True)
class Shared:
    """The group's options, for its commands; *config* is a path, None for none."""

    config: str | None = None
    log_format: str | None = None

    def settings(self) -> "Settings":
        """Return the settings; raises SettingsError."""
        from bikecollect.setup.loader import load  # noqa: PLC0415 - not for --help

        settings = load(self.config)
        Screen.redact = redactor(settings.secrets())
        if self.log_format is None:
            return settings
        return replace(settings, log=replace(settings.log, format=self.log_format))


def output() -> TextIO:
    """Return standard output for much text: UTF-8, and no line end is changed."""
    return open(1, "w", encoding="utf-8", newline="", closefd=False)


def say(text: str) -> None:
    """Print the result *text*; where that fails, the command ends with 74 (`main`).

    The work that it tells of goes on. A reader that has seen enough is no failure.
    """
    try:
        mention(text)
    except BrokenPipeError:
        return
    except OSError as error:
        Screen.lost = error


def mention(text: str) -> None:
    """Print *text*; raises OSError where it cannot be written."""
    # https://no-color.org: any value but an empty one.
    colour = False if os.environ.get("NO_COLOR") else None
    click.echo(Screen.redact(text), nl=False, color=colour)
