"""Signals: the problems that a run observed, by kind of incident."""

import errno
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bikecollect.core.causes import Cause, SeenRun, meaning
from bikecollect.core.errors import Outcome
from bikecollect.core.incidents import RUNS_LOST, Incident, Signal
from bikecollect.core.run import THEN_RUN, Run
from bikecollect.core.slots import Slot
from bikecollect.core.timeline.grid import Grid
from bikecollect.storage.data_folder import MARKER, SystemFolder, is_marked
from bikecollect.storage.files import losses

if TYPE_CHECKING:
    from bikecollect.reports.coverage import Judged

UNFETCHED = frozenset(
    {Outcome.UNAVAILABLE, Outcome.RATE_LIMITED, Outcome.PROTOCOL, Outcome.CREDENTIALS}
)
UNDERSTOOD = frozenset({Outcome.COLLECTED, Outcome.DUPLICATE})
REPAIRED = frozenset({"damage", "drift", "ledger"})
"""Kinds of notices about problems that the run itself has repaired."""
NOT_ARCHIVED = "not-archived"
"""The cause of an incident about CSV files that are older than `csv_days`."""
OF_NOTICE = {
    "payload": "payload",
    "pruned": "payload",
    "columns": "settings",
    "settings": "settings",
    "not-mounted": "disk",
    "folder": "folder",
    "disk": "disk",
    "ledger": "ledger",
    RUNS_LOST: "ledger",
    "damage": "damage",
    "file-missing": "damage",
    "archived-missing": "damage",
    "file-repaired": "damage",
    "list-repaired": "damage",
    "older-copy": "damage",
    "drift": "drift",
    "zone": "zone",
    "stale": "stale",
    "clock": "clock",
    "partial": "partial",
    "implausible": "partial",
    "bug": "bug",
    "lock": "lock",
    "ledger-busy": "lock",
}
"""The kind of incident for each kind of notice."""
OF_ERROR = {
    os.strerror(errno.EACCES): "denied",
    os.strerror(errno.EISDIR): "obstacle",
    os.strerror(errno.ENOTDIR): "obstacle",
    os.strerror(errno.EEXIST): "obstacle",
    "not a regular file": "obstacle",
}
"""The causes of incidents of the disk for the errors that they name."""


def of_run(
    run: Run, missed: Signal | None, muted: Collection[str] = ()
) -> dict[str, Signal | None]:
    """Return what *run* observed, by kind: a problem, or None if there was none.

    A problem that explains another one stands for both, unless its kind is *muted*.

    *missed* is the signal for earlier slots that no run has reported. Kinds that the
    run did not observe are absent: an interrupted run observes nothing, a killed one
    only that it was killed.
    """
    if run.outcome in {Outcome.INTERRUPTED, Outcome.DRY, None}:
        return {}
    if run.outcome is Outcome.KILLED:
        signals: dict[str, Signal | None] = {
            kind: signal._replace(over=True)
            for kind, signal in _of_notices(run).items()
            if kind in REPAIRED
        }
        return signals | {"missed": _killed(missed, run)}
    signals = dict.fromkeys(_observed_kinds(run))
    signals["missed"] = missed
    signals |= _of_notices(run)
    signals |= _of_flags(run, muted)
    kind = ended_by(run)
    if kind == "ledger" and any(n.kind == "disk" for n in run.notices):
        kind = "disk"  # a full disk is one problem, whatever fails because of it
        del signals["ledger"]
    if kind == "payload" and kind not in muted:
        signals.pop("partial", None)  # what else of the same payload was not understood
    if kind:
        lost = 0 if run.accepted and run.outcome in WAITING else 1
        noticed = signals.get(kind)
        if noticed is not None and kind == "disk":
            signals[kind] = noticed._replace(lost=lost)
        else:
            text = run.error + _remedy(run) if kind == "payload" else run.error
            signals[kind] = Signal(run.cause or kind, text, lost=lost)
        if kind == "disk":
            signals[kind] = _of_disk(signals[kind])
    return signals


def dated(run: Run, started: float | None, grid: Grid) -> Run:
    """Return *run* as of the time at which it really *started*, if that is known.

    Its clock was wrong: slots are told as lost by the next run with a right clock.
    """
    if started is None:
        return run
    run = replace(run, slot=grid.at(started), started=started)
    return run.ended(Outcome.DEFERRED, "clock", run.error or CLOCK)


def _of_disk(signal: Signal | None) -> Signal | None:
    """Return *signal* with a closer cause: the disk itself may be sound."""
    if signal is None or signal.cause != "disk":
        return signal
    causes = (cause for error, cause in OF_ERROR.items() if error in signal.text)
    return signal._replace(cause=next(causes, signal.cause))


def of_loss(system: SystemFolder, slot: Slot) -> dict[str, Signal | None]:
    """Return whether the earlier data of *system* are gone, as seen in *slot*.

    Empty if that is unknown: its disk may not be mounted. The slots that an older copy
    lacks are not counted.
    """
    if not is_marked(system.path):
        return {}
    path = system.path / MARKER
    loss = losses.loss(system.system_id, path, system.zone, system.mirror)
    if loss is None:
        return {"lost": None}
    if loss.first:
        return {"lost": of_older_copy(loss)}
    since = Slot(min(loss.since, slot))
    return {"lost": Signal("earlier data", loss.text, since=since, until=slot)}


def of_older_copy(loss: losses.EarlierLoss) -> Signal:
    """Return the signal of the *loss* by an older copy of the folder."""
    until = Slot(loss.since - 1)
    return Signal(Cause.OLDER_FOLDER, loss.text, since=loss.first, until=until)


def is_older(incident: Incident) -> bool:
    """Return whether *incident* is open, and that of an older copy of the folder."""
    is_one = incident.kind == "lost" and Cause.OLDER_FOLDER in incident.causes
    return is_one and incident.is_open


def filled(incidents: tuple[Incident, ...], run: Run) -> tuple[Incident, ...]:
    """Return *incidents* after *run*; its slot is not lost if it has a block now.

    An earlier run of the same slot may have failed.
    """
    if run.outcome not in UNDERSTOOD:
        return incidents
    return tuple(incident.filled(run.slot) for incident in incidents)


def of_mail(error: str | None, rejected: Mapping[str, str]) -> dict[str, Signal | None]:
    """Return the signal of the mail server, empty if its state is unknown.

    *error* is why mails cannot be sent; *rejected* maps recipients to the server's
    reply, see `AlertState`.
    """
    if error:
        return {"mail": Signal("smtp", error)}
    if rejected:
        replies = "; ".join(
            f"{recipient} ({reply})" for recipient, reply in rejected.items()
        )
        text = (
            f"the mail server rejects {replies}; the other recipients get the mails: "
            "correct `to` or `escalate_to` in [mail] of the settings"
        )
        return {"mail": Signal("recipient", text)}
    return {} if error is None else {"mail": None}


def of_archived(incidents: Iterable[Incident]) -> dict[str, Signal | None]:
    """Return that no CSV is too old, for an open incident that is only about that.

    An incident about a `compact` that failed ends with the next one that succeeds.
    """
    causes = [i.causes.keys() for i in incidents if i.kind == "archive"]
    return {"archive": None} if causes == [{NOT_ARCHIVED}] else {}


CLOCK = "the clock differs from the feed's Date header by more than two minutes"
WAITING = frozenset({Outcome.DEFERRED, Outcome.DISK, Outcome.SETTINGS})
"""Outcomes after which an accepted payload waits in the inbox."""


def _observed_kinds(run: Run) -> Iterable[str]:
    """Yield the kinds that *run* was able to observe."""
    if run.outcome is not Outcome.OVERLOAD:
        yield from ("fetch", "overload")
    yield "bug"
    if run.outcome in {Outcome.COLLECTED, Outcome.DUPLICATE, Outcome.REJECTED}:
        yield from ("disk", "folder", "ledger", "damage", "lock", "settings")
    if run.outcome in UNDERSTOOD:
        yield from ("payload", "drift", "clock")
    if run.outcome is Outcome.COLLECTED:
        yield from ("stale", "thin", "partial")
        if "clock" not in run.flags:
            yield "zone"


def ended_by(run: Run) -> str:
    """Return the kind of incident because of which *run* failed, empty if none."""
    if run.outcome in UNFETCHED:
        return "fetch"
    if run.outcome is Outcome.REJECTED:
        return "clock" if run.cause == "clock" else "payload"
    if run.outcome in {Outcome.DEFERRED, Outcome.DISK, Outcome.SETTINGS}:
        kind = "settings" if run.outcome is Outcome.SETTINGS else "disk"
        return OF_NOTICE.get(run.cause, kind)
    return run.outcome.value if run.outcome in {Outcome.BUG, Outcome.OVERLOAD} else ""


def _of_notices(run: Run) -> dict[str, Signal]:
    """Return the signals of the notices: the first of each kind, but all of some."""
    signals: dict[str, Signal] = {}
    # A ledger that was lost explains what else was found of it.
    for notice in sorted(run.notices, key=lambda notice: notice.kind != RUNS_LOST):
        kind = OF_NOTICE.get(notice.kind)
        if kind is None:
            continue
        if kind not in signals:
            over = kind in REPAIRED and run.outcome in UNDERSTOOD
            signals[kind] = Signal(notice.kind, notice.text, over=over)
        elif kind in {"damage", "drift"} or notice.kind == "pruned":
            cause = notice.kind if notice.kind == signals[kind].cause else kind
            text = f"{signals[kind].text}\n{notice.text}"
            signals[kind] = signals[kind]._replace(cause=cause, text=text)
    if "drift" in signals:
        text = signals["drift"].text + _remedy(run)
        signals["drift"] = signals["drift"]._replace(text=text)
    return signals


def _remedy(run: Run) -> str:
    """Return the settings that *run* proposes, one per line; then, apart, a command."""
    texts = [n.text for n in run.notices if n.kind == "fields"]
    apart = (f"\n{text}" if text.startswith(THEN_RUN) else text for text in texts)
    return "".join(f"\n{text}" for text in apart)


def _of_flags(run: Run, muted: Collection[str]) -> dict[str, Signal]:
    signals = {}
    is_misread = any(notice.kind == "zone" for notice in run.notices)
    is_misread = is_misread and "zone" not in muted
    if "stale" in run.flags and not is_misread:
        text = "the feed responds, but its data are old"
        signals["stale"] = Signal("stale", text)
    if "short" in run.flags:
        text = f"{run.stations} stations, less than half of the usual number"
        signals["thin"] = Signal("short", text)
    if "clock" in run.flags:
        signals["clock"] = Signal("clock", CLOCK)
    return signals


def missed(empty: Sequence["Judged"]) -> Signal | None:
    """Return the signal for the *empty* slots that no run has reported."""
    if not empty:
        return None
    causes = [item.cause for item in empty]
    words = list(dict.fromkeys(causes))
    return Signal(
        words[0] if len(words) == 1 else "several",
        "; ".join(f"{causes.count(word)} x {meaning(word) or word}" for word in words),
        lost=len(empty),
        over=True,
        since=empty[0].slot,
        until=empty[-1].slot,
    )


def of_lost_runs(run: Run) -> list[Incident]:
    """Return the incident that *run* has rebuilt the ledger without its runs, if so."""
    is_lost = any(notice.kind == RUNS_LOST for notice in run.notices)
    incident = Incident("", "ledger", run.slot, run.slot, slots=1)
    return [incident._replace(causes={RUNS_LOST: 1})] if is_lost else []


def as_seen(run: Run) -> SeenRun:
    """Return *run* as evidence for the causes of slots."""
    outcome = run.outcome.value if run.outcome else ""
    started, boot = run.started, (run.boot_id, run.uptime, run.awake)
    return SeenRun(run.slot, started, outcome, run.cause, *boot)


def _killed(missed: Signal | None, run: Run) -> Signal:
    """Return the signal for *run*, which was killed, and the slots *missed* before."""
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
        until=killed.until if killed.lost else missed.until,
    )
