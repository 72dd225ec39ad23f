"""Locks: one writer per system, and readers that keep files from being removed."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bikecollect.core.errors import LockBusy, StorageError
from bikecollect.core.process import Stop
from bikecollect.storage.files import flock

POLL, BREATH, WORK = 0.05, 0.2, 1.0
"""Seconds between two tries to take a lock, of a pause for a waiting run, and of work
between two such pauses."""


class Lock:
    """The writer's lock of one system, at *path*.

    The file is never removed; its text, the holder's pid, is only a hint. *patience*
    is the longest wait in seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        patience: float = 60.0,
        sleep: Callable[[float], object] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._patience = patience
        self._sleep = sleep
        self._monotonic = monotonic

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock during the context; raises LockBusy after *patience*."""
        fd = self._acquire()
        try:
            yield
        finally:
            os.close(fd)

    def _acquire(self) -> int:
        deadline = self._monotonic() + self._patience
        while True:
            fd = self._open()
            try:
                if flock.try_lock(fd) and self._is_current(fd):
                    self._write_pid(fd)
                    return fd
                holder = os.pread(fd, 40, 0).decode("ascii", "replace").strip()
            except OSError as error:
                os.close(fd)
                text = f"cannot lock {self._path}: {error}"
                if error.errno in flock.UNSUPPORTED:
                    text += "; move the data to a local disk, which has file locks"
                raise StorageError(text) from error
            os.close(fd)
            if self._monotonic() >= deadline:
                raise LockBusy(
                    f"the lock {self._path} has been held for {self._patience:.0f} s "
                    f"by process {holder or '?'}; the next run continues"
                )
            self._sleep(POLL)

    def _open(self) -> int:
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            return os.open(self._path, flags, 0o600)
        except OSError as error:
            from bikecollect.storage.files.obstacles import remedy_of  # seldom needed

            text = f"cannot open the lock {self._path}: {error}"
            raise StorageError(text + remedy_of(self._path)) from error

    def _is_current(self, fd: int) -> bool:
        """Return whether *fd* is still the file at the lock's path.

        If the file was removed while another run held it, two processes would each
        hold a lock, on two files.
        """
        try:
            current = self._path.stat()
        except FileNotFoundError:
            return False
        locked = os.fstat(fd)
        return (locked.st_dev, locked.st_ino) == (current.st_dev, current.st_ino)

    def _write_pid(self, fd: int) -> None:
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
        except OSError:
            return  # on a full disk the lock is held all the same


class Breather:
    """Pauses between two steps that hold a lock, so that a waiting run can take it.

    Short steps, such as those of days without data, share a pause: there is none within
    WORK seconds after another. *stop* ends the pause, and raises Interrupted.
    """

    def __init__(self, stop: Stop, monotonic: Callable[[], float]) -> None:
        self._stop, self._monotonic = stop, monotonic
        self._paused = monotonic()

    def __call__(self) -> None:
        """Pause if it is time for it; raises Interrupted if a stop is requested."""
        if 0 <= self._monotonic() - self._paused < WORK:
            self._stop.raise_if_set()
            return
        self._stop.sleep(BREATH)
        self._paused = self._monotonic()


@contextmanager
def shared_lock(folder: Path) -> Iterator[None]:
    """Keep compaction from removing files of *folder* while the caller reads them.

    Others may read and append meanwhile. Has no effect on file systems without locks.
    """
    with flock.open_folder(folder) as fd:
        if fd is not None:
            with suppress(OSError):
                flock.lock(fd, shared=True)
        yield


@contextmanager
def shared_locks(folders: Iterable[Path]) -> Iterator[None]:
    """Hold a `shared_lock` on each of *folders* that exists."""
    with ExitStack() as stack:
        for folder in folders:
            if folder.is_dir():
                stack.enter_context(shared_lock(folder))
        yield


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[bool]:
    """Lock *folder*; yield False if a process holds a `shared_lock` on it.

    Always yields True on file systems without locks.
    """
    with flock.open_folder(folder) as fd:
        yield fd is None or _is_free(fd)


def _is_free(fd: int) -> bool:
    try:
        return flock.try_lock(fd)
    except OSError:
        return True  # a file system without locks: readers cannot be detected
