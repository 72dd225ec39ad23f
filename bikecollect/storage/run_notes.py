"""Notes of runs in the inbox: they show which runs were killed before they ended."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.errors import Outcome, StorageError
from bikecollect.core.incidents import RUNS_LOST
from bikecollect.core.run import Notice, Run, from_json
from bikecollect.core.slots import stamp
from bikecollect.storage.data_folder import KEPT, LEDGER
from bikecollect.storage.files import flock
from bikecollect.storage.files.durable import make_folder, write_all
from bikecollect.storage.payload_store import list_files, run_of

NOTE = ".run"
MAX_BYTES = 1_048_576
"""Maximum bytes of a note."""


class RunNotes:
    """The notes of one system's runs, in the folder *inbox*.

    Each run holds a kernel lock on its note until it ends. Every method raises
    StorageError on disk errors.
    """

    def __init__(self, inbox: Path) -> None:
        self._inbox, self._folder = inbox, inbox.parent.parent
        self._notes: dict[str, int] = {}
        self._paths: dict[str, Path] = {}

    def begin(self, run: Run) -> None:
        """Write and lock a note that *run* has begun.

        The kernel unlocks it when the process ends.
        """
        path = self._inbox / f"{stamp(run.slot)}.{run.run_id}{NOTE}"
        try:
            make_folder(self._inbox, self._folder)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(path, flags, 0o640)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error}") from error
        try:
            flock.lock(fd)
            write_all(fd, run.to_json().encode("utf-8", "backslashreplace"))
        except OSError as error:
            os.close(fd)
            with suppress(OSError):
                path.unlink()
            raise StorageError(f"cannot write {path}: {error}") from error
        self._notes[run.run_id] = fd
        self._paths[run.run_id] = path

    def end(self, run: Run, *, written: bool) -> None:
        """Remove the note of *run* if the run is *written* to the ledger.

        Otherwise store its result in the note: the next run copies it into the ledger.
        """
        fd = self._notes.pop(run.run_id, None)
        if fd is None:
            return
        path = self._paths[run.run_id]  # the slot of the run may have been corrected
        try:
            if written:
                path.unlink(missing_ok=True)
            else:
                _rewrite(fd, run)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error}") from error
        finally:
            os.close(fd)

    def update(self, run: Run) -> None:
        """Store the state of *run*: the next run reports it if this one is killed."""
        fd = self._notes.get(run.run_id)
        if fd is None:
            return
        try:
            _rewrite(fd, run)
        except OSError as error:
            path = self._paths[run.run_id]
            raise StorageError(f"cannot write {path}: {error}") from error

    def orphans(self) -> Iterator[tuple[Path, Run | None]]:
        """Yield the notes of runs that have ended, and the runs; None if unreadable.

        A run whose note has no result was killed. `forget` removes a note.
        """
        for path in list_files(self._inbox, NOTE):
            try:
                fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StorageError(f"cannot read {path}: {error}") from error
            try:
                if flock.try_lock(fd):
                    yield path, self._read(fd, path)
            except OSError as error:
                raise StorageError(f"cannot lock {path}: {error}") from error
            finally:
                os.close(fd)

    def is_any_active(self) -> bool:
        """Return whether a run that has a note has not ended."""
        ended = {note for note, _ in self.orphans()}
        return any(note not in ended for note in list_files(self._inbox, NOTE))

    def remove_half_written(self) -> None:
        """Remove half-written payloads of runs without a note.

        Only under the system's lock: a `backfill` writes payloads under it, and has no
        note. The slot of a run may have been corrected after its note was written.
        """
        paths = list_files(self._inbox, ".zip.tmp")  # first: a note is older
        noted = {run_of(note.name) for note in list_files(self._inbox, NOTE)}
        for path in paths:
            if run_of(path.name) not in noted:
                with suppress(OSError):
                    path.unlink()

    def unreported(self) -> list[Run]:
        """Return the runs that have ended and have a note, by slot.

        They were killed before they ended or were reported, or could not be recorded in
        the ledger.
        """
        return [run for _, run in self.orphans() if run is not None]

    def forget(self, note: Path) -> None:
        """Remove *note*."""
        try:
            note.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot remove {note}: {error}") from error

    def _read(self, fd: int, path: Path) -> Run | None:
        """Return the run noted at *path*, as killed if the note has no result."""
        try:
            run = from_json(os.pread(fd, MAX_BYTES, 0).decode("utf-8"))
        except ValueError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error}") from error
        if run.outcome is not None:
            return run
        # The note was written at the start only: the run could not write its result
        # (SIGKILL, the alarm, a power cut).
        payload = path.with_suffix(".zip").name
        is_waiting = (self._inbox / payload).exists()
        is_kept = any(self._inbox.parent.glob(f"{KEPT}/*/{payload}"))
        text = f"the run {run.run_id} was killed before it ended"
        text = f"{text}; its payload waits in the inbox" if is_waiting else text
        killed = run.ended(Outcome.KILLED, "killed", text)
        killed = killed.noticed(*self._lost_ledger(fd, run))
        return replace(killed, accepted=is_waiting or is_kept)

    def _lost_ledger(self, fd: int, run: Run) -> list[Notice]:
        """Return a notice if the killed *run* replaced a damaged ledger."""
        known = any(notice.kind == RUNS_LOST for notice in run.notices)
        begun = os.fstat(fd).st_mtime_ns
        names = sorted(
            path.name
            for path in self._folder.glob(f"{LEDGER}.damaged-*")
            if path.stat().st_ctime_ns >= begun
        )
        if known or not names:
            return []
        text = f"the ledger was damaged; it was set aside as {names[0]} and rebuilt"
        text += ", without the runs and incidents so far"
        return [Notice(RUNS_LOST, text)]


class OpenNote(NamedTuple):
    """The note in *notes* of a run that has ended and was not reported yet.

    *written* is set if the run is in the ledger.
    """

    notes: RunNotes
    written: bool

    def close(self, run: Run) -> None:
        """Remove the note of *run*: it has been reported."""
        with suppress(StorageError):
            self.notes.end(run, written=self.written)


def _rewrite(fd: int, run: Run) -> None:
    """Replace the content of the note *fd* by *run*; it is never empty meanwhile."""
    data = run.to_json().encode("utf-8", "backslashreplace")
    os.lseek(fd, 0, os.SEEK_SET)
    write_all(fd, data)
    os.ftruncate(fd, len(data))
