"""Many systems in one call: side by side, each run isolated, and people told."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from bikecollect import __version__
from bikecollect.alerts.state import Jot
from bikecollect.core import logs as runlog
from bikecollect.core import process
from bikecollect.core import run_text as render
from bikecollect.core.errors import BikecollectError, Outcome, SettingsError
from bikecollect.core.process import Clock, Times
from bikecollect.core.redact import redactor
from bikecollect.core.run import Run
from bikecollect.core.slots import Slot, slot_at
from bikecollect.setup.settings import Settings
from bikecollect.storage import data_folder as folder
from bikecollect.wiring import collection as wiring

log = logging.getLogger(__name__)

WORKERS = 16
ONCE = frozenset({"clock", "damage", "disk", "drift", "ledger", "missed"})
"""Notices that come once for what has happened; others come again in each slot."""


def collect(
    settings: Settings,
    system_ids: Sequence[str] = (),
    *,
    clock: Clock = time.time,
    monotonic: Clock = time.monotonic,
    uptime: Clock = process.uptime,
    awake: Clock = process.awake,
    stop: process.Stop | None = None,
    dry: bool = False,
) -> list[Run]:
    """Run one cycle for each of *system_ids*, or for all; side by side; and tell.

    Each run is isolated from the others' failures. With *dry* nothing is written,
    and nobody told. Raises SettingsError before any network where a name is unknown.
    """
    names = settings.chosen(system_ids)
    slot = slot_at(clock(), settings.seconds)
    times = Times(clock, monotonic, stop or process.Stop(), uptime, awake)
    one = partial(_one, settings, slot=slot, times=times, dry=dry)
    # One after the other: a folder that is being made must not look unmounted.
    troubles = {n: None if dry else _unready(settings.data / n) for n in names}
    work = [partial(one, name, trouble=troubles[name]) for name in names]
    if dry:
        return [_told(each, settings, told=False) for each in _done(work)]
    ready = {n: settings.data / n for n in names if troubles[n] is None}
    with _logged(settings, ready), _pinged(settings) as runs:
        runs.extend(_done(work))
        chosen = replace(settings, systems={n: settings.systems[n] for n in names})
        told = _tell(chosen, times, troubles, runs)
        return [_told(run, settings, told=told) for run in runs]


def tell_of_settings(settings: Settings, error: SettingsError | None) -> bool:
    """Tell that a settings file cannot be used (*error*), or again can.

    *settings* has the ways of telling. Returns whether people are told.
    """
    times = Times(time.time, time.monotonic, process.Stop())
    teller, noted = wiring.settings_teller(settings, times)
    if error is None and not noted.exists():
        return True
    now = times.clock()
    run = Run(process.run_id(), "settings", slot_at(now, settings.seconds), now)
    run = run.failed(error) if error else replace(run, outcome=Outcome.DUPLICATE)
    try:
        told = teller.tell([run])
    except Exception:
        log.debug("telling", exc_info=True)
        return False
    if error is not None and settings.ping.url:
        from bikecollect.alerts import webhooks as channels  # noqa: PLC0415 - as above

        patience = wiring.hook_seconds(settings)
        channels.ping(settings.ping.url, str(run.exit_code), seconds=patience)
    state = Jot(noted)
    with state.held():
        kept = state.load()
        if kept is not None and not any(each.is_open for each in kept.incidents):
            noted.unlink(missing_ok=True)
    return told


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
        uptime=times.uptime(),
        awake=times.awake(),
        version=__version__,
    )
    if trouble is not None:
        return run.failed(trouble)
    with runlog.of_run(name, run.run_id):
        try:
            line = wiring.cycle(settings, name, times)
            run = line.dry(run) if dry else line.run(run)
        except BikecollectError as error:
            run = run.failed(error)
        except Exception as error:
            log.exception("%s: a bug", name, extra={"told": True})
            what = f"{type(error).__name__}: {error}"
            run = replace(run, outcome=Outcome.BUG, cause="bug", error=what)
        return run.redacted(redactor(settings.secrets()))


def _unready(place: Path) -> BikecollectError | None:
    """Make the folder *place* ready; return why it is not."""
    try:
        folder.ready(place)
    except BikecollectError as error:
        return error
    return None


def _tell(
    settings: Settings,
    times: Times,
    troubles: Mapping[str, object],
    runs: Sequence[Run],
) -> bool:
    """Tell people of *runs*; return whether it went. Whatever it does, they stand."""
    try:
        return wiring.teller(settings, times, troubles).tell(runs)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        log.warning("a bug kept us from telling anybody: %s (-vv shows where)", what)
        log.debug("telling", exc_info=True)
        return False


@contextmanager
def _logged(settings: Settings, folders: Mapping[str, Path]) -> Iterator[None]:
    """Write what runs log to the files in their systems' *folders*."""
    logger = logging.getLogger("bikecollect")
    handler = wiring.run_logs(settings, folders)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def _pinged(settings: Settings) -> Iterator[list[Run]]:
    """Ping at the start, and with the exit code of the runs put into the list."""
    runs: list[Run] = []
    url, patience = settings.ping.url, wiring.hook_seconds(settings)
    if not url:
        yield runs
        return
    from bikecollect.alerts import (  # noqa: PLC0415 - only where it is wished
        webhooks as channels,
    )

    begun = None
    if settings.ping.start:
        begun = threading.Thread(
            target=channels.ping, args=(url, "start"), kwargs={"seconds": patience}
        )
        begun.daemon = True
        begun.start()
    yield runs
    if begun is not None:
        begun.join(patience)
    if runs:
        code = max(run.exit_code for run in runs)
        error = channels.ping(url, str(code) if code else "", seconds=patience)
        if error:
            log.warning("the ping: %s", error, extra={"told": True})


def _told(run: Run, settings: Settings, *, told: bool) -> Run:
    """Log how *run* ended; what people were *told* of is kept from stderr."""
    zone = wiring.zones(settings)[run.system_id]
    extra = {"told": told}
    with runlog.of_run(run.system_id, run.run_id):
        numbers = {**extra, "numbers": render.numbers(run, zone)}
        log.info("%s", render.run_line(run, zone), extra=numbers)
        for each in run.notices:
            if each.text != run.error:
                level = logging.WARNING if each.kind in ONCE else logging.INFO
                values = (run.system_id, each.kind, each.text)
                log.log(level, "%s: %s: %s", *values, extra=extra)
        if run.exit_code:
            log.error("%s", render.failure(run), extra=extra)
    return run


def _done(work: Sequence[Callable[[], Run]]) -> list[Run]:
    """Return what each of *work* returns, done side by side where it is more."""
    return [work[0]()] if len(work) == 1 else _side_by_side(work)


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
