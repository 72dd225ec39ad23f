"""The signal that a new history was begun, and the earlier data are elsewhere."""

from collections.abc import Iterable
from pathlib import Path

from bikecollect.core.incidents import ELSEWHERE, Incident, Signal
from bikecollect.core.slots import DAY, HOUR, Slot
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.files import known_folders
from bikecollect.storage.repair.new_history import RECENT, text_of


def of_new_history(
    system: SystemFolder,
    slot: Slot,
    namesakes: Iterable[Path],
    ledger: AlertLedger,
    incidents: Iterable[Incident],
) -> Signal | None:
    """Return the signal if the data of *system* were in one of *namesakes* until now.

    It is given in the first day, unless one of *incidents* was about that, and after an
    hour without a run there: both may be collected, and that is meant.
    """
    was_told = any(ELSEWHERE in incident.causes for incident in incidents)
    if was_told or not ledger.begins_with(Slot(slot - DAY)):
        return None
    other = known_folders.latest(namesakes)
    if other is None or not HOUR <= slot - other.until <= RECENT:
        return None
    last = system.grid.floor(other.until)
    if not ledger.begins_with(last):
        return None
    since = system.grid.next(last)
    text = text_of(system, other)
    return Signal(ELSEWHERE, text, over=True, since=since, until=slot)
