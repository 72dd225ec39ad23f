"""``bikecollect forget``: accept a loss."""

import time

import click

from bikecollect.cli.completion import complete_configured
from bikecollect.cli.options import Shared
from bikecollect.cli.printing import say
from bikecollect.core import process
from bikecollect.core.process import Times
from bikecollect.wiring import repairs


@click.command()
@click.argument("system_id", metavar="SYSTEM", shell_complete=complete_configured)
@click.argument("whats", nargs=-1, required=True, metavar="WHAT...")
@click.option("--reason", default="", help="Why it is lost, for the note.")
@click.pass_context
def forget(
    ctx: click.Context, *, system_id: str, whats: tuple[str, ...], reason: str
) -> None:
    """Accept the loss of data of SYSTEM: its slots become gaps.

    WHAT is a day (2026-11-22), a daily file (station_status/2026-11-22.csv), the id of
    a run, or earlier-data: all of a folder that was gone and begun anew. Only data that
    cannot be read any more is removed from the ledger, which keeps a note of it;
    `status`, `verify` and `compact` then no longer report it. Try `verify --repair` and
    `backfill` first.
    """
    settings = ctx.ensure_object(Shared).settings()
    (name,) = settings.chosen((system_id,))
    times = Times(time.time, time.monotonic, process.Stop())
    for item in whats:
        say(f"{name}: {repairs.forget(settings, name, times, item, reason)}\n")
