"""``bikecollect rename``: give a system another name."""

import tomllib
from dataclasses import fields
from functools import partial
from pathlib import Path

import click

from bikecollect.cli.completion import complete_configured
from bikecollect.cli.options import Shared, words_in_order
from bikecollect.cli.printing import say
from bikecollect.core.errors import SettingsError
from bikecollect.core.text import visible_toml
from bikecollect.setup import loader, settings_file
from bikecollect.setup.settings import Settings, System
from bikecollect.storage.repair.rename import SystemRename

IMPLIED = ("feed", "url", "timezone")
"""Settings that the catalogue supplies for a name."""


@click.command()
@click.argument("old", shell_complete=complete_configured)
@click.argument("new")
@click.pass_context
def rename(ctx: click.Context, *, old: str, new: str) -> None:
    """Rename the system OLD to NEW, with its data and settings.

    Its folder is renamed; its rows are not changed. The command waits up to a minute
    for a run of OLD to end. If it is interrupted, run it again.
    """
    shared = ctx.ensure_object(Shared)
    settings = shared.settings()
    file = settings_file.required(shared.config)
    with words_in_order(settings, (new,), ("rename", new, old)):
        settings.chosen((old,))
    if new in settings.systems:
        raise SettingsError(f'the settings already have a system "{new}"')
    renaming = SystemRename(settings.data, old, new)
    renaming.check()
    target = file.resolve()
    text = settings_file.read(file)
    implied = _implied(text, settings, old)
    changed = settings_file.with_renamed_system(text, old, new, implied)
    _check(settings, loader.read_text(target, changed), old, new)
    # Before anything is moved: it must not be found then that they cannot be written.
    with settings_file.prepared(target, changed, target.stat()) as put_in_place:
        moves = renaming.run(put_in_place, check=partial(_check_unchanged, file, text))
    say("".join(f"{move}\n" for move in (*moves, f"{file}: {old} -> {new}")))


def _check_unchanged(file: Path, text: str) -> None:
    """Raise SettingsError if *file* has not the *text* any more: it would be undone."""
    if settings_file.read(file) != text:
        raise SettingsError(f"{file} was changed meanwhile; run the same command again")


def _implied(text: str, settings: Settings, name: str) -> dict[str, str]:
    """Return the settings of *name* from the catalogue, as TOML values by key."""
    table = tomllib.loads(text).get("systems", {}).get(name, {})
    system = settings.systems[name]
    return {
        key: visible_toml(getattr(system, key)) for key in IMPLIED if key not in table
    }


def _check(before: Settings, after: Settings, old: str, new: str) -> None:
    """Raise SettingsError if the changed text has other settings for *new*."""
    names = [new if name == old else name for name in before.systems]
    same = list(after.systems) == names and all(
        getattr(after.systems[new], f.name) == getattr(before.systems[old], f.name)
        for f in fields(System)
    )
    if not same:
        raise SettingsError(
            f"cannot rename {old} in the settings: write it as a table "
            f"[systems.{old}] first; nothing was changed"
        )
