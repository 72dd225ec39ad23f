"""The notes of runs: which have begun, and which were killed before they ended."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bikecollect.core.errors import Outcome, StorageError
from bikecollect.core.run import Run, from_json
from bikecollect.core.slots import stamp
from bikecollect.storage.files.durable import make_folder, write_all
from bikecollect.storage.payload_store import list_files

NOTE = ".run"
LONGEST = 1_048_576
"""Bytes of a note that are read."""


class RunNotes:
    """The notes of one system's runs, in the folder *inbox*.

    Each run holds a kernel lock on its note while it lives. Every method raises
    StorageError when the disk refuses.
    """

    def __init__(self, inbox: Path) -> None:
        self._inbox = inbox
        self._notes: dict[str, int] = {}

    def begin(self, run: Run) -> None:
        """Note that *run* has begun; the kernel frees the note when it dies."""
        path = self._inbox / f"{stamp(run.slot)}.{run.run_id}{NOTE}"
        try:
            make_folder(self._inbox)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(path, flags, 0o640)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            write_all(fd, run.to_json().encode("utf-8", "backslashreplace"))
        except OSError as error:
            os.close(fd)
            with suppress(OSError):
                path.unlink()
            raise StorageError(f"cannot write {path}: {error}") from error
        self._notes[run.run_id] = fd

    def end(self, run: Run, *, written: bool) -> None:
        """Take the note of *run* away; leave its account where not *written*.

        The account that is left goes into the ledger at the next run.
        """
        fd = self._notes.pop(run.run_id, None)
        if fd is None:
            return
        path = self._inbox / f"{stamp(run.slot)}.{run.run_id}{NOTE}"
        try:
            if written:
                path.unlink(missing_ok=True)
            else:
                os.ftruncate(fd, 0)
                os.lseek(fd, 0, os.SEEK_SET)
                write_all(fd, run.to_json().encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error}") from error
        finally:
            os.close(fd)

    def orphans(self) -> Iterator[tuple[Path, Run | None]]:
        """Yield the notes of runs that are over, None where one is unreadable.

        A run that did not say how it ended was killed. `forget` takes a note away.
        Half-written payloads whose run has no note any more are removed.
        """
        for path in list_files(self._inbox, ".zip.tmp"):
            if not path.with_suffix("").with_suffix(NOTE).exists():
                with suppress(OSError):
                    path.unlink()
        for path in list_files(self._inbox, NOTE):
            try:
                fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StorageError(f"cannot read {path}: {error}") from error
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield path, self._read(fd, path)
            except BlockingIOError:
                continue
            except OSError as error:
                raise StorageError(f"cannot lock {path}: {error}") from error
            finally:
                os.close(fd)

    def killed(self) -> list[Run]:
        """Return the runs that were killed and are not healed yet, by slot."""
        found = [run for _, run in self.orphans() if run is not None]
        return [run for run in found if run.outcome is Outcome.KILLED]

    def forget(self, note: Path) -> None:
        """Remove *note* and what its run left half written."""
        try:
            note.with_suffix(".zip.tmp").unlink(missing_ok=True)
            note.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot remove {note}: {error}") from error

    def _read(self, fd: int, path: Path) -> Run | None:
        """Return the run of the note at *path*; killed, where it says no end."""
        try:
            run = from_json(os.pread(fd, LONGEST, 0).decode("utf-8"))
        except ValueError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error}") from error
        if run.outcome is not None:
            return run
        # The note was written at the start and never again: whatever ended the run
        # (SIGKILL, the alarm, a power cut) did not let it say so.
        payload = path.with_suffix(".zip").name
        waits = (self._inbox / payload).exists()
        kept = any(self._inbox.parent.glob(f"kept/*/{payload}"))
        text = f"the run {run.run_id} was killed before it ended"
        text = f"{text}; its payload waits in the inbox" if waits else text
        ended = run.ended(Outcome.KILLED, "killed", text)
        return replace(ended, accepted=waits or kept)
