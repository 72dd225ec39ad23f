"""The folder of another bikecollect: committed blocks from its CSVs and its archive.

Its files are untrusted: see `foreign_ledger`, `foreign_segments`, `foreign_days`, and
`plausible` for the values that are accepted.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from bikecollect.collect.sources import ForeignSnapshot
from bikecollect.collect.sources.foreign_days import archived
from bikecollect.collect.sources.foreign_ledger import blocks, has_ledger
from bikecollect.collect.sources.foreign_segments import Segments, scanned
from bikecollect.collect.sources.plausible import Plausible
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot
from bikecollect.core.text import visible
from bikecollect.core.timeline.grid import Grid
from bikecollect.storage.files.scratch import scratch


@dataclass
class FolderSource:
    """The system's *folder* of another bikecollect; *grid* is ours.

    Snapshots after *now* (epoch seconds) are skipped. *address* is where the folder was
    copied from.
    """

    folder: Path
    grid: Grid
    now: float
    address: str = ""
    judge: Plausible = field(init=False)

    def __post_init__(self) -> None:
        """Start with zero skipped rows and values."""
        self.judge = Plausible(self.now)

    @property
    def label(self) -> str:
        """Kind and path of the archive, or its address."""
        return f"bikecollect {visible(self.address or str(self.folder))}"

    @property
    def has_flags(self) -> bool:
        """Whether it has a ledger, which knows the flags."""
        return has_ledger(self.folder)

    @property
    def bad(self) -> int:
        """Number of rows, blocks or days that could not be read."""
        return self.judge.bad

    @property
    def odd(self) -> int:
        """Number of implausible values that were left empty."""
        return self.judge.odd

    def snapshots(self) -> Iterator[ForeignSnapshot]:
        """Yield the snapshots, oldest first; damaged blocks are skipped.

        Its interval may differ: of several blocks in a slot of ours, the first counts.
        """
        self.judge = Plausible(self.now)
        with scratch() as scratch_folder:
            try:
                open_days = self._open_days(scratch_folder)
                days = archived(self.folder, scratch_folder, self.judge)
                merged = heapq.merge(open_days, days, key=_slot)
                for slot, group in groupby(merged, key=self._our_slot):
                    snapshot = next((s for s in group if s.statuses), None)
                    if snapshot is not None:
                        yield snapshot._replace(slot=slot)
            except OSError as error:
                raise StorageError(f"cannot read {self.folder}: {error}") from error

    def _our_slot(self, foreign: ForeignSnapshot) -> Slot:
        return self.grid.floor(foreign.slot)

    def _open_days(self, scratch_folder: Path) -> Iterator[ForeignSnapshot]:
        spans = (
            blocks(self.folder, scratch_folder)
            if has_ledger(self.folder)
            else (
                (slot, *span, None, "")
                for slot, span in scanned(self.folder, self.judge)
            )
        )
        with Segments(self.folder, self.judge) as segments:
            for slot, *span, updated, flags in spans:
                snapshot = segments.snapshot(slot, *span, updated=updated, flags=flags)
                if snapshot is not None:
                    yield snapshot


def _slot(foreign: ForeignSnapshot) -> Slot:
    return foreign.slot
