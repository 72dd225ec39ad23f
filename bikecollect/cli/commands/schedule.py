"""``bikecollect schedule``: the crontab entry, or the systemd timers."""

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from bikecollect.cli.forms import object_option
from bikecollect.cli.options import Shared, shard_option
from bikecollect.cli.printing import say, say_figures
from bikecollect.core.errors import UsageError
from bikecollect.core.text import visible_json
from bikecollect.setup import settings_file
from bikecollect.setup.checks.check import Verdict
from bikecollect.setup.scheduler import jobs
from bikecollect.setup.scheduler.checks import (
    daemon_check,
    installed,
    scheduled_twice,
    timer_check,
)
from bikecollect.setup.scheduler.cron import CronState
from bikecollect.setup.scheduler.cron_schedule import (
    Plan,
    install_in_cron,
    lines_by_hand,
    plan_cron,
    remove_from_cron,
    stray_variable,
)
from bikecollect.setup.scheduler.service_user import to_linger
from bikecollect.setup.scheduler.systemd_schedule import (
    install_in_systemd,
    is_system_wide,
    obstacles,
    plan_systemd,
    remove_from_systemd,
    start_commands,
    timers,
)
from bikecollect.setup.settings import Settings


def _where(command: Callable[..., object]) -> Callable[..., object]:
    """Add the options for systemd to *command*."""
    timer = click.option(
        "--systemd",
        is_flag=True,
        help="Timers of your user's systemd instead of cron.",
    )
    wide = click.option(
        "--system-wide",
        is_flag=True,
        help="Timers of the whole machine; requires root.",
    )
    return timer(wide(command))


@click.group()
def schedule() -> None:
    """Show, install or remove the entries of cron or systemd.

    `fetch` runs in every slot. The other jobs are `compact` every night,
    `alert` (`status --alert`) every hour and, on request, `report`: last week's gaps by
    mail.
    """


@schedule.command()
@_where
@object_option
@click.pass_context
def show(ctx: click.Context, *, systemd: bool, system_wide: bool, form: str) -> None:
    """Print the entry, whether it is installed, and its next times.

    Nothing is changed.
    """
    settings, path = _settings(ctx)
    problem, stopped = None, ""
    if systemd or system_wide:
        plan = plan_systemd(settings, path, time.time(), system_wide=system_wide)
        for timer in timers(path):
            if is_system_wide(timer) == system_wide:
                problem = timer_check(timer, path)
        if problem and problem.verdict is Verdict.BAD:
            plan = replace(plan, fires=[])
    else:
        plan = plan_cron(settings, path, time.time())
        stopped = "" if plan.state is CronState.ABSENT else _daemon_text()
    if form == "json":
        say_figures(_as_json(plan))
        return
    say_figures(_plan_text(plan))
    say(stopped)
    if problem and problem.verdict is not Verdict.GOOD:
        say(f"{problem.text}:\n  {problem.remedy}\n")
    option = _option(systemd=systemd, system_wide=system_wide)
    say(_elsewhere_text(path, option, "show"))


@schedule.command()
@_where
@shard_option
@click.option(
    "--minimal", is_flag=True, help="Install only `fetch`, none of the other jobs."
)
@click.option("--report", is_flag=True, help="Also install the weekly report by mail.")
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(jobs.OPTIONAL),
    help="Skip this job.  [multiple]",
)
@click.pass_context
def install(
    ctx: click.Context,
    *,
    systemd: bool,
    system_wide: bool,
    shard: str,
    minimal: bool,
    report: bool,
    without: tuple[str, ...],
) -> None:
    """Install or update the jobs; other entries are unchanged.

    Run it again after a change of the interval, of the settings' path or of the path of
    bikecollect. Jobs that cannot work here are skipped, with the reason.
    """
    settings, path = _settings(ctx, shard)
    wanted = _wanted(minimal=minimal, report=report, without=without)
    if systemd or system_wide:
        installation = install_in_systemd(
            settings, path, wanted, system_wide=system_wide
        )
        problems = obstacles(settings, path) if system_wide else []
        started = _start_text(installation.error, path, system_wide=system_wide)
        say(started + "".join(f"{problem}\n" for problem in problems))
        say(jobs.describe(installation.choice))
    else:
        installation = install_in_cron(settings, path, wanted)
        say(
            f"{_INSTALLED[installation.before.value]}\n{jobs.describe(installation.choice)}"
        )
        say(_daemon_text())
        say(_others_text(installation.others))
        for line in lines_by_hand(path):
            say(f"Remove this line, or each slot is fetched twice:\n  {line}\n")
    if twice := scheduled_twice(path):
        say("Now {}; to keep only systemd:\n  {}\n".format(*twice))
    if variable := stray_variable(settings):
        click.echo(
            f"bikecollect: {variable} is set here but not in the schedule: set "
            "data_dir in the settings",
            err=True,
        )


@schedule.command()
@_where
@click.argument("names", nargs=-1, metavar="[JOB]...", type=click.Choice(jobs.OPTIONAL))
@click.pass_context
def remove(
    ctx: click.Context, *, systemd: bool, system_wide: bool, names: tuple[str, ...]
) -> None:
    """Remove the entry of these settings, or only JOB.

    The data is kept. JOB is compact, alert or report.
    """
    others: Sequence[str] = ()
    path = settings_file.find(ctx.ensure_object(Shared).config)
    if systemd or system_wide:
        removed = remove_from_systemd(path, names, system_wide=system_wide)
    else:
        removed, others = remove_from_cron(path, names)
    say("Removed.\n" if removed else "Nothing to remove.\n")
    say(_others_text(others))
    option = _option(systemd=systemd, system_wide=system_wide)
    say(_elsewhere_text(path, option, "remove"))


_INSTALLED = {
    "absent": "Installed in your crontab.",
    "differs": "Updated in your crontab.",
    "there": "Already in your crontab.",
}


def _wanted(*, minimal: bool, report: bool, without: Sequence[str]) -> set[str]:
    """Return the names of the jobs to install in addition to `fetch`."""
    if minimal and (report or without):
        raise UsageError("--minimal cannot be combined with --report or --without")
    names = set() if minimal else {*jobs.USUAL}
    return (names | ({jobs.REPORT.name} if report else set())) - {*without}


def _settings(ctx: click.Context, shard: str = "") -> tuple[Settings, Path | None]:
    """Return the settings and their file; raises SettingsError for a demo.

    Its `fetch` would fail in every slot.
    """
    shared = ctx.ensure_object(Shared)
    shared = replace(shared, shard=shard or shared.shard)
    settings = shared.settings()
    settings.collectable(())
    return settings, settings_file.find(shared.config)


def _plan_text(plan: Plan) -> str:
    fires = [_moment(fire) for fire in plan.fires]
    state = {
        "there": "installed and up to date",
        "differs": "installed but outdated: run `bikecollect schedule install`",
        "absent": "not installed",
    }[plan.state.value]
    times = "".join(f"       {fire}\n" for fire in fires[1:])
    following = f"next:  {fires[0]}\n{times}" if fires else ""
    shown = f"{plan.text}\nstate: {state}\n{following}"
    missing = "".join(
        f"not installed: job `{name}` ({why or 'run: bikecollect schedule install'})\n"
        for name, why in plan.missing.items()
    )
    return f"{shown}{missing}{_others_text(plan.others)}"


def _moment(fire: datetime) -> str:
    """Return *fire* on the machine's clock, with the offset, as `status` shows times.

    >>> _moment(datetime.fromisoformat("2026-11-28T02:00:09+00:00"))
    '2026-11-28 02:00:09 (+00:00)'
    """
    seconds = f"{fire:%Y-%m-%d %H:%M:%S}".removesuffix(":00")
    return f"{seconds} ({fire.isoformat()[-6:]})"


def _daemon_text() -> str:
    """Return that no cron daemon runs, with the remedy; empty if one may run."""
    check = daemon_check()
    if check.verdict is not Verdict.BAD:
        return ""
    text = "No cron daemon is running: until one does, nothing is fetched"
    return f"{text}:\n  {check.remedy}\n"


def _others_text(settings: Sequence[str]) -> str:
    """Return a line for each of the other *settings* in the crontab."""
    names = (path or "the default settings" for path in settings)
    return "".join(f"The lines for {name} are unchanged.\n" for name in names)


def _option(*, systemd: bool, system_wide: bool) -> str:
    return "--system-wide" if system_wide else "--systemd" if systemd else ""


def _elsewhere_text(path: Path | None, used: str, verb: str) -> str:
    """Return what else runs the settings at *path*, and the command *verb* for it."""
    return "".join(
        f"Also installed: {what}; to {verb} that, too:\n"
        f"  {f'bikecollect schedule {verb} {option}'.rstrip()}\n"
        for option, what in installed(path).items()
        if option != used
    )


def _as_json(plan: Plan) -> str:
    fires = [fire.isoformat(timespec="seconds") for fire in plan.fires]
    shown = {
        "state": plan.state.value,
        "next": fires,
        "text": plan.text,
        "jobs": [job.name for job in plan.jobs],
        "missing": plan.missing,
        "others": list(plan.others),
    }
    return visible_json(shown) + "\n"


KEYS: Mapping[str, tuple[str, ...]] = {
    "state": ("text", "there, differs (from what is to be installed), absent"),
    "next": ("list of times", "the next runs of `fetch`"),
    "text": ("text", "what `install` writes"),
    "jobs": ("list of texts", "the jobs in it"),
    "missing": ("object", "jobs that are not in it"),
    "missing.JOB": ("text", "why it cannot be installed; empty if it can"),
    "others": ("list of texts", "settings files that have other blocks"),
}
"""The keys of `show` as JSON, see `run_lines.RUN_KEYS`."""


def _start_text(why: str, path: Path | None, *, system_wide: bool) -> str:
    command = "" if system_wide else to_linger()
    linger = "It runs only while you are logged in; to change that:\n"
    linger = f"{linger}  {command}\n" if command else ""
    if not why:
        return f"The timers are started.\n{linger}"
    commands = start_commands(path, system_wide=system_wide)
    lines = "".join(f"  {shlex.join(command)}\n" for command in commands)
    return (
        f"The units are written, but the timers were not started:\n  {why}\n"
        f"Run these two commands:\n{lines}{linger}"
    )
