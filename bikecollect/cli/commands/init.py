"""``bikecollect init``: the first settings, by a few questions or by none."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import click

from bikecollect.cli import questions
from bikecollect.cli.mail_questions import MailQuestions
from bikecollect.cli.options import Shared, called, complain, say
from bikecollect.cli.questions import Back, in_turn, sure
from bikecollect.cli.render.terminal import wrapped
from bikecollect.core.errors import FeedError, PayloadError, SettingsError
from bikecollect.setup import catalogue, first_run, probe, schedule
from bikecollect.setup.first_run import NewSystem
from bikecollect.setup.loader import load
from bikecollect.setup.settings import Mail, Settings, wrong_mail_address

FIRST = "youbike-taipei"
MANY = 12


@click.command()
@click.option(
    "--system",
    "asked",
    multiple=True,
    metavar="[NAME=]ID|ADDRESS",
    help="Of the catalogue, or a feed's address; may be given more than once. NAME is "
    "what it is called here.",
)
@click.option("--timezone", default="", help="Of the systems that do not say theirs.")
@click.option("--data-dir", default="", help="Where the files go.")
@click.option("--mail", "to", multiple=True, help="Whom to tell of lost slots.")
@click.option("--mail-host", default="", help="The mail server.")
@click.option(
    "--mail-port",
    type=click.IntRange(1, 65_535),
    help="Its port; default: 587, 465 with tls, 25 with none.",
)
@click.option(
    "--mail-security",
    type=click.Choice(list(first_run.PORTS)),
    help="How it is talked to; default: starttls.",
)
@click.option("--mail-user", default="", help="The name to log in there with.")
@click.option("--mail-password-file", default="", help="File with the password.")
@click.option("--cron/--no-cron", default=None, help="Install the cron line too.")
@click.option(
    "--here", is_flag=True, help="Write bikecollect.toml into the current folder."
)
@click.option("--no-try", is_flag=True, help="Try neither feeds nor mail: no network.")
@click.option("--force", is_flag=True, help="Write over a settings file.")
@click.option("--yes", is_flag=True, help="Accept the defaults without prompting.")
@click.pass_context
def init(
    ctx: click.Context,
    *,
    asked: tuple[str, ...],
    timezone: str,
    data_dir: str,
    to: tuple[str, ...],
    mail_host: str,
    mail_port: int | None,
    mail_security: str | None,
    mail_user: str,
    mail_password_file: str,
    cron: bool | None,
    here: bool,
    no_try: bool,
    force: bool,
    yes: bool,
) -> None:
    """Write a settings file, by a few questions; with --yes, by none.

    The file is that of `bikecollect --config FILE init`, else of
    $BIKECOLLECT_CONFIG, else the one in your config folder. Each feed is tried
    first, unless --no-try. A password is asked for and goes into a file of its own,
    readable by you alone. The answer < goes back to the question before.
    """
    path = first_run.place(ctx.ensure_object(Shared).config, here=here)
    first_run.refuse_to_overwrite(path, force=force)
    security = mail_security or "starttls"
    mail = Mail(
        to=list(to),
        host=mail_host,
        port=mail_port or first_run.PORTS[security],
        security=security,
        user=mail_user,
        password_file=_absolute(mail_password_file),
        sender=to[0] if to else "",
    )
    _check_mail(mail, ask=not yes)
    plan = _Plan(path, mail, timezone, _absolute(data_dir), attempt=not no_try)
    if yes:
        _take(plan, asked or (FIRST,), ask=False)
    else:
        given = {"to": to, "host": mail_host, "port": mail_port}
        given |= {"security": mail_security, "user": mail_user}
        unasked = [name for name, value in given.items() if not value]
        steps = [
            partial(_ask_systems, plan, asked),
            partial(_ask_mail, plan, unasked),
            *([] if data_dir else [partial(_ask_folder, plan)]),
        ]
        in_turn(steps)
    wishes = first_run.Wishes(plan.systems, plan.data_dir, plan.mail, plan.password)
    first_run.write(path, wishes, force=force)
    say(f"\nWritten: {path}\n")
    _schedule(path, cron=cron, ask=not yes)


@dataclass
class _Plan:
    """What was answered so far; with *attempt*, feeds and mails are tried."""

    path: Path
    mail: Mail
    timezone: str
    data_dir: str
    attempt: bool
    password: str = ""
    systems: list[NewSystem] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The names that are taken."""
        return [each.system_id for each in self.systems]

    def has(self, new: NewSystem) -> bool:
        """Return whether the very system *new* is there already."""
        if new.system.url:
            return any(new.system.url == each.system.url for each in self.systems)
        return new.system_id in self.names


def _check_mail(mail: Mail, *, ask: bool) -> None:
    """Raise what says which options about mail do not fit together."""
    if mail.host and not mail.to:
        raise click.UsageError("--mail-host needs --mail")
    if mail.to and not mail.host and not ask:
        raise click.UsageError("--mail needs --mail-host")
    wrong = [*map(wrong_mail_address, mail.to)]
    wrong += [first_run.wrong_host(mail.host)] if mail.host else []
    for each in filter(None, wrong):
        raise click.UsageError(each)


def _take(plan: _Plan, asked: Sequence[str], *, ask: bool) -> None:
    """Add the systems *asked* for to *plan*, each by a name of its own."""
    plan.systems.clear()
    for each in asked:
        name, what = first_run.split(each)
        if name and (wrong := first_run.wrong_name(name, plan.names)):
            raise click.UsageError(f"--system {each}: {wrong}")
        new = _tried(what, plan, ask=ask)
        if new is None:
            say(f"Without {what}, then.\n")
            continue
        new = _zoned(new, plan, ask=ask)
        if not name and plan.has(new):
            complain(f"{what} is given twice, and collected once")
            continue
        name = name or first_run.free_name(new.system_id, plan.names)
        plan.systems.append(first_run.renamed(new, name))


def _ask_systems(plan: _Plan, asked: Sequence[str]) -> None:
    """Ask for the systems, unless some are *asked* for in the call."""
    if asked:
        _take(plan, asked, ask=True)
    more = not (asked and plan.systems)
    while more:
        try:
            more = _ask_system(plan)
        except Back:
            if plan.systems:
                say(f"Without {plan.systems.pop().system_id}, then.\n")


def _ask_system(plan: _Plan) -> bool:
    """Ask for one more system and add it to *plan*; return False for no more."""
    if plan.systems:
        answer = _question("Another one? (empty for no)", default="")
    else:
        answer = _question("Which system? A city, a name, or a feed's address", FIRST)
    if not answer:
        return False
    new = _tried(answer, plan, ask=True)
    if new is None:
        return True
    if plan.has(new):
        say(f"{answer} is there already.\n")
        return True
    new = _zoned(new, plan, ask=True)
    name = first_run.free_name(new.system_id, plan.names)
    if new.system.feed:
        check = partial(first_run.wrong_name, taken=plan.names)
        name = questions.ask("Its name, for its folder and in commands", name, check)
    plan.systems.append(first_run.renamed(new, name))
    return True


def _question(text: str, default: str) -> str:
    """Ask for a system until the answer is one, by its id or its address."""
    while True:
        answer = questions.ask(text, default)
        if not answer or first_run.is_address(answer):
            return answer
        found = catalogue.search(answer)
        if len(found) == 1:
            say(f"{found[0].name}, {found[0].city}\n")
            return found[0].system_id
        for each in found[:MANY]:
            say(f"  {each.system_id:<21} {each.name}, {each.city}\n")
        if not found:
            say(f'The catalogue has no "{answer}"; see: bikecollect feeds\n')


def _tried(asked: str, plan: _Plan, *, ask: bool) -> NewSystem | None:
    """Return the system *asked* for; a failed try may be overridden.

    None where the person would rather name another.
    """
    if not plan.attempt:
        return first_run.untried(asked)
    say(f"Trying {asked} ...\n")
    try:
        found, told = first_run.tried(asked)
    except (FeedError, PayloadError) as error:
        if not ask:
            complain("--no-try writes it all the same")
            raise
        say(f"{error}\n")
        if not sure("Take it all the same? (No: name another.)", default=False):
            return None
        return first_run.untried(asked)
    lines = told.splitlines()
    shown = [part for line in lines for part in wrapped(line, "", "  ") or [""]]
    say("\n".join(shown) + "\n")
    return found


def _zoned(new: NewSystem, plan: _Plan, *, ask: bool) -> NewSystem:
    """Return *new* with a time zone, where neither it nor the catalogue says."""
    if not new.system.feed or new.system.timezone:
        return new
    zone = plan.timezone
    if ask and not probe.is_zone(zone):
        text = f"Time zone of {new.system_id}, such as Europe/Paris"
        zone = questions.ask(text, "", _wrong_zone)
    if not probe.is_zone(zone):
        raise SettingsError(
            f"the feed of {new.system_id} does not say its time zone: give it with "
            "--timezone, such as Europe/Paris"
        )
    return new._replace(system=replace(new.system, timezone=zone))


def _wrong_zone(name: str) -> str:
    return "" if probe.is_zone(name) else f'"{name}" is no IANA time zone'


def _ask_mail(plan: _Plan, unasked: Sequence[str]) -> None:
    beside = plan.path.with_name(first_run.PASSWORD).absolute()
    wishes = MailQuestions(plan.mail, beside)
    wishes.ask(unasked, attempt=plan.attempt)
    plan.mail, plan.password = wishes.mail, wishes.password


def _ask_folder(plan: _Plan) -> None:
    """Ask where the files go; empty is the default."""
    usual = str(Settings().data)
    answer = questions.ask("Folder of the data", usual, first_run.wrong_folder)
    plan.data_dir = "" if answer == usual else _absolute(answer)


def _absolute(path: str) -> str:
    """Return *path* as it is meant here: the file's folder may be another."""
    return str(Path(path).expanduser().absolute()) if path else ""


def _schedule(path: Path, *, cron: bool | None, ask: bool) -> None:
    """Install the cron line where it is wanted; else say how."""
    if cron is None and ask and sys.stdin.isatty():
        cron = sure("Install the cron line, to fetch every five minutes?")
    if cron:
        schedule.install_in_cron(load(str(path)), path)
        say("Installed in your crontab.\n")
        return
    command = called(path)
    say(f"Next:\n  {command} fetch\n  {command} schedule install\n")
    say(f"  {command} doctor\n")
