"""Copy open days and the ledger to ``live/`` in the mirror.

Each call replaces the objects. The ledger is sent last, so that its blocks are always
in the daily files in the mirror, even if a call is killed. When a day is in the archive
of the mirror, its daily file is emptied there, because nothing is deleted.
"""

import hashlib
import logging
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bikecollect.archive.datasets import STATION_LAYOUT, VEHICLE_LAYOUT, DatasetLayout
from bikecollect.archive.mirror.certified import certificates_of
from bikecollect.archive.mirror.download import (
    NEW,
    is_being_written,
    replacing,
    writing_to,
)
from bikecollect.archive.mirror.push import OTHER_HOST, MirrorStep
from bikecollect.archive.mirror.record import (
    LIVE,
    MirrorRecord,
    live_address,
    replaced_path,
)
from bikecollect.archive.mirror.store.object_store import ObjectStore, StoredObject
from bikecollect.archive.query.open_days import open_days
from bikecollect.core.errors import StorageError
from bikecollect.storage.csv_store import is_segment
from bikecollect.storage.data_folder import (
    INFORMATION,
    LEDGER,
    STATUS,
    VEHICLE_STATUS,
    VEHICLES,
)
from bikecollect.storage.facts.facts_file import FILE as FACTS
from bikecollect.storage.files.regular_file import sha256_of
from bikecollect.storage.files.scratch import scratch
from bikecollect.storage.ledger_reader import History

PARTS = (("", STATUS, STATION_LAYOUT), (f"{VEHICLES}/", VEHICLE_STATUS, VEHICLE_LAYOUT))
"""Subfolder, folder of daily files, and layout in the archive: stations, vehicles."""
EMPTY = hashlib.sha256(b"").hexdigest()
BUSY = 10.0
log = logging.getLogger(__name__)
CopiedDays = Mapping[str, Collection[str]]
"""The days that are in the archive of the mirror, by subfolder."""


def live_path(system_id: str, name: str = "") -> str:
    """Return the path in the mirror of the live copy of the file *name*."""
    return f"{LIVE}/{system_id}/{name}".rstrip("/")


@dataclass(frozen=True, eq=False, repr=False)
class LivePush:
    """Copies the open days of a system in *data* to *store*.

    *foreign_slots* returns the slots in the ledger of an untrusted folder; without
    one, those in its daily files.
    """

    store: ObjectStore
    data: Path
    system_id: str
    clock: Callable[[], float]
    foreign_slots: Callable[[Path], Collection[int]]

    def run(self) -> MirrorStep:
        """Copy changed files; return the step with the number of bytes sent.

        Raises MirrorError if the mirror cannot be used, StorageError if a file cannot
        be read or the mirror has slots of another machine.
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
        self._check_other_machine(folder, objects, record)
        size = 0
        copied = {part: self._copied_days(part, layout) for part, _, layout in PARTS}
        ledgers = [name for name in self._ledgers() if self._back_up(name, folder)]
        for name in (*self._files(copied), *ledgers):
            copy = folder / name
            if name not in ledgers and not self._copy_file(name, copy):
                continue
            path = live_path(self.system_id, name)
            size += self._send(path, copy, objects.get(path), record)
        self._empty_archived(objects, record, copied)
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
        except (sqlite3.Error, UnicodeDecodeError) as error:
            what = f"cannot copy {path} to {target}: {error}"
            if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_FULL:
                what += "; if it is damaged, the next fetch rebuilds it"
            raise StorageError(what) from error
        return True

    def _copy_file(self, name: str, target: Path) -> bool:
        """Copy a file that may grow meanwhile; return whether it exists."""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(self.data / self.system_id / name, target)
        except FileNotFoundError:
            return False
        return True

    def _send(
        self, path: str, copy: Path, stored: StoredObject | None, record: MirrorRecord
    ) -> int:
        """Send *copy* unless *stored* has its content; return the bytes sent."""
        sha256 = sha256_of(copy)
        if record.has(stored, sha256):
            return 0
        is_csv = path.endswith(".csv")
        if is_csv and stored is not None and not self._is_grown(copy, stored, record):
            theirs = self.store.digest(path)
            self.store.copy(path, replaced_path(path, theirs))
        record.add(self.store.write(path, copy, sha256), sha256)
        return copy.stat().st_size

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

    def _empty_archived(
        self,
        objects: dict[str, StoredObject],
        record: MirrorRecord,
        copied: CopiedDays,
    ) -> None:
        for subfolder, daily, layout in PARTS:
            days = copied[subfolder]
            place = f"{live_path(self.system_id, f'{subfolder}{daily}')}/"
            for path, stored in objects.items():
                day = path.removeprefix(place)[:10]
                is_done = path.startswith(place) and stored.size and day in days
                if is_done and self._has_day(layout, day):
                    record.add(self.store.write(path, b"", EMPTY), EMPTY)

    def _has_day(self, layout: DatasetLayout, day: str) -> bool:
        """Return whether the mirror has *day*; it may be older than the record."""
        folder = certificates_of(layout, self.system_id)
        return self.store.find(f"{folder}/{day}.json") is not None

    def _check_other_machine(
        self, folder: Path, objects: dict[str, StoredObject], record: MirrorRecord
    ) -> None:
        """Raise StorageError if a ledger in the mirror has slots that we lack.

        Another machine sent it, or this one before its data were lost.
        """
        for subfolder, daily, _ in PARTS:
            path = live_path(self.system_id, f"{subfolder}{LEDGER}")
            stored = objects.get(path)
            if stored is not None and not record.has(
                stored, record.copied_sha256(path)
            ):
                place = live_path(self.system_id, f"{subfolder}{daily}")
                files = [file for file in objects if file.startswith(f"{place}/")]
                theirs = self._slots_there(folder / daily, path, files)
                self._check_slots(set(theirs), subfolder)

    def _slots_there(
        self, folder: Path, ledger: str, files: Collection[str]
    ) -> Collection[int]:
        """Return the slots of the *ledger* in the mirror, or of its daily *files*.

        The files are read if the ledger is damaged there.
        """
        folder.mkdir()
        self.store.download(ledger, folder / LEDGER)
        try:
            return self.foreign_slots(folder)
        except StorageError:
            what = "is damaged; the daily files there are compared"
            log.warning("%s/%s %s", self.store.address, ledger, what)
        (folder / LEDGER).unlink()
        (folder / folder.name).mkdir()
        for file in files:
            self.store.download(file, folder / folder.name / file.rpartition("/")[2])
        return self.foreign_slots(folder)

    def _check_slots(self, theirs: Collection[int], subfolder: str) -> None:
        """Raise StorageError if slots of *theirs* are missing here."""
        history = History(self.system_id, self.data / self.system_id / subfolder)
        ours = {slot for (slot,) in history.select("SELECT slot FROM blocks")}
        if missing := len(set(theirs) - ours):
            slots = f"{missing} slots{' of vehicles' if subfolder else ''}"
            needs = " (it needs `vehicles = true`)" if subfolder else ""
            raise StorageError(
                f"the live copy in the mirror has {slots} that are missing "
                f"here; run: bikecollect backfill {self.system_id} --from "
                f"{self.store.address}{needs}; {OTHER_HOST}"
            )


@dataclass(frozen=True, eq=False, repr=False)
class LiveDownload:
    """Downloads the open days of a system from *store* to the data folder *folder*.

    Its list of stations is one of the `OtherLists`. If *vehicles*, the daily files and
    the ledger of its vehicles are included.
    """

    store: ObjectStore
    folder: Path
    system_id: str
    vehicles: bool

    def run(self) -> int:
        """Bring the files up to date; return their number."""
        place = f"{live_path(self.system_id)}/"
        names = {
            stored.path.removeprefix(place)
            for stored in self.store.list(live_path(self.system_id))
            if stored.size
        }
        own = self.folder / self.system_id
        wanted: list[str] = []
        with writing_to(own):
            for subfolder, daily, _ in PARTS if self.vehicles else PARTS[:1]:
                part = self._names(names, subfolder)
                self._remove_others(own / subfolder, daily, part)
                wanted += part
            # The ledger first: the daily files can only grow meanwhile.
            for name in reversed(wanted):
                with replacing(own / name) as new:
                    self.store.download(f"{place}{name}", new)
        return len(wanted)

    @staticmethod
    def _names(names: Collection[str], subfolder: str) -> list[str]:
        """Return which of *names* are those of stations, or of the vehicles."""
        part = {n.removeprefix(subfolder) for n in names if n.startswith(subfolder)}
        files = [name for name in sorted(part) if is_segment(name)]
        files += [name for name in (FACTS, LEDGER) if name in part]
        return [f"{subfolder}{name}" for name in files]

    def _remove_others(self, folder: Path, daily: str, wanted: list[str]) -> None:
        """Create the folder of daily files; remove files that the mirror lacks."""
        (folder / daily).mkdir(parents=True, exist_ok=True)
        own = self.folder / self.system_id
        unfinished = folder.glob(f"*{NEW}")
        for path in (*(folder / daily).iterdir(), folder / LEDGER, *unfinished):
            if str(path.relative_to(own)) not in wanted and not is_being_written(path):
                path.unlink(missing_ok=True)
