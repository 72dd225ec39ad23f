"""The entries of folders that may be missing or unreadable."""

import os
from contextlib import suppress
from pathlib import Path


def has_entries(folder: Path) -> bool:
    """Return whether *folder* exists, can be read and is not empty."""
    with suppress(OSError), os.scandir(folder) as entries:
        return next(entries, None) is not None
    return False


def paths_in(folder: Path) -> list[Path]:
    """Return the paths of the entries of *folder*; none if it cannot be read."""
    with suppress(OSError), os.scandir(folder) as entries:
        return [folder / entry.name for entry in entries]
    return []


def is_own(folder: Path) -> bool:
    """Return whether *folder* belongs to the user of this process and is no link."""
    with suppress(OSError):
        return folder.lstat().st_uid == os.geteuid() and not folder.is_symlink()
    return False
