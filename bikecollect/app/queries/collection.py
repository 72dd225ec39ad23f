"""Runs and gaps as figures draw them: how each run ended, and what each gap means."""

from collections.abc import Iterable

from bikecollect.core.causes import meaning
from bikecollect.core.incidents import KINDS, Incident
from bikecollect.core.run import Run
from bikecollect.reports.coverage import Account
from bikecollect.reports.runner import Answer

ENDS = ("good", "skipped", "partial or stale", "failed")
FLAWED = frozenset({"stale", "partial", "short"})


def runs(found: Iterable[Run]) -> Answer:
    """Return a row a run; ``kind`` is one of `ENDS`, ``seconds`` all of its stages."""
    columns = ["slot", "outcome", "cause", "seconds", "rows", "attempts", "kind"]
    rows = [
        (
            *(run.slot, _outcome(run), run.cause, sum(run.seconds.values())),
            *(run.rows, len(run.attempts), kind(run)),
        )
        for run in found
    ]
    return Answer(columns, rows)


def kind(run: Run) -> str:
    """Return how *run* ended, as one of `ENDS`."""
    if run.exit_code:
        return "failed"
    if FLAWED & set(run.flags):
        return "partial or stale"
    return "good" if _outcome(run) == "collected" else "skipped"


def _outcome(run: Run) -> str:
    return run.outcome.value if run.outcome else "running"


def incidents(found: Iterable[Incident]) -> Answer:
    """Return a row an incident, the newest first; open ones have no ``until``."""
    columns = ["what", "since", "until", "slots", "lost", "text"]
    rows = [
        (
            KINDS[each.kind].title if each.kind in KINDS else each.kind,
            *(each.opened, each.closed, each.slots, each.lost, each.text),
        )
        for each in found
    ]
    return Answer(columns, sorted(rows, key=lambda row: row[1], reverse=True))


def causes(account: Account) -> Answer:
    """Return the missing slots by their cause, and what it means."""
    rows = [(cause, slots, meaning(cause)) for cause, slots in account.causes.items()]
    return Answer(["cause", "slots", "meaning"], rows)


def gaps(account: Account) -> Answer:
    """Return a row a gap, the newest first."""
    columns = ["first_slot", "until", "slots", "cause", "meaning"]
    rows = [
        (
            *(gap.start, gap.end, gap.slots, gap.cause, meaning(gap.cause)),
            *(gap.backfillable, gap.origin),
        )
        for gap in reversed(account.gaps)
    ]
    return Answer([*columns, "backfillable", "origin"], rows)
