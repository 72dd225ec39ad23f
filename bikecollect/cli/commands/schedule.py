"""``bikecollect schedule``: the crontab entry, or the systemd timer."""

import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from bikecollect.cli.options import Shared, say, say_figures
from bikecollect.core.text import visible_json
from bikecollect.setup import settings_file
from bikecollect.setup.schedule import (
    Plan,
    install_in_cron,
    install_in_systemd,
    obstacles,
    plan_cron,
    plan_systemd,
    remove_from_cron,
    remove_from_systemd,
    start_commands,
    stray_variable,
)
from bikecollect.setup.settings import Settings


def _where(command: Callable[..., object]) -> Callable[..., object]:
    """Add the options for systemd to *command*."""
    timer = click.option(
        "--systemd",
        is_flag=True,
        help="A timer of your user's systemd instead of cron.",
    )
    wide = click.option(
        "--system-wide",
        is_flag=True,
        help="A timer of the whole machine; requires root.",
    )
    return timer(wide(command))


@click.group()
def schedule() -> None:
    """Show, install or remove the schedule that runs `fetch` in every slot."""


@schedule.command()
@_where
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.pass_context
def show(ctx: click.Context, *, systemd: bool, system_wide: bool, form: str) -> None:
    """Print the entry, whether it is installed, and its next fire times.

    Nothing is changed.
    """
    settings, path = _settings(ctx)
    if systemd or system_wide:
        plan = plan_systemd(settings, path, time.time(), system_wide=system_wide)
    else:
        plan = plan_cron(settings, path, time.time())
    say_figures(_json(plan) if form == "json" else _text(plan))


@schedule.command()
@_where
@click.pass_context
def install(ctx: click.Context, *, systemd: bool, system_wide: bool) -> None:
    """Install or update the entry; everything else is unchanged.

    Run it again after a change of the interval, of the settings' path or of the
    path of bikecollect.
    """
    settings, path = _settings(ctx)
    if systemd or system_wide:
        why = install_in_systemd(settings, path, system_wide=system_wide)
        problems = obstacles(settings, path) if system_wide else []
        started = _start_text(why, path, system_wide=system_wide)
        say(started + "".join(f"{problem}\n" for problem in problems))
    else:
        state, others = install_in_cron(settings, path)
        say(f"{_INSTALLED[state.value]}\n{_others(others)}")
    if variable := stray_variable(settings):
        click.echo(
            f"bikecollect: {variable} is set here but not in the schedule: set "
            "data_dir in the settings",
            err=True,
        )


@schedule.command()
@_where
@click.pass_context
def remove(ctx: click.Context, *, systemd: bool, system_wide: bool) -> None:
    """Remove the entry of these settings; the data is kept."""
    others: Sequence[str] = ()
    path = settings_file.find(ctx.ensure_object(Shared).config)
    if systemd or system_wide:
        removed = remove_from_systemd(path, system_wide=system_wide)
    else:
        removed, others = remove_from_cron(path)
    say("Removed.\n" if removed else "Nothing to remove.\n")
    say(_others(others))


_INSTALLED = {
    "absent": "Installed in your crontab.",
    "differs": "Updated in your crontab.",
    "there": "Already in your crontab.",
}


def _settings(ctx: click.Context) -> tuple[Settings, Path | None]:
    """Return the settings and their file."""
    shared = ctx.ensure_object(Shared)
    return shared.settings(), settings_file.find(shared.config)


def _text(plan: Plan) -> str:
    fires = [fire.isoformat(timespec="seconds") for fire in plan.fires]
    state = {
        "there": "installed and up to date",
        "differs": "installed but outdated: run `bikecollect schedule install`",
        "absent": "not installed",
    }[plan.state.value]
    times = "".join(f"       {fire}\n" for fire in fires[1:])
    shown = f"{plan.text}\nstate: {state}\nnext:  {fires[0]}\n{times}"
    return f"{shown}{_others(plan.others)}"


def _others(settings: Sequence[str]) -> str:
    """Return a line for each of the other *settings* in the crontab, which stay."""
    names = (path or "the default settings" for path in settings)
    return "".join(f"The lines for {name} are unchanged.\n" for name in names)


def _json(plan: Plan) -> str:
    fires = [fire.isoformat(timespec="seconds") for fire in plan.fires]
    shown = {
        "state": plan.state.value,
        "next": fires,
        "text": plan.text,
        "others": list(plan.others),
    }
    return visible_json(shown) + "\n"


def _start_text(why: str, path: Path | None, *, system_wide: bool) -> str:
    linger = "" if system_wide else LINGER
    if not why:
        return f"The timer is started.\n{linger}"
    commands = start_commands(path, system_wide=system_wide)
    lines = "".join(f"  {shlex.join(command)}\n" for command in commands)
    return (
        f"The units are written, but the timer was not started:\n  {why}\n"
        f"Run these two commands:\n{lines}{linger}"
    )


LINGER = (
    "It runs only while you are logged in; to change that:\n  loginctl enable-linger\n"
)
