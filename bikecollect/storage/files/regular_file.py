"""Read files that others may have created: only regular ones, of limited size.

Links, FIFOs, devices and sockets are rejected without blocking.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path

PIECE = 1_048_576
REFUSED = frozenset({errno.EINVAL, errno.EFBIG, errno.ELOOP})
"""The errno values of errors raised for files that are not regular or too large."""
FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_file(path: Path | str, *, dir_fd: int | None = None) -> int:
    """Return a descriptor of the regular file *path*; raises OSError for others.

    The last part of *path* must not be a link.
    """
    try:
        return _plain(os.open(path, FLAGS, dir_fd=dir_fd), path)
    except OSError as error:
        raise in_words(error) from error


def in_words(error: OSError) -> OSError:
    """Return *error* with plain words if it is that of a link that is not followed.

    The words of the system are "Too many levels of symbolic links".
    """
    if error.errno != errno.ELOOP:
        return error
    return OSError(error.errno, "is a link; links are not followed", error.filename)


def open_plain(path: Path) -> BufferedReader:
    """Open the regular file *path* for reading; a link is followed.

    Raises OSError for anything else, without blocking.
    """
    return os.fdopen(_plain(os.open(path, FLAGS & ~os.O_NOFOLLOW), path), "rb")


def read_plain(path: Path) -> bytes:
    """Return the bytes of the file *path*; see `open_plain`."""
    with open_plain(path) as file:
        return file.read()


def sha256_of(path: Path) -> str:
    """Return the sha256 of the file at *path*, as hexadecimal digits."""
    with open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_special(path: Path) -> bool:
    """Return whether *path* exists and is not a regular file, such as a FIFO.

    Opening a FIFO for reading blocks until another process opens it for writing.
    """
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False


def read_file(path: Path | str, most: int, *, dir_fd: int | None = None) -> bytes:
    """Return the bytes of the regular file *path*, at most *most*.

    Raises OSError if it has more, even if it grows while it is read.
    """
    fd = open_file(path, dir_fd=dir_fd)
    parts, left = [], most
    with os.fdopen(fd, "rb") as file:
        # In pieces, because read(most) would allocate *most* bytes.
        while part := file.read(PIECE):
            left -= len(part)
            if left < 0:
                raise OSError(errno.EFBIG, f"more than {most} bytes", str(path))
            parts.append(part)
    return b"".join(parts)


def open_below(folder: Path, name: str) -> int:
    """Return a descriptor of the regular file *name* below *folder*; raises OSError.

    *name* may contain folders; links and ".." are rejected.
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

    Raises OSError if it is a link or not a folder.
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
    """Return *fd* of *path*; close it and raise OSError if it is not a regular file."""
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "not a regular file", str(path))


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
