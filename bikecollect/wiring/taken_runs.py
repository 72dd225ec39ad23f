"""Take over the runs of another bikecollect: the causes of missing slots."""

from collections.abc import Mapping
from itertools import chain

from bikecollect.archive.archived_days import opened_days
from bikecollect.collect.filling.foreign_runs import checked, checked_incident
from bikecollect.collect.sources.bikecollect_folder import FolderSource
from bikecollect.collect.sources.plausible import Plausible
from bikecollect.core.process import Times
from bikecollect.core.slots import Slot
from bikecollect.setup.settings import Settings
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_reader import BEGINNING, END, History
from bikecollect.storage.lock import Breather
from bikecollect.wiring.history import system_lock


def take_over_runs(
    settings: Settings,
    name: str,
    source: FolderSource,
    times: Times,
    span: tuple[Slot, Slot],
) -> int:
    """Write the runs of *source* in *span* that are missing; return their number.

    Without them, nothing is known of the missing slots there: collection had not
    started yet, or the ledger was lost. If *source* has collected beside us, only those
    before our first run are taken: later slots are missing here for our reasons. Runs
    here that are those of *source* were taken over before, or came with its archive.
    The archived days of the new runs are archived again. Incidents are taken over, too,
    if they are the cause of slots without a run: these were lost with an earlier folder
    or ledger, or could not be recorded.
    """
    system = settings.system_folder(name)
    now = times.clock()
    ours = _known(History(name, system.path))
    own, is_beside = _own(ours, source) if ours else (set[Slot](), False)
    end = min(own) if is_beside else END
    judge, taken = Plausible(now), 0
    ledger, breathe = Ledger(system.ledger), Breather(times.stop, times.monotonic)
    for batch in source.runs():
        times.stop.raise_if_set()
        runs = [run for row in batch if (run := checked(row, judge.is_time))]
        runs = [run for run in runs if span[0] <= run[1] < min(end, span[1])]
        runs = [run for run in runs if run[0] not in ours and run[1] not in own]
        if runs:
            with opened_days(system_lock(system, times), ledger) as archived_days:
                taken += archived_days.add_runs(runs, system.zone)
            breathe()
    _take_over_incidents(system, source, judge, span, end)
    return taken


def _take_over_incidents(
    system: SystemFolder,
    source: FolderSource,
    judge: Plausible,
    span: tuple[Slot, Slot],
    end: Slot,
) -> None:
    """Write the incidents in *source*, of slots before *end*, that touch *span*.

    Without them, slots that were lost before would seem never to have been collected,
    and those of a full disk never to have been started.
    """
    history = History(system.system_id, system.path)
    known = {incident.incident_id for incident in history.incidents(BEGINNING)}
    incidents = (checked_incident(row, judge.is_time) for row in source.incidents())
    AlertLedger(system.ledger).save(
        incident._replace(last=min(incident.last, Slot(end - 1)))
        for incident in incidents
        if incident is not None
        and incident.incident_id not in known
        and incident.opened < min(end, span[1])
        and incident.last >= span[0]
    )


def _own(ours: Mapping[str, Slot], source: FolderSource) -> tuple[set[Slot], bool]:
    """Return the slots of the runs that only we have, and whether *source* ran beside.

    A machine that replaces another may have a slot in common with it.
    """
    theirs, slots = set[str](), set[int]()
    for batch in source.runs():
        theirs |= ours.keys() & {row[0] for row in batch}
        slots |= {row[1] for row in batch}
    own = {slot for run, slot in ours.items() if run not in theirs}
    return own, len(own & slots) > 1


def _known(history: History) -> dict[str, Slot]:
    """Return the slot of each run here, by its id."""
    rows = history.select("SELECT run_id, slot FROM runs")
    old = history.packed_runs(BEGINNING, END, ("run_id", "slot"))
    return {row[0]: row[1] for row in chain(rows, old)}
