"""Find adopted blocks that have fewer rows than the kept payload of their slot."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress

from bikecollect.collect.only import Only
from bikecollect.collect.reading.trial import PayloadTrial
from bikecollect.core.slots import Slot
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.payload_store import Payloads, slot_of
from bikecollect.storage.recovery import ADOPTED

NOTE = "bikecollect.compared"
"""The ledger's note of the adopted blocks that lack nothing, as a list of slots."""
SUSPECTS = (
    "SELECT slot, rows FROM blocks"
    " WHERE source = ? AND rows < (SELECT max(rows) FROM blocks)"
)


def shortened(
    history: History,
    payloads: Payloads,
    trial: PayloadTrial,
    only: Only,
    *,
    interrupted: Callable[[], None],
    remember: Callable[[Mapping[str, str]], None],
) -> set[Slot]:
    """Return the slots whose block was adopted without some rows of its payload.

    Without its ledger nothing else tells that a program has removed lines of a CSV.
    With a filter *only* the rows of a payload are not those of its block: none is
    compared. *interrupted* is called between two payloads. *remember* stores the note
    of those that need not be compared again.
    """
    rows = {} if only else dict(history.select(SUSPECTS, ADOPTED))
    known = _compared(history) if rows else set()
    counts: dict[Slot, list[int]] = {}
    for name, day in payloads.kept().items() if rows else ():
        slot = slot_of(name)
        if slot in rows and slot not in known:
            interrupted()
            counts.setdefault(slot, []).append(trial.rows(payloads.path(name, day)))
    whole = {slot for slot, found in counts.items() if 0 < min(found) <= rows[slot]}
    if whole:
        remember({NOTE: json.dumps(sorted(whole | (known & rows.keys())))})
    return {slot for slot, found in counts.items() if rows[slot] < min(found)}


def _compared(history: History) -> set[int]:
    with suppress(ValueError, TypeError):
        for (note,) in history.select("SELECT value FROM memory WHERE key = ?", NOTE):
            return set(json.loads(note))
    return set()
