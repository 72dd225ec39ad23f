"""Shell completion of systems, reports, stations and outcomes."""

import csv
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from bikecollect.storage.data_folder import INFORMATION

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from bikecollect.setup.settings import Settings

MAX_STATIONS = 200
"""Maximum stations that are offered."""


def complete_system(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Return the ids of the catalogue that begin with *incomplete*."""
    from bikecollect.setup.catalogue import lookup  # only for a Tab

    entries = ((entry.system_id, entry.name) for entry in lookup.entries())
    return _matching(entries, incomplete)


def complete_configured(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Return the systems of the settings that begin with *incomplete*."""
    settings = _settings(ctx)
    systems = settings.systems.items() if settings else ()
    return _matching(((name, system.feed) for name, system in systems), incomplete)


def complete_feed(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Return the systems of the settings, then those of the catalogue."""
    own = complete_configured(ctx, parameter, incomplete)
    return own or complete_system(ctx, parameter, incomplete)


def complete_report(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Return the reports that begin with *incomplete*."""
    from bikecollect.reports.registry import REPORTS  # only for a Tab

    return _matching(((r.name, r.title) for r in REPORTS.values()), incomplete)


def complete_outcome(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Return the outcomes of runs that begin with *incomplete*."""
    from bikecollect.core.errors import Outcome  # only for a Tab

    words = [*(outcome.value for outcome in Outcome), "running"]
    return _matching(((word, "") for word in words), incomplete)


def complete_station(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Return the stations of the chosen systems whose id begins with *incomplete*."""
    return _matching(_stations(ctx), incomplete)[:MAX_STATIONS]


def _matching(
    values: Iterable[tuple[str, str]], incomplete: str
) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem  # only for a Tab

    begin = incomplete.casefold()
    matches = {
        value: text for value, text in values if value.casefold().startswith(begin)
    }
    return [CompletionItem(value, help=text) for value, text in matches.items()]


def _stations(ctx: click.Context) -> Iterator[tuple[str, str]]:
    settings = _settings(ctx)
    if settings is None:
        return
    for name in _chosen(ctx, settings):
        path = settings.system_folder(name).path / INFORMATION
        with (
            suppress(OSError, csv.Error, KeyError),
            path.open(encoding="utf-8", errors="replace", newline="") as file,
        ):
            for row in csv.DictReader(file):
                yield row["station_id"], row["name"]


def _chosen(ctx: click.Context, settings: "Settings") -> list[str]:
    named = [name for name in ctx.params.get("system_ids") or () if name]
    return [name for name in named if name in settings.systems] or [*settings.systems]


def _settings(ctx: click.Context) -> "Settings | None":
    """Return the settings, None if they cannot be read."""
    from bikecollect.core.errors import BikecollectError  # only for a Tab
    from bikecollect.setup.loader import load

    with suppress(BikecollectError, OSError):
        return load(ctx.find_root().params.get("config"))
    return None


systems_argument = click.argument(
    "system_ids", nargs=-1, metavar="[SYSTEM]...", shell_complete=complete_configured
)
"""The argument of commands for some systems of the settings, or all."""
system_option = click.option(
    "--system",
    multiple=True,
    help="Same as SYSTEM; repeatable.",
    shell_complete=complete_configured,
)
"""Option of the commands whose first argument may be no system."""
