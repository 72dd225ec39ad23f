"""The one module that knows all real parts, and puts them together."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from zoneinfo import ZoneInfo

from bikecollect import __version__, folder, process, render
from bikecollect.client import Client
from bikecollect.columns import chosen
from bikecollect.commit import Committer
from bikecollect.config import Settings
from bikecollect.cycle import Cycle
from bikecollect.errors import BikecollectError, Outcome, SettingsError
from bikecollect.feeds import registry
from bikecollect.heal import Healer
from bikecollect.ledger import Ledger
from bikecollect.lock import Lock
from bikecollect.payloads import Payloads
from bikecollect.policy import Budget
from bikecollect.process import Stop
from bikecollect.rows import Format
from bikecollect.run import Run
from bikecollect.slot import Slot, slot_at
from bikecollect.stopwatch import Stopwatch
from bikecollect.store import Store

log = logging.getLogger(__name__)

WORKERS = 16
ONCE = frozenset({"clock", "damage", "disk", "drift", "ledger", "missed"})
"""Notices that come once for what has happened; others come again in each slot."""
Clock = Callable[[], float]


@dataclass(frozen=True)
class Times:
    """The clocks, and the wish to end that cuts waits short."""

    clock: Clock
    monotonic: Clock
    stop: Stop


def collect(
    settings: Settings,
    system_ids: Sequence[str] = (),
    *,
    clock: Clock = time.time,
    monotonic: Clock = time.monotonic,
    stop: Stop | None = None,
    dry: bool = False,
) -> list[Run]:
    """Run one cycle for each of *system_ids*, or for all; side by side.

    Each run is isolated from the others' failures. With *dry* nothing is written.
    Raises SettingsError before any network where a name is unknown.
    """
    names = chosen_systems(settings, system_ids)
    slot = slot_at(clock(), settings.seconds)
    times = Times(clock, monotonic, stop or Stop())
    one = partial(_one, settings, slot=slot, times=times, dry=dry)
    # One after the other: a folder that is being made must not look unmounted.
    folders = {n: None if dry else _unready(settings.data / n) for n in names}
    work = [partial(one, name, trouble=folders[name]) for name in names]
    return [work[0]()] if len(work) == 1 else _side_by_side(work)


def chosen_systems(settings: Settings, system_ids: Sequence[str]) -> list[str]:
    """Return the ids to collect; raises SettingsError for one that is not set up."""
    for each in system_ids:
        if each not in settings.systems:
            known = ", ".join(settings.systems)
            raise SettingsError(f'no system is called "{each}"; set up are: {known}')
    return list(dict.fromkeys(system_ids)) or list(settings.systems)


def zones(settings: Settings) -> dict[str, ZoneInfo]:
    """Return the time zone of each system."""
    return {name: ZoneInfo(each.timezone) for name, each in settings.systems.items()}


def cycle(settings: Settings, name: str, times: Times) -> Cycle:
    """Return the cycle of the system called *name*, with all real parts."""
    system, place = settings.systems[name], settings.data / name
    zone = ZoneInfo(system.timezone)
    columns = chosen(system.columns, settings.folder)
    payloads, store = Payloads(place / "payloads"), Store(place)
    ledger = Ledger(place / "ledger.sqlite3")
    feed = registry.build(
        system.feed,
        url=system.url,
        timezone=zone,
        language=system.language,
        mapping=system.mapping,
    )
    watch = Stopwatch(name)
    return Cycle(
        feed=feed,
        client=_client(settings, name, times),
        payloads=payloads,
        lock=Lock(
            place / "lock",
            patience=min(60.0, settings.seconds / 5),
            sleep=times.stop.sleep,
            monotonic=times.monotonic,
        ),
        ledger=ledger,
        healer=Healer(payloads, store, ledger),
        committer=Committer(
            feed=feed,
            format=Format(zone, columns.derived),
            zone=zone,
            interval=settings.seconds,
            payloads=payloads,
            store=store,
            ledger=ledger,
            watch=watch,
        ),
        payload_days=settings.keep.payload_days,
        clock=times.clock,
        troubles=columns.troubles,
        watch=watch,
    )


def _client(settings: Settings, name: str, times: Times) -> Client:
    system = settings.systems[name]
    return Client(
        budget=Budget.for_interval(settings.seconds),
        headers=system.headers,
        stop=times.stop,
        clock=times.clock,
        monotonic=times.monotonic,
        allow_redirects=system.redirects,
        trust_env=system.trust_env,
        proxy=system.proxy or None,
        ca_bundle=system.ca_bundle or None,
    )


def _one(
    settings: Settings,
    name: str,
    *,
    slot: Slot,
    times: Times,
    dry: bool,
    trouble: BikecollectError | None,
) -> Run:
    """Run one cycle; whatever goes wrong ends in the run that is returned."""
    run = Run(
        run_id=process.run_id(),
        system_id=name,
        slot=slot,
        started=times.clock(),
        boot_id=process.boot_id(),
        uptime=process.uptime(),
        version=__version__,
    )
    if trouble is not None:
        zone = ZoneInfo(settings.systems[name].timezone)
        return _told(run.failed(trouble), zone)
    try:
        line = cycle(settings, name, times)
        run = line.dry(run) if dry else line.run(run)
    except BikecollectError as error:
        run = run.failed(error)
    except Exception as error:
        log.debug("%s: a bug", name, exc_info=True)
        what = f"{type(error).__name__}: {error}"
        run = replace(run, outcome=Outcome.BUG, cause="bug", error=what)
    return _told(run, ZoneInfo(settings.systems[name].timezone))


def _unready(place: Path) -> BikecollectError | None:
    """Make the folder *place* ready; return why it is not."""
    try:
        folder.ready(place)
    except BikecollectError as error:
        return error
    return None


def _told(run: Run, zone: ZoneInfo) -> Run:
    log.info("%s", render.run_line(run, zone))
    for each in run.notices:
        if each.text != run.error:
            level = logging.WARNING if each.kind in ONCE else logging.INFO
            log.log(level, "%s: %s: %s", run.system_id, each.kind, each.text)
    if run.exit_code:
        log.error("%s", render.failure(run))
    return run


def _side_by_side(work: Sequence[Callable[[], Run]]) -> list[Run]:
    """Return what each of *work* returns, in order, done by some threads.

    What one of them raises (a bug: runs end by themselves) is raised here.
    """
    waiting: SimpleQueue[int] = SimpleQueue()
    done: SimpleQueue[tuple[int, Run | BaseException]] = SimpleQueue()
    for number in range(len(work)):
        waiting.put(number)

    def labour() -> None:
        with suppress(Empty):
            while True:
                number = waiting.get_nowait()
                try:
                    done.put((number, work[number]()))
                except BaseException as error:  # noqa: BLE001 - raised below
                    done.put((number, error))

    for _ in range(min(WORKERS, len(work))):
        threading.Thread(target=labour, daemon=True).start()
    ended = dict(done.get() for _ in work)
    for each in ended.values():
        if isinstance(each, BaseException):
            raise each
    return [run for _, run in sorted(ended.items()) if isinstance(run, Run)]
