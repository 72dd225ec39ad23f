"""Damaged files are renamed, not removed: the newest ones are kept."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot, stamp

MOST_ASIDE = 5
"""Damaged ledgers that are kept; a disk that damages them daily must not fill up."""


def set_aside(path: Path, suffixes: Sequence[str]) -> Path:
    """Rename the files *suffixes* of the database *path*; return its new name."""
    name = f"{path.name}.damaged-{stamp(Slot(int(time.time())))}"
    number = 1
    while any(path.parent.glob(f"{name}.{number}*")):
        number += 1
    target = path.with_name(f"{name}.{number}")
    try:
        for suffix in suffixes:
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(target.with_name(target.name + suffix))
    except OSError as failure:
        text = f"cannot set {path} aside: {failure}"
        raise StorageError(text) from failure
    _remove_oldest(path)
    return target


def _remove_oldest(path: Path) -> None:
    """Remove what was set aside of *path* but the newest `MOST_ASIDE`."""
    files: dict[str, list[Path]] = {}
    for file in path.parent.glob(f"{path.name}.damaged-*"):
        files.setdefault(
            file.name.partition("-wal")[0].partition("-shm")[0], []
        ).append(file)
    for name in sorted(files)[:-MOST_ASIDE]:
        for file in files[name]:
            with suppress(OSError):
                file.unlink()
