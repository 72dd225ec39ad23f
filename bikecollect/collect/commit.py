"""Commit one accepted payload: read it, write its block, record it, move it."""

import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import TYPE_CHECKING

from bikecollect.collect import findings, only, quality, station_list
from bikecollect.collect.fetching import clock
from bikecollect.collect.reading.payload_reader import PayloadReader, Understood
from bikecollect.core.blocks import Block, Stations, block_of
from bikecollect.core.errors import (
    BikecollectError,
    Interrupted,
    Outcome,
    PayloadError,
    StorageError,
)
from bikecollect.core.payload import Payload
from bikecollect.core.run import Notice, Result
from bikecollect.core.secrets.redact import Redact, unredacted
from bikecollect.core.slots import Slot, day_of
from bikecollect.storage.csv_format import information_header, information_lines
from bikecollect.storage.data_folder import INFORMATION
from bikecollect.storage.payload_store import KILLED
from bikecollect.storage.recovery import target

if TYPE_CHECKING:
    from bikecollect.collect.vehicles import VehicleCommitter
    from bikecollect.core.snapshot import Snapshot
    from bikecollect.storage.csv_store import Store
    from bikecollect.storage.ledger import Ledger
    from bikecollect.storage.payload_store import Payloads

log = logging.getLogger(__name__)

SPARED = frozenset({"growth", "too-large", "too-slow"})
"""Causes of rejection that lose little data: only the newest such payloads are kept."""
MAX_KILLS = 2
"""Runs that reading a payload may kill before the payload is rejected."""


@dataclass(frozen=True, eq=False, repr=False)
class Committer:
    """Writes payloads of one system from the inbox into its files.

    Requires the lock, an open ledger, and files that agree with it (`Recovery`). The
    feed, the files and the ledger are those of *reader*. *fields* are the user's fields
    for single columns; *bounded* limits the memory for reading; *vehicles* commits the
    vehicles of a payload, if they are collected. Raises StorageError if the disk or the
    ledger fails: the run must end then, and the next one begins with recovery.
    """

    reader: PayloadReader
    zone: tzinfo
    payloads: "Payloads"
    redact: Redact = unredacted
    fields: Mapping[str, str] = field(default_factory=dict)
    bounded: Callable[[], AbstractContextManager[None]] = nullcontext
    vehicles: "VehicleCommitter | None" = None

    @property
    def _store(self) -> "Store":
        return self.reader.store

    @property
    def _ledger(self) -> "Ledger":
        return self.reader.ledger

    def commit(self, name: str, source: str) -> Result:
        """Commit the payload *name* of the inbox; *source* is stored with its block."""
        payload, vehicles = None, Result()
        try:
            self._check_kills(name)
            if self.vehicles is not None:
                vehicles = self._commit_vehicles(self.vehicles, name, source)
            if vehicles.outcome is not None:
                return vehicles
            with self.payloads.mark_reading(name), self.bounded():
                payload = self.payloads.open(name)
                clock.check_payload(payload)
                block = self._ledger.block(payload.slot)
                if block is None:
                    understood = self.reader.read(payload, source)
        except PayloadError as error:
            error.__traceback__ = None  # its frames hold the parsed documents
            misread = error.cause in {"drift", "shape"}
            remedy = self._remedy(name, payload) if payload and misread else []
            result = self._reject(name, error, str(error), remedy)
        except (BikecollectError, OSError):
            raise  # disk, memory or permissions: not the payload's fault
        except Exception as error:  # noqa: BLE001 - a bug: the payload is kept
            result = self._bug(name, error)
        else:
            origin = payload.source or source
            with self._ending_the_run(name):
                result = (
                    self._write(name, payload, understood, origin)
                    if block is None
                    else self._skip(name, payload, block)
                )
        return result._replace(notices=(*result.notices, *vehicles.notices))

    def _commit_vehicles(
        self, vehicles: "VehicleCommitter", name: str, source: str
    ) -> Result:
        """Commit the vehicles of *name*, before the stations.

        The result has an outcome if the payload has no stations.
        """
        with self.payloads.mark_reading(name), self.bounded():
            payload = self.payloads.open(name)
            clock.check_payload(payload)
            rows = vehicles.read(payload)
        with self._ending_the_run(name):
            result = vehicles.write(payload, rows, payload.source or source)
        if result.outcome is not None:
            notes = {**payload.notes, **self._vehicles_note(payload.slot)}
            findings.keep_notes(self._ledger, notes, payload.slot)
            self._move_on(name, payload)
        return result

    @contextmanager
    def _ending_the_run(self, name: str) -> Iterator[None]:
        """Convert any exception to an error that ends the run.

        The payload stays in the inbox. If bytes were appended that the ledger lacks,
        the next run truncates them. A payload that fails twice is rejected, like one
        that kills runs.
        """
        try:
            yield
        except (StorageError, PayloadError, Interrupted, OSError):
            raise
        except Exception as error:
            log.exception(
                "a bug while committing %s", name, extra={"is_reported": True}
            )
            self.payloads.mark_failed(name)
            text = f"{_describe(error)}; the payload {name} waits for the next run"
            raise BikecollectError(text) from error

    def _check_kills(self, name: str) -> None:
        """Raise PayloadError for a payload that has killed `MAX_KILLS` runs."""
        kills = self.payloads.kills(name)
        if kills >= MAX_KILLS:
            raise PayloadError(
                f"{kills} runs {KILLED} or failed to commit it; `bikecollect backfill` "
                "tries it again",
                cause="killed",
            )

    def _write(
        self, name: str, payload: Payload, understood: Understood, source: str
    ) -> Result:
        snapshot, block = understood.snapshot, understood.block
        header, day = self.reader.format.header, day_of(payload.slot, self.zone)
        file, end, damage = target(day, header, self._store, self._ledger)
        since = only.filtered_since(understood.notes)
        interval = self.reader.interval
        flags = quality.flags(payload, snapshot, self._ledger, interval, since)
        with self.reader.watch("append"):
            changes = self._changes(payload, understood, flags)
            notes, news = self._notes(payload, understood, flags, changes.findings)
            stations = self._stations(payload.slot, changes)
            span = self._store.append(file, end, header, block.text)
        with self.reader.watch("ledger"):
            committed = block_of(
                payload,
                snapshot.last_updated,
                span,
                block.rows,
                source,
                flags=flags,
                header=zlib.crc32(header),
            )
            self._ledger.commit(committed, stations, notes)
        self._move_on(name, payload)
        notices = (
            *_noticed("partial", snapshot.oddities),
            *_noticed("columns", block.troubles),
            *_zone_notices(payload, understood, flags),
            *_noticed(findings.IMPLAUSIBLE, findings.senseless(snapshot)),
            *self._drift_notices(name, payload, snapshot, news),
            *((damage,) if damage else ()),
            *_noticed("partial", findings.lacking(payload, snapshot, changes.trouble)),
        )
        return Result(
            Outcome.COLLECTED,
            rows=block.rows,
            stations=len(snapshot.statuses) + snapshot.dropped,
            file=span.file,
            flags=(*flags, *(("drift",) if news else ())),
            notices=notices,
        )

    def _notes(
        self,
        payload: Payload,
        understood: Understood,
        flags: Sequence[str],
        of_changes: Mapping[str, str],
    ) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return the notes to store with the block, and what is new of the feed.

        *of_changes* are the findings about the list of stations.
        """
        snapshot, slot = understood.snapshot, payload.slot
        back, note = quality.back_findings(payload, snapshot, flags, self._ledger)
        reported = {**snapshot.findings, **of_changes, **back}
        if findings.senseless(snapshot):  # an incident; what is left is a finding then
            reported = findings.without_implausible(reported)
        return findings.notes_to_store(
            self._ledger,
            replace(snapshot, findings=reported),
            {**payload.notes, **understood.notes, **note, **self._vehicles_note(slot)},
            slot,
        )

    def _drift_notices(
        self, name: str, payload: Payload, snapshot: "Snapshot", news: Sequence[str]
    ) -> list[Notice]:
        """Return notices of what is new of the feed, with the settings that fix it.

        A doubt of the time zone has a notice of its own.
        """
        doubt = snapshot.findings.get(quality.ZONE, "")
        drifts = [text for text in news if text != doubt]
        remedy = self._remedy(name, payload) if drifts else []
        return [*_noticed("drift", drifts), *remedy]

    def _vehicles_note(self, slot: Slot) -> dict[str, str]:
        """Return the note on the newest vehicles, if they are of *slot*."""
        return self.vehicles.newest_note(slot) if self.vehicles else {}

    def _changes(
        self, payload: Payload, understood: Understood, flags: Sequence[str]
    ) -> station_list.Changes:
        """Return the changes of the station list; *flags* are those of the block."""
        snapshot, known, _, notes = understood
        is_partial = bool(payload.incomplete or snapshot.incomplete)
        return station_list.find_changes(
            snapshot,
            known,
            payload.slot,
            notes=notes,
            ledger=self._ledger,
            is_partial=is_partial or "short" in flags or "partial" in snapshot.flags,
        )

    def _move_on(self, name: str, payload: Payload) -> None:
        if payload.source:
            self.payloads.remove(name)  # the original is kept where it came from
        else:
            self.payloads.keep(name, day_of(payload.slot, self.zone))

    def _skip(self, name: str, payload: Payload, block: Block) -> Result:
        """Move a payload whose slot has a block: of a second run, or a wrong clock."""
        if block.run_id != payload.run_id and clock.clock_was_set(
            payload, block, self.reader.interval
        ):
            reason = (
                f"the slot already has a block of {block.rows} rows from another time: "
                f"{clock.CLOCK_SET}, or was wrong before; the payload is kept here, "
                "the block is unchanged"
            )
            return self._reject(name, PayloadError(reason, cause="clock"), reason)
        self._move_on(name, payload)
        own = block.run_id == payload.run_id
        return Result(
            Outcome.COLLECTED if own else Outcome.DUPLICATE,
            rows=block.rows if own else 0,
            stations=block.rows if own else 0,
            file=block.span.file,
        )

    def _remedy(self, name: str, payload: Payload) -> list[Notice]:
        """Return the settings that fix a renamed field, as notices."""
        from bikecollect.collect import remedy  # needed for drifts only

        try:
            with self.payloads.mark_reading(name), self.bounded():
                return remedy.notices(self, payload)
        except Exception:
            log.exception(
                "a bug while looking for renamed fields", extra={"is_reported": True}
            )
            return []

    def _reject(
        self,
        name: str,
        error: BikecollectError,
        reason: str,
        remedy: Sequence[Notice] = (),
    ) -> Result:
        reason = self.redact(reason)
        path = self.payloads.reject(name, reason, few=error.cause in SPARED)
        kind = "clock" if error.cause == "clock" else "payload"
        text = f"{error}; the payload is kept in {path}"
        notices = (Notice(kind, text), *remedy)
        return Result(error.outcome, error.cause, error=text, notices=notices)

    def _bug(self, name: str, error: Exception) -> Result:
        import traceback  # needed for bugs only

        reason = "".join(traceback.format_exception(error))
        path = self.payloads.reject(name, self.redact(reason))
        text = f"{_describe(error)}; see {path}.reason.txt"
        return Result(Outcome.BUG, "bug", error=text, notices=(Notice("bug", text),))

    def _stations(self, slot: Slot, changes: station_list.Changes) -> Stations:
        """Append new versions durably to the station list; return the changes."""
        versions, absent, left, *_ = changes
        if not versions and not left:
            return Stations(absent=absent)
        extent = self._ledger.extents().get(INFORMATION)
        groups = [*left.items(), (slot, versions)]
        text = b"".join(information_lines(since, self.zone, g) for since, g in groups)
        end = extent.end if extent else 0
        span = self._store.append(INFORMATION, end, information_header(), text)
        return Stations(tuple(versions), left, span, absent)


def _noticed(kind: str, texts: Iterable[str]) -> Iterator[Notice]:
    return (Notice(kind, text) for text in texts)


def _zone_notices(
    payload: Payload, understood: Understood, flags: Sequence[str]
) -> Iterator[Notice]:
    """Yield a doubt of the time zone, and whether the feed has stopped as well."""
    doubt = understood.snapshot.findings.get(quality.ZONE, "")
    if not doubt:
        return
    yield Notice("zone", doubt)
    if "stale" in flags:
        stopped = quality.stopped_findings(
            payload, understood.snapshot, understood.notes
        )
        yield from _noticed("stale", stopped)


def _describe(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory to read and commit the payload"
    return f"a bug: {type(error).__name__}: {error}"
