"""Build the parts that fill the missing slots of a system."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.archive.archived_days import ArchivedDays
from bikecollect.archive.checks.restore import Restorer, report_lost_list
from bikecollect.archive.day_archive import Archive
from bikecollect.collect.backfill import Backfiller
from bikecollect.collect.committed_blocks import CommittedBlocks
from bikecollect.collect.filling.locked_files import LockedFiles
from bikecollect.collect.filling.shortened import shortened
from bikecollect.collect.reading.payload_reader import PayloadReader
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
from bikecollect.storage.data_folder import VEHICLES, SystemFolder
from bikecollect.storage.facts import facts_file
from bikecollect.storage.files.scratch import scratch
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.ledger_schema import ARCHIVED_DAYS
from bikecollect.storage.lock import Breather, Lock
from bikecollect.storage.payload_store import Payloads
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

if TYPE_CHECKING:
    from bikecollect.collect.vehicles import VehicleCommitter

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
    fetching = cycle(settings, name, times, system)
    # DuckDB may run in this process, and limits its own memory.
    committer = replace(fetching.committer, bounded=nullcontext)
    reader, vehicles = committer.reader, committer.vehicles
    payloads, ledger = fetching.payloads, fetching.ledger
    history, lock = History(name, system.path), system_lock(system, times)
    days = Archive(settings.data, system, times.clock)
    find_shortened = partial(
        shortened,
        history,
        payloads,
        PayloadTrial(reader.feed),
        reader.only,
        interrupted=times.stop.raise_if_set,
        remember=_drop if dry else partial(_remember, lock, ledger),
    )
    return Backfiller(
        system=system,
        payloads=payloads,
        blocks=CommittedBlocks(history, reader.store, ledger, find_shortened),
        vehicles=_vehicle_blocks(system, vehicles) if vehicles else None,
        committer=committer,
        files=LockedFiles(
            lock=lock,
            ledger=ledger,
            recovery=fetching.recovery,
            vehicles=vehicles,
            breathe=Breather(times.stop, times.monotonic),
        ),
        interrupted=times.stop.raise_if_set,
        new_id=process.run_id,
        since=span[0],
        until=span[1],
        restore=_restorer(days, history, reader, origin),
        dry=dry,
        record_facts=partial(
            facts_file.record, system, partial(_slots, history, payloads)
        ),
    )


def _remember(lock: Lock, ledger: Ledger, notes: Mapping[str, str]) -> None:
    """Store *notes* in the *ledger*, which is not open, under the *lock*."""
    with lock.held(), closing(ledger):
        ledger.open()
        ledger.remember(notes)


def _drop(_notes: Mapping[str, str]) -> None:
    """Store nothing: a dry run leaves the ledger as it is."""


def _vehicle_blocks(
    system: SystemFolder, vehicles: "VehicleCommitter"
) -> CommittedBlocks:
    history = History(system.system_id, system.vehicles.path)
    return CommittedBlocks(history, vehicles.store, vehicles.ledger)


def _slots(history: History, payloads: Payloads) -> set[int]:
    """Return the slots that have a block or a waiting payload."""
    blocks = history.select("SELECT slot FROM blocks")
    return {*payloads.waiting_slots(), *(slot for (slot,) in blocks)}


def _restorer(
    archive: Archive, history: History, reader: PayloadReader, origin: Path | None
) -> Callable[[], None] | None:
    """Return what restores archived days, None if the ledger in *history* has all."""
    known = {day for (day,) in history.select(ARCHIVED_DAYS)}
    if known.issuperset(archive.days()):
        return None
    restorer = Restorer(archive, ArchivedDays(reader.ledger), reader.store)
    return partial(_restore, restorer, has_list=origin is not None)


def _restore(restorer: Restorer, *, has_list: bool) -> None:
    """Copy archived days into the ledger; log what cannot be restored.

    If not *has_list*, nothing that is filled from can have the list of stations.
    """
    for day, why in restorer.restore().items():
        log.warning("%s: %s", day, why)
    if not has_list:
        report_lost_list(restorer.archive)


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
