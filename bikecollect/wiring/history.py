"""Puts together what keeps, proves and shows the history of the systems."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from glob import glob
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.archive.compact import Compactor
from bikecollect.archive.day_archive import Archive
from bikecollect.archive.query.views import Shown
from bikecollect.archive.verify import Looked, Verifier
from bikecollect.collect.backfill import Backfiller
from bikecollect.collect.sources import Source
from bikecollect.collect.sources.bikecollect_folder import FolderSource
from bikecollect.collect.sources.table_rows import files
from bikecollect.collect.sources.tables import TableSource
from bikecollect.core import process
from bikecollect.core.errors import UsageError
from bikecollect.core.process import Times
from bikecollect.core.slots import DAY, Slot, bounds, local_days
from bikecollect.reports import evidence
from bikecollect.setup.settings import Settings
from bikecollect.storage import data_folder
from bikecollect.storage.csv_store import Store, is_segment
from bikecollect.storage.data_folder import LEDGER, MARKER, STATUS
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.lock import Lock
from bikecollect.storage.payload_store import Payloads
from bikecollect.storage.recovery import Recovery
from bikecollect.wiring.collection import cycle

BREATH = 0.2
"""Seconds without the lock, in which a fetch that waits for it can take it."""


TRAIL_DAYS = 31


def zone(settings: Settings, name: str) -> ZoneInfo:
    """Return the time zone of the system called *name*."""
    return ZoneInfo(settings.systems[name].timezone)


def archive(settings: Settings, name: str, times: Times) -> Archive:
    """Return the archive of the system called *name*."""
    return Archive(
        settings.data, name, zone(settings, name), settings.seconds, times.clock
    )


def compactor(
    settings: Settings, name: str, times: Times, *, csv_days: int | None = None
) -> Compactor:
    """Return the compactor of the system called *name*.

    Raises SettingsError where its files would be led elsewhere.
    """
    place = settings.data / name
    data_folder.check_links(place)
    data_folder.check_archive(settings.data)
    ledger, store = Ledger(place / LEDGER), Store(place)
    payloads = Payloads(place / "payloads")
    return Compactor(
        system=settings.system_folder(name),
        archive=archive(settings, name, times),
        store=store,
        ledger=ledger,
        recovery=Recovery(payloads, store, ledger),
        payloads=payloads,
        lock=_lock(settings, name, times),
        slot_rows=partial(evidence.slot_rows, settings.system_folder(name)),
        csv_days=settings.keep.csv_days if csv_days is None else csv_days,
        clock=times.clock,
        breathe=partial(times.stop.sleep, BREATH),
    )


def backfiller(
    settings: Settings,
    name: str,
    times: Times,
    *,
    span: tuple[Slot, Slot],
    dry: bool,
) -> Backfiller:
    """Return who fills the slots in *span* of the system called *name*."""
    place = settings.data / name
    if not dry:
        data_folder.ready(place)
    line = cycle(settings, name, times)
    payloads, store = Payloads(place / "payloads"), Store(place)
    ledger = Ledger(place / LEDGER)
    committer = replace(
        line.committer,
        payloads=payloads,
        store=store,
        ledger=ledger,
        # DuckDB may be at work here, and has bounds of its own.
        bounded=nullcontext,
    )
    return Backfiller(
        system_id=name,
        zone=zone(settings, name),
        history=History(name, place),
        payloads=payloads,
        store=store,
        ledger=ledger,
        recovery=Recovery(payloads, store, ledger),
        committer=committer,
        lock=_lock(settings, name, times),
        interrupted=times.stop.raise_if_set,
        breathe=partial(times.stop.sleep, BREATH),
        new_id=process.run_id,
        since=span[0],
        until=span[1],
        dry=dry,
    )


def source(
    settings: Settings,
    name: str,
    path: Path,
    maps: Sequence[str],
    layout: str,
    *,
    now: float,
) -> Source:
    """Return the archive of others at *path*, to fill the system called *name*.

    A folder of bikecollect, its system's or the one above, or tables. What it has from
    after *now* is not believed.
    """
    for each in (path, path / name):
        if (each / MARKER).exists() or (each / LEDGER).exists() or _has_days(each):
            if each.resolve() == (settings.data / name).resolve():
                raise UsageError(
                    f"--from {path} is the very folder that is to be filled"
                )
            return FolderSource(each, settings.seconds, now)
    paths = files(path) if path.exists() else sorted(map(Path, glob(str(path))))  # noqa: PTH207 - a pattern as it was given
    if not paths:
        raise UsageError(f"--from {path}: there is no such file or folder")
    for each in paths:
        _refuse_other_system(each, name)
    there = zone(settings, name)
    return TableSource(paths, there, settings.seconds, now, maps, layout)


def _has_days(folder: Path) -> bool:
    return any(is_segment(f"{STATUS}/{p.name}") for p in (folder / STATUS).glob("*"))


def _refuse_other_system(path: Path, name: str) -> None:
    """Raise UsageError where the folders of *path* say that it is of another system."""
    for part in path.parts:
        key, equals, said = part.partition("=")
        if key == "system_id" and equals and said != name:
            raise UsageError(
                f"--from {path} is of the system {said}, not of {name}: "
                "name the folder of one system"
            )


def verifier(settings: Settings, name: str, times: Times, *, deep: bool) -> Verifier:
    """Return who proves the history of the system called *name*."""
    place = settings.data / name
    return Verifier(
        system=settings.system_folder(name),
        archive=archive(settings, name, times),
        store=Store(place),
        history=History(name, place),
        lock=_lock(settings, name, times),
        looked=Looked(),
        deep=deep,
    )


def shown(settings: Settings, name: str) -> Shown:
    """Return the system called *name*, to be looked at."""
    return Shown(
        system_id=name,
        folder=settings.data / name,
        interval=settings.seconds,
        days=_days(settings, name),
        bounds=partial(bounds, zone=zone(settings, name)),
        day_slots=partial(evidence.slot_rows, settings.system_folder(name)),
    )


def _days(settings: Settings, name: str) -> list[str]:
    """Return the local days from the first slot to today.

    Of a collector that is dead, some days behind its last run: all say the same.
    """
    ends = History(name, settings.data / name).ends()
    if ends is None:
        return []
    last = min(int(time.time()), ends[1] + TRAIL_DAYS * DAY)
    return [day for day, *_ in local_days(ends[0], Slot(last), zone(settings, name))]


def _lock(settings: Settings, name: str, times: Times) -> Lock:
    return Lock(
        settings.data / name / "lock",
        patience=60.0,
        sleep=times.stop.sleep,
        monotonic=times.monotonic,
    )
