"""``bikecollect status``: the status of each system."""

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import click

from bikecollect.alerts.system_state import stored_incidents
from bikecollect.archive.mirror.address import is_address
from bikecollect.cli.completion import systems_argument
from bikecollect.cli.forms import Forms
from bikecollect.cli.log_setup import progress
from bikecollect.cli.options import Shared
from bikecollect.cli.output_file import written
from bikecollect.cli.printing import complain, emit, say, say_json
from bikecollect.cli.render.programs.metrics import metrics
from bikecollect.cli.render.programs.status_json import as_json
from bikecollect.cli.render.status import (
    alerts,
    elsewhere,
    nagios_level,
    nagios_summary,
    noted,
    screen,
    table,
    unattended,
)
from bikecollect.cli.surveying.systems import survey_systems
from bikecollect.cli.watching import hung_disk
from bikecollect.core import process
from bikecollect.core.errors import BikecollectError, StorageError, UsageError
from bikecollect.core.process import Times
from bikecollect.core.text import to_run, visible
from bikecollect.reports.health import WINDOWS
from bikecollect.reports.status import Standing
from bikecollect.setup.checks.machine import state_problem
from bikecollect.setup.checks.uncollected_folders import mentions
from bikecollect.setup.scheduler import cron_schedule, systemd_schedule
from bikecollect.setup.settings import Settings
from bikecollect.wiring.late_mail import mail_problems

TROUBLE = 1
ALERTS = frozenset({"alert", "nagios"})
NAMED = {".prom": "prometheus", ".json": "json"}
"""The form of an output file by its name, unless --format is given."""
_PRINT = {"text": say, "json": say_json, "prometheus": emit}
WATCH = 10.0
ALL_READ = 0o644


@click.command()
@systems_argument
@click.option(
    "--all",
    "is_all",
    is_flag=True,
    help="Show all systems of the settings files, folders and mirrors given instead of "
    "SYSTEM.",
)
@click.option(
    "--alert",
    is_flag=True,
    help="Print only problems, one line each; exit with 1 if there is any.",
)
@click.option(
    "--mail",
    is_flag=True,
    help="With --alert: mail only what `fetch` cannot report, once a day.",
)
@click.option(
    "--nagios",
    is_flag=True,
    help="Like --alert, with the first line and the exit codes of a Nagios plugin.",
)
@click.option(
    "--format",
    "form",
    type=Forms(["text", "json", "prometheus"]),
    help="json: one object per line and system; prometheus: metrics. Default: text, or "
    "by the name of --output.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to FILE atomically, such as bikes.prom for node_exporter's textfile "
    "collector, or status.json.",
)
@click.option(
    "--watch",
    metavar="[SECONDS]",
    is_flag=False,
    flag_value=WATCH,
    type=click.FloatRange(min=0.5),
    help=f"Refresh the screen every few seconds ({WATCH:.0f}), until Ctrl-C.",
)
@click.pass_context
def status(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    is_all: bool,
    alert: bool,
    mail: bool,
    nagios: bool,
    form: str | None,
    output: Path | None,
    watch: float | None,
) -> int:
    """Show each SYSTEM's last run, last 24 hours and incidents.

    Reads only files on disk. Each mark of the strip is a slot of the last 24 hours
    (with an interval below five minutes: the worst slot of five minutes).

    With --alert a system or settings file that cannot be read is a problem, too. With
    --nagios the exit code is 0 (OK), 1 (WARNING), 2 (CRITICAL: late, or slots are
    lost) or 3 (UNKNOWN: something cannot be read). The metric `bikecollect_up` is 0
    for what cannot be read.

    With --all, each system of several settings files is one line, those in trouble
    first: `status --all /srv/*/bikecollect.toml`. For a folder its bikecollect.toml is
    used, or those in its subfolders. For a mirror such as s3://bucket/prefix the
    archived days are shown; a system is late if nothing has arrived for two days.

    With --alert --mail, for a schedule, nothing is printed; mail.to gets a mail if no
    run has started for a while, or if files are damaged or missing. The same problem is
    mailed once a day. `fetch` mails the problems that it observes itself.
    """
    shared = ctx.ensure_object(Shared)
    form = form or NAMED.get(output.suffix if output else "", "text")
    mode = _mode(form, nagios=nagios, alert=alert, mail=mail)
    tell = partial(_tell_hung, mode, form, output, is_mail=mail)
    if is_all:
        if mode in {"nagios", "prometheus"} or mail or watch:
            raise UsageError("with --all only --alert, --format json and --output work")
        disks = hung_disk.watch(tell if mode in ALERTS else hung_disk.complain_and_mail)
        disks.places += [Path(p) for p in system_ids if not is_address(p)]
        return _show_all(system_ids, mode, form, output)
    try:
        settings = shared.settings() if mode == form else shared.settings_for_cron(tell)
    except BikecollectError as unreadable:
        if mode in {"text", "json"}:
            raise
        errors = {"": unreadable}
        _publish(_report(mode, [], errors), form, output)
        return _exit_code(mode, [], errors)
    while True:
        code, is_seen = _show(
            settings,
            system_ids,
            mode,
            form,
            output,
            is_mail=mail,
            is_watched=bool(watch),
        )
        if not (watch and is_seen):
            return code
        time.sleep(watch)


def _show(
    settings: Settings,
    system_ids: tuple[str, ...],
    mode: str,
    form: str,
    output: Path | None,
    *,
    is_mail: bool,
    is_watched: bool,
) -> tuple[int, bool]:
    """Print the status of the systems once; return the exit code.

    Also returns whether it was printed: the reader may have closed the pipe.
    """
    # Only the screen has a line about the schedule, and `crontab -l` takes time.
    scheduled = _is_scheduled(settings) if mode == "text" else None
    windows = {} if mode in ALERTS else WINDOWS
    waiting = nullcontext() if is_watched else progress("reading ledger and files ...")
    with waiting:
        standings, errors = survey_systems(
            settings, system_ids, windows, scheduled=scheduled
        )
    if mode in ALERTS:
        errors = {**_state_error(), **errors}
    is_mailed = is_mail and _is_mailed(settings, standings, errors)
    text = "" if is_mailed else _report(mode, standings, errors)
    if mode in {"text", *ALERTS} and not is_mailed:
        unread = [settings.system_folder(name) for name in errors if name]
        if mode == "text":
            text += "".join(f"{s.system_id}: cannot be read\n" for s in unread)
        text += noted({system: stored_incidents(system) for system in unread})
    if mode == "text":
        text += _about_settings(settings) + "".join(map(elsewhere, standings))
    if is_watched and output is None:
        click.clear()
    is_seen = _publish(text, form, output)
    if mode not in ALERTS:
        for error in errors.values():
            complain(str(error))
    return _exit_code(mode, standings, errors), is_seen


def _show_all(
    places: tuple[str, ...], mode: str, form: str, output: Path | None
) -> int:
    """Print the status of all systems of *places*; return the exit code."""
    from bikecollect.cli.surveying.several import survey_all  # heavy, seldom needed

    with progress("reading ledgers and mirrors ..."):
        systems, errors = survey_all(places)
    if mode == "json":
        text = "".join(f"{system.json}\n" for system in systems)
    elif mode == "alert":
        text = "".join(f"{name}: {error}\n" for name, error in errors.items())
        text += "".join(system.problems for system in systems)
    else:
        text = table([system.overview for system in systems])
    _publish(text, form, output)
    if mode == "alert":
        return TROUBLE if text else 0
    for name, error in errors.items():
        complain(f"{name}: {error}")
    return max((error.exit_code for error in errors.values()), default=0)


def _mode(form: str, *, nagios: bool, alert: bool, mail: bool) -> str:
    """Return the kind of output: nagios, alert or a format."""
    if mail and not alert:
        raise UsageError("--mail requires --alert")
    return "nagios" if nagios else "alert" if alert else form


def _state_error() -> dict[str, BikecollectError]:
    """Return the error if the alert state cannot be kept, else empty."""
    problem = state_problem()
    if not problem:
        return {}
    text, remedy = problem
    return {"": StorageError(f"{text}; {to_run(remedy)}")}


def _is_mailed(
    settings: Settings,
    standings: Sequence[Standing],
    errors: Mapping[str, BikecollectError],
) -> bool:
    """Mail problems that only this command reports; return if people were informed."""
    problems = unattended(standings, errors, time.monotonic())
    times = Times(time.time, time.monotonic, process.Stop())
    judged = {"", *errors, *(standing.system_id for standing in standings)}
    return mail_problems(settings, problems, times, judged=judged)


def _tell_hung(
    mode: str,
    form: str,
    output: Path | None,
    settings: Settings | None,
    text: str,
    *,
    is_mail: bool,
) -> int:
    """Report *text*, about a disk that hangs; return the exit code.

    A `fetch` that waits for the data folder alerts people, too; one that does not
    start, or whose home hangs as well, cannot.
    """
    errors: dict[str, BikecollectError] = {"": StorageError(text)}
    own = settings if is_mail else None
    if own is None or not hung_disk.is_mailed(own, text, hung_disk.MAILING):
        _publish(_report(mode, [], errors), form, output)
    return _exit_code(mode, [], errors)


def _report(
    mode: str, standings: Sequence[Standing], errors: Mapping[str, BikecollectError]
) -> str:
    """Return the report; *mode* is a format, alert or nagios."""
    if mode == "json":
        return "".join(f"{as_json(standing)}\n" for standing in standings)
    if mode == "prometheus":
        return metrics(standings, errors)
    if mode == "text":
        return screen(standings)
    lines = alerts(standings, errors)
    if mode == "alert":
        return lines
    level = nagios_level(standings, errors)
    return f"BIKECOLLECT {level.name}: {nagios_summary(standings, errors)}\n{lines}"


def _publish(text: str, form: str, output: Path | None) -> bool:
    """Print *text*, or write it to *output*; return whether it was printed."""
    if output is None:
        return _PRINT[form](text)
    with written(output, ALL_READ) as out:
        out.write(click.unstyle(text))
    return True


def _exit_code(
    mode: str, standings: Sequence[Standing], errors: Mapping[str, BikecollectError]
) -> int:
    if mode == "nagios":
        return nagios_level(standings, errors)
    in_trouble = any(standing.health.in_trouble for standing in standings)
    if mode == "alert":
        return TROUBLE if in_trouble or errors else 0
    return max((error.exit_code for error in errors.values()), default=0)


def _about_settings(settings: Settings) -> str:
    """Return lines about the settings file in use: what it lacks, or names in vain."""
    lines = ["", f"settings: {settings.source or 'no file; using defaults'}"]
    if left := settings.unowned():
        names = ", ".join(visible(folder.name) for folder in left)
        lines.append(f"not in the settings, but in {settings.data}: {names}")
    return "".join(f"{line}\n" for line in (*lines, *mentions(settings)))


def _is_scheduled(settings: Settings) -> bool | None:
    """Return whether cron or systemd starts the runs; None if that is unknown."""
    try:
        path = Path(settings.source) if settings.source else None
        return (
            systemd_schedule.timer(path) is not None or cron_schedule.is_in_a_crontab()
        )
    except BikecollectError:  # no `crontab` program here
        return None
