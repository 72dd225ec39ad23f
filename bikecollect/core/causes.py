"""Why a slot is missing: derived from the known runs, with a meaning for people."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from operator import itemgetter
from typing import NamedTuple, Self

from bikecollect.core.slots import DAY, GRACE, Slot


class Cause(StrEnum):
    """Why a slot is missing, with a *meaning* for people.

    Reports may add details after a colon: ``network: dns``.
    """

    meaning: str

    def __new__(cls, word: str, meaning: str) -> Self:
        """Return the member *word* with its *meaning*."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member

    ASLEEP = "asleep", "this machine was suspended"
    BUG = "bug", "a bug in bikecollect; the traceback is in the log"
    CLOCK = "clock", "the machine's clock was changed"
    CREDENTIALS = "credentials", "the feed denied access (401, 403)"
    DAMAGED = "damaged", "the slot was collected, but its block is damaged"
    DISK = "disk", "the disk could not be read or written"
    FEED = "feed", "the feed answered, but has nothing that the settings can collect"
    FOLDER = "folder", "the data folder was that of another system"
    HOST_OFF = (
        "host-off",
        "this machine was off, or had no runs until it was restarted",
    )
    INTERRUPTED = "interrupted", "the run was ended by a signal"
    KILLED = "killed", "the run was killed before it ended"
    LEDGER = "ledger", "the ledger could not be read or written"
    LOCK = "lock", "another process held the system's lock"
    NETWORK = "network", "no answer from the feed"
    NOT_COLLECTING = "not-collecting", "collection had not started yet"
    NOT_MOUNTED = "not-mounted", "the data disk was not mounted"
    NOT_STARTED = (
        "not-started",
        "cron did not start a run, or it ended before it could write anything",
    )
    OLDER_FOLDER = "older-folder", "an older copy of the folder was put back"
    OVERLOAD = "overload", "the call had no time or thread left for this system"
    PROTOCOL = (
        "protocol",
        "TLS, a redirect, an address that is not allowed, or broken HTTP",
    )
    RATE_LIMITED = "rate-limited", "the feed limits the rate of requests"
    REJECTED = "rejected", "the payload was not understood"
    RUNNING = "running", "its run has not ended yet"
    SETTINGS = "settings", "the settings could not be used"
    UNKNOWN = "unknown", "the ledger that recorded the runs was lost"


DOUBTED = "doubted"
"""The outcome of an entry for a run whose clock may have been wrong."""
CLOCK_SET = 120.0
"""Seconds by which the clock must have been set for a run to be dated otherwise."""
OR = " or "
"""Joins two causes between which the evidence does not decide."""
BEGINNING = Slot(0)
NO_NETWORK = {"no-stations": Cause.FEED, "version": Cause.FEED}
"""Causes of an unavailable feed that responds: the network is not to blame."""
PROTOCOL_CAUSES = frozenset({"address", "redirect", "tls"})
"""Causes of a feed that must not be fetched as it is."""
WHOLE = frozenset({Cause.CREDENTIALS, Cause.RATE_LIMITED})
"""Causes of a feed that is not fetched, without details."""
MEANINGS = {cause.value: cause.meaning for cause in Cause}


def meaning(cause: str) -> str:
    """Return the meaning of *cause* for people.

    >>> meaning("rejected: drift"), meaning("http-503")
    ('the payload was not understood', 'the feed answered with an error')
    >>> meaning("asleep or disk")
    'this machine was suspended, or the disk could not be read or written'
    """
    if OR in cause:
        return ", or ".join(map(meaning, cause.split(OR)))
    word = cause.partition(":")[0]
    if word.startswith("http-"):
        return "the feed answered with an error"
    return MEANINGS.get(word, "")


def public_meaning(cause: str) -> str:
    """Return the meaning of *cause* for those who do not have the machine.

    >>> public_meaning("asleep")
    'the collecting machine was suspended'
    """
    return meaning(cause).replace("this machine", "the collecting machine")


class SeenRun(NamedTuple):
    """A known run; *started* is in epoch seconds, *uptime* and *awake* since boot."""

    slot: Slot
    started: float
    outcome: str = ""
    cause: str = ""
    boot_id: str = ""
    uptime: float = 0.0
    awake: float = 0.0


class KnownCause(NamedTuple):
    """The *cause* of slots from *first* to *last* that is known without their runs."""

    cause: str
    first: Slot
    last: Slot


class SeenRuns:
    """The known runs, in the order in which they started; they decide every cause.

    An entry without an outcome is not a run: it only records the state of the machine.
    One that is `DOUBTED` is that of a run, in these slots or near them, whose clock may
    have been wrong. *first* is the first expected slot, None if none is. During
    *failing*, runs could not write; during *silencing*, they may not even have recorded
    themselves. Of several that span a slot, the first one counts.
    """

    def __init__(
        self,
        runs: Iterable[SeenRun],
        *,
        first: Slot | None = BEGINNING,
        failing: Sequence[KnownCause] = (),
        silencing: Sequence[KnownCause] = (),
    ) -> None:
        self._first, self._failing, self._silencing = first, failing, silencing
        every = sorted(runs, key=itemgetter(0))
        self._doubted = [run for run in every if run.outcome == DOUBTED]
        self._order = [run for run in every if run.outcome != DOUBTED]
        self._last = {run.slot: run for run in self._order if run.outcome}
        self._slots = [run.slot for run in self._order]

    def cause(self, slot: Slot, interval: int) -> str:
        """Return why *slot*, which is *interval* seconds long, has no block.

        Mails and reports name the causes of slots by this alone. The last run of a slot
        decides; without one, the result is two causes joined by `OR` if the evidence
        does not decide between them.
        """
        run = self._last.get(slot)
        if run is not None:
            cause = cause_of(run)
            # The first sign of a full disk is an error of the ledger.
            known = _known_at(slot, self._failing) if cause == Cause.LEDGER else ""
            return known or cause
        if self._first is None or slot < self._first:
            return Cause.NOT_COLLECTING
        known = _known_at(slot, self._silencing)
        return known or self._unstarted(slot, interval)

    def _unstarted(self, slot: Slot, interval: int) -> str:
        """Return why *slot* has no run, derived from the runs before and after it."""
        low, high = bisect_left(self._slots, slot), bisect_right(self._slots, slot)
        before = self._order[low - 1] if low else None
        after = self._order[high] if high < len(self._order) else None
        if self._has_other_clock(slot, interval):
            return Cause.CLOCK
        return _unstarted(slot, before, after, interval)

    def _has_other_clock(self, slot: Slot, interval: int) -> bool:
        """Return whether a run of *slot* was recorded in another one."""
        place = bisect_left(self._real_starts, slot - GRACE)
        return any(s < slot + interval - GRACE for s in self._real_starts[place:][:1])

    @cached_property
    def _real_starts(self) -> list[float]:
        """When runs really started whose clock was wrong, in order.

        That is known by the time since boot, and a run of that boot with a right clock.
        """
        doubted = {(run.boot_id, run.uptime) for run in self._doubted if run.boot_id}
        right: dict[str, list[tuple[float, float]]] = {}
        for run in self._order if doubted else ():
            if run.outcome == "collected" and (run.boot_id, run.uptime) not in doubted:
                right.setdefault(run.boot_id, []).append((run.uptime, run.started))
        known = {boot_id: sorted(runs) for boot_id, runs in right.items()}
        starts = []
        for run in self._doubted:
            if others := known.get(run.boot_id):
                place = bisect_left(others, (run.uptime, 0.0))
                uptime, started = others[max(place - 1, 0)]
                start = started + run.uptime - uptime
                if CLOCK_SET < abs(start - run.started) <= DAY:
                    starts.append(start)
        return sorted(starts)


def cause_of(run: SeenRun) -> str:
    """Return why *run*, the last run of its slot, left no block.

    >>> cause_of(SeenRun(Slot(0), 0, "unavailable", "dns"))
    'network: dns'
    """
    outcome, cause = run.outcome, run.cause
    if outcome in {"collected", "duplicate"}:
        return Cause.DAMAGED  # the block existed once
    if outcome == "rejected":
        return f"rejected: {cause}" if cause else Cause.REJECTED
    if outcome == "unavailable":
        kind = NO_NETWORK.get(cause, Cause.NETWORK)
        return cause if cause.startswith("http-") else f"{kind}: {cause}"
    if outcome == "protocol":
        return f"protocol: {cause}"
    if outcome in {"deferred", "disk", "settings"}:
        return {"ledger-busy": "lock"}.get(cause, cause) or outcome
    return outcome


def slots_by_cause(kind: str, causes: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the slots by cause, as in reports, of an incident of some *kind*.

    The most frequent first. An incident, and the ledger, have the words of runs alone.

    >>> slots_by_cause("fetch", {"tls": 1, "dns": 2})
    [('network: dns', 2), ('protocol: tls', 1)]
    """
    counts: Counter[str] = Counter()
    for cause, count in causes.items():
        counts[_in_reports(kind, cause)] += count
    return counts.most_common()


def _in_reports(kind: str, cause: str) -> str:
    if kind == "fetch" and cause not in WHOLE:
        outcome = "protocol" if cause in PROTOCOL_CAUSES else "unavailable"
        return cause_of(SeenRun(BEGINNING, 0, outcome, cause))
    if kind == "payload" and cause not in {kind, "pruned"}:
        return cause_of(SeenRun(BEGINNING, 0, "rejected", cause))
    if kind == "disk" and cause not in MEANINGS:
        return f"{Cause.DISK}: {cause}"
    return Cause.LOCK if kind == "lock" else cause


def _known_at(slot: Slot, known: Iterable[KnownCause]) -> str:
    """Return the first cause *known* of *slot*, empty if there is none."""
    return next((k.cause for k in known if k.first <= slot <= k.last), "")


def _unstarted(
    slot: Slot, before: SeenRun | None, after: SeenRun | None, interval: int
) -> str:
    if before is None:
        return Cause.UNKNOWN  # the ledger was lost: it has blocks, but not their runs
    if after is None:
        return Cause.NOT_STARTED
    if _has_rebooted(before, after):
        boot = after.started - after.uptime
        if slot < boot:
            return Cause.HOST_OFF
        first = -(-int(boot) // interval) * interval
        slept = after.uptime - after.awake if after.awake else 0.0
        return _asleep(slept, (after.slot - first) // interval, interval)
    if not (before.awake and after.awake):
        return Cause.NOT_STARTED
    slept = (after.uptime - before.uptime) - (after.awake - before.awake)
    return _asleep(slept, (after.slot - before.slot) // interval - 1, interval)


def _asleep(slept: float, slots: int, interval: int) -> str:
    """Return why *slots* in a row have no run, if the machine *slept* some seconds.

    When it slept is unknown. Only a sleep as long as all the slots, or none at all,
    decides between the two causes.

    >>> tuple(str(_asleep(slept, 5, 300)) for slept in (1500.0, 0.0, 900.0))
    ('asleep', 'not-started', 'asleep or not-started')
    """
    half = interval / 2
    if slept < half:
        return Cause.NOT_STARTED
    if slept >= slots * interval - half:
        return Cause.ASLEEP
    return f"{Cause.ASLEEP}{OR}{Cause.NOT_STARTED}"


def _has_rebooted(before: SeenRun, after: SeenRun) -> bool:
    if before.boot_id and after.boot_id:
        is_new_boot = before.boot_id != after.boot_id
        return is_new_boot or 0 < after.uptime < before.uptime
    return 0 < after.uptime < after.started - before.started
