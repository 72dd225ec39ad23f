"""Sessions that ignore the environment and redirects, and obey the address guard."""

import os
import re
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions as wire
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import allowed_gai_family, create_connection

from bikecollect import __version__
from bikecollect.core.errors import (
    FeedError,
    FeedUnavailable,
    PayloadError,
    ProtocolError,
)
from bikecollect.feeds.http.networks import AddressGuard
from bikecollect.feeds.http.plain_requests import requests
from bikecollect.feeds.http.urls import Url

http = requests.exceptions
THROUGH = " through the proxy "
ABORTED = "Connection aborted"
"""In the errors of requests: there was a connection, but no response."""
_CLOSED = rf"{ABORTED}.*(?:Disconnected|ConnectionReset|BrokenPipe)"
PROXY_CREDENTIALS = requests.codes.proxy_authentication_required
_TIMEOUTS = (http.ConnectTimeout, http.ReadTimeout, wire.TimeoutError, TimeoutError)
_PLACES = (http.InvalidSchema, http.InvalidURL, wire.LocationParseError)
_CUTS = (wire.IncompleteRead, wire.ProtocolError, http.ChunkedEncodingError)
_BREAKS = (OSError, http.RequestException)
_NOISE = (wire.HTTPError, ValueError)
_SOCKS = r"SOCKSConnection\(.*a new connection: (?:0x\w+: )?([\w\[\] -]{1,80})"
"""The error of a socks proxy, with PySocks' words for it."""
_ALERT = re.compile(r"x15\\+x03")
"""The first bytes of an alert of TLS, in the repr of an error."""
_HANDSHAKE = {
    "protocol version": "it has only versions of TLS before 1.2",
    "certificate required": "it requires a client certificate",
    "handshake failure": "no common cipher, or it requires a client certificate",
    "wrong version number": "the response is not TLS",
    "no certificate or crl found": "there is no certificate in ca_bundle",
    "PEM lib": "a certificate in ca_bundle is damaged",
}
"""What some errors of TLS mean, by a part of their text."""
_UNRESOLVED = ("NameResolution", "gaierror")
"""The error of a host name that does not resolve, of urllib3 or of the system."""
_PROXY = dict.fromkeys(_UNRESOLVED, "its name does not resolve")
_PROXY |= {"timed out": "it timed out", "Disconnected": "it closed the connection"}


def without_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Return *request* unchanged: requests must add no credentials from .netrc."""
    return request


def route(new: requests.Session, url: Url) -> str:
    """Return *url* for messages, with the proxy by which the session *new* requests it.

    An error of a proxy must not look like one of the feed.
    """
    used = new.merge_environment_settings(url.text, {}, None, None, None)
    proxy = requests.utils.select_proxy(url.text, used["proxies"])
    if not proxy:
        return url.plain
    # The user first: a password may contain a slash, although it should not.
    place = re.sub(r"^\w+://", "", proxy).rpartition("@")[2].partition("/")[0]
    return f"{url.plain}{THROUGH}{place}"


def translated(error: BaseException, place: str) -> BaseException:
    """Return *error* as a BikecollectError; errors of requests contain the whole URL.

    *place* is a `route`. Other errors (bugs) are returned unchanged.
    """
    if isinstance(error, FeedError | PayloadError):
        return error
    text = repr(error)
    if named := _of_proxy_or_tls(error, text, place) or _by_text(text, place):
        return named
    for kinds, cause, message in (
        (_TIMEOUTS, "timeout", f"{place} timed out"),
        (_PLACES, "address", f"{place} is not a valid address"),
        (_CUTS, "truncated", f"the response of {place} was truncated"),
        (http.InvalidHeader, "protocol", f"two headers of {place} contradict"),
        (_BREAKS, "connect", f"cannot connect to {place}{_reason(text)}"),
        (_NOISE, "protocol", f"the response of {place} is not HTTP"),
    ):
        if isinstance(error, kinds):
            error_class = ProtocolError if kinds is _PLACES else FeedUnavailable
            return error_class(message, cause=cause)
    return error


def _of_proxy_or_tls(error: BaseException, text: str, place: str) -> FeedError | None:
    """Return the error for *error*, shown as *text*, if it is of a proxy or of TLS."""
    if isinstance(error, http.ProxyError):
        return _of_proxy(text, place)
    if (socks := re.search(_SOCKS, text)) and THROUGH in place:
        return FeedUnavailable(f"cannot request {place}: {socks[1]}", cause="proxy")
    if isinstance(error, http.SSLError):
        reason = _of_tls(text)
        if "certificate verify failed" in text:
            return ProtocolError(f"TLS of {place} cannot be verified: {reason}")
        return ProtocolError(f"no TLS connection to {place}: {reason}")
    if isinstance(error, _PLACES) and THROUGH in place:  # our address was parsed before
        return _proxy_unusable(text, place)
    return None


def _of_tls(text: str) -> str:
    """Return the reason in the *text* of an error of TLS, and its meaning if known."""
    # The class's arguments, as shown in the repr of the errors around it.
    pattern = (
        r"\(\d+, [\\'\"]+(?:\[.*?\] )?(?:certificate verify failed: )?(.*?) \(_ssl"
    )
    match = re.search(pattern, text)
    reason = match[1].replace("\\", "") if match else "no common protocol"
    meaning = next((_HANDSHAKE[part] for part in _HANDSHAKE if part in reason), "")
    return f"{meaning} ({reason})" if meaning else reason


def _by_text(text: str, place: str) -> FeedUnavailable | None:
    """Return the error for an exception that only its *text* distinguishes."""
    if any(part in text for part in _UNRESOLVED):
        return FeedUnavailable(
            f"the host name of {place} does not resolve", cause="dns"
        )
    if ABORTED not in text:
        return None
    if "LineTooLong" in text or "more than 100 headers" in text:
        large = f"the response of {place} has too many or too long headers"
        return FeedUnavailable(large, cause="connect")
    if re.search("BadStatusLine|UnknownProtocol", text):
        not_http = f"the response of {place} is not HTTP"
        not_http += ", but TLS: use https://" if _ALERT.search(text) else ""
        return FeedUnavailable(not_http, cause="connect")
    # A server with TLS often only closes; port 80, the usual one, never has it.
    parts = urlsplit(place)
    hint = (
        " (does it require https://?)" if parts.scheme == "http" and parts.port else ""
    )
    closed = f"{place} closed the connection without a response{hint}"
    return FeedUnavailable(closed, cause="connect")


def _reason(text: str) -> str:
    """Return the system's reason in an error shown as *text*, after a colon.

    >>> _reason("NewConnectionError('...: [Errno 111] Connection refused')")
    ': connection refused'
    >>> _reason("BadStatusLine('[Errno 99999999999]')")  # a proxy may send that
    ''
    """
    match = re.search(r"\[Errno (\d{1,3})\]", text)
    return f": {os.strerror(int(match[1])).lower()}" if match else ""


def _of_proxy(text: str, place: str) -> FeedUnavailable:
    """Return the error of a proxy whose exception is shown as *text*."""
    answer = re.search(r"Tunnel connection failed: (\d{3})", text)
    if answer:
        return proxy_answered(place, int(answer[1]))
    reasons = (words for part, words in _PROXY.items() if part in text)
    reason = next(reasons, f"it cannot be connected to{_reason(text)}")
    if "SSLError" in text or "SSLCert" in text:
        reason = f"no TLS connection to it: {_of_tls(text)}"
    return FeedUnavailable(f"cannot request {place}: {reason}", cause="proxy")


def _proxy_unusable(text: str, place: str) -> ProtocolError:
    """Return the error of a proxy whose address, as the error *text* says, is unusable.

    That of the settings was checked; one of the environment was not.
    """
    reason = "the proxy's address is not valid; see the proxy variables of this user"
    if "SOCKS" in text:
        reason = "a socks proxy requires PySocks: pip install 'requests[socks]'"
    return ProtocolError(f"cannot request {place}: {reason}", cause="address")


def proxy_answered(place: str, status: int) -> FeedUnavailable:
    """Return the error of a proxy that answered the HTTP *status* itself."""
    hint = ": it requires other credentials" if status == PROXY_CREDENTIALS else ""
    return FeedUnavailable(
        f"cannot request {place}: it answered HTTP {status}{hint}",
        cause="proxy",
        http_status=status,
    )


class _Adapter(requests.adapters.HTTPAdapter):
    """An adapter whose direct connections are checked by *guard*."""

    def __init__(self, guard: AddressGuard | None, **pool: object) -> None:
        self._guard, self._pool = guard, pool
        self._answered: set[str] = set()
        super().__init__()

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Send *request*, once more if the connection was an old one and is closed.

        Servers close idle connections at any time (RFC 9112, 9.3.1).
        """
        place = urlsplit(request.url).netloc
        try:
            response = super().send(request, *args, **kwargs)
        except http.ConnectionError as error:
            is_old = place in self._answered and request.method == "GET"
            if not is_old or not re.search(_CLOSED, repr(error)):
                raise
            self.close()
            response = super().send(request, *args, **kwargs)
        self._answered.add(place)
        return response

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Verify TLS also of a proxy: requests does only if *url* itself is https."""
        address = f"{conn.scheme}://" if conn.scheme == "https" else url
        base: Any = super()
        base.cert_verify(conn, address, verify, cert)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pools with the guard; those of a proxy have none."""
        super().init_poolmanager(*args, **{**kwargs, **self._pool})
        if self._guard is not None:
            self.poolmanager.pool_classes_by_scheme = _guarded(self._guard)


def _guarded(guard: AddressGuard) -> dict[str, type[HTTPConnectionPool]]:
    """Return pools, by scheme, that connect only to addresses allowed by *guard*.

    The guard checks the resolved address that is then connected to: resolving the name
    twice could give different ones.
    """

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, guard)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, guard)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _connect(connection: HTTPConnection, guard: AddressGuard) -> socket.socket:
    """Connect to the first address of the host that answers.

    Raises the errors of `HTTPConnection`, and ProtocolError if none is allowed.
    """
    host, port = connection._dns_host, connection.port  # noqa: SLF001 - urllib3 2.x
    last: OSError = OSError("the name has no address")
    try:
        infos = socket.getaddrinfo(host, port, allowed_gai_family(), socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise wire.NameResolutionError(
            host, connection, socket.gaierror(str(error))
        ) from error
    for *_, address in guard.allowed(host, infos):
        try:
            return create_connection(
                _host_and_port(address),
                connection.timeout,
                source_address=connection.source_address,
                socket_options=connection.socket_options,
            )
        except OSError as error:
            last = error
    if isinstance(last, TimeoutError):
        raise wire.ConnectTimeoutError(connection, "timed out") from last
    raise wire.NewConnectionError(connection, str(last)) from last


def _host_and_port(address: Any) -> tuple[str, int]:
    """Return host and port of the socket *address*, with its IPv6 zone."""
    host, port, *rest = address
    zone = rest[1] if len(rest) > 1 else 0
    return (f"{host}%{zone}" if zone and "%" not in host else host), port


_LOCK = threading.Lock()
_CONTEXTS: list[object] = []


def _context() -> object:
    """Return the TLS context shared by all hosts: 2 ms instead of 22 per host."""
    with _LOCK:
        if not _CONTEXTS:
            import certifi  # needed for https only

            context = urllib3.util.ssl_.create_urllib3_context()
            context.load_verify_locations(certifi.where())
            _CONTEXTS.append(context)
    return _CONTEXTS[0]


class _Session(requests.Session):
    """A session that follows no redirects and creates its TLS context when needed."""

    def __init__(self, guard: AddressGuard | None, *, shared_tls: bool) -> None:
        super().__init__()
        self._guard, self._shared_tls = guard, shared_tls
        self.adapters.clear()
        self.mount("http://", _Adapter(guard))

    def get_adapter(self, url: str) -> Any:
        """Return the adapter for *url*."""
        if url.lower().startswith("https://") and "https://" not in self.adapters:
            pool = {"ssl_context": _context()} if self._shared_tls else {}
            self.mount("https://", _Adapter(self._guard, **pool))
        return super().get_adapter(url)

    def merge_environment_settings(self, *args: Any, **kwargs: Any) -> Any:
        """Return the settings of a request; a CA bundle precedes the environment's."""
        merged = super().merge_environment_settings(*args, **kwargs)
        return merged if self.verify is True else {**merged, "verify": self.verify}

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: requests would read the whole body of a redirect."""


def session(
    *, trust_env: bool = False, ca_bundle: str = "", guard: AddressGuard | None = None
) -> requests.Session:
    """Return a session that accepts gzip and ignores the environment by default."""
    new = _Session(guard, shared_tls=not (ca_bundle or trust_env))
    if ca_bundle:
        new.verify = ca_bundle
    new.trust_env = trust_env
    new.headers.update(
        {
            "User-Agent": f"bikecollect/{__version__}",
            "Accept-Encoding": "gzip",
            "Accept": "application/json, */*;q=0.5",
        }
    )
    return new
