"""The client: GET with hard deadlines, size limits, and retries."""

import random as _random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bikecollect.core.errors import (
    CredentialsError,
    FeedError,
    FeedUnavailable,
    Overload,
    PayloadError,
    ProtocolError,
    RateLimited,
)
from bikecollect.core.logs import stages
from bikecollect.core.payload import MANY, ONCE, Attempt, Check, Document
from bikecollect.core.process import DeadlineError, NoThreadError, deadline
from bikecollect.feeds.http.access import Access
from bikecollect.feeds.http.connection_errors import PROXY_CREDENTIALS
from bikecollect.feeds.http.retry import (
    POLITE,
    TOO_MANY,
    Budget,
    HttpStatusError,
    backoff,
)
from bikecollect.feeds.http.transport import Transport, target
from bikecollect.feeds.http.urls import Url

MAX_BAD_BODIES = 4
"""Attempts after which the last body is returned although it is invalid."""
_PROTOCOL_RETRIES = {"redirect": 1, "address": 0}
"""Retries after a protocol error by its cause; two for other causes."""
_BODY_RETRIES = {"no-stations": 2, "too-large": 1, "too-slow": 0}
"""Retries for a body that cannot be read, by the cause."""
Clock = Callable[[], float]


class StopSignal(Protocol):
    """A request to stop the run."""

    def wait(self, seconds: float) -> bool:
        """Wait *seconds*, or until a stop is requested; return whether it was."""
        ...

    def raise_if_set(self) -> None:
        """Raise Interrupted if a stop was requested."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class _Failure:
    """A failed attempt: *tries* more are allowed, after at least *pause* seconds."""

    error: FeedError | PayloadError
    tries: int = MANY
    pause: float = 0.0
    body: Document | None = None


class Client:
    """Gets documents for one run within a *budget*, whose time starts immediately.

    *access* says how the feed is reached; if it has no address, the first requested is
    the feed's own. *public_host*: see `FeedClient`. Attempts run in a daemon thread,
    because neither a resolver nor a slow server can be interrupted; a result after the
    deadline is ignored.
    """

    def __init__(
        self,
        *,
        budget: Budget,
        stop: StopSignal,
        access: Access | None = None,
        clock: Clock = time.time,
        monotonic: Clock = time.monotonic,
        random: Clock = _random.random,
    ) -> None:
        self.attempts: list[Attempt] = []
        self.public_host = ""
        self._budget, self._stop, self._access = budget, stop, access or Access()
        self._clock, self._monotonic, self._random = clock, monotonic, random
        self._deadline = monotonic() + budget.total
        self._patience, self._spare = budget.attempt, budget.spare
        self._transport: Transport | None = None

    def close(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            self._transport.close()

    def __call__(
        self, name: str, url: str, *, check: Check | None = None, tries: int = MANY
    ) -> Document:
        """Return the document at *url*; see `bikecollect.core.payload.Getter`."""
        place = target(name, url)
        began = self._monotonic()
        self._patience = self._budget.attempt
        if tries == ONCE:
            self._patience = min(self._budget.once, self._spare)
        try:
            document = self._with_retries(name, place, check, tries)
        finally:
            self._spare -= (self._monotonic() - began) * (tries == ONCE)
        transport = self._transport_for(place)
        transport.spare -= len(document.body)
        self.public_host = transport.public_host
        return document

    def _with_retries(
        self, name: str, url: Url, check: Check | None, allowed: int
    ) -> Document:
        """Return the document at *url*, or the last invalid one after all tries."""
        number = 0
        last: Document | None = None
        while True:
            number += 1
            result = self._attempt(name, url, check)
            if isinstance(result, Document):
                return result
            last = result.body or last
            allowed = min(allowed, number + result.tries)
            if number >= allowed or not self._pause(url, number, result):
                break
        if last is not None:
            return last
        raise result.error

    def _remaining(self) -> float:
        return self._deadline - self._monotonic()

    def _transport_for(self, url: Url) -> Transport:
        """Return the transport; without an address set, *url* is the feed's own."""
        if self._transport is None:
            home = self._access.url or url.text
            access = self._access._replace(url=home)
            self._transport = Transport(
                access,
                self._budget,
                clock=self._clock,
                left=self._remaining,
                public_host=self.public_host,
            )
        return self._transport

    def _pause(self, url: Url, number: int, failure: _Failure) -> bool:
        """Wait before the next attempt; return whether there is time for one.

        If a server asks for a longer pause than is left, one last attempt is made just
        before the deadline; none if the feed is rate-limited. After a second 429 that
        names no pause, attempts are rare.
        """
        left = self._remaining() - self._budget.worth_a_try
        if left <= 0:
            return False
        asked = failure.pause
        if number > 1 and getattr(failure.error, "http_status", None) == TOO_MANY:
            asked = asked or POLITE
        wait = max(asked, backoff(number, self._random))
        pause, remaining = min(wait, left), self._remaining()
        reason = _short(str(failure.error), url.plain)
        text = f"retry {number} in {pause:.0f} s, {remaining:.0f} s left: {reason}"
        values = (number, pause, remaining, failure.error)
        log_text = "try %d failed, next in %.0f s, %.0f s left: %s"
        stages.info(log_text, *values, extra={"progress": text})
        if self._stop.wait(pause):
            self._stop.raise_if_set()
        return wait <= left or asked > 0

    def _attempt(self, name: str, url: Url, check: Check | None) -> Document | _Failure:
        self._stop.raise_if_set()
        began, started = self._monotonic(), self._clock()

        def note(status: int | None, error: str) -> None:
            spent = self._monotonic() - began
            self.attempts.append(Attempt(url.plain, started, spent, status, error))

        try:
            document = self._bounded(name, url)
        except (FeedError, PayloadError) as failed:
            note(getattr(failed, "http_status", None), str(failed))
            if isinstance(failed, RateLimited):
                raise
            return self._failure(failed)
        quoting = self._transport_for(url).quotes(document)
        result = _checked(document, check, quoting=quoting)
        note(
            document.http_status,
            str(result.error) if isinstance(result, _Failure) else "",
        )
        return result

    def _failure(self, failed: FeedError | PayloadError) -> _Failure:
        """Return how often, and after which pause, to retry after *failed*."""
        pause = failed.pause if isinstance(failed, HttpStatusError) else 0.0
        error = failed.plain() if isinstance(failed, HttpStatusError) else failed
        refused = getattr(error, "http_status", None) == PROXY_CREDENTIALS
        if isinstance(error, CredentialsError) or refused:
            return _Failure(error, self._budget.credential_retries, 10.0)
        if isinstance(error, ProtocolError):
            return _Failure(error, _PROTOCOL_RETRIES.get(error.cause, 2))
        if error.cause in {"http-404", "http-410"}:
            return _Failure(error, 1)
        if isinstance(error, PayloadError):
            return _Failure(error, 1)
        if error.cause == "encoding":  # like a body that cannot be read
            return _Failure(error, MAX_BAD_BODIES - 1)
        return _Failure(error, pause=pause)

    def _bounded(self, name: str, url: Url) -> Document:
        """Make one attempt in a thread; raises FeedUnavailable if it takes too long."""
        transport = self._transport_for(url)
        seconds = max(0.0, min(self._patience, self._remaining()))
        try:
            return deadline(
                lambda: transport.get(name, url),
                seconds,
                check=self._stop.raise_if_set,
            )
        except NoThreadError as error:
            raise Overload(f"no request of {url.plain} was made: {error}") from None
        except DeadlineError:
            raise FeedUnavailable(
                f"{url.plain} timed out after {seconds:.0f} s", cause="timeout"
            ) from None


def _short(reason: str, address: str) -> str:
    """Return *reason* without the *address* that it names: it is to fit a line.

    >>> _short("cannot connect to http://a.org/: connection refused", "http://a.org/")
    'cannot connect: connection refused'
    >>> _short("http://a.org/ answered HTTP 503", "http://a.org/")
    'the feed answered HTTP 503'
    """
    for place in (f" to {address}", f" of {address}"):
        reason = reason.replace(place, "")
    return reason.replace(address, "the feed")


def _checked(
    document: Document, check: Check | None, *, quoting: bool
) -> Document | _Failure:
    """Return *document*, or a failure with it if *check* rejects it."""
    if check is None:
        return document
    try:
        check(document.body)
    except PayloadError as error:
        tries = _BODY_RETRIES.get(error.cause, MAX_BAD_BODIES - 1)
        # A new error: the traceback of this one keeps the parsed document in memory.
        copy = PayloadError(str(error), cause=error.cause)
        return _Failure(copy if quoting else error.unquoted(), tries, body=document)
    except Exception:  # noqa: BLE001 - a bug in the check must not cost the payload
        return document
    return document
