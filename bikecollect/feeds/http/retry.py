"""Time limits and retries: budgets, backoff, and Retry-After."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import NamedTuple

from bikecollect.core.errors import FeedUnavailable, RateLimited
from bikecollect.core.text import length

TOO_MANY = 429
PLAUSIBLE_WAIT = 31 * 86_400.0
"""A longer Retry-After is an error of the server, and costs its own slot only."""
POLITE = 60.0
"""Seconds between further tries if a server limits the rate and names no pause."""
_SECONDS = r"(\d{1,13}(?:\.\d{1,9})?)\d*\s*(?:s|secs?|seconds?)?(?:,\s*[\d.]+)*"
_USED_UP = r"(?:^|[;,\s])(?:r|remaining)\s*=\s*0(?!\d)"
_RESET = r"(?:^|[;,\s])(?:t|reset)\s*=\s*(\d{1,9})(?!\d)"
_MOMENT = 1_000_000_000
"""Larger numbers are a moment, not a duration; 100 times larger ones milliseconds."""
MAX_BODY = 32 * 1024 * 1024
"""The largest document. Parsed JSON takes 3 to 6 times its size, hostile JSON 25 to 45
times; 60,000 vehicles are 21 MB, 26,000 stations 7 and 12 MB
(docs/decisions/0017-bounds-of-a-run.md)."""


class HttpStatusError(FeedUnavailable):
    """An HTTP error status, and the *pause* in seconds that the server asks for."""

    def __init__(self, message: str, status: int, pause: float) -> None:
        super().__init__(message, cause=f"http-{status}", http_status=status)
        self.pause = pause

    def plain(self) -> FeedUnavailable:
        """Return this error as a plain FeedUnavailable."""
        return FeedUnavailable(
            str(self), cause=self.cause, http_status=self.http_status
        )


class Budget(NamedTuple):
    """Limits of one run's fetch: seconds, and bytes on the wire and decompressed.

    *total* limits all attempts together, *attempt* one of them, *connect* and *idle*
    parts of it. *run_bytes* limits the documents of the run together, and
    *credential_retries* the attempts after credentials were rejected.
    """

    connect: float = 5.0
    idle: float = 10.0
    attempt: float = 30.0
    total: float = 150.0
    wire_bytes: int = MAX_BODY
    inflated_bytes: int = MAX_BODY
    run_bytes: int = 2 * MAX_BODY
    credential_retries: int = 1

    @classmethod
    def for_interval(cls, interval: int, *, max_body: int = MAX_BODY) -> "Budget":
        """Return the budget of a slot of *interval* seconds: at most half of it.

        >>> Budget.for_interval(30).attempt
        15.0
        """
        total = min(150.0, interval / 2)
        return cls(
            connect=min(5.0, total),
            idle=min(10.0, total),
            attempt=min(30.0, total),
            total=total,
            wire_bytes=max_body,
            inflated_bytes=max_body,
            run_bytes=2 * max_body,
        )

    def within(self, seconds: float) -> "Budget":
        """Return this budget with at most *seconds* for all attempts."""
        if seconds >= self.total:
            return self
        return self._replace(
            connect=min(self.connect, seconds),
            idle=min(self.idle, seconds),
            attempt=min(self.attempt, seconds),
            total=seconds,
        )

    @property
    def once(self) -> float:
        """The seconds for an optional document."""
        return min(self.attempt, max(self.total / 10, 5.0))

    @property
    def spare(self) -> float:
        """The seconds for all optional documents together."""
        return self.total / 3

    @property
    def worth_a_try(self) -> float:
        """The minimum seconds left for another attempt."""
        return min(5.0, self.total / 6)


def backoff(number: int, random: Callable[[], float]) -> float:
    """Return the seconds to wait after failed attempt *number*, counted from 1.

    U(0.5, 1) · min(20, 2 · 2^(n-1)): random, so that collectors do not retry in step.

    >>> backoff(1, lambda: 1.0), backoff(9, lambda: 0.0)
    (2.0, 10.0)
    """
    return (0.5 + random() / 2) * min(20.0, 2.0 * 2.0 ** min(number - 1, 10))


def retry_after(text: str | None, now: float) -> float | None:
    """Return the seconds to wait by a Retry-After header at *now*.

    None if it is absent, invalid, negative or in the past. RFC 9110, 10.2.3; fractions,
    a unit of seconds and a repeated header are accepted, too.

    >>> retry_after("120", 0), retry_after("-5", 0), retry_after("soon", 0)
    (120.0, None, None)
    >>> retry_after("1.5", 0), retry_after("30 s", 0), retry_after("9, 9", 0)
    (1.5, 30.0, 9.0)
    >>> retry_after("1800000060", 1_800_000_000)  # a moment, as some servers write it
    60.0
    >>> retry_after("1800000060000", 1_800_000_000)
    60.0
    """
    if not text:
        return None
    text = text.strip()
    if match := re.fullmatch(_SECONDS, text, re.IGNORECASE | re.ASCII):
        seconds = float(match[1])
        seconds /= 1_000 if seconds > 100 * _MOMENT else 1
        seconds -= now if seconds > _MOMENT else 0.0
        return seconds if seconds > 0 else None
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
        wait = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return wait - now if wait > now else None


def reset_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds until a rate limit ends by other *headers*, None if unknown.

    >>> reset_after({"RateLimit-Reset": "30"}, 0), reset_after({}, 0)
    (30.0, None)
    >>> reset_after({"X-RateLimit-Reset": "1800000060"}, 1_800_000_000)
    60.0
    >>> reset_after({"RateLimit": '"day";r=0;t=700, "hour";r=9;t=30'}, 0)
    700.0
    """
    names = ("RateLimit-Reset", "X-RateLimit-Reset", "X-Rate-Limit-Reset")
    for name in filter(headers.get, names):
        return retry_after(headers[name], now)
    # The drafts of the IETF for this header: of several limits, that which is used up.
    parts = re.split(r",(?=\s*[\"'])", headers.get("RateLimit", ""))
    used = [part for part in parts if re.search(_USED_UP, part)]
    resets = (re.search(_RESET, part) for part in used)
    return max((float(match[1]) for match in resets if match), default=None)


def status_error(
    place: str, status: int, headers: Mapping[str, str], *, now: float, left: float
) -> HttpStatusError | RateLimited:
    """Return the error for the HTTP *status* of *place*.

    If a 429 asks for a longer wait than the *left* seconds, a later run continues.
    """
    wait = retry_after(headers.get("Retry-After"), now)
    if status == TOO_MANY and wait is None:
        wait = reset_after(headers, now)
    if status == TOO_MANY and wait is not None and wait > left:
        words = f"retry in {length(wait)}"
        if wait > PLAUSIBLE_WAIT:
            words = "retry in more than a month, which ends this run only"
        text = f"{place} answered HTTP {status}: {words}"
        return RateLimited(text, not_before=now + wait)
    return HttpStatusError(f"{place} answered HTTP {status}", status, wait or 0.0)
