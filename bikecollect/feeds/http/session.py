"""Sessions that ignore the environment and redirects, and obey the address guard."""

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
from bikecollect.feeds.http.connection_errors import ABORTED
from bikecollect.feeds.http.networks import AddressGuard
from bikecollect.feeds.http.plain_requests import requests

_CLOSED = rf"{ABORTED}.*(?:Disconnected|ConnectionReset|BrokenPipe)"


def without_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Return *request* unchanged: requests must add no credentials from .netrc."""
    return request


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
        except requests.exceptions.ConnectionError as error:
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
