"""Read and check the settings file."""

import codecs
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bikecollect.core import user_folders
from bikecollect.core.errors import SettingsError, UntrustedFile
from bikecollect.core.incidents import KINDS
from bikecollect.core.text import mail_address_error, suggestion
from bikecollect.feeds.registry import DIALECTS
from bikecollect.setup import feed_access, settings_file
from bikecollect.setup.catalogue import builtin
from bikecollect.setup.settings import Settings, System
from bikecollect.setup.tables.checking import Check, Problems, checked, shown
from bikecollect.setup.tables.sections import SECTIONS, App, Mail
from bikecollect.setup.time_zones import check_zone
from bikecollect.storage.data_folder import name_error
from bikecollect.storage.files import trusted_files

NUMBERS = (
    "keep.payload_days",
    "keep.csv_days",
    "log.max_bytes",
    "log.files",
    "collect.workers",
)
"""Settings that must not be negative."""


def load(path: str | None) -> Settings:
    """Return the settings of the file at *path*, or of the first file that exists.

    The search covers $BIKECOLLECT_CONFIG and the user's config folder, but never the
    current folder: whoever can write there would decide what runs. Without a file, the
    settings have the catalogue's first system and defaults. Raises SettingsError with
    the file, the key and the valid values.
    """
    file = settings_file.find(path)
    if file is None:
        return _placed(_with_default_system(Settings()))
    settings = read_text(file, settings_file.read(file))
    _check_mode(file, settings)
    check_files(settings, only_untrusted=True)
    return _placed(settings)


def _placed(settings: Settings) -> Settings:
    """Return *settings*; keep state beside the data if the user has no home."""
    with suppress(SettingsError):
        user_folders.use_state_beside(settings.data)
    return settings


def read_text(path: Path, text: str) -> Settings:
    """Return the settings in *text* of the file *path*; raises SettingsError.

    The permissions of the file are not checked.
    """
    import tomllib  # 20 ms, not needed without a file

    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        from bikecollect.setup.tables import toml_errors  # only after a mistake

        reason = toml_errors.explained(str(error), text)
        raise SettingsError(f"{path} is not TOML: {reason}") from error
    try:
        settings = parse(values, folder=path.parent.absolute())
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}", lines=True) from error
    return replace(settings, source=str(path.absolute()))


def read_alert_settings(path: str | None) -> Settings | None:
    """Return only the alert settings of a settings file that is otherwise invalid.

    None if they are invalid too, or if others can write to the file.
    """
    import tomllib

    file = settings_file.find(path)
    if file is None:
        return None
    try:
        # Text that is not UTF-8 occurs in names and comments, not in addresses.
        data = settings_file.read_trusted(file).removeprefix(codecs.BOM_UTF8)
        encoding = settings_file.wide_encoding(data) or "utf-8"
        values = tomllib.loads(data.decode(encoding, "replace"))
        sections: dict[str, Any] = {
            name: values[name] for name in ("mail", "ping", "tell") if name in values
        }
        settings = parse(sections, folder=file.parent.absolute())
    except (ValueError, RecursionError, SettingsError):
        return None
    try:
        check_files(settings)
    except SettingsError:
        settings = replace(settings, mail=Mail())
    return replace(settings, source=str(file.absolute()))


def parse(values: Mapping[str, Any], *, folder: Path = Path()) -> Settings:
    """Return the settings of *values*, a parsed TOML file.

    Raises SettingsError naming the key, and the nearest known key.
    """
    problems = Problems()
    top = checked(Settings, values, "", problems)
    systems: dict[str, System] = {}
    for name, table in _table(values, "systems").items():
        with problems:
            systems[name] = _system(name, table, problems)
    sections = {
        name: cls(**checked(cls, _table(values, name), f"{name}.", problems))
        for name, cls in SECTIONS.items()
    }
    settings = Settings(**{**top, **sections, "systems": systems, "folder": folder})
    if len(problems):
        problems.note([partial(_check_interval, settings), *_checks_of_zones(values)])
        problems.note(_independent_checks(settings))
    problems.refuse()
    complete = settings.with_absolute_paths()
    if not complete.systems:
        complete = _with_default_system(complete)
    _check_values(complete)
    return complete


def _table(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the table *name* of *values*; empty if it is missing or no table."""
    table = values.get(name)
    return table if isinstance(table, dict) else {}


def _with_default_system(settings: Settings) -> Settings:
    """Return *settings* with the catalogue's first system."""
    first = builtin.CATALOGUE[0].system_id
    systems = {first: _system(first, {}, Problems())}
    return replace(settings, systems=systems, is_default_system=True)


def check_files(settings: Settings, *, only_untrusted: bool = False) -> None:
    """Raise SettingsError if a file named in the settings cannot be used.

    A secret that cannot be read costs only the mails, or its system. *only_untrusted*
    accepts that: the others are collected.
    """
    secrets = {f"systems.{n}.": s.client_secret for n, s in settings.systems.items()}
    if settings.mail.host:
        secrets = {"": settings.password, **secrets}
    for place, read in secrets.items():
        try:
            read()
        except SettingsError as error:
            if isinstance(error, UntrustedFile) or not only_untrusted:
                raise SettingsError(f"{place}{error}") from error
    for section, bundle in _bundles(settings).items():
        trusted_files.check_bundle(f"{section}.ca_bundle", Path(bundle))


def check_certificates(settings: Settings) -> None:
    """Raise SettingsError if a file of certificates has none."""
    from bikecollect.alerts.mail.smtp_connection import verifying  # not for a fetch

    for section, bundle in _bundles(settings).items():
        try:
            verifying(bundle)
        except OSError as error:
            words = f"{settings.source}: {section}.{error.strerror}"
            raise SettingsError(words) from error


def _bundles(settings: Settings) -> dict[str, str]:
    """Return the files of certificates by the tables that name them."""
    bundles = {f"systems.{n}": s.ca_bundle for n, s in settings.systems.items()}
    bundles["mail"] = settings.mail.ca_bundle
    return {section: bundle for section, bundle in bundles.items() if bundle}


def _system(name: str, values: object, problems: Problems) -> System:
    """Return the system *name* with missing values from the catalogue.

    Errors of single values are noted in *problems*; raises SettingsError for others.
    """
    place = f"systems.{name}"
    if not isinstance(values, dict):
        header = "[systems.NAME]" if hasattr(System, name) else f"[{place}]"
        words = f"must be a table, not {shown(name, values)}; begin it with {header}"
        raise SettingsError(f"{place} {words}")
    if error := name_error(name):
        raise SettingsError(f"{place}: {error}")
    before = len(problems)
    system = System(**checked(System, values, f"{place}.", problems))
    if len(problems) > before:
        return system
    entry = builtin.find(name)
    if entry is not None:
        system = replace(
            system,
            feed=system.feed or entry.feed,
            url=system.url or entry.url,
            timezone=system.timezone or entry.timezone,
        )
    if system.feed and system.feed not in DIALECTS:
        known = ", ".join(DIALECTS)
        raise SettingsError(f'{place}: feed = "{system.feed}": choose one of {known}')
    for key in ("feed", "url", "timezone"):
        if not getattr(system, key):
            ids = [entry.system_id for entry in builtin.CATALOGUE]
            hint = suggestion(name, ids, "; ")
            missing = f"{place}.{key} is missing, and the catalogue has no such system"
            raise SettingsError(missing + hint)
    return system


def _check_values(settings: Settings) -> None:
    """Raise SettingsError for invalid values of the right type."""
    problems = Problems()
    checks: list[Check] = [
        partial(_check_interval, settings),
        *(partial(_check_system, *item) for item in settings.systems.items()),
        partial(_check_app, settings.app),
        partial(_check_mail, settings.mail),
    ]
    problems.note([*checks, *_independent_checks(settings)])
    problems.refuse()


def _independent_checks(settings: Settings) -> list[Check]:
    """Return the checks of single values, whatever is wrong with others."""
    return [
        partial(_check_mail_times, settings.mail),
        partial(_check_alerts, settings),
        partial(_check_mirror, settings.archive.mirror),
        *(partial(_check_number, settings, name) for name in NUMBERS),
    ]


def _checks_of_zones(values: Mapping[str, Any]) -> list[Check]:
    """Return a check of each system's time zone in *values*, if it is a text."""
    tables = _table(values, "systems")
    zones = {name: _table(tables, name).get("timezone") for name in tables}
    return [
        partial(check_zone, f"systems.{name}.timezone", zone)
        for name, zone in zones.items()
        if isinstance(zone, str)
    ]


def _check_interval(settings: Settings) -> None:
    _ = settings.seconds


def _check_system(name: str, system: System) -> None:
    check_zone(f"systems.{name}.timezone", system.timezone)
    feed_access.check(name, system)
    if system.publisher:
        from bikecollect.setup.catalogue import publishers  # not for a fetch

        publishers.check(name, system)


def _check_app(app: App) -> None:
    if problem := app.problem:
        raise SettingsError(problem)


def _check_number(settings: Settings, name: str) -> None:
    section, _, key = name.partition(".")
    if getattr(getattr(settings, section), key) < 0:
        raise SettingsError(f"{name} must not be negative")


def _check_alerts(settings: Settings) -> None:
    """Raise SettingsError for an invalid ping, webhook, muted kind or log format."""
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


def _check_mirror(address: str) -> None:
    """Raise SettingsError if *address* is not that of an object store."""
    if not address:
        return
    from bikecollect.archive.mirror.address import MirrorAddress  # only with a mirror

    try:
        MirrorAddress.parse(address)
    except SettingsError as error:
        raise SettingsError(f"archive.mirror: {error}") from error


LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _check_mail(mail: Mail) -> None:
    """Raise SettingsError if no mail can be sent safely by *mail*."""
    if mail.security not in {"starttls", "tls", "none"}:
        raise SettingsError("mail.security must be starttls, tls or none")
    if mail.digest not in {"", "daily", "weekly"}:
        raise SettingsError("mail.digest must be daily or weekly")
    if problem := mail.server_problem:
        raise SettingsError(problem)
    if not mail.host:
        return
    for key in ("sender", "to"):
        if not getattr(mail, key):
            raise SettingsError(f"mail.{key} is missing: it is required with mail.host")
    lists = {"sender": [mail.sender], "to": mail.to, "escalate_to": mail.escalate_to}
    for key, addresses in lists.items():
        for error in filter(None, map(mail_address_error, addresses)):
            raise SettingsError(f"mail.{key}: {error}")
    if mail.user and mail.security == "none" and mail.host not in LOOPBACK:
        raise SettingsError(
            'mail.security = "none" would send the password unencrypted; '
            "use starttls or tls"
        )


def _check_mail_times(mail: Mail) -> None:
    """Raise SettingsError for an invalid setting of when mails are sent."""
    if mail.after < 1:
        raise SettingsError("mail.after must be 1 or more")
    check_zone("mail.timezone", mail.timezone, "Europe/Oslo")
    if mail.quiet:
        from bikecollect.alerts.mail.quiet import QuietHours  # only for quiet hours

        QuietHours.parse(mail.quiet)


def _check_mode(path: Path, settings: Settings) -> None:
    """Raise SettingsError if others can read secrets in the file *path*."""
    if settings.secrets_by_key and trusted_files.others_read(path):
        raise SettingsError(
            f"{path} contains a secret ({next(iter(settings.secrets_by_key))}) and is "
            f"readable by others; run: chmod 600 {trusted_files.quoted(path)}"
        )
