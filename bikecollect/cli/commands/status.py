"""``bikecollect status``: the status of each system."""

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from math import inf
from pathlib import Path

import click

from bikecollect.alerts.system_state import stored_incidents
from bikecollect.cli.completion import complete_configured
from bikecollect.cli.log_setup import progress
from bikecollect.cli.options import Shared, complain, emit, say, say_json
from bikecollect.cli.output_file import written
from bikecollect.cli.render.monitoring.metrics import metrics
from bikecollect.cli.render.status import (
    alerts,
    as_json,
    nagios_level,
    nagios_summary,
    screen,
    unattended,
)
from bikecollect.core import process
from bikecollect.core.errors import BikecollectError, StorageError, UsageError
from bikecollect.core.process import Times
from bikecollect.reports.health import WINDOWS
from bikecollect.reports.status import Standing, survey
from bikecollect.setup.scheduler import crontab, timers
from bikecollect.setup.settings import Settings
from bikecollect.storage.data_folder import state_problem
from bikecollect.wiring.late_mail import mail_problems

TROUBLE = 1
ALERTS = frozenset({"alert", "nagios"})
_PRINT = {"text": say, "json": say_json, "prometheus": emit}
WATCH = 10.0
ALL_READ = 0o644


@click.command()
@click.argument(
    "system_ids", nargs=-1, metavar="[SYSTEM]...", shell_complete=complete_configured
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
    help="As --alert, but with the first line and the exit codes of a Nagios plugin.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "prometheus"]),
    default="text",
    help="json: one object per line and system; prometheus: metrics.",
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to FILE in one step, for node_exporter's textfile collector.",
)
@click.option(
    "--watch",
    metavar="[SECONDS]",
    is_flag=False,
    flag_value=WATCH,
    type=click.FloatRange(min=0.5),
    help=f"Refresh the screen every so many seconds ({WATCH:.0f}), until Ctrl-C.",
)
@click.pass_context
def status(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    alert: bool,
    mail: bool,
    nagios: bool,
    form: str,
    output: Path | None,
    watch: float | None,
) -> int:
    """Show the status of each SYSTEM: last run, last 24 hours, incidents.

    Reads only files on disk. Each mark of the strip is a slot of the last 24 hours
    (with an interval below five minutes: the worst slot of five minutes).

    With --alert a system or settings file that cannot be read is a problem, too. With
    --nagios the exit code is 0 (OK), 1 (WARNING), 2 (CRITICAL: late, or slots are
    lost) or 3 (UNKNOWN: something cannot be read). The metric `bikecollect_up` is 0
    for what cannot be read.

    With --alert --mail, for a schedule, nothing is printed; mail.to gets a mail if no
    run has started for a while, or files are damaged or missing. The same problem is
    mailed once a day. What `fetch` observes, it mails itself.
    """
    shared = ctx.ensure_object(Shared)
    mode = _mode(form, nagios=nagios, alert=alert, mail=mail)
    try:
        settings = shared.settings() if mode == form else shared.settings_for_cron()
    except BikecollectError as unreadable:
        if mode in {"text", "json"}:
            raise
        errors = {"": unreadable}
        _publish(_report(mode, [], errors), form, output)
        return _exit_code(mode, [], errors)
    while True:
        # Only the screen has a line about the schedule, and `crontab -l` takes time.
        scheduled = _is_scheduled(settings) if mode == "text" else None
        windows = {} if mode in ALERTS else WINDOWS
        waiting = nullcontext() if watch else progress("reading ledger and files ...")
        with waiting:
            standings, errors = _survey(
                settings, system_ids, windows, scheduled=scheduled
            )
        if mode in ALERTS:
            errors |= _state_error()
        is_mailed = mail and _is_mailed(settings, standings, errors)
        text = "" if is_mailed else _report(mode, standings, errors)
        if mode == "text":
            text += f"\n{_source(settings)}\n"
        if watch and output is None:
            click.clear()
        _publish(text, form, output)
        if mode not in ALERTS:
            for error in errors.values():
                complain(str(error))
        if not watch:
            break
        time.sleep(watch)
    return _exit_code(mode, standings, errors)


def _mode(form: str, *, nagios: bool, alert: bool, mail: bool) -> str:
    """Return what is printed: nagios, alert or a format."""
    if mail and not alert:
        raise UsageError("--mail requires --alert")
    return "nagios" if nagios else "alert" if alert else form


def _state_error() -> dict[str, BikecollectError]:
    """Return why the state of the alerts cannot be kept, empty if it can."""
    problem = state_problem()
    return {"": StorageError("; run: ".join(problem))} if problem else {}


def _is_mailed(
    settings: Settings,
    standings: Sequence[Standing],
    errors: Mapping[str, BikecollectError],
) -> bool:
    """Mail what only this command can report; return whether a person knows of it."""
    problems = unattended(standings, errors, time.monotonic())
    times = Times(time.time, time.monotonic, process.Stop())
    return mail_problems(settings, problems, times)


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


def _publish(text: str, form: str, output: Path | None) -> None:
    if output is None:
        _PRINT[form](text)
        return
    with written(output, ALL_READ) as out:
        out.write(text)


def _exit_code(
    mode: str, standings: Sequence[Standing], errors: Mapping[str, BikecollectError]
) -> int:
    if mode == "nagios":
        return nagios_level(standings, errors)
    in_trouble = any(standing.health.in_trouble for standing in standings)
    if mode == "alert":
        return TROUBLE if in_trouble or errors else 0
    return max((error.exit_code for error in errors.values()), default=0)


def _source(settings: "Settings") -> str:
    """Return a line that names the settings file in use."""
    return f"settings: {settings.source or 'no file; using defaults'}"


def _is_scheduled(settings: Settings) -> bool | None:
    """Return whether cron or systemd starts the runs; None if that is unknown."""
    try:
        path = Path(settings.source) if settings.source else None
        return timers.timer(path) is not None or crontab.is_in_a_crontab()
    except BikecollectError:  # no `crontab` program here
        return None


def _written(settings: Settings) -> float:
    """Return when the settings were written; infinity if that is unknown."""
    try:
        return Path(settings.source).stat().st_mtime if settings.source else inf
    except OSError:
        return inf


def _survey(
    settings: Settings,
    system_ids: Sequence[str],
    windows: Mapping[str, int],
    *,
    scheduled: bool | None,
) -> tuple[list[Standing], dict[str, BikecollectError]]:
    """Return the status of each system, and the errors of those not readable."""
    standings: list[Standing] = []
    errors: dict[str, BikecollectError] = {}
    for name in settings.chosen(system_ids):
        system = settings.system_folder(name)
        try:
            standings.append(
                survey(
                    system,
                    now=time.time(),
                    noted=stored_incidents(system),
                    scheduled=scheduled,
                    windows=windows,
                    configured=_written(settings),
                    mirror=settings.archive.mirror,
                )
            )
        except BikecollectError as error:
            errors[name] = error
        except OSError as error:
            errors[name] = StorageError(f"cannot read {system.path}: {error}")
    return standings, errors
