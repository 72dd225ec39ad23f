"""Pack the runs of days archived long ago, and shrink the ledger."""

import logging
from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import tzinfo

from bikecollect.core.errors import StorageError
from bikecollect.core.slots import CLOCK_FLOOR, EARLIEST, LATEST, Slot, bounds, day_of
from bikecollect.storage.files.durable import leave_reserve
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.runs import packed

log = logging.getLogger(__name__)

BATCH = 31
"""Maximum days that are packed while the lock is held."""
MAX_FREE = 8 * 1024 * 1024
"""Unused bytes from which the ledger is rewritten."""
FIRST_RUN = "SELECT min(slot) FROM runs WHERE slot >= ? AND slot < ?"
NEWEST_RUN = f"SELECT max(slot) FROM runs WHERE slot BETWEEN {EARLIEST} AND {LATEST}"


@dataclass(frozen=True, eq=False, repr=False)
class RunPacker:
    """Packs runs in *ledger*, which is open, by the days of *zone*.

    Raises StorageError. Each day is one transaction: if the process is killed, a day is
    either packed or unchanged, and the next call continues.
    """

    ledger: Ledger
    zone: tzinfo

    def pack(self, archived: Container[str], now: float) -> bool:
        """Pack the *archived* days that are old; return whether there may be more.

        A day is old if it ended five weeks before *now* and before the newest run: the
        runs that alerts read stay unpacked, also after a long outage.
        """
        days = list(self._old_days(archived, now))
        for day in days[:BATCH]:
            begin, end = bounds(day, self.zone)
            with self.ledger.transaction() as db:
                count = packed.pack(db, day, begin, end)
            log.debug("%s: %d runs packed", day, count)
        return len(days) > BATCH

    def shrink(self) -> None:
        """Rewrite the ledger if a quarter is unused, and the disk has the space."""
        size, pages, free = (
            self.ledger.all(f"PRAGMA {name}")[0][0]
            for name in ("page_size", "page_count", "freelist_count")
        )
        if free * size < MAX_FREE or free * 4 < pages:
            return
        try:
            with self.ledger.translated():
                leave_reserve(self.ledger.folder, 2 * (pages - free) * size)
                self.ledger.opened().execute("VACUUM")
        except StorageError as error:
            log.warning("the ledger keeps its unused space: %s", error)

    def _old_days(self, archived: Container[str], now: float) -> Iterator[str]:
        ((newest,),) = self.ledger.all(NEWEST_RUN)
        limit = int(min(now, newest or 0)) - packed.RECENT
        begin = max(EARLIEST, CLOCK_FLOOR)
        while True:
            ((slot,),) = self.ledger.all(FIRST_RUN, begin, limit)
            if slot is None:
                return
            day = day_of(Slot(slot), self.zone)
            begin = bounds(day, self.zone)[1]
            if begin <= limit and day in archived:
                yield day
