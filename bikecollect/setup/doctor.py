"""The doctor's checks: each looks at one thing and says what to do."""

import os
import platform
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bikecollect import __version__
from bikecollect.alerts import webhooks
from bikecollect.alerts.mail import smtp
from bikecollect.core.errors import BikecollectError, UntrustedFile
from bikecollect.core.text import length, size
from bikecollect.reports.status import survey
from bikecollect.setup import schedule
from bikecollect.setup.machine import BAD_FILE_SYSTEMS, cron_daemon, file_system
from bikecollect.setup.probe import attempt_system
from bikecollect.setup.scheduler.cron import CronState
from bikecollect.setup.settings import Mail, Settings, System, server
from bikecollect.setup.trial import Trial
from bikecollect.storage import data_folder
from bikecollect.storage.files import trusted_files
from bikecollect.storage.files.trusted_files import quoted, user_name

ENOUGH_DAYS = 30
MANY_DAYS = 5_000
SKEW = 60.0
FILES = ("*", "station_status/*", "payloads/*", "payloads/*/*", "outbox/*")
"""Those in a system's folder whose owner is looked at."""


class Verdict(Enum):
    """How a check ended."""

    GOOD = "ok"
    NOTE = "note"
    BAD = "BAD"


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is, and what to do where it is not well."""

    name: str
    verdict: Verdict
    text: str
    remedy: str = ""


Checks = Iterator[Check]


def examine(settings: Settings, *, network: bool, send: bool) -> Checks:
    """Yield all checks, in the order in which a person would mend things."""
    yield _python()
    yield from _settings(settings)
    for name, system in settings.systems.items():
        yield from _read(f"{name}: folder", _folder(name, settings.data / name))
        yield from _read(f"{name}: disk", _disk(name, settings))
        if network:
            yield from _feed(name, system)
    yield from _read("archive: folder", _archive(settings.data))
    yield from _schedule(settings)
    yield from _mail(settings, network=network, send=send)
    if settings.ping.url and network:
        yield _ping(settings)


def _good(name: str, text: str) -> Check:
    return Check(name, Verdict.GOOD, text)


def _note(name: str, text: str, remedy: str) -> Check:
    return Check(name, Verdict.NOTE, text, remedy)


def _bad(name: str, text: str, remedy: str) -> Check:
    return Check(name, Verdict.BAD, text, remedy)


def _python() -> Check:
    text = f"bikecollect {__version__}, Python {platform.python_version()}"
    return _good("program", f"{text}, {sys.executable}")


def _settings(settings: Settings) -> Checks:
    if not settings.source:
        text = "none found: Taipei's YouBike with the defaults"
        yield _note("settings", text, "make your own: bikecollect init")
        return
    path = Path(settings.source)
    count = len(settings.systems)
    yield _good("settings", f"{path}, {count} system{'s' if count > 1 else ''}")
    if (place := trusted_files.weak_parent(path)) is not None:
        text = f"others may put another folder in place of {place}"
        yield _note("settings", text, f"ls -ld {quoted(place.parent)}")
    yield from _command(settings)


def _command(settings: Settings) -> Checks:
    """Look at the program that is run when there is something to tell."""
    program = shutil.which((settings.tell.command or [""])[0])
    if program is None and settings.tell.command:
        text = f"there is no program {settings.tell.command[0]}"
        yield _bad("tell.command", text, "name it by its whole path")
    elif program is not None:
        try:
            trusted_files.check_file(Path(program))
        except UntrustedFile as error:
            yield _bad("tell.command", error.what, error.remedy)


def _read(what: str, checks: Checks) -> Checks:
    """Yield *checks*; a disk that cannot be read is one of them, not the end."""
    try:
        yield from checks
    except OSError as error:
        text = f"{error.filename or 'it'}: {error.strerror}"
        yield _bad(what, text, "is its disk mounted, and well? see: dmesg")


def _folder(name: str, place: Path) -> Checks:
    what = f"{name}: folder"
    if not place.exists():
        try:
            parent = _existing(place)
            if not os.access(parent, os.W_OK):
                remedy = f"sudo install -d -o {_user()} {place.parent}"
                yield _bad(what, f"{parent} cannot be written to", remedy)
                return
        except OSError as error:
            yield _bad(what, str(error), "name another data_dir")
            return
        yield _note(what, f"{place} is not there yet", "the first fetch makes it")
        return
    if not (place / data_folder.MARKER).exists():
        remedy = (
            f"mount its disk; or begin anew there: touch {place / data_folder.MARKER}"
        )
        yield _bad(what, f"{place} has no file {data_folder.MARKER}", remedy)
        return
    try:
        data_folder.check(place)
    except UntrustedFile as error:
        yield _bad(what, error.what, error.remedy)
        return
    yield _ownership(what, place, _files(place, FILES))
    if os.geteuid() == 0:
        remedy = "collect as a user of its own"
        yield _note(what, "you are root: its files will be root's", remedy)


def _archive(data: Path) -> Checks:
    what, place = "archive: folder", data / data_folder.ARCHIVE
    if not place.exists():
        return
    try:
        data_folder.check_archive(data)
    except UntrustedFile as error:
        yield _bad(what, error.what, error.remedy)
        return
    yield _ownership(what, place, _files(place, ("**/*",)))


def _ownership(what: str, place: Path, files: Iterable[Path]) -> Check:
    """Return whether all *files* in *place* are ours: a run as root leaves its own."""
    foreign = [each for each in files if each.lstat().st_uid != os.geteuid()]
    if not foreign:
        return _good(what, f"{place} is ours")
    owner = user_name(foreign[0].lstat().st_uid)
    text = f"belongs to {owner} in part ({len(foreign)} files): {foreign[0]}"
    return _bad(what, text, f"sudo chown -R {_user()} {quoted(place)}")


def _disk(name: str, settings: Settings) -> Checks:
    what, place = f"{name}: disk", settings.data / name
    kind = file_system(_existing(place))
    if kind in BAD_FILE_SYSTEMS:
        text = f"the file system is {kind}: {BAD_FILE_SYSTEMS[kind]}"
        yield _note(what, text, "a local disk (ext4, xfs, btrfs) is better")
    free = shutil.disk_usage(_existing(place)).free
    try:
        standing = survey(settings.system_folder(name), now=time.time())
    except BikecollectError as error:
        yield _bad(what, str(error), "the next fetch makes a new ledger from the files")
        return
    left = standing.disk.days_left
    known = ""
    if left is not None:
        known = f", enough for {min(left, MANY_DAYS):,.0f} days"
        known += " and more" if left > MANY_DAYS else ""
    text = f"{kind or 'unknown file system'}, {size(free)} free{known}"
    if left is not None and left < ENOUGH_DAYS:
        yield _bad(what, text, "make room, or keep.payload_days smaller")
    else:
        yield _good(what, text)


def _feed(name: str, system: System) -> Checks:
    what = f"{name}: feed"
    try:
        trial = attempt_system(name, system)
    except BikecollectError as error:
        yield _bad(what, str(error), f"bikecollect feeds try {name}")
        return
    count = len(trial.snapshot.statuses)
    if trial.oddities:
        text = f"{count} stations; {trial.oddities[0]}"
        yield _note(what, text, f"bikecollect feeds try {name}")
    else:
        yield _good(what, f"{count} stations, all understood, {trial.seconds:.1f} s")
    yield from _clock(what, trial)


def _clock(what: str, trial: Trial) -> Checks:
    if trial.date is None:
        return
    skew = trial.fetched_at - trial.date
    if abs(skew) > SKEW:
        text = f"this machine's clock differs from the feed's by {length(abs(skew))}"
        yield _bad(what, text, "sudo timedatectl set-ntp true")
    else:
        yield _good(what, f"its clock and ours agree within {abs(skew):.0f} s")


def _schedule(settings: Settings) -> Checks:
    remedy = "bikecollect schedule install"
    source = Path(settings.source) if settings.source else None
    if timer := schedule.timer(source):
        yield _good("schedule", f"a systemd timer: {timer}")
        return
    try:
        plan = schedule.in_cron(settings, source, time.time())
    except BikecollectError as error:
        yield _bad("cron: line", str(error), remedy)
    else:
        if plan.state is CronState.THERE:
            yield _good("cron: line", plan.text.splitlines()[2])
        elif plan.state is CronState.DIFFERS:
            yield _bad("cron: line", "it is not what these settings ask for", remedy)
        else:
            text = "no line of ours is in the crontab"
            if plan.others:
                text = f"the crontab has lines for other settings: {plan.others[0]}"
            yield _bad("cron: line", text, remedy)
    if daemon := cron_daemon():
        yield _good("cron: daemon", daemon)
    else:
        yield _bad(
            "cron: daemon", "none is running", "sudo systemctl enable --now cron"
        )


def _mail(settings: Settings, *, network: bool, send: bool) -> Checks:
    mail = settings.mail
    if not mail.host:
        yield _note(
            "mail", "trouble is reported to nobody", "give [mail] in the settings"
        )
        return
    way = f"{mail.host}:{mail.port}, {mail.security}"
    if not network:
        yield _good("mail", way)
        return
    host = server(mail, settings.password())
    if send:
        error = test_mail(mail, host)
        done = f"{way}: a mail is on its way to {', '.join(mail.to)}"
    else:
        error = smtp.check(host)
        done = f"{way}: {'logged in' if mail.user else 'it answers'}"
    if error:
        yield _bad("mail", f"{way}: {error}", "see [mail] in the settings")
    else:
        yield _good("mail", done)


def test_mail(mail: Mail, host: smtp.Server) -> str:
    """Send a mail to the recipients of *mail*; return why it did not go, else ""."""
    from bikecollect.alerts.mail import envelope
    from bikecollect.alerts.messages import Letter

    node, now = os.uname().nodename, time.time()
    letter = Letter(
        f"test.{now:.0f}",
        "[bikecollect] a test: mails arrive",
        f"bikecollect {__version__} on {node} can send mails.\n",
    )
    data = envelope.mail(letter, sender=mail.sender, to=mail.to, host=node, now=now)
    sent = smtp.send(host, [data])
    return sent.error or (sent.deliveries[0].error if sent.deliveries[0].left else "")


def _ping(settings: Settings) -> Check:
    error = webhooks.ping(settings.ping.url, "log")
    if error:
        return _bad("ping", error, "see [ping] in the settings")
    return _good("ping", "it answers")


def _existing(place: Path) -> Path:
    return place if place.exists() else _existing(place.parent)


def _files(place: Path, patterns: Sequence[str]) -> Iterator[Path]:
    yield place
    for each in patterns:
        yield from place.glob(each)


def _user() -> str:
    return user_name(os.geteuid())
