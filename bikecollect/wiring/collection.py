"""Build the parts of the five-minute path from the settings."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bikecollect.collect.collector import Collector, Troubles
from bikecollect.collect.commit import Committer
from bikecollect.collect.cycle import Cycle
from bikecollect.collect.derived_columns import of_system
from bikecollect.collect.fetching.fetcher import Fetcher
from bikecollect.collect.only import from_settings
from bikecollect.collect.parallel.pool import shares
from bikecollect.collect.reading.payload_reader import PayloadReader
from bikecollect.core import process
from bikecollect.core.logs import RunLogs, Stopwatch, formatter
from bikecollect.core.process import Clock, Stop, Times
from bikecollect.core.run import Run
from bikecollect.feeds.http.client import Client
from bikecollect.setup import feed_access, loader
from bikecollect.setup.settings import Settings, System
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.csv_format import Format
from bikecollect.storage.csv_store import Store
from bikecollect.storage.data_folder import VEHICLE_STATUS, SystemFolder
from bikecollect.storage.facts import facts_file
from bikecollect.storage.files.durable import leave_reserve
from bikecollect.storage.files.known_folders import remember_place
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.lock import Lock
from bikecollect.storage.payload_store import Payloads
from bikecollect.storage.recovery import Recovery
from bikecollect.storage.run_notes import RunNotes
from bikecollect.wiring.alerting import alerter, is_of_another, pinger

if TYPE_CHECKING:
    from bikecollect.collect.reading.trial import PayloadTrial
    from bikecollect.collect.vehicles import VehicleCommitter
    from bikecollect.core.snapshot import StationInformation

log = logging.getLogger(__name__)


FETCH_SHARE = 0.7
"""Share of the interval in which requests are made; commits and alerts follow."""
WORKING = 16
"""Maximum systems whose payloads are read and committed at a time, in all processes.

Each of them takes 1 to 2 MB of memory.
"""


def collect(
    settings: Settings,
    system_ids: Sequence[str] = (),
    *,
    clock: Clock = time.time,
    monotonic: Clock = time.monotonic,
    uptime: Clock = process.uptime,
    awake: Clock = process.awake,
    stop: Stop | None = None,
    dry: bool = False,
    reached: Callable[[], object] = bool,
) -> list[Run]:
    """Run one cycle for each of *system_ids*, or for all, in parallel; send alerts.

    If *dry*, nothing is written and no alerts are sent. *reached* is called once the
    data folder has answered. If only the kernel's cache has, the alarm ends a call
    whose disk hangs without a word; a later one that asks the disk itself tells people.

    Raises SettingsError for an unknown name and for a demo that is over, and
    RenamedError if a system has another name by now, before any network access.
    """
    times = Times(clock, monotonic, stop or Stop(), uptime, awake)
    systems = collector(settings, system_ids, times)
    reached()
    if dry:
        return systems.dry()
    remember_place(settings.source, settings.data)
    return systems.collect()


def collector(settings: Settings, system_ids: Sequence[str], times: Times) -> Collector:
    """Return the collector of *system_ids*, or of all systems that are not demos."""
    names = settings.collectable(system_ids)
    chosen = settings.only(names)
    if system_ids and any(map(os.isatty, range(process.STDERR + 1))):
        # A person fetches some systems: cron's next call sends the digest of all.
        chosen = replace(chosen, mail=replace(chosen.mail, digest=""))
    now = times.clock()
    folders = {name: settings.system_folder(name, now) for name in names}
    systems = list(folders.values())
    hosts = {n: feed_access.host(settings.systems[n]) or n for n in names}
    workers = settings.collect.workers or len(os.sched_getaffinity(0))
    working = BoundedSemaphore(max(1, WORKING // len(shares(hosts, workers))))

    of_others = {n for n, folder in folders.items() if is_of_another(folder, now)}

    def alert(failed: Troubles, runs: Sequence[Run]) -> bool:
        own = [r for r in runs if not (r.exit_code and r.system_id in of_others)]
        is_reported = alerter(chosen, systems, times, failed).report(own)
        return is_reported and len(own) == len(runs)

    return Collector(
        folders={name: folder.path for name, folder in folders.items()},
        zones={name: folder.zone for name, folder in folders.items()},
        grids={name: folder.grid for name, folder in folders.items()},
        hosts=hosts,
        times=times,
        seconds=FETCH_SHARE * settings.seconds,
        workers=workers,
        cycle=lambda name, seconds: cycle(
            settings, name, times, folders[name], seconds=seconds, working=working
        ),
        alert=alert,
        logs=partial(run_logs, settings),
        ping=pinger(settings) if len(of_others) < len(folders) else None,
        mirror=settings.archive.mirror,
        redact=settings.redact,
        check_name=partial(loader.check_name, settings),
    )


def cycle(
    settings: Settings,
    name: str,
    times: Times,
    folder: SystemFolder | None = None,
    *,
    seconds: float = inf,
    working: AbstractContextManager[object] | None = None,
) -> Cycle:
    """Return the cycle of the system *name*.

    *folder* is passed by callers that have it. Requests may take at most *seconds*; for
    *working* see `Cycle`.
    """
    system = settings.systems[name]
    folder = folder or settings.system_folder(name, times.clock())
    columns = of_system(name, system.columns, settings.source, settings.folder)
    payloads, watch = Payloads(folder.payloads), Stopwatch(name)
    store, ledger = Store(folder.path), Ledger(folder.ledger)
    reader = PayloadReader(
        feed=feed_access.feed(system, interval=settings.seconds),
        format=Format(folder.zone, columns.derived),
        interval=settings.seconds,
        store=store,
        ledger=ledger,
        watch=watch,
        only=from_settings(system.only, system.bbox),
    )
    return Cycle(
        fetcher=_fetcher(settings, folder, times, reader, seconds),
        run_notes=RunNotes(folder.inbox),
        payloads=payloads,
        lock=Lock(
            folder.lock,
            patience=min(60.0, settings.seconds / 5),
            sleep=times.stop.sleep,
            monotonic=times.monotonic,
        ),
        ledger=ledger,
        recovery=Recovery(payloads, store, ledger, folder.zone, folder.mirror),
        committer=_committer(settings, folder, reader, payloads),
        payload_days=settings.keep.payload_days,
        clock=times.clock,
        record_facts=partial(
            facts_file.record,
            folder,
            lambda: {*payloads.waiting_slots(), *ledger.slots()},
        ),
        troubles=columns.troubles,
        watch=watch,
        reports=True,
        working=working or nullcontext(),
        newest_block=AlertLedger(folder.ledger).newest_block,
        stored=partial(_stored_stations, folder),
    )


def _stored_stations(folder: SystemFolder) -> "dict[str, StationInformation]":
    """Return the stations that the ledger has, without opening it for a run."""
    from bikecollect.storage.ledger_reader import History  # for dry runs only

    return History(folder.system_id, folder.path).stations()


def _fetcher(
    settings: Settings,
    folder: SystemFolder,
    times: Times,
    reader: PayloadReader,
    seconds: float,
) -> Fetcher:
    """Return what requests the feed of *reader*, in at most *seconds*."""
    system = settings.systems[folder.system_id]
    return Fetcher(
        feed=reader.feed,
        client=_client(settings, folder.system_id, times, seconds),
        ledger=reader.ledger,
        clock=times.clock,
        host=feed_access.host(system),
        machine=os.uname().nodename if folder.mirror else "",
        redact=settings.redact,
        placeholders=settings.placeholders,
    )


def _client(settings: Settings, name: str, times: Times, seconds: float) -> Client:
    """Return the client of the system *name*, which ends in *seconds*."""
    system = settings.systems[name]
    return Client(
        budget=feed_access.budget(system, settings.seconds).within(seconds),
        stop=times.stop,
        access=feed_access.access(system),
        clock=times.clock,
        monotonic=times.monotonic,
    )


def _committer(
    settings: Settings,
    folder: SystemFolder,
    reader: PayloadReader,
    payloads: Payloads,
) -> Committer:
    """Return what commits *payloads*, with their vehicles if these are collected."""
    system = settings.systems[folder.system_id]
    return Committer(
        reader=reader,
        zone=folder.zone,
        payloads=payloads,
        redact=settings.redact,
        fields=system.fields,
        bounded=process.bounded_memory,
        vehicles=_vehicles(system, folder, payloads) if system.vehicles else None,
    )


def _vehicles(
    system: System, folder: SystemFolder, payloads: Payloads
) -> "VehicleCommitter":
    """Return the committer of the vehicles of *system*."""
    from bikecollect.collect.vehicles import VehicleCommitter  # needed with vehicles
    from bikecollect.feeds import registry

    own = folder.vehicles
    store, ledger = Store(own.path, VEHICLE_STATUS), Ledger(own.ledger)
    return VehicleCommitter(
        parse=registry.vehicle_reader(system.url, ZoneInfo(system.timezone or "UTC")),
        zone=folder.zone,
        interval=folder.interval,
        store=store,
        ledger=ledger,
        recovery=Recovery(payloads, store, ledger, folder.zone, folder.mirror),
        only=from_settings({}, system.bbox),
    )


def run_logs(settings: Settings, folders: Mapping[str, Path]) -> RunLogs:
    """Return the handler that writes the log files of the systems in *folders*."""
    handler = RunLogs(
        folders,
        max_bytes=settings.log.max_bytes,
        files=settings.log.files,
        room=leave_reserve,
    )
    handler.setFormatter(formatter(settings.log.format, settings.redact))
    return handler


def trial(settings: Settings, name: str) -> "PayloadTrial":
    """Return the object that tries to read kept payloads of the system *name*."""
    from bikecollect.collect.reading.trial import (
        PayloadTrial,
    )  # a fetch does not need it

    times = Times(time.time, time.monotonic, Stop())
    committer = cycle(settings, name, times).committer
    return PayloadTrial(committer.reader.feed, committer.vehicles)
