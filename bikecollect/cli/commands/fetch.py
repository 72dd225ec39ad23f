"""``bikecollect fetch``: collect one snapshot of each system."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from bikecollect.cli.completion import systems_argument
from bikecollect.cli.log_setup import show_progress
from bikecollect.cli.options import Shared, shard_option
from bikecollect.cli.printing import is_on_terminal, mention, mention_json

if TYPE_CHECKING:
    from bikecollect.core.errors import BikecollectError
    from bikecollect.setup.settings import Settings

UNTIL_SETTINGS = 300
"""Seconds of a slot until the settings are read, which may lie on a disk that hangs."""
HANG = 0.8
"""Share of the time until the alarm after which the data folder is taken to hang."""

log = logging.getLogger(__name__)


@click.command()
@systems_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json: one object per line and system, for scripts.",
)
@shard_option
@click.option("--dry-run", is_flag=True, help="Fetch and read, but write nothing.")
@click.pass_context
def fetch(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    form: str,
    shard: str,
    dry_run: bool,
) -> int:
    """Collect one snapshot of each SYSTEM into today's file.

    Without SYSTEM, all systems of the settings are fetched in parallel; without
    settings, Taipei's YouBike. On success nothing is printed, unless it is run in a
    terminal.
    """
    from bikecollect.collect.reporting.run_lines import run_line, runs_json
    from bikecollect.core import process
    from bikecollect.storage.files.renamed import RenamedError
    from bikecollect.wiring.collection import collect

    process.arm(UNTIL_SETTINGS)
    ctx.call_on_close(process.disarm)
    shared = ctx.ensure_object(Shared)
    reading = _timer(UNTIL_SETTINGS, partial(_report_hung_settings, shared.config))
    ctx.call_on_close(reading.cancel)
    settings = _settings(replace(shared, shard=shard or shared.shard))
    reading.cancel()
    stop = process.Stop()
    process.listen(stop)
    process.arm(settings.seconds)
    hanging = _hang_timer(settings, time.time())
    ctx.call_on_close(hanging.cancel)
    _hand_over_failed_calls(settings)
    show_progress(f"fetching {', '.join(system_ids or settings.systems)} ...")
    try:
        runs = collect(
            settings, system_ids, stop=stop, dry=dry_run, reached=hanging.cancel
        )
    except RenamedError:
        settings = _settings(replace(shared, shard=shard or shared.shard))
        runs = collect(settings, system_ids, stop=stop, dry=dry_run)
    show_progress("")
    with suppress(OSError):  # the slots are collected even if the output fails
        if form == "json":
            mention_json(runs_json(runs, settings.zones()))
        elif dry_run:
            local = settings.zones()
            lines = [run_line(run, local[run.system_id]) for run in runs]
            mention("".join(f"{line}\n" for line in lines))
    return max(run.exit_code for run in runs)


def _settings(shared: Shared) -> "Settings":
    """Return the settings; alerts report when they become unusable or usable again."""
    from bikecollect.core.errors import SettingsError
    from bikecollect.wiring.alerting import report_settings

    try:
        settings = shared.settings_for_fetch()
    except SettingsError as error:
        from bikecollect.setup.loader import read_alert_settings

        text = "the settings could not be used"
        _note_failed_call(shared.config, SettingsError(text), time.time())
        ways = read_alert_settings(shared.config)
        if ways is not None:
            report_settings(ways, error)
        raise
    if settings.source:
        report_settings(settings, None)
    if settings.mail_error:
        level = logging.WARNING if is_on_terminal() else logging.INFO
        log.log(level, "no mails can be sent: %s", settings.mail_error)
    return settings


def _hand_over_failed_calls(settings: "Settings") -> None:
    """Leave a note of each earlier call that failed in the folders of the systems.

    The data folder may still hang: it is not touched before the timer runs.
    """
    from bikecollect.wiring.alerting import failed_calls_path

    if settings.source and (calls := failed_calls_path(settings.source)).exists():
        from bikecollect.storage.runs import failed_calls

        now, names = time.time(), settings.collectable(())
        systems = [settings.system_folder(name, now) for name in names]
        failed_calls.hand_over(calls, systems)


def _hang_timer(settings: "Settings", now: float) -> threading.Timer:
    """Return a timer, which runs, for a call at *now* whose data folder hangs.

    The alarm ends the call then, before it can record anything there.
    """
    return _timer(settings.seconds, partial(_report_hang, settings, now))


def _timer(interval: int, report: Callable[[float], object]) -> threading.Timer:
    """Return a timer, which runs, for a call with the alarm of *interval* seconds.

    *report* is called some time before the alarm, with the seconds since now.
    """
    from bikecollect.core.process import ALARM_FLOOR, ALARM_SHARE

    seconds = HANG * max(ALARM_FLOOR, interval * ALARM_SHARE)
    timer = threading.Timer(seconds, report, [seconds])
    timer.daemon = True
    with suppress(RuntimeError):  # no thread is left
        timer.start()
    return timer


def _report_hung_settings(config: str | None, seconds: float) -> None:
    """Tell people that the disk of the settings or of the home does not answer.

    Nothing can be mailed: the settings are not known, or the home keeps the mails.
    """
    from bikecollect.cli.printing import complain
    from bikecollect.cli.watching.hung_disk import hung_place, places_of_user, words

    place = hung_place(places_of_user(config))
    if place is not None:
        complain(words(place, seconds))


def _report_hang(settings: "Settings", now: float, seconds: float) -> None:
    """Note for a later call, and tell people, that the data folder does not answer."""
    from bikecollect.cli.watching.hung_disk import mail_or_complain, words
    from bikecollect.core.errors import StorageError
    from bikecollect.core.process import deadline

    error, part = StorageError(words(settings.data, seconds)), _left(seconds) / 3
    with suppress(Exception):  # the home may hang, too: people are told all the same
        deadline(partial(_note_failed_call, settings.source, error, now), part)
    mail_or_complain(settings, str(error), part)


def _left(seconds: float) -> float:
    """Return the seconds until the alarm, *seconds* after it was set."""
    return seconds * (1 - HANG) / HANG


def _note_failed_call(
    config: str | None, error: "BikecollectError", now: float
) -> None:
    """Note that the call at *now* failed by *error*; a later one records it.

    *error* names no value of the settings, which may be secret.
    """
    from bikecollect.core import process
    from bikecollect.core.run import Run
    from bikecollect.core.slots import Slot
    from bikecollect.setup import settings_file
    from bikecollect.storage.runs import failed_calls
    from bikecollect.wiring.alerting import failed_calls_path

    if (file := settings_file.find(config)) is None:
        return
    run = Run(
        process.run_id(),
        "settings",
        Slot(int(now)),
        now,
        process.boot_id(),
        process.uptime(),
        finished=now,
        awake=process.awake(),
    )
    failed_calls.note(failed_calls_path(str(file.absolute())), run.failed(error))
