"""Check the values of the settings: they have the right type, but may be invalid."""

from collections.abc import Collection, Iterator, Mapping, Sequence
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
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Mail servers on this machine, to which a password may go unencrypted."""


def check_values(settings: Settings) -> None:
    """Raise SettingsError for invalid values of the right type."""
    problems = Problems()
    problems.note(
        [
            partial(_check_interval, settings),
            *(c for item in settings.systems.items() for c in _of_system(*item)),
            partial(_check_app, settings.app),
            *_checks_of_mail(settings.mail),
            *_independent_checks(settings),
        ]
    )
    if len(problems):
        problems.note(_all_of_mappings(settings.systems))
    problems.refuse()


def possible_checks(
    settings: Settings,
    values: Mapping[str, Any],
    sound: Mapping[str, System],
    sound_tables: Collection[str],
) -> list[Check]:
    """Return the checks that are possible although some *values* have wrong types.

    The systems *sound* have no wrong ones, nor have the *sound_tables*.
    """
    return [
        *([partial(_check_app, settings.app)] if "app" in sound_tables else ()),
        *(_checks_of_mail(settings.mail) if "mail" in sound_tables else ()),
        partial(_check_interval, settings),
        *_checks_of_zones(values),
        *(c for item in sound.items() for c in _of_feed(*item)),
        *_independent_checks(settings),
        *_all_of_mappings(sound),
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


def _of_system(name: str, system: System) -> Iterator[Check]:
    yield partial(check_zone, f"systems.{name}.timezone", system.timezone)
    yield from _of_feed(name, system)


def _of_feed(name: str, system: System) -> Iterator[Check]:
    """Yield the checks of the system *name*, but for that of its time zone."""
    yield from feed_access.checks(name, system)
    if system.publisher:
        from bikecollect.setup.catalogue import publishers  # not for a fetch

        for item in system.publisher.items():
            yield partial(publishers.check, f"systems.{name}.publisher", *item)


def _all_of_mappings(systems: Mapping[str, System]) -> Iterator[Check]:
    """Yield the checks of all mappings, for a file that has an error in any case.

    An error in a mapping is one of its system only: others are collected.
    """
    for name, system in systems.items():
        if system.feed == "mapped":
            yield from checks_of_mapping(f"systems.{name}", system.mapping)


def checks_of_mapping(place: str, mapping: Mapping[str, str]) -> Iterator[Check]:
    """Yield the checks of *mapping*, that of the system at *place*."""
    from bikecollect.feeds import mapped  # only for a mapped feed

    def placed(check: Check) -> None:
        try:
            check()
        except SettingsError as error:
            raise SettingsError(f"{place}: {error}") from error

    return (partial(placed, check) for check in mapped.checks(mapping))


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


def _checks_of_mail(mail: Mail) -> Iterator[Check]:
    """Yield the checks whether mails can be sent, and safely, by *mail*."""
    yield partial(_check_security, mail)
    yield partial(_check_digest, mail.digest)
    yield partial(_check_server, mail)
    lists = {"sender": [mail.sender], "to": mail.to, "escalate_to": mail.escalate_to}
    for key, addresses in lists.items() if mail.host else ():
        yield partial(_check_addresses, f"mail.{key}", addresses)


def _check_security(mail: Mail) -> None:
    if mail.security not in {"starttls", "tls", "none"}:
        raise SettingsError("mail.security must be starttls, tls or none")
    is_open = mail.security == "none" and mail.host not in LOOPBACK
    if mail.host and mail.user and is_open:
        raise SettingsError(
            'mail.security = "none" would send the password unencrypted; '
            "use starttls or tls"
        )


def _check_digest(digest: str) -> None:
    if digest not in {"", "daily", "weekly"}:
        raise SettingsError("mail.digest must be daily or weekly")


def _check_server(mail: Mail) -> None:
    if problem := mail.server_problem:
        raise SettingsError(problem)


def _check_addresses(key: str, addresses: Sequence[str]) -> None:
    if not any(addresses) and not key.endswith("escalate_to"):
        raise SettingsError(f"{key} is missing: it is required with mail.host")
    for error in filter(None, map(mail_address_error, addresses)):
        raise SettingsError(f"{key}: {error}")


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
