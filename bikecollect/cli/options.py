"""What commands share."""

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bikecollect.config import Settings


@dataclass(frozen=True)
class Shared:
    """The group's options, for its commands; *config* is a path, None for none."""

    config: str | None

    def settings(self) -> "Settings":
        """Return the settings; raises SettingsError."""
        from bikecollect.config import load  # noqa: PLC0415 - not for --help

        return load(self.config)


def say(text: str) -> None:
    """Print *text* as it is; a reader that is gone or full changes nothing."""
    with suppress(OSError):
        click.echo(text, nl=False)
