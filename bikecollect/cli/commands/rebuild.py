"""``bikecollect rebuild``: rewrite a file from the ledger."""

import time

import click

from bikecollect.cli.completion import systems_argument
from bikecollect.cli.log_setup import progress
from bikecollect.cli.options import Shared
from bikecollect.cli.printing import say
from bikecollect.core import process
from bikecollect.core.process import Times
from bikecollect.wiring import repairs


@click.command()
@click.argument("what", type=click.Choice(["stations"]))
@systems_argument
@click.pass_context
def rebuild(ctx: click.Context, *, what: str, system_ids: tuple[str, ...]) -> None:
    """Rewrite each SYSTEM's list of stations from the ledger.

    station_information.csv is written with its header and all versions in the ledger. A
    list with other content is moved to payloads/rejected.
    """
    settings = ctx.ensure_object(Shared).settings()
    times = Times(time.time, time.monotonic, process.Stop())
    for name in settings.chosen(system_ids):
        with progress(f"{name}: reading the ledger ..."):
            texts = repairs.rebuild_stations(settings, name, times)
        for text in texts or [f"the ledger has no {what}"]:
            say(f"{name}: {text}\n")
