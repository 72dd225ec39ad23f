"""The archive's files as they lie there: plain files under days' names, nothing else.

What is a link, or no file, is not there: whoever put it into an archive does not decide
what is read in its place.
"""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path

from bikecollect.archive.datasets import DATASETS, PART, part

Parts = Mapping[str, Mapping[str, Path]]
"""Of each dataset the files, by their day."""
DATE = "date="


def list_parts(data: Path, system_id: str) -> Parts:
    """Return the files that the archive in *data* has of the system; raises OSError."""
    return {
        dataset: _days(part(data, dataset, system_id, "x").parent.parent)
        for dataset in DATASETS
    }


def _days(folder: Path) -> dict[str, Path]:
    """Return the files in the *folder* of a system's dataset, the first day first."""
    if any(each.is_symlink() for each in (folder, folder.parent)):
        return {}
    names = []
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as found:
        names = [
            each.name
            for each in found
            if is_day(each.name.removeprefix(DATE)) and each.name.startswith(DATE)
            if each.is_dir(follow_symlinks=False)
        ]
    paths = {each.removeprefix(DATE): folder / each / PART for each in sorted(names)}
    return {day: path for day, path in paths.items() if is_plain(path)}


def is_plain(path: Path) -> bool:
    """Tell whether *path* is a plain file."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def is_day(text: str) -> bool:
    """Tell whether *text* names a day as files and folders do.

    >>> is_day("2026-11-22"), is_day("2026-11-31"), is_day("20261122")
    (True, False, False)
    """
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
