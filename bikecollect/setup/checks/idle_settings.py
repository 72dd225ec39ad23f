"""Settings that are written, but have no effect without another one."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, NamedTuple

from bikecollect.setup.settings import Settings, System
from bikecollect.setup.tables.sections import Mail

ALSO_WITHOUT_MAIL = frozenset({"after", "timezone"})
"""Keys of `[mail]` that the other channels heed, too."""
ONLY_WITH = {"mapping": "mapped", "language": "gbfs", "version": "gbfs"}
"""Keys of a system that a single dialect reads, and that dialect."""


class Idle(NamedTuple):
    """Settings without effect: what is said of them, and the remedy."""

    text: str
    remedy: str


def idle_settings(settings: Settings) -> Iterator[Idle]:
    """Yield the settings that certainly have no effect, all but those of `[mail]`."""
    for name, system in settings.systems.items():
        for key, feed in ONLY_WITH.items():
            if system.feed != feed and key in _written(system):
                text = f'systems.{name}.{key} has no effect with feed = "{system.feed}"'
                yield Idle(text, f'remove it, or set feed = "{feed}"')
    if settings.ping.start and not settings.ping.url:
        yield _without("ping.start", "ping.url")
    if settings.app.attribution and not settings.app.tiles:
        yield _without("app.attribution", "app.tiles")


def idle_mail(mail: Mail) -> Iterator[Idle]:
    """Yield the settings in *mail* that certainly have no effect."""
    keys = [f"mail.{key}" for key in _written(mail) if key not in ALSO_WITHOUT_MAIL]
    if not mail.host:
        if keys:
            text = f"no mails are sent, because [mail] has no host: {', '.join(keys)}"
            yield Idle(text, "set mail.host in the settings")
        return
    if mail.password_file and not mail.user:
        yield _without("mail.password_file", "mail.user")
    if mail.ca_bundle and mail.security == "none":
        text = 'mail.ca_bundle has no effect with mail.security = "none"'
        yield Idle(text, 'remove it, or set mail.security = "starttls"')


def _without(key: str, other: str) -> Idle:
    return Idle(f"{key} has no effect without {other}", f"set {other}, or remove it")


def _written(table: System | Mail) -> list[str]:
    """Return the keys of *table* whose value is not the default one."""
    default: Any = type(table)()
    names = [field.name for field in fields(table)]
    return [name for name in names if getattr(table, name) != getattr(default, name)]
