"""Find adopted blocks that have fewer rows than the kept payload of their slot."""

from collections.abc import Callable

from bikecollect.collect.only import Only
from bikecollect.collect.reading.trial import PayloadTrial
from bikecollect.core.slots import Slot
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.payload_store import Payloads, slot_of
from bikecollect.storage.recovery import ADOPTED

SUSPECTS = (
    "SELECT slot, rows FROM blocks"
    " WHERE source = ? AND rows < (SELECT max(rows) FROM blocks)"
)


def shortened(
    history: History,
    payloads: Payloads,
    trial: PayloadTrial,
    only: Only,
    interrupted: Callable[[], None],
) -> set[Slot]:
    """Return the slots whose block was adopted without some rows of its payload.

    Without its ledger nothing else tells that a program has removed lines of a CSV.
    With a filter *only* the rows of a payload are not those of its block: none is
    compared. *interrupted* is called between two payloads.
    """
    rows = {} if only else dict(history.select(SUSPECTS, ADOPTED))
    counts: dict[Slot, list[int]] = {}
    for name, day in payloads.kept().items() if rows else ():
        slot = slot_of(name)
        if slot in rows:
            interrupted()
            counts.setdefault(slot, []).append(trial.rows(payloads.path(name, day)))
    return {slot for slot, found in counts.items() if rows[slot] < min(found)}
