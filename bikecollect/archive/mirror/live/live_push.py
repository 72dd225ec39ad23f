"""Copy open days and the ledger to ``live/`` in the mirror.

Each call replaces the objects. The ledger is sent last, so that its blocks are always
in the daily files in the mirror, even if a call is killed. When a day is in the archive
of the mirror, its daily file is emptied there, because nothing is deleted.
"""

import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bikecollect.archive.datasets import DatasetLayout
from bikecollect.archive.mirror.certified import certificate_path, certificates_of
from bikecollect.archive.mirror.live.live_paths import PARTS, live_path
from bikecollect.archive.mirror.live.missing_here import MissingHere
from bikecollect.archive.mirror.live.sound_rows import SoundRows, is_daily
from bikecollect.archive.mirror.push import MirrorStep
from bikecollect.archive.mirror.record import (
    LIVE,
    MirrorRecord,
    live_address,
    replaced_path,
)
from bikecollect.archive.mirror.store.object_store import ObjectStore, StoredObject
from bikecollect.archive.query.open_days import open_days
from bikecollect.core.errors import StorageError
from bikecollect.storage.csv_store import LOST, is_segment
from bikecollect.storage.data_folder import INFORMATION, LEDGER
from bikecollect.storage.facts.facts_file import FILE as FACTS
from bikecollect.storage.files.regular_file import sha256_of
from bikecollect.storage.files.scratch import scratch
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.sqlite.ledger_file import reason, suspect
from bikecollect.storage.sqlite.structure import structural_damage

EMPTY = hashlib.sha256(b"").hexdigest()
BUSY = 10.0
CopiedDays = Mapping[str, Collection[str]]
"""The days that are in the archive of the mirror, by subfolder."""


@dataclass(frozen=True, eq=False, repr=False)
class LivePush:
    """Copies the open days of a system in *data* to *store*.

    What is *missing* here is not replaced in the mirror.
    """

    store: ObjectStore
    data: Path
    system_id: str
    clock: Callable[[], float]
    missing: MissingHere

    def run(self) -> MirrorStep:
        """Copy changed files; return the step with the number of bytes sent.

        Raises MirrorError if the mirror cannot be used, StorageError if a file cannot
        be read or the mirror has slots that are missing here.
        """
        address = live_address(self.store.address)
        record = MirrorRecord(self.data, self.system_id, address)
        started = self.clock()
        record.state = record.state._replace(tried=started)
        try:
            with scratch() as folder:
                size = self._copy(folder, record)
        except OSError as error:
            what = f"cannot read {error.filename or self.data}: {error.strerror}"
            record.state = record.state._replace(error=what)
            raise StorageError(what) from error
        except StorageError as error:
            record.state = record.state._replace(error=str(error))
            raise
        else:
            record.state = record.state._replace(succeeded=started, error="")
        finally:
            record.save()
        return MirrorStep(self.system_id, "", LIVE, size)

    def _copy(self, folder: Path, record: MirrorRecord) -> int:
        listed = self.store.list(live_path(self.system_id))
        objects = {stored.path: stored for stored in listed}
        copied = {part: self._copied_days(part, layout) for part, _, layout in PARTS}
        ledgers = [name for name in self._ledgers() if self._back_up(name, folder)]
        files = [n for n in self._files(copied) if self._copy_file(n, folder / n)]
        rows = SoundRows(self.store, self.data, self.system_id, folder, objects, record)
        names = [*rows.mend(files), *ledgers]
        copies = {live_path(self.system_id, name): folder / name for name in names}
        archived = self._archived(objects, copied)
        self.missing.check_archived(folder / "archived", archived)
        self.missing.check(
            folder / "there",
            {path: objects[path] for path in objects.keys() - archived.keys()},
            record,
            lambda path: self._is_less(copies.get(path), objects[path], record),
        )
        size = 0
        for path, copy in copies.items():
            size += self._send(path, copy, objects.get(path), record)
        self._empty(archived, record)
        rows.end()
        return size

    def _ledgers(self) -> Iterator[str]:
        for subfolder, _, _ in reversed(PARTS):
            yield f"{subfolder}{LEDGER}"

    def _files(self, copied: CopiedDays) -> Iterator[str]:
        """Yield the daily files that the archive of the mirror lacks, and the lists."""
        own = self.data / self.system_id
        for subfolder, daily, _ in PARTS:
            days = copied[subfolder]
            place = own / subfolder / daily
            for path in sorted(place.iterdir()) if place.is_dir() else ():
                if is_segment(f"{daily}/{path.name}") and path.name[:10] not in days:
                    yield f"{subfolder}{daily}/{path.name}"
        yield INFORMATION
        yield FACTS

    def _copied_days(self, subfolder: str, layout: DatasetLayout) -> set[str]:
        """Return the days whose archive, as it is here, is in the mirror.

        Days with slots that the archive lacks, such as late ones, are not among them.
        """
        folder = certificates_of(layout, self.system_id)
        archived = MirrorRecord(self.data, self.system_id, str(self.store.address))
        days = {
            path.stem
            for path in (self.data / folder).glob("*.json")
            if archived.copied_sha256(f"{folder}/{path.name}") == sha256_of(path)
        }
        history = History(self.system_id, self.data / self.system_id / subfolder)
        return days - open_days(history, (), {}, ()).days.keys()

    def _back_up(self, name: str, folder: Path) -> bool:
        """Write a consistent copy of the ledger *name*; return whether there is one."""
        path = self.data / self.system_id / name
        if not path.is_file() or not path.stat().st_size:
            return False
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with (
                closing(sqlite3.connect(path, timeout=BUSY)) as ledger,
                closing(sqlite3.connect(target)) as copy,
            ):
                ledger.execute("PRAGMA query_only = ON")
                ledger.backup(copy)
                # A single file, without a write-ahead log.
                copy.execute("PRAGMA journal_mode = DELETE")
                if damage := structural_damage(copy):  # the one there may be sound
                    raise sqlite3.DatabaseError(damage)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            suspect(path, error)
            what = f"cannot copy {path} to {target}: {reason(error)}"
            if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_FULL:
                what += "; if it is damaged, the next fetch rebuilds it"
            raise StorageError(what) from error
        return True

    def _copy_file(self, name: str, target: Path) -> bool:
        """Copy a file that may grow meanwhile; return whether it exists.

        A daily file with a bad sector is copied up to there: the rest is damaged.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(self.data / self.system_id / name, target)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in LOST or not is_daily(name):
                raise
        return True

    def _send(
        self, path: str, copy: Path, stored: StoredObject | None, record: MirrorRecord
    ) -> int:
        """Send *copy* unless *stored* has its content; return the bytes sent."""
        sha256 = sha256_of(copy)
        if record.has(stored, sha256):
            return 0
        if stored is not None and self._is_less(copy, stored, record):
            theirs = self.store.digest(path)
            self.store.copy(path, replaced_path(path, theirs))
        record.add(self.store.write(path, copy, sha256), sha256)
        return copy.stat().st_size

    def _is_less(
        self, copy: Path | None, stored: StoredObject, record: MirrorRecord
    ) -> bool:
        """Return whether *stored* may have what *copy* lacks; None: there is no copy.

        A ledger changes in all places, but it only shrinks if it was begun anew.
        """
        if copy is None:
            return stored.size > 0
        if copy.name == LEDGER:
            return copy.stat().st_size < stored.size
        return not self._is_grown(copy, stored, record)

    def _is_grown(self, copy: Path, stored: StoredObject, record: MirrorRecord) -> bool:
        """Return whether *copy* begins with the content of *stored*."""
        known = record.copied_sha256(stored.path)
        if not record.has(stored, known):
            known = self.store.digest(stored.path)
        begin, left = hashlib.sha256(), stored.size
        with copy.open("rb") as source:
            while left and (piece := source.read(min(left, 1 << 20))):
                begin.update(piece)
                left -= len(piece)
        return not left and begin.hexdigest() == known

    def _archived(
        self, objects: Mapping[str, StoredObject], copied: CopiedDays
    ) -> dict[str, StoredObject]:
        """Return the daily files of *objects* that the archive there replaces."""
        done = tuple(
            live_path(self.system_id, f"{subfolder}{daily}/{day}.")
            for subfolder, daily, _ in PARTS
            for day in copied[subfolder]
        )
        return {p: stored for p, stored in objects.items() if p.startswith(done)}

    def _empty(
        self, archived: Mapping[str, StoredObject], record: MirrorRecord
    ) -> None:
        for subfolder, daily, layout in PARTS:
            place = f"{live_path(self.system_id, f'{subfolder}{daily}')}/"
            for path, stored in archived.items():
                is_full = path.startswith(place) and stored.size
                if is_full and self._has_day(layout, path.removeprefix(place)[:10]):
                    record.add(self.store.write(path, b"", EMPTY), EMPTY)

    def _has_day(self, layout: DatasetLayout, day: str) -> bool:
        """Return whether the mirror has *day*; it may be older than the record."""
        certificate = certificate_path(layout, self.system_id, day)
        return self.store.find(certificate) is not None
