"""The result of a backfill for a slot."""

from collections.abc import Mapping
from typing import NamedTuple

from bikecollect.core.errors import Outcome
from bikecollect.core.slots import Slot

FILLED, MISREAD = "filled", "not understood"
STALE_HERE, STALE_THERE = "stale here", "stale there"
WHAT: Mapping[Outcome | None, str] = {
    Outcome.COLLECTED: FILLED,
    Outcome.DUPLICATE: "there",
}
"""The result by the outcome of the commit; any other is "not understood"."""


class Filling(NamedTuple):
    """The result for a slot: *what* was done, and *why* it was not filled.

    *what* is filled, there (it had a block already), not understood, left (its payload
    was fetched while the clock was wrong), or stale here or there: only one of the two
    archives has a fresh block. *is_vehicles* is set if only the vehicles of the slot
    were filled.
    """

    slot: Slot
    day: str
    origin: str
    what: str
    rows: int = 0
    why: str = ""
    is_vehicles: bool = False

    def of_vehicles(self, rows: int) -> "Filling":
        """Return that only the vehicles of the slot were filled, with *rows*."""
        return self._replace(what=FILLED, rows=rows, is_vehicles=True)
