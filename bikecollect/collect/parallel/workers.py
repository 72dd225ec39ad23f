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
"""Seconds between two checks for a request to stop."""
M_ARENA_MAX, ARENAS = -8, 2
"""The parameter of glibc's mallopt(3) for the number of arenas, and its value."""
PATIENCE = 10.0
"""Maximum seconds for a process to end after its runs were reported."""


class Workers:
    """Runs each of *parts* in a process, which exists until its runs were reported.

    Until then the notes of its runs remain locked, so that no other run counts them as
    killed. If a process is killed, the next call recovers the runs of its share.
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
        """Yield the runs as they end; those of a killed process are missing."""
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
        """Tell the processes that *runs* were reported, so that they end."""
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
    """Make the processes share more memory with this one, and threads with each other.

    By default glibc creates up to eight arenas per core for threads, and each garbage
    collection would copy the shared pages of all objects.
    """
    import ctypes  # needed for many systems only

    gc.freeze()
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def _receive(connection: Connection) -> Run | None:
    """Return the next run from a process, None if there are no more."""
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
    """Run the systems called *names* in this new process, for at most *alarm* seconds.

    The alarm is set again, because a fork clears timers. *others* is the parent's end
    of the pipe, which is closed here.
    """
    others.close()
    signal.setitimer(signal.ITIMER_REAL, alarm)
    runs: list[Run] = []
    try:
        for run in work.results(names):
            runs.append(run)
            with suppress(OSError):  # the parent has ended: the next call reports it
                connection.send(run)
        with suppress(EOFError, OSError):
            connection.send(None)
            connection.recv()
            work.end_reports(runs)
    except Exception:
        log.exception("a bug in a worker process")
