"""What one run says of each kind of incident."""

from collections.abc import Iterable, Sequence

from bikecollect.core.causes import SeenRun, SeenRuns, cause_of, meaning
from bikecollect.core.errors import Outcome
from bikecollect.core.incidents import Signal
from bikecollect.core.run import Run
from bikecollect.core.slots import Slot

UNFETCHED = frozenset(
    {Outcome.UNAVAILABLE, Outcome.RATE_LIMITED, Outcome.PROTOCOL, Outcome.CREDENTIALS}
)
UNDERSTOOD = frozenset({Outcome.COLLECTED, Outcome.DUPLICATE})
HEALED = frozenset({"damage", "drift", "ledger"})
"""Notices of what is past when it is seen: the run has gone on all the same."""
OF_NOTICE = {
    "payload": "payload",
    "columns": "settings",
    "settings": "settings",
    "not-mounted": "disk",
    "disk": "disk",
    "ledger": "ledger",
    "damage": "damage",
    "drift": "drift",
    "clock": "clock",
    "partial": "partial",
    "bug": "bug",
    "lock": "lock",
    "ledger-busy": "lock",
}
"""The incident's kind for a notice's."""


def of_run(run: Run, missed: Signal | None) -> dict[str, Signal | None]:
    """Return what *run* says of each kind: trouble, or None where it went well.

    *missed* is the sign of the slots before it that no run has told of. A kind
    that the run could not judge is not in the answer; an interrupted run judges
    nothing, and a killed one only says that it was.
    """
    if run.outcome in {Outcome.INTERRUPTED, Outcome.DRY, None}:
        return {}
    if run.outcome is Outcome.KILLED:
        return {"missed": _and_killed(missed, run)}
    found: dict[str, Signal | None] = dict.fromkeys(_judged(run))
    found["missed"] = missed
    found |= _of_notices(run)
    found |= _of_flags(run)
    kind = _ended_by(run)
    if kind == "ledger" and any(n.kind == "disk" for n in run.notices):
        kind = "disk"  # a full disk is one trouble, whoever complains of it
        del found["ledger"]
    if kind:
        lost = 0 if run.accepted and run.outcome in WAITING else 1
        first = found.get(kind)
        if first is not None and kind == "disk":
            found[kind] = first._replace(lost=lost)
        else:
            text = run.error + _remedy(run) if kind == "payload" else run.error
            found[kind] = Signal(run.cause or kind, text, lost=lost)
    return found


WAITING = frozenset({Outcome.DEFERRED, Outcome.DISK, Outcome.SETTINGS})
"""Outcomes after which an accepted payload waits in the inbox."""


def _judged(run: Run) -> Iterable[str]:
    """Yield the kinds that *run* has tried, and that it has met no trouble with."""
    yield "fetch"
    yield "bug"
    if run.outcome in {Outcome.COLLECTED, Outcome.DUPLICATE, Outcome.REJECTED}:
        yield from ("disk", "ledger", "damage", "lock", "settings")
    if run.outcome in UNDERSTOOD:
        yield from ("payload", "drift", "clock")
    if run.outcome is Outcome.COLLECTED:
        yield from ("stale", "thin", "partial")


def _ended_by(run: Run) -> str:
    """Return the kind of incident that *run* ended by, empty for none."""
    if run.outcome in UNFETCHED:
        return "fetch"
    if run.outcome is Outcome.REJECTED:
        return "clock" if run.cause == "clock" else "payload"
    if run.outcome in {Outcome.DEFERRED, Outcome.DISK, Outcome.SETTINGS}:
        kind = "settings" if run.outcome is Outcome.SETTINGS else "disk"
        return OF_NOTICE.get(run.cause, kind)
    return "bug" if run.outcome is Outcome.BUG else ""


def _of_notices(run: Run) -> dict[str, Signal]:
    """Return the signs of the notices of *run*: the first of a kind, all of a drift."""
    found: dict[str, Signal] = {}
    for notice in run.notices:
        kind = OF_NOTICE.get(notice.kind)
        if kind is None:
            continue
        if kind not in found:
            over = kind in HEALED and run.outcome in UNDERSTOOD
            found[kind] = Signal(notice.kind, notice.text, over=over)
        elif kind == "drift":
            text = f"{found[kind].text}\n{notice.text}"
            found[kind] = found[kind]._replace(text=text)
    if "drift" in found:
        text = found["drift"].text + _remedy(run)
        found["drift"] = found["drift"]._replace(text=text)
    return found


def _remedy(run: Run) -> str:
    """Return what *run* says should be put into the settings, a line each."""
    return "".join(f"\n{each.text}" for each in run.notices if each.kind == "fields")


def _of_flags(run: Run) -> dict[str, Signal]:
    found = {}
    if "stale" in run.flags:
        text = "the feed answers, but its own time stamp no longer moves"
        found["stale"] = Signal("stale", text)
    if "short" in run.flags:
        text = f"{run.stations} stations, less than half of what is usual here"
        found["thin"] = Signal("short", text)
    if "clock" in run.flags:
        text = "it differs from the feed's Date header by more than two minutes"
        found["clock"] = Signal("clock", text)
    if "partial" in run.flags and not any(n.kind == "partial" for n in run.notices):
        text = "some stations or a part of the feed could not be read"
        found["partial"] = Signal("partial", text)
    return found


def missed(
    seen: Slot,
    run: Run,
    interval: int,
    filled: Iterable[Slot],
    runs: Sequence[SeenRun],
) -> Signal | None:
    """Return the sign of the slots between *seen* and that of *run* left empty.

    *seen* is the latest slot that was told of, *filled* are slots with a block,
    *runs* those of the slots between, and the one before.
    """
    between = range((seen // interval + 1) * interval, run.slot, interval)
    there = set(filled)
    empty = [Slot(each) for each in between if each not in there]
    if not empty:
        return None
    known = SeenRuns([*(runs or [SeenRun(seen, seen)]), _as_seen(run)])
    causes = [_cause(slot, known, interval) for slot in empty]
    words = list(dict.fromkeys(causes))
    return Signal(
        words[0] if len(words) == 1 else "several",
        "; ".join(f"{causes.count(word)} x {meaning(word) or word}" for word in words),
        lost=len(empty),
        over=True,
        since=empty[0],
        until=empty[-1],
    )


def _as_seen(run: Run) -> SeenRun:
    outcome = run.outcome.value if run.outcome else ""
    started, boot = run.started, (run.boot_id, run.uptime, run.awake)
    return SeenRun(run.slot, started, outcome, run.cause, *boot)


def _cause(slot: Slot, runs: SeenRuns, interval: int) -> str:
    """Return why *slot* has no block, as a report would."""
    run = runs.last(slot)
    return cause_of(run) if run else runs.unstarted(slot, interval)


def _and_killed(missed: Signal | None, run: Run) -> Signal:
    """Return the sign of *run*, which was killed, and of what was *missed* before."""
    killed = Signal(
        "killed",
        run.error,
        lost=0 if run.accepted else 1,
        over=True,
        since=run.slot,
        until=run.slot,
    )
    if missed is None:
        return killed
    return killed._replace(
        cause=missed.cause if missed.cause == "killed" else "several",
        text=f"{missed.text}; {killed.text}",
        lost=missed.lost + killed.lost,
        since=missed.since,
    )
