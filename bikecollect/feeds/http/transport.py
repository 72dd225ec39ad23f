"""One attempt at one address: redirects, credentials, and bounds."""

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path

import requests

from bikecollect.core.errors import (
    CredentialsError,
    FeedUnavailable,
    ProtocolError,
    RateLimited,
)
from bikecollect.core.payload import Document
from bikecollect.feeds.http.access import Access, Scope
from bikecollect.feeds.http.body import read_body
from bikecollect.feeds.http.networks import AddressGuard
from bikecollect.feeds.http.retry import Budget, retry_after
from bikecollect.feeds.http.session import session, translated
from bikecollect.feeds.http.urls import Url, bracketed, parse, same_origin, shown

Clock = Callable[[], float]
OK = requests.codes.ok
REDIRECTS, CREDENTIALS, TOO_MANY = range(300, 400), (401, 403), 429
MOST_REDIRECTS = 5
"""In a row."""


class Answered(FeedUnavailable):
    """An HTTP error, and how long its server asked us to wait."""

    def __init__(self, message: str, status: int, pause: float) -> None:
        super().__init__(message, cause=f"http-{status}", http_status=status)
        self.pause = pause

    def plain(self) -> FeedUnavailable:
        """Return this error as others know it."""
        return FeedUnavailable(
            str(self), cause=self.cause, http_status=self.http_status
        )


class Transport:
    """Asks for documents by *access*, within *budget*; *left* gives the seconds.

    *spare* are the bytes that more documents of the run may have; *public_host* is the
    feed's own host where an earlier run found it in the public Internet.
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
        self._bundle = access.ca_bundle
        self._clock, self._left = clock, left
        self.spare = budget.run_bytes
        home = self.scope.home.host
        self._guard = AddressGuard(
            home, access.private_hosts, home_is_public=home == public_host
        )
        self._session = session(
            trust_env=access.trust_env, ca_bundle=access.ca_bundle, guard=self._guard
        )
        if access.proxy:
            self._session.proxies.update({"http": access.proxy, "https": access.proxy})

    @property
    def public_host(self) -> str:
        """The feed's own host, where it lies in the public Internet."""
        return self.scope.home.host if self._guard.home_is_public else ""

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def quotes(self, document: Document) -> bool:
        """Return whether errors may quote *document*: it is of the feed's own host."""
        return same_origin(document.url, self.scope.home.text)

    def get(self, name: str, url: Url) -> Document:
        """Return the document at *url*; raises FeedError and PayloadError."""
        for _ in range(MOST_REDIRECTS + 1):
            url = self.scope.dressed(url)
            try:
                got = self._hop(name, url)
            except BaseException as error:
                raise translated(error, url.plain) from error
            if isinstance(got, Document):
                return got
            url = got
        raise ProtocolError(
            f"more than {MOST_REDIRECTS} redirects; the last leads to {url.plain}",
            cause="redirect",
        )

    def _hop(self, name: str, url: Url) -> Document | Url:
        """Return the document at *url*, or where it is redirected to."""
        self._guard.check_name(url.host)
        if url.scheme == "https" and self._bundle and not Path(self._bundle).exists():
            raise ProtocolError(f"there is no ca_bundle {self._bundle}")
        headers = self.scope.headers(url)
        ours = "Authorization" in headers or not self.scope.covers(url)
        with self._session.get(
            url.text,
            stream=True,
            headers=headers,
            auth=_unchanged if ours else None,
            timeout=(self._budget.connect, self._budget.idle),
            allow_redirects=False,
        ) as answer:
            if answer.status_code in REDIRECTS:
                return self._redirected(url, answer)
            self._judge_status(answer, url)
            return self._document(name, url, answer)

    def _redirected(self, url: Url, answer: requests.Response) -> Url:
        from bikecollect.feeds.http import redirects

        location = answer.headers.get("Location", "")
        return redirects.target(url, location, answer.status_code, policy=self._policy)

    def _document(self, name: str, url: Url, answer: requests.Response) -> Document:
        raw = answer.raw
        body, wire = read_body(
            lambda size: raw.read(size, decode_content=False),
            encoding=answer.headers.get("Content-Encoding", "").strip().lower(),
            length=_length(answer.headers),
            wire_bytes=self._budget.wire_bytes,
            inflated_bytes=min(self._budget.inflated_bytes, self.spare),
        )
        return Document(
            name=name,
            body=body,
            url=url.plain,
            http_status=answer.status_code,
            fetched_at=self._clock(),
            date=date(answer.headers.get("Date")),
            wire_bytes=wire,
            total=total(answer.headers),
            next_url=next_url(answer.headers),
        )

    def _judge_status(self, answer: requests.Response, url: Url) -> None:
        status, place = answer.status_code, url.plain
        if status == OK:
            return
        if status in CREDENTIALS:
            host = bracketed(url.host)
            hint = f'; for credentials there, set credential_hosts = ["{host}"]'
            hint = hint if self.scope.withheld(url) else ""
            raise CredentialsError(
                f"{place} answered HTTP {status}: credentials rejected{hint}",
                http_status=status,
            )
        wait = retry_after(answer.headers.get("Retry-After"), self._clock())
        if status == TOO_MANY and wait is not None and wait > self._left():
            raise RateLimited(
                f"{place} answered HTTP {status}: retry in {wait:.0f} s",
                not_before=self._clock() + wait,
            )
        raise Answered(f"{place} answered {status}", status, wait or 0.0)


def target(name: str, url: str) -> Url:
    """Return *url* in its parts; raises ProtocolError naming it where it is none."""
    try:
        return parse(url)
    except ValueError as error:
        raise ProtocolError(
            f"the address of {name} is malformed: {shown(url)!r} ({error})",
            cause="address",
        ) from error


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add no credentials to *request*: .netrc may have some for its host."""
    return request


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def date(text: str | None) -> float | None:
    """Return the moment of a Date header, None where there is none."""
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, TypeError, OverflowError):
        return None


def total(headers: Mapping[str, str]) -> int | None:
    """Return how long a list is in all, as *headers* say; None where they do not.

    >>> total({"Content-Range": "items 0-19/702"}), total({"X-Total-Count": "702"})
    (702, 702)
    """
    said = [headers.get(name, "") for name in ("X-Total-Count", "X-Total")]
    said.append(headers.get("Content-Range", "").rpartition("/")[2])
    return next((int(n) for n in said if n.isascii() and n.isdigit()), None)


def next_url(headers: Mapping[str, str]) -> str:
    """Return where a list goes on, as *headers* say; empty where they do not.

    >>> next_url({"Link": '<https://a.org/f?page=2>; rel="next"'})
    'https://a.org/f?page=2'
    """
    links = requests.utils.parse_header_links(headers.get("Link", ""))
    return next((str(each["url"]) for each in links if each.get("rel") == "next"), "")
