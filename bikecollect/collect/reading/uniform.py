"""Judge feeds that give all stations the time of the feed as their last report.

Such reports (of Vienna, for example) are new even if the source has
stopped: the content is compared, as of feeds without any report.
"""

from functools import partial
from typing import TYPE_CHECKING

from bikecollect.collect.reading import staleness
from bikecollect.collect.reading.jumps import has_jumped
from bikecollect.core.payload import Payload
from bikecollect.core.snapshot import StationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bikecollect.storage.csv_store import Store
    from bikecollect.storage.ledger import Ledger

NOTE = "bikecollect.content"
"""The ledger's note of the content."""
REPORTED = StationStatus._fields.index("last_reported")


def judge(
    payload: Payload,
    statuses: "Sequence[StationStatus]",
    notes: "Mapping[str, str]",
    interval: int,
    *,
    ledger: "Ledger",
    store: "Store",
) -> tuple[bool, dict[str, str]]:
    """Return whether *statuses* have not changed for too long, and the note to store.

    *notes* are those of *ledger*. Their reports do not count.
    """
    slot = payload.slot
    if not ledger.is_newest(slot) or not staleness.is_open(statuses):
        return False, {}
    is_stale, note = staleness.judge_content(
        [row[:REPORTED] + row[REPORTED + 1 :] for row in statuses],
        payload,
        notes.get(NOTE, ""),
        interval,
        jumped=partial(has_jumped, statuses, slot, ledger, store),
    )
    return is_stale, {NOTE: note}
