"""The cached access token of one OAuth2 client, shared by all systems that use it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bikecollect.core import process
from bikecollect.storage.files import durable, flock
from bikecollect.storage.files.regular_file import read_file

MAX_BYTES = 65_536
PRIVATE_FOLDER, PRIVATE = 0o700, 0o600
PATIENCE = 10.0
"""Seconds to wait for another run that requests a token."""


class TokenFile:
    """A private file (mode 0600) at *path*; a cache, so its errors are not fatal."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the file during the context, so that only one run requests a token.

        After `PATIENCE` seconds, or if locking fails, the context begins without it.
        """
        fd = None
        with suppress(OSError):
            self._path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(self._path.with_suffix(".lock"), flags, PRIVATE)
            flock.lock_within(fd, PATIENCE)
        try:
            yield
        finally:
            if fd is not None:
                os.close(fd)

    def read(self) -> str:
        """Return the text in the file, empty if it is missing or others can read it."""
        try:
            info = self._path.lstat()
            if info.st_uid != os.geteuid() or info.st_mode & 0o077:
                return ""
            return read_file(self._path, MAX_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""

    def write(self, text: str) -> None:
        """Replace the text in the file; others cannot read it at any time."""
        new = self._path.with_name(f"{self._path.name}.{process.run_id()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(new, flags, PRIVATE)
            try:
                os.fchmod(fd, PRIVATE)
                durable.write_all(fd, text.encode())
            finally:
                os.close(fd)
            new.replace(self._path)
        except OSError:
            with suppress(OSError):
                new.unlink(missing_ok=True)
