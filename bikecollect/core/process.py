"""This process: its descriptors, mask, signals, alarm, and the machine's boot."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from bikecollect.core.errors import Interrupted

ALARM_SHARE = 14 / 15
ALARM_FLOOR = 30.0

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
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - stderr
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
