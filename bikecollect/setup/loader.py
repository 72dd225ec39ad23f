"""How the settings are read and checked."""

import codecs
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bikecollect.core.errors import SettingsError
from bikecollect.core.incidents import KINDS
from bikecollect.core.secrets.names import is_secret_name
from bikecollect.setup import catalogue, feed_access, settings_file
from bikecollect.setup.settings import (
    Keep,
    Log,
    Mail,
    Ping,
    Settings,
    System,
    Tell,
    wrong_mail_address,
    wrong_name,
)
from bikecollect.storage.files import trusted_files

SECRETIVE = frozenset({"command", "headers", "proxy", "url", "webhook"})
"""Settings that may hold a secret: an error does not quote them."""
SECTIONS = {"mail": Mail, "ping": Ping, "tell": Tell, "log": Log, "keep": Keep}


def load(path: str | None) -> Settings:
    """Return the settings of the file at *path*, or of the first that is found.

    Looked for at $BIKECOLLECT_CONFIG and in the user's config folder, never in the
    current folder: whoever may write there would decide what runs. With none of
    them, the catalogue's first system with the defaults. Raises SettingsError with
    the file, the key, and what is right.
    """
    found = settings_file.find(path)
    if found is None:
        first = catalogue.CATALOGUE[0].system_id
        return replace(Settings(), systems={first: _system(first, {})})
    settings = read_text(found, settings_file.text_of(found))
    _guard(found, settings)
    _check_files(settings)
    return settings


def read_text(path: Path, text: str) -> Settings:
    """Return the settings that *text* of the file *path* holds; raises SettingsError.

    Who may read or change the file is not looked at.
    """
    import tomllib  # 20 ms that a run without a file need not pay

    try:
        values = tomllib.loads(text)
    except ValueError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    try:
        settings = parse(values, folder=path.parent.absolute())
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    return replace(settings, source=str(path.absolute()))


def ways_of_telling(path: str | None) -> Settings | None:
    """Return what a settings file that cannot be used says of whom to tell.

    None where it says nothing that can be read, or others may have said it.
    """
    import tomllib

    found = settings_file.find(path)
    if found is None:
        return None
    try:
        # What is not UTF-8 stands in a name or a comment, not in an address.
        data = settings_file.trusted(found).removeprefix(codecs.BOM_UTF8)
        values = tomllib.loads(data.decode("utf-8", "replace"))
        kept: dict[str, Any] = {
            name: values[name] for name in ("mail", "ping", "tell") if name in values
        }
        settings = parse(kept, folder=found.parent.absolute())
    except (ValueError, SettingsError):
        return None
    try:
        _check_files(settings)
    except SettingsError:
        settings = replace(settings, mail=Mail())
    return replace(settings, source=str(found.absolute()))


def parse(values: Mapping[str, Any], *, folder: Path = Path()) -> Settings:
    """Return the settings that *values* (a parsed TOML file) hold.

    Raises SettingsError naming the key, and the nearest known one.
    """
    settings = Settings(**{**_checked(Settings, values, ""), "folder": folder})
    systems = values.get("systems", {})
    for name, each in systems.items():
        if not isinstance(each, dict):
            wrong = _seen(name, each)
            raise SettingsError(f"systems.{name} must be a table, not {wrong}")
    ready = replace(
        settings,
        systems={name: _system(name, each) for name, each in systems.items()},
        **{
            name: cls(**_checked(cls, values.get(name, {}), f"{name}."))
            for name, cls in SECTIONS.items()
        },
    ).placed()
    if not ready.systems:
        first = catalogue.CATALOGUE[0].system_id
        ready = replace(ready, systems={first: _system(first, {})})
    _check_values(ready)
    return ready


def _check_files(settings: Settings) -> None:
    """Raise SettingsError where a file that the settings name is not safe to use."""
    if settings.mail.host:
        settings.password()
    bundles = {f"systems.{n}": each.ca_bundle for n, each in settings.systems.items()}
    for section, bundle in {**bundles, "mail": settings.mail.ca_bundle}.items():
        if bundle:
            _check_ca_bundle(f"{section}.ca_bundle", Path(bundle))


def _check_ca_bundle(key: str, path: Path) -> None:
    """Raise SettingsError where others may decide which certificates are trusted."""
    try:
        trusted_files.check_file(path)
        there = not path.exists() or path.is_file() or path.is_dir()
    except SettingsError as error:
        raise SettingsError(f"{key}: {error}") from error
    except OSError as error:
        raise SettingsError(f"{key}: cannot read {path}: {error.strerror}") from error
    if not there:
        raise SettingsError(f"{key}: {path} is not a plain file")


def _checked(cls: type, values: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the plain *values* of *cls*; raises SettingsError for a bad one."""
    known = {f.name: f for f in fields(cls) if f.metadata["doc"]}
    plain: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise SettingsError(
                f'unknown setting "{place}{name}"{_nearest(name, known)}'
            )
        kind = known[name].metadata["kind"]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            wrong = _seen(name, value)
            raise SettingsError(f"{place}{name} must be {_WORD[kind]}, not {wrong}")
        items = value.values() if kind is dict else value if kind is list else ()
        held = known[name].metadata.get("items", str)
        bad = any(not isinstance(each, held) or each is True for each in items)
        if place and bad:
            wrong = _seen(name, value)
            words = f"must hold {_ITEMS[held]} only, not {wrong}"
            raise SettingsError(f"{place}{name} {words}")
        if place or kind is not dict:
            plain[name] = value
    return plain


_WORD: dict[object, str] = {str: "a text", int: "a whole number", bool: "true or false"}
_ITEMS: dict[object, str] = {str: "texts", list: "lists", int | float: "numbers"}
_WORD |= {list: "a list", dict: "a table", bool | str: "true, false or a text"}


def _seen(name: str, value: object) -> str:
    """Return what *value* is, and says where it can be no secret."""
    if name in SECRETIVE or is_secret_name(name) or isinstance(value, dict | list):
        return next((w for kind, w in _WORD.items() if type(value) is kind), "that")
    return repr(value)


def _nearest(name: str, known: Mapping[str, object]) -> str:
    import difflib  # only on the way to an error

    near = difflib.get_close_matches(name, known, 1)
    return f'; did you mean "{near[0]}"?' if near else f"; known: {', '.join(known)}"


def _system(name: str, values: Mapping[str, Any]) -> System:
    """Return the system called *name*, completed from the catalogue."""
    place = f"systems.{name}"
    if wrong := wrong_name(name):
        raise SettingsError(f"{place}: {wrong}")
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
        feed_access.check(name, system)
        try:
            ZoneInfo(system.timezone)
        except (ValueError, OSError, LookupError) as error:
            raise SettingsError(
                f'systems.{name}.timezone: "{system.timezone}" is no IANA time zone, '
                'such as "Asia/Taipei"'
            ) from error
    _check_mail(settings.mail)
    _check_telling(settings)
    for name in ("keep.payload_days", "keep.csv_days", "log.max_bytes", "log.files"):
        section, _, key = name.partition(".")
        if getattr(getattr(settings, section), key) < 0:
            raise SettingsError(f"{name} must not be negative")


def _check_telling(settings: Settings) -> None:
    """Raise SettingsError for a ping, a webhook or a log that cannot work."""
    urls = {"ping.url": settings.ping.url, "tell.webhook": settings.tell.webhook}
    for name, url in urls.items():
        if url:
            feed_access.check_address(name, url)
    for kind in settings.tell.mute:
        if kind not in KINDS:
            known = ", ".join(KINDS)
            raise SettingsError(f'tell.mute: unknown kind "{kind}"; known: {known}')
    if settings.log.format not in {"text", "json"}:
        raise SettingsError("log.format must be text or json")


LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _check_mail(mail: Mail) -> None:
    """Raise SettingsError for a [mail] by which no mail could be sent safely."""
    if mail.security not in {"starttls", "tls", "none"}:
        raise SettingsError("mail.security must be starttls, tls or none")
    if mail.digest not in {"", "daily", "weekly"}:
        raise SettingsError("mail.digest must be daily or weekly")
    if not mail.host:
        return
    for key in ("sender", "to"):
        if not getattr(mail, key):
            raise SettingsError(f"mail.{key} is missing: mail.host is given")
    for each in (mail.sender, *mail.to, *mail.escalate_to):
        if wrong := wrong_mail_address(each):
            raise SettingsError(f"mail: {wrong}")
    if mail.user and mail.security == "none" and mail.host not in LOOPBACK:
        raise SettingsError(
            'mail.security = "none" would send the password in the clear; '
            "use starttls or tls"
        )


def _guard(path: Path, settings: Settings) -> None:
    """Raise SettingsError where others may read the secrets in the file *path*."""
    if settings.held and trusted_files.others_read(path):
        raise SettingsError(
            f"{path} holds a secret ({next(iter(settings.held))}) and others may read "
            f"it; run: chmod 600 {trusted_files.quoted(path)}"
        )
