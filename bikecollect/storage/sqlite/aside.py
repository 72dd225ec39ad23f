"""Rename damaged ledgers instead of removing them; the newest ones are kept."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot, stamp

MAX_ASIDE = 5
"""Maximum damaged ledgers that are kept: a disk that damages them must not fill up."""
MAX_BYTES = 512 * 1024 * 1024
"""Maximum bytes of these ledgers together; the newest one is always kept."""


def set_aside(path: Path, suffixes: Sequence[str]) -> str:
    """Rename the files of the database *path* that have *suffixes*; return a text.

    It is the new name, with a remark if older damaged files were removed.
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
    """Remove the oldest damaged ledgers beyond the limits; return how many."""
    files: dict[str, list[Path]] = {}
    for file in path.parent.glob(f"{path.name}.damaged-*"):
        files.setdefault(
            file.name.partition("-wal")[0].partition("-shm")[0], []
        ).append(file)
    room, removed = MAX_BYTES, 0
    for place, name in enumerate(sorted(files, key=_order, reverse=True)):
        room -= sum(map(_size, files[name]))
        if place and (place >= MAX_ASIDE or room < 0):
            removed += 1
            for file in files[name]:
                with suppress(OSError):
                    file.unlink()
    return removed


def _order(name: str) -> tuple[str, int]:
    """Return the key that sorts names of damaged ledgers by time."""
    stamped, _, rest = name.partition(".damaged-")[2].partition(".")
    number = rest.partition("-")[0]
    return stamped, int(number) if number.isdigit() else 0


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.lstat().st_size
    return 0
