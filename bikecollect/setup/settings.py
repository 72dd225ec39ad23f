"""The settings: what each key means, and its default."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bikecollect.core import user_folders
from bikecollect.core.errors import SettingsError
from bikecollect.core.secrets.names import (
    of_address,
    of_capability,
    of_command,
    of_header,
    of_login,
)
from bikecollect.core.secrets.redact import Placeholders, Redact, redactor
from bikecollect.core.slots import DAY
from bikecollect.storage.data_folder import ARCHIVE, SystemFolder
from bikecollect.storage.files import trusted_files

if TYPE_CHECKING:
    from bikecollect.alerts.mail.smtp import Server


Kind = type | UnionType
UNITS = {"s": 1, "min": 60, "h": 3600}


def _key(doc: str, default: Any = MISSING, *, kind: Kind = str, of: Kind = str) -> Any:
    """Declare a setting of *kind*, *of* such items, with its *doc* and *default*."""
    about = {"doc": doc, "kind": kind, "items": of}
    if default is MISSING:
        return field(metadata=about)
    if isinstance(default, list | dict | tuple):
        return field(default_factory=lambda: default, metadata=about)
    return field(default=default, metadata=about)


@dataclass(frozen=True, eq=False, repr=False)
class System:
    """``[systems.NAME]``: one bike-share system; NAME is its id and its folder."""

    feed: str = _key("the dialect: youbike, gbfs, citybikes or mapped", "")
    url: str = _key("the feed's address; optional where the catalogue knows it", "")
    timezone: str = _key("IANA name, by which days are cut and stamps are read", "")
    columns: list[str] = _key(
        "derived columns: occupancy, weekday, hour, is_empty, is_full, vehicle_types "
        "(a column for each kind), or a function "
        'of your own as "package.module:function"',
        ["occupancy"],
        kind=list,
    )
    only: dict[str, list[str]] = _key(
        "keep rows of these only: region, station_id (a list each)",
        {},
        kind=dict,
        of=list,
    )
    bbox: list[float] = _key(
        "keep rows within [west, south, east, north] only",
        [],
        kind=list,
        of=int | float,
    )
    language: str = _key("of a GBFS feed; the first one offered where empty", "")
    version: str = _key("of a GBFS feed: the one to stay with, such as 2.3", "")
    mapping: dict[str, str] = _key(
        "for a mapped feed: the path of the stations and of each column", {}, kind=dict
    )
    fields: dict[str, str] = _key(
        "the feed's fields for single columns; dots lead into objects", {}, kind=dict
    )
    headers: dict[str, str] = _key(
        "sent with each request to the host of url; where a name tells of a key "
        "(Authorization, X-Api-Key, Cookie, ...), the file must be 0600",
        {},
        kind=dict,
    )
    credential_hosts: list[str] = _key(
        "more hosts (host or host:port) that get the headers, and the user and the "
        "keys of url",
        [],
        kind=list,
    )
    private_hosts: list[str] = _key(
        "hosts of your own network that the feed's documents may name; others of "
        "private networks are refused",
        [],
        kind=list,
    )
    redirects: bool | str = _key(
        'follow redirects of the feed: true, false, or "same-site" (the same '
        "registered domain, never from https to http)",
        default=False,
        kind=bool | str,
    )
    max_body: str = _key(
        'largest document that is read, inflated, such as "64MiB"; those of a run may '
        "have twice as much together",
        "32MiB",
    )
    trust_env: bool = _key(
        "obey proxy variables and .netrc of the environment", default=False, kind=bool
    )
    proxy: str = _key("address of a proxy for this system's requests", "")
    ca_bundle: str = _key("file of certificates to trust instead of certifi's", "")


@dataclass(frozen=True, eq=False, repr=False)
class Mail:
    """``[mail]``: whom to tell, and by which mail server."""

    host: str = _key("the mail server", "")
    port: int = _key("its port", 587, kind=int)
    security: str = _key("starttls, tls or none", "starttls")
    user: str = _key("the name to log in with", "")
    password_file: str = _key("file with the password, mode 0600", "")
    sender: str = _key("the From address", "")
    to: list[str] = _key("the recipients", [], kind=list)
    escalate_to: list[str] = _key(
        "more recipients, for an incident that lasts an hour", [], kind=list
    )
    digest: str = _key("a summary of the past: daily or weekly; none where empty", "")
    ca_bundle: str = _key("file of certificates to trust instead of the system's", "")


@dataclass(frozen=True, eq=False, repr=False)
class Ping:
    """``[ping]``: a dead-man switch that speaks the protocol of healthchecks."""

    url: str = _key("asked after each run; after a bad one with /EXITCODE behind", "")
    start: bool = _key("ask for URL/start when a run begins", default=False, kind=bool)


@dataclass(frozen=True, eq=False, repr=False)
class Tell:
    """``[tell]``: ways of telling beside mails, and what not to tell of."""

    webhook: str = _key("address that takes Slack's JSON; a secret: file 0600", "")
    command: list[str] = _key(
        "program and arguments, run with the text on its stdin", [], kind=list
    )
    mute: list[str] = _key("kinds of incidents to leave alone", [], kind=list)


@dataclass(frozen=True, eq=False, repr=False)
class Log:
    """``[log]``: the log file beside each system's data."""

    format: str = _key("text or json", "text")
    max_bytes: int = _key("size at which a new file is begun", 1_000_000, kind=int)
    files: int = _key("how many older files are kept", 4, kind=int)


@dataclass(frozen=True, eq=False, repr=False)
class Keep:
    """``[keep]``: how long files stay."""

    payload_days: int = _key("days for which payloads are kept", 7, kind=int)
    csv_days: int = _key("days for which a compacted day's CSV stays", 7, kind=int)


@dataclass(frozen=True, eq=False, repr=False)
class Settings:
    """The whole settings file; *source* is its path, *folder* where it lies."""

    data_dir: str = _key("folder of all data; default: the user's data folder", "")
    interval: str = _key(
        'length of a slot: a number with "s", "min" or "h" that divides a day', "5min"
    )
    systems: Mapping[str, System] = _key("the systems to collect", {}, kind=dict)
    mail: Mail = field(default_factory=Mail, metadata={"doc": "mails", "kind": dict})
    ping: Ping = field(default_factory=Ping, metadata={"doc": "pings", "kind": dict})
    tell: Tell = field(default_factory=Tell, metadata={"doc": "hooks", "kind": dict})
    log: Log = field(default_factory=Log, metadata={"doc": "log file", "kind": dict})
    keep: Keep = field(default_factory=Keep, metadata={"doc": "keeping", "kind": dict})
    folder: Path = field(default=Path(), metadata={"doc": "", "kind": str})
    source: str = field(default="", metadata={"doc": "", "kind": str})

    @property
    def seconds(self) -> int:
        """The interval, in seconds."""
        return seconds(self.interval)

    @property
    def data(self) -> Path:
        """The folder of all data, absolute."""
        if self.data_dir:
            return self.path_of(self.data_dir)
        home = user_folders.data_home()
        if home is None:
            raise SettingsError(
                "you have no home folder: name data_dir in the settings"
            )
        return home / user_folders.OURS

    def chosen(self, system_ids: Sequence[str]) -> list[str]:
        """Return *system_ids*, or all; raises SettingsError for one not set up."""
        for each in system_ids:
            if each not in self.systems:
                known = ", ".join(self.systems)
                what = f'unknown system "{each}"; the settings have: {known}'
                raise SettingsError(what)
        return list(dict.fromkeys(system_ids)) or list(self.systems)

    def path_of(self, name: str) -> Path:
        """Return the path that *name*, a value of the settings, means: absolute.

        A relative one lies beside the settings: the folder that a command is
        called in must not decide.
        """
        with suppress(RuntimeError):
            return (self.folder / Path(name).expanduser()).absolute()
        raise SettingsError(f"{name}: there is no such home folder")

    def placed(self) -> "Settings":
        """Return these settings with the files that others open named in full."""
        systems, mail, tell = dict(self.systems), self.mail, self.tell
        for name, each in systems.items():
            if each.ca_bundle:
                bundle = str(self.path_of(each.ca_bundle))
                systems[name] = replace(each, ca_bundle=bundle)
        if mail.ca_bundle:
            mail = replace(mail, ca_bundle=str(self.path_of(mail.ca_bundle)))
        if tell.command and "/" in tell.command[0]:
            program = str(self.path_of(tell.command[0]))
            tell = replace(tell, command=[program, *tell.command[1:]])
        return replace(self, systems=systems, mail=mail, tell=tell)

    def system_folder(self, name: str) -> SystemFolder:
        """Return where the data of the system called *name* lies."""
        zone = ZoneInfo(self.systems[name].timezone)
        return SystemFolder(name, self.data / name, zone, self.seconds)

    def password(self) -> str:
        """Return the mail password; raises SettingsError where it is not safe.

        A bare name is looked for among the service's credentials first (see
        LoadCredential= in systemd.exec), then beside the settings.
        """
        name = self.mail.password_file
        if not name:
            return ""
        credential = trusted_files.credential(name)
        path = credential or self.path_of(name)
        read = (
            trusted_files.read_credential if credential else trusted_files.read_secret
        )
        try:
            return read(path)
        except SettingsError as error:
            raise SettingsError(f"mail.password_file: {error}") from error
        except OSError as error:
            raise SettingsError(
                f"mail.password_file: cannot read {path}: {error.strerror}"
            ) from error

    @cached_property
    def held(self) -> dict[str, list[str]]:
        """The secrets that the file itself holds, by the key that holds them."""
        found = {
            "ping.url": of_capability(self.ping.url),
            "tell.webhook": of_capability(self.tell.webhook),
            "tell.command": of_command(self.tell.command),
        }
        for name, each in self.systems.items():
            found[f"systems.{name}.url"] = of_address(each.url)
            found[f"systems.{name}.proxy"] = of_address(each.proxy)
            for header, value in each.headers.items():
                key = f"systems.{name}.headers.{header}"
                found[key] = of_header(header, value)
        return {key: texts for key, texts in found.items() if texts}

    def secrets(self) -> list[str]:
        """Return every text that no log, mail or ledger may show."""
        return self._secrets

    @cached_property
    def _secrets(self) -> list[str]:
        found = [each for texts in self.held.values() for each in texts]
        with suppress(SettingsError):
            found += of_login(self.mail.user, self.password())
        return list(dict.fromkeys(found))

    @cached_property
    def redact(self) -> Redact:
        """What takes the secrets out of a text."""
        return redactor(self.secrets())

    @cached_property
    def placeholders(self) -> Placeholders:
        """What keeps the secrets out of notes for the next run."""
        return Placeholders(self.secrets())


def seconds(text: str) -> int:
    """Return the interval *text* in seconds; it must divide a day.

    >>> seconds("5min")
    300
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*(s|min|h)\s*", text)
    length = int(match[1]) * UNITS[match[2]] if match else 0
    if not length or DAY % length:
        raise SettingsError(
            f'interval = "{text}": give a number with s, min or h that divides a day, '
            'such as "5min"'
        )
    return length


def server(mail: Mail, password: str) -> "Server":
    """Return the mail server that *mail* names."""
    from bikecollect.alerts.mail.smtp import Server  # only where mails are set up

    return Server(
        host=mail.host,
        port=mail.port,
        security=mail.security,
        user=mail.user,
        password=password,
        ca_bundle=mail.ca_bundle,
    )


def wrong_name(name: str) -> str:
    """Return why no system can be called *name*, empty where one can."""
    if name == ARCHIVE:
        return (
            f'"{name}" is the name of the folder in which the archive of all systems '
            "lies; call the system otherwise"
        )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        return "a name is made of letters, digits, dots, dashes and underscores"
    return ""


def wrong_mail_address(text: str) -> str:
    """Return why no mail can go to *text*, empty where one can."""
    if re.fullmatch(r"[^\s<>,]+@[^\s<>,]+", text) and text.isascii():
        return ""
    return f'"{text}" is not a mail address'
