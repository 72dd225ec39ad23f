"""Durable writing: write all bytes, sync the file, then sync its folder."""

import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bikecollect.core.errors import StorageError, resource_hint

RESERVE, RESERVED_SHARE = 8 * 1024 * 1024, 0.02
"""Free bytes, or share of a small disk, that data never use: with them the ledger can
record runs and alerts can be sent when the disk is full."""


ABANDONED = 300.0
"""Seconds after which nobody is writing any more to a file that has not changed."""
INODES = 16
"""Free inodes that data never use: SQLite needs files beside the ledger."""
REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or raise the quota of this user",
    errno.EROFS: "mount the disk writable",
    errno.EACCES: "make the folder writable for the user that collects",
    errno.EPERM: "make the folder writable for the user that collects",
    errno.EEXIST: "move away what is in the folder's place",
    errno.ENOTDIR: "move away what is in the folder's place",
    errno.EISDIR: "move away the folder that is in the file's place",
    errno.ELOOP: "put a file in place of the link",
    errno.ENOENT: "find the program that removes files there",
    errno.EFBIG: "raise the limit on the size of files (`ulimit -f`; systemd: "
    "LimitFSIZE)",
    errno.EINVAL: "move the data to a local disk (ext4, xfs, btrfs)",
}
"""What to do after an error while writing, by errno; for others, see `unwritten`."""


UNSYNCED = "the file system cannot sync a folder, so a power cut may lose its files"


def unwritten(text: str, error: OSError) -> StorageError:
    """Return the StorageError *text* about *error* while writing, with what to do.

    A lack of inodes or open files is named already, by *text* or by the class's hint.

    >>> str(unwritten("cannot write x", OSError(errno.EIO, "Input/output error")))
    'cannot write x; repair the disk'
    """
    if "inodes left" in text or resource_hint(text):
        return StorageError(text)
    remedy = REMEDIES.get(error.errno or 0, "repair the disk")
    return StorageError(f"{text}; {remedy}")


def leave_reserve(folder: Path, size: int) -> None:
    """Raise OSError (ENOSPC) if *size* more bytes in *folder* would use the reserve."""
    disk = os.statvfs(folder)
    if disk.f_files and disk.f_favail < INODES:
        message = f"only {disk.f_favail} inodes left: remove small files (see df -i)"
        raise OSError(errno.ENOSPC, message)
    reserve = min(RESERVE, disk.f_blocks * disk.f_frsize * RESERVED_SHARE)
    if (free := disk.f_bavail * disk.f_frsize) < size + reserve:
        left = f"except {reserve / 1e6:.1f} MB reserved for the ledger"
        message = f"no space left {left if free else 'on the disk'}"
        raise OSError(errno.ENOSPC, message)


def write_all(fd: int, data: bytes) -> None:
    """Write all of *data* to *fd*, in several calls if the kernel writes less."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_file(path: Path, data: bytes) -> None:
    """Write *data* to *path*, replacing it, and sync the file (not its folder)."""
    with _written(path) as fd:
        write_all(fd, data)


@contextmanager
def replacing(path: Path, size: int) -> Iterator[int]:
    """Yield a descriptor; the *size* bytes written to it replace *path* atomically.

    They are durable when the context ends. Raises StorageError if the disk fails; the
    file is unchanged then.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        leave_reserve(path.parent, size)
        with _written(temporary) as fd:
            yield fd
        temporary.rename(path)
        sync_folder(path.parent)
    except BaseException as error:  # also by a signal, or of what is read
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise unwritten(f"cannot write {path}: {error}", error) from error
        raise


def temporary(path: Path) -> Path:
    """Return a path beside *path*, of this process, for its new content.

    Those that killed processes of this user left there are removed.
    """
    left = re.compile(rf"\.{re.escape(path.name)}\.([0-9]+)\.tmp")
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            match = left.fullmatch(entry.name)
            is_left = match and not Path("/proc", match[1]).exists()
            if is_left and entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                remove_abandoned(Path(entry.path))
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def remove_abandoned(path: Path) -> None:
    """Remove the file *path* if it has not changed for `ABANDONED` seconds."""
    if time.time() - path.lstat().st_mtime > ABANDONED:
        path.unlink()


@contextmanager
def _written(path: Path) -> Iterator[int]:
    """Yield a descriptor of *path*, truncated to 0; it is synced at the end."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o640)
    try:
        yield fd
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def writing(target: Path, remedy: str = "") -> Iterator[None]:
    """Translate errors of writing to *target* into a StorageError that names it."""
    try:
        yield
    except OSError as error:
        hint = f"; {remedy}" if remedy else ""
        raise StorageError(f"cannot write {target}: {error.strerror}{hint}") from error


def sync_file(path: Path) -> None:
    """Make the content of the file *path* durable."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_folder(path: Path) -> None:
    """Make the entries of the folder *path* durable; raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise OSError(error.errno, UNSYNCED, str(path)) from error
        raise
    finally:
        os.close(fd)


def make_folder(path: Path, within: Path | None = None) -> None:
    """Create the folder *path* and its missing parents durably.

    Raises FileNotFoundError if one of them is *within*, which is never created.
    """
    if path.is_dir():
        return
    if path == within:
        message = "the folder was moved or removed meanwhile"
        raise FileNotFoundError(errno.ENOENT, message, str(path))
    make_folder(path.parent, within)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)
