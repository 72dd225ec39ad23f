"""Why a slot is missing: from the runs that are known to the words for people."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, Self

from bikecollect.core.slots import Slot


class Cause(StrEnum):
    """Why a slot is missing; each has its *meaning*.

    In a report more may follow, behind a colon: ``network: dns``.
    """

    meaning: str

    def __new__(cls, word: str, meaning: str) -> Self:
        """Return the member for *word*, with its *meaning* beside it."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member

    ASLEEP = "asleep", "this machine slept (suspended)"
    BUG = "bug", "a bug of ours; the traceback is in the log"
    CLOCK = "clock", "the machine's clock was set"
    CREDENTIALS = "credentials", "the feed refused our key (401, 403)"
    DAMAGED = "damaged", "a block was there, its file no longer has it"
    DISK = "disk", "the disk refused"
    HOST_OFF = "host-off", "this machine was off"
    INTERRUPTED = "interrupted", "the run was asked to end by a signal"
    KILLED = "killed", "the run was killed before it ended"
    LEDGER = "ledger", "the ledger refused"
    LOCK = "lock", "another process held the system's lock"
    NETWORK = "network", "no answer from the feed"
    NOT_COLLECTING = "not-collecting", "collecting had not begun yet"
    NOT_MOUNTED = "not-mounted", "the data disk was not there"
    NOT_STARTED = "not-started", "cron did not start a run"
    PROTOCOL = (
        "protocol",
        "TLS, a redirect, an address that is not allowed, or broken HTTP",
    )
    RATE_LIMITED = "rate-limited", "the feed asked us to stay away"
    REJECTED = "rejected", "the payload was not understood; it is kept"
    SETTINGS = "settings", "the settings could not be used"
    UNKNOWN = "unknown", "the ledger was lost, and the runs with it"


MEANINGS = {cause.value: cause.meaning for cause in Cause}


def meaning(cause: str) -> str:
    """Return what *cause* means, for people.

    >>> meaning("rejected: drift"), meaning("http-503")
    ('the payload was not understood; it is kept', "the feed's answer")
    """
    word = cause.partition(":")[0]
    if word.startswith("http-"):
        return "the feed's answer"
    return MEANINGS.get(word, "")


class SeenRun(NamedTuple):
    """A run, as evidence; *started* in epoch seconds, *uptime*, *awake* from boot."""

    slot: Slot
    started: float
    outcome: str = ""
    cause: str = ""
    boot_id: str = ""
    uptime: float = 0.0
    awake: float = 0.0


class SeenRuns:
    """Runs as evidence, in the order in which they began.

    One without an outcome is no run: it only says what the machine did until then.
    """

    def __init__(self, runs: Iterable[SeenRun]) -> None:
        found = list(runs)
        self._last = {run.slot: run for run in found if run.outcome}
        self._order = sorted(found, key=lambda run: run.slot)
        self._slots = [run.slot for run in self._order]

    def last(self, slot: Slot) -> SeenRun | None:
        """Return the last run of *slot*, None where none is known."""
        return self._last.get(slot)

    def unstarted(self, slot: Slot, interval: int) -> str:
        """Return why no run is known for *slot*, by the runs before and behind it."""
        low, high = bisect_left(self._slots, slot), bisect_right(self._slots, slot)
        before = self._order[low - 1] if low else None
        after = self._order[high] if high < len(self._order) else None
        return _unstarted(slot, before, after, interval)


def cause_of(run: SeenRun) -> str:
    """Return why *run*, the last one of its slot, left no block.

    >>> cause_of(SeenRun(Slot(0), 0, "unavailable", "dns"))
    'network: dns'
    """
    outcome, cause = run.outcome, run.cause
    if outcome in {"collected", "duplicate"}:
        return Cause.DAMAGED  # there was a block once
    if outcome == "rejected":
        return f"rejected: {cause}" if cause else Cause.REJECTED
    if outcome == "unavailable":
        return cause if cause.startswith("http-") else f"network: {cause}"
    if outcome == "protocol":
        return f"protocol: {cause}"
    if outcome in {"deferred", "disk", "settings"}:
        return {"ledger-busy": "lock"}.get(cause, cause) or outcome
    return outcome


def _unstarted(
    slot: Slot, before: SeenRun | None, after: SeenRun | None, interval: int
) -> Cause:
    if before is None:
        return Cause.UNKNOWN  # a lost ledger: blocks were found, their runs were not
    if after is None:
        return Cause.NOT_STARTED
    if _has_rebooted(before, after):
        boot = after.started - after.uptime
        return Cause.HOST_OFF if slot < boot else Cause.NOT_STARTED
    if before.awake and after.awake:
        slept = (after.uptime - before.uptime) - (after.awake - before.awake)
        missing = after.slot - before.slot - interval
        if slept > 0 and slept * 2 >= missing:
            return Cause.ASLEEP
    return Cause.NOT_STARTED


def _has_rebooted(before: SeenRun, after: SeenRun) -> bool:
    if before.boot_id and after.boot_id:
        other = before.boot_id != after.boot_id
        return other or 0 < after.uptime < before.uptime
    return 0 < after.uptime < after.started - before.started
