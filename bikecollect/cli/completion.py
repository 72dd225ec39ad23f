"""Shell completion of system ids."""

import click
from click.shell_completion import CompletionItem

from bikecollect.setup.catalogue import lookup


def complete_system(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the ids of the catalogue that begin with *incomplete*."""
    return [
        CompletionItem(entry.system_id, help=entry.name)
        for entry in lookup.entries()
        if entry.system_id.casefold().startswith(incomplete.casefold())
    ]
