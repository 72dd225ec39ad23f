"""Folders for temporary data: on a disk with space, and removed even after a kill."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bikecollect.storage.files import flock
from bikecollect.storage.files.entries import paths_in

PREFIX, SUFFIX = "bikecollect-", ".scratch"
OURS = re.compile(rf"{PREFIX}[^/]+{re.escape(SUFFIX)}")
ROOM = 1 << 30
"""Free bytes that a place should have; if none has, the one with the most is used."""
NEW = 60.0
"""Seconds for which an empty folder may be a new one that is not locked yet."""
PLACES = (Path("/var") / "tmp", Path("/") / "tmp")
"""The usual places of large temporary data; `/tmp` is often in memory."""
_in_use: set[Path] = set()


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a new private folder, removed at the end.

    It is in $TMPDIR if that is set. Folders left there by killed processes of this
    user are removed.
    """
    parent = place()
    _remove_leftovers(parent)
    folder, fd = _new_folder(parent)
    _in_use.add(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _in_use.discard(folder)
        os.close(fd)


def remove_all() -> None:
    """Remove the folders of this process, which ends without leaving their contexts."""
    for folder in list(_in_use):
        shutil.rmtree(folder, ignore_errors=True)


def _new_folder(parent: Path) -> tuple[Path, int]:
    """Create a folder in *parent*; return it, and a descriptor that is locked.

    Before it is locked, a process whose clock is ahead may take it for a leftover.
    """
    while True:
        folder = Path(tempfile.mkdtemp(SUFFIX, PREFIX, parent))
        with suppress(FileNotFoundError):
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                is_ours = flock.try_lock(fd, shared=True)
            except OSError:
                return folder, fd  # a file system without locks: nobody removes it
            if is_ours and folder.exists():
                return folder, fd
            os.close(fd)


def place() -> Path:
    """Return the folder in which temporary data are; raises OSError if none can be."""
    named = os.environ.get("TMPDIR")
    places = [Path(named)] if named else [*PLACES, _default_place()]
    usable = [path for path in places if os.access(path, os.W_OK | os.X_OK)]
    if not usable:
        return _default_place()
    roomy = (path for path in usable if free_bytes(path) >= ROOM)
    return next(roomy, max(usable, key=free_bytes))


def _default_place() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        why = "no folder for temporary files can be written to; set TMPDIR to one"
        places = os.environ.get("TMPDIR") or ", ".join(map(str, PLACES))
        raise FileNotFoundError(error.errno, why, places) from error


def free_bytes(folder: Path) -> int:
    """Return the free bytes on the disk of *folder*, 0 if they are unknown."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return 0
    return disk.f_bavail * disk.f_frsize


def _remove_leftovers(parent: Path) -> None:
    for path in paths_in(parent):
        if OURS.fullmatch(path.name):
            with suppress(OSError):
                _remove_if_abandoned(path)


def _is_empty(folder: int) -> bool:
    with os.scandir(folder) as entries:
        return next(entries, None) is None


def _remove_if_abandoned(folder: Path) -> None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(folder, flags)
    try:
        info = os.fstat(fd)
        is_young = time.time() - info.st_mtime < NEW
        if info.st_uid != os.geteuid() or (is_young and _is_empty(fd)):
            return
        if flock.try_lock(fd):
            shutil.rmtree(folder)
    finally:
        os.close(fd)
