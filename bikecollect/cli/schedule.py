"""``bikecollect schedule``: the crontab's lines, or a systemd timer."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bikecollect.cli.options import Shared, say

if TYPE_CHECKING:
    from bikecollect.settings import Settings
    from bikecollect.timetable import Job

SERVICE, TIMER = "bikecollect.service", "bikecollect.timer"
systemd_options = (
    click.option("--systemd", is_flag=True, help="A systemd timer instead of cron."),
    click.option(
        "--system-wide", is_flag=True, help="With --systemd: a unit of the system."
    ),
)


@click.group()
def schedule() -> None:
    """Show, install or remove what starts bikecollect in every slot."""


def _with_systemd(command: "click.decorators.FC") -> "click.decorators.FC":
    for option in reversed(systemd_options):
        command = option(command)
    return command


@schedule.command("show")
@_with_systemd
@click.pass_context
def show(ctx: click.Context, *, systemd: bool, system_wide: bool) -> None:
    """Show the lines, whether they are installed, and when they fire next."""
    from bikecollect import crontab, timetable  # noqa: PLC0415 - only here

    settings = ctx.ensure_object(Shared).settings()
    job = job_of(settings)
    if systemd or system_wide:
        for path, text in _units(settings, job, system_wide=system_wide).items():
            say(f"# {path}: {_state(_read(path), text)}\n{text}\n")
    else:
        ours = timetable.block(job)
        say(
            f"{ours}\nIn the crontab: {_state(timetable.found(crontab.read()), ours)}\n"
        )
    say(_next(settings))


@schedule.command("install")
@_with_systemd
@click.pass_context
def install(ctx: click.Context, *, systemd: bool, system_wide: bool) -> None:
    """Put the lines where they belong; other lines are left as they are."""
    settings = ctx.ensure_object(Shared).settings()
    if systemd or system_wide:
        _install_units(settings, system_wide=system_wide)
    else:
        install_lines(settings)
    say(_next(settings))


@schedule.command("remove")
@_with_systemd
@click.pass_context
def remove(ctx: click.Context, *, systemd: bool, system_wide: bool) -> None:
    """Take the lines away again; other lines are left as they are."""
    from bikecollect import crontab, timetable  # noqa: PLC0415 - only here

    settings = ctx.ensure_object(Shared).settings()
    if systemd or system_wide:
        scope = [] if system_wide else ["--user"]
        crontab.systemctl(*scope, "disable", "--now", TIMER)
        paths = _units(settings, job_of(settings), system_wide=system_wide)
        gone = [str(path) for path in paths if crontab.remove_unit(path)]
        crontab.systemctl(*scope, "daemon-reload")
        say(f"Removed: {', '.join(gone) or 'nothing, there was none'}.\n")
        return
    before = crontab.read()
    if timetable.found(before):
        crontab.write(timetable.removed(before))
        say("The lines are out of the crontab.\n")
    else:
        say("The crontab has no lines of ours.\n")


def job_of(settings: "Settings") -> "Job":
    """Return what the scheduler is to start for *settings*."""
    import sys  # noqa: PLC0415 - only here

    from bikecollect.timetable import Job  # noqa: PLC0415 - only here

    script = Path(sys.executable).with_name("bikecollect")
    command = (
        [str(script)] if script.exists() else [sys.executable, "-m", "bikecollect"]
    )
    if settings.source:
        command += ["--config", settings.source]
    return Job([*command, "fetch"], settings.seconds)


def install_lines(settings: "Settings") -> None:
    """Put our block into the user's crontab, and say what was done."""
    from bikecollect import crontab, timetable  # noqa: PLC0415 - only here

    ours = timetable.block(job_of(settings))
    before = crontab.read()
    if timetable.found(before) == ours:
        say("The crontab has the lines already.\n")
        return
    crontab.write(timetable.installed(before, ours))
    say(f"In the crontab now:\n\n{ours}\n")


def _install_units(settings: "Settings", *, system_wide: bool) -> None:
    from bikecollect import crontab  # noqa: PLC0415 - only here

    units = _units(settings, job_of(settings), system_wide=system_wide)
    for path, text in units.items():
        crontab.write_unit(path, text)
        say(f"Written: {path}\n")
    scope = [] if system_wide else ["--user"]
    for words in (["daemon-reload"], ["enable", "--now", TIMER]):
        trouble = crontab.systemctl(*scope, *words)
        if trouble:
            line = " ".join(["systemctl", *scope, *words])
            say(f"Not started ({trouble}). Run: {line}\n")
    if not system_wide:
        say("So that it also runs while you are logged out: loginctl enable-linger\n")


def _units(settings: "Settings", job: "Job", *, system_wide: bool) -> dict[Path, str]:
    """Return the texts of both units, by their path."""
    import os  # noqa: PLC0415 - only here

    from bikecollect import folder, timetable  # noqa: PLC0415 - only here

    place = Path("/etc/systemd/system")
    if not system_wide:
        home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
        place = home / "systemd" / "user"
    writable = [str(settings.data), str(folder.state_home())]
    text = timetable.service(job, writable, user_unit=not system_wide)
    return {place / SERVICE: text, place / TIMER: timetable.timer(job.interval)}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _state(there: str, ours: str) -> str:
    if not there:
        return "not installed"
    return "installed" if there == ours else "another text is installed"


def _next(settings: "Settings") -> str:
    import time  # noqa: PLC0415 - only here
    from datetime import UTC, datetime  # noqa: PLC0415 - only here

    from bikecollect import timetable  # noqa: PLC0415 - only here

    moments = timetable.next_fires(time.time(), settings.seconds)
    local = (datetime.fromtimestamp(m, UTC).astimezone() for m in moments)
    times = ", ".join(each.isoformat(timespec="seconds") for each in local)
    return f"Next: {times}\n"
