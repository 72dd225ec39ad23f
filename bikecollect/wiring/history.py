"""Build the parts that archive, verify, fill and show the history of a system."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from datetime import tzinfo
from functools import partial
from glob import glob
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.archive.archived_days import ArchivedDays
from bikecollect.archive.checks.restore import restore
from bikecollect.archive.compact import Compactor
from bikecollect.archive.datasets import VEHICLE_LAYOUT
from bikecollect.archive.day_archive import Archive
from bikecollect.archive.query.vehicle_slots import vehicle_slots
from bikecollect.archive.query.view_source import ViewedSystem
from bikecollect.archive.verify import VerifiedCounts, Verifier
from bikecollect.collect.backfill import Backfiller
from bikecollect.collect.committed_blocks import CommittedBlocks
from bikecollect.collect.filling.shortened import shortened
from bikecollect.collect.reading.trial import PayloadTrial
from bikecollect.collect.sources import Source
from bikecollect.collect.sources.bikecollect_folder import FolderSource
from bikecollect.collect.sources.table_rows import files
from bikecollect.collect.sources.tables import TableSource
from bikecollect.core import process
from bikecollect.core.errors import StorageError, UsageError
from bikecollect.core.process import Clock, Times
from bikecollect.core.slots import DAY, Slot, local_days
from bikecollect.reports import evidence
from bikecollect.setup.settings import Settings
from bikecollect.storage import data_folder
from bikecollect.storage.csv_store import Store, is_segment
from bikecollect.storage.data_folder import (
    LEDGER,
    MARKER,
    STATUS,
    VEHICLE_STATUS,
    VEHICLES,
    SystemFolder,
)
from bikecollect.storage.facts import facts_file
from bikecollect.storage.files import trusted_files
from bikecollect.storage.files.durable import make_folder
from bikecollect.storage.files.known_folders import is_known
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.lock import Breather, Lock
from bikecollect.storage.payload_store import Payloads
from bikecollect.storage.recovery import Recovery
from bikecollect.storage.repair.damage import prepare_archive
from bikecollect.wiring.inherited_facts import with_facts_of

TRAIL_DAYS = 31
"""Maximum days shown after the last run, if the collector has stopped."""
log = logging.getLogger(__name__)


def zone(settings: Settings, name: str) -> ZoneInfo:
    """Return the time zone of the system called *name*."""
    return settings.system_folder(name).zone


def archive(settings: Settings, name: str, times: Times) -> Archive:
    """Return the archive of the system called *name*."""
    return Archive(settings.data, settings.system_folder(name), times.clock)


def compactor(
    settings: Settings, name: str, times: Times, *, csv_days: int | None = None
) -> Compactor:
    """Return the compactor of the system called *name*.

    Raises SettingsError if parts of its folder are links, or if it is another user's:
    root would write an archive that its owner cannot read.
    """
    system = settings.system_folder(name)
    data_folder.check_links(system.path)
    if system.path.exists():
        trusted_files.check_owner(system.path, system.path)
    data_folder.check_archive(settings.data)
    with suppress(StorageError):  # an unreadable ledger is replaced below
        prepare_archive(system, History(name, system.path))
    ledger, store = Ledger(system.ledger), Store(system.path)
    payloads = Payloads(system.payloads)
    return Compactor(
        system=system,
        archive=archive(settings, name, times),
        store=store,
        ledger=ledger,
        recovery=Recovery(payloads, store, ledger, system.zone),
        payloads=payloads,
        lock=system_lock(system, times),
        slot_rows=partial(evidence.slot_rows, system),
        csv_days=settings.keep.csv_days if csv_days is None else csv_days,
        clock=times.clock,
        breathe=Breather(times.stop, times.monotonic),
    )


def prepare_lost(settings: Settings, name: str, times: Times) -> None:
    """Create the folder of *name* if only its archive is there, as a copy.

    Raises StorageError if it had data on this machine: the next `fetch` says so.
    """
    folder, days = settings.data / name, archive(settings, name, times)
    layouts = (days.layout, VEHICLE_LAYOUT)
    if folder.is_dir() or not any(replace(days, layout=x).days() for x in layouts):
        return
    if is_known(folder):
        raise StorageError(
            f"{folder} is gone: is its disk mounted? To begin a new one, which then "
            f"takes over the archive: bikecollect fetch {name}; bikecollect compact"
        )
    data_folder.prepare(folder)


def vehicle_compactor(
    settings: Settings, name: str, times: Times, *, csv_days: int | None = None
) -> Compactor | None:
    """Return the compactor of the vehicles of *name*, None if it has none."""
    system = settings.system_folder(name)
    own = _labelled(system)
    days = replace(archive(settings, name, times), layout=VEHICLE_LAYOUT).days()
    if not (own.ledger.exists() or days):
        return None
    stations = compactor(settings, name, times, csv_days=csv_days)
    make_folder(own.path)
    ledger, store = Ledger(own.ledger), Store(own.path, VEHICLE_STATUS)
    return replace(
        stations,
        system=own,
        archive=replace(stations.archive, layout=VEHICLE_LAYOUT),
        store=store,
        ledger=ledger,
        recovery=Recovery(stations.payloads, store, ledger, own.zone),
        slot_rows=partial(vehicle_slots, own),
    )


def _labelled(system: SystemFolder) -> SystemFolder:
    """Return the folder of the vehicles of *system*, under a separate name."""
    return replace(system.vehicles, system_id=f"{system.system_id}/{VEHICLES}")


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
        data_folder.prepare(system.path)
    payloads, store = Payloads(system.payloads), Store(system.path)
    ledger = Ledger(system.ledger)
    from bikecollect.wiring.collection import cycle  # heavy: `query` does not need it

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
    known = {day for (day,) in history.select("SELECT day FROM archives")}
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
        recovery=Recovery(payloads, store, ledger, system.zone),
        committer=committer,
        lock=lock,
        interrupted=stop,
        breathe=Breather(times.stop, times.monotonic),
        new_id=process.run_id,
        since=span[0],
        until=span[1],
        restore=partial(_restore, days, ArchivedDays(ledger), store)
        if is_lost
        else None,
        dry=dry,
        record_facts=(lambda: None)
        if dry
        else partial(facts_file.record, system, slots),
    )


def _restore(archive: Archive, archived_days: ArchivedDays, store: Store) -> None:
    """Copy archived days into the ledger; log those that cannot be restored."""
    for day, why in restore(archive, archived_days, store).items():
        log.warning("%s: %s", day, why)


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
        if (
            (folder / MARKER).exists()
            or (folder / LEDGER).exists()
            or _has_days(folder)
        ):
            if folder.resolve() == (settings.data / name).resolve():
                raise UsageError(f"--from {path} is the folder to be filled")
            grid = with_facts_of(folder, system, now).grid
            return FolderSource(folder, grid, now)
    paths = files(path) if path.exists() else sorted(map(Path, glob(str(path))))  # noqa: PTH207 - a pattern from the user
    if not paths:
        raise UsageError(f"--from {path}: no such file or folder")
    for table_path in paths:
        _refuse_other_system(table_path, name)
    return TableSource(
        paths, system.zone, system.grid, now, maps, layout, times_zone=times_zone
    )


def _has_days(folder: Path) -> bool:
    return any(is_segment(f"{STATUS}/{p.name}") for p in (folder / STATUS).glob("*"))


def _refuse_other_system(path: Path, name: str) -> None:
    """Raise UsageError if a folder of *path* names another system."""
    for part in path.parts:
        key, equals, system_id = part.partition("=")
        if key == "system_id" and equals and system_id != name:
            raise UsageError(
                f"--from {path} belongs to the system {system_id}, not to {name}: "
                "give the folder of one system"
            )


def verifier(settings: Settings, name: str, times: Times, *, deep: bool) -> Verifier:
    """Return the verifier of the system called *name*."""
    system = settings.system_folder(name)
    return Verifier(
        system=system,
        archive=archive(settings, name, times),
        store=Store(system.path),
        history=History(name, system.path),
        lock=system_lock(system, times),
        counts=VerifiedCounts(),
        deep=deep,
    )


def vehicle_verifier(
    settings: Settings, name: str, times: Times, *, deep: bool
) -> Verifier | None:
    """Return the verifier of the vehicles of *name*, None if it has none."""
    system = settings.system_folder(name)
    if not system.vehicles.path.is_dir():
        return None
    stations, own = verifier(settings, name, times, deep=deep), _labelled(system)
    return replace(
        stations,
        system=own,
        archive=replace(stations.archive, layout=VEHICLE_LAYOUT),
        store=Store(own.path, VEHICLE_STATUS),
        history=History(name, own.path),
        counts=VerifiedCounts(),
    )


def shown(settings: Settings, name: str, clock: Clock = time.time) -> ViewedSystem:
    """Return the system called *name* in the form that views need."""
    system = settings.system_folder(name)
    return ViewedSystem(
        system=system,
        days=_days(system, clock()),
        day_slots=partial(evidence.slot_rows, system, clock=clock),
    )


def _days(system: SystemFolder, now: float) -> list[str]:
    """Return the local days from the first slot to that of *now*.

    If the collector has stopped, at most `TRAIL_DAYS` after its last run; none if no
    more data are expected.
    """
    ends = History(system.system_id, system.path).ends()
    if ends is None:
        return []
    trail = 0 if system.is_over else TRAIL_DAYS * DAY
    last = min(int(now), ends[1] + trail)
    return [day for day, *_ in local_days(ends[0], Slot(last), system.zone)]


def system_lock(system: SystemFolder, times: Times) -> Lock:
    """Return the writer's lock of *system*."""
    return Lock(
        system.lock,
        patience=60.0,
        sleep=times.stop.sleep,
        monotonic=times.monotonic,
    )
