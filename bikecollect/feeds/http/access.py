"""Access to a system's feed, and the hosts that may receive its credentials."""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote, unquote_plus

from bikecollect.core.errors import ProtocolError
from bikecollect.core.secrets.names import is_secret_name
from bikecollect.feeds.http.urls import (
    Url,
    bracketed,
    host_and_port,
    of_origin,
    parse,
)

if TYPE_CHECKING:
    from bikecollect.feeds.http.oauth2 import Tokens

SAME_SITE = "same-site"
REDIRECTS = (True, False, SAME_SITE)
CLIENT = r"(client|app|application|user|account)[_.-]?(id|name)?"
"""Parameters that accompany a key: they are sent with it."""
MIN_SECRET = 8
"""Shorter texts are too common to be searched for in addresses."""


class Access(NamedTuple):
    """How a feed is reached; *url* is its own address, empty for the first requested.

    *headers*, the user info of *url* and the keys in its query are sent to the host of
    *url*, and to *credential_hosts* (``host`` or ``host:port``). *private_hosts* may be
    in private networks. *redirects* is true, false, or ``same-site``. The bearer token
    from *tokens* is sent to the same hosts as the headers.
    """

    url: str = ""
    headers: Mapping[str, str] = {}
    credential_hosts: Sequence[str] = ()
    private_hosts: Sequence[str] = ()
    redirects: bool | str = False
    trust_env: bool = False
    proxy: str = ""
    ca_bundle: str = ""
    tokens: "Tokens | None" = None


class Scope:
    """Decides which requests carry the credentials of *access*."""

    def __init__(self, access: Access) -> None:
        self.home = parse(access.url)
        self._hosts = set(map(host_and_port, access.credential_hosts))
        self._headers = dict(access.headers)
        user = self.home.user
        if user and "authorization" not in map(str.lower, self._headers):
            self._headers["Authorization"] = _basic(user)
        self._keys = list(_keys(self.home.query))
        self._secrets = [
            text for text in self._credentials() if len(text) >= MIN_SECRET
        ]

    def add_secret(self, text: str) -> None:
        """Treat *text*, a token, as a credential too."""
        if text not in self._secrets:
            self._secrets.append(text)

    def owns(self, url: Url) -> bool:
        """Return whether *url* is on the feed's own host or a credential host."""
        if {(url.host, 0), (url.host, url.port)} & self._hosts:
            return True
        return of_origin(url, self.home)

    def covers(self, url: Url) -> bool:
        """Return whether *url* may receive credentials: not http for an https feed."""
        downgraded = (self.home.scheme, url.scheme) == ("https", "http")
        return self.owns(url) and not downgraded

    def headers(self, url: Url) -> dict[str, str]:
        """Return the additional headers for a request of *url*."""
        if self.covers(url):
            return self._headers
        return {"Authorization": _basic(url.user)} if url.user else {}

    def has_credentials(self, url: Url) -> bool:
        """Return whether a request of *url* has headers of the settings, or a key."""
        return bool(self.headers(url) or (self._keys and self.covers(url)))

    def withheld(self, url: Url) -> bool:
        """Return whether there are credentials that *url* may not receive."""
        return bool(self._headers or self._keys) and not self.covers(url)

    def with_keys(self, url: Url) -> Url:
        """Return *url* with the keys of the feed's address, or without any keys.

        Raises ProtocolError if it contains a secret and its host may not receive it.
        """
        if self.covers(url):
            names = {name for name, _ in parse_qsl(url.query, keep_blank_values=True)}
            new = [text for name, text in self._keys if name not in names]
            return url._replace(query="&".join(filter(None, [url.query, *new])))
        parts = url.query.split("&")
        kept = [part for part in parts if not self._has_secret(part)]
        bare = url._replace(query="&".join(kept))
        if self._has_secret(bare.text) or self._has_secret(bare.user):
            raise ProtocolError(
                f"an address on {url.place} contains this system's key; if that host "
                f'may receive it, set credential_hosts = ["{bracketed(url.host)}"]',
                cause="address",
            )
        return bare

    def _has_secret(self, text: str) -> bool:
        forms = (text, unquote(text), unquote_plus(text))
        return any(secret in form for secret in self._secrets for form in forms)

    def _credentials(self) -> Iterator[str]:
        """Yield the secrets in the address and the headers."""
        for name, value in parse_qsl(self.home.query):
            if is_secret_name(name):
                yield value
        user = [unquote(self.home.user)] if self.home.user else []
        for text in (*self._headers.values(), *user):
            yield from re.split(r"[\s:;,=]+", text)


def _basic(user: str) -> str:
    text = unquote(user) if ":" in user else f"{unquote(user)}:"
    return f"Basic {b64encode(text.encode()).decode()}"


def _keys(query: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of the keys in *query* and of what accompanies them."""
    for text in filter(None, query.split("&")):
        name = unquote_plus(text.partition("=")[0])
        if is_secret_name(name) or re.fullmatch(CLIENT, name.lower()):
            yield name, text
