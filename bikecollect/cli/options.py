"""What commands share."""

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TextIO

import click

from bikecollect.core.redact import Redact, nothing, redactor

if TYPE_CHECKING:
    from bikecollect.setup.settings import Settings


class Screen:
    """What is printed goes through here, so that no secret does."""

    redact: Redact = staticmethod(nothing)


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
    """Print *text* as it is; a reader that is gone or full changes nothing."""
    with suppress(OSError):
        # https://no-color.org: any value but an empty one.
        colour = False if os.environ.get("NO_COLOR") else None
        click.echo(Screen.redact(text), nl=False, color=colour)
