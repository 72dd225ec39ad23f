"""Many systems in one call: side by side, each run isolated, and people told."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import tzinfo
from functools import partial
from importlib import import_module
from itertools import groupby
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from bikecollect import __version__
from bikecollect.collect.cycle import Cycle
from bikecollect.core import process
from bikecollect.core.errors import BikecollectError, Outcome
from bikecollect.core.logs import of_run
from bikecollect.core.process import Times
from bikecollect.core.run import Run, failure_line, run_line, run_values
from bikecollect.core.secrets.redact import Redact, unredacted
from bikecollect.core.slots import Slot, slot_at
from bikecollect.storage import data_folder
from bikecollect.storage.run_notes import RunNotes

log = logging.getLogger(__name__)

WORKERS = 16
ONCE = frozenset({"clock", "damage", "disk", "drift", "ledger"})
"""Notices that come once for what has happened; others come again in each slot."""
Troubles = Mapping[str, BikecollectError | None]
"""Why a system's folder cannot be used, by system; None where it can."""


class Pinger(NamedTuple):
    """Pings an address: *send* takes a sign, and returns what went wrong.

    With *start* the beginning is told too; a ping takes *seconds* at most.
    """

    send: Callable[[str], str]
    start: bool
    seconds: float


@dataclass(frozen=True, eq=False, repr=False)
class Collector:
    """Runs one cycle for each of some systems, side by side, and tells people.

    *cycle* makes the cycle of a system; *tell* is handed the runs, and returns
    whether people are told; *logs* makes what writes into the systems' *folders*.
    """

    folders: Mapping[str, Path]
    zones: Mapping[str, tzinfo]
    interval: int
    times: Times
    cycle: Callable[[str], Cycle]
    tell: Callable[[Troubles, Sequence[Run]], bool]
    logs: Callable[[Mapping[str, Path]], logging.Handler]
    ping: Pinger | None = None
    redact: Redact = unredacted

    def collect(self) -> list[Run]:
        """Run a cycle for each system, tell people, and return the runs."""
        slot = self._slot()
        # One after the other: a folder that is being made must not look unmounted.
        troubles = {n: _unready(place) for n, place in self.folders.items()}
        work = [partial(self._one, n, slot, why) for n, why in troubles.items()]
        ready = {n: self.folders[n] for n, why in troubles.items() if why is None}
        with _logged(self.logs(ready)), _pinged(self.ping) as runs:
            # What killed them may kill this run before it can tell of anything.
            self._tell_of_killed(ready)
            runs.extend(_done(work))
            told = self._tell(troubles, runs)
            return [self._logged_end(run, told=told) for run in runs]

    def dry(self) -> list[Run]:
        """Fetch and read for each system; nothing is written, and nobody told."""
        slot = self._slot()
        work = [partial(self._one, name, slot, dry=True) for name in self.folders]
        return [self._logged_end(run, told=False) for run in _done(work)]

    def _slot(self) -> Slot:
        return slot_at(self.times.clock(), self.interval)

    def _one(
        self,
        name: str,
        slot: Slot,
        trouble: BikecollectError | None = None,
        *,
        dry: bool = False,
    ) -> Run:
        """Run one cycle; whatever goes wrong ends in the run that is returned."""
        run = self._begun(name, slot)
        if trouble is not None:
            return run.failed(trouble)
        with of_run(name, run.run_id):
            try:
                cycle = self.cycle(name)
                run = cycle.dry(run) if dry else cycle.run(run)
            except BikecollectError as error:
                run = run.failed(error)
            except Exception as error:
                log.exception("%s: a bug", name, extra={"told": True})
                what = f"{type(error).__name__}: {error}"
                run = run.ended(Outcome.BUG, "bug", what)
            return run.redacted(self.redact)

    def _begun(self, name: str, slot: Slot) -> Run:
        return Run(
            run_id=process.run_id(),
            system_id=name,
            slot=slot,
            started=self.times.clock(),
            boot_id=process.boot_id(),
            uptime=self.times.uptime(),
            awake=self.times.awake(),
            version=__version__,
        )

    def _tell_of_killed(self, folders: Mapping[str, Path]) -> None:
        """Tell people of the runs that were killed since, by slot."""
        killed = sorted(_killed(folders), key=_slot_of)
        for _, some in groupby(killed, key=_slot_of):
            runs = {run.system_id: run for run in some}
            told = self._tell({}, list(runs.values()))
            for run in runs.values():
                with of_run(run.system_id, run.run_id):
                    log.warning(
                        "%s: %s", run.system_id, run.error, extra={"told": told}
                    )

    def _tell(self, troubles: Troubles, runs: Sequence[Run]) -> bool:
        """Return whether people are told of *runs*, which stand whatever that does."""
        try:
            return self.tell(troubles, runs)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            text = "a bug kept us from telling anybody: %s (-vv shows where)"
            log.warning(text, what)
            log.debug("telling", exc_info=True)
            return False

    def _logged_end(self, run: Run, *, told: bool) -> Run:
        """Log how *run* ended; what people were *told* of is kept from stderr."""
        zone = self.zones[run.system_id]
        extra = {"told": told}
        with of_run(run.system_id, run.run_id):
            numbers = {**extra, "numbers": run_values(run, zone)}
            log.info("%s", run_line(run, zone), extra=numbers)
            for each in run.notices:
                if each.text != run.error:
                    level = logging.WARNING if each.kind in ONCE else logging.INFO
                    values = (run.system_id, each.kind, each.text)
                    log.log(level, "%s: %s: %s", *values, extra=extra)
            if run.exit_code:
                log.error("%s", failure_line(run), extra=extra)
        return run


def _killed(folders: Mapping[str, Path]) -> Iterator[Run]:
    """Yield the runs that were killed and are not healed yet, of each system."""
    for name, place in folders.items():
        with suppress(BikecollectError):
            for run in RunNotes(place / "payloads" / "inbox").killed():
                yield replace(run, system_id=name)


def _slot_of(run: Run) -> Slot:
    return run.slot


def _unready(place: Path) -> BikecollectError | None:
    """Make the folder *place* ready; return why it is not."""
    try:
        data_folder.ready(place)
    except BikecollectError as error:
        return error
    return None


@contextmanager
def _logged(handler: logging.Handler) -> Iterator[None]:
    """Give *handler* what is logged meanwhile."""
    logger = logging.getLogger("bikecollect")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def _pinged(ping: Pinger | None) -> Iterator[list[Run]]:
    """Ping at the start, and with the exit code of the runs put into the list."""
    runs: list[Run] = []
    if ping is None:
        yield runs
        return
    begun = None
    if ping.start:
        begun = threading.Thread(target=ping.send, args=("start",), daemon=True)
        begun.start()
    yield runs
    if begun is not None:
        begun.join(ping.seconds)
    if runs:
        code = max(run.exit_code for run in runs)
        error = ping.send(str(code) if code else "")
        if error:
            log.warning("the ping: %s", error, extra={"told": True})


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


def __getattr__(name: str) -> object:
    """Return `collect` of the wiring, which scripts of operators call by this name.

    It stood here, and needs all real parts: it is looked up when it is asked for.
    """
    if name == "collect":
        return import_module("bikecollect.wiring.collection").collect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
