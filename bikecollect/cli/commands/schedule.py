"""``bikecollect schedule``: the cron entry, or the timer of systemd."""

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
    in_cron,
    in_systemd,
    install_in_cron,
    install_in_systemd,
    obstacles,
    remove_from_cron,
    remove_from_systemd,
    starting,
    stray_folder,
)
from bikecollect.setup.settings import Settings


def _where(command: Callable[..., object]) -> Callable[..., object]:
    """Give *command* the choice between cron and systemd."""
    timer = click.option(
        "--systemd", is_flag=True, help="A timer of your own systemd instead of cron."
    )
    wide = click.option(
        "--system-wide", is_flag=True, help="A timer of the whole machine; needs root."
    )
    return timer(wide(command))


@click.group()
def schedule() -> None:
    """Show, install or remove what runs bikecollect in every slot."""


@schedule.command()
@_where
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.pass_context
def show(ctx: click.Context, *, systemd: bool, system_wide: bool, form: str) -> None:
    """Print the entry, whether it is installed, and when it fires next.

    Changes nothing.
    """
    settings, path = _settings(ctx)
    if systemd or system_wide:
        plan = in_systemd(settings, path, time.time(), system_wide=system_wide)
    else:
        plan = in_cron(settings, path, time.time())
    say_figures(_json(plan) if form == "json" else _text(plan))


@schedule.command()
@_where
@click.pass_context
def install(ctx: click.Context, *, systemd: bool, system_wide: bool) -> None:
    """Install the entry, or bring it up to date; all else stays as it is.

    Install it again after the settings' interval, their place or bikecollect's
    own place has changed.
    """
    settings, path = _settings(ctx)
    if systemd or system_wide:
        why = install_in_systemd(settings, path, system_wide=system_wide)
        todo = obstacles(settings, path) if system_wide else []
        started = _started(why, path, system_wide=system_wide)
        say(started + "".join(f"{each}\n" for each in todo))
    else:
        was, others = install_in_cron(settings, path)
        say(f"{_INSTALLED[was.value]}\n{_others(others)}")
    if variable := stray_folder(settings):
        click.echo(
            f"bikecollect: {variable} is set here but will not be there: name data_dir "
            "in the settings",
            err=True,
        )


@schedule.command()
@_where
@click.pass_context
def remove(ctx: click.Context, *, systemd: bool, system_wide: bool) -> None:
    """Remove the entry of these settings; what was collected stays."""
    others: Sequence[str] = ()
    path = settings_file.find(ctx.ensure_object(Shared).config)
    if systemd or system_wide:
        found = remove_from_systemd(path, system_wide=system_wide)
    else:
        found, others = remove_from_cron(path)
    say("Removed.\n" if found else "There was nothing to remove.\n")
    say(_others(others))


_INSTALLED = {
    "absent": "Installed in your crontab.",
    "differs": "Brought up to date in your crontab.",
    "there": "It is in your crontab already.",
}


def _settings(ctx: click.Context) -> tuple[Settings, Path | None]:
    """Return the settings, and the file that they come from."""
    shared = ctx.ensure_object(Shared)
    return shared.settings(), settings_file.find(shared.config)


def _text(plan: Plan) -> str:
    fires = [each.isoformat(timespec="seconds") for each in plan.fires]
    state = {
        "there": "installed as it should be",
        "differs": "installed, but not as it should be: install it again",
        "absent": "not installed",
    }[plan.state.value]
    times = "".join(f"       {each}\n" for each in fires[1:])
    shown = f"{plan.text}\nstate: {state}\nnext:  {fires[0]}\n{times}"
    return f"{shown}{_others(plan.others)}"


def _others(settings: Sequence[str]) -> str:
    """Return that the crontab has lines for other *settings*, which stay."""
    names = (each or "the usual settings" for each in settings)
    return "".join(f"The lines for {each} are left alone.\n" for each in names)


def _json(plan: Plan) -> str:
    fires = [each.isoformat(timespec="seconds") for each in plan.fires]
    shown = {
        "state": plan.state.value,
        "next": fires,
        "text": plan.text,
        "others": list(plan.others),
    }
    return visible_json(shown) + "\n"


def _started(why: str, path: Path | None, *, system_wide: bool) -> str:
    linger = "" if system_wide else LINGER
    if not why:
        return f"The timer runs.\n{linger}"
    commands = starting(path, system_wide=system_wide)
    todo = "".join(f"  {shlex.join(each)}\n" for each in commands)
    return (
        f"The units are written, but the timer was not started:\n  {why}\n"
        f"Run these two commands:\n{todo}{linger}"
    )


LINGER = (
    "It runs while you are logged in; to let it run always:\n  loginctl enable-linger\n"
)
