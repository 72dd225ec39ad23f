"""``bikecollect doctor``: check the installation, the feeds and the alerts."""

import os
import pwd
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click

from bikecollect.cli.completion import systems_argument
from bikecollect.cli.forms import lines_option
from bikecollect.cli.options import Shared
from bikecollect.cli.printing import Screen, say, say_json
from bikecollect.cli.render.terminal import columns, wrapped
from bikecollect.core.errors import SettingsError, UsageError
from bikecollect.core.text import visible, visible_json
from bikecollect.setup.checks.check import Check, Verdict
from bikecollect.setup.doctor import examine
from bikecollect.setup.scheduler import cron_schedule

TROUBLE = 1
COLOURS = {Verdict.GOOD: "green", Verdict.NOTE: "yellow", Verdict.BAD: "red"}
INDENT = " " * 6
COMMAND = re.compile(
    r"(?:^|(?<=: ))(?:[~/]|mount -|(?:sudo|bikecollect|chmod|chown|crontab|df|loginctl"
    r"|ls|mkdir|pgrep|pip|rm|systemctl|touch) )"
)
"""The beginning of a command or a path in a remedy: a line of its own, to be copied."""


@click.command()
@systems_argument
@click.option("--send", is_flag=True, help="Also send a test mail.")
@click.option("--offline", is_flag=True, help="Do not contact feeds and mail server.")
@click.option("--as-cron", is_flag=True, help="Run in the minimal environment of cron.")
@lines_option
@click.pass_context
def doctor(
    ctx: click.Context,
    *,
    system_ids: tuple[str, ...],
    send: bool,
    offline: bool,
    as_cron: bool,
    form: str,
) -> int:
    """Check everything that collecting needs; print remedies.

    With SYSTEM, only what concerns these systems: settings, folder, disk and feed.
    Each check is one line, with its remedy. Exit code 1 if a check is BAD.
    """
    shared = ctx.ensure_object(Shared)
    if as_cron:
        return _as_cron(shared, system_ids, send=send, offline=offline, form=form)
    bad, settings = False, shared.settings()
    if system_ids and send:
        raise UsageError("--send needs no SYSTEM: all systems have the same mails")
    only = settings.chosen(system_ids) if system_ids else ()
    for result in examine(settings, network=not offline, send=send, only=only):
        bad = bad or result.verdict is Verdict.BAD
        # Redacted before lines are wrapped, which could split a secret at a blank.
        text, remedy = map(Screen.person, (result.text, result.remedy))
        check = replace(result, text=text, remedy=remedy)
        if form == "json":
            values = {
                "check": check.name,
                "verdict": check.verdict.name.lower(),
                "text": check.text,
                "remedy": check.remedy or None,
            }
            say_json(f"{visible_json(values)}\n")
        else:
            say(_line(check))
    return TROUBLE if bad else 0


KEYS: Mapping[str, tuple[str, ...]] = {
    "check": ("text", "what was checked"),
    "verdict": ("text", "good, note, bad"),
    "text": ("text", "the result"),
    "remedy": ("text", "what to do", "null if there is nothing to do"),
}
"""The keys of a check as JSON, see `run_lines.RUN_KEYS`."""


def _as_cron(
    shared: Shared,
    system_ids: Sequence[str],
    *,
    send: bool,
    offline: bool,
    form: str,
) -> int:
    """Run `doctor` again in the environment of cron: home, user, short PATH, shell."""
    settings = shared.settings()
    path = Path(settings.source) if settings.source else None
    command = cron_schedule.command(path, (), shard=settings.shard)
    flags = {"--send": send, "--offline": offline}
    command += ["doctor", "--format", form, *(name for name, on in flags.items() if on)]
    command += ["--", *system_ids]
    try:
        user = pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise SettingsError(
            f"user {os.geteuid()} has no entry in /etc/passwd, so cron cannot run "
            "commands for it; use another scheduler, and doctor without --as-cron"
        ) from error
    if not Path(user.pw_dir).is_dir():
        raise SettingsError(
            f"cron starts commands in the home of {user.pw_name}, and there is no "
            f"folder {user.pw_dir}; use another scheduler, or a user with a home"
        )
    environment = {
        "HOME": user.pw_dir,
        "LOGNAME": user.pw_name,
        "PATH": "/usr/bin:/bin",
        "SHELL": "/bin/sh",
    }
    process = subprocess.run(  # noqa: S603 - this very program
        command, env=environment, cwd=user.pw_dir, check=False
    )
    return process.returncode


def _line(check: Check) -> str:
    """Return *check* as a line, its remedy below it."""
    word = click.style(f"{check.verdict.value:<4}", fg=COLOURS[check.verdict])
    text = visible(f"{check.name}: {check.text}")
    lines = wrapped(text, width=columns() - len(INDENT) - 1)
    text = f"\n{INDENT}".join(lines)
    return f"{word}  {text}\n{_remedy(visible(check.remedy)) if check.remedy else ''}"


def _remedy(text: str) -> str:
    """Return a remedy on one line, or on several if it is too long for the screen."""
    head = f"{INDENT}-> "
    is_short = len(head) + len(text) < columns()
    first, *others = [text] if is_short else _parts(text, columns() - len(head) - 1)
    below = (f"{' ' * len(head)}{line}\n" for line in others)
    return "".join([f"{head}{first}\n", *below])


def _parts(text: str, width: int) -> list[str]:
    """Return a remedy as lines; a command or a path is one, so that it can be copied.

    >>> _parts("restore it: bikecollect backfill a; else wait, or ask", 15)
    ['restore it:', 'bikecollect backfill a', 'else wait, or', 'ask']
    """
    at = match.start() if (match := COMMAND.search(text)) else len(text)
    lines = wrapped(text[:at], width=width) if at else []
    command, _, rest = text[at:].partition("; ")
    lines += [command] if command else []
    return [*lines, *_parts(rest, width)] if rest else lines
