"""The web server of the app: whom it answers, and what its answers carry."""

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
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.file_util import get_static_dir
from streamlit.runtime.pages_manager import PagesManager

BLUE, SKY = "#0072B2", "#56B4E9"
"""Of what is chosen: red would look like trouble (Okabe and Ito's blues)."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""All that the app is asked for; nothing is uploaded to it."""
POLICY = (
    "default-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "worker-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'self'",
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def serve(host: str, port: int, names: Iterable[str]) -> None:
    """Serve the app at *host* and *port* until a signal ends it.

    *names* are host names by which it may be asked for, beside those that are known.
    """
    uvicorn.config.LOGGING_CONFIG["loggers"]["uvicorn"]["level"] = "WARNING"
    policy = (
        *POLICY,
        script_source(Path(get_static_dir(), "index.html").read_text("utf-8")),
    )
    # Else whoever is first at /city gets the file pages/city.py, which draws nothing.
    PagesManager.uses_pages_directory = False
    known = known_names(host, names)
    guard = Middleware(RequestGuard, known=known, proxies=plain(names), policy=policy)
    page = str(files("bikecollect").joinpath("app/main.py"))
    st.App(page, middleware=[guard]).run(config=options(host, port, names))


def options(host: str, port: int, names: Iterable[str]) -> dict[str, Any]:
    """Return Streamlit's options: they outrank its settings files and environment."""
    return {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.enableCORS": True,
        "server.corsAllowedOrigins": [f"https://{each}" for each in names],
        "server.allowedHosts": [],  # Guard knows them, for pages too
        "server.enableXsrfProtection": True,
        "server.xsrfCookieSameSite": "strict",
        "server.enableStaticServing": False,
        "server.enableAgentApi": False,
        "server.scriptHealthCheckEnabled": False,
        "server.trustedUserHeaders": {},
        "server.baseUrlPath": "",
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
        "theme.light.primaryColor": BLUE,
        "theme.dark.primaryColor": SKY,
    }


class RequestGuard:
    """Answers reading requests of pages of our own, and adds `HEADERS` to all.

    A page of another site must neither read the app nor open its websocket: not by
    its own name, and not by one that it lets point here (DNS rebinding).
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
        """Answer one request, or hand it on."""
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
        """Return why a request is not answered, empty where it is."""
        if method not in READING:
            return "the app only reads"
        host = headers.get("host", "")
        if not is_known(host, self._known):
            return "unknown host name; to allow it: bikecollect app --allow-host NAME"
        origin = headers.get("origin")
        if origin is not None and not is_own(origin, host, self._proxies):
            return "a page of another site may not ask the app"
        return ""

    def _secured(
        self, headers: Iterable[tuple[bytes, bytes]], host: str
    ) -> list[tuple[bytes, bytes]]:
        """Return the *headers* of an answer to *host*, with ours in their place."""
        sockets = f" ws://{host} wss://{host}" if host else ""
        policy = "; ".join([*self._policy, f"connect-src 'self'{sockets}"])
        ours = {**HEADERS, "content-security-policy": policy}
        kept = [(k, v) for k, v in headers if k.decode("latin-1").lower() not in ours]
        return kept + [(k.encode(), v.encode()) for k, v in ours.items()]


def script_source(page: str) -> str:
    """Return which scripts Streamlit's *page* may run: files, and those inside it.

    The map's script comes as a blob.

    >>> script_source("<script>a()</script><script src=x></script>").split()[2:]
    ['blob:', "'sha256-qVpDBgj7bpq5hMAcGp3AOc79J3Y1Z4HvySTwKrWDoy4='"]
    """
    inside = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", page, re.DOTALL)
    digests = (b64encode(sha256(each.encode()).digest()).decode() for each in inside)
    hashes = (f"'sha256-{each}'" for each in digests)
    return " ".join(["script-src 'self' blob:", *hashes])


def _refused(why: str) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": why})
        else:
            await PlainTextResponse(f"{why}\n", 403)(scope, receive, send)

    return answer


def is_known(host: str, names: frozenset[str]) -> bool:
    """Return whether *host*, a Host header, cannot be a name that others made up.

    An address or a name without a dot (localhost) is nobody's domain.

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
    """Return whether *origin*, an Origin header, is a page that *host* has served.

    A reverse proxy may ask by another name than its visitors: those of *proxies*.

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
    """Return the names by which the app at *host* may be asked for."""
    own = socket.gethostname()
    return plain([host, own, socket.getfqdn(), f"{own}.local", *names])


def plain(names: Iterable[str]) -> frozenset[str]:
    """Return *names* as a Host header's are compared: in lower case, without root."""
    return frozenset(each.lower().rstrip(".") for each in names)
