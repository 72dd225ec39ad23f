"""``bikecollect schedule``: the cron entry, or the timer of systemd."""

import shlex
import time
from collections.abc import Callable
from pathlib import Path

import click

from bikecollect.cli.options import Shared, say
from bikecollect.core.text import visible_json
from bikecollect.setup import loader
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
    say(_json(plan) if form == "json" else _text(plan))


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
        say(_started(why, system_wide=system_wide) + "".join(f"{t}\n" for t in todo))
    else:
        say(f"{_INSTALLED[install_in_cron(settings, path).value]}\n")
    if variable := stray_folder(settings):
        click.echo(
            f"bikecollect: {variable} is set here but will not be there: name data_dir "
            "in the settings",
            err=True,
        )


@schedule.command()
@_where
def remove(*, systemd: bool, system_wide: bool) -> None:
    """Remove the entry; what was collected stays."""
    if systemd or system_wide:
        found = remove_from_systemd(system_wide=system_wide)
    else:
        found = remove_from_cron()
    say("Removed.\n" if found else "There was nothing to remove.\n")


_INSTALLED = {
    "absent": "Installed in your crontab.",
    "differs": "Brought up to date in your crontab.",
    "there": "It is in your crontab already.",
}


def _settings(ctx: click.Context) -> tuple[Settings, Path | None]:
    """Return the settings, and the file that they come from."""
    shared = ctx.ensure_object(Shared)
    return shared.settings(), loader.find(shared.config)


def _text(plan: Plan) -> str:
    fires = [each.isoformat(timespec="seconds") for each in plan.fires]
    state = {
        "there": "installed as it should be",
        "differs": "installed, but not as it should be: install it again",
        "absent": "not installed",
    }[plan.state.value]
    times = "".join(f"       {each}\n" for each in fires[1:])
    return f"{plan.text}\nstate: {state}\nnext:  {fires[0]}\n{times}"


def _json(plan: Plan) -> str:
    fires = [each.isoformat(timespec="seconds") for each in plan.fires]
    shown = {"state": plan.state.value, "next": fires, "text": plan.text}
    return visible_json(shown) + "\n"


def _started(why: str, *, system_wide: bool) -> str:
    linger = "" if system_wide else LINGER
    if not why:
        return f"The timer runs.\n{linger}"
    commands = starting(system_wide=system_wide)
    todo = "".join(f"  {shlex.join(each)}\n" for each in commands)
    return (
        f"The units are written, but the timer was not started:\n  {why}\n"
        f"Run these two commands:\n{todo}{linger}"
    )


LINGER = (
    "It runs while you are logged in; to let it run always:\n  loginctl enable-linger\n"
)
