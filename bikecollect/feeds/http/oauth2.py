"""OAuth2 client credentials: bearer tokens, cached and renewed before they expire."""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote_plus

from bikecollect.core.errors import (
    CredentialsError,
    FeedUnavailable,
    PayloadError,
    ProtocolError,
    SettingsError,
)
from bikecollect.feeds.http.connection_errors import route, translated
from bikecollect.feeds.http.plain_requests import requests
from bikecollect.feeds.http.response.body import read_body
from bikecollect.feeds.http.retry import Budget, status_error
from bikecollect.feeds.http.session import without_netrc
from bikecollect.feeds.http.urls import Url, parse
from bikecollect.feeds.reading.values import number

Clock = Callable[[], float]
MAX_RESPONSE, MAX_TOKEN = 65_536, 16_384
"""Bytes of the token server's response, and characters of a token."""
LIFETIME, MAX_LIFETIME = 600.0, 30 * 86_400.0
"""Lifetime of a token in seconds if the server states none, and its maximum."""
MARGIN, SHARE = 300.0, 0.1
"""A token is renewed this many seconds, or this share of its lifetime if that is less,
before it expires."""
FORM, BASIC = "form", "basic"
"""How a client's id and secret are sent (RFC 6749, 2.3.1)."""
REFUSED_FOR = 60.0
"""Seconds for which no system sends a rejected secret again."""
REFUSED = frozenset({400, 401, 403})
_ERROR = r"(invalid|unauthorized|unsupported)_[a-z_]{1,30}"
"""Error codes of RFC 6749, 5.2: anything else in the response is not quoted."""


class TokenStore(Protocol):
    """Keeps a token from run to run."""

    def held(self) -> AbstractContextManager[None]:
        """Lock the store, so that only one run requests a new token."""
        ...

    def read(self) -> str:
        """Return the stored text, empty if there is none."""
        ...

    def write(self, text: str) -> None:
        """Store *text*."""
        ...


class OAuth2Client(NamedTuple):
    """An OAuth2 client, as registered with the server of *token_url*.

    Its id and secret are sent as *client_auth* says: in the form or by HTTP Basic.
    """

    token_url: str
    client_id: str
    client_secret: str
    scope: str = ""
    client_auth: str = FORM


class Tokens:
    """The bearer tokens of *client*, kept in *store*.

    The client's secret is sent only to the host of its token_url: a redirect is an
    error. Errors never quote the secret, the token or the response. If the secret
    cannot be read, *unreadable* is raised for each token.
    """

    def __init__(
        self,
        client: OAuth2Client,
        store: TokenStore,
        unreadable: SettingsError | None = None,
    ) -> None:
        self._client, self._store, self._unreadable = client, store, unreadable
        self._url = parse(client.token_url)
        identity = "\0".join(client)
        self._key = sha256(identity.encode("utf-8", "backslashreplace")).hexdigest()

    @property
    def host(self) -> str:
        """The host that receives the client's secret."""
        return self._url.host

    def bearer(
        self,
        session: requests.Session,
        budget: Budget,
        clock: Clock,
        *,
        left: Clock,
        rejected: str = "",
    ) -> str:
        """Return a valid token, but not *rejected*, which the feed does not accept.

        *left* returns the seconds left for the run. Raises CredentialsError if the
        client is rejected, FeedUnavailable if the server gives no token, RateLimited
        if it asks for a longer pause than is left, ProtocolError if it redirects,
        SettingsError without a secret.
        """
        if self._unreadable:
            raise self._unreadable
        if token := self._cached(clock(), rejected):
            return token
        with self._store.held():
            # Another system with the same client may have renewed it in the meantime.
            if token := self._cached(clock(), rejected):
                return token
            try:
                response = self._request(session, budget, clock, left)
            except CredentialsError as error:
                self._remember({"refused": str(error), "at": clock()})
                raise
            except Exception as error:
                raise translated(error, route(session, self._url)) from error
            token, lifetime = _parse(response, self._url)
            self._remember({"token": token, "at": clock(), "lifetime": lifetime})
        return token

    def _remember(self, values: dict[str, Any]) -> None:
        self._store.write(json.dumps({"client": self._key, **values}))

    def _cached(self, now: float, rejected: str) -> str:
        """Return the stored token if it is valid, else an empty text."""
        try:
            known = json.loads(self._store.read() or "{}")
            if known.get("client") != self._key:
                return ""
            age = now - float(known["at"])
            if "refused" in known:
                if 0 <= age < REFUSED_FOR:
                    raise CredentialsError(str(known["refused"]))
                return ""
            token, lifetime = str(known["token"]), float(known["lifetime"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return ""
        usable = lifetime - min(MARGIN, lifetime * SHARE)
        is_valid = _is_token(token) and 0 <= age < usable
        return token if is_valid and token != rejected else ""

    def _request(
        self, session: requests.Session, budget: Budget, clock: Clock, left: Clock
    ) -> bytes:
        """Return the token server's response to a request for a new token."""
        form = {"grant_type": "client_credentials"}
        headers = {"Accept": "application/json"}
        if self._client.client_auth == BASIC:
            headers["Authorization"] = _basic(self._client)
        else:
            form["client_id"] = self._client.client_id
            form["client_secret"] = self._client.client_secret
        if self._client.scope:
            form["scope"] = self._client.scope
        with session.post(
            self._url.text,
            data=form,
            headers=headers,
            auth=without_netrc,
            timeout=(budget.connect, budget.idle),
            allow_redirects=False,
            stream=True,
        ) as response:
            body = self._body(response)
            self._check_status(response, body, now=clock(), left=left())
            return body

    def _body(self, response: requests.Response) -> bytes:
        raw = response.raw
        try:
            body, _ = read_body(
                lambda size: raw.read(size, decode_content=False),
                encoding=response.headers.get("Content-Encoding", "").strip().lower(),
                length=None,
                wire_bytes=MAX_RESPONSE,
                inflated_bytes=MAX_RESPONSE,
            )
        except PayloadError as error:
            raise _no_token(self._url, "its response is too large") from error
        return body

    def _check_status(
        self, response: requests.Response, body: bytes, *, now: float, left: float
    ) -> None:
        """Raise an error unless *response* has a token."""
        status, place = response.status_code, self._url.plain
        if status == requests.codes.ok:
            return
        if status in range(300, 400):
            raise ProtocolError(
                f"token_url {place} redirects (HTTP {status}): set token_url to the "
                "address that gives tokens",
                cause="redirect",
                http_status=status,
            )
        if status in REFUSED:
            challenge = response.headers.get("WWW-Authenticate", "").lower()
            basic = challenge.startswith(BASIC) and self._client.client_auth != BASIC
            raise CredentialsError(
                f"client id or secret rejected by {self._url.host} (HTTP {status}"
                f"{_error_code(body)}): check oauth2.client_id and the secret in "
                "oauth2.client_secret_file"
                + (', or set oauth2.client_auth = "basic"' if basic else ""),
                http_status=status,
            )
        place = f"token_url {place}"
        raise status_error(place, status, response.headers, now=now, left=left)


def _parse(body: bytes, url: Url) -> tuple[str, float]:
    """Return the token in *body*, and its lifetime in seconds."""
    response = _object(body)
    token, kind = response.get("access_token"), response.get("token_type") or "Bearer"
    if not isinstance(token, str) or not _is_token(token):
        raise _no_token(url, "its response has no valid access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise _no_token(url, "the token is not a bearer token")
    stated = number(response.get("expires_in"))
    lifetime = LIFETIME if stated is None or stated <= 0 else stated
    return token, min(lifetime, MAX_LIFETIME)


def _basic(client: OAuth2Client) -> str:
    """Return the header of HTTP Basic: id and secret are encoded as in a form."""
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def _no_token(url: Url, reason: str) -> FeedUnavailable:
    return FeedUnavailable(f"no token from {url.plain}: {reason}", cause="protocol")


def _error_code(body: bytes) -> str:
    code = _object(body).get("error", "")
    known = isinstance(code, str) and re.fullmatch(_ERROR, code)
    return f", {code}" if known else ""


def _is_token(text: str) -> bool:
    return len(text) <= MAX_TOKEN and bool(re.fullmatch(r"[A-Za-z0-9._~+/=-]+", text))


def _object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in *body*, an empty one if it is anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
