"""Backfill: what can still be filled is committed, by the way that fetches go.

Whatever is filled lies in the inbox before its first row is written, so that a killed
backfill is healed by the next fetch; and no slot that has a block is ever touched.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import partial
from typing import NamedTuple

from bikecollect.archive import day_csv
from bikecollect.archive.archived_days import GONE
from bikecollect.collect.commit import CLOCK_SET, Committer
from bikecollect.collect.sources import Foreign, Source
from bikecollect.core.blocks import Span
from bikecollect.core.errors import Interrupted, Outcome, SettingsError
from bikecollect.core.payload import Document, Payload
from bikecollect.core.run import Result
from bikecollect.core.slots import EARLIEST, LATEST, Slot, day_of
from bikecollect.feeds import imported_rows
from bikecollect.feeds.reading.values import count
from bikecollect.storage.csv_store import Store
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.lock import Lock
from bikecollect.storage.payload_store import Payloads, name_of, slot_of
from bikecollect.storage.recovery import Recovery

BATCH = 30
"""Slots that are filled under one lock: then a fetch that waits has its turn."""
SAMPLE = 500
"""Slots on which the agreement with another archive is measured, at most."""
LEAST = 0.5
"""Agreement below which another archive is refused: another city, or time zone."""
MOST_WAITING = 100_000
"""Stations' rows that wait for that lock, at most; large systems are filled sooner."""
BLOCKS = (
    'SELECT slot, file, start, "end", crc32 FROM blocks WHERE file NOT IN'
    " (SELECT file FROM files WHERE damaged = ?) ORDER BY slot"
)
REJECTED, KEPT = "rejected", "kept"


class Filling(NamedTuple):
    """What became of a slot: filled, there (already), or not understood, and why.

    Or left: its payload was fetched while the clock was wrong.
    """

    slot: Slot
    day: str
    origin: str
    what: str
    rows: int = 0
    why: str = ""


@dataclass
class Agreement:
    """How far another archive says what ours does, where both have a slot.

    *equal* of *values* (vehicles and docks of a station) are the same; *here* and
    *there* count stations that only one of both has.
    """

    slots: int = 0
    values: int = 0
    equal: int = 0
    here: int = 0
    there: int = 0

    @property
    def share(self) -> float | None:
        """Equal values of all, None where nothing could be compared."""
        return self.equal / self.values if self.values else None


@dataclass(frozen=True, eq=False, repr=False)
class Backfiller:
    """Fills the missing slots of one system from *since* to before *until*.

    With *dry* nothing is written. *interrupted* raises where the end is asked for,
    between two slots; *breathe* lets others have the lock.
    """

    system_id: str
    zone: tzinfo
    history: History
    payloads: Payloads
    store: Store
    ledger: Ledger
    recovery: Recovery
    committer: Committer
    lock: Lock
    interrupted: Callable[[], None]
    breathe: Callable[[], None]
    new_id: Callable[[], str]
    since: Slot
    until: Slot
    dry: bool = False
    agreement: Agreement = field(default_factory=Agreement)

    def own(self) -> Iterator[Filling]:
        """Fill from payloads that are still here: rejected ones, and kept ones."""
        damaged = self._damaged()
        there = {slot for slot, *_ in self._blocks()} - set(damaged)
        yield from self._again(
            [(name, "") for name in self.payloads.rejected()], there, damaged, REJECTED
        )
        kept = list(self.payloads.kept().items())
        missing = [each for each in kept if slot_of(each[0]) not in there]
        yield from self._again(missing, there, damaged, KEPT)
        if not self.dry:
            self.payloads.understood()

    def from_source(self, source: Source, *, force: bool = False) -> Iterator[Filling]:
        """Fill from *source*; raises SettingsError where it is of something else.

        The agreement is measured first, over slots that both have.
        """
        damaged = self._damaged()
        there = {slot for slot, *_ in self._blocks()} - set(damaged)
        self._compare(source, there)
        share = self.agreement.share
        if share is not None and share < LEAST and not force:
            raise SettingsError(
                f"{source.label} agrees with ours in {share:.0%} of "
                f"{self.agreement.values} values only: most likely another city, or "
                "times of another zone; nothing was filled (--force fills all the same)"
            )
        waiting: list[Foreign] = []
        rows = 0
        for foreign in source.snapshots():
            self.interrupted()
            if not self.since <= foreign.slot < self.until or foreign.slot in there:
                continue
            there.add(foreign.slot)
            waiting.append(foreign)
            rows += len(foreign.statuses)
            if len(waiting) == BATCH or rows >= MOST_WAITING:
                yield from self._import(waiting, damaged, source.label)
                waiting, rows = [], 0
        yield from self._import(waiting, damaged, source.label)

    def _blocks(self) -> list[tuple[Slot, int]]:
        return self.history.select("SELECT slot, rows FROM blocks")

    def _damaged(self) -> dict[Slot, str]:
        """Return the slots whose block is no longer what was written, and its file."""
        found = {}
        for slot, *place in self.history.select(BLOCKS, GONE):
            span = Span(*place)
            if self.store.crc(span) != span.crc:
                found[slot] = span.file
        return found

    def _again(
        self,
        names: list[tuple[str, str]],
        there: set[Slot],
        damaged: dict[Slot, str],
        origin: str,
    ) -> Iterator[Filling]:
        """Commit payloads again, each *names*' with the day it is kept under."""
        wanted = []
        for name, day in names:
            slot = slot_of(name)
            if not max(self.since, EARLIEST) <= slot < min(self.until, LATEST):
                continue
            if slot in there:
                yield Filling(slot, self._day(slot), origin, "there")
                continue
            if not day and CLOCK_SET in self.payloads.reason(name):
                yield Filling(slot, self._day(slot), origin, "left")
                continue
            wanted.append((name, day))
        for begin in range(0, len(wanted), BATCH):
            some = wanted[begin : begin + BATCH]
            if self.dry:
                for name, _ in some:
                    slot = slot_of(name)
                    yield Filling(slot, self._day(slot), origin, "would be filled")
                continue
            yield from self._locked(partial(self._commit, some, damaged, origin))

    def _commit(
        self, names: list[tuple[str, str]], damaged: dict[Slot, str], origin: str
    ) -> Iterator[Filling]:
        for name, day in names:
            self.interrupted()
            slot = slot_of(name)
            self._release(slot, damaged)
            if self.ledger.block(slot) is not None:
                yield Filling(slot, self._day(slot), origin, "there")
                continue
            self.payloads.again(name, day)
            done = self.committer.commit(name, f"backfill {origin}")
            yield self._filling(slot, origin, done)

    def _import(
        self, some: list[Foreign], damaged: dict[Slot, str], label: str
    ) -> Iterator[Filling]:
        if self.dry or not some:
            for each in some:
                yield Filling(each.slot, self._day(each.slot), label, "would be filled")
            return
        yield from self._locked(partial(self._accept, some, damaged, label))

    def _accept(
        self, some: list[Foreign], damaged: dict[Slot, str], label: str
    ) -> Iterator[Filling]:
        for each in some:
            self.interrupted()
            self._release(each.slot, damaged)
            if self.ledger.block(each.slot) is not None:
                yield Filling(each.slot, self._day(each.slot), label, "there")
                continue
            payload = self._payload(each, label)
            self.payloads.accept(payload)
            done = self.committer.commit(name_of(payload), payload.source)
            yield self._filling(each.slot, label, done)

    def _payload(self, foreign: Foreign, label: str) -> Payload:
        body = imported_rows.write(foreign.statuses)
        document = Document(imported_rows.DOCUMENT, body, fetched_at=foreign.fetched_at)
        return Payload(
            system_id=self.system_id,
            slot=foreign.slot,
            run_id=self.new_id(),
            fetched_at=foreign.fetched_at,
            documents=(document,),
            source=f"backfill {label}",
        )

    def _release(self, slot: Slot, damaged: dict[Slot, str]) -> None:
        """Let a damaged block be replaced; its file is left as it is.

        Another backfill may have been here since it was found.
        """
        there = self.ledger.block(slot) if slot in damaged else None
        if there and self.store.crc(there.span) != there.span.crc:
            self.ledger.give_up(there.span.file)
            self.ledger.release(slot)

    def _locked(self, work: Callable[[], Iterator[Filling]]) -> Iterator[Filling]:
        """Do *work* with the lock held and files that agree with the ledger.

        What was done before an interruption is told, then it goes on its way.
        """
        done: list[Filling] = []
        ended: Interrupted | None = None
        with self.lock.held():
            self.ledger.open()
            try:
                self.recovery.files()
                for each in work():
                    done.append(each)  # noqa: PERF402 - all but the interrupted one
            except Interrupted as error:
                ended = error
            finally:
                self.ledger.close()
        yield from done
        if ended:
            raise ended
        self.breathe()  # a fetch that waits for the lock has its turn

    def _filling(self, slot: Slot, origin: str, done: Result) -> Filling:
        what = "not understood"
        if done.outcome is Outcome.COLLECTED:
            what = "filled"
        elif done.outcome is Outcome.DUPLICATE:
            what = "there"
        return Filling(slot, self._day(slot), origin, what, done.rows, done.error)

    def _day(self, slot: Slot) -> str:
        return day_of(slot, self.zone)

    def _compare(self, source: Source, there: set[Slot]) -> None:
        """Measure the agreement over the first slots that both have."""
        rows = self.history.select(BLOCKS, GONE)
        ours = {slot: place for slot, *place in rows if slot in there}
        if not ours:
            return
        for foreign in source.snapshots():
            self.interrupted()
            if foreign.slot in ours:
                self._add(Span(*ours[foreign.slot]), foreign)
            if self.agreement.slots >= SAMPLE:
                return

    def _add(self, span: Span, foreign: Foreign) -> None:
        mine = dict(_values(self.store.text(span)))
        theirs = {
            each.station_id: (each.num_vehicles_available, each.num_docks_available)
            for each in foreign.statuses
        }
        found, both = self.agreement, mine.keys() & theirs.keys()
        found.slots += 1
        found.values += 2 * len(both)
        for each in both:
            pairs = zip(mine[each], theirs[each], strict=True)
            found.equal += sum(a == b for a, b in pairs)
        found.here += len(mine.keys() - both)
        found.there += len(theirs.keys() - both)


def by_day(fillings: list[Filling]) -> dict[tuple[str, str, str], int]:
    """Return how many slots became what, by day and origin."""
    return dict(Counter((f.day, f.origin, f.what) for f in fillings))


def _values(text: bytes) -> Iterator[tuple[str, tuple[int | None, int | None]]]:
    for cells in day_csv.cells(text):
        yield cells[2], (count(cells[3]), count(cells[5]))
