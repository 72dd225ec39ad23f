"""The folder of another bikecollect: committed blocks of its CSVs and its archive.

Its files are untrusted: see `foreign_ledger`, `foreign_segments` and `foreign_days`,
and `plausible` for the values that are accepted.
"""

import heapq
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from bikecollect.archive.datasets import LAYOUTS, STATION_LAYOUT, DatasetLayout
from bikecollect.archive.mirror.live.live_paths import LEDGERS
from bikecollect.collect.sources import (
    ForeignBlock,
    ForeignSnapshot,
    ForeignVehicles,
    Status,
)
from bikecollect.collect.sources.foreign_days import (
    READ_ERRORS,
    archived,
    archived_runs,
    certified_days,
)
from bikecollect.collect.sources.foreign_ledger import (
    blocks,
    has_ledger,
    incidents,
    machine,
    runs,
)
from bikecollect.collect.sources.foreign_rows import (
    STATION_ROWS,
    VEHICLE_ROWS,
    RowReader,
)
from bikecollect.collect.sources.foreign_segments import Segments, scanned
from bikecollect.collect.sources.plausible import Plausible
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot
from bikecollect.core.text import visible
from bikecollect.core.timeline.grid import Grid
from bikecollect.storage.data_folder import INFORMATION, VEHICLES
from bikecollect.storage.files.regular_file import list_below
from bikecollect.storage.files.scratch import scratch

LISTS = "lists"
"""The folder with further lists of stations that a copy of a mirror has."""
REPLACED = f"{LISTS}/replaced"
"""The beginning of the names of those that were replaced in the mirror."""
log = logging.getLogger(__name__)


@dataclass
class FolderSource:
    """The *folder* of a system of another bikecollect; *grid* has our slots.

    Snapshots after *now* (epoch seconds) are skipped. *address* is the origin of the
    folder if it is a copy.
    """

    folder: Path
    grid: Grid
    now: float
    address: str = ""
    judge: Plausible = field(init=False)
    listed: Plausible = field(init=False)
    are_runs_cut: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Start with zero skipped rows and values, also of lists of stations."""
        self.judge, self.listed = Plausible(self.now), Plausible(self.now)

    @property
    def label(self) -> str:
        """Kind and path of the archive, or its address."""
        return f"bikecollect {visible(self.address or str(self.folder))}"

    @property
    def has_flags(self) -> bool:
        """Whether the folder has a ledger, which contains the flags."""
        return has_ledger(self.folder)

    @property
    def bad(self) -> int:
        """Number of rows, blocks, days or lists that could not be read."""
        return self.judge.bad + self.listed.bad + self.are_runs_cut

    @property
    def odd(self) -> int:
        """Number of implausible values that were left empty."""
        return self.judge.odd + self.listed.odd

    def lists(self) -> list[str]:
        """Return the names of its lists of stations, the most important one first."""
        copies = [f"{LISTS}/{name}" for name in list_below(self.folder, LISTS)]
        names = (INFORMATION, *copies)
        return [name for name in names if os.path.lexists(self.folder / name)]

    def snapshots(self) -> Iterator[ForeignSnapshot]:
        """Yield the snapshots, oldest first; damaged blocks are skipped.

        Its interval may differ: if several blocks are in a slot of ours, the first one
        is used.
        """
        self.judge = Plausible(self.now)
        for snapshot in self._merged(self.folder, STATION_ROWS):
            if snapshot.statuses:
                yield snapshot

    def vehicles(self) -> Iterator[ForeignVehicles]:
        """Yield the vehicles, oldest first; damaged blocks are skipped."""
        return self._merged(self.folder / VEHICLES, VEHICLE_ROWS)

    def runs(self) -> Iterator[list[tuple[Any, ...]]]:
        """Yield its runs in batches, unchecked, newest first; some may come twice.

        They end where the ledger or a day cannot be read: between known runs, the slots
        of unknown ones would get wrong causes. Those of earlier ledgers come last.
        """
        with scratch() as scratch_folder:
            try:
                if has_ledger(self.folder):
                    yield from runs(self.folder, scratch_folder)
                days = sorted(certified_days(self.folder, STATION_LAYOUT))[::-1]
                yield from archived_runs(self.folder, scratch_folder, days)
                for name in list_below(self.folder, LEDGERS):
                    yield from runs(self.folder / LEDGERS / name, scratch_folder)
            except READ_ERRORS as error:
                if not self.are_runs_cut:  # they may be read twice
                    where = self.address or self.folder
                    log.warning("not all runs of %s can be read: %s", where, error)
                self.are_runs_cut = True

    def incidents(self) -> Iterator[tuple[Any, ...]]:
        """Yield its incidents, unchecked; none of a ledger that cannot be read."""
        places = [self.folder]
        with suppress(*READ_ERRORS):
            names = list_below(self.folder, LEDGERS)
            places += [self.folder / LEDGERS / name for name in names]
        for place in filter(has_ledger, places):
            with suppress(*READ_ERRORS), scratch() as scratch_folder:
                yield from incidents(place, scratch_folder)

    def _merged(
        self, place: Path, rows: RowReader[Status]
    ) -> Iterator[ForeignBlock[Status]]:
        """Yield the blocks of *rows*, of the daily files in *place* or archived."""
        with scratch() as scratch_folder:
            try:
                open_days = self._open_days(place, scratch_folder, rows)
                days = archived(self.folder, scratch_folder, self.judge, rows)
                merged = heapq.merge(open_days, days, key=_slot)
                for slot, group in groupby(merged, key=self._our_slot):
                    yield _first_with_rows(group)._replace(slot=slot)
            except OSError as error:
                raise StorageError(f"cannot read {self.folder}: {error}") from error

    def _our_slot(self, foreign: ForeignBlock[Any]) -> Slot:
        return self.grid.floor(foreign.slot)

    def _open_days(
        self, place: Path, scratch_folder: Path, rows: RowReader[Status]
    ) -> Iterator[ForeignBlock[Status]]:
        spans = self._spans(place, scratch_folder, rows.layout)
        with Segments(place, self.judge, rows) as segments:
            for slot, *values, updated, flags in spans:
                block = segments.block(slot, *values, updated=updated, flags=flags)
                if block is not None:
                    yield block

    def _spans(
        self, place: Path, scratch_folder: Path, layout: DatasetLayout
    ) -> Iterator[tuple[Any, ...]]:
        """Yield slot, span, last_updated and flags of the blocks in *place*."""
        if place.is_symlink():
            return
        if not has_ledger(place):
            for slot, span in scanned(place, self.judge, layout.rows):
                yield (slot, *span, None, "")
            return
        # A live copy in a mirror has no daily files of the days in its archive.
        left_out = certified_days(self.folder, layout)
        with suppress(OSError):
            left_out -= {name[:10] for name in list_below(place, layout.rows)}
        for slot, file, *values in blocks(place, scratch_folder):
            if str(file).rpartition("/")[2][:10] not in left_out:
                yield (slot, file, *values)


def _first_with_rows(
    same_slot: Iterator[ForeignBlock[Status]],
) -> ForeignBlock[Status]:
    """Return the first block that has rows, the first of all if none has."""
    first = next(same_slot)
    return next((block for block in chain([first], same_slot) if block.statuses), first)


def _slot(foreign: ForeignBlock[Any]) -> Slot:
    return foreign.slot


def slots_in(folder: Path) -> set[int]:
    """Return the slots in the ledger of *folder*, which is untrusted.

    Without a ledger, those in its daily files.
    """
    if has_ledger(folder):
        with scratch() as scratch_folder:
            return {row[0] for row in blocks(folder, scratch_folder)}
    judge = Plausible(time.time())
    names = [layout.rows for layout in LAYOUTS if (folder / layout.rows).is_dir()]
    return {slot for name in names for slot, _ in scanned(folder, judge, name)}


def machine_of(folder: Path) -> str:
    """Return the machine that collected the untrusted *folder*, empty if unknown."""
    if not has_ledger(folder):
        return ""
    with scratch() as scratch_folder:
        return machine(folder, scratch_folder)
