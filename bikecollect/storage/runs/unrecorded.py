"""Causes of slots whose runs could not be recorded, by the incidents of a ledger."""

from collections.abc import Sequence

from bikecollect.core.causes import Cause, KnownCause
from bikecollect.core.incidents import LATEST_ONLY, RUNS_LOST, Incident
from bikecollect.core.slots import Slot
from bikecollect.storage.ledger_reader import History

SILENCING = frozenset({"disk", "folder", "ledger", "settings"})
"""Kinds of incidents during which a run may be unable to record itself."""
FAILED = frozenset({"deferred", "disk", "settings"})
"""Outcomes of runs that could not write."""
UNSTARTED = frozenset({Cause.HOST_OFF, Cause.ASLEEP})
"""Causes of slots in which no run can have been started."""
LAST = (
    "SELECT max(slot) FROM (SELECT max(slot) AS slot FROM runs WHERE slot < ?"
    " UNION ALL SELECT max(last) FROM packed_runs WHERE last < ?)"
)


def causes(
    history: History, since: Slot, more: Sequence[Incident] = ()
) -> tuple[list[KnownCause], list[KnownCause]]:
    """Return the causes known since *since* of failed runs, and of unrecorded ones.

    They are those of the incidents in the ledger, and of *more*. Raises StorageError.
    """
    every = [*history.incidents(since), *more]
    failing = [i for i in every if i.kind in SILENCING]
    silencing = [_by_kind(i) for i in failing if _has_unrecorded_slots(history, i)]
    if silencing:
        silencing = [*filter(None, map(_unstarted, every)), *silencing]
    for cause in (Cause.OLDER_FOLDER, Cause.UNKNOWN):  # in place of their kind
        restored = [i for i in every if i.causes.keys() == {cause}]
        silencing += [KnownCause(cause, i.opened, i.last) for i in restored]
    silencing += [_runs_lost(history, i) for i in every if RUNS_LOST in i.causes]
    return [*map(_by_kind, failing)], silencing


def _by_kind(incident: Incident) -> KnownCause:
    return KnownCause(incident.kind, incident.opened, incident.last)


def _unstarted(incident: Incident) -> KnownCause | None:
    """Return the cause of the slots of *incident*, in which no run was started.

    The run after them knew when the last one before had been, though neither could be
    recorded. None if it is about something else, or not all its slots are known.
    """
    cause, *others = incident.causes or ("",)
    if incident.kind != "missed" or others or incident.text.startswith(LATEST_ONLY):
        return None
    is_sure = cause in UNSTARTED
    return KnownCause(cause, incident.opened, incident.last) if is_sure else None


def _runs_lost(history: History, incident: Incident) -> KnownCause:
    """Return the cause of the slots whose runs were lost, for the rebuilt ledger.

    They are those since the last run that is known, as from the archive.
    """
    ((last,),) = history.select(LAST, incident.opened, incident.opened)
    begin, end = Slot((last or 0) + 1), Slot(incident.opened - 1)
    return KnownCause(Cause.UNKNOWN, begin, end)


def _has_unrecorded_slots(history: History, incident: Incident) -> bool:
    """Return whether a bad slot of *incident* may have no run in the ledger.

    An incident with relapses also spans good slots. If all its bad slots have a run, it
    is not the cause of slots without one.
    """
    names, end = ("slot", "notices", "outcome", "cause"), Slot(incident.last + 1)
    rows = history.run_rows(names, incident.opened, end)
    recorded = {row[0] for row in rows if _is_of(incident.kind, *row[1:])}
    return len(recorded) < incident.slots


def _is_of(kind: str, notices: str, outcome: str, cause: str) -> bool:
    """Return whether a run has observed a problem of the *kind*.

    Runs from another ledger have no *notices*, only their *outcome* and its *cause*.
    """
    # Notices are JSON: within a text, quotes would be escaped.
    return f'"{kind}"' in notices or (outcome in FAILED and kind in {outcome, cause})
