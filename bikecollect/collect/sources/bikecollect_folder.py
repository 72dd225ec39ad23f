"""Another bikecollect's folder: its committed blocks, from its CSVs and its archive.

Its files are those of strangers: see `foreign_ledger`, `foreign_segments`,
`foreign_days`, and `plausible` for what is believed of their values.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from bikecollect.collect.sources import Foreign
from bikecollect.collect.sources.foreign_days import archived
from bikecollect.collect.sources.foreign_ledger import blocks, has_ledger
from bikecollect.collect.sources.foreign_segments import Segments, scanned
from bikecollect.collect.sources.plausible import Plausible
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot
from bikecollect.core.text import visible
from bikecollect.storage.files.scratch import scratch


@dataclass
class FolderSource:
    """The system's *folder* of another bikecollect; *interval* is ours.

    Nothing after *now* (epoch seconds) is believed.
    """

    folder: Path
    interval: int
    now: float
    judge: Plausible = field(init=False)

    def __post_init__(self) -> None:
        """Begin without anything that was left out."""
        self.judge = Plausible(self.now)

    @property
    def label(self) -> str:
        """What it is, and where."""
        return f"bikecollect {visible(str(self.folder))}"

    @property
    def bad(self) -> int:
        """How many rows, blocks or days could not be read."""
        return self.judge.bad

    @property
    def odd(self) -> int:
        """How many values cannot be, and were left empty."""
        return self.judge.odd

    def snapshots(self) -> Iterator[Foreign]:
        """Yield its snapshots, the oldest first; damaged blocks are left out.

        Its interval may be another: of several blocks in a slot of ours, the first.
        """
        self.judge = Plausible(self.now)
        with scratch() as aside:
            try:
                live = self._live(aside)
                days = archived(self.folder, aside, self.judge)
                both = heapq.merge(live, days, key=_slot)
                for slot, members in groupby(both, key=self._ours):
                    whole = next((each for each in members if each.statuses), None)
                    if whole is not None:
                        yield whole._replace(slot=slot)
            except OSError as error:
                raise StorageError(f"cannot read {self.folder}: {error}") from error

    def _ours(self, foreign: Foreign) -> Slot:
        return Slot(foreign.slot // self.interval * self.interval)

    def _live(self, aside: Path) -> Iterator[Foreign]:
        places = (
            blocks(self.folder, aside)
            if has_ledger(self.folder)
            else ((slot, *span) for slot, span in scanned(self.folder, self.judge))
        )
        with Segments(self.folder, self.judge) as segments:
            for place in places:
                found = segments.snapshot(*place)
                if found is not None:
                    yield found


def _slot(foreign: Foreign) -> Slot:
    return foreign.slot
