"""``bikecollect push``: copy the history to the mirror."""

import time

import click

from bikecollect.cli.completion import systems_argument
from bikecollect.cli.forms import lines_option
from bikecollect.cli.mirror_copy import copy_to_mirror
from bikecollect.cli.options import Shared
from bikecollect.cli.printing import complain, say
from bikecollect.core import process
from bikecollect.core.errors import ExitCode
from bikecollect.core.process import Times
from bikecollect.storage.repair.lost_days import find_lost_days


@click.command()
@systems_argument
@click.option(
    "--live", is_flag=True, help="Copy only the days that are not archived yet."
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@lines_option
@click.pass_context
def push(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    live: bool,
    quiet: bool,
    form: str,
) -> int:
    """Copy the archive of each SYSTEM to an object store.

    The store, called the mirror, is `archive.mirror` of the settings. Only new files
    are sent; each is read back, and its sha256 compared. Nothing is deleted in the
    mirror. The command may be killed at any time: the next call continues. `compact`
    ends with a push.

    With --live (for a separate cron line) the daily files that are not archived yet,
    the list of stations and the ledger are copied to `live/` in the mirror, replacing
    the previous copy. If the machine is lost, only the slots since then are lost.
    """
    shared = ctx.ensure_object(Shared)
    settings = shared.settings_for_cron() if quiet else shared.settings()
    stop = process.Stop()
    process.listen(stop)
    times = Times(time.time, time.monotonic, stop)
    names = settings.chosen(system_ids)
    copied = copy_to_mirror(settings, names, times, form=form, quiet=quiet, live=live)
    if (
        copied.code == ExitCode.OK
        and not copied.days
        and form == "text"
        and not quiet
        and not live
    ):
        say("Nothing to do: the mirror has every archived day.\n")
        for name in names:
            for lost in find_lost_days(settings.system_folder(name)):
                complain(f"{name}: {lost.text}")
    return copied.code
