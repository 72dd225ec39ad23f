"""Build a system's feed from its settings: the dialect, the access and the limits."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bikecollect.collect import only
from bikecollect.core.errors import SettingsError
from bikecollect.feeds import Feed, registry
from bikecollect.feeds.http.access import REDIRECTS, SAME_SITE, Access
from bikecollect.feeds.http.networks import kind_of, numeric
from bikecollect.feeds.http.retry import Budget
from bikecollect.feeds.http.urls import host_and_port, parse
from bikecollect.feeds.reading import fields
from bikecollect.setup.settings import SECRET_FILE, System

if TYPE_CHECKING:
    from bikecollect.feeds.http.oauth2 import Tokens

TDX_TOKENS = (
    "https://tdx.transportdata.tw/auth/realms/TDXConnect/protocol/openid-connect/token"
)
OAUTH2_KEYS = ("token_url", "client_id", SECRET_FILE, "scope", "client_auth")
CLIENT_AUTH = ("form", "basic")
KINDS = "vehicle_types"
"""The name in `columns` for counts per vehicle type."""
SIZES = {"KiB": 1024, "MiB": 1024 * 1024}
PROXIES = r"(https?|socks(4a?|5h?))://"
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"


def feed(system: System, *, interval: int = 300) -> Feed:
    """Return the feed of *system*, fetched every *interval* seconds.

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
        vehicles=system.vehicles,
    )


def access(system: System) -> Access:
    """Return the access settings of the feed of *system*."""
    return Access(
        url=system.url,
        headers=system.headers,
        credential_hosts=system.credential_hosts,
        private_hosts=system.private_hosts,
        redirects=system.redirects,
        trust_env=system.trust_env,
        proxy=system.proxy,
        ca_bundle=system.ca_bundle,
        tokens=_tokens(system) if system.oauth2 else None,
    )


def _tokens(system: System) -> "Tokens":
    """Return the tokens of the OAuth2 client of *system*."""
    from bikecollect.feeds.http.oauth2 import OAuth2Client, Tokens  # with OAuth2 only
    from bikecollect.storage.data_folder import state_home
    from bikecollect.storage.files.token_file import TokenFile

    url, client_id = token_url(system), system.oauth2.get("client_id", "")
    scope = system.oauth2.get("scope", "")
    way = system.oauth2.get("client_auth", CLIENT_AUTH[0])
    secret, unreadable = "", None
    try:
        secret = system.client_secret()
    except SettingsError as error:
        unreadable = error
    client = OAuth2Client(url, client_id, secret, scope, way)
    name = sha256(f"{url}\0{client_id}\0{scope}".encode()).hexdigest()[:16]
    store = TokenFile(state_home() / "tokens" / f"{name}.json")
    return Tokens(client, store, unreadable)


def client(client_id: str, secret_file: str, url: str = "") -> dict[str, str]:
    """Return the table `oauth2` for these options, empty if all are.

    Raises SettingsError if one of the first two is missing.
    """
    if not (client_id or secret_file or url):
        return {}
    if not (client_id and secret_file):
        raise SettingsError("--client-id and --client-secret-file belong together")
    path = str(Path(secret_file).expanduser().absolute())
    table = {"token_url": url, "client_id": client_id, SECRET_FILE: path}
    return {key: text for key, text in table.items() if text}


def token_url(system: System) -> str:
    """Return the address of the token server of *system*, empty if none is set."""
    default = TDX_TOKENS if system.feed == "tdx" else ""
    return system.oauth2.get("token_url", default)


def budget(system: System, interval: int) -> Budget:
    """Return the time and size limits of a run of *system* every *interval* seconds."""
    return Budget.for_interval(interval, max_body=size(system.max_body))


def host(system: System) -> str:
    """Return the host of the feed of *system*, empty if its address has none.

    >>> host(System(url="https://Feeds.example:8443/a.json"))
    'feeds.example'
    """
    try:
        return parse(system.url).host
    except ValueError:
        return ""


def size(text: str) -> int:
    """Return the number of bytes of *text*; raises SettingsError.

    >>> size("64MiB")
    67108864
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*(KiB|MiB)\s*", text, re.ASCII)
    if match is None or not int(match[1]):
        raise SettingsError(f'"{text}" is not a size, such as "64MiB"')
    return int(match[1]) * SIZES[match[2]]


def check(name: str, system: System) -> None:
    """Raise SettingsError for feed settings of the system *name* that cannot work."""
    for check_one in checks(name, system):
        check_one()


def checks(name: str, system: System) -> Iterator[Callable[[], object]]:
    """Yield the checks of feed settings of the system *name*, each of some keys.

    They raise SettingsError. Whatever fails says nothing of the other ones.
    """
    place = f"systems.{name}"
    for key, path in system.fields.items():
        yield partial(fields.validate, {key: path}, f"{place}.fields")
    for key, texts in system.only.items():
        yield partial(only.from_settings, {key: texts}, (), f"{place}.")
    yield partial(only.from_settings, {}, system.bbox, f"{place}.")
    yield partial(_check_dialect, place, system)
    yield partial(_check_version, place, system)
    yield partial(_check_addresses, place, system)
    yield partial(_check_proxy, f"{place}.proxy", system.proxy)
    yield partial(_check_redirects, f"{place}.redirects", system.redirects)
    for header, value in system.headers.items():
        yield partial(_check_header, f"{place}.headers", header, value)
    for key in ("credential_hosts", "private_hosts"):
        for host_name in getattr(system, key):
            yield partial(check_host, f"{place}.{key}", host_name)
    yield partial(_check_size, f"{place}.max_body", system.max_body)


def _check_dialect(place: str, system: System) -> None:
    """Raise SettingsError for settings that the system's dialect does not have."""
    if system.fields and system.feed == "mapped":
        raise SettingsError(f'{place}.fields: not used by feed = "mapped"; set mapping')
    if system.vehicles and system.feed != "gbfs":
        raise SettingsError(f'{place}.vehicles requires feed = "gbfs"')


def _check_version(place: str, system: System) -> None:
    if system.version and not re.fullmatch(r"\d{1,3}\.\d{1,3}", system.version):
        raise SettingsError(f'{place}.version must be a version, such as "2.3"')


def _check_addresses(place: str, system: System) -> None:
    """Raise SettingsError for addresses of the feed that cannot be requested."""
    if system.feed == "tdx":
        from bikecollect.feeds.tdx.feed import addresses  # needed for TDX only

        try:
            addresses(system.url)
        except SettingsError as error:
            raise SettingsError(f"{place}: {error}") from error
    check_address(f"{place}.url", system.url)
    _check_oauth2(place, system)


def _check_proxy(key: str, text: str) -> None:
    if not text:
        return
    proxy = text if "://" in text else f"http://{text}"
    check_address(key, re.sub(PROXIES, "http://", proxy))
    if proxy.startswith("socks") and not find_spec("socks"):
        words = "a socks proxy requires PySocks: pip install 'requests[socks]'"
        raise SettingsError(f"{key}: {words}")


def _check_redirects(key: str, value: object) -> None:
    if value not in REDIRECTS:
        raise SettingsError(f'{key} must be true, false or "{SAME_SITE}"')


def _check_size(key: str, text: str) -> None:
    try:
        size(text)
    except SettingsError as error:
        raise SettingsError(f"{key}: {error}") from error


def _check_oauth2(place: str, system: System) -> None:
    """Raise SettingsError for an OAuth2 client that cannot be used."""
    has_header = "authorization" in map(str.lower, system.headers)
    has_login = has_header or bool(parse(system.url).user)
    if system.feed == "tdx" and not (system.oauth2 or has_header):
        raise SettingsError(
            f'{place}: feed = "tdx" requires [{place}.oauth2] with client_id and '
            f"{SECRET_FILE} (a key from https://tdx.transportdata.tw)"
        )
    if not system.oauth2:
        return
    _check_oauth2_keys(f"{place}.oauth2", system.oauth2)
    if has_login:
        raise SettingsError(
            f"{place}: oauth2 sends its own Authorization header; remove that of "
            "headers, or the user of url"
        )
    check_address(f"{place}.oauth2.token_url", token_url(system))
    for key, url in (("oauth2.token_url", token_url(system)), ("url", system.url)):
        address = parse(url)
        if address.scheme != "https" and not _is_this_machine(address.host):
            raise SettingsError(
                f"{place}.{key} must begin with https://: otherwise others can read "
                "the credentials"
            )


def _check_oauth2_keys(place: str, table: Mapping[str, str]) -> None:
    """Raise SettingsError for a key or value of *table* that cannot be used."""
    for key in table:
        if key not in OAUTH2_KEYS:
            known = ", ".join(OAUTH2_KEYS)
            raise SettingsError(f'unknown setting "{place}.{key}"; known: {known}')
    for key in ("client_id", SECRET_FILE):
        if not table.get(key):
            raise SettingsError(f"{place}.{key} is missing")
    if table.get("client_auth", CLIENT_AUTH[0]) not in CLIENT_AUTH:
        raise SettingsError(f'{place}.client_auth must be "form" or "basic"')


def _is_this_machine(host: str) -> bool:
    address = numeric(host)
    return host == "localhost" or (bool(address) and kind_of(address) == "loopback")


def check_address(key: str, url: str) -> None:
    """Raise SettingsError if *url*, the value of *key*, is not an http(s) address.

    The message does not quote it, because it may contain a secret.
    """
    try:
        parse(url)
    except ValueError as error:
        raise SettingsError(
            f"{key} is not an address, such as https://example.org/feed.json: {error}"
        ) from error


def check_host(key: str, host: str) -> None:
    """Raise SettingsError if *host*, in the list *key*, is not a host name."""
    try:
        host_and_port(host)
    except ValueError as error:
        raise SettingsError(
            f'{key}: "{host}" is not a host, such as "example.org": {error}'
        ) from error


def headers(texts: Sequence[str]) -> dict[str, str]:
    """Return the headers of *texts* (``name: value``, or ``@FILE`` with one per line).

    Raises SettingsError if one is invalid.
    """
    parsed: dict[str, str] = {}
    for line in chain.from_iterable(map(_lines, texts)):
        name, colon, value = line.partition(":")
        if not colon:
            raise SettingsError('--header must be "name: value" or @FILE')
        _check_header("--header", name.strip(), value.strip())
        parsed[name.strip()] = value.strip()
    return parsed


def _lines(text: str) -> list[str]:
    """Return *text* as a line, or the lines of the file if *text* is ``@FILE``."""
    if not text.startswith("@"):
        return [text]
    try:
        lines = Path(text[1:]).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SettingsError(f"--header: cannot read {text[1:]}: {why}") from error
    return [line for line in lines if line.strip()]


def _check_header(key: str, name: str, value: str) -> None:
    if not re.fullmatch(_NAME, name) or not _can_be_sent(value):
        raise SettingsError(
            f"{key}: {name!a} is not a valid HTTP header name and value "
            "(one line of Latin-1)"
        )


def _can_be_sent(value: str) -> bool:
    try:
        value.encode("latin-1")
    except UnicodeError:
        return False
    return value == value.strip() and not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value)
