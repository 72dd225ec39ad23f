"""Commit the vehicles of a payload: a second dataset with its own ledger.

The vehicles of a payload are committed before its stations, and only then does the
payload leave the inbox. So each ledger can be recovered separately from the same inbox
(docs/decisions/0025).
"""

import logging
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import TYPE_CHECKING, NamedTuple

from bikecollect.collect import findings, quality
from bikecollect.collect.fetching import clock
from bikecollect.collect.only import Only
from bikecollect.collect.reading import positions, staleness
from bikecollect.core.blocks import Block, Stations, block_of
from bikecollect.core.errors import BikecollectError, Outcome, PayloadError
from bikecollect.core.incidents import EARLIER
from bikecollect.core.payload import Documents, Payload
from bikecollect.core.run import Notice, Result
from bikecollect.core.slots import Slot, day_of
from bikecollect.core.snapshot import VehicleSnapshot
from bikecollect.feeds.imported import vehicle_rows
from bikecollect.feeds.reading import vehicle_reader
from bikecollect.storage.csv_format import EncodedRows
from bikecollect.storage.data_folder import ARCHIVE, VEHICLE_STATUS, VEHICLES
from bikecollect.storage.files import losses, marker
from bikecollect.storage.recovery import Recovery, target
from bikecollect.storage.repair import forgotten_items, found_at_open
from bikecollect.storage.vehicles import ALONE
from bikecollect.storage.vehicles.rows import HEADER, encode

if TYPE_CHECKING:
    from bikecollect.storage.csv_store import Store
    from bikecollect.storage.ledger import Ledger

log = logging.getLogger(__name__)

STATIONS = "station_status"
DOCUMENT = vehicle_reader.DOCUMENT
NOTE = "vehicles.newest"
"""The key of the note with the newest slot, in the ledger of stations."""
MISSING = Notice("partial", "no vehicles in this slot: vehicle_status was not received")
OLD = Notice("stale", "the feed responds, but the data of its vehicles are old")


class VehicleRows(NamedTuple):
    """The vehicles of a payload and their rows; *notices* say why there are none."""

    snapshot: VehicleSnapshot | None = None
    rows: EncodedRows = EncodedRows(b"", 0)
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class VehicleCommitter:
    """Writes the vehicles of payloads into their files; see `Committer`.

    *parse* reads the documents of a payload. Requires the lock of the system.
    """

    parse: Callable[[Documents], VehicleSnapshot]
    zone: tzinfo
    interval: int
    store: "Store"
    ledger: "Ledger"
    recovery: Recovery
    only: Only = Only()

    def open(self, notes: Mapping[str, str]) -> list[Notice]:
        """Open the ledger, and bring it into agreement with the files.

        *notes* are those in the ledger of stations: they know the newest slot.
        """
        self.store.make_folder()
        self.ledger.open()
        notices = found_at_open(self.ledger, self.recovery.mirror)
        loss = self._loss()
        if self._has_begun and not loss:
            log.warning("the settings have changed: vehicles are collected from now on")
        repaired = self.recovery.recover_files()
        return [*notices, *loss, *repaired, *self._older(notes.get(NOTE, ""))]

    @property
    def _has_begun(self) -> bool:
        """Whether there are no vehicles yet, but earlier stations."""
        if not self.ledger.was_absent:
            return False
        folder = self.ledger.folder
        is_empty = not any(folder.glob("*/*.csv"))
        return is_empty and any(folder.parent.glob(f"{STATIONS}/*.csv"))

    def newest_note(self, slot: Slot) -> dict[str, str]:
        """Return the note for the ledger of stations if the newest block is of *slot*.

        It knows the loss of that block: an older copy of this folder may be put back.
        """
        is_newest = self.ledger.is_newest(slot) and self.ledger.block(slot)
        return {NOTE: str(slot)} if is_newest else {}

    def _older(self, note: str) -> list[Notice]:
        """Return a notice if the folder is an older copy, without the slot in *note*.

        Its marker says so then; its ledger, that the loss of this slot is known. Blocks
        that a person has given up are not missed, nor are archived ones, which the next
        `compact` takes into a ledger that was lost.
        """
        slot = Slot(int(note)) if note.isdecimal() else None
        if slot is None or self.ledger.block(slot) or self._is_archived(slot):
            return []
        own = self.ledger.notes()
        if own.get(NOTE) == note:
            return []
        folder, path = self.ledger.folder.parent, self.ledger.folder / marker.MARKER
        loss = None
        if not (marker.lost_by(path) or self._is_given_up(slot, own)):
            before = self.ledger.block_before(slot)
            first = Slot(before.slot + self.interval) if before else slot
            marker.note_older(path, min(first, slot), slot)
            mirror = self.recovery.mirror
            loss = losses.loss_of_vehicles(folder.name, folder, self.zone, mirror)
        self.ledger.remember({NOTE: note})
        return [Notice("older-copy", loss.text)] if loss else []

    def _is_archived(self, slot: Slot) -> bool:
        folder, day = self.ledger.folder.parent, day_of(slot, self.zone)
        days = folder.parent / ARCHIVE / VEHICLE_STATUS / f"system_id={folder.name}"
        return (days / f"date={day}").exists()

    def _is_given_up(self, slot: Slot, notes: Iterable[str]) -> bool:
        """Return whether a person has given up *slot*, by the *notes* of the ledger."""
        items = [i for i in forgotten_items(notes) if int(i.when) >= slot]
        day = day_of(slot, self.zone)
        return any(i.item == EARLIER or i.day == day for i in items)

    def _loss(self) -> list[Notice]:
        """Return a notice if the ledger is new because the folder was gone."""
        if not self.ledger.was_absent:
            return []
        folder, mirror = self.ledger.folder.parent, self.recovery.mirror
        loss = losses.loss_of_vehicles(folder.name, folder, self.zone, mirror)
        return [Notice("file-missing", loss.text)] if loss else []

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    def read(self, payload: Payload) -> VehicleRows:
        """Return the vehicles of *payload* as rows, or a notice if there are none.

        If they cannot be read, raises PayloadError if the payload has no stations; else
        that is a notice, and `backfill` can commit them from the kept payload.
        """
        if not has_vehicles(payload):
            return VehicleRows(notices=() if payload.source else (MISSING,))
        try:
            snapshot = self._filtered(self._parse(payload))
            rows = encode(
                payload.slot, payload.fetched_at, snapshot.statuses, self.zone
            )
        except (BikecollectError, OSError) as error:
            if self.is_alone(payload) or not isinstance(error, PayloadError):
                raise
            return VehicleRows(notices=(_unreadable(error),))
        except Exception as error:
            if self.is_alone(payload):
                raise
            return VehicleRows(notices=(_unreadable(error),))
        return VehicleRows(snapshot, rows)

    def block_alone(self, slot: Slot) -> Block | None:
        """Return the block of *slot* if its payload had no stations."""
        block = self.ledger.block(slot)
        return block if block and ALONE in block.flags.split() else None

    @staticmethod
    def is_alone(payload: Payload) -> bool:
        """Return whether *payload* has vehicles and no stations."""
        return has_vehicles(payload) and payload.body(STATIONS) is None

    def write(self, payload: Payload, vehicles: VehicleRows, source: str) -> Result:
        """Write *vehicles* of *payload*.

        The result has an outcome only if the payload has no stations. Raises
        StorageError, and PayloadError like `read`.
        """
        if vehicles.snapshot is None:
            return Result(notices=vehicles.notices)
        block = self.ledger.block(payload.slot)
        try:
            if block is not None:
                result = self._skip(payload, block)
            else:
                quality.reject_growth(
                    self.ledger,
                    payload.slot,
                    vehicles.rows.rows,
                    "vehicles",
                    notes=self.ledger.notes(),
                    source=source,
                )
                result = self._append(payload, vehicles.snapshot, vehicles.rows, source)
        except PayloadError as error:
            if self.is_alone(payload):
                raise
            return Result(notices=(_unreadable(error),))
        if self.is_alone(payload):
            return result
        old = [OLD] if "stale" in result.flags else []
        return Result(notices=(*result.notices, *old))

    def _parse(self, payload: Payload) -> VehicleSnapshot:
        rows = payload.body(vehicle_rows.DOCUMENT)
        if rows is not None:
            return vehicle_rows.read(rows)
        return self.parse(payload.documents)

    def _filtered(self, snapshot: VehicleSnapshot) -> VehicleSnapshot:
        if not self.only.bbox:
            return snapshot
        kept = (v for v in snapshot.statuses if self.only.has_place(v.lat, v.lon))
        return replace(snapshot, statuses=tuple(kept))

    def _skip(self, payload: Payload, block: Block) -> Result:
        """Return the result of a payload whose slot has a block already."""
        own = block.run_id == payload.run_id
        if not own and clock.clock_was_set(payload, block, self.interval):
            raise PayloadError(
                f"the slot already has vehicles from another time: {clock.CLOCK_SET}",
                cause="clock",
            )
        outcome = Outcome.COLLECTED if own else Outcome.DUPLICATE
        rows = block.rows if own else 0
        return Result(outcome, rows=rows, file=f"{VEHICLES}/{block.span.file}")

    def _append(
        self,
        payload: Payload,
        snapshot: VehicleSnapshot,
        rows: EncodedRows,
        source: str,
    ) -> Result:
        day = day_of(payload.slot, self.zone)
        file, end, damage = target(day, HEADER, self.store, self.ledger)
        # That stations are missing says nothing about the vehicles.
        own = payload if self.is_alone(payload) else _without_trouble(payload)
        snapshot, reports = self._judged(payload, snapshot)
        flags = quality.flags(own, snapshot, self.ledger, self.interval)
        if self.is_alone(payload) and not is_imported(payload):
            flags = (*flags, ALONE)  # imported vehicles bring the flag with them
        span = self.store.append(file, end, HEADER, rows.text)
        self.ledger.commit(
            block_of(
                payload,
                snapshot.last_updated,
                span,
                rows.rows,
                source,
                flags=flags,
                header=zlib.crc32(HEADER),
            ),
            Stations(),
            reports,
        )
        news = self._news(payload, snapshot)
        lacking = findings.many_nameless(snapshot, "vehicles")
        notices = [Notice("partial", text) for text in lacking]
        notices += [Notice("drift", text) for text in news]
        notices += [damage] if damage else []
        return Result(
            Outcome.COLLECTED,
            rows=rows.rows,
            file=f"{VEHICLES}/{span.file}",
            flags=(*flags, *(("drift",) if news else ())),
            notices=tuple(notices),
        )

    def _judged(
        self, payload: Payload, snapshot: VehicleSnapshot
    ) -> tuple[VehicleSnapshot, dict[str, str]]:
        """Return *snapshot*, flagged if it stands still, and the new note on it."""
        if is_imported(payload):
            return snapshot, {}
        note = self.ledger.notes().get(staleness.NOTE, "")
        is_stale, reports = staleness.judge(
            payload,
            snapshot.statuses,
            note,
            self.interval,
            ledger=self.ledger,
            store=self.store,
        )
        if is_stale:
            snapshot = replace(snapshot, flags=("stale", *snapshot.flags))
        return snapshot, {} if reports == note else {staleness.NOTE: reports}

    def _news(self, payload: Payload, snapshot: VehicleSnapshot) -> tuple[str, ...]:
        """Store the notes if the slot is the newest; return new findings and drifts."""
        if not self.ledger.is_newest(payload.slot) or is_imported(payload):
            return ()
        own = payload.findings if self.is_alone(payload) else {}
        ahead = quality.ahead_findings(snapshot.statuses, payload)
        beyond = positions.beyond_findings(snapshot.statuses, "vehicles")
        reported = {**own, **snapshot.findings, **ahead, **beyond}
        snapshot = replace(snapshot, findings=reported)
        memory = self.ledger.notes()
        notes, news = findings.new_findings(snapshot, memory, payload.slot)
        self.ledger.remember(findings.changed_notes(notes, memory))
        return tuple(f"vehicles: {text}" for text in news)


def _without_trouble(payload: Payload) -> Payload:
    return replace(payload, incomplete="", beside="")


def has_vehicles(payload: Payload) -> bool:
    """Return whether *payload* has vehicles, fetched or imported."""
    return payload.body(DOCUMENT) is not None or is_imported(payload)


def is_imported(payload: Payload) -> bool:
    """Return whether *payload* has the vehicles of a slot of another archive."""
    return payload.body(vehicle_rows.DOCUMENT) is not None


def _unreadable(error: Exception) -> Notice:
    """Return the notice for vehicles that cannot be read; a bug is logged."""
    if isinstance(error, PayloadError):
        error.__traceback__ = None  # its frames hold the parsed documents
        return Notice("partial", f"the vehicles are not committed: {error}")
    log.error("a bug in reading vehicles", exc_info=error, extra={"is_reported": True})
    message = f"{type(error).__name__}: {error}"
    return Notice("bug", f"a bug in reading vehicles: {message}")
