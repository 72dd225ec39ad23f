"""Whether the clock of this machine is right, and when a payload was really fetched.

The clock is checked by the feed's Date header, the newest block in the ledger, and the
time since boot. A server's Date alone may be wrong: our clock counts as wrong only if
it is also far from the newest block, or earlier than any plausible time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Document, Payload
from bikecollect.core.run import Run
from bikecollect.core.slots import CLOCK_FLOOR, DAY, Slot, iso

if TYPE_CHECKING:
    from bikecollect.core.blocks import Block

CLOCK_SET = "the clock of this machine was set back"
"""Part of the reason for a rejection; such a payload is never committed again."""
CLOCK_TOLERANCE = 120.0
"""Seconds by which the server's clock and ours may differ."""


@dataclass(eq=False, repr=False)
class ClockCheck:
    """The result of checking the clock; *error* says what is wrong, empty if nothing.

    *offset* are the seconds to add to the clock. *is_known* is False if the correct
    time cannot be determined.
    """

    error: str = ""
    offset: float = 0.0
    is_known: bool = True


def check_clock(
    now: float,
    documents: Sequence[Document],
    run: Run,
    newest_block: "Callable[[], Block | None]",
) -> ClockCheck:
    """Return the check of the clock, which shows *now*.

    *newest_block* is called only if the clock may be wrong.
    """
    offset = clock_offset(documents)
    if (now >= CLOCK_FLOOR) if offset is None else (abs(offset) <= DAY):
        return ClockCheck()
    block = newest_block()
    newest = block if block and block.slot >= CLOCK_FLOOR else None
    if offset is None:
        return _without_date(now, run, newest)
    if newest is None:
        is_wrong = now < CLOCK_FLOOR
    else:
        is_far = abs(now - newest.slot) > DAY
        is_wrong = is_far and now + offset >= newest.slot - DAY
    return _wrong(now, offset, "the feed's Date header") if is_wrong else ClockCheck()


def _without_date(now: float, run: Run, newest: "Block | None") -> ClockCheck:
    """Return the check of a clock that shows an impossible time, without responses."""
    if newest is not None and newest.boot_id and newest.boot_id == run.boot_id:
        elapsed = run.uptime + (now - run.started) - newest.uptime
        if elapsed >= 0:
            offset = newest.fetched_at + elapsed - now
            return _wrong(now, offset, "the time since boot")
    text = f"the clock of this machine shows {iso(now, UTC)}; set it"
    return ClockCheck(text, is_known=False)


def _wrong(now: float, offset: float, evidence: str) -> ClockCheck:
    text = (
        f"the clock of this machine shows {iso(now, UTC)}, but by {evidence} it is "
        f"{iso(now + offset, UTC)}; payloads wait in the inbox until the clock is set"
    )
    return ClockCheck(text, offset)


def corrected(payload: Payload, slot: Slot, offset: float) -> Payload:
    """Return *payload* as fetched in *slot*, its times *offset* seconds later."""
    documents = tuple(
        replace(document, fetched_at=document.fetched_at + offset)
        for document in payload.documents
    )
    fetched_at = payload.fetched_at + offset
    return replace(payload, slot=slot, fetched_at=fetched_at, documents=documents)


def check_payload(payload: Payload) -> None:
    """Raise PayloadError if *payload* was fetched while the clock was far behind.

    Its time is unknown. Imported payloads (`backfill --from`) may be old.
    """
    if payload.slot < CLOCK_FLOOR and not payload.source:
        raise PayloadError(
            f"fetched while the clock of this machine showed {iso(payload.slot, UTC)}",
            cause="clock",
        )


def clock_was_set(payload: Payload, block: "Block", interval: int) -> bool:
    """Return whether *payload* and *block*, of one slot, were fetched far apart."""
    if block.boot_id and block.boot_id == payload.boot_id:
        return abs(payload.uptime - block.uptime) > 1.5 * interval
    return clock_is_off(payload)


def clock_is_off(payload: Payload) -> bool:
    """Return whether the server's clock and ours differ by more than two minutes."""
    offset = clock_offset(payload.documents)
    return offset is not None and abs(offset) > CLOCK_TOLERANCE


def clock_offset(documents: Iterable[Document]) -> float | None:
    """Return the seconds by which the server's clock is ahead, None if it is unknown.

    It is the smallest difference of any document: a cached one may have an old Date.
    """
    offsets = (d.date - d.fetched_at for d in documents if d.date is not None)
    return min(offsets, key=abs, default=None)
