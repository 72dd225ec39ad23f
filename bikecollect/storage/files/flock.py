"""Kernel locks on open files (flock(2)), freed when the process ends in any way."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HELD = frozenset({errno.EWOULDBLOCK, errno.EACCES, errno.EINTR})
UNSUPPORTED = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
"""Errors of a file system without locks."""
POLL = 0.05
"""Seconds between two tries to take a lock."""


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Lock the open file *fd* without waiting; return False if it is locked elsewhere.

    Raises OSError, also if the file system does not support such locks.
    """
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(fd, mode | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD:
            return False
        raise
    return True


def is_supported(path: Path) -> bool:
    """Return whether the file at *path* can be locked; True if that is unknown."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            try_lock(fd, shared=True)
        finally:
            os.close(fd)
    except OSError as error:
        return error.errno not in UNSUPPORTED
    return True


def lock(fd: int, *, shared: bool = False) -> None:
    """Lock the open file *fd*, waiting until it is free; raises OSError."""
    fcntl.flock(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)


def lock_within(fd: int, seconds: float) -> bool:
    """Lock the open file *fd*; return False if it is still locked after *seconds*.

    Raises OSError like `try_lock`.
    """
    end = time.monotonic() + seconds
    while not try_lock(fd):
        if time.monotonic() >= end:
            return False
        time.sleep(POLL)
    return True


@contextmanager
def open_folder(folder: Path) -> Iterator[int | None]:
    """Yield a descriptor of *folder* for locking, None if it cannot be opened."""
    fd = None
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)
