"""The checks of the schedule: lines or timers, and a running cron daemon."""

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bikecollect.core.errors import BikecollectError
from bikecollect.setup.checks import remedies
from bikecollect.setup.checks.check import Check, Checks, bad, good, note, parted
from bikecollect.setup.checks.machine import cron_daemon
from bikecollect.setup.scheduler import (
    cron,
    cron_schedule,
    service_user,
    systemctl,
    systemd_schedule,
)
from bikecollect.setup.scheduler.cron import CronState
from bikecollect.setup.settings import Settings
from bikecollect.storage.files.trusted_files import as_root, user_name

INSTALL = "bikecollect schedule install"


def schedule_checks(settings: Settings) -> Checks:
    """Yield the checks of the scheduler in use, cron or systemd."""
    source = Path(settings.source) if settings.source else None
    if timer := systemd_schedule.timer(source):
        is_system_wide = systemd_schedule.is_system_wide(timer)
        yield timer_check(timer, source)
        if not is_system_wide and (command := service_user.to_linger()):
            text = "the timers run only while you are logged in"
            yield note("schedule: logged out", text, command)
        if twice := scheduled_twice(source):
            yield note("schedule: twice", *twice)
        plan = systemd_schedule.plan_systemd(
            settings, source, time.time(), system_wide=is_system_wide
        )
        option = "--system-wide" if is_system_wide else "--systemd"
        yield from _missing_jobs(plan.missing, f"{INSTALL} {option}")
        return
    try:
        plan = cron_schedule.plan_cron(settings, source, time.time())
    except BikecollectError as error:
        text, remedy = parted(str(error))
        yield bad("cron: line", text, remedy or INSTALL)
    else:
        yield _line(plan, cron_schedule.lines_by_hand(source))
        if plan.state is not CronState.ABSENT:
            yield from _missing_jobs(plan.missing, INSTALL)
    yield daemon_check()


def daemon_check() -> Check:
    """Check that a cron daemon runs."""
    daemon = cron_daemon()
    if daemon is None:
        text = "unknown: the processes of other users are hidden"
        return note("cron: daemon", text, as_root("pgrep -a cron"))
    if not daemon:
        return bad("cron: daemon", "none is running", remedies.start_cron())
    return good("cron: daemon", daemon)


def scheduled_twice(source: Path | None) -> tuple[str, str] | None:
    """Return that cron and systemd run the settings at *source*, and a remedy."""
    with suppress(BikecollectError):
        blocks = cron.own_blocks(cron.read_crontab(), cron_schedule.own_names(source))
        if blocks and (timer := systemd_schedule.timer(source)):
            text = f"the crontab and {timer} run the same jobs, each twice"
            return text, "bikecollect schedule remove"
    return None


def installed(source: Path | None) -> dict[str, str]:
    """Return what runs the settings at *source*, by the option of `schedule` for it."""
    schedules = {}
    with suppress(BikecollectError):
        if cron.own_blocks(cron.read_crontab(), cron_schedule.own_names(source)):
            schedules[""] = "lines in your crontab"
    for timer in systemd_schedule.timers(source):
        option = (
            "--system-wide" if systemd_schedule.is_system_wide(timer) else "--systemd"
        )
        schedules[option] = f"the systemd timer {timer}"
    return schedules


def other_user(settings: Settings) -> Check | None:
    """Return a note if a service of the machine collects as another user than ours.

    Only that user can check the folders; changing their owner would stop the service.
    """
    source = Path(settings.source) if settings.source else None
    timer = systemd_schedule.timer(source)
    if timer is None or not systemd_schedule.is_system_wide(timer):
        return None
    user = service_user.choose(settings.data)
    if user == user_name(os.geteuid()):
        return None
    text = f"the service collects as {user}: only that user can check its folders"
    return note("folders", text, f"run as {user}: bikecollect doctor")


def timer_check(timer: Path, source: Path | None) -> Check:
    """Check that *timer* is not only installed, but started."""
    system_wide = systemd_schedule.is_system_wide(timer)
    state, unknown = systemctl.activity(timer.name, system_wide=system_wide)
    text = f"a systemd timer: {timer}"
    if unknown:
        status = [*systemctl.words(system_wide=system_wide), "status", timer.name]
        text = f"{text}; whether it is started is unknown: {unknown}"
        return note("schedule", text, shlex.join(status))
    start = systemd_schedule.start_commands(source, system_wide=system_wide)[-1]
    if state != "active":
        return bad("schedule", f"{text}, but it is {state}", shlex.join(start))
    if systemctl.is_disabled(timer.name, system_wide=system_wide):
        text = f"{text}, which runs now, but will not start at the next boot"
        return note("schedule", text, shlex.join(start))
    return good("schedule", text)


def _line(plan: cron_schedule.Plan, by_hand: Sequence[str]) -> Check:
    if plan.state is CronState.CURRENT:
        names = ", ".join(job.name for job in plan.jobs)
        return good("cron: line", f"installed in your crontab: {names}")
    if by_hand and plan.state is CronState.ABSENT:
        return good("cron: line", f"not written by `schedule install`: {by_hand[0]}")
    if plan.state is CronState.OUTDATED:
        text = "the installed lines do not match the settings"
        return bad("cron: line", text, INSTALL)
    text = "no bikecollect line in the crontab"
    if plan.others:
        text = f"the crontab has lines for other settings: {plan.others[0]}"
    return bad("cron: line", text, INSTALL)


def _missing_jobs(missing: Mapping[str, str], remedy: str) -> Checks:
    """Yield a note for each usual job that is not installed."""
    for name, why in missing.items():
        text = f"not installed: {why}" if why else f"`{name}` is not installed"
        yield note(f"schedule: {name}", text, remedy)
