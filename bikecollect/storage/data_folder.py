"""A system's folder: made once, marked, and never filled when it is not mounted."""

import errno
import os
import stat
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.core import user_folders
from bikecollect.core.errors import SettingsError, StorageError, UntrustedFile
from bikecollect.storage.files import trusted_files
from bikecollect.storage.files.durable import make_folder, sync_folder, write_file

MARKER = ".bikecollect"
LEDGER = "ledger.sqlite3"
STATUS = "station_status"
ARCHIVE = "archive"
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
    def inbox(self) -> Path:
        """The folder of payloads that wait to be committed."""
        return self.payloads / "inbox"

    @property
    def lock(self) -> Path:
        """The file that whoever writes to the folder holds locked."""
        return self.path / "lock"

    @property
    def outbox(self) -> Path:
        """The folder of mails that wait."""
        return self.path / "outbox"


PARTS = (
    *(STATUS, "payloads", "payloads/inbox", "payloads/rejected", "payloads/kept"),
    "outbox",
)
"""The folders in a system's folder that we write to."""


def prepare(folder: Path) -> None:
    """Make sure that *folder* is ours to write to; made where it never was.

    Raises SettingsError where somebody else may decide what lies there (`check`), or
    where it should hold data and its marker is absent: then most likely a disk is
    not mounted, and the mount point must not be filled.
    """
    try:
        check(folder)
        if (folder / MARKER).exists():
            _check_writable(folder)
            return
        suspect = _is_suspect(folder)
    except OSError as error:
        raise StorageError(
            f"cannot use {folder}: {error.strerror}{_remedy(folder, error)}"
        ) from error
    if suspect:
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


def check(folder: Path) -> None:
    """Raise SettingsError where somebody else may decide what lies in *folder*.

    It and its parts must belong to root or to the user of this process, nobody else
    may write to them or to the folder above, and no part may be a link, which would
    lead our files away. Nothing is said of what is not there.
    """
    above = folder.parent
    if above.is_dir() and not above.stat().st_mode & stat.S_ISVTX:
        trusted_files.check_closed(above)
    check_links(folder)
    for place in (folder, *(folder / part for part in PARTS)):
        if place.is_dir():
            trusted_files.check_owner(place, folder)
            trusted_files.check_closed(place)


def check_links(folder: Path, parts: Sequence[str] = PARTS) -> None:
    """Raise SettingsError where one of the *parts* of *folder* is a link."""
    for place in (folder / part for part in parts):
        if place.is_symlink():
            link, target = map(trusted_files.quoted, (place, place.resolve()))
            raise UntrustedFile(
                f"{place} is a link, and would lead our files to {target}",
                f"rm {link} (for another disk: mkdir {link} && mount --bind {target} "
                f"{link})",
            )


def check_archive(data: Path) -> None:
    """Raise SettingsError where somebody else may decide what lies in the archive.

    Root may bring days into another user's: it need not trust what is there.
    """
    check_links(data, (ARCHIVE,))
    place = data / ARCHIVE
    if place.is_dir():
        trusted_files.check_closed(place)
        if os.geteuid() != trusted_files.ROOT:
            trusted_files.check_owner(place, place)


def _check_writable(folder: Path) -> None:
    """Raise PermissionError where *folder* is root's and not for us to write to."""
    theirs = folder.stat().st_uid != os.geteuid()
    if theirs and not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def _remedy(folder: Path, error: OSError) -> str:
    """Return the command that lets us into *folder*, where that is the trouble."""
    if not isinstance(error, PermissionError) or os.geteuid() == trusted_files.ROOT:
        return ""
    me, place = trusted_files.user_name(os.geteuid()), trusted_files.quoted(folder)
    with suppress(OSError):
        if folder.stat().st_uid == os.geteuid():
            return f"; run: chmod -R u+rwX {place}"
    return f"; run: sudo chown -R {me} {place}"


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
