"""Reading files that others may have put there: plain ones only, of bounded size.

Links, FIFOs, devices and sockets are never read, and none of them blocks.
"""

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

PIECE = 1_048_576
REFUSED = frozenset({errno.EINVAL, errno.EFBIG, errno.ELOOP})
"""The errno of what these functions raise for a file that is not plain or too large."""
FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_file(path: Path | str, *, dir_fd: int | None = None) -> int:
    """Return a descriptor of the plain file *path*; raises OSError for anything else.

    A link is refused where it is the last part of *path*.
    """
    return _plain(os.open(path, FLAGS, dir_fd=dir_fd), path)


def open_plain(path: Path) -> BinaryIO:
    """Open the plain file *path*, or what a link there leads to, for reading.

    Raises OSError for anything else, at once.
    """
    return os.fdopen(_plain(os.open(path, FLAGS & ~os.O_NOFOLLOW), path), "rb")


def is_special(path: Path) -> bool:
    """Return whether *path* is something else than a file, as a FIFO or a folder.

    To open a FIFO for reading blocks until something writes to it.
    """
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False


def read_file(path: Path | str, most: int, *, dir_fd: int | None = None) -> bytes:
    """Return the bytes of the plain file *path*; raises OSError where there are more.

    *most* bounds what is read, however the file grows.
    """
    fd = open_file(path, dir_fd=dir_fd)
    parts, left = [], most
    with os.fdopen(fd, "rb") as file:
        # Not *most* at once: read() allocates that much, however short the file is.
        while part := file.read(PIECE):
            left -= len(part)
            if left < 0:
                raise OSError(errno.EFBIG, f"more than {most} bytes", str(path))
            parts.append(part)
    return b"".join(parts)


def open_below(folder: Path, name: str) -> int:
    """Return a descriptor of the plain file *name* below *folder*; raises OSError.

    *name* may have folders in it; links and ".." are refused.
    """
    *folders, last = _parts(name)
    fd = _folder_below(folder, folders)
    try:
        return open_file(last, dir_fd=fd)
    finally:
        os.close(fd)


def read_below(folder: Path, name: str, most: int) -> bytes:
    """Return the bytes of *name* below *folder*; see `read_file` and `open_below`."""
    *folders, last = _parts(name)
    fd = _folder_below(folder, folders)
    try:
        return read_file(last, most, dir_fd=fd)
    finally:
        os.close(fd)


def list_below(folder: Path, name: str) -> list[str]:
    """Return the sorted names in the folder *name* below *folder*; none if missing.

    Raises OSError for a link, and for anything that is not a folder.
    """
    try:
        fd = _folder_below(folder, _parts(name))
    except FileNotFoundError:
        return []
    try:
        with os.scandir(fd) as entries:
            return sorted(entry.name for entry in entries)
    finally:
        os.close(fd)


def _plain(fd: int, path: Path | str) -> int:
    """Return *fd* of *path*; close it and raise OSError if it is no plain file."""
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "not a plain file", str(path))


def _parts(name: str) -> list[str]:
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts):
        raise OSError(errno.EINVAL, "not a name inside the folder", name)
    return parts


def _folder_below(folder: Path, names: Sequence[str]) -> int:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in names:
        try:
            inner = os.open(name, FLAGS | os.O_DIRECTORY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
    return fd
