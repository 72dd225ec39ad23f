"""``bikecollect init``: the first settings, by a few questions or by none."""

import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import click

from bikecollect.cli.options import Shared, called, say
from bikecollect.core.errors import FeedError, PayloadError, SettingsError
from bikecollect.setup import catalogue, first_run, probe, schedule
from bikecollect.setup.first_run import NewSystem
from bikecollect.setup.loader import load
from bikecollect.setup.settings import Mail, Settings

FIRST = "youbike-taipei"
MANY = 12


@click.command()
@click.option(
    "--system",
    "asked",
    multiple=True,
    metavar="ID|ADDRESS",
    help="Of the catalogue, or a feed's address; may be given more than once.",
)
@click.option("--timezone", default="", help="Of the systems that do not say theirs.")
@click.option("--data-dir", default=None, help="Where the files go.")
@click.option("--mail", "to", multiple=True, help="Whom to tell of lost slots.")
@click.option("--mail-host", default="", help="The mail server.")
@click.option("--mail-user", default="", help="The name to log in there with.")
@click.option("--mail-password-file", default="", help="File with the password.")
@click.option("--cron/--no-cron", default=None, help="Install the cron line too.")
@click.option(
    "--here", is_flag=True, help="Write bikecollect.toml into the current folder."
)
@click.option("--no-try", is_flag=True, help="Do not try the feeds: no network.")
@click.option("--force", is_flag=True, help="Write over a settings file.")
@click.option("--yes", is_flag=True, help="Ask nothing; what is not said is default.")
@click.pass_context
def init(
    ctx: click.Context,
    *,
    asked: tuple[str, ...],
    timezone: str,
    data_dir: str | None,
    to: tuple[str, ...],
    mail_host: str,
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
    readable by you alone.
    """
    path = first_run.place(ctx.ensure_object(Shared).config, here=here)
    first_run.refuse_to_overwrite(path, force=force)
    if mail_host and not to:
        raise click.UsageError("--mail-host needs --mail")
    if yes and to and not mail_host:
        raise click.UsageError("--mail needs --mail-host")
    mail = Mail(
        to=list(to),
        host=mail_host,
        user=mail_user,
        password_file=str(Path(mail_password_file).absolute())
        if mail_password_file
        else "",
        sender=to[0] if to else "",
    )
    password = ""
    systems = _systems(asked, timezone, ask=not yes, attempt=not no_try)
    if not yes:
        mail, password = _mail(mail, path)
        data_dir = _folder() if data_dir is None else data_dir
    wishes = first_run.Wishes(systems, _absolute(data_dir or ""), mail, password)
    first_run.write(path, wishes, force=force)
    say(f"\nWritten: {path}\n")
    _schedule(path, cron=cron, ask=not yes)


def _systems(
    asked: tuple[str, ...], timezone: str, *, ask: bool, attempt: bool
) -> list[NewSystem]:
    """Return the systems *asked* for, each once; asks where there are none."""
    wanted = list(asked or ([] if ask else [FIRST]))
    if not wanted:
        wanted.append(_question("Which system? A city, a name, or a feed's address"))
        while more := _question("Another one? (empty for no)", default=""):
            wanted.append(more)
    found: dict[str, NewSystem] = {}
    for each in wanted:
        made = _zoned(_one(each, ask=ask, attempt=attempt), timezone, ask=ask)
        found[made.system_id] = made
    return list(found.values())


def _question(text: str, default: str = FIRST) -> str:
    """Ask for a system until the answer is one, by its id or its address."""
    while True:
        answer = _ask(text, default)
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


def _one(asked: str, *, ask: bool, attempt: bool) -> NewSystem:
    """Return the system *asked* for; a failed try may be overridden."""
    if not attempt:
        return first_run.untried(asked)
    say(f"Trying {asked} ...\n")
    try:
        found, told = first_run.tried(asked)
    except (FeedError, PayloadError) as error:
        say(f"{error}\n")
        if not ask:
            click.echo("bikecollect: --no-try writes it all the same", err=True)
            raise
        if not _sure("Take it all the same?", default=False):
            raise
        return first_run.untried(asked)
    say(f"{_wrapped(told)}\n")
    return found


def _zoned(new: NewSystem, timezone: str, *, ask: bool) -> NewSystem:
    """Return *new* with a time zone, where neither it nor the catalogue says."""
    if not new.system.feed or new.system.timezone:
        return new
    while ask and not probe.is_zone(timezone):
        timezone = _ask(f"Time zone of {new.system_id}, such as Europe/Paris", "")
    if not probe.is_zone(timezone):
        raise SettingsError(
            f"the feed of {new.system_id} does not say its time zone: give it with "
            "--timezone, such as Europe/Paris"
        )
    return new._replace(system=replace(new.system, timezone=timezone))


def _mail(mail: Mail, path: Path) -> tuple[Mail, str]:
    """Ask for what *mail* lacks; return it, and the password where one is given."""
    if not mail.to:
        address = _ask("Your mail address, to tell of lost slots (empty: none)", "")
        if not address:
            return mail, ""
        mail = replace(mail, to=[address], sender=address)
    if not mail.host:
        host = _ask("Mail server, such as smtp.example.org (empty: none)", "")
        if not host:
            return replace(mail, to=[]), ""
        user = mail.user or _ask("Name to log in there with (empty: none)", "")
        mail = replace(mail, host=host, user=user)
    if not mail.user or mail.password_file:
        return mail, ""
    password = _ask("Password (empty: later)", "", hidden=True)
    if not password:
        return mail, ""
    beside = path.with_name(first_run.PASSWORD).absolute()
    return replace(mail, password_file=str(beside)), password


def _folder() -> str:
    """Ask where the files go; return an empty text for the default."""
    usual = str(Settings().data)
    answer = _ask("Folder of the data", usual)
    return "" if answer == usual else answer


def _absolute(data_dir: str) -> str:
    """Return *data_dir* as it is meant here: a file's folder may be another."""
    return str(Path(data_dir).expanduser().absolute()) if data_dir else ""


def _schedule(path: Path, *, cron: bool | None, ask: bool) -> None:
    """Install the cron line where it is wanted; else say how."""
    if cron is None and ask:
        cron = _sure("Install the cron line, to fetch every five minutes?")
    if cron:
        schedule.install_in_cron(load(str(path)), path)
        say("Installed in your crontab.\n")
        return
    command = called(path)
    say(f"Next:\n  {command} fetch\n  {command} schedule install\n")
    say(f"  {command} doctor\n")


def _wrapped(text: str) -> str:
    lines = text.splitlines()
    return "\n".join(textwrap.fill(each, 78, subsequent_indent="  ") for each in lines)


def _ask(text: str, default: str, *, hidden: bool = False) -> str:
    """Ask a question; return the answer without blanks around it."""
    try:
        answer: str = click.prompt(
            text,
            default=default,
            show_default=bool(default),
            hide_input=hidden,
        )
    except click.Abort as end:
        raise _no_answer() from end
    return answer.strip()


def _sure(text: str, *, default: bool = True) -> bool:
    try:
        return click.confirm(text, default=default)
    except click.Abort as end:
        raise _no_answer() from end


def _no_answer() -> Exception:
    """Return how it ends without an answer: by ctrl-C, or for want of a terminal."""
    if sys.stdin is not None and sys.stdin.isatty():
        return click.Abort()
    return click.UsageError("nobody answers: give --yes, and --system ID")
