"""The transport: sessions that read no environment, and errors without secrets."""

import threading
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests import exceptions as http
from requests.adapters import HTTPAdapter
from urllib3 import exceptions as wire

from bikecollect import __version__
from bikecollect.core.errors import (
    FeedError,
    FeedUnavailable,
    PayloadError,
    ProtocolError,
)

_TIMEOUTS = (http.ConnectTimeout, http.ReadTimeout, wire.TimeoutError, TimeoutError)
_PLACES = (
    *(http.InvalidSchema, http.InvalidURL, http.TooManyRedirects),
    wire.LocationParseError,
)
_CUTS = (wire.IncompleteRead, wire.ProtocolError, http.ChunkedEncodingError)
_BREAKS = (OSError, http.RequestException)
_NOISE = (wire.HTTPError, ValueError)


def translated(error: BaseException, place: str) -> BaseException:
    """Return *error* in our own words, for requests' hold the whole address.

    An error that is none of the network's (a bug) is returned as it is.
    """
    if isinstance(error, FeedError | PayloadError):
        return error
    if isinstance(error, http.SSLError):
        why = repr(error).partition("certificate verify failed: ")[2]
        reason = why.partition(" (_ssl")[0] or "no common protocol"
        return ProtocolError(f"TLS of {place} cannot be verified: {reason}")
    if "NameResolution" in repr(error) or "gaierror" in repr(error):
        return FeedUnavailable(f"the name of {place} does not resolve", cause="dns")
    for kinds, cause, text in (
        (_TIMEOUTS, "timeout", f"{place} is silent"),
        (_PLACES, "redirect", f"{place} leads nowhere that we may go"),
        (_CUTS, "truncated", f"the answer of {place} was cut"),
        (_BREAKS, "connect", f"no connection to {place}"),
        (_NOISE, "protocol", f"the answer of {place} is no HTTP"),
    ):
        if isinstance(error, kinds):
            error_class = ProtocolError if kinds is _PLACES else FeedUnavailable
            return error_class(text, cause=cause)
    return error


class _SharedTls(HTTPAdapter):
    """An adapter whose hosts share one TLS context: 2 ms instead of 22 a host."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Hand the context to the pools."""
        super().init_poolmanager(*args, **{**kwargs, "ssl_context": _context()})


_LOCK = threading.Lock()
_CONTEXTS: list[object] = []


def _context() -> object:
    with _LOCK:
        if not _CONTEXTS:
            import certifi  # noqa: PLC0415 - not for plain HTTP

            context = urllib3.util.ssl_.create_urllib3_context()
            context.load_verify_locations(certifi.where())
            _CONTEXTS.append(context)
    return _CONTEXTS[0]


class _LazyTls(requests.Session):
    """A session that makes its TLS context at the first https request."""

    def get_adapter(self, url: str) -> Any:
        """Return the adapter for *url*."""
        if url.lower().startswith("https://") and "https://" not in self.adapters:
            self.mount("https://", _SharedTls())
        return super().get_adapter(url)


def session(*, trust_env: bool, ca_bundle: str | None) -> requests.Session:
    """Return a session that asks for gzip and obeys the environment only if told."""
    made = requests.Session() if ca_bundle or trust_env else _LazyTls()
    if isinstance(made, _LazyTls):
        del made.adapters["https://"]
    if ca_bundle:
        made.verify = ca_bundle
    made.trust_env = trust_env
    made.headers.update(
        {
            "User-Agent": f"bikecollect/{__version__}",
            "Accept-Encoding": "gzip",
            "Accept": "application/json, */*;q=0.5",
        }
    )
    return made


def plain(url: str) -> str:
    """Return *url* without what may be secret: user, query, fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def date(text: str | None) -> float | None:
    """Return the moment of a Date header, None where there is none."""
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, TypeError, OverflowError):
        return None
