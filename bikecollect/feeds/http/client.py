"""The client: GET with deadlines that hold, size caps, and retries."""

import random as _random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Protocol
from urllib.parse import urlsplit

import requests

from bikecollect.core.errors import (
    CredentialsError,
    FeedError,
    FeedUnavailable,
    PayloadError,
    ProtocolError,
    RateLimited,
)
from bikecollect.core.payload import MANY, Attempt, Check, Document
from bikecollect.feeds.http.body import read_body
from bikecollect.feeds.http.retry import Budget, backoff, retry_after
from bikecollect.feeds.http.session import date, plain, session, translated

SLICE = 0.05
WRONG_BODIES = 4
"""Attempts after which the last body that came is taken as it is."""
Clock = Callable[[], float]


class Stop(Protocol):
    """The wish to end."""

    def wait(self, seconds: float) -> bool:
        """Wait *seconds*, or less when asked to end; return whether asked."""
        ...

    def raise_if_set(self) -> None:
        """Raise Interrupted where the end was asked for."""
        ...


@dataclass(frozen=True)
class _Failure:
    """A failed attempt: *tries* more are allowed, after *pause* seconds at least."""

    error: FeedError | PayloadError
    tries: int = MANY
    pause: float = 0.0
    body: Document | None = None


class Client:
    """Gets documents for one run, all within one *budget* that starts at once.

    Attempts run in a daemon thread, for neither a resolver nor a dripping server
    can be interrupted; a late thread finds nobody who listens.
    """

    def __init__(
        self,
        *,
        budget: Budget,
        stop: Stop,
        headers: Mapping[str, str] | None = None,
        clock: Clock = time.time,
        monotonic: Clock = time.monotonic,
        random: Clock = _random.random,
        allow_redirects: bool = False,
        trust_env: bool = False,
        proxy: str | None = None,
        ca_bundle: str | None = None,
    ) -> None:
        self.attempts: list[Attempt] = []
        self._budget, self._stop = budget, stop
        self._clock, self._monotonic, self._random = clock, monotonic, random
        self._allow_redirects = allow_redirects
        self._deadline = monotonic() + budget.total
        self._session = session(trust_env=trust_env, ca_bundle=ca_bundle)
        self._session.headers.update(headers or {})
        if proxy:
            self._session.proxies.update({"http": proxy, "https": proxy})

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def __call__(
        self, name: str, url: str, *, check: Check | None = None, tries: int = MANY
    ) -> Document:
        """Return the document at *url*; see `bikecollect.core.payload.Getter`."""
        number, allowed = 0, tries
        last: Document | None = None
        while True:
            number += 1
            result = self._attempt(name, url, check)
            if isinstance(result, Document):
                return result
            last = result.body or last
            allowed = min(allowed, number + result.tries)
            if number >= allowed or not self._pause(number, result):
                break
        if last is not None:
            return last
        raise result.error

    def _pause(self, number: int, failure: _Failure) -> bool:
        """Wait before the next attempt; return whether there is time for one.

        A server that asks for more than is left gets one last attempt at the edge
        of the deadline, unless it limits our rate: then nothing more is asked.
        """
        left = self._deadline - self._monotonic() - self._budget.worth_a_try
        if left <= 0:
            return False
        wait = max(failure.pause, backoff(number, self._random))
        if self._stop.wait(min(wait, left)):
            self._stop.raise_if_set()
        return wait <= left or failure.pause > 0

    def _attempt(self, name: str, url: str, check: Check | None) -> Document | _Failure:
        self._stop.raise_if_set()
        began, started = self._monotonic(), self._clock()

        def note(status: int | None, error: str) -> None:
            spent = self._monotonic() - began
            self.attempts.append(Attempt(plain(url), started, spent, status, error))

        try:
            document = self._bounded(name, url)
        except (FeedError, PayloadError) as failed:
            note(getattr(failed, "http_status", None), str(failed))
            if isinstance(failed, RateLimited):
                raise
            return self._judged(failed)
        result = _checked(document, check)
        wrong = str(result.error) if isinstance(result, _Failure) else ""
        note(document.http_status, wrong)
        return result

    def _judged(self, failed: FeedError | PayloadError) -> _Failure:
        """Return how often, and after how long, *failed* is worth another try."""
        pause = failed.pause if isinstance(failed, _Answered) else 0.0
        error = failed.plain() if isinstance(failed, _Answered) else failed
        if isinstance(error, CredentialsError):
            return _Failure(error, 1, 10.0)
        if isinstance(error, ProtocolError):
            return _Failure(error, 1 if error.cause == "redirect" else 2)
        if error.cause in {"http-404", "http-410"}:
            return _Failure(error, 1)
        if isinstance(error, PayloadError):
            return _Failure(error, 1)
        return _Failure(error, pause=pause)

    def _bounded(self, name: str, url: str) -> Document:
        """Make one attempt in a thread; raise where it is not over in time."""
        box: SimpleQueue[Document | BaseException] = SimpleQueue()

        def work() -> None:
            try:
                box.put(self._get(name, url))
            except BaseException as error:  # noqa: BLE001 - handed to the one who waits
                box.put(error)

        threading.Thread(target=work, daemon=True).start()
        left = self._deadline - self._monotonic()
        patience = max(0.0, min(self._budget.attempt, left))
        end = time.monotonic() + patience
        while True:
            with suppress(Empty):
                got = box.get(timeout=max(0.0, min(SLICE, end - time.monotonic())))
                if isinstance(got, Document):
                    return got
                raise translated(got, plain(url))
            self._stop.raise_if_set()
            if time.monotonic() >= end:
                raise FeedUnavailable(
                    f"no whole answer from {plain(url)} in {patience:.0f} s",
                    cause="timeout",
                )

    def _get(self, name: str, url: str) -> Document:
        with self._session.get(
            url,
            stream=True,
            timeout=(self._budget.connect, self._budget.idle),
            allow_redirects=self._allow_redirects,
        ) as answer:
            self._judge_status(answer, url)
            raw = answer.raw
            length = answer.headers.get("Content-Length", "")
            body, wire = read_body(
                lambda size: raw.read(size, decode_content=False),
                encoding=answer.headers.get("Content-Encoding", "").strip().lower(),
                length=int(length) if length.isdigit() else None,
                wire_bytes=self._budget.wire_bytes,
                inflated_bytes=self._budget.inflated_bytes,
            )
            return Document(
                name=name,
                body=body,
                url=plain(url),
                http_status=answer.status_code,
                fetched_at=self._clock(),
                date=date(answer.headers.get("Date")),
                wire_bytes=wire,
            )

    def _judge_status(self, answer: requests.Response, url: str) -> None:
        status, place = answer.status_code, plain(url)
        if status == requests.codes.ok:
            return
        if 300 <= status < 400:  # noqa: PLR2004 - the redirects
            host = urlsplit(answer.headers.get("Location", "")).netloc or "?"
            host = host.rpartition("@")[2]
            raise ProtocolError(
                f"{place} redirects to the host {host}; if that is right, set its url",
                cause="redirect",
                http_status=status,
            )
        if status in {401, 403}:
            raise CredentialsError(
                f"{place} answered {status}: it wants other credentials",
                http_status=status,
            )
        wait = retry_after(answer.headers.get("Retry-After"), self._clock())
        left = self._deadline - self._monotonic()
        if status == 429 and wait is not None and wait > left:  # noqa: PLR2004 - RFC 6585
            raise RateLimited(
                f"{place} limits our rate and asks for a rest of {wait:.0f} s",
                not_before=self._clock() + wait,
            )
        raise _Answered(f"{place} answered {status}", status, wait or 0.0)


class _Answered(FeedUnavailable):
    """An HTTP error, and how long its server asked us to wait."""

    def __init__(self, message: str, status: int, pause: float) -> None:
        super().__init__(message, cause=f"http-{status}", http_status=status)
        self.pause = pause

    def plain(self) -> FeedUnavailable:
        """Return this error as others know it."""
        return FeedUnavailable(
            str(self), cause=self.cause, http_status=self.http_status
        )


def _checked(document: Document, check: Check | None) -> Document | _Failure:
    """Return *document*, or a failure that carries it where *check* refuses it."""
    if check is None:
        return document
    try:
        check(document.body)
    except PayloadError as error:
        tries = 2 if error.cause == "no-stations" else WRONG_BODIES - 1
        return _Failure(error, tries, body=document)
    except Exception:  # noqa: BLE001 - a bug of ours must not cost the payload
        return document
    return document
