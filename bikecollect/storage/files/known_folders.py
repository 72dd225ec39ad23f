"""The folders that have held data of a system: a list that survives without them.

A folder on it that is empty, or gone, has lost its disk or was removed.
"""

import os
from contextlib import suppress
from pathlib import Path

from bikecollect.core import user_folders
from bikecollect.storage.files.durable import write_file
from bikecollect.storage.files.regular_file import is_special, read_plain


def known_folders() -> frozenset[str]:
    """Return the folders that have held data of a system."""
    with suppress(OSError, RuntimeError, ValueError):
        return frozenset(os.fsdecode(read_plain(_list())).splitlines())
    return frozenset()


def is_known(folder: Path) -> bool:
    """Return whether *folder* has held data of a system."""
    return str(folder) in known_folders()


def remember(folder: Path) -> None:
    """Add *folder* to the known folders; errors are ignored."""
    with suppress(OSError, RuntimeError):
        if is_known(folder):
            return
        path = _list()
        if is_special(path):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(os.fsencode(f"{folder}\n"))


def disregard(folder: Path) -> None:
    """Remove *folder* from the known folders: its data have another place now."""
    with suppress(OSError, RuntimeError):
        left = sorted(known_folders() - {str(folder)})
        new = _list().with_suffix(".new")
        write_file(new, os.fsencode("".join(f"{name}\n" for name in left)))
        new.replace(_list())


def _list() -> Path:
    home = user_folders.lasting_home() or Path("/nonexistent")
    return home / user_folders.OURS / "folders"
