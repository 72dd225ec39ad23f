"""The web server of the app: allowed requests, and security headers."""

import re
import socket
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
import uvicorn.config
import uvicorn.server
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.file_util import get_static_dir
from streamlit.runtime.pages_manager import PagesManager

from bikecollect.app import mode
from bikecollect.app.queries.current import data_service

BLUE, SKY = "#0072B2", "#56B4E9"
"""The colours of selections: red would look like an error (Okabe and Ito's blues)."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""The allowed methods: nothing is uploaded to the app."""
POLICY = (
    "default-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "font-src 'self' data:",
    "worker-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
)
FRAMED_BY_OWN, FRAMED_BY_ALL = "frame-ancestors 'self'", "frame-ancestors *"
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def serve(host: str, port: int, names: Iterable[str]) -> None:
    """Serve the app at *host* and *port* until a signal ends the process.

    *names* are additional host names for which requests are allowed.
    """
    # It would wait for open downloads, and for threads of pages, however long.
    uvicorn.server.HANDLED_SIGNALS = ()  # type: ignore[assignment]
    uvicorn.config.LOGGING_CONFIG["loggers"]["uvicorn"]["level"] = "WARNING"
    policy = (
        *POLICY,
        " ".join(["img-src 'self' data: blob:", *_tile_hosts()]),
        FRAMED_BY_ALL if mode.is_public() else FRAMED_BY_OWN,
        script_source(Path(get_static_dir(), "index.html").read_text("utf-8")),
    )
    # Otherwise a first request for /city would run pages/city.py as a script.
    PagesManager.uses_pages_directory = False
    known = known_names(host, names)
    guard = Middleware(RequestGuard, known=known, proxies=plain(names), policy=policy)
    page = str(files("bikecollect").joinpath("app/main.py"))
    st.App(page, middleware=[guard]).run(config=options(host, port, names))


def _tile_hosts() -> list[str]:
    """Return the origin of the tiles in the settings, if there are any."""
    place = urlsplit(data_service().settings.app.tiles)
    return [f"{place.scheme}://{place.netloc}"] if place.netloc else []


def options(host: str, port: int, names: Iterable[str]) -> dict[str, Any]:
    """Return Streamlit's options, which override its settings and environment."""
    return {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.enableCORS": True,
        "server.corsAllowedOrigins": [f"https://{name}" for name in names],
        "server.allowedHosts": [],  # RequestGuard checks them, also for pages
        "server.enableXsrfProtection": True,
        "server.xsrfCookieSameSite": "strict",
        "server.enableStaticServing": False,
        "server.enableAgentApi": False,
        "server.scriptHealthCheckEnabled": False,
        "server.trustedUserHeaders": {},
        "server.baseUrlPath": mode.base_path(),
        "server.maxUploadSize": 0,
        "server.maxMessageSize": 50,
        "server.maxWidgetStateSize": 1,
        "global.developmentMode": False,
        "browser.gatherUsageStats": False,
        "logger.hideWelcomeMessage": True,
        "logger.level": "warning",
        "client.toolbarMode": "viewer",
        "client.disableDataExport": True,  # the pages' own buttons disarm formulas
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.allowedOrigins": [],
        "runner.magicEnabled": False,
        "runner.postScriptGC": False,  # a rerun would take twice as long
        "theme.light.primaryColor": BLUE,
        "theme.dark.primaryColor": SKY,
    }


class RequestGuard:
    """Allows reading requests of the app's own pages, and adds `HEADERS`.

    Pages of other sites must not read the app or open its websocket, neither under its
    own name nor under a name of theirs that resolves to it (DNS rebinding).
    """

    def __init__(
        self,
        app: ASGIApp,
        known: frozenset[str],
        proxies: frozenset[str],
        policy: Sequence[str],
    ) -> None:
        self._app = app
        self._policy = policy
        self._known = known
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject a request, or pass it on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        why = self._refusal(scope.get("method", "GET"), headers)
        host = "" if why else headers["host"]

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._secured(message["headers"], host)
            await send(message)

        answer = _refused(why) if why else self._app
        await answer(scope, receive, guarded)

    def _refusal(self, method: str, headers: Mapping[str, str]) -> str:
        """Return why a request is rejected, empty if it is allowed."""
        if method not in READING:
            return "the app only reads"
        host = headers.get("host", "")
        if not is_known(host, self._known):
            return "unknown host name; to allow it: bikecollect app --allow-host NAME"
        origin = headers.get("origin")
        if origin is not None and not is_own(origin, host, self._proxies):
            return "requests from pages of other sites are not allowed"
        return ""

    def _secured(
        self, headers: Iterable[tuple[bytes, bytes]], host: str
    ) -> list[tuple[bytes, bytes]]:
        """Return the *headers* of a response to *host*, with ours replacing others."""
        sockets = f" ws://{host} wss://{host}" if host else ""
        policy = "; ".join([*self._policy, f"connect-src 'self'{sockets}"])
        ours = {**HEADERS, "content-security-policy": policy}
        if FRAMED_BY_ALL in self._policy:
            del ours["x-frame-options"]
        kept = [(k, v) for k, v in headers if k.decode("latin-1").lower() not in ours]
        return kept + [(k.encode(), v.encode()) for k, v in ours.items()]


def script_source(page: str) -> str:
    """Return the CSP source of scripts for *page*: files, and the inline ones.

    The map's script is a blob.

    >>> script_source("<script>a()</script><script src=x></script>").split()[2:]
    ['blob:', "'sha256-qVpDBgj7bpq5hMAcGp3AOc79J3Y1Z4HvySTwKrWDoy4='"]
    """
    inline = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", page, re.DOTALL)
    digests = (sha256(script.encode()).digest() for script in inline)
    hashes = (f"'sha256-{b64encode(digest).decode()}'" for digest in digests)
    return " ".join(["script-src 'self' blob:", *hashes])


def _refused(why: str) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": why})
        else:
            await PlainTextResponse(f"{why}\n", 403)(scope, receive, send)

    return answer


def is_known(host: str, names: frozenset[str]) -> bool:
    """Return whether *host*, a Host header, cannot be the domain of an attacker.

    That is the case for *names*, addresses, and names without a dot (localhost).

    >>> names = frozenset({"a.org"})
    >>> [is_known(host, names) for host in ("[::1]:80", "pi", "a.org", "b.org")]
    [True, True, True, False]
    """
    if not re.fullmatch(r"[\w.-]+(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?", host, re.ASCII):
        return False
    name = _name(host)
    try:
        return bool(ip_address(name))
    except ValueError:
        return "." not in name or name in names


def is_own(origin: str, host: str, proxies: frozenset[str]) -> bool:
    """Return whether *origin*, an Origin header, is a page served by *host*.

    The names in *proxies* are those that visitors of a reverse proxy use.

    >>> own = is_own("http://localhost:8501", "localhost:8501", frozenset())
    >>> own, is_own("http://localhost:80", "localhost:8501", frozenset())
    (True, False)
    """
    place = urlsplit(origin).netloc
    return place == host or _name(place) in proxies


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def known_names(host: str, names: Iterable[str]) -> frozenset[str]:
    """Return the host names for which requests to the app at *host* are allowed."""
    own = socket.gethostname()
    return plain([host, own, socket.getfqdn(), f"{own}.local", *names])


def plain(names: Iterable[str]) -> frozenset[str]:
    """Return *names* for comparison: in lower case, without a final dot."""
    return frozenset(name.lower().rstrip(".") for name in names)
