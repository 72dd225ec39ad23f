"""The settings: each key with its documentation and default."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
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
from bikecollect.core.text import suggestion
from bikecollect.core.timeline.interval import parse_interval
from bikecollect.feeds.registry import DIALECTS
from bikecollect.setup.tables.declaration import key, table
from bikecollect.setup.tables.sections import (
    App,
    ArchiveTable,
    Collect,
    Keep,
    Log,
    Mail,
    Ping,
    Tell,
    server,
)
from bikecollect.storage.data_folder import (
    ARCHIVE,
    MARKER,
    SystemFolder,
    name_error,
)
from bikecollect.storage.facts.system import system_folder
from bikecollect.storage.files import known_folders, trusted_files

if TYPE_CHECKING:
    from bikecollect.alerts.mail.smtp import Server

DEMO_MARKER = ".bikecollect-demo"
"""Beside the settings of a demo: a folder that the next demo may remove."""
DEMO_URL = "http://127.0.0.1/"
"""The address of a simulated city that is not served any more."""
SECRET_FILE = "client_secret_file"  # noqa: S105 - the name of a key


@dataclass(frozen=True, eq=False, repr=False)
class System:
    """``[systems.NAME]``: one bike-share system; NAME is its id and its folder."""

    feed: str = key(f"dialect: {', '.join(DIALECTS[:-1])} or {DIALECTS[-1]}", "")
    url: str = key("address of the feed; optional for a system of the catalogue", "")
    timezone: str = key(
        "IANA name of the time zone: for local days and the feed's stamps", ""
    )
    columns: list[str] = key(
        "derived columns: occupancy, weekday, hour, is_empty, is_full, vehicle_types "
        "(one column per type), or your own "
        'function as "package.module:function"',
        ["occupancy"],
        kind=list,
    )
    only: dict[str, list[str]] = key(
        "keep only rows of these: region, station_id (lists)", {}, kind=dict, of=list
    )
    bbox: list[float] = key(
        "keep only rows in [west, south, east, north]", [], kind=list, of=int | float
    )
    vehicles: bool = key(
        "also collect each vehicle of a GBFS feed; needed if it has no stations",
        default=False,
        kind=bool,
    )
    language: str = key("language of a GBFS feed; default: the first offered", "")
    version: str = key('version of a GBFS feed to pin, such as "2.3"', "")
    mapping: dict[str, str] = key(
        "for a mapped feed: path of the stations, path of each column", {}, kind=dict
    )
    fields: dict[str, str] = key(
        "feed field of single columns; dots separate nested objects", {}, kind=dict
    )
    headers: dict[str, str] = key(
        "sent with each request to the host of url; with a secret header "
        "(Authorization, X-Api-Key, Cookie, ...), the file must have mode 0600",
        {},
        kind=dict,
    )
    oauth2: dict[str, str] = key(
        "client credentials for a bearer token: token_url (default: TDX's), client_id, "
        "client_secret_file (mode 0600), scope (optional), client_auth (form or basic)",
        {},
        kind=dict,
    )
    credential_hosts: list[str] = key(
        "more hosts (host or host:port) that get the headers, the user and the keys "
        "of url",
        [],
        kind=list,
    )
    private_hosts: list[str] = key(
        "hosts in private networks that the feed's documents may name; all others "
        "are rejected",
        [],
        kind=list,
    )
    redirects: bool | str = key(
        'follow redirects of the feed: true, false, or "same-site" (the same '
        "registered domain, never from https to http)",
        default=False,
        kind=bool | str,
    )
    max_body: str = key(
        'size limit of a decompressed document, such as "64MiB"; all documents of '
        "a run: twice as much",
        "32MiB",
    )
    trust_env: bool = key(
        "use the proxy variables and .netrc of the environment",
        default=False,
        kind=bool,
    )
    proxy: str = key("proxy address for this system", "")
    ca_bundle: str = key("file of trusted certificates instead of certifi's", "")

    publisher: dict[str, str] = key(
        "for shared pages and datasets: title, name, url, license (SPDX id), "
        "license_url and attribution of the data; default: from the catalogue",
        {},
        kind=dict,
    )

    def client_secret(self) -> str:
        """Return the secret of the OAuth2 client; raises like `Settings.password`."""
        path = Path(self.oauth2.get(SECRET_FILE, ""))
        if not path.name:
            return ""
        return trusted_files.read_setting(f"oauth2.{SECRET_FILE}", path.name, path)


@dataclass(frozen=True, eq=False, repr=False)
class Settings:
    """The settings file; *source* is its path, *folder* its folder.

    *shard* is the share of the systems in use, as K/N; empty for all. *others* are the
    systems not in use: of other shards, or not named in this call. With
    *is_default_system* the only system is the default one, because none was set.
    """

    data_dir: str = key("folder of all data; default: the user's data folder", "")
    interval: str = key(
        'length of a slot: a number with "s", "min" or "h" that divides a day', "5min"
    )
    systems: Mapping[str, System] = key("the systems to collect", {}, kind=dict)
    mail: Mail = table(Mail)
    ping: Ping = table(Ping)
    tell: Tell = table(Tell)
    log: Log = table(Log)
    keep: Keep = table(Keep)
    collect: Collect = table(Collect)
    app: App = table(App)
    archive: ArchiveTable = table(ArchiveTable)
    folder: Path = field(default=Path(), metadata={"doc": "", "kind": str})
    source: str = field(default="", metadata={"doc": "", "kind": str})
    shard: str = field(default="", metadata={"doc": "", "kind": str})
    others: tuple[str, ...] = field(default=(), metadata={"doc": "", "kind": tuple})
    is_default_system: bool = field(default=False, metadata={"doc": "", "kind": bool})

    @property
    def seconds(self) -> int:
        """The interval, in seconds."""
        return parse_interval(self.interval)

    @property
    def data(self) -> Path:
        """The folder of all data, absolute."""
        if self.data_dir:
            return self.path_of(self.data_dir)
        home = user_folders.data_home()
        if home is None:
            raise SettingsError("no home folder: set data_dir in the settings")
        return home / user_folders.OURS

    def chosen(self, system_ids: Sequence[str]) -> list[str]:
        """Return *system_ids*, or all; raises SettingsError for an unknown system."""
        for system_id in system_ids:
            if system_id not in self.systems:
                raise SettingsError(
                    f'unknown system "{system_id}"{self._hint_of(system_id)}'
                )
        return list(dict.fromkeys(system_ids)) or list(self.systems)

    def unowned(self) -> list[Path]:
        """Return the folders in `data_dir` of systems that the settings do not have."""
        own = {*self.systems, *self.others, ARCHIVE}
        return known_folders.unowned(self.data, own, self.source)

    def _hint_of(self, name: str) -> str:
        """Return what to do about the system *name*, which is not in use."""
        folder = self.data / name
        is_there = not name_error(name) and (folder / MARKER).exists()
        if is_there and name not in self.others:
            from bikecollect.setup.program import page  # only for an error

            return (
                f": {folder} has its data, but the settings have no [systems.{name}]; "
                f"to read them: {page('how-to/rename-move-restore.md')}"
            )
        return f"{suggestion(name, self.systems)}; known: {', '.join(self.systems)}"

    def collectable(self, system_ids: Sequence[str]) -> list[str]:
        """Return *system_ids*, or all that are not demos.

        Raises SettingsError for an unknown system, for a demo, and if all are demos.
        """
        names = self.chosen(system_ids)
        demos = [name for name in names if self.is_demo(name)]
        if demos and (system_ids or len(demos) == len(names)):
            raise SettingsError(
                f"{', '.join(demos)}: the demo is over, its simulated city is no "
                "longer served; to collect a real city, write another settings file: "
                "bikecollect --config FILE init"
            )
        return [name for name in names if name not in demos]

    def only(self, names: Sequence[str]) -> "Settings":
        """Return the settings with the systems *names* in use, not the others."""
        systems = {name: self.systems[name] for name in names}
        others = [name for name in self.systems if name not in systems]
        return replace(self, systems=systems, others=(*self.others, *others))

    def is_demo(self, name: str) -> bool:
        """Return whether the system *name* is a simulated city, served no more."""
        is_simulated = bool(self.source) and self.systems[name].url == DEMO_URL
        return is_simulated and (self.folder / DEMO_MARKER).exists()

    def path_of(self, name: str) -> Path:
        """Return the path *name*, which is relative to the settings, as absolute."""
        with suppress(RuntimeError):
            return (self.folder / Path(name).expanduser()).absolute()
        raise SettingsError(f"{name}: unknown home folder")

    def with_absolute_paths(self) -> "Settings":
        """Return these settings with absolute paths of certificates and programs."""
        systems, mail, tell = dict(self.systems), self.mail, self.tell
        for name, system in systems.items():
            if bundle := system.ca_bundle:
                bundle = str(self.path_of(bundle))
            oauth2 = dict(system.oauth2)
            if file := oauth2.get(SECRET_FILE):
                oauth2[SECRET_FILE] = str(self.path_of(file))
            systems[name] = replace(system, ca_bundle=bundle, oauth2=oauth2)
        if mail.ca_bundle:
            mail = replace(mail, ca_bundle=str(self.path_of(mail.ca_bundle)))
        if tell.command and "/" in tell.command[0]:
            program = str(self.path_of(tell.command[0]))
            tell = replace(tell, command=[program, *tell.command[1:]])
        return replace(self, systems=systems, mail=mail, tell=tell)

    def system_folder(self, name: str, now: float | None = None) -> SystemFolder:
        """Return the data folder of the system *name*, with its facts until *now*."""
        system = self.systems[name]
        folder = system_folder(
            self.data / name,
            timezone=system.timezone,
            interval=self.seconds,
            columns=system.columns,
            now=time.time() if now is None else now,
        )
        folder = replace(folder, has_vehicles=system.vehicles)
        return replace(folder, is_demo=self.is_demo(name), mirror=self.archive.mirror)

    def password(self) -> str:
        """Return the mail password; raises SettingsError if its file is not safe.

        A bare name is searched among the service's credentials first (see
        LoadCredential= in systemd.exec), then beside the settings.
        """
        if not (name := self.mail.password_file):
            return ""
        path = self.path_of(name)
        return trusted_files.read_setting("mail.password_file", name, path)

    @cached_property
    def mail_error(self) -> str:
        """Why no mail can be sent with these settings, empty if that is unknown."""
        try:
            self.password()
        except SettingsError as error:
            return str(error)
        return ""

    def zones(self) -> dict[str, ZoneInfo]:
        """Return the time zone of each system."""
        return {name: self.system_folder(name).zone for name in self.systems}

    def mail_server(self) -> "Server":
        """Return the mail server; nothing is sent to it if there is an error."""
        error = self.mail_error
        return server(self.mail, "" if error else self.password(), error)

    @cached_property
    def secrets_by_key(self) -> dict[str, list[str]]:
        """The secrets in the settings file, by key."""
        secrets = {
            "ping.url": of_capability(self.ping.url),
            "tell.webhook": of_capability(self.tell.webhook),
            "tell.command": of_command(self.tell.command),
        }
        for name, system in self.systems.items():
            secrets[f"systems.{name}.url"] = of_address(system.url)
            secrets[f"systems.{name}.proxy"] = of_address(system.proxy)
            for header, value in system.headers.items():
                key = f"systems.{name}.headers.{header}"
                secrets[key] = of_header(header, value)
        return {key: texts for key, texts in secrets.items() if texts}

    @cached_property
    def secrets(self) -> list[str]:
        """All texts that must not appear in logs, mails and ledgers."""
        secrets = [text for texts in self.secrets_by_key.values() for text in texts]
        with suppress(SettingsError):
            secrets += of_login(self.mail.user, self.password())
        for system in self.systems.values():
            with suppress(SettingsError):
                secrets += filter(None, [system.client_secret()])
        return list(dict.fromkeys(secrets))

    @cached_property
    def redact(self) -> Redact:
        """The function that removes secrets from a text."""
        return redactor(self.secrets)

    @cached_property
    def placeholders(self) -> Placeholders:
        """Placeholders for secrets in notes for the next run."""
        return Placeholders(self.secrets)
