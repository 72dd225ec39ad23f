"""One attempt at one address, with redirects, credentials and limits."""

import operator
import os
from collections.abc import Callable

from bikecollect.core.errors import (
    CredentialsError,
    FeedUnavailable,
    ProtocolError,
)
from bikecollect.core.payload import Document
from bikecollect.core.secrets import redact
from bikecollect.feeds.http.access import Access, Scope
from bikecollect.feeds.http.connection_errors import (
    PROXY_CREDENTIALS,
    proxy_answered,
    route,
    translated,
)
from bikecollect.feeds.http.networks import AddressGuard
from bikecollect.feeds.http.plain_requests import requests
from bikecollect.feeds.http.response import headers
from bikecollect.feeds.http.response.body import TooLargeError, read_body
from bikecollect.feeds.http.retry import Budget, status_error
from bikecollect.feeds.http.session import session, without_netrc
from bikecollect.feeds.http.urls import Url, bracketed, parse, same_origin, shown

Clock = Callable[[], float]
COMPLETE = frozenset({200, 201, 203})
"""With a complete body; some gateways answer 201, proxies that change a body 203. A
206 is complete if its range is."""
PARTIAL = requests.codes.partial_content
UNAUTHORIZED = requests.codes.unauthorized
REDIRECTS, CREDENTIALS = range(300, 400), (401, 403)
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""The variables of requests for a file of certificates."""
MAX_REDIRECTS = 5
"""Maximum consecutive redirects."""


class Transport:
    """Requests documents by *access*, within *budget*; *left* returns the seconds left.

    *spare* are the bytes left for further documents of the run; *public_host* is the
    feed's own host if an earlier run resolved it to a public address.
    """

    def __init__(
        self,
        access: Access,
        budget: Budget,
        *,
        clock: Clock,
        left: Clock,
        public_host: str = "",
    ) -> None:
        self.scope = Scope(access)
        self._policy, self._budget = access.redirects, budget
        self._clock, self._left = clock, left
        self.spare = budget.run_bytes
        home = self.scope.home.host
        self._guard = AddressGuard(
            home, access.private_hosts, home_is_public=home == public_host
        )
        self._access = access
        self._session = self._new_session(self._guard)
        self._token_session: requests.Session | None = None
        self._has_renewed = False

    def _new_session(self, guard: AddressGuard) -> requests.Session:
        access = self._access
        new = session(
            trust_env=access.trust_env, ca_bundle=access.ca_bundle, guard=guard
        )
        if access.proxy:
            new.proxies.update({"http": access.proxy, "https": access.proxy})
        return new

    @property
    def public_host(self) -> str:
        """The feed's own host if it has a public address, else empty."""
        return self.scope.home.host if self._guard.home_is_public else ""

    def close(self) -> None:
        """Close the connections."""
        self._session.close()
        if self._token_session is not None:
            self._token_session.close()

    def quotes(self, document: Document) -> bool:
        """Return whether errors may quote *document*: only if from the feed's host."""
        return same_origin(document.url, self.scope.home.text)

    def get(self, name: str, url: Url) -> Document:
        """Return the document at *url*; raises FeedError and PayloadError."""
        for _ in range(MAX_REDIRECTS + 1):
            url = self.scope.with_keys(url)
            try:
                response = self._authorized(name, url)
            except BaseException as error:
                raise translated(error, self._route(url)) from error
            if isinstance(response, Document):
                return response
            url = response
        raise ProtocolError(
            f"more than {MAX_REDIRECTS} redirects, the last to {url.plain}",
            cause="redirect",
        )

    def _authorized(self, name: str, url: Url) -> Document | Url:
        """Return `_hop` with a bearer token, if any; it is renewed once after a 401."""
        token = self._token(url)
        try:
            return self._hop(name, url, token)
        except CredentialsError as error:
            if not token or self._has_renewed or error.http_status != UNAUTHORIZED:
                raise
        token = self._token(url, rejected=token)
        self._has_renewed = True
        return self._hop(name, url, token)

    def _token(self, url: Url, *, rejected: str = "") -> str:
        """Return the bearer token for *url*, empty if it may not receive one."""
        tokens = self._access.tokens
        if tokens is None or not self.scope.covers(url):
            return ""
        if self._token_session is None:
            guard = AddressGuard(tokens.host, self._access.private_hosts)
            self._token_session = self._new_session(guard)
        token = tokens.bearer(
            self._token_session,
            self._budget,
            self._clock,
            left=self._left,
            rejected=rejected,
        )
        self.scope.add_secret(token)
        redact.learn(token)
        return token

    def _hop(self, name: str, url: Url, token: str) -> Document | Url:
        """Return the document at *url*, or the target of a redirect."""
        self._guard.check_name(url.host)
        if url.scheme == "https":
            _check_bundle(self._access)
        sent = self.scope.headers(url)
        if token:
            sent = {**sent, "Authorization": f"Bearer {token}"}
        ours = "Authorization" in sent or not self.scope.covers(url)
        with self._session.get(
            url.text,
            stream=True,
            headers=sent,
            auth=without_netrc if ours else None,
            timeout=(self._budget.connect, self._budget.idle),
            allow_redirects=False,
        ) as response:
            if response.status_code in REDIRECTS:
                return self._redirected(url, response)
            self._judge_status(response, url)
            return self._document(name, url, response)

    def _route(self, url: Url) -> str:
        return route(self._session, url)

    def _redirected(self, url: Url, response: requests.Response) -> Url:
        from bikecollect.feeds.http import redirects

        location = headers.as_utf8(response.headers.get("Location", ""))
        return redirects.target(
            url, location, response.status_code, policy=self._policy
        )

    def _document(self, name: str, url: Url, response: requests.Response) -> Document:
        raw = response.raw
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        try:
            body, wire = read_body(
                lambda size: raw.read(size, decode_content=False),
                encoding=encoding,
                length=headers.length(response.headers),
                wire_bytes=self._budget.wire_bytes,
                inflated_bytes=min(self._budget.inflated_bytes, self.spare),
            )
        except FeedUnavailable as error:
            text = f"{url.plain} cannot be read: {error}"
            raise FeedUnavailable(text, cause=error.cause) from error
        except TooLargeError as error:
            raise TooLargeError(
                error.reason, url=url.plain, http_status=response.status_code
            ) from error
        now = self._clock()
        document = Document(
            name=name,
            body=body,
            url=url.plain,
            http_status=response.status_code,
            fetched_at=now,
            date=headers.date(response.headers, now),
            wire_bytes=wire,
            total=headers.total(response.headers),
            next_url=headers.next_url(response.headers),
        )
        return document.read_by(headers.charset(response.headers))

    def _judge_status(self, response: requests.Response, url: Url) -> None:
        status = response.status_code
        if status in COMPLETE or (
            status == PARTIAL and headers.is_whole(response.headers)
        ):
            return
        place = self._route(url)
        if status == PROXY_CREDENTIALS:
            raise proxy_answered(place, status)
        if status in CREDENTIALS:
            raise self._denied(url, place, status)
        now, left = self._clock(), self._left()
        raise status_error(place, status, response.headers, now=now, left=left)

    def _denied(self, url: Url, place: str, status: int) -> CredentialsError:
        """Return the error of a server that refuses *url*, shown as *place*."""
        # Many public feeds refuse networks or programs, with 403 (Cloudflare).
        reason = "access denied, no credentials were sent"
        if self._access.tokens is not None or self.scope.has_credentials(url):
            reason = "credentials rejected"
        if self.scope.withheld(url):
            host = bracketed(url.host)
            reason += f'; for credentials there, set credential_hosts = ["{host}"]'
        text = f"{place} answered HTTP {status}: {reason}"
        return CredentialsError(text, http_status=status)


def target(name: str, url: str) -> Url:
    """Return the parts of *url*; raises ProtocolError if it is malformed."""
    try:
        return parse(url)
    except ValueError as error:
        raise ProtocolError(
            f"the address of {name} is malformed: {shown(url)!r} ({error})",
            cause="address",
        ) from error


def _check_bundle(access: Access) -> None:
    """Raise ProtocolError if the certificates that *access* trusts cannot be read."""
    found = {"ca_bundle": access.ca_bundle}
    if access.trust_env:
        found |= {name: os.environ.get(name, "") for name in BUNDLES}
    name, path = next(filter(operator.itemgetter(1), found.items()), ("", ""))
    if name and not os.access(path, os.R_OK):
        reason = "cannot be read" if os.path.lexists(path) else "does not exist"
        raise ProtocolError(f"{name} {path} {reason}")
