"""Run the cycles of many systems in parallel, each isolated, and send alerts."""

import logging
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from functools import partial
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bikecollect import __version__
from bikecollect.collect.cycle import Cycle, translated
from bikecollect.collect.fetching.rate_limit import NOT_BEFORE, Limit, limit_of
from bikecollect.collect.parallel.pool import Pool, Task, Turn, Work, shares
from bikecollect.collect.reporting.run_lines import EndLine, end_lines
from bikecollect.core import process
from bikecollect.core.errors import BikecollectError, Outcome, StorageError
from bikecollect.core.logs import logged, of_run
from bikecollect.core.process import Times
from bikecollect.core.run import Run, with_notice
from bikecollect.core.secrets.redact import Redact, unredacted
from bikecollect.core.slots import GRACE, Slot
from bikecollect.core.timeline.grid import Grid
from bikecollect.storage import data_folder
from bikecollect.storage.data_folder import WAITING
from bikecollect.storage.files import known_folders, marker
from bikecollect.storage.files.renamed import RenamedError
from bikecollect.storage.run_notes import OpenNote, RunNotes

if TYPE_CHECKING:
    from bikecollect.collect.reporting.ping import Pinger

log = logging.getLogger(__name__)

Troubles = Mapping[str, BikecollectError | None]
"""Why a system's folder cannot be used, by system; None if it can."""


class Crew(NamedTuple):
    """Runs all systems of a call; *end_reports* is called with the reported runs."""

    results: Callable[[], Iterator[Run]]
    end_reports: Callable[[Sequence[Run]], None]


@dataclass(frozen=True, eq=False, repr=False)
class Collector:
    """Runs one cycle for each of some systems, in parallel, and sends alerts.

    *cycle* returns the cycle of a system, given the seconds for its requests; *alert*
    takes the runs and returns whether people were alerted; *logs* returns the handler
    that logs to the *folders*. *hosts* are the hosts of the feeds, *seconds* is the
    time for all requests, *workers* the maximum number of processes; *check_name*
    raises RenamedError if a system has another name by now. *mirror* is the address of
    the archive's copy.
    """

    folders: Mapping[str, Path]
    zones: Mapping[str, tzinfo]
    grids: Mapping[str, Grid]
    hosts: Mapping[str, str]
    times: Times
    seconds: float
    workers: int
    cycle: Callable[[str, float], Cycle]
    alert: Callable[[Troubles, Sequence[Run]], bool]
    logs: Callable[[Mapping[str, Path]], logging.Handler]
    ping: "Pinger | None" = None
    check_name: Callable[[str], object] = bool
    mirror: str = ""
    redact: Redact = unredacted
    boot_id: str = field(default_factory=process.boot_id)
    open_notes: dict[str, OpenNote] = field(default_factory=dict)
    limits: dict[str, Limit] = field(default_factory=dict)
    begun_anew: dict[str, str] = field(default_factory=dict)

    def collect(self) -> list[Run]:
        """Run a cycle for each system, send alerts, and return the runs.

        Raises RenamedError, before any of this, if a system has another name now.
        """
        # In sequence: a folder that is being created must not look unmounted.
        known = known_folders.with_lost(self.folders.values())
        self.begun_anew.update(known_folders.gone(self.folders, known, self.mirror))
        troubles = {
            n: _prepare(folder, known, partial(self.check_name, n))
            for n, folder in self.folders.items()
        }
        ready = {n: self.folders[n] for n, why in troubles.items() if why is None}
        with logged(self.logs(ready)) as files:
            # First, because what killed them may kill this run before it can report.
            self._report_earlier(ready, files)
            crew = self._crew(troubles)  # may fork, so before the ping's thread
            with _pinged(self.ping) as runs:
                ended = self._in_order(crew.results())
                ends = list(self._ends(ended))
                is_reported = self._reported(troubles, ended, ends, files)
                crew.end_reports(ended)
                names = {run.system_id for run in ended}
                lost = [self._lost(name) for name in self.folders if name not in names]
                runs.extend(ended + lost)
                _log(ends, is_filed=True, is_reported=is_reported)
                _log(self._ends(lost))
                return ended + lost

    def dry(self) -> list[Run]:
        """Fetch and read for each system; write nothing and send no alerts."""
        tasks = [self._task(name, dry=True) for name in self.folders]
        runs = self._in_order(Pool(tasks, self.seconds, self.times).results())
        _log(line for line in self._ends(runs) if not line.values)  # printed, see fetch
        return runs

    def _in_order(self, results: Iterator[Run]) -> list[Run]:
        """Return the runs in the order of the settings."""
        runs = {run.system_id: run for run in results}
        return [runs[name] for name in self.folders if name in runs]

    def _crew(self, troubles: Troubles) -> "Crew":
        """Return the crew that runs all cycles: this process, or several for many."""
        work = Work(partial(self._results, troubles), self._end_reports)
        parts = shares(self.hosts, self.workers)
        if len(parts) == 1:
            return Crew(partial(work.results, parts[0]), work.end_reports)
        from bikecollect.collect.parallel.workers import Workers  # for many systems

        workers = Workers(parts, work, self.times.stop)
        return Crew(workers.results, workers.end_reports)

    def _results(self, troubles: Troubles, names: Sequence[str]) -> Iterator[Run]:
        tasks = [self._task(name, troubles[name]) for name in names]
        return Pool(tasks, self.seconds, self.times).results()

    def _end_reports(self, runs: Sequence[Run]) -> None:
        for run in runs:
            if run.system_id in self.open_notes:
                self.open_notes[run.system_id].close(run)

    def _lost(self, name: str) -> Run:
        """Return the run of a system whose process died; the next call reports it."""
        text = "its worker process was killed; the next run recovers what was accepted"
        return self._begin(name).ended(Outcome.KILLED, "killed", text)

    def _task(
        self, name: str, trouble: BikecollectError | None = None, *, dry: bool = False
    ) -> Task:
        def limit() -> Limit:
            limit = self.limits.get(name, Limit())
            return limit._replace(system=limit.system or name)

        work = partial(self._run, name, trouble, dry=dry)
        return Task(self.hosts[name], work, limit)

    def _run(
        self,
        name: str,
        trouble: BikecollectError | None,
        turn: Turn,
        *,
        dry: bool,
    ) -> Run:
        """Run one cycle; every error is recorded in the run that is returned."""
        run = self._begin(name)
        trouble = trouble or (turn.error if dry else None)
        if trouble is not None:
            return run.failed(trouble)
        run = with_notice(run, "lost", self.begun_anew.get(name, ""))
        with of_run(name, run.run_id):
            try:
                with self._cycle(name, turn.seconds) as cycle:
                    run = cycle.dry(run) if dry else cycle.run(run, turn.error)
            except (BikecollectError, OSError) as error:
                run = run.failed(translated(error))
            except Exception as error:
                log.exception("%s: a bug", name, extra={"is_reported": True})
                error_text = f"{type(error).__name__}: {error}"
                run = run.ended(Outcome.BUG, "bug", error_text)
            return run.redacted(self.redact)

    @contextmanager
    def _cycle(self, name: str, seconds: float) -> Iterator[Cycle]:
        """Yield the cycle of the system *name*; afterwards keep only what is needed.

        The cycles of a thousand systems would take 100 MB.
        """
        cycle = self.cycle(name, seconds)
        try:
            yield cycle
        finally:
            self.open_notes[name] = cycle.open_note()
            note = cycle.fetcher.notes.get(NOT_BEFORE, "")
            self.limits[name] = limit_of(note)

    def _begin(self, name: str) -> Run:
        now = self.times.clock()
        return Run(
            run_id=process.run_id(),
            system_id=name,
            slot=self.grids[name].at(now),
            started=now,
            boot_id=self.boot_id,
            uptime=self.times.uptime(),
            awake=self.times.awake(),
            version=__version__,
        )

    def _report_earlier(
        self, folders: Mapping[str, Path], files: logging.Handler
    ) -> None:
        """Alert people about earlier runs that were killed before reporting, by slot.

        Future slots are ignored: the clock was ahead.
        """
        latest = self.times.clock() + GRACE
        unreported = (run for run in _unreported(folders) if run.slot <= latest)
        earlier = sorted(unreported, key=_slot_of)
        for _, group in groupby(earlier, key=_slot_of):
            runs = {run.system_id: run for run in group}
            killed = [r for r in runs.values() if r.outcome is Outcome.KILLED]
            ends = [
                EndLine(r, logging.WARNING, f"{r.system_id}: {r.error}") for r in killed
            ]
            is_reported = self._reported({}, list(runs.values()), ends, files)
            _log(ends, is_filed=True, is_reported=is_reported)

    def _reported(
        self,
        troubles: Troubles,
        runs: Sequence[Run],
        ends: Sequence[EndLine],
        files: logging.Handler,
    ) -> bool:
        """Write *ends* to the log *files*, whose last lines are in mails; then alert.

        Returns whether people were alerted.
        """
        for line in ends:
            line.log(log, files)
        return self._alert(troubles, runs)

    def _ends(self, runs: Iterable[Run]) -> Iterator[EndLine]:
        for run in runs:
            yield from end_lines(run, self.zones[run.system_id])

    def _alert(self, troubles: Troubles, runs: Sequence[Run]) -> bool:
        """Send alerts; return whether people were alerted. Errors are only logged."""
        try:
            return self.alert(troubles, runs)
        except OSError as error:
            log.warning("cannot send alerts: the disk: %s", error)
            log.debug("alerting", exc_info=True)
            return False
        except Exception as error:
            error_text = f"{type(error).__name__}: {error}"
            text = "a bug prevented the alerts: %s (-vv shows the traceback)"
            log.warning(text, error_text)
            log.debug("alerting", exc_info=True)
            return False


def _log(
    lines: Iterable[EndLine], *, is_filed: bool = False, is_reported: bool = False
) -> None:
    """Log *lines*, not again in the log files nor, if they were mailed, on stderr."""
    for line in lines:
        line.log(log, is_filed=is_filed, is_reported=is_reported)


def _unreported(folders: Mapping[str, Path]) -> Iterator[Run]:
    """Yield the earlier runs of each system that recovery has not seen yet.

    Without those that had no usable settings: they were reported when they failed.
    """
    for name, folder in folders.items():
        with suppress(BikecollectError, OSError):
            for run in RunNotes(folder / WAITING).unreported():
                if run.outcome is not Outcome.SETTINGS:
                    yield replace(run, system_id=name)


def _slot_of(run: Run) -> Slot:
    return run.slot


def _prepare(
    folder: Path, known: Collection[str], check_name: Callable[[], object]
) -> BikecollectError | None:
    """Prepare *folder*; return the error if that fails. Raises RenamedError.

    It is tried twice, because a momentary failure of the disk would cost the slot.
    A system that was stopped is collected again.
    """

    def prepare() -> None:
        if data_folder.prepare(folder, known, check_name):
            marker.go_on(folder / data_folder.MARKER)

    try:
        prepare()
    except StorageError:
        try:
            prepare()
        except BikecollectError as error:
            return error
    except RenamedError:
        raise
    except BikecollectError as error:
        return error
    return None


def _pinged(ping: "Pinger | None") -> AbstractContextManager[list[Run]]:
    """Ping at the start, and with the exit code of the runs in the returned list."""
    if ping is None:
        return nullcontext([])
    from bikecollect.collect.reporting.ping import pinged  # only with an address

    return pinged(ping)


def __getattr__(name: str) -> object:
    """Return `wiring.collection.collect`, which users' scripts import from here.

    It is imported on access, because it depends on all packages.
    """
    if name == "collect":
        return import_module("bikecollect.wiring.collection").collect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
