"""The checks of the schedule: lines or timers, and a running cron daemon."""

import time
from collections.abc import Mapping
from pathlib import Path

from bikecollect.core.errors import BikecollectError
from bikecollect.setup.checks import Check, Checks, bad, good, note
from bikecollect.setup.machine import cron_daemon
from bikecollect.setup.scheduler import crontab, timers
from bikecollect.setup.scheduler.cron import CronState
from bikecollect.setup.settings import Settings

INSTALL = "bikecollect schedule install"


def schedule_checks(settings: Settings) -> Checks:
    """Yield the checks of the scheduler in use, cron or systemd."""
    source = Path(settings.source) if settings.source else None
    if timer := timers.timer(source):
        yield good("schedule", f"a systemd timer: {timer}")
        is_system_wide = timers.is_system_wide(timer)
        plan = timers.plan_systemd(
            settings, source, time.time(), system_wide=is_system_wide
        )
        option = "--system-wide" if is_system_wide else "--systemd"
        yield from _missing_jobs(plan.missing, f"{INSTALL} {option}")
        return
    try:
        plan = crontab.plan_cron(settings, source, time.time())
    except BikecollectError as error:
        yield bad("cron: line", str(error), INSTALL)
    else:
        yield _line(plan)
        if plan.state is not CronState.ABSENT:
            yield from _missing_jobs(plan.missing, INSTALL)
    if daemon := cron_daemon():
        yield good("cron: daemon", daemon)
    else:
        yield bad("cron: daemon", "none is running", "sudo systemctl enable --now cron")


def _line(plan: crontab.Plan) -> Check:
    if plan.state is CronState.CURRENT:
        names = ", ".join(job.name for job in plan.jobs)
        return good("cron: line", f"installed in your crontab: {names}")
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
