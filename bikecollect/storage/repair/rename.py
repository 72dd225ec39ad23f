"""Rename a system: its folder, its days in the archive, and its alert state."""

import errno
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from bikecollect.core.errors import LockBusy, SettingsError, StorageError, UsageError
from bikecollect.storage import data_folder
from bikecollect.storage.data_folder import ARCHIVE, MARKER, STATUS, WAITING
from bikecollect.storage.files import marker, renamed
from bikecollect.storage.files.durable import sync_folder, write_file
from bikecollect.storage.files.known_folders import disregard, remember
from bikecollect.storage.lock import Lock, exclusive_lock
from bikecollect.storage.run_notes import RunNotes

PATIENCE, POLL = 60.0, 0.2
"""Maximum seconds to wait for runs and for the lock, and between two looks."""
FIXED = frozenset({errno.EBUSY, errno.EXDEV})
"""Errors of a folder that no command can rename."""


@dataclass(frozen=True)
class SystemRename:
    """Renames the system *old* in the folder *data* to *new*.

    Repeating the call completes a rename that was interrupted.
    """

    data: Path
    old: str
    new: str

    def check(self) -> None:
        """Raise SettingsError or UsageError if the system cannot be renamed."""
        if error := data_folder.name_error(self.new):
            raise UsageError(f'"{self.new}": {error}')
        if self.old == self.new:
            raise UsageError("the two names are the same")
        source, target = self._folders()
        if source.exists():
            data_folder.check_mounted(source)
        folders = source if source.exists() or not target.exists() else target
        if not (folders / MARKER).exists():
            data_folder.check_mounted(source)  # it may be on its way to another name
            raise SettingsError(f"{folders} does not exist or has no file {MARKER}")
        data_folder.check(folders)
        data_folder.check_archive(self.data)
        if source.exists() and target.exists():
            raise UsageError(f"{target} already exists: choose another name")
        for place, moved in self._archive_folders():
            if place.exists() and moved.exists():
                raise UsageError(f"{moved} already exists: choose another name")

    def run(
        self, replace_settings: Callable[[], None], check: Callable[[], object] = bool
    ) -> list[str]:
        """Move everything, then call *replace_settings*; return what was moved.

        *check* is called before both: once there is no run, and once all is moved.
        Raises StorageError, and LockBusy if a command is using the system.
        """
        moves: list[tuple[Path, Path]] = []
        try:
            with ExitStack() as stack:
                self._lock(stack)
                check()
                source, target = self._folders()
                if source.exists():
                    _move(source, target)
                    sync_folder(self.data)
                    moves.append((source, target))
                self._move_archive(moves)
                self._rename_certificates()
                marker.write_name(target / MARKER)
                check()
                replace_settings()
                renamed.remove_note(target)
                remember(target)
                disregard(source)
        except OSError as error:
            raise StorageError(
                f"cannot rename {error.filename or self.data}: {_why(error)}; "
                "run the same command again to complete it"
            ) from error
        self._move_alert_state()
        return [f"{place} -> {moved}" for place, moved in moves]

    def _move_archive(self, moves: list[tuple[Path, Path]]) -> None:
        """Rename the folders in the archive, and add them to the *moves* before.

        Raises StorageError if one cannot be: all *moves* were undone, unless this call
        completes an earlier one. Else no run could write until a person has helped.
        """
        is_begun_here = bool(moves)
        try:
            for place, moved in self._archive_folders():
                if place.exists():
                    place.rename(moved)
                    moves.append((place, moved))
                    sync_folder(moved.parent)
        except OSError as error:
            if not is_begun_here:
                raise
            for place, moved in reversed(moves):
                moved.rename(place)
                sync_folder(place.parent)
            renamed.remove_note(self.data / self.old)
            raise _unchanged(error) from error

    def _lock(self, stack: ExitStack) -> None:
        """Hold the system's lock while no run is in progress; raises LockBusy.

        A run that is fetching does not hold the lock, but will write to the folder.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            with ExitStack() as held:
                self._hold_locks(held)
                active = [folder for folder in self._folders() if _has_run(folder)]
                if not active:
                    stack.enter_context(held.pop_all())
                    return
            if time.monotonic() >= deadline:
                raise LockBusy(f"a run is writing to {active[0]}: try again later")
            time.sleep(POLL)

    def _folders(self) -> tuple[Path, Path]:
        return self.data / self.old, self.data / self.new

    def _hold_locks(self, stack: ExitStack) -> None:
        """Hold the system's lock; raises LockBusy if a process reads its files."""
        for folder in self._folders():
            if folder.exists():
                stack.enter_context(Lock(folder / "lock", patience=PATIENCE).held())
            if (folder / STATUS).exists() and not stack.enter_context(
                exclusive_lock(folder / STATUS)
            ):
                raise LockBusy(f"{folder} is being read: try again later")

    def _archive_folders(self) -> Iterator[tuple[Path, Path]]:
        """Yield each folder of the system in the archive, and its new path."""
        archive = self.data / ARCHIVE
        pairs = (f"system_id={self.old}", f"system_id={self.new}")
        for parent in sorted(archive.glob("*")):
            yield parent / pairs[0], parent / pairs[1]
        for parent in sorted(archive.glob(".*")):
            yield parent / self.old, parent / self.new

    def _rename_certificates(self) -> None:
        for path in (self.data / ARCHIVE).glob(f"*/system_id={self.new}/*.json"):
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.get("system_id") != self.new:
                values["system_id"] = self.new
                text = json.dumps(values, ensure_ascii=False, indent=1)
                temporary = path.with_name(f".{path.name}.tmp")
                write_file(temporary, text.encode("utf-8"))
                temporary.replace(path)

    def _move_alert_state(self) -> None:
        """Move the incidents and the waiting mails; errors are ignored.

        The incidents of a removed system that had the new name are replaced.
        """
        old = self.old, str(self.data / self.old)
        new = self.new, str(self.data / self.new)
        state, outbox = data_folder.alert_state_path, data_folder.spare_outbox_path
        with suppress(OSError):
            state(*old).replace(state(*new))
        with suppress(OSError):
            if not outbox(*new).exists():
                outbox(*old).rename(outbox(*new))


def _move(source: Path, target: Path) -> None:
    """Rename the folder *source*; raises StorageError if nothing was changed.

    It has a note then: from now on no command uses the old name.
    """
    renamed.write_note(source)
    try:
        source.rename(target)
    except OSError as error:
        renamed.remove_note(source)
        raise _unchanged(error) from error


def _unchanged(error: OSError) -> StorageError:
    return StorageError(
        f"cannot rename {error.filename}: {_why(error)}; nothing was changed"
    )


def _why(error: OSError) -> str:
    hint = ": it is a mount point, or in a layer of a container's image"
    return f"{error.strerror}{hint if error.errno in FIXED else ''}"


def _has_run(folder: Path) -> bool:
    return RunNotes(folder / WAITING).is_any_active()
