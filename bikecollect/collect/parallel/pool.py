"""Run the tasks of many systems in threads, within one call's time, fair to hosts."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple

from bikecollect.collect.fetching.rate_limit import Limit, rate_limited
from bikecollect.core.errors import FeedError, Overload
from bikecollect.core.process import Times, open_files_limit
from bikecollect.core.run import Run

THREADS = 128
"""Maximum systems at a time; most of them wait for their feed."""
PER_HOST = 8
"""Maximum systems at a time whose feeds are on one host."""
FILES = 6
"""Open files that a thread may need."""
SHARE = 64
"""Minimum systems of a worker process; for fewer it is not worth starting one."""
POLL = 0.5
"""Seconds between two checks for a request to stop, while all hosts are busy."""


def shares(hosts: Mapping[str, str], workers: int) -> list[list[str]]:
    """Return the systems of each worker process; *hosts* has the host of each system.

    The systems of a host share a process, because it limits the requests to a host.

    >>> shares({"a": "x", "b": "y", "c": "y"}, workers=2)
    [['b', 'c', 'a']]
    """
    of_host: dict[str, list[str]] = {}
    for name, host in hosts.items():
        of_host.setdefault(host, []).append(name)
    parts: list[list[str]] = [[] for _ in range(min(workers, len(hosts) // SHARE) or 1)]
    for names in sorted(of_host.values(), key=len, reverse=True):
        min(parts, key=len).extend(names)
    return parts


class Turn(NamedTuple):
    """The permission of a task to use the network for *seconds*.

    If there is an *error*, it must not use the network, and records *error* as the
    reason for its missing slot.
    """

    seconds: float
    error: FeedError | None = None


class Task(NamedTuple):
    """The work for one system, whose feed is on *host*.

    *limit* returns until when the host accepts no request, 0 if it has no such limit,
    and which system was told so.
    """

    host: str
    work: Callable[[Turn], Run]
    limit: Callable[[], Limit]


class Work(NamedTuple):
    """The work of a process: *results* runs the systems with some names.

    *end_reports* is called with the runs that have been reported.
    """

    results: Callable[[Sequence[str]], Iterator[Run]]
    end_reports: Callable[[Sequence[Run]], None]


class Pool:
    """Runs *tasks* in threads, and distributes the *seconds* that they have together.

    Each task gets its share of the time left, so that feeds which do not respond cannot
    use up the time of the others. A task for which no time is left gets an `Overload`,
    and one whose host requires a longer pause a `RateLimited`.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        seconds: float,
        times: Times,
        *,
        threads: int = THREADS,
        per_host: int = PER_HOST,
    ) -> None:
        self._tasks, self._seconds, self._times = tasks, seconds, times
        self._threads = min(threads, len(tasks), max(1, open_files_limit() // FILES))
        self._per_host = per_host
        self._end = times.monotonic() + seconds
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[int]] = {}
        for number, task in enumerate(tasks):
            self._waiting.setdefault(task.host, deque()).append(number)
        self._left = len(tasks)
        self._active: Counter[str] = Counter()
        self._resting: dict[str, Limit] = {}

    def results(self) -> Iterator[Run]:
        """Yield the results as the tasks end.

        An exception of a task (a bug: runs record their errors) is raised at the end.
        The threads are daemons: one that hangs must not keep the process from ending.
        """
        results: SimpleQueue[Run | BaseException] = SimpleQueue()
        if len(self._tasks) == 1 or not self._start(results):
            self._work(results, index=-1)
        errors = []
        for _ in self._tasks:
            result = results.get()
            if isinstance(result, Run):
                yield result
            else:
                errors.append(result)
        for error in errors:
            raise error

    def _start(self, results: SimpleQueue[Run | BaseException]) -> int:
        """Start the threads; return how many of them take tasks.

        If the system's limit is reached, half of them end again: each attempt to fetch
        needs a second thread (see `process.deadline`).
        """
        with self._changed:  # no thread takes a task before all have started
            for number in range(self._threads):
                work = partial(self._work, results, index=number)
                thread = threading.Thread(target=work, daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    self._threads = number // 2
                    break
            return self._threads

    def _work(self, results: SimpleQueue[Run | BaseException], *, index: int) -> None:
        """Run tasks until none is left; end at once if thread *index* is not needed."""
        with self._changed:
            if index >= self._threads:
                return
        while (taken := self._take()) is not None:
            number, turn = taken
            task = self._tasks[number]
            try:
                result: Run | BaseException = task.work(turn)
                limit = task.limit()
            except BaseException as error:  # noqa: BLE001 - raised by `run`
                result, limit = error, Limit()
            results.put(result)
            self._end_turn(task.host, limit)

    def _take(self) -> tuple[int, Turn] | None:
        """Wait for a task that may run; return it and its turn, None at the end."""
        with self._changed:
            while self._waiting:
                host, turn = self._next()
                if turn is not None:
                    return self._remove(host), turn
                self._changed.wait(POLL)
        return None

    def _next(self) -> tuple[str, Turn | None]:
        """Return a host whose task may run now, and its turn; None if there is none."""
        left = self._end - self._times.monotonic()
        if left < self._seconds / 60:
            return next(iter(self._waiting)), Turn(0.0, self._overload())
        now = self._times.clock()
        for host in self._waiting:
            until, _, limited = self._resting.get(host, Limit())
            if until > now + left:
                return host, Turn(0.0, rate_limited(until, limited))
            is_free = self._active[host] < self._per_host and until <= now
            if is_free or self._times.stop.signum:
                return host, Turn(self._share(host, left))
        return "", None

    def _share(self, host: str, left: float) -> float:
        """Return the share of the *left* seconds for a task of *host*."""
        threads = max(1, self._threads)
        rounds = 1 + (self._left - 1) / threads
        of_host = 1 + (len(self._waiting[host]) - 1) / self._per_host
        behind = self._left > threads or len(self._waiting[host]) > self._per_host
        return left / max(rounds, of_host) if behind else left

    def _remove(self, host: str) -> int:
        numbers = self._waiting[host]
        number = numbers.popleft()
        if not numbers:
            del self._waiting[host]
        self._left -= 1
        self._active[host] += 1
        return number

    def _end_turn(self, host: str, limit: Limit) -> None:
        with self._changed:
            self._active[host] -= 1
            if limit.until > self._resting.get(host, Limit()).until:
                self._resting[host] = limit
            self._changed.notify_all()

    def _overload(self) -> Overload:
        return Overload(
            f"no time left for this system: {len(self._tasks)} systems had "
            f"{self._seconds:.0f} s; fetch fewer systems per call, use more machines, "
            "or set a longer interval"
        )
