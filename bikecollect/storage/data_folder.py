"""A system's folder: its parts, its marker, and whether it is safe to write to."""

import errno
import os
import re
import stat
import time
import zlib
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.core import user_folders
from bikecollect.core.errors import SettingsError, StorageError, UntrustedFile
from bikecollect.core.slots import bounds
from bikecollect.core.text import to_run
from bikecollect.core.timeline.facts import SystemFact, grid_of
from bikecollect.core.timeline.grid import Grid
from bikecollect.storage.files import entries, marker, renamed, trusted_files
from bikecollect.storage.files.durable import (
    make_folder,
    sync_folder,
    unwritten,
    write_file,
)
from bikecollect.storage.files.known_folders import (
    is_known,
    is_place_gone,
    known_folders,
    remember,
    warn_of_server,
)

MARKER = marker.MARKER
SQLITE = b"SQLite format 3\0"
LEDGER = entries.LEDGER
PAYLOADS = "payloads"
INBOX, REJECTED, KEPT = "inbox", "rejected", "kept"
"""The folders inside `PAYLOADS`, the folder of payloads in a system's folder."""
BACKFILLED = tuple(f"backfill {folder}" for folder in (INBOX, KEPT, REJECTED))
"""The sources of blocks that `backfill` committed from these payloads."""
WAITING = f"{PAYLOADS}/{INBOX}"
PAYLOAD_FOLDERS = (WAITING, f"{PAYLOADS}/{REJECTED}", f"{PAYLOADS}/{KEPT}/*")
"""The folders of payload files in a system's folder, as patterns."""
STATUS = entries.STATUS
VEHICLES, VEHICLE_STATUS = entries.VEHICLES, entries.VEHICLE_STATUS
"""The folder of vehicles in a system's folder, and the folder of their daily files."""
ARCHIVE, CERTIFICATES = "archive", "certificates"
INFORMATION = "station_information.csv"


@dataclass(frozen=True, eq=False, repr=False)
class SystemFolder:
    """The folder *path* of one system, and what its files depend on.

    *zone* is that of its days, *interval* the length of a slot in seconds; *facts* are
    these values over time, *recorded* those in its file. *is_demo* is set for a
    simulated city. *mirror* is the address of the archive's copy, empty if there is
    none. *has_vehicles* is set if single vehicles are collected, too.
    """

    system_id: str
    path: Path
    zone: ZoneInfo
    interval: int
    facts: tuple[SystemFact, ...] = ()
    recorded: tuple[SystemFact, ...] = ()
    is_demo: bool = False
    mirror: str = ""
    has_vehicles: bool = False

    @property
    def is_over(self) -> bool:
        """Whether no more data are expected: later slots than the last do not count."""
        return self.is_demo or marker.is_stopped(self.path / MARKER)

    @property
    def grid(self) -> Grid:
        """The grid of the system's slots."""
        if self.facts:
            return grid_of(self.facts)
        return Grid.of(self.interval, self.zone)

    def interval_on(self, day: str) -> int:
        """Return the interval at the end of the local *day*, in seconds."""
        return self.grid.interval_at(bounds(day, self.zone)[1] - 1)

    def zone_on(self, day: str) -> str:
        """Return the name of the time zone at the end of the local *day*."""
        end = bounds(day, self.zone)[1] - 1
        begun = [fact.timezone for fact in self.facts[1:] if fact.since <= end]
        first = [fact.timezone for fact in self.facts[:1]] or [str(self.zone)]
        return (first + begun)[-1]

    @property
    def vehicles(self) -> "SystemFolder":
        """The folder of the system's vehicles: a ledger and daily files.

        Vehicles share the payloads and the lock of this folder.
        """
        return replace(self, path=self.path / VEHICLES)

    @property
    def ledger(self) -> Path:
        """The ledger, with runs and blocks."""
        return self.path / LEDGER

    @property
    def payloads(self) -> Path:
        """The folder of payloads."""
        return self.path / PAYLOADS

    @property
    def inbox(self) -> Path:
        """The folder of payloads that wait to be committed."""
        return self.payloads / INBOX

    @property
    def lock(self) -> Path:
        """The lock file, held by every writer of the folder."""
        return self.path / "lock"

    @property
    def rejected(self) -> Path:
        """The folder of payloads that were not understood, and of replaced files."""
        return self.payloads / REJECTED

    @property
    def outbox(self) -> Path:
        """The folder of mails that wait to be sent."""
        return self.path / "outbox"


PARTS = (
    STATUS,
    PAYLOADS,
    *(f"{PAYLOADS}/{name}" for name in (INBOX, REJECTED, KEPT)),
    "outbox",
    VEHICLES,
    f"{VEHICLES}/{VEHICLE_STATUS}",
)
"""The folders in a system's folder that bikecollect writes to."""


def prepare(
    folder: Path,
    known: Collection[str] | None = None,
    check_name: Callable[[], object] = bool,
) -> bool:
    """Ensure that *folder* can be written to; create and mark it if it is new.

    Return whether its marker says that the system was stopped. *known* are the
    `known_folders`, passed by callers that prepare many; *check_name*, see
    `loader.check_name`, is called before one is created. Raises SettingsError if
    another user may change its content (`check`), or if it should hold data and has no
    marker: most likely its disk is not mounted, and the mount point must not be filled.
    """
    known = known_folders() if known is None else known
    try:
        check(folder)
        entries.check_case(folder)
        if (folder / MARKER).exists():
            return _use_again(folder, known)
        check_name()
        check_mounted(folder)
        text = _marker_text(folder, known)
    except OSError as error:
        problem = f"cannot use {error.filename or folder}: {error.strerror}"
        remedy = trusted_files.access_remedy(folder, error)
        raise StorageError(f"{problem}{remedy}") from error
    _create(folder, text)
    remember(folder)
    warn_of_server(folder)
    return False


def _use_again(folder: Path, known: Collection[str]) -> bool:
    """Update the marker of *folder*, which exists; return whether it was stopped."""
    is_stopped = marker.update(folder / MARKER, time.time())
    trusted_files.check_writable(folder)
    if str(folder) not in known:
        # The first run was killed, or the state folder was lost since, or a rename was
        # killed at its end.
        remember(folder)
        renamed.remove_note(folder)
    return is_stopped


def _marker_text(folder: Path, known: Collection[str]) -> bytes:
    """Return the text of a new marker, with a mark if a *known* folder is gone."""
    text = marker.text_of(folder.name)
    if str(folder) not in known or folder.exists():
        return text
    told = marker.last_told(alert_state_path(folder.name, str(folder)))
    is_gone = is_place_gone(folder, known, time.time())
    return text + marker.mark(time.time(), told, is_place_gone=is_gone)


def _create(folder: Path, text: bytes) -> None:
    """Create *folder* with its marker, which has the *text*."""
    try:
        make_folder(folder)
        write_file(folder / MARKER, text)
        sync_folder(folder)
    except OSError as error:
        problem = f"cannot create {folder}: {error}"
        if error.errno == errno.EACCES:
            place = folder if folder.is_dir() else folder.parent
            remedy = to_run(trusted_files.owned_by_us(place))
            raise StorageError(f"{problem}; {remedy}") from error
        raise unwritten(problem, error) from error


def check(folder: Path) -> None:
    """Raise SettingsError if another user may change the content of *folder*.

    It and its parts must belong to root or to the user of this process, no other user
    may write to them or to the parent folder, and no part may be a link. Parts that do
    not exist are skipped.
    """
    parent = folder.parent
    if parent.is_dir() and not parent.stat().st_mode & stat.S_ISVTX:
        trusted_files.check_closed(parent)
    check_links(folder)
    for place in (folder, *(folder / part for part in PARTS)):
        if place.is_dir():
            trusted_files.check_owner(place, folder)
            trusted_files.check_closed(place)


def check_links(folder: Path, parts: Sequence[str] = PARTS) -> None:
    """Raise SettingsError if one of the *parts* of *folder* is a link."""
    for place in (folder / part for part in parts):
        if place.is_symlink():
            link, target = map(trusted_files.quoted, (place, place.resolve()))
            raise UntrustedFile(
                f"{place} is a link to {target}; links are not followed",
                f"rm {link} (for another disk: mkdir {link} && mount --bind {target} "
                f"{link})",
            )


def check_mounted(folder: Path) -> None:
    """Raise SettingsError if *folder* should hold data and has no marker.

    Or if that names another system, or a `rename` of it was interrupted.
    """
    if (folder / MARKER).exists():
        marker.check_name(folder / MARKER)
        return
    entries.check_target(folder)
    if (moved := renamed.moved_to(folder)) is not None:
        command = f"bikecollect rename {folder.name} {moved.name}"
        raise SettingsError(
            f"{folder} is now {moved}, but the settings were not changed: `rename` was "
            f"interrupted; run: {command} (or remove {renamed.note(moved)})"
        )
    if _is_suspect(folder):
        raise SettingsError(
            f"{folder} should hold data but has no file {MARKER}: is its disk mounted? "
            f"To start a new history: mkdir -p {folder} && touch {folder / MARKER}",
            cause="not-mounted",
        )


def is_marked(folder: Path) -> bool:
    """Return whether *folder* has its marker; without, it may be a mount point.

    The folder of another system is not marked, either.
    """
    if entries.is_reachable(folder / MARKER):
        with suppress(SettingsError):
            marker.check_name(folder / MARKER)
            return True
    return False


def check_archive(data: Path) -> None:
    """Raise SettingsError if another user may change the content of the archive.

    Root may write to another user's archive, because it does not rely on its content.
    """
    check_links(data, (ARCHIVE,))
    place = data / ARCHIVE
    if place.is_dir():
        trusted_files.check_closed(place)
        if os.geteuid() != trusted_files.ROOT:
            trusted_files.check_owner(place, place)


def _is_suspect(folder: Path) -> bool:
    if _has_system_files(folder):
        return False  # the marker was deleted
    if folder.is_dir() and any(folder.iterdir()):
        return True
    # The mount point of an unmounted disk exists and is empty. A folder that does not
    # exist was removed: its owner wants to start again.
    place = folder if folder.is_dir() else folder.parent
    names = {path.name for path in place.iterdir()} if place.is_dir() else {""}
    return names <= {user_folders.STATE} and is_known(folder)


def name_error(name: str) -> str:
    """Return why *name* is not a valid system name, empty if it is."""
    if name == ARCHIVE:
        return f'"{name}" is the folder of the archive; use another name'
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        return "a name is 1 to 100 letters (a to z), digits, dots, dashes, underscores"
    return ""


def _has_system_files(folder: Path) -> bool:
    """Return whether *folder* has a ledger, daily files and payloads of a system."""
    try:
        with (folder / LEDGER).open("rb") as file:
            has_ledger = file.read(len(SQLITE)) == SQLITE
    except FileNotFoundError:
        return False
    return has_ledger and all((folder / part).is_dir() for part in (STATUS, PAYLOADS))


def state_home() -> Path:
    """Return the user's folder for state that must survive without the data disk."""
    home = user_folders.state_home()
    # The state is optional: without a home there is none.
    return (home or user_folders.NOWHERE) / user_folders.OURS


def alert_state_path(name: str, known_by: str, home: Path | None = None) -> Path:
    """Return the path of the alert state of the system *name*.

    *known_by* is the path that identifies it: its folder, or the settings file. *home*
    is the `state_home`, passed by callers that have it.
    """
    mark = f"{zlib.crc32(os.fsencode(known_by)):08x}"
    return (home or state_home()) / "incidents" / f"{name}.{mark}.json"


def spare_outbox_path(name: str, known_by: str, home: Path | None = None) -> Path:
    """Return the folder for mails of *name* that its own folder cannot store.

    See `alert_state_path`: other data of this user may have a system of that name.
    """
    return (home or state_home()) / "outbox" / alert_state_path(name, known_by).stem
