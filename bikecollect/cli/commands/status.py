"""``bikecollect status``: the status of each system."""

import time
from collections.abc import Sequence
from pathlib import Path

import click

from bikecollect.alerts.state import stored_incidents
from bikecollect.cli.options import Shared, complain, emit, say, say_json
from bikecollect.cli.output_file import written
from bikecollect.cli.render.status import alerts, as_json, metrics, screen
from bikecollect.core.errors import BikecollectError
from bikecollect.reports.status import Standing, survey
from bikecollect.setup import schedule
from bikecollect.setup.settings import Settings
from bikecollect.storage.data_folder import alert_state_path

TROUBLE = 1
_PRINT = {"text": say, "json": say_json, "prometheus": emit}
WATCH = 10.0
ALL_READ = 0o644


@click.command()
@click.argument("system_ids", nargs=-1, metavar="[SYSTEM]...")
@click.option(
    "--alert",
    is_flag=True,
    help="Print only problems, one line each; exit with 1 if there is any.",
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
    form: str,
    output: Path | None,
    watch: float | None,
) -> int:
    """Show the status of each SYSTEM: last run, last 24 hours, incidents.

    Reads only files on disk. Each mark of the strip is a slot of the last 24 hours
    (with an interval below five minutes: the worst slot of five minutes).
    """
    shared = ctx.ensure_object(Shared)
    settings = shared.settings_for_cron() if alert else shared.settings()
    while True:
        # Only the screen has a line about the schedule, and `crontab -l` takes time.
        is_screen = form == "text" and not alert
        scheduled = _is_scheduled(settings) if is_screen else None
        standings, errors = _survey(settings, system_ids, scheduled=scheduled)
        if alert:
            text = alerts(standings)
        elif form == "json":
            text = "".join(f"{as_json(standing)}\n" for standing in standings)
        elif form == "prometheus":
            text = metrics(standings)
        else:
            text = f"{screen(standings)}\n{_source(settings)}\n"
        if output is not None:
            with written(output, ALL_READ) as out:
                out.write(text)
        else:
            if watch:
                click.clear()
            _PRINT[form](text)
        for error in errors:
            complain(str(error))
        if not watch:
            break
        time.sleep(watch)
    if errors:
        return max(error.exit_code for error in errors)
    in_trouble = any(standing.health.in_trouble for standing in standings)
    return TROUBLE if alert and in_trouble else 0


def _source(settings: "Settings") -> str:
    """Return a line that names the settings file in use."""
    return f"settings: {settings.source or 'no file; using defaults'}"


def _is_scheduled(settings: Settings) -> bool | None:
    """Return whether cron or systemd starts the runs; None if that is unknown."""
    try:
        return schedule.is_found(Path(settings.source) if settings.source else None)
    except BikecollectError:  # no `crontab` program here
        return None


def _survey(
    settings: Settings, system_ids: Sequence[str], *, scheduled: bool | None
) -> tuple[list[Standing], list[BikecollectError]]:
    """Return the status of each system, and the errors of those not readable."""
    standings, errors = [], []
    for name in settings.chosen(system_ids):
        system = settings.system_folder(name)
        try:
            standings.append(
                survey(
                    system,
                    now=time.time(),
                    noted=stored_incidents(alert_state_path(name, str(system.path))),
                    scheduled=scheduled,
                )
            )
        except BikecollectError as error:
            errors.append(error)
    return standings, errors
