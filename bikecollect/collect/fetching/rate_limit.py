"""A host's Retry-After, as a note that later runs respect."""

from datetime import UTC
from typing import NamedTuple

from bikecollect.core.errors import RateLimited
from bikecollect.core.text import local_minute
from bikecollect.feeds.http.retry import PLAUSIBLE_WAIT

NOT_BEFORE = "bikecollect.not_before"
"""The key of the note in the ledger."""
MAX_WAIT = 3_600.0
"""Seconds of a Retry-After that later runs respect."""


class Limit(NamedTuple):
    """No request *until* an epoch second, to a *host*, which told that to *system*.

    *host* is empty in notes of earlier versions, *system* if it is the note's own.
    """

    until: float = 0.0
    host: str = ""
    system: str = ""


def rate_limit_note(not_before: float, now: float, host: str, limited: str = "") -> str:
    """Return the note that *host* gets no request until *not_before*, for an hour.

    *limited* is another system of the host, which was told so.

    >>> rate_limit_note(90_000.0, now=300.0, host="example.org")
    '3900.0 example.org'
    >>> rate_limit_note(9e9, now=300.0, host="example.org")
    '0.0 example.org'
    """
    is_plausible = not_before - now <= PLAUSIBLE_WAIT
    until = min(not_before, now + MAX_WAIT) if is_plausible else 0.0
    return f"{until!r} {host} {limited}".rstrip()


def limit_of(note: str) -> Limit:
    """Return the limit in *note*, that of an empty note for none.

    >>> limit_of("3900.0 example.org oslo").system, limit_of("3900.0").until
    ('oslo', 3900.0)
    """
    until, host, limited, *_ = (*note.split(" "), "", "", "")
    return Limit(float(until or 0), host, limited)


def rate_limited(not_before: float, limited: str = "") -> RateLimited:
    """Return the error that no request is allowed until *not_before*.

    >>> str(rate_limited(90.0, "oslo"))
    'another system of this host, oslo, is rate-limited until 1970-01-01 00:01 (+00:00)'
    """
    who = f"another system of this host, {limited}, is " if limited else ""
    text = f"{who}rate-limited until {local_minute(not_before, UTC)}"
    return RateLimited(text, not_before=not_before, limited=limited)


def check_rate_limit(note: str, now: float, host: str = "") -> None:
    """Raise RateLimited if *note* is about *host* and still holds.

    If its time is more than `MAX_WAIT` ahead, the clock was set back.
    """
    limit = limit_of(note)
    if limit.host in {"", host} and now < limit.until < now + MAX_WAIT:
        raise rate_limited(limit.until, limit.system)
