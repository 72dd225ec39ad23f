"""The files of the archive: regular files in folders named after days.

Links and special files are ignored, so that one in an archive cannot determine which
file is read.
"""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from bikecollect.archive import summaries
from bikecollect.archive.datasets import DATASETS, PART, part
from bikecollect.core.slots import DAY, bounds
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.files.durable import make_folder, sync_file, sync_folder
from bikecollect.storage.files.regular_file import sha256_of

DATE = "date="
DAMAGED = (
    *(ArithmeticError, AttributeError, LookupError),
    *(RecursionError, TypeError, ValueError),
)
"""What is raised for the values of a damaged certificate."""
OTHER_BYTES, CANNOT_READ = ": sha256 mismatch", "cannot read "
"""What is said of a damaged file: after its path, and before it."""


class ArchivePart(NamedTuple):
    """A file of the archive and its size in bytes."""

    path: Path
    size: int


Parts = Mapping[str, Mapping[str, ArchivePart]]
"""The files of each dataset, by day."""


def list_parts(data: Path, system_id: str, names: Sequence[str] = DATASETS) -> Parts:
    """Return the system's files in the archive of *data*; raises OSError."""
    return {
        dataset: list_days(part(data, dataset, system_id, "x").parent.parent)
        for dataset in names
    }


def list_days(folder: Path) -> dict[str, ArchivePart]:
    """Return the files in the *folder* of a system's dataset, first day first."""
    if folder.is_symlink() or folder.parent.is_symlink():
        return {}
    names = []
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        names = [
            entry.name
            for entry in entries
            if is_day(entry.name.removeprefix(DATE)) and entry.name.startswith(DATE)
            if entry.is_dir(follow_symlinks=False)
        ]
    parts = {}
    for name in sorted(names):
        path = f"{folder}/{name}/{PART}"
        with suppress(FileNotFoundError):
            info = os.lstat(path)
            if stat.S_ISREG(info.st_mode):
                parts[name.removeprefix(DATE)] = ArchivePart(Path(path), info.st_size)
    return parts


def is_day(text: str) -> bool:
    """Return whether *text* is a day, as in the names of files and folders.

    >>> is_day("2026-11-22"), is_day("2026-11-31"), is_day("20261122")
    (True, False, False)
    """
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def describe(aside: Path, dataset: str) -> dict[str, Any]:
    """Sync the file of *dataset* in *aside*; return its entry for the certificate."""
    path = aside / f"{dataset}.parquet"
    sync_file(path)
    values = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    is_summary = dataset in summaries.NEW_COLUMN
    return values | ({"format": summaries.FORMAT} if is_summary else {})


def move_part(source: Path, target: Path) -> None:
    """Move a file into the archive, durably; it may have been moved already."""
    if not source.exists():
        return  # moved by a process that was killed afterwards
    make_folder(target.parent)
    source.rename(target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def damaged_parts(
    data: Path, system_id: str, day: str, parts: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return what is wrong with the files *parts* of a *day*; empty if nothing."""
    found = (
        damage_of_file(part(data, dataset, system_id, day), expected["sha256"])
        for dataset, expected in parts.items()
    )
    return [why for why in found if why]


def damage_of_file(
    path: Path, sha256: str, sha256_of: Callable[[Path], str] = sha256_of
) -> str:
    """Return what is wrong with the file at *path*, empty if it has this *sha256*."""
    try:
        return "" if sha256_of(path) == sha256 else f"{path}{OTHER_BYTES}"
    except FileNotFoundError:
        return f"{path} is missing"
    except OSError as error:
        return f"{CANNOT_READ}{path}: {error.strerror}"


def needs_summaries(
    data: Path, system: SystemFolder, day: str, parts: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Return whether summaries of an archived *day* are outdated or lost."""
    parts = summaries.only(parts)
    is_even = _is_even(system, day)
    return summaries.are_outdated(parts, is_even=is_even) or _is_any_lost(
        data, system.system_id, day, parts
    )


def _is_even(system: SystemFolder, day: str) -> bool:
    """Return whether all slots of *day* have the same length."""
    begin, end = bounds(day, system.zone)
    if end - begin == DAY and len(system.grid.intervals(begin, end)) == 1:
        return True
    # Slots of several hours are shorter or longer when the clocks change, too.
    slots = [*system.grid.between(begin, end), end]
    return len({after - slot for slot, after in pairwise(slots)}) == 1


def _is_any_lost(
    data: Path, system_id: str, day: str, parts: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Return whether any file of *parts* is missing or has another size."""
    for dataset, expected in parts.items():
        path = part(data, dataset, system_id, day)
        try:
            if path.stat().st_size != expected["bytes"]:
                return True
        except OSError:
            return True
    return False
