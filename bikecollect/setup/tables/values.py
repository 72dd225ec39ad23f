"""Check the values of the settings: they have the right type, but may be invalid."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from bikecollect.core.errors import SettingsError
from bikecollect.core.incidents import KINDS
from bikecollect.core.text import mail_address_error
from bikecollect.setup import feed_access
from bikecollect.setup.settings import Settings, System
from bikecollect.setup.tables.checking import Check, Problems
from bikecollect.setup.tables.sections import App, Mail
from bikecollect.setup.time_zones import check_zone

NUMBERS = (
    "keep.payload_days",
    "keep.csv_days",
    "log.max_bytes",
    "log.files",
    "collect.workers",
)
"""Settings that must not be negative."""


def check_values(settings: Settings) -> None:
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


def possible_checks(settings: Settings, values: Mapping[str, Any]) -> list[Check]:
    """Return the checks that are possible although some *values* have wrong types."""
    return [
        partial(_check_interval, settings),
        *_checks_of_zones(values),
        *_independent_checks(settings),
    ]


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
    tables = table_of(values, "systems")
    zones = {name: table_of(tables, name).get("timezone") for name in tables}
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


def table_of(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the table *name* of *values*; empty if it is missing or no table."""
    table = values.get(name)
    return table if isinstance(table, dict) else {}
