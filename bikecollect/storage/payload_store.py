"""The payloads on disk: in the inbox, rejected, or kept."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bikecollect.core.errors import PayloadError, StorageError
from bikecollect.core.payload import Payload
from bikecollect.core.slots import Slot, from_stamp, stamp
from bikecollect.core.text import shortened, visible
from bikecollect.storage.data_folder import INBOX, KEPT, REJECTED
from bikecollect.storage.files import regular_file
from bikecollect.storage.files.durable import (
    leave_reserve,
    make_folder,
    sync_folder,
    unwritten,
    write_file,
)
from bikecollect.storage.payload_zip import MAX_BYTES, has_document, pack, unpack
from bikecollect.storage.retention import rejected
from bikecollect.storage.retention.kept import prune_kept
from bikecollect.storage.retention.rejected import FEW, REASON

MAX_REASON = 20_000
OPENED = ".opened"
"""The suffix of the mark beside a payload while it is read."""
KILLED = "were killed while they read it"
"""Part of the reason of a payload that was rejected for killing runs."""


class Payloads:
    """The payloads of one system, in *folder*.

    A payload is in the inbox from before the first byte of its rows is written until
    after the ledger's commit. Every method raises StorageError on disk errors.
    """

    def __init__(self, folder: Path) -> None:
        self._inbox, self._rejected = folder / INBOX, folder / REJECTED
        self._kept = folder / KEPT
        self._fresh: dict[str, Payload] = {}
        self._held: set[str] = set()
        self._has_rejected = False

    def accept(self, payload: Payload) -> None:
        """Write *payload* durably to the inbox; hold it in memory if that fails."""
        path = self._inbox / name_of(payload)
        temporary = path.with_name(path.name + ".tmp")
        try:
            make_folder(self._inbox, self._inbox.parent.parent)
            packed = pack(payload)
            leave_reserve(self._inbox, len(packed))
            write_file(temporary, packed)
            temporary.rename(path)
            sync_folder(self._inbox)
        except OSError as error:
            self._hold(path, payload)
            text = f"cannot write the payload to {path}: {error}"
            raise unwritten(text, error) from error
        self._fresh[path.name] = payload

    def waiting(self) -> list[str]:
        """Return the names of the payloads in the inbox, oldest slot first.

        Payloads that could not be written, and are held in memory, are included.
        """
        names = {path.name for path in list_files(self._inbox, ".zip")}
        return sorted(names | self._held)

    def waiting_slots(self) -> Collection[Slot]:
        """Return the slots that have a payload in the inbox."""
        return {slot_of(path.name) for path in list_files(self._inbox, ".zip")}

    def kills(self, name: str) -> int:
        """Return how many runs were killed while they read the payload *name*."""
        return len(list(self._marks(name)))

    @contextmanager
    def mark_reading(self, name: str) -> Iterator[None]:
        """Mark the payload *name*, durably, as being read.

        The mark is removed when the context ends, so that only a killed run leaves it.
        A payload that is held in memory is not marked.
        """
        if name in self._held:
            yield
            return
        mark = self._mark(name, self.kills(name) + 1)
        try:
            self._touch(mark)
            yield
        finally:
            with suppress(OSError):
                mark.unlink(missing_ok=True)

    def mark_failed(self, name: str) -> None:
        """Mark the payload *name* as if a run had been killed while reading it."""
        if name not in self._held:
            with suppress(StorageError, OSError):
                self._touch(self._mark(name, self.kills(name) + 1))

    def open(self, name: str) -> Payload:
        """Return the payload *name*; raises PayloadError if it is damaged."""
        if name in self._fresh:
            return self._fresh[name]
        return read_payload(self._inbox / name)

    def path(self, name: str, folder: str) -> Path:
        """Return the path of the payload *name* in *folder*: inbox, rejected, a day."""
        if folder in {INBOX, REJECTED}:
            return self._inbox.with_name(folder) / name
        return self._kept / folder / name

    def keep(self, name: str, day: str) -> None:
        """Move the payload *name* to the kept ones of *day*."""
        self._move(name, self._kept / day)

    def remove(self, name: str) -> None:
        """Remove the payload *name* from the inbox."""
        try:
            (self._inbox / name).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot remove {name}: {error}") from error
        self._unmark(name)
        self._fresh.pop(name, None)
        self._held.discard(name)

    def rejected(self) -> list[str]:
        """Return the names of the rejected payloads, oldest slot first."""
        names = (path.name for path in self._rejected.glob("*.zip"))
        return sorted(name for name in names if _is_ours(name))

    def kept(self) -> dict[str, str]:
        """Return the day of each kept payload, by its name."""
        paths = sorted(self._kept.glob("*/*.zip"))
        return {p.name: p.parent.name for p in paths if _is_ours(p.name)}

    def has_document(self, name: str, day: str, document: str) -> bool:
        """Return whether a payload has *document*; kept under *day*, else rejected."""
        folder = self._kept / day if day else self._rejected
        return has_document(folder / name, document)

    def newest_kept(self, before: Slot) -> Payload | None:
        """Return the newest kept payload before a slot, None if unreadable."""
        older = (item for item in self.kept().items() if slot_of(item[0]) < before)
        name, day = max(older, default=("", ""))
        try:
            return _read(self._kept / day / name) if name else None
        except (OSError, ValueError):
            return None

    def requeue(self, name: str, day: str = "") -> bool:
        """Move the payload *name* back into the inbox; return whether it was there.

        It is one of the kept payloads of *day*, or a rejected one if *day* is empty. A
        payload that killed runs is marked as if it had killed one.
        """
        source = self._kept / day if day else self._rejected
        if not (source / name).exists():
            return False
        try:
            make_folder(self._inbox)
            if KILLED in self.reason(name):
                self._touch(self._mark(name, 1))
            (source / name).rename(self._inbox / name)
            sync_folder(self._inbox)
        except OSError as error:
            text = f"cannot move {name} to {self._inbox}: {error}"
            raise StorageError(text) from error
        return True

    def reason(self, name: str) -> str:
        """Return why the payload *name* was rejected, empty if unknown."""
        path = self._rejected / f"{name}{REASON}"
        with suppress(OSError):
            return regular_file.read_plain(path).decode(errors="replace")
        return ""

    def drop_reasons(self) -> None:
        """Remove the reasons of payloads that are neither rejected nor waiting.

        If a backfill was killed, the next fetch commits its payload and the reason is
        left over.
        """
        for path in self._rejected.glob(f"*.zip{REASON}"):
            name = path.name.removesuffix(REASON)
            if not ((self._inbox / name).exists() or (self._rejected / name).exists()):
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def reject(self, name: str, reason: str, *, few: bool = False) -> Path:
        """Move the payload *name* to the rejected ones; store the *reason* beside it.

        Very large payloads, and those marked *few*, share 32 MiB: the oldest are
        removed.
        """
        text = visible(shortened(reason, MAX_REASON), lines=True)
        try:
            make_folder(self._rejected)
            note = f"{text}\n{FEW if few else ''}".encode()
            write_file(self._rejected / f"{name}{REASON}", note)
        except OSError as error:
            raise StorageError(f"cannot write the reason of {name}: {error}") from error
        self._move(name, self._rejected)
        rejected.thin_out(self._rejected, reversed(self.rejected()), self.reason)
        self._has_rejected = True
        return self._rejected / name

    def set_aside(self, name: str, data: bytes) -> Path:
        """Write *data* as *name* beside the rejected payloads; return its path."""
        try:
            make_folder(self._rejected)
            leave_reserve(self._rejected, len(data))
            write_file(self._rejected / name, data)
            sync_folder(self._rejected)
        except OSError as error:
            raise StorageError(f"cannot set {name} aside: {error}") from error
        self._has_rejected = True
        return self._rejected / name

    def prune(self, first_day: str, newest: int, needed_since: float) -> str:
        """Remove kept payloads of days before *first_day*, and stray marks.

        The *newest* days that have payloads are kept in any case. If something was
        rejected since the last call, the size of that folder is limited too, but files
        since *needed_since* (epoch seconds) are kept. Returns a text for people,
        empty if no rejected payload was removed.
        """
        for mark in list_files(self._inbox, OPENED):
            if not mark.with_suffix("").with_suffix("").exists():
                with suppress(OSError):
                    mark.unlink(missing_ok=True)
        try:
            prune_kept(
                self._kept, first_day, newest, lambda day: list_files(day, ".zip")
            )
        except OSError as error:
            raise StorageError(f"cannot prune {self._kept}: {error}") from error
        if not self._has_rejected:
            return ""
        self._has_rejected = False
        return rejected.bound(self._rejected, needed_since)

    def _mark(self, name: str, number: int) -> Path:
        return self._inbox / f"{name}.{number}{OPENED}"

    def _touch(self, mark: Path) -> None:
        """Create the empty file *mark* durably."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            os.close(os.open(mark, flags, 0o640))
            sync_folder(self._inbox)
        except OSError as error:
            raise StorageError(f"cannot write {mark}: {error}") from error

    def _marks(self, name: str) -> Iterator[Path]:
        number = 1
        while (mark := self._mark(name, number)).exists():
            yield mark
            number += 1

    def _unmark(self, name: str) -> None:
        """Remove the marks of the payload *name*, which has been moved."""
        for mark in list(self._marks(name)):
            with suppress(OSError):
                mark.unlink(missing_ok=True)

    def _hold(self, path: Path, payload: Payload) -> None:
        """Hold *payload* in memory: its rows may still fit on the disk."""
        with suppress(OSError):
            path.with_name(path.name + ".tmp").unlink(missing_ok=True)
        if not path.exists():
            self._held.add(path.name)
        self._fresh[path.name] = payload

    def _move(self, name: str, folder: Path) -> None:
        if name in self._held:
            self._held.discard(name)
            return
        try:
            make_folder(folder, self._inbox.parent.parent)
            (self._inbox / name).rename(folder / name)
        except OSError as error:
            raise StorageError(f"cannot move {name} to {folder}: {error}") from error
        self._fresh.pop(name, None)
        self._unmark(name)


def name_of(payload: Payload) -> str:
    """Return the file name of *payload*, made of its slot and its run."""
    return f"{stamp(payload.slot)}.{payload.run_id}.zip"


def slot_of(name: str) -> Slot:
    """Return the slot in a payload's file name."""
    return from_stamp(name.partition(".")[0])


def run_of(name: str) -> str:
    """Return the run id in a payload's file name."""
    return name.split(".")[1]


def list_files(folder: Path, suffix: str) -> list[Path]:
    """Return the files in *folder* named after a slot that end in *suffix*."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(suffix)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"cannot list {folder}: {error}") from error
    return [folder / name for name in sorted(names) if _is_ours(name)]


def read_payload(path: Path) -> Payload:
    """Return the payload in *path*; raises PayloadError if it is damaged."""
    try:
        return _read(path)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    except ValueError as error:
        raise PayloadError(
            f"the payload {path} is damaged: {error}", cause="damaged"
        ) from error


def _is_ours(name: str) -> bool:
    try:
        slot_of(name)
    except ValueError:
        return False
    return True


def _read(path: Path) -> Payload:
    """Return the payload in *path*; raises OSError, or ValueError if it is damaged."""
    try:
        payload = unpack(regular_file.read_file(path, MAX_BYTES))
    except OSError as error:
        if error.errno in regular_file.REFUSED:  # no retry would help
            raise ValueError(error.strerror) from error
        raise
    if name_of(payload) != path.name:
        raise ValueError(f"contains the payload {name_of(payload)}")
    return payload
