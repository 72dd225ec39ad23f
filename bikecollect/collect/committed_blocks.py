"""The committed blocks of one dataset: which slots have one, which are damaged."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bikecollect.core.blocks import Span
from bikecollect.core.slots import Slot, has_flag_sql
from bikecollect.storage.csv_store import Store
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.ledger_schema import GONE, file_day
from bikecollect.storage.recovery import ADOPTED

SPANS = (
    'SELECT slot, file, start, "end", crc32 FROM blocks WHERE file NOT IN'
    " (SELECT file FROM files WHERE damaged = ?) ORDER BY slot"
)
STALE = "stale"
STALE_BLOCKS = (
    f"SELECT slot, {file_day()} IN (SELECT day FROM archives) FROM blocks"
    f" WHERE {has_flag_sql('flags', STALE)}"
)


@dataclass(eq=False, repr=False)
class CommittedBlocks:
    """The blocks in *history*; *store* has their files, *ledger* their records.

    *damaged* are the slots whose block does not match its checksum, or is *shortened*:
    *find_shortened* returns those whose block was adopted without some of its rows.
    """

    history: History
    store: Store
    ledger: Ledger
    find_shortened: Callable[[], set[Slot]] = set
    damaged: set[Slot] = field(default_factory=set)
    shortened: set[Slot] = field(default_factory=set)

    def read(self) -> set[Slot]:
        """Find damaged blocks; return the slots that have an undamaged block."""
        self.shortened = self.find_shortened()
        self.damaged = {s for s, span in self.spans() if not self._is_whole(span)}
        self.damaged |= self.shortened
        slots = {slot for (slot,) in self.history.select("SELECT slot FROM blocks")}
        return slots - self.damaged

    def spans(self) -> Iterator[tuple[Slot, Span]]:
        """Yield slot and span of the blocks whose CSV was not removed, by slot."""
        for slot, *columns in self.history.select(SPANS, GONE):
            yield slot, Span(*columns)

    def stale(self) -> dict[Slot, bool]:
        """Return the slots whose block is stale; True if their day is archived."""
        rows = self.history.select(STALE_BLOCKS)
        return {slot: bool(is_archived) for slot, is_archived in rows}

    def release_stale(self, slot: Slot) -> None:
        """Release a stale block so that a fresh one replaces it in the ledger.

        The old rows remain in the file, outside of any block, until it is rewritten.
        """
        block = self.ledger.block(slot)
        if block and STALE in block.flags.split():
            self.ledger.release(slot)

    def release(self, slot: Slot) -> None:
        """Release a damaged block so that it is replaced; its file is unchanged.

        It is checked again: another backfill may have replaced it in the meantime.
        """
        block = self.ledger.block(slot) if slot in self.damaged else None
        is_short = block and block.source == ADOPTED and slot in self.shortened
        if block and (is_short or not self._is_whole(block.span)):
            self.ledger.mark_damaged(block.span.file)
            self.ledger.release(slot)

    def _is_whole(self, span: Span) -> bool:
        return self.store.crc(span) == span.crc
