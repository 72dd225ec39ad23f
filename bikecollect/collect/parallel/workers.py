"""Worker processes: each runs the systems of its share on a separate core."""

import gc
import logging
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from bikecollect.collect.parallel.pool import Work
from bikecollect.core.process import Stop
from bikecollect.core.run import Run

if TYPE_CHECKING:
    from multiprocessing.context import ForkProcess

log = logging.getLogger(__name__)

POLL = 0.5
"""Seconds between two looks at a request to stop."""
M_ARENA_MAX, ARENAS = -8, 2
"""A parameter of glibc's mallopt(3), and its value."""
PATIENCE = 10.0
"""Seconds for a process to end after its runs were reported."""


class Workers:
    """Runs each of *parts* in a process, which lives until its runs were reported.

    The notes of its runs stay locked until then: no other run takes them for killed.
    A process that dies leaves the runs of its share to the next call, as any killed
    run does.
    """

    def __init__(self, parts: Sequence[Sequence[str]], work: Work, stop: Stop) -> None:
        self._stop, self._work = stop, work
        self._here: list[str] = []
        self._processes: dict[Connection, ForkProcess] = {}
        _share_memory()
        context, alarm = get_context("fork"), signal.getitimer(signal.ITIMER_REAL)[0]
        for names in parts:
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_run, args=(names, work, theirs, ours, alarm), daemon=True
            )
            try:
                process.start()
            except OSError:  # a limit of processes or of memory
                self._here.extend(names)
            else:
                self._processes[ours] = process
            theirs.close()

    def results(self) -> Iterator[Run]:
        """Yield the runs as they end; those of a process that dies are missing."""
        yield from self._work.results(self._here) if self._here else ()
        pending, is_forwarded = set(self._processes), False
        while pending:
            if self._stop.signum and not is_forwarded:
                is_forwarded = True
                self._forward(self._stop.signum)
            for connection in wait(list(pending), POLL):
                assert isinstance(connection, Connection)
                run = _receive(connection)
                if run is None:
                    pending.remove(connection)
                else:
                    yield run

    def end_reports(self, runs: Sequence[Run]) -> None:
        """Let the processes take note that *runs* were reported, and end."""
        here = [run for run in runs if run.system_id in self._here]
        self._work.end_reports(here)
        for connection in self._processes:
            with suppress(OSError):
                connection.send(True)
        for process in self._processes.values():
            process.join(PATIENCE)

    def _forward(self, signum: int) -> None:
        for process in self._processes.values():
            with suppress(OSError):
                os.kill(process.pid or os.getpid(), signum)


def _share_memory() -> None:
    """Let the processes share more of this one's memory, and their threads as well.

    A thread would get an arena of its own from glibc, up to eight per core, and each
    garbage collection would copy the pages of all objects.
    """
    import ctypes  # needed for many systems only

    gc.freeze()
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def _receive(connection: Connection) -> Run | None:
    """Return the next run from a process, None once there is none."""
    try:
        run = connection.recv()
    except (EOFError, OSError):
        return None
    return run if isinstance(run, Run) else None


def _run(
    names: Sequence[str],
    work: Work,
    connection: Connection,
    others: Connection,
    alarm: float,
) -> None:
    """Run the systems called *names* in this new process; *alarm* ends it in seconds.

    Timers do not pass a fork, and *others* is the end of the process that started it.
    """
    others.close()
    signal.setitimer(signal.ITIMER_REAL, alarm)
    runs: list[Run] = []
    try:
        for run in work.results(names):
            runs.append(run)
            with suppress(OSError):  # its reader is gone: the next call reports the run
                connection.send(run)
        with suppress(EOFError, OSError):
            connection.send(None)
            connection.recv()
            work.end_reports(runs)
    except Exception:
        log.exception("a bug in a worker process")
