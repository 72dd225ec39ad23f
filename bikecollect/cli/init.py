"""``bikecollect init``: from nothing to settings that work."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bikecollect.cli.options import Shared, say

if TYPE_CHECKING:
    from bikecollect.template import Choice, MailChoice

PASSWORD = "smtp-password"  # noqa: S105 - a file's name


@click.command()
@click.option("--system", "targets", multiple=True, help="Id, city or URL; repeatable.")
@click.option("--data-dir", help="The folder of all data; default: your data folder.")
@click.option("--interval", default="5min", show_default=True)
@click.option("--timezone", default="", help="Of a URL that does not say its own.")
@click.option("--mail", "to", multiple=True, help="Who is told of trouble; repeatable.")
@click.option("--mail-host", default="", help="The mail server.")
@click.option("--mail-port", default=587, show_default=True)
@click.option("--mail-user", default="", help="Its login; the password is asked for.")
@click.option("--mail-sender", default="", help="The From address.")
@click.option("--no-try", is_flag=True, help="Do not ask the feed whether it answers.")
@click.option("--cron/--no-cron", default=None, help="Install the cron line, or not.")
@click.option("--force", is_flag=True, help="Replace settings that are there.")
@click.option("--yes", is_flag=True, help="Ask nothing; take what is given.")
@click.pass_context
def init(
    ctx: click.Context,
    *,
    targets: tuple[str, ...],
    data_dir: str | None,
    interval: str,
    timezone: str,
    to: tuple[str, ...],
    mail_host: str,
    mail_port: int,
    mail_user: str,
    mail_sender: str,
    no_try: bool,
    cron: bool | None,
    force: bool,
    yes: bool,
) -> None:
    """Write a settings file: asks little, tries the feed, offers the cron line.

    Without questions: bikecollect init --system youbike-taipei --yes
    """
    from bikecollect import config, template  # noqa: PLC0415 - only here
    from bikecollect.cli.schedule import install_lines  # noqa: PLC0415 - only here
    from bikecollect.errors import UsageError  # noqa: PLC0415 - only here
    from bikecollect.template import MailChoice  # noqa: PLC0415 - only here

    path = Path(ctx.ensure_object(Shared).config or "bikecollect.toml").absolute()
    if path.exists() and not force:
        raise UsageError(f"{path} is there already; --force replaces it")
    if not targets:
        if yes:
            raise UsageError("say which system: --system youbike-taipei, or a URL")
        targets = (click.prompt("Which city, system or URL", type=str),)
    systems = [_choice(t, timezone, no_try=no_try, yes=yes) for t in targets]
    if not yes and not to:
        answer = click.prompt("Mail address for trouble (empty: none)", default="")
        to = tuple(each for each in answer.split() if each)
    mail = MailChoice(to, mail_host, mail_port, mail_user, mail_sender)
    if to:
        mail = _mail(mail, path, yes=yes)
    text = template.text(systems, data_dir=data_dir or "", interval=interval, mail=mail)
    _write(path, text)
    settings = config.load(str(path))
    say(f"Written: {path}\n")
    if cron is None:
        cron = not yes and click.confirm("Install the cron line now?", default=True)
    if cron:
        install_lines(settings)
    which = "" if path.name == "bikecollect.toml" else f" --config {path}"
    say(
        f"Next:\n  bikecollect{which} fetch     # one snapshot now\n"
        f"  bikecollect{which} doctor    # is all well?\n"
    )


def _choice(target: str, timezone: str, *, no_try: bool, yes: bool) -> "Choice":
    """Return the system that *target* names, tried unless *no_try*."""
    from bikecollect import catalogue  # noqa: PLC0415 - only here
    from bikecollect.errors import BikecollectError  # noqa: PLC0415 - only here
    from bikecollect.probe import probe, slug  # noqa: PLC0415 - heavy
    from bikecollect.template import Choice  # noqa: PLC0415 - only here

    if "://" not in target:
        target = _known(target, yes=yes)
    entry = catalogue.find(target)
    if no_try:
        if entry is None:
            return Choice("system", "gbfs", target, timezone or "UTC")
        return Choice(entry.system_id, name=entry.name)
    click.echo(f"Trying {target} ...", err=True)
    try:
        found = probe(target, timezone=timezone)
    except BikecollectError as error:
        if entry is None or yes or not click.confirm(f"{error}\nTake it all the same?"):
            raise
        return Choice(entry.system_id, name=entry.name)
    count = len(found.snapshot.statuses)
    click.echo(f"{found.name or target}: {found.feed}, {count} stations", err=True)
    if entry is not None:
        return Choice(entry.system_id, name=entry.name)
    zone = found.timezone or ("UTC" if yes else click.prompt("Its time zone", "UTC"))
    return Choice(slug(found), found.feed, found.url, zone, found.name)


def _known(words: str, *, yes: bool) -> str:
    """Return the id of the one system that *words* name; asks where it is several."""
    from bikecollect import catalogue  # noqa: PLC0415 - only here
    from bikecollect.errors import UsageError  # noqa: PLC0415 - only here

    if catalogue.find(words):
        return words
    ids = [each.system_id for each in catalogue.search(words)]
    if len(ids) == 1:
        return ids[0]
    if not ids:
        raise UsageError(
            f'the catalogue has nothing like "{words}"; give the URL of its gbfs.json '
            "(see: bikecollect feeds)"
        )
    if yes:
        raise UsageError(f'"{words}" may be {", ".join(ids)}: say which')
    return str(click.prompt("Which one", type=click.Choice(ids)))


def _mail(mail: "MailChoice", path: Path, *, yes: bool) -> "MailChoice":
    """Return *mail*, completed; the password goes into a file of its own."""
    from dataclasses import replace  # noqa: PLC0415 - only here

    from bikecollect.errors import UsageError  # noqa: PLC0415 - only here

    if not mail.host:
        if yes:
            raise UsageError("--mail needs --mail-host, the server that takes mails")
        mail = replace(mail, host=click.prompt("Mail server"))
        mail = replace(mail, port=click.prompt("Its port", default=mail.port))
        mail = replace(mail, user=click.prompt("Its login (empty: none)", default=""))
    mail = replace(mail, sender=mail.sender or mail.to[0])
    if not mail.user:
        return mail
    place = path.with_name(PASSWORD)
    if not place.exists():
        if yes:
            click.echo(f"Put the password into {place} (chmod 600).", err=True)
        password = "" if yes else click.prompt("Its password", hide_input=True)
        _write(place, f"{password}\n")
    return replace(mail, password_file=PASSWORD)


def _write(path: Path, text: str) -> None:
    """Write *text* to *path* in one step, for its owner only."""
    from bikecollect.durable import make_folder, write_file  # noqa: PLC0415 - only here
    from bikecollect.errors import StorageError  # noqa: PLC0415 - only here

    try:
        make_folder(path.parent)
        aside = path.with_name(f".{path.name}.tmp")
        aside.unlink(missing_ok=True)
        write_file(aside, text.encode("utf-8"))
        aside.chmod(0o600)
        aside.rename(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}") from error
