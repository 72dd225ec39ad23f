"""Finds out whether this machine's clock is far off, from evidence beside it.

The evidence is the Date header of the feed, the newest block in the ledger, and the
time since boot. A server's Date alone proves little: the clock is taken for wrong only
if it also is far from the newest block, or before any plausible time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Document, Payload
from bikecollect.core.run import Run
from bikecollect.core.slots import CLOCK_FLOOR, DAY, iso

if TYPE_CHECKING:
    from bikecollect.core.blocks import Block


@dataclass
class ClockCheck:
    """What a run knows of its clock: how wrong it is, *error*, empty if it is right.

    *offset* are the seconds to be added to it. *is_known* is False if the right time
    cannot be found out.
    """

    error: str = ""
    offset: float = 0.0
    is_known: bool = True


def check(
    now: float,
    documents: Sequence[Document],
    run: Run,
    newest_block: "Callable[[], Block | None]",
) -> ClockCheck:
    """Return how wrong the clock is that shows *now*.

    The *newest_block* is asked for only if the clock is in doubt.
    """
    offsets = [d.date - d.fetched_at for d in documents if d.date is not None]
    offset = min(offsets, key=abs, default=None)
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


def check_payload(payload: Payload) -> None:
    """Raise PayloadError for a payload fetched under a clock that was far behind.

    It has an unknown time. Payloads of others (`backfill --from`) may be old.
    """
    if payload.slot < CLOCK_FLOOR and not payload.source:
        raise PayloadError(
            f"fetched while the clock of this machine showed {iso(payload.slot, UTC)}",
            cause="clock",
        )


def _without_date(now: float, run: Run, newest: "Block | None") -> ClockCheck:
    """Return the check of a clock that shows an impossible time, without a response."""
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
