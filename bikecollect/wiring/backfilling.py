"""Build the parts that fill the missing slots of a system."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import tzinfo
from functools import partial
from pathlib import Path

from bikecollect.archive.archived_days import ArchivedDays
from bikecollect.archive.checks.restore import report_lost_list, restore
from bikecollect.archive.day_archive import Archive
from bikecollect.collect.backfill import Backfiller
from bikecollect.collect.committed_blocks import CommittedBlocks
from bikecollect.collect.filling.locked_files import LockedFiles
from bikecollect.collect.filling.shortened import shortened
from bikecollect.collect.reading.trial import PayloadTrial
from bikecollect.collect.sources import Source
from bikecollect.collect.sources.bikecollect_folder import FolderSource
from bikecollect.collect.sources.foreign_ledger import blocks, has_ledger
from bikecollect.collect.sources.tables import TableSource
from bikecollect.core import process
from bikecollect.core.errors import UsageError
from bikecollect.core.process import Times
from bikecollect.core.slots import Slot
from bikecollect.setup.settings import Settings
from bikecollect.storage.csv_store import Store
from bikecollect.storage.data_folder import VEHICLES
from bikecollect.storage.facts import facts_file
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


def _check_ledgers(folder: Path, *, vehicles: bool) -> None:
    """Raise an error, before anything is written, if a ledger there cannot be read."""
    for place in (folder, folder / VEHICLES) if vehicles else (folder,):
        if has_ledger(place):
            with scratch() as scratch_folder:
                next(blocks(place, scratch_folder), None)
