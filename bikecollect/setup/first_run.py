"""The first settings file: look up and try systems, and write the file."""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.errors import SettingsError, UsageError
from bikecollect.core.text import visible_toml
from bikecollect.setup import loader, probe, settings_file
from bikecollect.setup.catalogue import builtin, lookup
from bikecollect.setup.catalogue.entry import (
    BUILT_IN,
    CLIENT,
    Entry,
    access_text,
    key_header,
)
from bikecollect.setup.settings import SECRET_FILE, System
from bikecollect.setup.tables.sections import Mail
from bikecollect.setup.tables.toml_values import toml_value
from bikecollect.setup.time_zones import zone_of_country
from bikecollect.setup.trial import Trial
from bikecollect.storage import data_folder
from bikecollect.storage.files import trusted_files

PASSWORD = "smtp-password"  # noqa: S105 - the name of a file

EMPTY_CLIENT = {"client_id": "...", SECRET_FILE: "client-secret"}
"""A placeholder to fill in; the secret's file is beside the settings, mode 0600."""
FEED_WORDS = {"gbfs": "gbfs", "citybik.es": "citybikes"}
"""Words in an address, and the dialects that they stand for."""
WRITTEN = frozenset({"feed", "url", "timezone", "vehicles", "headers", "oauth2"})
"""Keys of a system that its table has in a form of their own."""
UNKNOWN_ZONE = "Area/City"
HEAD = """\
# The settings of bikecollect, written by `bikecollect init`.
# All keys, with their meaning: bikecollect config keys; an unknown key is an error.
"""
DEFAULT_FOLDER = """\
# The folder of the data; this is the default.
# data_dir = "~/.local/share/bikecollect"
"""
INTERVAL = """\
# The length of a slot. After a change, run `bikecollect schedule install` again.
interval = "5min"
"""
NO_MAIL = """\
# Recipients of mails about lost slots; without them, no mail is sent.
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
payload_days = 7        # the publisher's original bytes
csv_days = 7            # a day's CSV after it was archived
"""


class NewSystem(NamedTuple):
    """A system to write; if it has no feed, its id is in the catalogue.

    *title* and *note* are comments. The values of headers are written as placeholders.
    """

    system_id: str
    system: System = System()
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class NewSettings:
    """The contents of a new settings file; an empty *data_dir* is the default."""

    systems: Sequence[NewSystem]
    data_dir: str = ""
    mail: Mail | None = None
    password: str = ""


def try_feed(query: str, client: Mapping[str, str] = {}) -> tuple[NewSystem, str]:
    """Return the system *query* (an id or address), and the results of its trial.

    *client* has its OAuth2 credentials. Raises like `probe.try_feed`.
    """
    trial = probe.try_feed(query, like=System(oauth2=dict(client)))
    target = trial.target
    lines = [f"{trial.counts} in {trial.seconds:.1f} s"]
    lines += [f"note: {oddity}" for oddity in trial.oddities]
    entry = lookup.find(target.system_id)
    if entry is not None and target.in_catalogue:
        new = with_client(from_entry(entry), client)
        return _with_vehicles(new, trial), "\n".join(lines)
    if entry is not None and entry.url == target.url:
        new = with_client(from_entry(entry, trial.fitting_zone), client)
        return _with_vehicles(new, trial), "\n".join(lines)
    zone = trial.fitting_zone
    system = System(target.feed, target.url, zone, oauth2=dict(client))
    system_id = _unreserved_name(target.system_id)
    new = NewSystem(system_id, system, trial.about.name)
    return _with_vehicles(new, trial), "\n".join(lines)


def _with_vehicles(new: NewSystem, trial: Trial) -> NewSystem:
    """Return *new* with ``vehicles = true`` if the *trial* found no stations."""
    if trial.has_stations:
        return new
    return new._replace(system=replace(new.system, vehicles=True))


def with_client(new: NewSystem, client: Mapping[str, str]) -> NewSystem:
    """Return *new* with the OAuth2 credentials *client*, if there are some."""
    system = replace(new.system, oauth2=dict(client)) if client else new.system
    return new._replace(system=system, note="" if client else new.note)


def guess_system(query: str, client: Mapping[str, str] = {}) -> NewSystem:
    """Return the system *query* without network access; raises SettingsError.

    The dialect is guessed from words in the address.
    """
    entry = lookup.find(query)
    if entry is not None:
        return with_client(from_entry(entry), client)
    if not is_address(query):
        raise lookup.unknown(query)
    feed = next((name for word, name in FEED_WORDS.items() if word in query), "youbike")
    zone = probe.TAIWAN if feed == "youbike" else ""
    system = System(feed=feed, url=query, timezone=zone)
    return NewSystem(_unreserved_name(probe.system_id_from_url(query)), system)


def split_name(argument: str) -> tuple[str, str]:
    """Split *argument* ("NAME=QUERY" or "QUERY") into the name, or "", and the query.

    >>> split_name("oslo=https://x.org/?a=b"), split_name("https://x.org/?a=b")
    (('oslo', 'https://x.org/?a=b'), ('', 'https://x.org/?a=b'))
    """
    match = re.fullmatch(r"([A-Za-z0-9._-]+)=(.+)", argument)
    return (match[1], match[2]) if match else ("", argument)


def with_name(new: NewSystem, name: str) -> NewSystem:
    """Return *new* with the id *name*.

    The feed is copied from the catalogue, which has it only by the original id.
    """
    entry = builtin.find(new.system_id)
    system = new.system
    if entry is not None and not system.feed and name != new.system_id:
        system = replace(
            system, feed=entry.feed, url=entry.url, timezone=entry.timezone
        )
    return new._replace(system_id=name, system=system)


def free_name(name: str, taken: Collection[str]) -> str:
    """Return *name*, with a number appended if it is *taken*.

    >>> free_name("tiny", ["tiny", "tiny-2"])
    'tiny-3'
    """
    numbered = (f"{name}-{number}" for number in count(2))
    return name if name not in taken else next(n for n in numbered if n not in taken)


def name_error(name: str, taken: Collection[str]) -> str:
    """Return why *name* cannot be used for a new system, empty if it can."""
    return f'"{name}" already exists' if name in taken else data_folder.name_error(name)


def from_entry(entry: Entry, timezone: str = "") -> NewSystem:
    """Return the system of *entry*.

    For a built-in entry the id is enough. An entry of the world list is written with
    its feed, so that updates of the list do not change the settings.
    """
    title = ", ".join(filter(None, (entry.name, entry.city)))
    if entry.source == BUILT_IN:
        system = System(oauth2=EMPTY_CLIENT if entry.auth_type == CLIENT else {})
        return NewSystem(entry.system_id, system, title, access_text(entry))
    zone = timezone or entry.timezone or zone_of_country(entry.country)
    headers = dict.fromkeys(key_header(entry), "...")
    system = System(entry.feed, entry.url, zone, headers=headers)
    return NewSystem(entry.system_id, system, title, access_text(entry))


def is_address(text: str) -> bool:
    """Return whether *text* is an address rather than an id or words."""
    return bool(re.match(r"https?://[^/\s]+", text))


def settings_path(config: str | None, *, here: bool) -> Path:
    """Return where to write the file: *config*, the default, or the folder *here*.

    Raises SettingsError if others can write to that folder.
    """
    if here and config:
        raise UsageError("--here and --config exclude each other")
    local = Path(settings_file.FILE).absolute()
    path = local if here else settings_file.find(config) or settings_file.usual_path()
    if path is None:
        raise SettingsError("no home folder: give the path of the file with --config")
    trusted_files.check_folder(path.absolute().parent)
    return path


def refuse_to_overwrite(path: Path, *, force: bool) -> None:
    """Raise SettingsError if *path* is a folder, or exists, unless *force*."""
    settings_file.refuse_folder(path)
    if path.exists() and not force:
        raise SettingsError(f"{path} already exists; --force overwrites it")


def write(path: Path, new: NewSettings, *, force: bool) -> None:
    """Write the settings to *path* atomically, and the password to a file beside it.

    Both have mode 0600. Raises SettingsError, before writing, if they do not load.
    """
    refuse_to_overwrite(path, force=force)
    text = settings_text(new.systems, data_dir=new.data_dir, mail=new.mail)
    loader.parse(tomllib.loads(text), folder=path.parent.absolute())
    password_path = path.with_name(PASSWORD)
    if new.password:
        refuse_to_overwrite(password_path, force=force)
        settings_file.replace(password_path, f"{new.password}\n")
    settings_file.replace(path, text)


def _unreserved_name(system_id: str) -> str:
    """Return *system_id*, prefixed if invalid or used in the catalogue."""
    reserved = builtin.find(system_id) or data_folder.name_error(system_id)
    return f"my-{system_id}" if reserved else system_id


def system_table(new: NewSystem) -> str:
    """Return the TOML table of a system: what differs from the defaults.

    >>> print(system_table(NewSystem("youbike-taipei")), end="")
    [systems.youbike-taipei]
    """
    system = new.system
    key = new.system_id if "." not in new.system_id else visible_toml(new.system_id)
    lines = [f"[systems.{key}]"]
    if system.feed:
        lines += [
            f"feed = {visible_toml(system.feed)}",
            f"url = {visible_toml(system.url)}",
        ]
        zone = visible_toml(system.timezone or UNKNOWN_ZONE)
        note = "" if system.timezone else "  # unknown to the feed: fill it in"
        lines.append(f"timezone = {zone}{note}")
    if system.vehicles:
        lines.append("vehicles = true")
    if system.headers:
        pairs = ", ".join(f'{visible_toml(name)} = "..."' for name in system.headers)
        lines.append(f"headers = {{{pairs}}}  # fill in, then chmod 600 this file")
    lines += _others(system)
    if system.oauth2:
        lines += ["", f"[systems.{key}.oauth2]"]
        lines += [
            f"{name} = {visible_toml(text)}" for name, text in system.oauth2.items()
        ]
    return "\n".join(lines) + "\n"


def _others(system: System) -> Iterator[str]:
    """Yield a line for each other key of *system* that has not its default."""
    default = System()
    for key in fields(System):
        value = getattr(system, key.name)
        is_other = key.metadata["doc"] and key.name not in WRITTEN
        if is_other and value != getattr(default, key.name):
            yield f"{key.name} = {toml_value(value)}"


def settings_text(
    systems: Sequence[NewSystem], *, data_dir: str = "", mail: Mail | None = None
) -> str:
    """Return the text of the settings file; an empty *data_dir* is the default."""
    parts = [HEAD, _folder(data_dir), INTERVAL]
    for new in systems:
        comments = (text for text in (new.title, new.note) if text.isprintable())
        lines = "".join(f"# {text}\n" for text in comments if text)
        parts.append(lines + system_table(new))
    parts.append(_mail(mail) if mail and mail.host else NO_MAIL)
    return "\n".join([*parts, KEEP])


def _folder(data_dir: str) -> str:
    if not data_dir:
        return DEFAULT_FOLDER
    return f"# The folder of the data.\ndata_dir = {visible_toml(data_dir)}\n"


def _mail(mail: Mail) -> str:
    lines = [
        "# Recipients of mails about lost slots.",
        "[mail]",
        f"host = {visible_toml(mail.host)}",
        f"port = {mail.port}",
        f"security = {visible_toml(mail.security)}          # starttls, tls or none",
    ]
    if mail.user:
        lines.append(f"user = {visible_toml(mail.user)}")
    if mail.password_file:
        lines.append(f"password_file = {visible_toml(mail.password_file)}  # mode 0600")
    lines.append(f"sender = {visible_toml(mail.sender)}")
    lines.append(f"to = [{', '.join(map(visible_toml, mail.to))}]")
    return "\n".join(lines) + "\n"
