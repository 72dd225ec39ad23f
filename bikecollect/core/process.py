"""This process: file descriptors, umask, signals, deadlines, memory, boot, clocks."""

import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import NamedTuple, TypeVar

from bikecollect.core.errors import Interrupted

STDERR = 2
ALARM_SHARE, ALARM_FLOOR = 14 / 15, 30.0
MEMORY_SHARE = 0.75
"""The usable share of the available memory: the rest is left for error handling."""
MEMORY_FLOOR = 8 * 1024 * 1024
CGROUPS, LIMIT_OF_V1 = Path("/sys/fs/cgroup"), "memory.limit_in_bytes"
Clock = Callable[[], float]
Value = TypeVar("Value")
TWICE = 5.0
"""Seconds after a signal in which another one is the same request."""
SLICE = 0.1
"""Seconds between two checks while waiting for a deadline."""


class Stop:
    """A request to stop, made by a signal; it ends waits early."""

    def __init__(self) -> None:
        self.signum = 0
        # A signal can come amid any of its calls: an Event would wait for itself then.
        self._requests: SimpleQueue[None] = SimpleQueue()

    def set(self, signum: int) -> None:
        """Request a stop because of the signal *signum*."""
        self.signum = signum
        self._requests.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait *seconds*, or until a stop is requested; return whether it was."""
        try:
            self._requests.get(timeout=max(0.0, seconds))
        except Empty:
            return False
        self._requests.put(None)  # for others who wait
        return True

    def sleep(self, seconds: float) -> None:
        """Wait *seconds*; raises Interrupted if a stop is requested."""
        if self.wait(seconds):
            self.raise_if_set()

    def raise_if_set(self) -> None:
        """Raise Interrupted if a stop was requested."""
        if self.signum:
            raise Interrupted(self.signum)


STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
OPEN_FILES = 4096
"""Enough for a report over many archived days, or for a hundred systems at a time."""


def prepare() -> None:
    """Open the file descriptors 0 to 2 if they are closed, and set the umask.

    Otherwise a data file could get descriptor 2, and messages of libraries would be
    written into it.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(fd)
    for fd, (name, mode) in enumerate(STREAMS):
        if getattr(sys, name) is None:
            stream = open(fd, mode, encoding="utf-8")  # noqa: PTH123, SIM115 - of a descriptor, for the whole process
            setattr(sys, name, stream)
    os.umask(os.umask(0o077) | 0o027)  # keeps a stricter umask
    _allow_open_files()


def open_files_limit() -> int:
    """Return how many files this process may have open at a time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES if soft == resource.RLIM_INFINITY else soft


def _allow_open_files() -> None:
    """Raise the soft limit of open files to what is needed, as far as allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class Ending:
    """The signal that ends this process, its exit *code*, and its time; 0 if none."""

    signum, code, at = 0, 0, 0.0  # the time is of the monotonic clock


def raise_if_ending() -> None:
    """Raise Interrupted if a signal ends this process: for threads that wait."""
    if Ending.signum:
        raise Interrupted(Ending.signum)


def end_in_order() -> None:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does.

    What a command has begun is removed then, and not left half-written. Others that
    come within `TWICE` do not disturb that: `timeout` and a shell that ends send them
    twice. A later one ends a command whose library has lost the first.
    """

    def end(signum: int, _frame: FrameType | None) -> None:
        if signum != signal.SIGINT:
            now = time.monotonic()
            if Ending.code and now < Ending.at + TWICE:
                return
            Ending.code, Ending.at = Interrupted(signum).exit_code, now
        Ending.signum = signum
        raise KeyboardInterrupt

    _handle((signal.SIGTERM, signal.SIGHUP, signal.SIGINT), end)


def listen(stop: Stop) -> None:
    """Let SIGTERM, SIGHUP and SIGINT set *stop* instead of ending the process."""

    def request_stop(signum: int, _frame: FrameType | None) -> None:
        Ending.signum = signum
        stop.set(signum)

    _handle((signal.SIGTERM, signal.SIGHUP, signal.SIGINT), request_stop)


def _handle(
    signals: Sequence[int], handler: Callable[[int, FrameType | None], object]
) -> None:
    """Let *handler* handle *signals*, but for those that are ignored, as by nohup."""
    for signum in signals:
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, handler)


def arm(interval: int) -> None:
    """Let the kernel kill this process before a slot of *interval* seconds is over.

    SIGALRM keeps its default action on purpose: that ends even a run that hangs in the
    resolver or on a dead disk, and the next run recovers its work. It can be repeated.
    """
    disarm()
    seconds = max(ALARM_FLOOR, interval * ALARM_SHARE)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.setitimer(signal.ITIMER_REAL, seconds)
    if os.getpid() == 1:  # the first of a container: the kernel does not kill it
        timer = threading.Timer(seconds, os._exit, [128 + signal.SIGALRM])
        timer.daemon = True
        timer.start()


def disarm() -> None:
    """Cancel the alarm."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer) and thread.function is os._exit:
            thread.cancel()


class DeadlineError(Exception):
    """The work took longer than allowed."""


class NoThreadError(DeadlineError):
    """No thread could be started for the work: this machine allows no more of them."""

    def __str__(self) -> str:
        """Return the limits that may be reached."""
        limits = "processes (`ulimit -u`, systemd: TasksMax) or memory (`ulimit -v`)"
        return f"this machine's limit of {limits} was reached"


def deadline(
    work: Callable[[], Value],
    seconds: float,
    *,
    check: Callable[[], object] | None = None,
) -> Value:
    """Return the result of *work*; raises DeadlineError after *seconds*.

    The work is done by a thread that is abandoned at the deadline: a silent resolver or
    a server that sends a byte now and then ignores the timeouts of sockets.
    An exception of *work* is raised here. *check* is called several times a second
    meanwhile; it may raise to end the wait.
    """
    results: SimpleQueue[tuple[Value] | BaseException] = SimpleQueue()

    def target() -> None:
        try:
            results.put((work(),))
        except BaseException as error:  # noqa: BLE001 - raised by the waiting thread
            results.put(error)

    end = time.monotonic() + seconds
    _start(threading.Thread(target=target, daemon=True), end, check or bool)
    while True:
        left = max(0.0, end - time.monotonic())
        try:
            result = results.get(timeout=min(SLICE, left) if check else left)
        except Empty:
            if check is not None:
                check()
            if time.monotonic() >= end:
                raise DeadlineError from None
        else:
            if isinstance(result, BaseException):
                raise result
            return result[0]


def _start(thread: threading.Thread, end: float, check: Callable[[], object]) -> None:
    """Start *thread* as soon as the system's limit of threads allows it."""
    while True:
        try:
            thread.start()
        except RuntimeError:
            check()
            if time.monotonic() >= end:
                raise NoThreadError from None
            time.sleep(SLICE)
        else:
            return


_one_at_a_time = threading.RLock()


@contextmanager
def bounded_memory(most: float = float("inf")) -> Iterator[None]:
    """Limit further memory of this process to *most* bytes and to what is available.

    Allocating more raises MemoryError, which can be handled; without the limit the
    kernel would kill the process. RLIMIT_DATA counts writable memory only; RLIMIT_AS
    would also count what threads and libraries merely reserve. The limit holds for the
    whole process, so only one thread can use it at a time.
    """
    with _one_at_a_time:
        before, hard = resource.getrlimit(resource.RLIMIT_DATA)
        sizes = _statm()
        limit = sizes[5] + int(max(MEMORY_FLOOR, min(most, _memory_left(sizes))))
        if before != resource.RLIM_INFINITY:
            limit = min(limit, before)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
        try:
            yield
        finally:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


def memory_left() -> float:
    """Return how many bytes this process may still allocate, as far as known."""
    return _memory_left(_statm())


def _memory_left(sizes: Sequence[int]) -> float:
    left = [MEMORY_SHARE * limit - sizes[1] for limit in _memory_limits()]
    sizes_by_kind = {resource.RLIMIT_AS: sizes[0], resource.RLIMIT_DATA: sizes[5]}
    for kind, used in sizes_by_kind.items():
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            left.append(MEMORY_SHARE * (soft - used))
    return min(left, default=float("inf"))


def address_space_left() -> float:
    """Return how many bytes of addresses `ulimit -v` leaves to this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return float("inf") if soft == resource.RLIM_INFINITY else soft - _statm()[0]


def _statm() -> list[int]:
    """Return the sizes of this process in bytes (proc(5), statm); zeros if unknown."""
    with suppress(OSError):
        text = Path("/proc/self/statm").read_text(encoding="ascii")
        return [int(pages) * resource.getpagesize() for pages in text.split()]
    return [0] * 7


@lru_cache(maxsize=1)
def _memory_limits() -> tuple[int, ...]:
    """Return the machine's memory and the limits of the process's control groups."""
    limits = [os.sysconf("SC_PHYS_PAGES") * resource.getpagesize()]
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0":
                limits += _group_limits(CGROUPS, path, "memory.max")
            elif "memory" in controllers.split(","):
                limits += _group_limits(CGROUPS / "memory", path, LIMIT_OF_V1)
    return tuple(limits)


def _group_limits(root: Path, path: str, name: str) -> Iterator[int]:
    """Yield the limits *name* of the group *path* and its parents, if they exist."""
    for group in (inner := Path(path.lstrip("/")), *inner.parents):
        with suppress(OSError, ValueError):
            yield int((root / group / name).read_text(encoding="ascii"))


def boot_id() -> str:
    """Return the kernel's id of this boot, empty if unknown."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


def uptime() -> float:
    """Return the seconds since boot, including time suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def awake() -> float:
    """Return the seconds since boot, without time suspended."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def run_id() -> str:
    """Return a new random id for a run: eight hexadecimal digits."""
    return os.urandom(4).hex()


class Times(NamedTuple):
    """The clocks of a run, and the request to *stop* that ends its waits early."""

    clock: Clock
    monotonic: Clock
    stop: Stop
    uptime: Clock = uptime
    awake: Clock = awake
