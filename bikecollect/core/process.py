"""This process: its descriptors, mask, signals, alarm, memory, and the boot."""

import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from bikecollect.core.errors import Interrupted

STDERR = 2
ALARM_SHARE = 14 / 15
ALARM_FLOOR = 30.0
MEMORY_SHARE = 0.75
"""Of what the process may use: the rest is for handling the error, and for others."""
MEMORY_FLOOR = 8 * 1024 * 1024
CGROUPS = Path("/sys/fs/cgroup")

Clock = Callable[[], float]


class Stop:
    """The wish of a signal to end; waits are cut short by it."""

    def __init__(self) -> None:
        self.signum = 0
        self._event = threading.Event()

    def set(self, signum: int) -> None:
        """Ask for the end, by signal *signum*."""
        self.signum = signum
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Wait *seconds*, or less when asked to end; return whether asked."""
        return self._event.wait(seconds)

    def sleep(self, seconds: float) -> None:
        """Wait *seconds*; raises Interrupted where the end is asked for."""
        if self.wait(seconds):
            self.raise_if_set()

    def raise_if_set(self) -> None:
        """Raise Interrupted where the end was asked for."""
        if self._event.is_set():
            raise Interrupted(self.signum)


def prepare() -> None:
    """Open descriptors 0 to 2 where they are closed, and set the mask.

    Without it a data file may be opened as descriptor 2, and a library's
    complaint be written into it.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(fd)
    if sys.stdout is None or sys.stderr is None:
        sys.stdout = sys.stdout or open(1, "w", encoding="utf-8")  # noqa: SIM115 - for the whole process
        sys.stderr = sys.stderr or open(2, "w", encoding="utf-8")  # noqa: SIM115 - for the whole process
    os.umask(os.umask(0o077) | 0o027)  # never wider than it was


def listen(stop: Stop) -> None:
    """Let SIGTERM, SIGHUP and SIGINT set *stop* instead of killing a commit."""

    def ask(signum: int, _frame: FrameType | None) -> None:
        stop.set(signum)

    for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(each, ask)


def arm(interval: int) -> None:
    """Let the kernel kill this process when a slot of *interval* s is nearly over.

    The default action is kept on purpose: it ends even a run that hangs in the
    resolver or on a dead disk, and the next run heals what it left.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, max(ALARM_FLOOR, interval * ALARM_SHARE))


def disarm() -> None:
    """Call off the alarm."""
    signal.setitimer(signal.ITIMER_REAL, 0)


_one_at_a_time = threading.RLock()


@contextmanager
def bounded_memory(most: float = float("inf")) -> Iterator[None]:
    """Let this process take *most* more bytes, and no more than its limits leave it.

    What would take more gets a MemoryError, which can be handled; without it the
    kernel kills the process. RLIMIT_DATA counts what is written to, and not, as
    RLIMIT_AS does, what threads and libraries only reserve. It is the whole
    process's: one thread at a time.
    """
    with _one_at_a_time:
        before, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = _data_bytes() + int(max(MEMORY_FLOOR, min(most, memory_left())))
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
    """Return the bytes that this process may still take, as far as that is known."""
    pages = _statm()
    left = [MEMORY_SHARE * each - pages[1] for each in _memory_limits()]
    for kind, used in (
        (resource.RLIMIT_AS, pages[0]),
        (resource.RLIMIT_DATA, pages[5]),
    ):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            left.append(MEMORY_SHARE * (soft - used))
    return min(left, default=float("inf"))


def _data_bytes() -> int:
    return _statm()[5]


def _statm() -> list[int]:
    """Return the sizes of this process in bytes; see proc(5), ``/proc/PID/statm``."""
    text = Path("/proc/self/statm").read_text(encoding="ascii")
    return [int(each) * resource.getpagesize() for each in text.split()]


@lru_cache(maxsize=1)
def _memory_limits() -> tuple[int, ...]:
    """Return the machine's memory, and the limits of the control groups we are in."""
    machine = os.sysconf("SC_PHYS_PAGES") * resource.getpagesize()
    found = [machine]
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
            number, kinds, path = line.split(":", 2)
            if number == "0":
                found += _group_limits(CGROUPS, path, "memory.max")
            elif "memory" in kinds.split(","):
                name = "memory.limit_in_bytes"
                found += _group_limits(CGROUPS / "memory", path, name)
    return tuple(found)


def _group_limits(root: Path, path: str, name: str) -> Iterator[int]:
    """Yield the limits called *name* of the group *path* and of those around it."""
    group = Path(path.lstrip("/"))
    for each in (group, *group.parents):
        # In a container the path may be another than what is mounted: skip it.
        with suppress(OSError, ValueError):
            yield int((root / each / name).read_text(encoding="ascii"))


def boot_id() -> str:
    """Return the kernel's name for this boot, empty where it has none."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return ""
    return text.strip()


def uptime() -> float:
    """Return the seconds since boot, suspended ones included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def awake() -> float:
    """Return the seconds since boot, suspended ones left out."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def run_id() -> str:
    """Return a fresh name for a run: eight hexadecimal digits."""
    return os.urandom(4).hex()


class Times(NamedTuple):
    """The clocks, and the wish to end that cuts waits short."""

    clock: Clock
    monotonic: Clock
    stop: Stop
    uptime: Clock = uptime
    awake: Clock = awake
