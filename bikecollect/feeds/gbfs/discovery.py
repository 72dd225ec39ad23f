"""GBFS discovery: the documents that a gbfs.json lists, and their addresses."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_plus, urlsplit

from bikecollect.core.errors import (
    FeedError,
    PayloadError,
    ProtocolError,
    RateLimited,
)
from bikecollect.core.payload import (
    MANY,
    Check,
    Document,
    Documents,
    Getter,
    RefusedDocumentsError,
    about,
)
from bikecollect.core.secrets.names import is_secret_name
from bikecollect.feeds.http.urls import joined
from bikecollect.feeds.reading.aliases import gbfs_document, plain, unwrapped
from bikecollect.feeds.reading.json_payload import at, decode, first_keys
from bikecollect.feeds.reading.values import in_language, text

GBFS = "gbfs"
VERSIONS = "versions"
"""The name of the document that lists a system's versions, if it was refused."""
TRIES = 2
"""Maximum tries for documents other than the status, and for untested addresses."""

_NAMES = """gbfs_versions system_information system_regions station_information
station_status vehicle_types vehicle_status free_bike_status"""
NAMES = {plain(name): name for name in _NAMES.split()}
NAMES |= {"vehiclestypes": "vehicle_types"}
"""The documents that are used, by how their names are compared."""
OTHERS = frozenset({"stations", "bikes", "vehicles"})
"""The lists of the documents that a gbfs.json lists; no language is called so."""


class Listing(NamedTuple):
    """A gbfs.json: its *document*, the *addresses* in it, and its version."""

    document: Document
    addresses: Mapping[str, str]
    version: str


def addresses(value: Any, language: str, base: str = "") -> dict[str, str]:
    """Return the addresses in a gbfs.json by document name; raises PayloadError.

    Relative ones are resolved against *base*, the address of the gbfs.json.
    """
    data = _data(unwrapped(value))
    if not isinstance(data, Mapping | list):
        text = "the response has no data: url must be that of a gbfs.json"
        raise PayloadError(text, quote=f" (it has: {first_keys(value)})")
    if isinstance(data, Mapping) and (other := OTHERS.intersection(data)):
        text = f"the response has no feeds but {min(other)}"
        raise PayloadError(f"{text}: url must be that of a gbfs.json")
    feeds = _feeds(data)
    if not feeds:
        listed_deeper = _by_language(_languages(data), language)
        feeds = feeds if listed_deeper is None else listed_deeper
    if feeds is None:
        quote = f" (it has: {first_keys(data)})"
        raise PayloadError("the response has no feeds: is it a gbfs.json?", quote=quote)
    return {name: _absolute(url, base) for name, url in feeds}


def _absolute(url: str, base: str) -> str:
    """Return *url* as listed at *base*, which may lack its scheme or host.

    >>> _absolute("a.org/status", "https://a.org/gbfs.json")
    'https://a.org/status'
    >>> _absolute("en/status", "https://a.org/x/gbfs.json")
    'https://a.org/x/en/status'
    """
    scheme, sign, rest = base.partition("://")
    host = rest.partition("/")[0]
    is_without_scheme = host and url.strip().startswith(f"{host}/")
    return joined(base, f"{scheme}{sign}{url.strip()}" if is_without_scheme else url)


def listed(
    get: Getter, url: str, base: str, language: str, *, tries: int = MANY
) -> Listing:
    """Get and parse the gbfs.json at *url*, an address listed by *base*.

    Raises FeedError if it is not received, RefusedDocumentsError if it is not valid.
    """
    document, _ = ask(get, GBFS, url, base, check=decode, tries=tries)
    try:
        with about(document.url or url):
            value = gbfs_document(document.body)
            listed = addresses(value, language, document.url or url)
    except PayloadError as error:
        raise RefusedDocumentsError(error, document) from error
    return Listing(document, listed, version_text(at(value, "version")))


def offers(value: Any) -> list[tuple[str, str]]:
    """Return the versions in a gbfs_versions.json and the addresses of their gbfs.json.

    Raises PayloadError if it has no list of versions.
    """
    versions = at(value, "data.versions")
    if not isinstance(versions, list):
        raise PayloadError("the response has no data.versions")
    urls = [(at(item, "version"), at(item, "url")) for item in versions]
    return [(version_text(number), str(url)) for number, url in urls if text(url)]


def check_received(documents: Documents, language: str) -> None:
    """Raise PayloadError if the fetch of *documents* ended at its discovery.

    The error is that of the document which led to no other one.
    """
    for item in documents:
        with about(item.url or item.name):
            if item.name == GBFS:
                addresses(decode(item.body), language)
            if item.name == VERSIONS:
                offers(gbfs_document(item.body))


def _data(value: Any) -> Any:
    """Return the data in a gbfs.json, which some write at its root."""
    data = at(value, "data")
    return value if data is None and at(value, "feeds") is not None else data


def _feeds(value: Any) -> list[tuple[str, str]] | None:
    """Return the names and addresses in *value*, a list or in ``feeds``.

    None if there is no list; entries without an address are skipped. A name such as
    ``station_status.json`` is accepted too.
    """
    listed = value if isinstance(value, list) else at(value, "feeds")
    if isinstance(listed, Mapping):
        listed = [{"name": name, "url": url} for name, url in listed.items()]
    if not isinstance(listed, list):
        return None
    fields = [{plain(k): v for k, v in f.items()} for f in listed if type(f) is dict]
    return [
        (_document(name), str(feed["url"]))
        for feed in fields
        if (name := text(feed.get("name"))) and text(feed.get("url"))
    ]


def _document(name: str) -> str:
    """Return the document called *name*, which is known in other spellings too.

    >>> _document("Station-Status.json"), _document("vehicles_types"), _document("X")
    ('station_status', 'vehicle_types', 'x')
    """
    name = name.lower().removesuffix(".json")
    return NAMES.get(plain(name), name)


def _languages(data: Any) -> dict[str, Any]:
    """Return the lists of feeds in *data* by language, an object or a list of them."""
    inner = at(data, "feeds") or data
    if isinstance(inner, Mapping):
        return dict(inner)
    listed = inner if isinstance(inner, list) else []
    items = [item for item in listed if isinstance(item, Mapping)]
    languages: dict[str, Any] = {}
    for item in items:
        is_one = "feeds" in item
        languages |= {str(item.get("language")): item} if is_one else item
    return languages


def _by_language(
    data: Mapping[str, Any], language: str
) -> list[tuple[str, str]] | None:
    """Return the feeds in *language*, else in the first language with a status.

    A variety such as ``fr-CA`` is as good as ``fr``.
    """
    lists = {code: _feeds(listed) for code, listed in data.items()}
    lists = {code: feeds for code, feeds in lists.items() if feeds is not None}
    own = in_language(lists, language)
    preferred = [] if own is None else [own]
    with_status = [
        feeds
        for feeds in (*preferred, *lists.values())
        if feeds and "station_status" in dict(feeds)
    ]
    return next(iter((*with_status, *preferred, *lists.values())), None)


def other_language(listing: Document | None, language: str) -> dict[str, str]:
    """Return a finding if *listing*, a gbfs.json, has lists in others than *language*.

    Without a list by language, as in version 3, there is none.
    """
    if listing is None or not language:
        return {}
    lists = _languages(_data(gbfs_document(listing.body)))
    languages = {code: code for code, feeds in lists.items() if _feeds(feeds)}
    if not languages or in_language(languages, language) is not None:
        return {}
    text = f'gbfs.json has no documents in `language = "{language}"`, only in '
    text += f"{', '.join(sorted(languages)[:9])}: one of these is read"
    return {f"language {language}": text}


def ask(
    get: Getter,
    name: str,
    url: str,
    base: str,
    *,
    check: Check | None = None,
    tries: int = MANY,
) -> tuple[Document, str]:
    """Return the document *name* at *url*, and the address that answered.

    An http address listed by a feed at an https address *base* is tried by https
    first. Raises the errors of *get*.
    """
    secure = _upgraded(url, base)
    if secure == url:
        return get(name, url, check=check, tries=tries), url
    try:
        document = get(name, secure, check=check, tries=min(tries, TRIES))
        if check is not None:
            check(document.body)
    except RateLimited:
        raise
    except (FeedError, PayloadError) as error:
        try:
            return get(name, url, check=check, tries=tries), url
        except ProtocolError:
            raise error from None  # usually a redirect back to https
    return document, secure


def _upgraded(url: str, base: str) -> str:
    """Return *url* with https if *base* has https."""
    is_downgrade = url[:7].lower() == "http://" and base[:8].lower() == "https://"
    if not is_downgrade:
        return url
    place, slash, rest = url[7:].partition("/")
    return f"https://{place.removesuffix(':80')}{slash}{rest}"


def fingerprint(url: str) -> str:
    """Return a digest of the address *url*, which may contain secrets."""
    data = url.encode("utf-8", "backslashreplace")
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def without_secrets(url: str, own: str) -> str:
    """Return *url* in a form that may be stored, empty if there is none.

    User info and keys that are also in the feed's *own* address are removed, because
    they are added to each request. An address with other keys must not be stored.

    >>> without_secrets("https://a.org/s?key=1&x=2", "https://a.org/gbfs.json?key=1")
    'https://a.org/s?x=2'
    >>> without_secrets("https://a.org/s?token=3", "https://a.org/gbfs.json?key=1")
    ''
    """
    try:
        parts, own_parts = urlsplit(url), urlsplit(own)
    except ValueError:
        return url
    user, sign, place = parts.netloc.rpartition("@")
    secrets = [text for text in parts.query.split("&") if _is_secret(text)]
    if not set(secrets) <= set(own_parts.query.split("&")):
        return ""
    if sign and user != own_parts.netloc.rpartition("@")[0]:
        return ""
    query = "&".join(text for text in parts.query.split("&") if text not in secrets)
    return parts._replace(netloc=place, query=query).geturl()


def _is_secret(parameter: str) -> bool:
    return is_secret_name(unquote_plus(parameter.partition("=")[0]))


def version(value: Any) -> tuple[int, int]:
    """Return the version *value* as two numbers; 1.0 if none is stated, as in 1.0.

    >>> version("2.3"), version("3.1-RC3"), version(None)
    ((2, 3), (3, 1), (1, 0))
    """
    match = re.match(r"(\d{1,3})\.(\d{1,3})", str(value or ""))
    return (int(match[1]), int(match[2])) if match else (1, 0)


def version_text(value: Any) -> str:
    """Return the version *value* as two numbers with a dot."""
    major, minor = version(value)
    return f"{major}.{minor}"
