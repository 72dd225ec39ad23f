"""Commit one accepted payload: read, write its block, account for it, move it on."""

import hashlib
import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import TYPE_CHECKING, NamedTuple

from bikecollect.collect import findings, only, quality, station_list
from bikecollect.collect.only import Only
from bikecollect.core.blocks import Block, Span, Stations
from bikecollect.core.errors import BikecollectError, Outcome, PayloadError
from bikecollect.core.logs import Stopwatch
from bikecollect.core.payload import Payload
from bikecollect.core.run import Notice, Result
from bikecollect.core.secrets.redact import Redact, unredacted
from bikecollect.core.slots import Slot, day_of
from bikecollect.core.snapshot import Snapshot, StationInformation
from bikecollect.feeds import Feed, imported_rows
from bikecollect.storage.csv_format import (
    EncodedRows,
    Format,
    information_header,
    information_lines,
)
from bikecollect.storage.data_folder import INFORMATION
from bikecollect.storage.payload_store import KILLED
from bikecollect.storage.recovery import target

if TYPE_CHECKING:
    from bikecollect.storage.csv_store import Store
    from bikecollect.storage.ledger import Ledger
    from bikecollect.storage.payload_store import Payloads


log = logging.getLogger(__name__)

GROWTH = "bikecollect.growth"
SPARED = frozenset({"growth", "too-large", "too-slow"})
"""Causes by which most likely nothing is lost: of such payloads the newest are kept."""
CLOCK_SET = "the clock of this machine was set back"
"""In the reason of a payload that is rejected for it: it is never tried again."""
MOST_KILLS = 2
"""Runs that a payload may kill by being read, before it is set aside."""


class _Understood(NamedTuple):
    """A payload, read; the stations *known* before it; its rows; what to remember."""

    snapshot: Snapshot
    known: Mapping[str, StationInformation]
    block: EncodedRows
    notes: Mapping[str, str]


@dataclass(frozen=True, eq=False, repr=False)
class Committer:
    """Carries payloads of one system from the inbox into its files.

    Needs the lock, an open ledger, and files that agree with it (`Recovery`).
    Raises StorageError where the disk or the ledger refuses: the run must end
    then, and the next one begins with healing. *fields* are those of the settings.
    """

    feed: Feed
    format: Format
    zone: tzinfo
    interval: int
    payloads: "Payloads"
    store: "Store"
    ledger: "Ledger"
    watch: Stopwatch = field(default_factory=Stopwatch)
    redact: Redact = unredacted
    fields: Mapping[str, str] = field(default_factory=dict)
    only: Only = Only()
    bounded: Callable[[], AbstractContextManager[None]] = nullcontext

    def commit(self, name: str, source: str) -> Result:
        """Commit *name*, a payload in the inbox; *source* is fetch or recovery."""
        payload = None
        try:
            self._check_kills(name)
            with self.payloads.counted(name), self.bounded():
                payload = self.payloads.open(name)
                there = self.ledger.block(payload.slot)
                if there is None:
                    understood = self._understand(payload, source)
            if there is not None:
                return self._again(name, payload, there)
            return self._write(name, payload, understood, payload.source or source)
        except PayloadError as error:
            error.__traceback__ = None  # its frames hold all that was parsed
            misread = error.cause in {"drift", "shape"}
            remedy = self._remedy(name, payload) if payload and misread else []
            return self._reject(name, error, str(error), remedy)
        except BikecollectError:
            raise
        except Exception as error:  # noqa: BLE001 - ours: the payload outlives it
            return self._bug(name, error)

    def _check_kills(self, name: str) -> None:
        """Raise PayloadError for a payload whose reading has killed some runs."""
        kills = self.payloads.kills(name)
        if kills >= MOST_KILLS:
            raise PayloadError(
                f"{kills} runs {KILLED}; `bikecollect backfill` tries it once more",
                cause="killed",
            )

    def _understand(self, payload: Payload, source: str) -> _Understood:
        with self.watch("read"):
            snapshot = self._read(payload)
        with self.watch("rows"):
            known = self.ledger.stations(payload.slot, station_list.ids(snapshot))
            notes = self.ledger.notes()
            self._check_growth(payload, len(snapshot.statuses), notes, source)
            settled = station_list.settled(snapshot, known, notes, payload.slot)
            about = {each.station_id: each for each in settled.information}
            about = {**known, **about}
            statuses, odd = quality.plausible(snapshot.statuses, about)
            told = quality.implausible(odd, len(statuses))
            snapshot = replace(
                snapshot,
                statuses=statuses,
                information=settled.information,
                lists_all=settled.lists_all,
                flags=_with(snapshot.flags, "implausible" if odd else ""),
                findings={
                    **payload.findings,
                    **snapshot.findings,
                    **settled.findings,
                    **told,
                    **quality.renumbered(statuses, known),
                },
            )
            snapshot = self.only.applied(snapshot, about)
            block = self.format.block(
                payload.slot,
                payload.fetched_at,
                snapshot.statuses,
                about,
                snapshot.kinds,
            )
            _, note = self.only.since(notes.get(only.NOTE, ""), payload.slot)
        more = {**settled.notes, only.NOTE: note}
        return _Understood(snapshot, known, block, more)

    def _check_growth(
        self, payload: Payload, rows: int, notes: Mapping[str, str], source: str
    ) -> None:
        """Raise PayloadError for far more stations than usual, for the first hour."""
        usual, before = self.ledger.usual_rows(payload.slot), notes.get(GROWTH, "")
        note, doubted = quality.growing(rows, usual, before, payload.slot)
        if note != before and self.ledger.is_newest(payload.slot):
            self.ledger.remember({GROWTH: note})
        if doubted and not source.startswith("backfill"):
            raise PayloadError(
                f"{rows} stations, where {usual} are usual: believed when they have "
                "come for an hour; `bikecollect backfill` commits them all the same",
                cause="growth",
            )

    def _write(
        self, name: str, payload: Payload, understood: _Understood, source: str
    ) -> Result:
        snapshot, known, block, notes = understood
        extents = self.ledger.extents()
        day = day_of(payload.slot, self.zone)
        file, end, damage = target(day, self.format.header, self.store, extents)
        since = int(notes[only.NOTE].partition(" ")[0] or 0)
        flags = quality.flags(payload, snapshot, self.ledger, self.interval, since)
        with self.watch("append"):
            changes = station_list.changed(
                snapshot, known, flags, payload.slot, self.ledger
            )
            stations = self._stations(payload.slot, changes)
            span = self.store.append(file, end, self.format.header, block.text)
        with self.watch("ledger"):
            self.ledger.commit(
                _committed(payload, snapshot, span, block.rows, source)._replace(
                    flags=" ".join(flags),
                    header=zlib.crc32(self.format.header),
                ),
                stations,
            )
            drifts = self._remember(payload, snapshot, notes)
        self._move_on(name, payload)
        notices = [Notice("partial", text) for text in snapshot.oddities]
        notices += [Notice("columns", text) for text in block.troubles]
        notices += [Notice("drift", text) for text in drifts]
        notices += self._remedy(name, payload) if drifts else []
        notices += [damage] if damage else []
        lacking = (payload.incomplete, snapshot.incomplete, changes.trouble)
        for text in filter(None, lacking):
            notices.append(Notice("partial", text))
        return Result(
            Outcome.COLLECTED,
            rows=block.rows,
            stations=len(snapshot.statuses) + snapshot.dropped,
            file=span.file,
            flags=(*flags, *(("drift",) if drifts else ())),
            notices=tuple(notices),
        )

    def _move_on(self, name: str, payload: Payload) -> None:
        if payload.source:
            self.payloads.remove(name)  # it is kept where it came from
        else:
            self.payloads.keep(name, day_of(payload.slot, self.zone))

    def _read(self, payload: Payload) -> Snapshot:
        rows = payload.body(imported_rows.DOCUMENT)
        if rows is not None:
            return imported_rows.read(rows)
        return self.feed.read(payload.documents)

    def _again(self, name: str, payload: Payload, there: Block) -> Result:
        """Settle a payload whose slot has a block: a second run, or a wrong clock."""
        if there.run_id != payload.run_id and _clock_was_set(
            payload, there, self.interval
        ):
            reason = (
                f"the slot has a block of {there.rows} rows from another time: "
                f"{CLOCK_SET}, or wrong before; the payload is kept here, the block "
                "stays"
            )
            return self._reject(name, PayloadError(reason, cause="clock"), reason)
        self._move_on(name, payload)
        mine = there.run_id == payload.run_id
        return Result(
            Outcome.COLLECTED if mine else Outcome.DUPLICATE,
            rows=there.rows if mine else 0,
            stations=there.rows if mine else 0,
            file=there.span.file,
        )

    def _remedy(self, name: str, payload: Payload) -> list[Notice]:
        """Return what to put into the settings, where a field has another name."""
        from bikecollect.collect import remedy  # only where it drifts

        try:
            with self.payloads.counted(name), self.bounded():
                return remedy.notices(self.feed, payload, self.payloads, self.fields)
        except Exception:
            log.exception("a bug in what was to be advised", extra={"told": True})
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
        import traceback  # only on the way to an error

        reason = "".join(traceback.format_exception(error))
        path = self.payloads.reject(name, self.redact(reason))
        what = f"a bug: {type(error).__name__}: {error}"
        if isinstance(error, MemoryError):
            what = "there is not enough memory to read the payload"
        text = f"{what}; see {path}.reason.txt"
        return Result(Outcome.BUG, "bug", error=text, notices=(Notice("bug", text),))

    def _stations(self, slot: Slot, changes: station_list.Changes) -> Stations:
        """Append new versions to the information file, durably; return them."""
        versions, absent, _ = changes
        if not versions:
            return Stations(absent=absent)
        extent = self.ledger.extents().get(INFORMATION)
        text = information_lines(slot, self.zone, versions)
        end = extent.end if extent else 0
        span = self.store.append(INFORMATION, end, information_header(), text)
        return Stations(tuple(versions), span, absent)

    def _remember(
        self, payload: Payload, snapshot: Snapshot, more: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Keep what the next fetch may use; return how the feed has changed."""
        memory = self.ledger.notes()
        if not self.ledger.is_newest(payload.slot):
            return ()  # what a later payload has said stands
        notes, told = findings.news(snapshot, memory, payload.slot)
        notes = {**payload.notes, **more, **notes}
        changed = {k: text for k, text in notes.items() if memory.get(k, "") != text}
        if changed:
            self.ledger.remember(changed)
        return told


def _with(flags: tuple[str, ...], flag: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*flags, flag))) if flag else flags


def _committed(
    payload: Payload, snapshot: Snapshot, span: Span, rows: int, source: str
) -> Block:
    return Block(
        slot=payload.slot,
        span=span,
        rows=rows,
        sha256=_sha256(payload),
        fetched_at=payload.fetched_at,
        last_updated=snapshot.last_updated,
        run_id=payload.run_id,
        uptime=payload.uptime,
        boot_id=payload.boot_id,
        source=source,
    )


def _clock_was_set(payload: Payload, there: Block, interval: int) -> bool:
    """Tell whether two payloads of one slot were really fetched far apart."""
    if there.boot_id and there.boot_id == payload.boot_id:
        return abs(payload.uptime - there.uptime) > 1.5 * interval
    return quality.clock_is_off(payload)


def _sha256(payload: Payload) -> str:
    digest = hashlib.sha256()
    for each in payload.documents:
        digest.update(each.body)
    return digest.hexdigest()
