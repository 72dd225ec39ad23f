"""``bikecollect init``: write the first settings, with or without questions."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import click

from bikecollect.cli import questions
from bikecollect.cli.completion import complete_system
from bikecollect.cli.mail_questions import PORTS, MailQuestions, host_error
from bikecollect.cli.options import (
    Shared,
    called,
    client_id_option,
    client_secret_option,
    complain,
    say,
)
from bikecollect.cli.questions import Back, ask_in_order, confirm
from bikecollect.cli.render.terminal import wrapped
from bikecollect.core.errors import FeedError, PayloadError, SettingsError
from bikecollect.core.text import mail_address_error
from bikecollect.setup import feed_access, first_run
from bikecollect.setup.catalogue import lookup
from bikecollect.setup.catalogue.entry import CLIENT, access_text
from bikecollect.setup.first_run import NewSystem
from bikecollect.setup.loader import load
from bikecollect.setup.scheduler import jobs
from bikecollect.setup.scheduler.crontab import install_in_cron
from bikecollect.setup.settings import Settings
from bikecollect.setup.tables.sections import Mail
from bikecollect.setup.time_zones import is_zone

FIRST = "youbike-taipei"
MANY = 12


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
    Each feed is tried first, unless --no-try.
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
    plan = _Plan(path, mail, timezone, _absolute(data_dir), attempt=not no_try)
    plan.client = feed_access.client(client_id, client_secret_file)
    if yes:
        _add_systems(plan, queries or (FIRST,), ask=False)
    else:
        options = {"to": to, "host": mail_host, "port": mail_port}
        options |= {"security": mail_security, "user": mail_user}
        missing = [name for name, value in options.items() if not value]
        steps = [
            partial(_ask_systems, plan, queries),
            partial(_ask_mail, plan, missing),
            *([] if data_dir else [partial(_ask_folder, plan)]),
        ]
        ask_in_order(steps)
    new = first_run.NewSettings(plan.systems, plan.data_dir, plan.mail, plan.password)
    first_run.write(path, new, force=force)
    say(f"\nWritten: {path}\n")
    _schedule(path, cron=cron, ask=not yes)


@dataclass
class _Plan:
    """The answers so far; if *attempt*, feeds and mails are tried."""

    path: Path
    mail: Mail
    timezone: str
    data_dir: str
    attempt: bool
    password: str = ""
    client: dict[str, str] = field(default_factory=dict)
    systems: list[NewSystem] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The names in use."""
        return [new.system_id for new in self.systems]

    def has(self, new: NewSystem) -> bool:
        """Return whether *new* is already in the plan."""
        if new.system.url:
            return any(new.system.url == other.system.url for other in self.systems)
        return new.system_id in self.names


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


def _add_systems(plan: _Plan, arguments: Sequence[str], *, ask: bool) -> None:
    """Add the systems *arguments* (--system) to *plan*, each with a unique name."""
    plan.systems.clear()
    for argument in arguments:
        name, query = first_run.split_name(argument)
        if name and (error := first_run.name_error(name, plan.names)):
            raise click.UsageError(f"--system {argument}: {error}")
        query = _only_match(query)
        new = _try_system(query, plan, name, ask=ask)
        if new is None:
            say(f"{query} skipped.\n")
            continue
        new = _with_timezone(new, plan, ask=ask)
        if not name and plan.has(new):
            complain(f"{query} is given twice; it is collected once")
            continue
        name = name or first_run.free_name(new.system_id, plan.names)
        plan.systems.append(first_run.with_name(new, name))


def _ask_systems(plan: _Plan, queries: Sequence[str]) -> None:
    """Ask for the systems, unless *queries* names some."""
    if queries:
        _add_systems(plan, queries, ask=True)
    more = not (queries and plan.systems)
    while more:
        try:
            more = _ask_system(plan)
        except Back:
            if plan.systems:
                say(f"{plan.systems.pop().system_id} removed.\n")


def _ask_system(plan: _Plan) -> bool:
    """Ask for one more system and add it to *plan*; return False for no more."""
    if plan.systems:
        answer = _question("Another one? (empty for no)", default="")
    else:
        answer = _question("Which system? A city, a name, or a feed's address", FIRST)
    if not answer:
        return False
    new = _try_system(answer, plan, ask=True)
    if new is None:
        return True
    if plan.has(new):
        say(f"{answer} was already added.\n")
        return True
    new = _with_timezone(new, plan, ask=True)
    name = first_run.free_name(new.system_id, plan.names)
    if new.system.feed:
        check = partial(first_run.name_error, taken=plan.names)
        name = questions.ask("Its name, for its folder and for commands", name, check)
    plan.systems.append(first_run.with_name(new, name))
    return True


def _question(text: str, default: str) -> str:
    """Ask for a system until the answer is an id or an address; empty for no."""
    while True:
        answer = questions.ask(text, default)
        if not answer or first_run.is_address(answer):
            return answer
        if not default and answer.lower() in {"n", "no"}:
            return ""
        entries = lookup.search(answer)
        if len(entries) == 1:
            say(f"{entries[0].name}, {entries[0].city}\n")
            return entries[0].system_id
        for entry in entries[:MANY]:
            say(f"  {entry.system_id:<21} {entry.name}, {entry.city}\n")
        if not entries:
            say(f'"{answer}" is not in the catalogue; see: bikecollect feeds\n')


def _only_match(query: str) -> str:
    """Return the id of the only entry with the words of *query*, or *query*."""
    entries = [] if first_run.is_address(query) else lookup.search(query)
    return entries[0].system_id if len(entries) == 1 else query


def _try_system(
    query: str, plan: _Plan, name: str = "", *, ask: bool
) -> NewSystem | None:
    """Return the system *query*; the user may accept it after a failed trial.

    None if the user wants to name another one.
    """
    entry = lookup.find(query)
    needs_client = entry is not None and entry.auth_type == CLIENT
    if needs_client and not plan.client and ask:
        plan.client = _ask_client(query)
    client = plan.client if needs_client or entry is None else {}
    if not plan.attempt:
        return first_run.guess_system(query, client)
    say(f"Trying {query} ...\n")
    try:
        new, result = first_run.try_feed(query, client)
    except (FeedError, PayloadError) as error:
        if entry is not None and not client and (access := access_text(entry)):
            error.add_note(f"{query} requires {access}")
        if not ask:
            error.add_note("use --no-try to write it anyway")
            raise
        say("\n".join((str(error), *getattr(error, "__notes__", ()), "")))
        with suppress(Back):  # name another
            if confirm("Use it anyway? (No: name another.)", default=False):
                return first_run.guess_system(query, client)
        return None
    for line in f"{name or new.system_id}: {result}".splitlines():
        say("\n".join(wrapped(line, "", "  ")) + "\n")
    return new


def _ask_client(query: str) -> dict[str, str]:
    """Ask for the OAuth2 credentials of the feed *query*."""
    client_id = questions.ask(f"Client id for {query}", "")
    file = questions.ask("File with the client secret, mode 0600", "")
    return feed_access.client(client_id, file)


def _with_timezone(new: NewSystem, plan: _Plan, *, ask: bool) -> NewSystem:
    """Return *new* with a time zone; ask for it if the catalogue has none."""
    if not new.system.feed or new.system.timezone:
        return new
    zone = plan.timezone
    if ask and not is_zone(zone):
        text = f"Time zone of {new.system_id}, such as Europe/Paris"
        zone = questions.ask(text, "", _zone_error)
    if not is_zone(zone):
        raise SettingsError(
            f"unknown time zone of {new.system_id}: give it with "
            "--timezone, such as Europe/Paris"
        )
    return new._replace(system=replace(new.system, timezone=zone))


def _zone_error(name: str) -> str:
    return "" if is_zone(name) else f'unknown time zone "{name}"'


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


def _absolute(path: str) -> str:
    """Return *path* as absolute, because the settings may be in another folder."""
    return str(Path(path).expanduser().absolute()) if path else ""


def _schedule(path: Path, *, cron: bool | None, ask: bool) -> None:
    """Install the cron lines if requested; otherwise print the next commands."""
    if cron is None and ask and sys.stdin.isatty():
        with suppress(Back):  # the settings are written: nothing to go back to
            cron = confirm("Install the cron lines, to fetch every five minutes?")
    if cron:
        choice = install_in_cron(load(str(path)), path).choice
        say("Installed in your crontab.\n" + jobs.describe(choice))
        return
    command = called(path)
    say(f"Next:\n  {command} fetch\n  {command} schedule install\n")
    say(f"  {command} doctor\n")
