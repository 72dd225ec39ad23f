"""End a command that waits for a disk which does not answer, and say so.

`fetch` has an alarm of its own: it must end before the next slot.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import click

from bikecollect.cli.printing import complain, is_on_terminal
from bikecollect.core import process, user_folders
from bikecollect.core.errors import ExitCode
from bikecollect.core.process import DeadlineError, NoThreadError, Times, deadline
from bikecollect.setup import settings_file
from bikecollect.setup.settings import Settings

PATIENCE = 300.0
"""Seconds without any progress after which a disk is suspected."""
PAUSE = 15.0
"""Seconds between two looks at the progress; most commands end before the first."""
ANSWER = 20.0
"""Seconds in which a disk that is suspected has to answer."""
TELLING = 60.0
"""Seconds for telling people, by an output that may hang, too."""
MAILING = 40.0
"""Seconds of these for mailing, by a home or a mail server that may hang, too."""
PROGRESS = 0.005
"""Seconds of CPU within a pause that count as progress."""
STUCK = "D"
"""The state of a thread that waits for a disk, uninterruptibly; see proc(5)."""
OnHang = Callable[[Settings | None, str], int]
"""Tells people that a disk hangs; returns the exit code."""


class DiskWatch:
    """Ends this process if it waits for one of *places*, whose disk does not answer.

    Before that, *on_hang* is called with *settings*, which are None while they are
    read, and what is wrong; *end* is called with the exit code that it returns.
    """

    def __init__(
        self, on_hang: OnHang, end: Callable[[int], object] = os._exit
    ) -> None:
        self.places: list[Path] = []
        self.settings: Settings | None = None
        self._on_hang, self._end, self._stopped = on_hang, end, threading.Event()

    def start(self) -> None:
        """Begin to watch; without a thread for it, a command works all the same."""
        with suppress(RuntimeError):
            threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """Stop watching: the command has ended."""
        self._stopped.set()

    def _watch(self) -> None:
        used, idle = 0.0, 0.0
        while not self._stopped.wait(PAUSE):
            before, used = used, time.process_time() - time.thread_time()
            # Pauses are counted, not seconds: a process can be stopped for hours.
            idle = idle + PAUSE if used - before < PROGRESS else 0.0
            # It may also wait for a reader of its output, or for a person.
            if idle >= PATIENCE and (place := self._hung_place()):
                self._end(self._told(place))
                return

    def _hung_place(self) -> Path | None:
        """Return the place that does not answer, None if all do.

        Without a cache in a disk, nothing is asked of it: the state of a thread tells.
        """
        if (place := hung_place(self.places)) is not None:
            return place
        last = self.places[-1] if self.places else None
        return last if STUCK in _thread_states() else None

    def _told(self, place: Path) -> int:
        """Tell people about *place*; return the exit code."""
        text = words(place, PATIENCE)
        # Whatever happens: the process ends. What tells people may hang, too.
        with suppress(Exception):
            return deadline(partial(self._on_hang, self.settings, text), TELLING)
        with suppress(Exception):
            deadline(partial(complain, text), ANSWER)
        return ExitCode.IO


def watch(on_hang: OnHang) -> DiskWatch:
    """Return a watch for the current command, until that ends.

    It watches what the command writes to, or reads from.
    """
    ctx = click.get_current_context()
    disks = DiskWatch(on_hang)
    disks.places += [p.parent for p in ctx.params.values() if isinstance(p, Path)]
    disks.start()
    ctx.call_on_close(disks.stop)
    return disks


def places_of_user(config: str | None) -> list[Path]:
    """Return where any command looks: for the settings, see *config*, and the state."""
    return [*settings_file.places(config), user_folders.place_of_state()]


def hung_place(places: Iterable[Path]) -> Path | None:
    """Return the first of *places* whose disk does not answer, None if all do."""
    for place in places:
        try:
            deadline(partial(_ask, place), ANSWER)
        except NoThreadError:
            continue
        except DeadlineError:
            return place
    return None


def words(place: Path, seconds: float) -> str:
    """Return what is said of *place*, which did not answer for some *seconds*."""
    return (
        f"{place} did not answer within {seconds:.0f} s: does its disk hang? "
        "See dmesg; if it is a network disk, check its server"
    )


def complain_and_mail(settings: Settings | None, text: str) -> int:
    """Print *text*, and mail it; return the exit code."""
    complain(text)
    if settings is not None and not is_on_terminal():
        is_mailed(settings, text, MAILING)
    return ExitCode.IO


def mail_or_complain(settings: Settings, text: str, seconds: float) -> None:
    """Print *text*, which is said again in each slot, unless people have a mail.

    They have none if mailing takes more than *seconds*.
    """
    if is_on_terminal() or not is_mailed(settings, text, seconds):
        complain(text)


def is_mailed(settings: Settings, text: str, seconds: float) -> bool:
    """Mail *text* as `status --alert --mail` does, once a day in all.

    Returns whether people were informed: not if that fails, or takes more than
    *seconds*.
    """
    if not settings.mail.host:
        return False
    with suppress(Exception):  # whatever it is: the caller says it in another way
        return deadline(partial(_mail, settings, text), seconds)
    return False


def _mail(settings: Settings, text: str) -> bool:
    """Mail *text*; return whether people were informed."""
    from bikecollect.alerts.mail.late_problems import HANG  # seldom needed
    from bikecollect.wiring.late_mail import mail_problems

    times = Times(time.time, time.monotonic, process.Stop())
    return mail_problems(settings, {"": {HANG: text}}, times, judged=())


def _ask(place: Path) -> None:
    """Wait for an answer of the disk of *place*; any error is one."""
    with suppress(OSError):
        os.statvfs(place)
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _thread_states() -> Iterator[str]:
    """Yield the state of each thread of this process, a letter."""
    for path in Path("/proc/self/task").glob("*/stat"):
        with suppress(OSError, ValueError, IndexError):
            yield path.read_text("utf-8", "replace").rpartition(")")[2].split()[0]
