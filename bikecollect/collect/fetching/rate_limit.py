"""A host's Retry-After, as a note that later runs respect."""

from bikecollect.core.errors import RateLimited

NOT_BEFORE = "bikecollect.not_before"
"""The key of the note in the ledger."""
MAX_WAIT = 3_600.0
"""Seconds of a Retry-After that later runs respect."""
PLAUSIBLE_WAIT = 31 * 86_400.0
"""A longer Retry-After is an error of the server, and costs its own slot only."""


def rate_limit_note(not_before: float, now: float, host: str) -> str:
    """Return the note that *host* gets no request until *not_before*, for an hour.

    >>> rate_limit_note(90_000.0, now=300.0, host="example.org")
    '3900.0 example.org'
    >>> rate_limit_note(9e9, now=300.0, host="example.org")
    '0.0 example.org'
    """
    is_plausible = not_before - now <= PLAUSIBLE_WAIT
    until = min(not_before, now + MAX_WAIT) if is_plausible else 0.0
    return f"{until!r} {host}"


def not_before_of(note: str) -> float:
    """Return the epoch second until which *note* allows no request, 0 for none."""
    return _parsed(note)[0]


def check_rate_limit(note: str, now: float, host: str = "") -> None:
    """Raise RateLimited if *note* is about *host* and still holds.

    If its time is more than `MAX_WAIT` ahead, the clock was set back.
    """
    not_before, limited = _parsed(note)
    if limited in {"", host} and now < not_before < now + MAX_WAIT:
        raise RateLimited(
            f"rate-limited, retry in {not_before - now:.0f} s", not_before=not_before
        )


def _parsed(note: str) -> tuple[float, str]:
    """Return the epoch second and the host; notes of earlier versions have no host."""
    until, _, host = note.partition(" ")
    return float(until or 0), host
