"""Daily files that other programs removed: which they are, and the remedy."""

from bikecollect.storage.csv_store import is_segment
from bikecollect.storage.data_folder import PAYLOADS, SystemFolder
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.ledger_schema import file_day
from bikecollect.storage.repair import (
    SLOTS,
    count_kept,
    folder_of_system,
    kept_payloads,
    remedy_of_missing,
)

PRESENT = (
    "SELECT file FROM files WHERE damaged = 0"
    f" AND {file_day()} NOT IN (SELECT day FROM archives)"
)
"""The files that are needed: the rows of the others are in the archive."""


def find(system: SystemFolder, history: History) -> list[str]:
    """Return the missing files that the ledger does not know to be damaged yet."""
    if not _absent(system, history):
        return []
    # Meanwhile `compact` may have removed files, after it had recorded that.
    return _absent(system, History(system.system_id, system.path))


def _absent(system: SystemFolder, history: History) -> list[str]:
    files = (file for (file,) in history.select(PRESENT) if is_segment(file))
    return sorted(file for file in files if not (system.path / file).exists())


def remedy(system: SystemFolder, file: str, history: History) -> str:
    """Return how to get back the missing *file* of *system*, or of its vehicles.

    *history* is that of the ledger that has its slots.
    """
    slots = [slot for (slot,) in history.select(SLOTS, file)]
    kept = kept_payloads(folder_of_system(system.path) / PAYLOADS)
    return remedy_of_missing(system.system_id, file, kept, slots, system.mirror)


def kept_of_day(system: SystemFolder, day: str) -> str:
    """Return how many slots of *day* have a kept payload: "3 of 4", empty for none."""
    slots = History(system.system_id, system.path).slots_of(day)
    count = count_kept(kept_payloads(system.payloads, day), slots)
    return f"{count} of {len(slots)}" if count else ""
