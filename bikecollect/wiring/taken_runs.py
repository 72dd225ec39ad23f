"""Take over from another bikecollect why slots are missing before our first run."""

from contextlib import closing

from bikecollect.archive.archived_days import ArchivedDays
from bikecollect.collect.filling.foreign_runs import checked
from bikecollect.collect.sources.bikecollect_folder import FolderSource
from bikecollect.collect.sources.plausible import Plausible
from bikecollect.core.process import Times
from bikecollect.core.slots import Slot
from bikecollect.setup.settings import Settings
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.lock import Breather
from bikecollect.storage.runs.ends import FIRST_RUN
from bikecollect.wiring.history import system_lock


def take_over_runs(
    settings: Settings,
    name: str,
    source: FolderSource,
    times: Times,
    span: tuple[Slot, Slot],
) -> int:
    """Write the runs of *source* in *span* before our first run; return their number.

    Without them, nothing is known of the missing slots there: collection had not
    started yet, or the ledger was lost. The newest runs are first, and none is left out
    in between: if the call is interrupted, or a day cannot be read, the next one
    continues. The archived days of these runs are archived again.
    """
    system = settings.system_folder(name)
    ((first,),) = History(name, system.path).select(FIRST_RUN) or [(None,)]
    now = times.clock()
    end = now if first is None else first
    if span[1] <= end:
        return 0  # nothing is known between these runs and ours
    judge, taken = Plausible(now), 0
    ledger, breathe = Ledger(system.ledger), Breather(times.stop, times.monotonic)
    for batch in source.runs():
        times.stop.raise_if_set()
        runs = [run for row in batch if (run := checked(row, judge.is_time))]
        runs = [run for run in runs if span[0] <= run[1] < end]
        if runs:
            with system_lock(system, times).held(), closing(ledger):
                ledger.open()
                taken += ArchivedDays(ledger).add_runs(runs, system.zone)
            breathe()
    return taken
