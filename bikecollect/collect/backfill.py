"""Backfill: fills missing slots through the same commit path as a fetch.

A payload is in the inbox before its first row is written, so that the next fetch
recovers a killed backfill. A slot that has a block is never changed, but for stale ones
on request.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from bikecollect.collect.commit import Committer
from bikecollect.collect.committed_blocks import STALE, CommittedBlocks
from bikecollect.collect.quality import CLOCK_SET
from bikecollect.collect.reading.trial import PayloadTrial
from bikecollect.collect.sources import ForeignSnapshot, Source
from bikecollect.collect.sources.agreement import Agreement, Comparison
from bikecollect.core.errors import Interrupted, Outcome
from bikecollect.core.payload import Document, Payload
from bikecollect.core.run import Result
from bikecollect.core.slots import EARLIEST, LATEST, Slot, day_of
from bikecollect.feeds import imported_rows
from bikecollect.storage.data_folder import (
    INBOX,
    KEPT,
    REJECTED,
    VEHICLE_STATUS,
    SystemFolder,
)
from bikecollect.storage.lock import Lock
from bikecollect.storage.payload_store import Payloads, name_of, slot_of
from bikecollect.storage.recovery import Recovery
from bikecollect.storage.repair.repairer import Repairer

log = logging.getLogger(__name__)

BATCH = 30
"""Slots filled while the lock is held; then a waiting fetch can take it."""
MOST_WAITING = 100_000
"""Most rows that wait for the lock; large systems are filled in smaller batches."""
STATIONS = "SELECT DISTINCT station_id FROM stations"
STALE_HERE, STALE_THERE = "stale here", "stale there"


class Filling(NamedTuple):
    """The result for a slot: filled, there (already), or not understood, and why.

    Or left: its payload was fetched while the clock was wrong. Or stale here, or there:
    only one of both archives has a fresh block.
    """

    slot: Slot
    day: str
    origin: str
    what: str
    rows: int = 0
    why: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Backfiller:
    """Fills the missing slots of one system from *since* to before *until*.

    With *dry* payloads are read, and nothing is written. *restore* copies what the
    archive has into a ledger that was lost: those slots are not missing. *interrupted*
    raises Interrupted between two slots if the process was asked to stop; *breathe*
    pauses without the lock.
    """

    system: SystemFolder
    payloads: Payloads
    blocks: CommittedBlocks
    recovery: Recovery
    committer: Committer
    lock: Lock
    interrupted: Callable[[], None]
    breathe: Callable[[], None]
    new_id: Callable[[], str]
    since: Slot
    until: Slot
    restore: Callable[[], None] | None = None
    dry: bool = False
    vehicles: CommittedBlocks | None = None
    agreement: Agreement = field(default_factory=Agreement)

    def fill_from_payloads(self) -> Iterator[Filling]:
        """Fill from the payloads of the system: rejected ones, then kept ones.

        First come those that a killed backfill left in the inbox.
        """
        self._restore()
        there = self.blocks.read() | self._alone()
        vehicles = self.vehicles.read() if self.vehicles else set()
        kept = self.payloads.kept()  # those below get there once they are committed
        waiting = [(name, "") for name in self._waiting_payloads(there)]
        yield from self._recommit(waiting, there, vehicles, INBOX)
        rejected = [(name, "") for name in self.payloads.rejected()]
        yield from self._recommit(rejected, there, vehicles, REJECTED)
        missing = [
            (name, day)
            for name, day in kept.items()
            if slot_of(name) not in there or self._lacks_vehicles(name, day, vehicles)
        ]
        yield from self._recommit(missing, there, vehicles, KEPT)
        if not self.dry:
            self.payloads.drop_reasons()

    def fill_from_source(
        self, source: Source, *, force: bool = False, prefer_fresh: bool = False
    ) -> Iterator[Filling]:
        """Fill from *source*; raises SettingsError if it disagrees with our data.

        The agreement is measured first, over slots that both have. With *prefer_fresh*
        a fresh block of it replaces a stale one of a day that is not archived.
        """
        self._restore()
        there = self.blocks.read() | self._alone()
        self._compare(source, there)
        if not force:
            self.agreement.check(source.label)
        stale = self.blocks.stale() if source.has_flags else {}
        replaced = {slot for slot, is_archived in stale.items() if not is_archived}
        replaced = replaced if prefer_fresh else set()
        waiting: list[ForeignSnapshot] = []
        taken: set[Slot] = set()
        rows = 0
        for foreign in source.snapshots():
            self.interrupted()
            if not self.since <= foreign.slot < self.until:
                continue
            is_fresh = STALE not in foreign.flags
            if foreign.slot in there and not (is_fresh and foreign.slot in replaced):
                is_stale_here = foreign.slot in stale
                if source.has_flags and is_stale_here == is_fresh:
                    what = STALE_HERE if is_fresh else STALE_THERE
                    yield Filling(
                        foreign.slot, self._day(foreign.slot), source.label, what
                    )
                continue
            there.add(foreign.slot)
            taken.add(foreign.slot)
            waiting.append(foreign)
            rows += len(foreign.statuses)
            if len(waiting) == BATCH or rows >= MOST_WAITING:
                yield from self._import(waiting, source.label, replaced)
                waiting, rows = [], 0
        yield from self._import(waiting, source.label, replaced)
        if not self.dry and not taken.isdisjoint(replaced):
            self._remove_replaced()

    def _waiting_payloads(self, there: set[Slot]) -> list[str]:
        """Return the payloads in the inbox whose slots are damaged or missing."""
        names = self.payloads.waiting()
        return [name for name in names if slot_of(name) not in there]

    def _alone(self) -> set[Slot]:
        """Return the slots that are filled by their vehicles, without stations."""
        rows = self.blocks.history.select("SELECT slot FROM slot_blocks")
        damaged = self.vehicles.damaged if self.vehicles else set()
        return {slot for (slot,) in rows} - self.blocks.damaged - damaged

    def _lacks_vehicles(self, name: str, day: str, slots: set[Slot]) -> bool:
        """Return whether a payload has vehicles that are not among *slots*."""
        if self.vehicles is None or slot_of(name) in slots:
            return False
        return self.payloads.has_document(name, day, VEHICLE_STATUS)

    def _has_vehicles(self, slot: Slot) -> bool:
        return bool(self.vehicles and self.vehicles.ledger.block(slot))

    def _is_committed(self, name: str, day: str) -> bool:
        """Return whether all of a payload has been committed, by the ledgers."""
        slot = slot_of(name)
        slots = {slot} if self._has_vehicles(slot) else set()
        if self._lacks_vehicles(name, day, slots):
            return False
        vehicles = self.committer.vehicles
        alone = vehicles is not None and vehicles.block_alone(slot) is not None
        return alone or self.blocks.ledger.block(slot) is not None

    def _recommit(
        self,
        names: list[tuple[str, str]],
        there: set[Slot],
        vehicles: set[Slot],
        origin: str,
    ) -> Iterator[Filling]:
        """Commit the payloads *names*, each with the day it is kept under, again."""
        candidates = []
        for name, day in names:
            slot = slot_of(name)
            if not max(self.since, EARLIEST) <= slot < min(self.until, LATEST):
                continue
            if slot in there and not self._lacks_vehicles(name, day, vehicles):
                yield Filling(slot, self._day(slot), origin, "there")
                continue
            if not day and CLOCK_SET in self.payloads.reason(name):
                yield Filling(slot, self._day(slot), origin, "left")
                continue
            candidates.append((name, day))
        for begin in range(0, len(candidates), BATCH):
            batch = candidates[begin : begin + BATCH]
            if self.dry:
                yield from (self._try(name, day, origin) for name, day in batch)
                continue
            yield from self._locked(partial(self._commit, batch, origin))

    def _try(self, name: str, day: str, origin: str) -> Filling:
        """Read the payload *name* without writing anything."""
        self.interrupted()
        slot = slot_of(name)
        trial = PayloadTrial(self.committer.reader.feed, self.committer.vehicles)
        problem = trial.problem(self.payloads.path(name, day or origin))
        what = "not understood" if problem else "would be filled"
        return Filling(slot, self._day(slot), origin, what, why=problem)

    def _commit(self, names: list[tuple[str, str]], origin: str) -> Iterator[Filling]:
        for name, day in names:
            self.interrupted()
            slot = slot_of(name)
            self._release(slot)
            if self._is_committed(name, day):
                yield Filling(slot, self._day(slot), origin, "there")
                continue
            had_stations = self.blocks.ledger.block(slot) is not None
            if origin != INBOX:
                self.payloads.requeue(name, day)
            elif name not in self.payloads.waiting():
                continue  # a fetch has committed it meanwhile
            result = self.committer.commit(name, f"backfill {origin}")
            if had_stations and self._has_vehicles(slot):
                # Only the vehicles were missing: the stations are a duplicate.
                result = result._replace(outcome=Outcome.COLLECTED)
            yield self._filling(slot, origin, result)

    def _import(
        self, batch: list[ForeignSnapshot], label: str, replaced: set[Slot]
    ) -> Iterator[Filling]:
        if self.dry or not batch:
            for foreign in batch:
                slot = foreign.slot
                yield Filling(slot, self._day(slot), label, "would be filled")
            return
        yield from self._locked(partial(self._accept, batch, label, replaced))

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
            payload = self._payload(foreign, label)
            self.payloads.accept(payload)
            result = self.committer.commit(name_of(payload), payload.source)
            yield self._filling(slot, label, result)

    def _remove_replaced(self) -> None:
        """Rewrite files without the rows that were replaced; keep the old files."""
        blocks, aside = self.blocks, self.system.rejected
        with self.lock.held(), closing(blocks.ledger) as ledger:
            ledger.open()
            self.recovery.recover_files()
            for repair in Repairer(self.system.path, blocks.store, ledger, aside).run():
                log.info("%s is rewritten, the old file is in %s", repair.file, aside)

    def _payload(self, foreign: ForeignSnapshot, label: str) -> Payload:
        body = imported_rows.write(
            foreign.statuses, foreign.flags, foreign.last_updated
        )
        document = Document(imported_rows.DOCUMENT, body, fetched_at=foreign.fetched_at)
        return Payload(
            system_id=self.system.system_id,
            slot=foreign.slot,
            run_id=self.new_id(),
            fetched_at=foreign.fetched_at,
            documents=(document,),
            source=f"backfill {label}",
        )

    def _release(self, slot: Slot) -> None:
        """Release damaged blocks of *slot* so that they are replaced."""
        self.blocks.release(slot)
        if self.vehicles:
            self.vehicles.release(slot)

    def _restore(self) -> None:
        if self.restore and not self.dry:
            with self.lock.held(), closing(self.blocks.ledger) as ledger:
                ledger.open()
                self.recovery.recover_files()
                self.restore()

    def _locked(self, work: Callable[[], Iterator[Filling]]) -> Iterator[Filling]:
        """Do *work* under the lock, with files that agree with the ledger.

        After an interruption the fillings so far are yielded, then it is raised.
        """
        fillings: list[Filling] = []
        interruption: Interrupted | None = None
        with self.lock.held():
            self.blocks.ledger.open()
            try:
                self.recovery.recover_files()
                if self.committer.vehicles:
                    self.committer.vehicles.open()
                for filling in work():
                    fillings.append(filling)  # noqa: PERF402 - kept if interrupted
            except Interrupted as error:
                interruption = error
            finally:
                self.blocks.ledger.close()
                if self.committer.vehicles:
                    self.committer.vehicles.close()
        yield from fillings
        if interruption:
            raise interruption
        self.breathe()  # a waiting fetch can take the lock

    def _filling(self, slot: Slot, origin: str, result: Result) -> Filling:
        what = "not understood"
        if result.outcome is Outcome.COLLECTED:
            what = "filled"
        elif result.outcome is Outcome.DUPLICATE:
            what = "there"
        return Filling(slot, self._day(slot), origin, what, result.rows, result.error)

    def _day(self, slot: Slot) -> str:
        return day_of(slot, self.system.zone)

    def _compare(self, source: Source, there: set[Slot]) -> None:
        """Measure the agreement with *source* over slots that both have."""
        comparison = Comparison(
            self.blocks.store,
            {slot: span for slot, span in self.blocks.spans() if slot in there},
            {station_id for (station_id,) in self.blocks.history.select(STATIONS)},
            self.agreement,
        )
        comparison.measure(source.snapshots(), self.interrupted)
