"""``bikecollect config``: show, check and edit the settings."""

import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import click

from bikecollect.cli.forms import object_option
from bikecollect.cli.options import Shared
from bikecollect.cli.printing import say, say_json
from bikecollect.cli.render import settings as screens
from bikecollect.collect.derived_columns import of_system
from bikecollect.core.errors import SettingsError, UsageError
from bikecollect.core.text import visible_json
from bikecollect.setup import loader, settings_file
from bikecollect.setup.checks.idle_settings import idle_mail, idle_settings
from bikecollect.setup.tables.checking import Problems
from bikecollect.setup.tables.values import checks_of_mapping

NONE = 1
EDITORS = ("VISUAL", "EDITOR")
"""Variables with the user's editor."""


@click.group()
def config() -> None:
    """Show, check or edit the settings file in use."""


@config.command()
@click.pass_context
def path(ctx: click.Context) -> int:
    """Print the path of the settings file in use.

    Exit code 1 if there is none.
    """
    shared = ctx.ensure_object(Shared)
    file = settings_file.find(shared.config)
    if file is None:
        shared.settings()  # reports it
        return NONE
    say(f"{file.absolute()}\n")
    return 0


@config.command()
@object_option
@click.pass_context
def show(ctx: click.Context, *, form: str) -> None:
    """Print all settings in effect, with defaults; secrets are masked."""
    settings = ctx.ensure_object(Shared).settings()
    if form == "json":
        say_json(f"{visible_json(screens.values(settings))}\n")
    else:
        say(screens.text(settings))


@config.command()
def keys() -> None:
    """Print every key with its meaning and its default, as TOML."""
    say(screens.keys())


@config.command()
@click.pass_context
def check(ctx: click.Context) -> None:
    """Check the settings file and the files that it names.

    Exit code 78 if there is an error. `bikecollect doctor` also checks feeds,
    folders and mail.
    """
    settings = ctx.ensure_object(Shared).settings()
    problems = Problems()
    problems.note([partial(loader.check_files, settings)])
    problems.note([partial(loader.check_certificates, settings)])
    for name, system in settings.systems.items():
        place = f"{settings.source}: systems.{name}"
        if system.feed == "mapped":
            problems.note(checks_of_mapping(place, system.mapping))
        with problems:
            own = of_system(name, system.columns, settings.source, settings.folder)
            problems.add(f"{place}.columns: {trouble}" for trouble in own.troubles)
    problems.refuse()
    if settings.source:
        names = ", ".join(settings.systems)
        default = " (default)" if settings.is_default_system else ""
        say(f"{settings.source} is valid; systems: {names}{default}\n")
    for text, remedy in (*idle_settings(settings), *idle_mail(settings.mail)):
        say(f"Note: {text}; {remedy}\n")


@config.command()
@click.pass_context
def edit(ctx: click.Context) -> None:
    """Edit the settings file in $VISUAL or $EDITOR.

    The editor gets a copy, which replaces the file only if it is valid.
    """
    shared = ctx.ensure_object(Shared)
    file = settings_file.required(shared.config)
    target = file.resolve()
    before = settings_file.read(file)
    text = _edit(target, before)
    if text is None:
        say("Nothing was changed.\n")
    elif not _has_text(file, before):
        aside = target.with_name(f"{target.name}.edited")
        settings_file.replace(aside, text)
        raise SettingsError(
            f"{file} was changed meanwhile, for example by `rename`; your text is in "
            f"{aside}: merge it"
        )
    else:
        settings_file.replace(target, text, target.stat())
        say(f"Saved: {file}\n")
        # Its mode may be too open for a new secret.
        loader.check_files(shared.settings())


def _has_text(file: Path, text: str) -> bool:
    """Return whether *file* has the *text*; not if it was removed."""
    with suppress(SettingsError):
        return settings_file.read(file) == text
    return False


def _edit(path: Path, text: str) -> str | None:
    """Return *text* as edited by the user; None if it is unchanged."""
    before = text
    while True:
        edited = _in_editor(text)
        if edited is None or edited == before:
            return None
        try:
            loader.read_text(path, edited)
        except SettingsError as error:
            say(f"{error}\n")
            if not click.confirm("Edit it again? (No: the file stays unchanged.)"):
                return None
            text = edited
        else:
            return edited


def _in_editor(text: str) -> str | None:
    """Return *text* as edited; raises UsageError if the editor fails."""
    editor = next(filter(None, map(os.environ.get, EDITORS)), "")
    if not (editor or (sys.stdin.isatty() and sys.stdout.isatty())):
        raise UsageError("an editor requires a terminal; or set $EDITOR to a program")
    try:
        return click.edit(text, extension=".toml", require_save=False)
    except click.ClickException as error:
        name = f" {editor}" if editor else ""
        if isinstance(error.__cause__, OSError):
            why = f"cannot be started: {error.__cause__.strerror}"
            problem = f"the editor{name} {why}; set $VISUAL or $EDITOR to yours"
        else:
            problem = f"the editor{name} ended with an error; nothing was changed"
        raise UsageError(problem) from error
