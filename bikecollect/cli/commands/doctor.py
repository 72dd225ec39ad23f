"""``bikecollect doctor``: is all well, and if not, what to do."""

import os
import pwd
import subprocess
from dataclasses import replace
from pathlib import Path

import click

from bikecollect.cli.options import Screen, Shared, say, say_json
from bikecollect.cli.render.doctor import line
from bikecollect.core.text import visible_json
from bikecollect.setup import schedule
from bikecollect.setup.doctor import Verdict, examine

TROUBLE = 1


@click.command()
@click.option("--send", is_flag=True, help="Send a test mail, too.")
@click.option("--offline", is_flag=True, help="Ask neither feeds nor mail server.")
@click.option("--as-cron", is_flag=True, help="In the empty environment of cron.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.pass_context
def doctor(
    ctx: click.Context, *, send: bool, offline: bool, as_cron: bool, form: str
) -> int:
    """Check everything that collecting needs; one line each, with the remedy.

    Ends with 1 when something is wrong.
    """
    shared = ctx.ensure_object(Shared)
    if as_cron:
        return _as_cron(shared, send=send, offline=offline, form=form)
    wrong = False
    for found in examine(shared.settings(), network=not offline, send=send):
        wrong = wrong or found.verdict is Verdict.BAD
        # Before lines are broken: a secret with a blank in it is found as a whole.
        text, remedy = map(Screen.person, (found.text, found.remedy))
        check = replace(found, text=text, remedy=remedy)
        if form == "json":
            values = {
                "check": check.name,
                "verdict": check.verdict.name.lower(),
                "text": check.text,
                "remedy": check.remedy or None,
            }
            say_json(f"{visible_json(values)}\n")
        else:
            say(line(check))
    return TROUBLE if wrong else 0


def _as_cron(shared: Shared, *, send: bool, offline: bool, form: str) -> int:
    """Run the doctor anew with what cron gives: a home, a short path, no more."""
    source = shared.settings().source
    command = schedule.command(Path(source) if source else None)[:-1]
    flags = {"--send": send, "--offline": offline}
    command += ["doctor", "--format", form, *(name for name, on in flags.items() if on)]
    user = pwd.getpwuid(os.geteuid())
    environment = {
        "HOME": user.pw_dir,
        "LOGNAME": user.pw_name,
        "PATH": "/usr/bin:/bin",
        "SHELL": "/bin/sh",
    }
    done = subprocess.run(  # noqa: S603 - this very program
        command, env=environment, cwd=user.pw_dir, check=False
    )
    return done.returncode
