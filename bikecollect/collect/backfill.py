"""Backfill: fills missing slots through the same commit path as a fetch.

A payload is in the inbox before its first row is written, so that the next fetch
recovers a killed backfill. A slot that has a block is never changed, except that stale
blocks are replaced on request.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bikecollect.collect.commit import Committer
from bikecollect.collect.committed_blocks import CommittedBlocks
from bikecollect.collect.fetching.clock import CLOCK_SET
from bikecollect.collect.filling.fillings import MISREAD, WHAT, Filling
from bikecollect.collect.filling.imports import (
    BATCH,
    batches,
    imported_payload,
    station_document,
    vehicle_document,
)
from bikecollect.collect.filling.locked_files import LockedFiles
from bikecollect.collect.filling.missing import MissingSnapshots, SlotSpan
from bikecollect.collect.filling.taken_stations import TakenStations
from bikecollect.collect.reading.trial import PayloadTrial
from bikecollect.collect.sources import (
    ForeignBlock,
    ForeignSnapshot,
    ForeignVehicles,
    Source,
)
from bikecollect.collect.sources.agreement import Agreement, Comparison
from bikecollect.core.blocks import Block
from bikecollect.core.payload import Document
from bikecollect.core.run import Result
from bikecollect.core.slots import EARLIEST, LATEST, Slot, day_of
from bikecollect.storage.data_folder import (
    INBOX,
    KEPT,
    REJECTED,
    VEHICLE_STATUS,
    SystemFolder,
)
from bikecollect.storage.payload_store import Payloads, name_of, run_of, slot_of
from bikecollect.storage.repair.repairer import Repairer

log = logging.getLogger(__name__)

WRITERS = (
    "SELECT run_id FROM blocks UNION SELECT run_id FROM runs"
    " WHERE outcome = 'collected'"
)
"""The runs that have written a block, also one that is lost."""
STATIONS = "SELECT DISTINCT station_id FROM stations"


@dataclass(frozen=True, eq=False, repr=False)
class Backfiller:
    """Fills the missing slots of one system from *since* to before *until*.

    If *dry*, payloads are read and nothing is written. *restore* copies archived slots
    into a ledger that was lost, so that they are not missing. *interrupted* is called
    between two slots, and raises Interrupted if a stop was requested; *record_facts* is
    called before slots of a source are filled.
    """

    system: SystemFolder
    payloads: Payloads
    blocks: CommittedBlocks
    committer: Committer
    files: LockedFiles
    interrupted: Callable[[], None]
    new_id: Callable[[], str]
    since: Slot
    until: Slot
    restore: Callable[[], None] | None = None
    dry: bool = False
    vehicles: CommittedBlocks | None = None
    agreement: Agreement = field(default_factory=Agreement)
    stations: TakenStations = field(default_factory=TakenStations)
    record_facts: Callable[[], object] = lambda: None

    def fill_from_payloads(self) -> Iterator[Filling]:
        """Fill from the system's payloads: in the inbox, then rejected, then kept.

        Those in the inbox were left by a killed backfill.
        """
        self._restore()
        filled = self.blocks.read() | self._filled_by_vehicles()
        vehicles = self.vehicles.read() if self.vehicles else set()
        kept = self.payloads.kept()  # before others are committed and kept
        missing = self._collected_first(
            (name, day)
            for name, day in kept.items()
            if slot_of(name) not in filled or self._lacks_vehicles(name, day, vehicles)
        )
        waiting = [(n, "") for n in self.payloads.waiting() if slot_of(n) not in filled]
        rejected = [(name, "") for name in self.payloads.rejected()]
        yield from self._recommit(waiting, filled, vehicles, INBOX)
        yield from self._recommit(rejected, filled, vehicles, REJECTED)
        yield from self._recommit(missing, filled, vehicles, KEPT)
        if not self.dry:
            self.payloads.drop_reasons()

    def _collected_first(
        self, names: Iterable[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        """Return *names* by slot, first the payload whose rows the slot had.

        The others of a slot are from later runs, whose payloads were not needed.
        """
        runs = {run_id for (run_id,) in self.blocks.history.select(WRITERS)}
        return sorted(names, key=lambda n: (slot_of(n[0]), run_of(n[0]) not in runs))

    def fill_from_source(
        self, source: Source, *, force: bool = False, prefer_fresh: bool = False
    ) -> Iterator[Filling]:
        """Fill from *source*; raises SettingsError if it disagrees with our data.

        The agreement is measured first, over slots that both have; *force* ignores it.
        If *prefer_fresh*, a fresh block of *source* replaces a stale one, unless its
        day is archived.
        """
        self._restore()
        filled = self.blocks.read() | self._filled_by_vehicles()
        self._compare(source, filled)
        if not force:
            self.agreement.check(source.label)
        if not self.dry:
            self.record_facts()
            self.stations.take(source, self.files)
        missing = MissingSnapshots(
            source,
            self._span,
            filled,
            self.blocks.stale() if source.has_flags else {},
            prefer_fresh,
            self.interrupted,
        )
        accept = partial(self._accept, replaced=missing.replaced)
        for batch in batches(missing):
            yield from self._import(batch, source.label, accept)
        for slot, what in missing.differing:
            yield Filling(slot, self._day(slot), source.label, what)
        if not self.dry and not missing.taken.isdisjoint(missing.replaced):
            self._remove_replaced()
        yield from self._fill_vehicles(source)

    def _fill_vehicles(self, source: Source) -> Iterator[Filling]:
        """Fill the vehicles from *source*, also of slots that have their stations."""
        if self.vehicles is None:
            return
        filled = self.vehicles.read()
        missing = (
            foreign
            for foreign in source.vehicles()
            if foreign.slot in self._span and foreign.slot not in filled
        )
        for batch in batches(missing):
            self.interrupted()
            fillings = self._import(batch, source.label, self._accept_vehicles)
            yield from (filling._replace(is_vehicles=True) for filling in fillings)

    @property
    def _span(self) -> SlotSpan:
        return SlotSpan(self.since, self.until)

    def _filled_by_vehicles(self) -> set[Slot]:
        """Return the slots filled by payloads that have vehicles but no stations."""
        rows = self.blocks.history.select("SELECT slot FROM slot_blocks")
        damaged = self.vehicles.damaged if self.vehicles else set()
        return {slot for (slot,) in rows} - self.blocks.damaged - damaged

    def _lacks_vehicles(self, name: str, day: str, slots: set[Slot]) -> bool:
        """Return whether a payload has vehicles that are not among *slots*."""
        if self.vehicles is None or slot_of(name) in slots:
            return False
        return self.payloads.has_document(name, day, VEHICLE_STATUS)

    def _vehicle_block(self, slot: Slot) -> Block | None:
        return self.vehicles.ledger.block(slot) if self.vehicles else None

    def _is_committed(self, name: str, day: str) -> bool:
        """Return whether the ledgers have all of a payload's stations and vehicles."""
        slot = slot_of(name)
        slots = {slot} if self._vehicle_block(slot) else set()
        if self._lacks_vehicles(name, day, slots):
            return False
        vehicles = self.committer.vehicles
        alone = vehicles is not None and vehicles.block_alone(slot) is not None
        return alone or self.blocks.ledger.block(slot) is not None

    def _recommit(
        self,
        names: list[tuple[str, str]],
        filled: set[Slot],
        vehicles: set[Slot],
        origin: str,
    ) -> Iterator[Filling]:
        """Commit payloads again; *names* has the name and the kept day of each."""
        candidates = []
        for name, day in names:
            slot = slot_of(name)
            if not max(self.since, EARLIEST) <= slot < min(self.until, LATEST):
                continue
            if slot in filled and not self._lacks_vehicles(name, day, vehicles):
                yield Filling(slot, self._day(slot), origin, "there")
                continue
            if not day and CLOCK_SET in self.payloads.reason(name):
                yield Filling(slot, self._day(slot), origin, "left")
                continue
            candidates.append((name, day))
        for begin in range(0, len(candidates), BATCH):
            batch = candidates[begin : begin + BATCH]
            if self.dry:
                for name, day in batch:
                    yield self._try(name, day, origin, filled, vehicles)
                continue
            yield from self.files.fillings(partial(self._commit, batch, origin))

    def _try(
        self,
        name: str,
        day: str,
        origin: str,
        filled: set[Slot],
        vehicles: set[Slot],
    ) -> Filling:
        """Read the payload *name* without writing anything.

        Its slot is added to *filled*, and to *vehicles*, if it can be: another payload
        of that slot would find a block.
        """
        self.interrupted()
        slot = slot_of(name)
        if slot in filled and not self._lacks_vehicles(name, day, vehicles):
            return Filling(slot, self._day(slot), origin, "there")
        trial = PayloadTrial(self.committer.reader.feed, self.committer.vehicles)
        if problem := trial.problem(self.payloads.path(name, day or origin)):
            return Filling(slot, self._day(slot), origin, MISREAD, why=problem)
        filling = Filling(slot, self._day(slot), origin, "would be filled")
        filling = filling._replace(is_vehicles=slot in filled)
        filled.add(slot)
        if self._lacks_vehicles(name, day, vehicles):
            vehicles.add(slot)
        return filling

    def _commit(self, names: list[tuple[str, str]], origin: str) -> Iterator[Filling]:
        for name, day in names:
            self.interrupted()
            slot = slot_of(name)
            self._release(slot)
            if self._is_committed(name, day):
                yield Filling(slot, self._day(slot), origin, "there")
                continue
            had_stations = self.blocks.ledger.block(slot) is not None
            if name not in self.payloads.waiting() and (
                origin == INBOX or not self.payloads.requeue(name, day)
            ):
                continue  # another command has committed or pruned it meanwhile
            result = self.committer.commit(name, f"backfill {origin}")
            filling = self._filling(slot, origin, result)
            if had_stations and (block := self._vehicle_block(slot)):
                # Only the vehicles were missing: the stations are a duplicate.
                filling = filling.of_vehicles(block.rows)
            yield filling

    def _import(
        self,
        batch: list[ForeignBlock[Any]],
        label: str,
        accept: Callable[[list[ForeignBlock[Any]], str], Iterator[Filling]],
    ) -> Iterator[Filling]:
        if self.dry:
            for slot in (foreign.slot for foreign in batch):
                yield Filling(slot, self._day(slot), label, "would be filled")
            return
        yield from self.files.fillings(partial(accept, batch, label))

    def _accept(
        self, batch: list[ForeignSnapshot], label: str, replaced: set[Slot]
    ) -> Iterator[Filling]:
        for foreign in batch:
            slot = foreign.slot
            self.interrupted()
            self._release(slot)
            if slot in replaced:
                self.blocks.release_stale(slot)
            if self.blocks.ledger.block(slot) is not None:
                yield Filling(slot, self._day(slot), label, "there")
                continue
            yield self._imported(foreign, station_document(foreign), label)

    def _accept_vehicles(
        self, batch: list[ForeignVehicles], label: str
    ) -> Iterator[Filling]:
        for foreign in batch:
            self.interrupted()
            if self.vehicles:
                self.vehicles.release(foreign.slot)
            if not self._vehicle_block(foreign.slot):
                yield self._imported(foreign, vehicle_document(foreign), label)

    def _remove_replaced(self) -> None:
        """Rewrite files without the replaced rows; keep the old files."""
        store, aside = self.blocks.store, self.system.rejected
        with self.files.opened() as ledger:
            for repair in Repairer(self.system.path, store, ledger, aside).run():
                log.info("%s was rewritten; the old file is in %s", repair.file, aside)

    def _imported(
        self, foreign: ForeignBlock[Any], document: Document, label: str
    ) -> Filling:
        """Commit *document*, which has the rows of *foreign*, through the inbox."""
        ids = self.system.system_id, self.new_id()
        payload = imported_payload(*ids, foreign, document, label)
        self.payloads.accept(payload)
        result = self.committer.commit(name_of(payload), payload.source)
        return self._filling(foreign.slot, label, result)

    def _release(self, slot: Slot) -> None:
        """Release damaged blocks of *slot* so that they are replaced."""
        self.blocks.release(slot)
        if self.vehicles:
            self.vehicles.release(slot)

    def _restore(self) -> None:
        if self.restore and not self.dry:
            with self.files.opened():
                self.restore()

    def _filling(self, slot: Slot, origin: str, result: Result) -> Filling:
        what = WHAT.get(result.outcome, MISREAD)
        return Filling(slot, self._day(slot), origin, what, result.rows, result.error)

    def _day(self, slot: Slot) -> str:
        return day_of(slot, self.system.zone)

    def _compare(self, source: Source, filled: set[Slot]) -> None:
        """Measure the agreement with *source* over slots that both have."""
        comparison = Comparison(
            self.blocks.store,
            {slot: span for slot, span in self.blocks.spans() if slot in filled},
            {station_id for (station_id,) in self.blocks.history.select(STATIONS)},
            self.agreement,
        )
        comparison.measure(source.snapshots(), self.interrupted)
