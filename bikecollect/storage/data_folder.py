"""A system's folder: made once, marked, and never filled when it is not mounted."""

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.core import user_folders
from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.storage.files.durable import make_folder, sync_folder, write_file

MARKER = ".bikecollect"
LEDGER = "ledger.sqlite3"
STATUS = "station_status"
INFORMATION = "station_information.csv"
MARK = b"This folder holds the data of one system; see bikecollect.\n"


@dataclass(frozen=True)
class SystemFolder:
    """Where the data of one system lies, by which *zone* its days are cut.

    *interval* is the length of its slots, in seconds.
    """

    system_id: str
    path: Path
    zone: ZoneInfo
    interval: int

    @property
    def ledger(self) -> Path:
        """The account of its runs and blocks."""
        return self.path / LEDGER

    @property
    def payloads(self) -> Path:
        """The folder of what the publisher sent."""
        return self.path / "payloads"

    @property
    def outbox(self) -> Path:
        """The folder of mails that wait."""
        return self.path / "outbox"


def ready(folder: Path) -> None:
    """Make sure that *folder* is ours to write to; made where it never was.

    Raises SettingsError where it should hold data and its marker is absent: then
    most likely a disk is not mounted, and the mount point must not be filled.
    """
    if (folder / MARKER).exists():
        return
    if _is_suspect(folder):
        raise SettingsError(
            f"{folder} has no file {MARKER} though it should hold data: is its disk "
            f"mounted? To begin anew there: mkdir -p {folder} && touch "
            f"{folder / MARKER}",
            cause="not-mounted",
        )
    try:
        make_folder(folder)
        write_file(folder / MARKER, MARK)
        sync_folder(folder)
    except OSError as error:
        raise StorageError(f"cannot make {folder}: {error}") from error
    _remember(folder)


def _is_suspect(folder: Path) -> bool:
    if folder.is_dir() and any(folder.iterdir()):
        return True
    # A mount point that lost its disk is there, and empty; a folder that somebody
    # removed is not there at all, and its owner wants to begin anew.
    above = folder if folder.is_dir() else folder.parent
    empty = above.is_dir() and not any(above.iterdir())
    return empty and str(folder) in _known()


def state_home() -> Path:
    """Return the user's folder for what must be there when the data disk is not."""
    home = user_folders.state_home()
    return (home or Path("~/.local/state")) / user_folders.OURS


def alert_state_path(name: str, known_by: str) -> Path:
    """Return where is noted what was told of *name*, known by its folder or file."""
    mark = f"{zlib.crc32(os.fsencode(known_by)):08x}"
    return state_home() / "incidents" / f"{name}.{mark}.json"


def _note() -> Path:
    return state_home() / "folders"


def _known() -> list[str]:
    try:
        return _note().read_text(encoding="utf-8").splitlines()
    except (OSError, RuntimeError, ValueError):
        return []


def _remember(folder: Path) -> None:
    """Note that *folder* exists; without a home the check is weaker, no more."""
    try:
        note = _note()
        note.parent.mkdir(parents=True, exist_ok=True)
        with note.open("a", encoding="utf-8") as opened:
            opened.write(f"{folder}\n")
    except (OSError, RuntimeError):
        return
