"""Folders for temporary data: where there is room, and removed also after a kill."""

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX, SUFFIX = "bikecollect-", ".scratch"
OURS = re.compile(rf"{PREFIX}[^/]+{re.escape(SUFFIX)}")
ROOM = 1 << 30
"""Free bytes with which a place has room; where none has, the roomiest is taken."""
LEFT = 60.0
"""Seconds after which a folder that nobody holds was left by a killed process."""
PLACES = (Path("/var") / "tmp", Path("/") / "tmp")
"""Where large temporary data go by custom; the second is often in memory."""


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a new folder that only this user can look into; it is removed at the end.

    $TMPDIR says where. What killed processes of this user left there is removed.
    """
    above = _roomy()
    _sweep(above)
    folder = Path(tempfile.mkdtemp(SUFFIX, PREFIX, above))
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _roomy() -> Path:
    named = os.environ.get("TMPDIR")
    places = [Path(named)] if named else [*PLACES, Path(tempfile.gettempdir())]
    found = [each for each in places if os.access(each, os.W_OK | os.X_OK)]
    if not found:
        return Path(tempfile.gettempdir())
    return next((each for each in found if _free(each) >= ROOM), max(found, key=_free))


def _free(place: Path) -> int:
    try:
        there = os.statvfs(place)
    except OSError:
        return 0
    return there.f_bavail * there.f_frsize


def _sweep(above: Path) -> None:
    with suppress(OSError), os.scandir(above) as found:
        for each in found:
            if OURS.fullmatch(each.name) and each.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    _sweep_one(Path(each.path))


def _sweep_one(folder: Path) -> None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    held = os.open(folder, flags)
    try:
        there = os.fstat(held)
        if there.st_uid != os.geteuid() or time.time() - there.st_mtime < LEFT:
            return
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(held)
