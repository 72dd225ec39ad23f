"""Rows of the page Collection: runs, incidents, causes and gaps."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bikecollect.core.causes import meaning
from bikecollect.core.incidents import KINDS, Incident
from bikecollect.core.run import Run
from bikecollect.core.slots import HOUR
from bikecollect.core.timeline.grid import Grid
from bikecollect.reports.coverage import Account
from bikecollect.reports.runner import Answer

ENDS = ("good", "skipped", "partial or stale", "failed")
FLAWED = frozenset({"stale", "partial", "short"})


def runs(runs: Iterable[Run]) -> Answer:
    """Return a row per run; ``kind`` is one of `ENDS`, ``seconds`` its duration."""
    columns = ["slot", "outcome", "cause", "seconds", "rows", "attempts", "kind"]
    rows = [
        (
            run.slot,
            _outcome(run),
            run.cause,
            sum(run.seconds.values()),
            run.rows,
            len(run.attempts),
            kind(run),
        )
        for run in runs
    ]
    return Answer(columns, rows)


def scale_top(answer: Answer) -> float | None:
    """Return where the axis of seconds is to be cut for the runs in *answer*.

    A few runs that waited for a feed in vain take minutes, and would flatten all
    others. The axis ends at twice the length that nine of ten good runs keep within;
    None if no run is more than twice as long as that.

    >>> columns = ["kind", "seconds"]
    >>> scale_top(Answer(columns, [("good", 0.5), ("good", 0.6), ("failed", 145.0)]))
    1.0
    >>> scale_top(Answer(columns, [("good", 0.5), ("failed", 1.5)])) is None
    True
    """
    kinds, seconds = map(answer.columns.index, ("kind", "seconds"))
    lengths = sorted(row[seconds] for row in answer.rows)
    good = sorted(row[seconds] for row in answer.rows if row[kinds] == ENDS[0])
    usual = good or lengths
    top = float(f"{2 * usual[(len(usual) - 1) * 9 // 10]:.2g}") if usual else 0.0
    return top if 0 < 2 * top < lengths[-1] else None


def kind(run: Run) -> str:
    """Return how *run* ended, as one of `ENDS`."""
    if run.exit_code:
        return "failed"
    if FLAWED & set(run.flags):
        return "partial or stale"
    return "good" if _outcome(run) == "collected" else "skipped"


def _outcome(run: Run) -> str:
    return run.outcome.value if run.outcome else "running"


def incidents(incidents: Iterable[Incident], grid: Grid) -> Answer:
    """Return a row per incident: open ones, without ``until``, then the newest.

    As in mails and gaps, it ends with its last slot of *grid*: it is closed later.
    """
    columns = ["what", "since", "until", "slots", "lost", "text"]
    rows = [
        (
            KINDS[incident.kind].title if incident.kind in KINDS else incident.kind,
            incident.opened,
            None if incident.closed is None else grid.next(incident.last),
            incident.slots,
            incident.lost,
            incident.text,
        )
        for incident in incidents
    ]
    return Answer(columns, sorted(rows, key=_open_then_newest, reverse=True))


def _open_then_newest(row: Sequence[Any]) -> tuple[bool, int]:
    _, since, until, *_ = row
    return until is None, since


def causes(account: Account, say: Callable[[str], str] = meaning) -> Answer:
    """Return the missing slots by cause, with their hours and the cause's meaning."""
    seconds: Counter[str] = Counter()
    for gap in account.gaps:
        seconds[gap.cause] += gap.end - gap.start
    rows = [
        (cause, slots, seconds[cause] / HOUR, say(cause))
        for cause, slots in account.causes.items()
    ]
    return Answer(["cause", "slots", "hours", "meaning"], rows)


def gaps(account: Account, say: Callable[[str], str] = meaning) -> Answer:
    """Return a row per gap, the newest first."""
    columns = ["first_slot", "until", "slots", "hours", "cause", "meaning"]
    rows = [
        (
            gap.start,
            gap.end,
            gap.slots,
            (gap.end - gap.start) / HOUR,
            gap.cause,
            say(gap.cause),
            gap.fillable,
        )
        for gap in reversed(account.gaps)
    ]
    return Answer([*columns, "can_be_filled"], rows)
