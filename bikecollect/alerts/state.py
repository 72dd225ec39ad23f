"""The state of the alerts, in a small file that also a full disk lets us change.

It lies in the user's state folder, so that it is there when a data disk is not
mounted, and its length never changes: writing in place needs no free block.
"""

import json
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.incidents import Incident
from bikecollect.core.slots import Slot
from bikecollect.storage.files import flock

LENGTH = 65_536
TEXT = 1_000
PATIENCE = 5.0


class AlertState(NamedTuple):
    """What telling must know of earlier runs.

    *seen* is the latest slot that was told of, *mail* why mails could not be sent
    (empty: they could; None: none was tried yet), *digested* the day of the newest
    digest.
    """

    seen: Slot | None = None
    incidents: tuple[Incident, ...] = ()
    mail: str | None = None
    digested: str = ""


def noted_incidents(path: Path) -> tuple[Incident, ...]:
    """Return the incidents in the state at *path*, which is not held for it."""
    try:
        state = _read(path.read_bytes())
    except OSError:
        return ()
    return state.incidents if state else ()


class AlertStateFile:
    """The state at *path*, for one process at a time."""

    def __init__(
        self, path: Path, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._path = path
        self._fd = -1
        self._sleep = sleep

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the file, or go on without it where it cannot be had in 5 s."""
        with suppress(OSError, RuntimeError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(self._path, flags, 0o600)
            if self._locked(fd) and _long_enough(fd):
                self._fd = fd
            else:
                os.close(fd)
        try:
            yield
        finally:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1

    @property
    def usable(self) -> bool:
        """Whether the file is held, and can be read and written."""
        return self._fd >= 0

    def load(self) -> AlertState | None:
        """Return the state; None where there is none, or none that can be trusted."""
        if self._fd < 0:
            return None
        try:
            return _read(os.pread(self._fd, LENGTH, 0))
        except OSError:
            return None

    def save(self, state: AlertState) -> bool:
        """Write *state* in place; return whether that went well."""
        short = tuple(i._replace(text=i.text[:TEXT])._asdict() for i in state.incidents)
        text = json.dumps(
            state._replace(incidents=())._asdict() | {"incidents": short}
        ).encode("ascii")
        line = b"%08x %s" % (zlib.crc32(text), text)
        if self._fd < 0 or len(line) > LENGTH:
            return False
        try:
            return os.pwrite(self._fd, line.ljust(LENGTH), 0) == LENGTH
        except OSError:
            return False

    def _locked(self, fd: int) -> bool:
        tries = int(PATIENCE / 0.1)
        for left in range(tries, -1, -1):
            if flock.try_lock(fd):
                return True
            if left:
                self._sleep(0.1)
        return False


def _read(data: bytes) -> AlertState | None:
    try:
        crc, _, text = data.rstrip().partition(b" ")
        if not text or int(crc, 16) != zlib.crc32(text):
            return None
        values = json.loads(text)
        found = tuple(Incident(**each) for each in values.pop("incidents"))
        return AlertState(incidents=found, **values)
    except (ValueError, TypeError, KeyError):
        return None


def _long_enough(fd: int) -> bool:
    """Give a new file its length; return whether the disk has the room."""
    if os.fstat(fd).st_size >= LENGTH:
        return True
    try:
        return os.pwrite(fd, b" " * LENGTH, 0) == LENGTH
    except OSError:
        return False
