"""``bikecollect forget``: accept a loss."""

import time
from itertools import takewhile

import click

from bikecollect.cli.completion import complete_configured
from bikecollect.cli.each_system import Attempts
from bikecollect.cli.options import Shared, words_in_order
from bikecollect.cli.printing import say
from bikecollect.core import process
from bikecollect.core.errors import UsageError
from bikecollect.core.process import Times
from bikecollect.wiring import repairs


@click.command()
@click.argument("system_id", metavar="SYSTEM", shell_complete=complete_configured)
@click.argument("whats", nargs=-1, required=True, metavar="WHAT...")
@click.option("--reason", default="", help="Why it is lost, for the note.")
@click.pass_context
def forget(
    ctx: click.Context, *, system_id: str, whats: tuple[str, ...], reason: str
) -> int:
    """Accept a loss of data: it is no longer reported.

    More systems may follow the first one: SYSTEM SYSTEM... WHAT.

    WHAT is a day (2026-11-22), a daily file (station_status/2026-11-22.csv), the id of
    a run, or earlier-data: all that a folder had before it was lost and begun anew.
    Only data that can no longer be read is removed from the ledger, which keeps a note
    of it; `status`, `verify` and `compact` then no longer report it. Its slots become
    gaps, except for earlier data: the history then begins with the new folder. Try
    `verify --repair` and `backfill` first.
    """
    settings = ctx.ensure_object(Shared).settings()
    more = tuple(takewhile(settings.systems.__contains__, whats[:-1]))
    with words_in_order(settings, whats[-1:], ("forget", whats[-1], system_id)):
        names = settings.chosen((system_id, *more))
    times = Times(time.time, time.monotonic, process.Stop())
    attempts = Attempts(names, UsageError)
    for name in names:
        with attempts.on(name):
            for item in whats[len(more) :]:
                say(f"{name}: {repairs.forget(settings, name, times, item, reason)}\n")
    return attempts.code
