"""``bikecollect init``: write the first settings, with or without questions."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from bikecollect.cli.asking import questions
from bikecollect.cli.asking.mail_questions import PORTS, MailQuestions, host_error
from bikecollect.cli.asking.questions import Back, ask_in_order, confirm
from bikecollect.cli.asking.system_questions import FIRST, SystemQuestions
from bikecollect.cli.completion import complete_system
from bikecollect.cli.options import Shared, client_id_option, client_secret_option
from bikecollect.cli.printing import called, complain, say
from bikecollect.core.errors import SettingsError
from bikecollect.core.text import mail_address_error
from bikecollect.setup import feed_access, first_run
from bikecollect.setup.checks.services import log_in
from bikecollect.setup.loader import load
from bikecollect.setup.scheduler import jobs
from bikecollect.setup.scheduler.cron_schedule import install_in_cron
from bikecollect.setup.settings import Settings
from bikecollect.setup.tables.sections import Mail, server


@click.command()
@click.option(
    "--system",
    "queries",
    multiple=True,
    shell_complete=complete_system,
    metavar="[NAME=]ID|ADDRESS",
    help="Id or words of the catalogue (`bikecollect feeds`), or a feed's address; "
    "repeatable. NAME is the name in the settings.",
)
@click.option(
    "--timezone", default="", help="For systems whose feed does not give one."
)
@click.option("--data-dir", default="", help="Folder of the data.")
@click.option("--mail", "to", multiple=True, help="Recipient of alerts; repeatable.")
@click.option("--mail-host", default="", help="Mail server.")
@click.option(
    "--mail-port",
    type=click.IntRange(1, 65_535),
    help="Port of the mail server; default: 587, 465 with tls, 25 with none.",
)
@click.option(
    "--mail-security",
    type=click.Choice(list(PORTS)),
    help="Security of the connection; default: starttls.",
)
@click.option("--mail-user", default="", help="User name for the mail server.")
@click.option("--mail-password-file", default="", help="File with the mail password.")
@client_id_option
@client_secret_option
@click.option("--cron/--no-cron", default=None, help="Also install the cron lines.")
@click.option(
    "--here", is_flag=True, help="Write bikecollect.toml to the current folder."
)
@click.option(
    "--no-try", is_flag=True, help="Do not try feeds and mail: no network access."
)
@click.option("--force", is_flag=True, help="Overwrite an existing settings file.")
@click.option("--yes", is_flag=True, help="Accept the defaults without prompting.")
@click.pass_context
def init(
    ctx: click.Context,
    *,
    queries: tuple[str, ...],
    timezone: str,
    data_dir: str,
    to: tuple[str, ...],
    mail_host: str,
    mail_port: int | None,
    mail_security: str | None,
    mail_user: str,
    mail_password_file: str,
    client_id: str,
    client_secret_file: str,
    cron: bool | None,
    here: bool,
    no_try: bool,
    force: bool,
    yes: bool,
) -> None:
    """Write a settings file, with or without questions.

    With --yes no questions are asked. The path of the file is FILE of `bikecollect
    --config FILE init`, else $BIKECOLLECT_CONFIG, else the one in your config folder.
    Each feed is tried first, unless --no-try, and with --yes the mail server, too.
    The mail password is asked for and written to a separate file of mode 0600.
    The answer < goes back to the previous question.
    """
    path = first_run.settings_path(ctx.ensure_object(Shared).config, here=here)
    first_run.refuse_to_overwrite(path, force=force)
    security = mail_security or "starttls"
    mail = Mail(
        to=list(to),
        host=mail_host,
        port=mail_port or PORTS[security],
        security=security,
        user=mail_user,
        password_file=_absolute(mail_password_file),
        sender=to[0] if to else "",
    )
    _check_mail(mail, ask=not yes)
    if data_dir and (error := questions.impossible_folder(data_dir)):
        raise click.UsageError(f"--data-dir: {error}")
    plan = _Plan(path, mail, _absolute(data_dir), attempt=not no_try)
    client = feed_access.client(client_id, client_secret_file)
    systems = SystemQuestions(timezone, client, attempt=not no_try)
    if yes:
        systems.add(queries or (FIRST,), ask=False)
        if not no_try:
            _try_mail(mail)
    else:
        options = {"to": to, "host": mail_host, "port": mail_port}
        options |= {"security": mail_security, "user": mail_user}
        missing = [name for name, value in options.items() if not value]
        steps = [partial(systems.ask, queries), partial(_ask_mail, plan, missing)]
        ask_in_order(steps if data_dir else [*steps, partial(_ask_folder, plan)])
    _write(plan, systems, force=force)
    _schedule(path, cron=cron, ask=not yes)


@dataclass
class _Plan:
    """The answers so far, except the systems; if *attempt*, mails are tried."""

    path: Path
    mail: Mail
    data_dir: str
    attempt: bool
    password: str = ""


def _check_mail(mail: Mail, *, ask: bool) -> None:
    """Raise UsageError for options about mail that do not fit together."""
    if mail.host and not mail.to:
        raise click.UsageError("--mail-host requires --mail")
    if mail.to and not mail.host and not ask:
        raise click.UsageError("--mail requires --mail-host")
    errors = [*map(mail_address_error, mail.to)]
    errors += [host_error(mail.host)] if mail.host else []
    for error in filter(None, errors):
        raise click.UsageError(error)
    Settings(mail=mail).password()  # raises an error if its file cannot be used


def _try_mail(mail: Mail) -> None:
    """Log in to the server of *mail*, if one is given; raises SettingsError.

    Nothing is sent. A password may be set later.
    """
    if not mail.host or (mail.user and not mail.password_file):
        return
    say(f"Trying {mail.host}:{mail.port} ...\n")
    error = log_in(mail, server(mail, Settings(mail=mail).password()))
    if error:
        failure = SettingsError(f"mail: {error}")
        failure.add_note("use --no-try to write it anyway")
        raise failure


def _ask_mail(plan: _Plan, missing: Sequence[str]) -> None:
    password_path = plan.path.with_name(first_run.PASSWORD).absolute()
    mail_questions = MailQuestions(plan.mail, password_path)
    mail_questions.ask(missing, attempt=plan.attempt)
    plan.mail, plan.password = mail_questions.mail, mail_questions.password


def _ask_folder(plan: _Plan) -> None:
    """Ask for the data folder; empty means the default."""
    default = str(Settings().data)
    answer = questions.ask("Folder of the data", default, questions.folder_error)
    plan.data_dir = "" if answer == default else _absolute(answer)


def _write(plan: _Plan, systems: SystemQuestions, *, force: bool) -> None:
    """Write the settings; report on stderr if the data folder cannot be written."""
    answers = plan.data_dir, plan.mail, plan.password
    new = first_run.NewSettings(systems.systems, *answers)
    first_run.write(plan.path, new, force=force)
    say(f"\nWritten: {plan.path}\n")
    with suppress(SettingsError):  # no home: `fetch` says so
        folder = plan.data_dir or str(Settings().data)
        if error := questions.unwritable_folder(folder):
            complain(error)


def _absolute(path: str) -> str:
    """Return *path* as absolute, because the settings may be in another folder."""
    return str(Path(path).expanduser().absolute()) if path else ""


def _schedule(path: Path, *, cron: bool | None, ask: bool) -> None:
    """Install the cron lines if requested; print the next commands."""
    if cron is None and ask and sys.stdin.isatty():
        with suppress(Back):  # the settings are written: nothing to go back to
            cron = confirm("Install the cron lines, to fetch every five minutes?")
    if cron:
        choice = install_in_cron(load(str(path)), path).choice
        say("Installed in your crontab.\n" + jobs.describe(choice))
    commands = ["fetch", *([] if cron else ["schedule install"]), "doctor"]
    lines = [f"  {called(path)} {command}\n" for command in commands]
    say("".join(["Next:\n", *lines]))
