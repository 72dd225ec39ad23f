"""What commands share."""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bikecollect.settings import Settings


@dataclass(frozen=True)
class Shared:
    """The group's options, for its commands; *config* is a path, None for none."""

    config: str | None = None
    log_format: str | None = None

    def settings(self) -> "Settings":
        """Return the settings; raises SettingsError."""
        from bikecollect.config import load  # noqa: PLC0415 - not for --help

        settings = load(self.config)
        if self.log_format is None:
            return settings
        return replace(settings, log=replace(settings.log, format=self.log_format))


def say(text: str) -> None:
    """Print *text* as it is; a reader that is gone or full changes nothing."""
    with suppress(OSError):
        click.echo(text, nl=False)
