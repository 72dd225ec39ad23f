"""Build the parts that archive, verify and show the history of a system."""

import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from zoneinfo import ZoneInfo

from bikecollect.archive.compact import Compactor
from bikecollect.archive.datasets import LAYOUTS, VEHICLE_LAYOUT
from bikecollect.archive.day_archive import Archive
from bikecollect.archive.query.vehicle_slots import vehicle_slots
from bikecollect.archive.query.view_source import ViewedSystem
from bikecollect.archive.verify import VerifiedCounts, Verifier
from bikecollect.core.errors import StorageError
from bikecollect.core.process import Clock, Times
from bikecollect.core.slots import DAY, Slot, local_days
from bikecollect.reports import evidence
from bikecollect.setup.settings import Settings
from bikecollect.storage import data_folder
from bikecollect.storage.csv_store import Store
from bikecollect.storage.data_folder import (
    VEHICLE_STATUS,
    SystemFolder,
)
from bikecollect.storage.files import trusted_files
from bikecollect.storage.files.durable import make_folder
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.lock import Breather, Lock
from bikecollect.storage.payload_store import Payloads
from bikecollect.storage.recovery import Recovery
from bikecollect.storage.repair.damage import check_not_gone
from bikecollect.storage.repair.lost_days import prepare_archive

TRAIL_DAYS = 31
"""Maximum days shown after the last run, if the collector has stopped."""


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
        prepare_archive(system)
    ledger, store = Ledger(system.ledger), Store(system.path)
    payloads = Payloads(system.payloads)
    return Compactor(
        system=system,
        archive=archive(settings, name, times),
        store=store,
        ledger=ledger,
        recovery=Recovery(payloads, store, ledger, system.zone, system.mirror),
        payloads=payloads,
        lock=system_lock(system, times),
        slot_rows=partial(evidence.slot_rows, system),
        csv_days=settings.keep.csv_days if csv_days is None else csv_days,
        clock=times.clock,
        breathe=Breather(times.stop, times.monotonic),
    )


def has_archive(settings: Settings, name: str) -> bool:
    """Return whether the archive has any day of the system *name*."""
    certificates = (
        layout.certificate(settings.data, name, "x").parent for layout in LAYOUTS
    )
    return any(any(folder.glob("*.json")) for folder in certificates)


def prepare_lost(settings: Settings, name: str) -> None:
    """Create the folder of *name* if only its archive is there, as a copy.

    Raises StorageError if it had data on this machine.
    """
    if (settings.data / name).is_dir():
        return
    check_not_gone(settings.system_folder(name))
    if has_archive(settings, name):
        prepare(settings, name)


def prepare(settings: Settings, name: str) -> None:
    """Ensure that the folder of *name* can be written to, see `data_folder`.

    Raises RenamedError if it would be a new one, but the system has another name now.
    """
    from bikecollect.setup import loader  # not for --help

    check_name = partial(loader.check_name, settings, name)
    data_folder.prepare(settings.data / name, check_name=check_name)


def vehicle_compactor(
    settings: Settings, name: str, times: Times, *, csv_days: int | None = None
) -> Compactor | None:
    """Return the compactor of the vehicles of *name*, None if it has none."""
    system = settings.system_folder(name)
    vehicles = _vehicles_of(system)
    days = replace(archive(settings, name, times), layout=VEHICLE_LAYOUT).days()
    if not (vehicles.ledger.exists() or days):
        return None
    stations = compactor(settings, name, times, csv_days=csv_days)
    make_folder(vehicles.path)
    ledger, store = Ledger(vehicles.ledger), Store(vehicles.path, VEHICLE_STATUS)
    return replace(
        stations,
        system=vehicles,
        archive=replace(stations.archive, layout=VEHICLE_LAYOUT),
        store=store,
        ledger=ledger,
        recovery=Recovery(
            stations.payloads, store, ledger, vehicles.zone, vehicles.mirror
        ),
        slot_rows=partial(vehicle_slots, vehicles),
    )


def compactors(
    settings: Settings, name: str, times: Times, *, csv_days: int | None = None
) -> list[Compactor]:
    """Return the compactors of *name*: of its stations, and of its vehicles, if any."""
    stations = compactor(settings, name, times, csv_days=csv_days)
    vehicles = vehicle_compactor(settings, name, times, csv_days=csv_days)
    return [stations, vehicles] if vehicles else [stations]


def _vehicles_of(system: SystemFolder) -> SystemFolder:
    """Return the folder of the vehicles of *system*, under a separate name."""
    return replace(system.vehicles, system_id=VEHICLE_LAYOUT.label(system.system_id))


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
    stations, vehicles = (
        verifier(settings, name, times, deep=deep),
        _vehicles_of(system),
    )
    return replace(
        stations,
        system=vehicles,
        archive=replace(stations.archive, layout=VEHICLE_LAYOUT),
        store=Store(vehicles.path, VEHICLE_STATUS),
        history=History(name, vehicles.path),
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
