"""The first settings: systems found and tried, and the file written."""

import os
import re
import stat
import tomllib
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.errors import SettingsError, StorageError, UsageError
from bikecollect.core.text import visible_toml
from bikecollect.setup import catalogue, loader, probe, settings, settings_file
from bikecollect.setup.settings import Mail, System
from bikecollect.storage.files import durable, trusted_files

PASSWORD = "smtp-password"  # noqa: S105 - the name of a file
SECRET = 0o600
"""The file may hold a secret one day: a key, a ping's address."""

PORTS = {"starttls": 587, "tls": 465, "none": 25}
"""The usual port of a mail server, by how its mails are secured."""
LAST_PORT = 65_535
UNKNOWN_ZONE = "Area/City"
HEAD = """\
# The settings of bikecollect, written by `bikecollect init`.
# Every key is told of in docs/reference/settings.md; an unknown one is an error.
"""
DEFAULT_FOLDER = """\
# Where the files go; this is the default.
# data_dir = "~/.local/share/bikecollect"
"""
INTERVAL = """\
# The length of a slot. The crontab goes by it: after a change, run
# `bikecollect schedule install` again.
interval = "5min"
"""
NO_MAIL = """\
# Whom to tell when slots are lost; nobody is told without it.
# [mail]
# host = "smtp.example.org"
# port = 587
# security = "starttls"
# user = "me"
# password_file = "smtp-password"   # a file of mode 0600
# sender = "bikes@example.org"
# to = ["me@example.org"]
"""
KEEP = """\
[keep]
payload_days = 7        # the publisher's own bytes, as they came
csv_days = 7            # a day's CSV, after it went into the archive
"""


class NewSystem(NamedTuple):
    """A system for the file; without a feed the catalogue knows it. *title*: of people.

    Its headers' values are still to be filled in.
    """

    system_id: str
    system: System = System()
    title: str = ""


@dataclass(frozen=True)
class Wishes:
    """What the file shall say; an empty *data_dir* is the default."""

    systems: Sequence[NewSystem]
    data_dir: str = ""
    mail: Mail | None = None
    password: str = ""


def tried(asked: str) -> tuple[NewSystem, str]:
    """Return the system that *asked* names, and what a try of its feed found.

    Raises what `probe.attempt` does.
    """
    trial = probe.attempt(asked)
    target, stations = trial.target, len(trial.snapshot.statuses)
    lines = [f"{target.system_id}: {stations} stations in {trial.seconds:.1f} s"]
    lines += [f"odd: {each}" for each in trial.oddities]
    entry = catalogue.find(target.system_id) if target.in_catalogue else None
    if entry is not None:
        return known(entry), "\n".join(lines)
    system = System(feed=target.feed, url=target.url, timezone=target.timezone)
    made = NewSystem(_free(target.system_id), system, trial.about.name)
    return made, "\n".join(lines)


def untried(asked: str) -> NewSystem:
    """Return the system that *asked* names, by its looks; raises SettingsError."""
    entry = catalogue.find(asked)
    if entry is not None:
        return known(entry)
    if not is_address(asked):
        raise SettingsError(
            f'"{asked}" is neither an address (https://...) nor in the catalogue; '
            "see: bikecollect feeds"
        )
    feed = next((name for mark, name in _MARKS.items() if mark in asked), "youbike")
    zone = probe.TAIWAN if feed == "youbike" else ""
    system = System(feed=feed, url=asked, timezone=zone)
    return NewSystem(_free(probe.name_of(asked)), system)


def split(asked: str) -> tuple[str, str]:
    """Return the name that *asked* wants for its system, if any, and the rest.

    >>> split("oslo=https://x.org/?a=b"), split("https://x.org/?a=b")
    (('oslo', 'https://x.org/?a=b'), ('', 'https://x.org/?a=b'))
    """
    match = re.fullmatch(r"([A-Za-z0-9._-]+)=(.+)", asked)
    return (match[1], match[2]) if match else ("", asked)


def renamed(new: NewSystem, name: str) -> NewSystem:
    """Return *new*, called *name*; the catalogue knows it by its own name only."""
    entry = catalogue.find(new.system_id)
    system = new.system
    if entry is not None and not system.feed and name != new.system_id:
        system = System(feed=entry.feed, url=entry.url, timezone=entry.timezone)
    return new._replace(system_id=name, system=system)


def free_name(name: str, taken: Collection[str]) -> str:
    """Return *name*, with a number behind it where it is *taken*.

    >>> free_name("tiny", ["tiny", "tiny-2"])
    'tiny-3'
    """
    numbered = (f"{name}-{number}" for number in count(2))
    return name if name not in taken else next(n for n in numbered if n not in taken)


def wrong_name(name: str, taken: Collection[str]) -> str:
    """Return why a further system cannot be called *name*, empty where it can."""
    return f"{name} is taken" if name in taken else settings.wrong_name(name)


def wrong_host(host: str) -> str:
    """Return why no mail server can be called *host*, empty where one can."""
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:]+", host):
        return ""
    return f'"{host}" is no name of a server, such as smtp.example.org'


def wrong_port(text: str) -> str:
    """Return why *text* is no port, empty where it is one."""
    right = text.isdecimal() and 0 < int(text[:6]) <= LAST_PORT
    return "" if right else f'"{text}" is no port, such as 587'


def wrong_security(mail: Mail, word: str) -> str:
    """Return why mails cannot be secured by *word*, empty where they can."""
    if word not in PORTS:
        return f'"{word}" is none of {", ".join(PORTS)}'
    if word == "none" and mail.host not in loader.LOOPBACK and mail.user:
        return "it would send your password in the clear; use starttls or tls"
    return ""


def wrong_user(mail: Mail, _name: str) -> str:
    """Return why nobody can log in to the server of *mail*, empty where one can."""
    if mail.security == "none" and mail.host not in loader.LOOPBACK:
        return "a password would go in the clear there: first secure it (<, then <)"
    return ""


def wrong_folder(text: str) -> str:
    """Return why data cannot lie in the folder *text*, empty where they can."""
    try:
        place = Path(text).expanduser().absolute()
        while not place.exists():
            place = place.parent
        if not place.is_dir():
            return f"{place} is no folder"
        if not os.access(place, os.W_OK | os.X_OK):
            return f"you may not write to {place}"
    except (OSError, RuntimeError, ValueError) as error:
        return f"{text}: {error}"
    return ""


_MARKS = {"gbfs": "gbfs", "citybik.es": "citybikes"}


def known(entry: catalogue.Entry) -> NewSystem:
    """Return the system of *entry*: its name is all that the file needs."""
    return NewSystem(entry.system_id, title=f"{entry.name}, {entry.city}")


def is_address(asked: str) -> bool:
    """Return whether *asked* is an address rather than a name."""
    return bool(re.match(r"https?://[^/\s]+", asked))


def place(named: str | None, *, here: bool) -> Path:
    """Return where the file shall lie: where every command finds it, or *here*.

    Raises SettingsError where others might change it there.
    """
    if here and named:
        raise UsageError("--here and --config name two places: give one of them")
    found = Path(settings_file.FILE).absolute() if here else settings_file.find(named)
    path = found or settings_file.usual_path()
    if path is None:
        raise SettingsError("you have no home folder: name the file with --config")
    trusted_files.check_folder(path.absolute().parent)
    return path


def refuse_to_overwrite(path: Path, *, force: bool) -> None:
    """Raise SettingsError where a file is at *path*, unless *force*."""
    if path.exists() and not force:
        raise SettingsError(f"{path} already exists; --force overwrites it")


def write(path: Path, wishes: Wishes, *, force: bool) -> None:
    """Write the settings to *path*, whole or not at all; the password beside them.

    What would not load is not written. Nobody else may read them.
    """
    refuse_to_overwrite(path, force=force)
    text = settings_text(wishes.systems, data_dir=wishes.data_dir, mail=wishes.mail)
    loader.parse(tomllib.loads(text), folder=path.parent.absolute())
    beside = path.with_name(PASSWORD)
    if wishes.password:
        refuse_to_overwrite(beside, force=force)
        _publish(beside, f"{wishes.password}\n")
    _publish(path, text)


def replace_text(path: Path, text: str) -> None:
    """Put *text* in place of what the file *path* holds, in one step.

    It keeps its owner, its group and its mode.
    """
    _publish(path, text, path.stat())


def _publish(path: Path, text: str, about: os.stat_result | None = None) -> None:
    """Write *text* to *path*, for one's own eyes or as *about* says."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        durable.make_folder(path.parent.absolute())
        with suppress(FileNotFoundError):
            temporary.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = os.open(temporary, flags, SECRET)  # before the first byte is in it
        try:
            if about is not None:
                os.fchown(fd, about.st_uid, about.st_gid)
                os.fchmod(fd, stat.S_IMODE(about.st_mode))
            durable.write_all(fd, text.encode())
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.replace(path)
        durable.sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def _free(system_id: str) -> str:
    """Return *system_id*, changed where the catalogue or we know another by it."""
    known = catalogue.find(system_id) or settings.wrong_name(system_id)
    return f"my-{system_id}" if known else system_id


def system_table(new: NewSystem) -> str:
    """Return the table of one system.

    >>> print(system_table(NewSystem("youbike-taipei")), end="")
    [systems.youbike-taipei]
    """
    system = new.system
    key = new.system_id if "." not in new.system_id else quoted(new.system_id)
    lines = [f"[systems.{key}]"]
    if system.feed:
        lines += [f"feed = {quoted(system.feed)}", f"url = {quoted(system.url)}"]
        zone = quoted(system.timezone or UNKNOWN_ZONE)
        note = "" if system.timezone else "  # the feed does not say: fill it in"
        lines.append(f"timezone = {zone}{note}")
    if system.headers:
        pairs = ", ".join(f'{quoted(each)} = "..."' for each in system.headers)
        lines.append(f"headers = {{{pairs}}}  # fill in; the file must be 0600 then")
    return "\n".join(lines) + "\n"


def settings_text(
    systems: Sequence[NewSystem], *, data_dir: str = "", mail: Mail | None = None
) -> str:
    """Return the whole file for *systems*; an empty *data_dir* is the default."""
    parts = [HEAD, _folder(data_dir), INTERVAL]
    for each in systems:
        title = f"# {each.title}\n" if each.title and each.title.isprintable() else ""
        parts.append(title + system_table(each))
    parts.append(_mail(mail) if mail and mail.host else NO_MAIL)
    return "\n".join([*parts, KEEP])


def quoted(text: str) -> str:
    r"""Return *text* as a string of TOML.

    >>> quoted('a "b" \\')
    '"a \\"b\\" \\\\"'
    """
    return visible_toml(text)


def _folder(data_dir: str) -> str:
    if not data_dir:
        return DEFAULT_FOLDER
    return f"# Where the files go.\ndata_dir = {quoted(data_dir)}\n"


def _mail(mail: Mail) -> str:
    lines = [
        "# Whom to tell when slots are lost.",
        "[mail]",
        f"host = {quoted(mail.host)}",
        f"port = {mail.port}",
        f"security = {quoted(mail.security)}          # starttls, tls or none",
    ]
    if mail.user:
        lines.append(f"user = {quoted(mail.user)}")
    if mail.password_file:
        lines.append(f"password_file = {quoted(mail.password_file)}  # mode 0600")
    lines.append(f"sender = {quoted(mail.sender)}")
    lines.append(f"to = [{', '.join(map(quoted, mail.to))}]")
    return "\n".join(lines) + "\n"
