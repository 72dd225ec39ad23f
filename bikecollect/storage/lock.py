"""The lock: one writer per system, held by the kernel and freed with the process."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bikecollect.core.errors import LockBusy, StorageError

POLL = 0.05


class Lock:
    """The writer's lock of one system, at *path*.

    The file is never removed; its text, the holder's pid, is only a hint.
    *patience* is in seconds.
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
        """Hold the lock; raises LockBusy when another holds it for too long."""
        fd = self._acquire()
        try:
            yield
        finally:
            os.close(fd)

    def _acquire(self) -> int:
        deadline = self._monotonic() + self._patience
        while True:
            fd = self._open()
            if _locked(fd) and self._is_current(fd):
                self._hint(fd)
                return fd
            holder = os.pread(fd, 40, 0).decode("ascii", "replace").strip()
            os.close(fd)
            if self._monotonic() >= deadline:
                raise LockBusy(
                    f"the lock {self._path} has been held for {self._patience:.0f} s "
                    f"by process {holder or '?'}; the next run goes on"
                )
            self._sleep(POLL)

    def _open(self) -> int:
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            return os.open(self._path, flags, 0o600)
        except OSError as error:
            raise StorageError(f"cannot open the lock {self._path}: {error}") from error

    def _is_current(self, fd: int) -> bool:
        """Tell whether the file is still the one in the folder.

        Somebody may have removed it while another run held it: then two
        processes would each own a lock of their own.
        """
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(fd)
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)

    def _hint(self, fd: int) -> None:
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
        except OSError:
            return  # a full disk does not make the lock less held


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES, errno.EINTR}:
            return False
        raise StorageError(f"cannot lock: {error}") from error
    return True


@contextmanager
def shared_lock(folder: Path) -> Iterator[None]:
    """Let no file leave *folder* meanwhile; others may read, and may write, too.

    Where the disk knows no such locks, files may leave all the same.
    """
    fd = _opened(folder)
    try:
        if fd is not None:
            with suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_SH)
        yield
    finally:
        if fd is not None:
            os.close(fd)


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[bool]:
    """Yield whether nobody is `reading` in *folder*; nobody begins to meanwhile."""
    fd = _opened(folder)
    try:
        yield fd is None or _is_free(fd)
    finally:
        if fd is not None:
            os.close(fd)


def _opened(folder: Path) -> int | None:
    with suppress(OSError):
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return None


def _is_free(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a disk without such locks: nobody can be seen
    return True
