"""The outbox: mails that no mail server has accepted yet, one .eml file each."""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bikecollect.core.errors import StorageError
from bikecollect.storage.files import flock
from bikecollect.storage.files.durable import make_folder, sync_folder, write_all
from bikecollect.storage.files.regular_file import FLAGS, read_file

SUFFIX = ".eml"
UNFINISHED = ".tmp"
KEPT_DAYS = 7
MAX_BYTES = 32 << 20
"""Maximum bytes of a mail that is read; bikecollect's own have some kilobytes."""
MACHINE = Path("/etc/machine-id")
"""A random number that identifies the machine (machine-id(5))."""


class Outbox:
    """The mails in *folder*; their names sort by time, the oldest first.

    Every method except `waiting` raises StorageError if the disk fails.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Return the path of the mail *name*."""
        return self.folder / f"{name}{SUFFIX}"

    def host(self) -> str:
        """Return the right part of Message-IDs of mails from here.

        It has a part for the folder and the machine: others may have mails of the same
        name, also on a machine of the same name, such as "raspberrypi"; mail servers
        drop the second mail with the same Message-ID.
        """
        machine = b""
        with suppress(OSError):
            machine = MACHINE.read_bytes()
        mark = zlib.crc32(os.fsencode(self.folder) + machine)
        return f"{mark:08x}.{os.uname().nodename}"

    def put(self, name: str, data: bytes) -> None:
        """Write the mail *data* durably as *name*; a mail of that name is replaced."""
        try:
            make_folder(self.folder)
            aside = self.folder / f"{name}.{os.getpid()}{UNFINISHED}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(aside, flags, 0o640)
            try:
                flock.try_lock(fd)
                write_all(fd, data)
                os.fsync(fd)
                aside.rename(self.path(name))
            except OSError:
                with suppress(OSError):  # on a full disk its room is needed
                    aside.unlink()
                raise
            finally:
                os.close(fd)
            sync_folder(self.folder)
        except OSError as error:
            raise self._failure("keep a mail", error) from error

    def replace(self, name: str, data: bytes) -> None:
        """Replace the content of the mail *name* by *data*; its age is kept.

        On a full disk a shorter one is written in place: only the headers change, which
        are in the first block, so that a kill cannot leave half of each.
        """
        path = self.path(name)
        try:
            times = path.stat()
            try:
                self.put(name, data)
            except StorageError:
                if len(data) > times.st_size:
                    raise
                _overwrite(path, _padded(data, times.st_size))
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        except OSError as error:
            raise self._failure("keep a mail", error) from error

    def is_writable(self) -> bool:
        """Return whether mails can be removed, which a read-only disk prevents."""
        return os.access(self.folder, os.W_OK | os.X_OK)

    def remove_leftovers(self) -> None:
        """Remove the unfinished files of killed processes."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if path.name.endswith(UNFINISHED):
                    _remove_unless_locked(path)

    def waiting(self) -> list[str]:
        """Return the names of the mails, the oldest first; none if they are unknown."""
        with suppress(StorageError):
            return self.listed()
        return []

    def listed(self) -> list[str]:
        """Return the names of the mails, the oldest first."""
        try:
            names = [path.name for path in self.folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._failure("list the mails", error) from error
        return sorted(n.removesuffix(SUFFIX) for n in names if n.endswith(SUFFIX))

    def read(self, name: str) -> bytes:
        """Return the mail *name*."""
        try:
            return read_file(self.path(name), MAX_BYTES)
        except OSError as error:
            raise self._failure("read a mail", error) from error

    def remove(self, name: str) -> None:
        """Delete the mail *name*, if it exists."""
        try:
            self.path(name).unlink(missing_ok=True)
        except OSError as error:
            raise self._failure("remove a mail", error) from error

    def age(self, name: str, now: float) -> float:
        """Return how many seconds before *now* the mail *name* was written."""
        try:
            return now - self.path(name).stat().st_mtime
        except OSError:
            return 0.0

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Lock the outbox, so that no mail is sent twice.

        Yields False if another process holds it, or if there is none.
        """
        with flock.open_folder(self.folder) as fd:
            try:
                is_held = fd is not None and flock.try_lock(fd)
            except OSError as error:
                raise self._failure("lock the mails", error) from error
            yield is_held

    def _failure(self, action: str, error: OSError) -> StorageError:
        return StorageError(f"cannot {action} in {self.folder}: {error}")


def _padded(data: bytes, size: int) -> bytes:
    """Return the mail *data* with blanks in its first header, *size* bytes long.

    >>> _padded(b"To: me", 9)
    b'To:    me'
    """
    name, colon, rest = data.partition(b":")
    return name + colon + b" " * (size - len(data)) + rest


def _overwrite(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | FLAGS)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove_unless_locked(path: Path) -> None:
    """Remove *path*, unless another process is writing it."""
    fd = os.open(path, FLAGS)
    try:
        if flock.try_lock(fd):
            path.unlink(missing_ok=True)
    finally:
        os.close(fd)
