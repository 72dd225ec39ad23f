"""A system's feed by its settings: how it is reached, within which bounds, how read."""

import re
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.collect import only
from bikecollect.core.errors import SettingsError
from bikecollect.feeds import Feed, registry
from bikecollect.feeds.http.access import REDIRECTS, SAME_SITE, Access
from bikecollect.feeds.http.retry import Budget
from bikecollect.feeds.http.urls import host_and_port, parse
from bikecollect.feeds.reading import fields
from bikecollect.setup.settings import System

KINDS = "vehicle_types"
"""The name in columns that asks for the kinds of vehicles."""
SIZES = {"KiB": 1024, "MiB": 1024 * 1024}
PROXIES = r"(https?|socks(4a?|5h?))://"
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"


def feed(system: System, *, interval: int = 300) -> Feed:
    """Return the dialect that reads *system* every *interval* seconds.

    Raises SettingsError.
    """
    return registry.build(
        system.feed,
        url=system.url,
        timezone=ZoneInfo(system.timezone or "UTC"),
        language=system.language,
        mapping=system.mapping,
        fields=system.fields,
        version=system.version,
        interval=interval,
        kinds=KINDS in system.columns,
    )


def access(system: System) -> Access:
    """Return how the feed of *system* is reached."""
    return Access(
        url=system.url,
        headers=system.headers,
        credential_hosts=system.credential_hosts,
        private_hosts=system.private_hosts,
        redirects=system.redirects,
        trust_env=system.trust_env,
        proxy=system.proxy,
        ca_bundle=system.ca_bundle,
    )


def budget(system: System, interval: int) -> Budget:
    """Return the bounds of one run of *system*, every *interval* seconds."""
    return Budget.for_interval(interval, max_body=size(system.max_body))


def size(text: str) -> int:
    """Return the bytes that *text* says; raises SettingsError.

    >>> size("64MiB")
    67108864
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*(KiB|MiB)\s*", text, re.ASCII)
    if match is None or not int(match[1]):
        raise SettingsError(f'"{text}" is not a size, such as "64MiB"')
    return int(match[1]) * SIZES[match[2]]


def check(name: str, system: System) -> None:
    """Raise SettingsError where the feed of the system *name* cannot be asked."""
    place = f"systems.{name}"
    fields.validate(system.fields, f"{place}.fields")
    only.from_settings(system.only, system.bbox, f"{place}.")
    if system.fields and system.feed == "mapped":
        raise SettingsError(f"{place}.fields: a mapped feed has its mapping for that")
    if system.version and not re.fullmatch(r"\d{1,3}\.\d{1,3}", system.version):
        raise SettingsError(f'{place}.version must be a version, such as "2.3"')
    check_address(f"{place}.url", system.url)
    if system.proxy:
        proxy = system.proxy if "://" in system.proxy else f"http://{system.proxy}"
        check_address(f"{place}.proxy", re.sub(PROXIES, "http://", proxy))
        if proxy.startswith("socks") and not find_spec("socks"):
            raise SettingsError(
                f"{place}.proxy: socks needs PySocks: pip install 'requests[socks]'"
            )
    if system.redirects not in REDIRECTS:
        words = f'true, false or "{SAME_SITE}"'
        raise SettingsError(f"{place}.redirects must be {words}")
    for header, value in system.headers.items():
        _check_header(f"{place}.headers", header, value)
    for key in ("credential_hosts", "private_hosts"):
        for host in getattr(system, key):
            check_host(f"{place}.{key}", host)
    try:
        size(system.max_body)
    except SettingsError as error:
        raise SettingsError(f"{place}.max_body: {error}") from error


def check_address(key: str, url: str) -> None:
    """Raise SettingsError where *url*, the value of *key*, is not one of the web's.

    It is not quoted, for it may be a secret.
    """
    try:
        parse(url)
    except ValueError as error:
        raise SettingsError(
            f"{key} is not an address, such as https://example.org/feed.json: {error}"
        ) from error


def check_host(key: str, host: str) -> None:
    """Raise SettingsError where *host*, in the list *key*, is not a host."""
    try:
        host_and_port(host)
    except ValueError as error:
        raise SettingsError(
            f'{key}: "{host}" is not a host, such as "example.org": {error}'
        ) from error


def headers(texts: Sequence[str]) -> dict[str, str]:
    """Return the headers of *texts* (``name: value``, or ``@`` and a file of them).

    Raises SettingsError for what is none.
    """
    found: dict[str, str] = {}
    for line in chain.from_iterable(map(_lines, texts)):
        name, colon, value = line.partition(":")
        if not colon:
            raise SettingsError('--header: give "name: value", or @ and a file')
        _check_header("--header", name.strip(), value.strip())
        found[name.strip()] = value.strip()
    return found


def _lines(text: str) -> list[str]:
    """Return *text*, or the lines of the file behind its @."""
    if not text.startswith("@"):
        return [text]
    try:
        lines = Path(text[1:]).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise SettingsError(f"--header: cannot read {text[1:]}: {error}") from error
    return [line for line in lines if line.strip()]


def _check_header(key: str, name: str, value: str) -> None:
    if not re.fullmatch(_NAME, name) or not _can_be_sent(value):
        raise SettingsError(
            f"{key}: {name!a} is not a header with a value that HTTP can carry "
            "(one line of Latin-1)"
        )


def _can_be_sent(value: str) -> bool:
    try:
        value.encode("latin-1")
    except UnicodeError:
        return False
    return value == value.strip() and not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value)
