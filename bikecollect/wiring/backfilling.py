"""Build the parts that fill the missing slots of a system."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from datetime import tzinfo
from functools import partial
from pathlib import Path

from bikecollect.alerts.signals import UNFETCHED
from bikecollect.alerts.system_state import SystemAlertState
from bikecollect.archive.archived_days import ArchivedDays
from bikecollect.archive.checks.restore import report_lost_list, restore
from bikecollect.archive.datasets import STATION_LAYOUT
from bikecollect.archive.day_archive import Archive
from bikecollect.collect.backfill import Backfiller
from bikecollect.collect.committed_blocks import CommittedBlocks
from bikecollect.collect.filling.fillings import FILLED, Filling
from bikecollect.collect.filling.locked_files import LockedFiles
from bikecollect.collect.filling.shortened import shortened
from bikecollect.collect.reading.trial import PayloadTrial
from bikecollect.collect.sources import Source
from bikecollect.collect.sources.bikecollect_folder import FolderSource
from bikecollect.collect.sources.foreign_days import certified_days
from bikecollect.collect.sources.foreign_ledger import blocks, has_ledger
from bikecollect.collect.sources.tables import TableSource
from bikecollect.core import process
from bikecollect.core.causes import Cause
from bikecollect.core.errors import Outcome, UsageError
from bikecollect.core.incidents import Incident
from bikecollect.core.process import Times
from bikecollect.core.slots import Slot, bounds
from bikecollect.core.text import count_of, local_minute
from bikecollect.setup.settings import Settings
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.csv_store import Store
from bikecollect.storage.data_folder import MARKER, VEHICLES, SystemFolder
from bikecollect.storage.facts import facts_file
from bikecollect.storage.files import marker
from bikecollect.storage.files.scratch import scratch
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.ledger_schema import ARCHIVED_DAYS
from bikecollect.storage.lock import Breather
from bikecollect.storage.payload_store import Payloads
from bikecollect.storage.recovery import Recovery
from bikecollect.wiring.collection import cycle
from bikecollect.wiring.history import prepare, system_lock
from bikecollect.wiring.inherited_facts import with_facts_of
from bikecollect.wiring.source_files import (
    SLOTS,
    STATIONS,
    is_system,
    lists_in,
    tables_at,
)

log = logging.getLogger(__name__)
NEWEST = (
    "SELECT max(slot) FROM (SELECT max(slot) AS slot FROM blocks WHERE slot < ?"
    " UNION ALL SELECT max(slot) FROM runs WHERE slot < ?)"
)
"""The last slot before one that has a block or a run."""
FILLED_SLOTS = "SELECT slot FROM slot_blocks WHERE slot >= ? AND slot < ?"
LOSING = {Outcome.REJECTED, Outcome.BUG, Outcome.OVERLOAD, Outcome.DISK}
REPORTED = {o.value for o in UNFETCHED | LOSING | {Outcome.SETTINGS}}
"""Outcomes of runs whose slots are lost by an incident of their own kind."""
BLOCKS = "SELECT slot FROM main.blocks WHERE slot >= ? AND slot < ?"


def backfiller(
    settings: Settings,
    name: str,
    times: Times,
    *,
    span: tuple[Slot, Slot],
    dry: bool,
    origin: Path | None = None,
) -> Backfiller:
    """Return the backfiller for the slots in *span* of the system called *name*.

    *origin* is the folder of the other bikecollect from which they are filled, if any.
    """
    now = times.clock()
    system = with_facts_of(origin, settings.system_folder(name, now), now)
    if not dry:
        prepare(settings, name)
    payloads, store = Payloads(system.payloads), Store(system.path)
    ledger = Ledger(system.ledger)
    fetching = cycle(settings, name, times, system).committer
    vehicles = fetching.vehicles
    committer = replace(
        fetching,
        reader=replace(fetching.reader, store=store, ledger=ledger),
        payloads=payloads,
        # DuckDB may run in this process, and limits its own memory.
        bounded=nullcontext,
    )
    history = History(name, system.path)

    def slots() -> set[int]:
        blocks = history.select("SELECT slot FROM blocks")
        return {*payloads.waiting_slots(), *(slot for (slot,) in blocks)}

    days = Archive(settings.data, system, times.clock)
    known = {day for (day,) in history.select(ARCHIVED_DAYS)}
    is_lost = not known.issuperset(days.days())
    trial = PayloadTrial(committer.reader.feed)
    stop, only = times.stop.raise_if_set, committer.reader.only
    lock = system_lock(system, times)

    def remember(notes: Mapping[str, str]) -> None:
        if not dry:
            with lock.held(), closing(ledger):
                ledger.open()
                ledger.remember(notes)

    compared = partial(
        shortened, history, payloads, trial, only, interrupted=stop, remember=remember
    )
    return Backfiller(
        system=system,
        payloads=payloads,
        blocks=CommittedBlocks(history, store, ledger, compared),
        vehicles=CommittedBlocks(
            History(name, system.vehicles.path), vehicles.store, vehicles.ledger
        )
        if vehicles
        else None,
        committer=committer,
        files=LockedFiles(
            lock=lock,
            ledger=ledger,
            recovery=Recovery(payloads, store, ledger, system.zone, system.mirror),
            vehicles=vehicles,
            breathe=Breather(times.stop, times.monotonic),
        ),
        interrupted=stop,
        new_id=process.run_id,
        since=span[0],
        until=span[1],
        restore=partial(_restore, days, ArchivedDays(ledger), store, origin)
        if is_lost
        else None,
        dry=dry,
        record_facts=(lambda: None)
        if dry
        else partial(facts_file.record, system, slots),
    )


def _restore(
    archive: Archive, archived_days: ArchivedDays, store: Store, origin: Path | None
) -> None:
    """Copy archived days into the ledger; log what cannot be restored.

    The folder *origin* may have the list of stations.
    """
    for day, why in restore(archive, archived_days, store).items():
        log.warning("%s: %s", day, why)
    if origin is None:
        report_lost_list(archive)


def source(
    settings: Settings,
    name: str,
    path: Path,
    maps: Sequence[str],
    layout: str,
    *,
    times_zone: tzinfo | None = None,
    now: float,
) -> Source:
    """Return the source at *path*, to fill the system called *name*.

    It is a folder of bikecollect (of the system, or the data folder), or tables.
    Snapshots after *now* are skipped.
    """
    system = settings.system_folder(name)
    for folder in (path, path / name):
        if is_system(folder):
            if folder.resolve() == (settings.data / name).resolve():
                raise UsageError(f"--from {path} is the folder to be filled")
            _check_ledgers(folder, vehicles=settings.systems[name].vehicles)
            grid = with_facts_of(folder, system, now).grid
            return FolderSource(folder, grid, now)
    paths, lists = tables_at(path, name), lists_in(path)
    return TableSource(
        paths,
        system.zone,
        system.grid,
        now,
        maps,
        layout,
        times_zone=times_zone,
        folder=path,
        list_names=lists[STATIONS],
        slot_names=lists[SLOTS],
    )


class LossBefore:
    """What *system* has lost before it is filled; `end` says what is lost for good."""

    def __init__(self, system: SystemFolder) -> None:
        self._system, self._name = system, system.system_id
        self._history = History(system.system_id, system.path)
        self._is_new = self._history.ends() is None

    def end(
        self, fillings: Iterable[Filling], source: Source | None, now: float
    ) -> None:
        """Remove the mark of a loss if *fillings* of *source* are what was lost.

        What the earlier folder had, and *source* has not, is accounted for. A loss by
        an older copy also ends with its last missing slot, without a *source*.
        Incidents do not count the filled slots as lost any more.
        """
        ledger = AlertLedger(self._system.ledger)
        SystemAlertState.of(self._system).note_filled(self._still_lost, ledger)
        filled = [f for f in fillings if f.what == FILLED] if source else []
        ended = self._ended(self._system, "data", filled, self._missing)
        own = [f for f in filled if f.is_vehicles]
        self._ended(self._system.vehicles, "vehicles", own, self._missing_vehicles)
        if isinstance(source, FolderSource):
            aside = marker.lost_by(source.folder / MARKER)
            told = (ended and ended.told) or (aside and aside.told)
            self._account(told, source.folder, now)

    def _ended(
        self,
        part: SystemFolder,
        what: str,
        filled: Iterable[Filling],
        missing: Callable[[marker.Lost], Collection[Slot]],
    ) -> marker.Lost | None:
        """Remove the mark of the loss of a *part* if it has ended; return the loss.

        Slots of it were *filled*, or none of those that an older copy lacks is
        *missing*. *what* the part has is named in a line of the log.
        """
        path = part.path / MARKER
        lost = marker.lost_by(path)
        left = missing(lost) if lost and lost.first else ()
        is_back = marker.is_restored(path, (f.slot for f in filled))
        if lost is None or not (is_back or (lost.first and not left)):
            return None
        marker.accept(path)
        text = f"{what} from before the loss are here again"
        text += f"; still missing: {count_of(len(left), 'slot')}" if left else ""
        log.warning("%s: %s", self._name, text)
        return lost

    def _still_lost(self, incident: Incident) -> Incident:
        """Return *incident* with at most the slots that are still missing.

        Those that were missed have no run that another incident reports.
        """
        begin, end = incident.opened, Slot(incident.last + 1)
        filled = {slot for (slot,) in self._history.select(FILLED_SLOTS, begin, end)}
        missing = {*self._system.grid.between(begin, end)} - filled
        if incident.kind == "missed":
            rows = self._history.run_rows(("slot", "outcome"), begin, end)
            missing -= {slot for slot, outcome in rows if outcome in REPORTED}
        is_last_lost = incident.last_lost and incident.last in missing
        lost = min(incident.lost, len(missing))
        return incident._replace(lost=lost, last_lost=is_last_lost)

    def _missing(self, lost: marker.Lost) -> list[Slot]:
        """Return the slots of *lost* that have neither a block nor a run."""
        known = {run.slot for run in self._history.runs(lost.first, lost.end)}
        known |= _blocks(self._history, lost)
        slots = self._system.grid.between(lost.first, lost.end)
        return [slot for slot in slots if slot not in known]

    def _missing_vehicles(self, lost: marker.Lost) -> set[Slot]:
        """Return the slots of *lost* without vehicles: those of stations, if any."""
        here = _blocks(History(self._name, self._system.vehicles.path), lost)
        slots = set(self._system.grid.between(lost.first, lost.end))
        return (_blocks(self._history, lost) or slots) - here

    def _account(self, told: Slot | None, copy: Path, now: float) -> None:
        """Record the cause of the slots that *copy*, which fills a new folder, lacks.

        People were *told* of slots until then. Or that is unknown: the copy is that of
        another machine, or of this one before its state was lost, too.
        """
        system, causes = self._system, dict[str, int]()
        if told is not None:
            lost = self._since(copy, Slot(told + 1))
            causes = {Cause.OLDER_FOLDER.value: len(lost)}
        else:
            lost = self._since(copy, system.grid.floor(now)) if self._is_new else []
            causes = {Cause.UNKNOWN.value: len(lost)}
        if not lost:
            return
        since, until = (local_minute(slot, system.zone) for slot in (lost[0], lost[-1]))
        slots = count_of(len(lost), "slot")
        text = (
            f"the archive that it was filled from lacks {slots} from {since} to {until}"
        )
        if told is not None:
            text += ", collected or accounted for before the loss"
            log.warning("%s: %s", self._name, text)
            SystemAlertState.of(system).note_lost(len(lost))
        incident = Incident(process.run_id(), "damage", lost[0], lost[-1], lost[-1])
        AlertLedger(system.ledger).save(
            [incident._replace(slots=len(lost), told=1, causes=causes, text=text)]
        )

    def _since(self, copy: Path, end: Slot) -> list[Slot]:
        """Return the slots from the last one of *copy* to before *end*.

        Those of an archived day are accounted for there.
        """
        ((last,),) = self._history.select(NEWEST, end, end) or [(None,)]
        if last is None:
            return []
        days = set[str]()
        with suppress(OSError):
            days = certified_days(copy, STATION_LAYOUT)
        ends = [bounds(day, self._system.zone)[1] for day in days]
        return [*self._system.grid.between(max([last + 1, *ends]), end)]


def _blocks(history: History, lost: marker.Lost) -> set[Slot]:
    """Return the slots of *lost* that have a block."""
    rows = history.select(BLOCKS, lost.first, lost.end)
    return {slot for (slot,) in rows}


def _check_ledgers(folder: Path, *, vehicles: bool) -> None:
    """Raise an error, before anything is written, if a ledger there cannot be read."""
    for place in (folder, folder / VEHICLES) if vehicles else (folder,):
        if has_ledger(place):
            with scratch() as scratch_folder:
                next(blocks(place, scratch_folder), None)
