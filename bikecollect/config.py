"""The settings: what each key means, its default, and how the file is read."""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bikecollect import catalogue
from bikecollect.errors import SettingsError
from bikecollect.slot import DAY

UNITS = {"s": 1, "min": 60, "h": 3600}


def _key(doc: str, default: Any = MISSING, *, kind: type = str) -> Any:
    """Declare a setting of *kind*, with its *doc* and *default*."""
    about = {"doc": doc, "kind": kind}
    if default is MISSING:
        return field(metadata=about)
    if isinstance(default, list | dict | tuple):
        return field(default_factory=lambda: default, metadata=about)
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class System:
    """``[systems.NAME]``: one bike-share system; NAME is its id and its folder."""

    feed: str = _key("the dialect: youbike, gbfs, citybikes or mapped", "")
    url: str = _key("the feed's address; optional where the catalogue knows it", "")
    timezone: str = _key("IANA name, by which days are cut and stamps are read", "")
    columns: list[str] = _key(
        "derived columns: occupancy, weekday, hour, is_empty, is_full, or a function "
        'of your own as "package.module:function"',
        ["occupancy"],
        kind=list,
    )
    language: str = _key("of a GBFS feed; the first one offered where empty", "")
    mapping: dict[str, str] = _key(
        "for a mapped feed: the path of the stations and of each column", {}, kind=dict
    )
    headers: dict[str, str] = _key(
        "sent with each request; may hold a key, then the file must be 0600",
        {},
        kind=dict,
    )
    redirects: bool = _key("follow redirects of the feed", default=False, kind=bool)
    trust_env: bool = _key(
        "obey proxy variables and .netrc of the environment", default=False, kind=bool
    )
    proxy: str = _key("address of a proxy for this system's requests", "")
    ca_bundle: str = _key("file of certificates to trust instead of certifi's", "")


@dataclass(frozen=True)
class Mail:
    """``[mail]``: whom to tell. Read and checked; nothing is sent yet."""

    host: str = _key("the mail server", "")
    port: int = _key("its port", 587, kind=int)
    security: str = _key("starttls, tls or none", "starttls")
    user: str = _key("the name to log in with", "")
    password_file: str = _key("file with the password, mode 0600", "")
    sender: str = _key("the From address", "")
    to: list[str] = _key("the recipients", [], kind=list)


@dataclass(frozen=True)
class Ping:
    """``[ping]``: a dead-man switch. Read and checked; nothing is sent yet."""

    url: str = _key("asked after each run that went well", "")


@dataclass(frozen=True)
class Keep:
    """``[keep]``: how long files stay."""

    payload_days: int = _key("days for which payloads are kept", 7, kind=int)
    csv_days: int = _key("days for which a compacted day's CSV stays", 7, kind=int)


@dataclass(frozen=True)
class Settings:
    """The whole settings file; *folder* is where it lies, for relative paths."""

    data_dir: str = _key("folder of all data; default: the user's data folder", "")
    interval: str = _key(
        'length of a slot: a number with "s", "min" or "h" that divides a day', "5min"
    )
    systems: Mapping[str, System] = _key("the systems to collect", {}, kind=dict)
    mail: Mail = field(default_factory=Mail, metadata={"doc": "mails", "kind": dict})
    ping: Ping = field(default_factory=Ping, metadata={"doc": "pings", "kind": dict})
    keep: Keep = field(default_factory=Keep, metadata={"doc": "keeping", "kind": dict})
    folder: Path = field(default=Path(), metadata={"doc": "", "kind": str})

    @property
    def seconds(self) -> int:
        """The interval, in seconds."""
        return seconds(self.interval)

    @property
    def data(self) -> Path:
        """The folder of all data, absolute."""
        if self.data_dir:
            return (self.folder / Path(self.data_dir).expanduser()).absolute()
        home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return Path(home).expanduser() / "bikecollect"


def load(path: str | None) -> Settings:
    """Return the settings of the file at *path*, or of the first that is found.

    Looked for at $BIKECOLLECT_CONFIG, ./bikecollect.toml, and in the user's config
    folder; with none of them, the catalogue's first system with the defaults.
    Raises SettingsError with the file, the key, and what is right.
    """
    found = find(path)
    if found is None:
        first = catalogue.CATALOGUE[0].system_id
        return replace(Settings(), systems={first: _system(first, {})})
    import tomllib  # noqa: PLC0415 - 20 ms that a run without a file need not pay

    try:
        text = found.read_bytes()
        values = tomllib.loads(text.decode("utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {found}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{found} is not TOML: {error}") from error
    try:
        settings = parse(values, folder=found.parent.absolute())
    except SettingsError as error:
        raise SettingsError(f"{found}: {error}") from error
    _guard(found, settings)
    return settings


def find(path: str | None) -> Path | None:
    """Return the file that `load` reads for *path*, None where there is none."""
    named = path or os.environ.get("BIKECOLLECT_CONFIG")
    if named:
        return Path(named)
    home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    for each in (Path("bikecollect.toml"), home / "bikecollect" / "bikecollect.toml"):
        if each.is_file():
            return each
    return None


def parse(values: Mapping[str, Any], *, folder: Path = Path()) -> Settings:
    """Return the settings that *values* (a parsed TOML file) hold.

    Raises SettingsError naming the key, and the nearest known one.
    """
    settings = Settings(**{**_checked(Settings, values, ""), "folder": folder})
    systems = values.get("systems", {})
    for name, each in systems.items():
        if not isinstance(each, dict):
            raise SettingsError(f"systems.{name} must be a table, not {each!r}")
    ready = replace(
        settings,
        systems={name: _system(name, each) for name, each in systems.items()},
        mail=Mail(**_checked(Mail, values.get("mail", {}), "mail.")),
        ping=Ping(**_checked(Ping, values.get("ping", {}), "ping.")),
        keep=Keep(**_checked(Keep, values.get("keep", {}), "keep.")),
    )
    if not ready.systems:
        first = catalogue.CATALOGUE[0].system_id
        ready = replace(ready, systems={first: _system(first, {})})
    _check_values(ready)
    return ready


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


def _checked(cls: type, values: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the plain *values* of *cls*; raises SettingsError for a bad one."""
    known = {each.name: each for each in fields(cls) if each.name != "folder"}
    plain: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise SettingsError(f"{place}{name} is no setting{_nearest(name, known)}")
        kind = known[name].metadata["kind"]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise SettingsError(f"{place}{name} must be {_WORD[kind]}, not {value!r}")
        items = value.values() if kind is dict else value if kind is list else ()
        if place and not all(isinstance(each, str) for each in items):
            raise SettingsError(f"{place}{name} must hold texts only, not {value!r}")
        if place or kind is not dict:
            plain[name] = value
    return plain


_WORD = {str: "a text", int: "a whole number", bool: "true or false"}
_WORD |= {list: "a list", dict: "a table"}


def _nearest(name: str, known: Mapping[str, object]) -> str:
    import difflib  # noqa: PLC0415 - only on the way to an error

    near = difflib.get_close_matches(name, known, 1)
    return f'; did you mean "{near[0]}"?' if near else f"; known: {', '.join(known)}"


def _system(name: str, values: Mapping[str, Any]) -> System:
    """Return the system called *name*, completed from the catalogue."""
    place = f"systems.{name}"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) or name == "archive":
        raise SettingsError(
            f"{place}: a name is made of letters, digits, dots, dashes and underscores"
        )
    system = System(**_checked(System, values, f"{place}."))
    entry = catalogue.find(name)
    if entry is not None:
        system = replace(
            system,
            feed=system.feed or entry.feed,
            url=system.url or entry.url,
            timezone=system.timezone or entry.timezone,
        )
    for key in ("feed", "url", "timezone"):
        if not getattr(system, key):
            raise SettingsError(f"{place} needs {key}: the catalogue does not know it")
    return system


def _check_values(settings: Settings) -> None:
    """Raise SettingsError for values of the right type that cannot work."""
    _ = settings.seconds
    for name, system in settings.systems.items():
        if not re.match(r"https?://[^/\s]+", system.url):
            raise SettingsError(
                f"systems.{name}.url must begin with http:// or https://"
            )
        try:
            ZoneInfo(system.timezone)
        except (ValueError, OSError, LookupError) as error:
            raise SettingsError(
                f'systems.{name}.timezone: "{system.timezone}" is no IANA time zone, '
                'such as "Asia/Taipei"'
            ) from error
    if settings.mail.security not in {"starttls", "tls", "none"}:
        raise SettingsError("mail.security must be starttls, tls or none")
    for key in ("payload_days", "csv_days"):
        if getattr(settings.keep, key) < 0:
            raise SettingsError(f"keep.{key} must not be negative")


def _guard(path: Path, settings: Settings) -> None:
    """Raise SettingsError where others may read the secrets in the file *path*."""
    secret = [name for name, each in settings.systems.items() if each.headers]
    if secret and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise SettingsError(
            f"{path} holds secrets (systems.{secret[0]}.headers) and others may read "
            f"it; run: chmod 600 {path}"
        )
