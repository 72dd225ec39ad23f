"""``bikecollect config``: which settings are in use, what they say, and edit them."""

from pathlib import Path

import click

from bikecollect.cli.options import Shared, say, say_json
from bikecollect.cli.render import settings as screens
from bikecollect.core.errors import SettingsError
from bikecollect.core.text import visible_json
from bikecollect.setup import first_run, loader, settings_file

NONE = 1


@click.group()
def config() -> None:
    """Show, check or edit the settings file in use."""


@config.command()
@click.pass_context
def path(ctx: click.Context) -> int:
    """Print the path of the settings file in use.

    Ends with 1 where there is none.
    """
    shared = ctx.ensure_object(Shared)
    found = settings_file.find(shared.config)
    if found is None:
        shared.settings()  # says so
        return NONE
    say(f"{found.absolute()}\n")
    return 0


@config.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.pass_context
def show(ctx: click.Context, *, form: str) -> None:
    """Print all settings in effect, with the defaults; secrets are starred."""
    settings = ctx.ensure_object(Shared).settings()
    if form == "json":
        say_json(f"{visible_json(screens.values(settings))}\n")
    else:
        say(screens.text(settings))


@config.command()
@click.pass_context
def check(ctx: click.Context) -> None:
    """Read the settings file and the files that it names, and say what is wrong.

    Ends with 78 where something is. `bikecollect doctor` also looks at feeds, folders
    and mail.
    """
    settings = ctx.ensure_object(Shared).settings()
    if settings.source:
        names = ", ".join(settings.systems)
        say(f"{settings.source} is right; it sets up: {names}\n")


@config.command()
@click.pass_context
def edit(ctx: click.Context) -> None:
    """Open the settings file in $VISUAL or $EDITOR; a mistake is never saved.

    The editor gets a copy, which takes the file's place when it is right.
    """
    shared = ctx.ensure_object(Shared)
    found = settings_file.find(shared.config)
    if found is None:
        raise SettingsError("no settings file; make one first: bikecollect init")
    real = found.resolve()
    mended = _edited(real, settings_file.text_of(found))
    if mended is None:
        say("Nothing was changed.\n")
    else:
        first_run.replace_text(real, mended)
        say(f"Saved: {found}\n")
        shared.settings()  # its mode may be too open for what it holds now


def _edited(path: Path, text: str) -> str | None:
    """Return *text* as the user's editor leaves it; None where it stays the same."""
    before = text
    while True:
        made = click.edit(text, extension=".toml", require_save=False)
        if made is None or made == before:
            return None
        try:
            loader.read_text(path, made)
        except SettingsError as error:
            say(f"{error}\n")
            if not click.confirm("Edit it again? (No: the file stays as it was.)"):
                return None
            text = made
        else:
            return made
