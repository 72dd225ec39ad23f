"""Damaged files are renamed, not removed: the newest ones are kept."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot, stamp

MOST_ASIDE = 5
"""Damaged ledgers that are kept; a disk that damages them daily must not fill up."""
MOST_BYTES = 512 * 1024 * 1024
"""Their bytes; the newest one is kept at any size."""


def set_aside(path: Path, suffixes: Sequence[str]) -> str:
    """Rename the files *suffixes* of the database *path*; return the new name.

    If older ones are removed for it, the text that is returned says so.
    """
    name = f"{path.name}.damaged-{stamp(Slot(int(time.time())))}"
    taken = [_order(file.name)[1] for file in path.parent.glob(f"{name}.*")]
    number = max(taken, default=0) + 1
    target = path.with_name(f"{name}.{number}")
    try:
        for suffix in suffixes:
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(target.with_name(target.name + suffix))
    except OSError as failure:
        text = f"cannot set {path} aside: {failure}"
        raise StorageError(text) from failure
    removed = _remove_oldest(path)
    return f"{target.name} ({removed} older ones removed)" if removed else target.name


def _remove_oldest(path: Path) -> int:
    """Remove the oldest of what was set aside of *path*, beyond the limits.

    Returns how many were removed.
    """
    files: dict[str, list[Path]] = {}
    for file in path.parent.glob(f"{path.name}.damaged-*"):
        files.setdefault(
            file.name.partition("-wal")[0].partition("-shm")[0], []
        ).append(file)
    room, removed = MOST_BYTES, 0
    for place, name in enumerate(sorted(files, key=_order, reverse=True)):
        room -= sum(map(_size, files[name]))
        if place and (place >= MOST_ASIDE or room < 0):
            removed += 1
            for file in files[name]:
                with suppress(OSError):
                    file.unlink()
    return removed


def _order(name: str) -> tuple[str, int]:
    """Return the key by which names of set-aside files are in the order of time."""
    stamped, _, rest = name.partition(".damaged-")[2].partition(".")
    number = rest.partition("-")[0]
    return stamped, int(number) if number.isdigit() else 0


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.lstat().st_size
    return 0
