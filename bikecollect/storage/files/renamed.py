"""The note in a system's folder that is being renamed: its name before."""

from contextlib import suppress
from pathlib import Path

from bikecollect.core.errors import SettingsError
from bikecollect.storage.files.durable import sync_folder, write_file
from bikecollect.storage.files.entries import folders_with

NOTE = ".renamed"


class RenamedError(SettingsError):
    """A system was renamed after the settings were read: they have its old name."""


def note(folder: Path) -> Path:
    """Return the path of the note in *folder*, which exists only during a rename."""
    return folder / NOTE


def write_note(folder: Path) -> None:
    """Note the name of *folder* in it durably; raises OSError."""
    write_file(note(folder), f"{folder.name}\n".encode())
    sync_folder(folder)


def remove_note(folder: Path) -> None:
    """Remove the note in *folder*; without one, a read-only disk is no error."""
    if note(folder).exists():
        note(folder).unlink(missing_ok=True)


def moved_to(folder: Path) -> Path | None:
    """Return the folder that *folder* has become by an interrupted rename, or None."""
    for place in folders_with(NOTE, folder.parent):
        with suppress(OSError, ValueError):  # a damaged one
            name = note(place).read_text(encoding="utf-8").strip()
            if name == folder.name and place != folder:
                return place
    return None
