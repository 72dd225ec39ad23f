"""A local copy of the files of a mirror that commands need, verified on arrival.

The copy has the layout of a data folder. Only files that are new in the mirror are
downloaded; each must have the sha256 that its certificate lists.
"""

import hashlib
import logging
import os
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from bikecollect.archive.checks.file_sums import known_sha256
from bikecollect.archive.datasets import LAYOUTS, DatasetLayout
from bikecollect.archive.mirror.certified import (
    CertifiedDay,
    CertifiedPart,
    certificates_of,
    parse,
)
from bikecollect.archive.mirror.record import LIVE, MirrorRecord, replaced_path
from bikecollect.archive.mirror.store.object_store import ObjectStore, StoredObject
from bikecollect.archive.parts import damage_of_file, is_day
from bikecollect.core.errors import (
    MirrorDenied,
    MirrorError,
    MirrorUnavailable,
    StorageError,
)
from bikecollect.storage.data_folder import ARCHIVE, INFORMATION, MARKER
from bikecollect.storage.files import marker
from bikecollect.storage.files.durable import make_folder
from bikecollect.storage.files.regular_file import sha256_of

AT_ONCE = 8
NEW, LONG = ".new", 3_600
"""The end of the names of files that are being downloaded, and their age in seconds
from which they are left over."""

MAX_LISTS, MAX_BYTES = 100, 256 << 20
"""Maximum lists that are downloaded, and maximum bytes of one."""
log = logging.getLogger(__name__)


def copy_folder(cache: Path, address: str) -> Path:
    """Return the folder in *cache* for the copy of the mirror at *address*."""
    return cache / "mirror" / f"{zlib.crc32(address.encode()):08x}"


@dataclass(frozen=True, eq=False, repr=False)
class MirrorDownload:
    """Downloads the archived days of a system from *store* into *folder*.

    If *skips_damaged*, a damaged file or certificate is reported and left out.
    """

    store: ObjectStore
    folder: Path
    system_id: str
    interrupted: Callable[[], None] = lambda: None
    skips_damaged: bool = False

    def run(self, datasets: Collection[str]) -> int:
        """Bring the files of *datasets* up to date; return the number of days.

        Raises MirrorError if a file does not match its certificate.
        """
        with writing_to(self.folder):
            make_folder(self.folder)
            self.folder.chmod(0o700)
            record = MirrorRecord(self.folder, self.system_id, str(self.store.address))
            try:
                days = sum(self._layout(lay, datasets, record) for lay in LAYOUTS)
                text = marker.text_of(self.system_id)
                _replace(self.folder / self.system_id / MARKER, text)
                self._stations(record)
            finally:
                record.save()
        return days

    def _layout(
        self, layout: DatasetLayout, datasets: Collection[str], record: MirrorRecord
    ) -> int:
        wanted = [name for name in layout.datasets if name in datasets]
        if not wanted:
            return 0
        days = list(self._days(layout, record))
        objects = {
            stored.path: stored
            for dataset in wanted
            for stored in self.store.list(
                f"{ARCHIVE}/{dataset}/system_id={self.system_id}"
            )
        }
        parts = {
            path: part
            for day in days
            for path, part in day.parts.items()
            if path.split("/")[1] in wanted
        }
        for dataset in wanted:
            self._remove_others(dataset, parts)
        self._parts(parts, objects, record)
        return len(days)

    def _parts(
        self,
        parts: Mapping[str, CertifiedPart],
        objects: Mapping[str, StoredObject],
        record: MirrorRecord,
    ) -> None:
        """Download *parts*, some at a time; stop at the first error."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            todo = [
                pool.submit(self._part, path, part, objects.get(path), record)
                for path, part in parts.items()
            ]
            try:
                for future in todo:
                    self.interrupted()
                    with self._skipping():
                        future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _days(
        self, layout: DatasetLayout, record: MirrorRecord
    ) -> Iterator[CertifiedDay]:
        """Yield the days that are complete in the mirror."""
        listed = list(self.store.list(certificates_of(layout, self.system_id)))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            texts = pool.map(lambda stored: self._certificate(stored, record), listed)
            for stored, text in zip(listed, texts, strict=True):
                path = PurePosixPath(stored.path)
                if text is None or path.suffix != ".json" or not is_day(path.stem):
                    continue
                day: CertifiedDay | None = None
                with self._skipping():
                    day = self._parsed(layout, stored.path, text)
                if day is not None:
                    yield day

    def _parsed(self, layout: DatasetLayout, path: str, text: bytes) -> CertifiedDay:
        """Return the day of the certificate *text* at *path*; raises MirrorError."""
        try:
            return parse(layout, self.system_id, path, text)
        except StorageError as error:
            what = f"the certificate {self.store.address}/{path} is invalid"
            raise MirrorError(f"{what}; run: bikecollect verify --mirror") from error

    @contextmanager
    def _skipping(self) -> Iterator[None]:
        """Log that a file is damaged, if such files are skipped."""
        try:
            yield
        except (MirrorUnavailable, MirrorDenied):
            raise
        except MirrorError as error:
            if not self.skips_damaged:
                raise
            log.warning("%s", error)

    def _certificate(self, stored: StoredObject, record: MirrorRecord) -> bytes | None:
        local = self._local(stored.path)
        if local.exists():
            text = local.read_bytes()
            if record.has(stored, hashlib.sha256(text).hexdigest()):
                return text
        new = self.store.read(stored.path)
        if new is not None:
            _replace(local, new)
            record.add(stored, hashlib.sha256(new).hexdigest())
        return new

    def _part(
        self,
        path: str,
        part: CertifiedPart,
        stored: StoredObject | None,
        record: MirrorRecord,
    ) -> None:
        local = self._local(path)
        is_known = record.has(stored, part.sha256)
        if is_known and not damage_of_file(local, part.sha256, known_sha256):
            return
        if stored is None:
            raise MirrorError(
                f"{self.store.address}/{path} is missing; run on the machine that "
                "collects: bikecollect push"
            )
        make_folder(local.parent)
        with replacing(local) as new:
            if not self._is_received(path, part.sha256, new):
                raise MirrorError(
                    f"{self.store.address}/{path}: sha256 mismatch; run on the machine "
                    "that collects: bikecollect verify --mirror"
                )
        record.add(stored, part.sha256)

    def _is_received(self, path: str, sha256: str, target: Path) -> bool:
        """Write the content *sha256* of *path* to *target*; return whether it is there.

        A `push` that is active, or was killed, replaces files before the certificate:
        until then the day is complete with the replaced ones.
        """
        earlier = replaced_path(path, sha256)
        return self.store.download(path, target) == sha256 or (
            self.store.find(earlier) is not None
            and self.store.download(earlier, target) == sha256
        )

    def _remove_others(self, dataset: str, parts: Collection[str]) -> None:
        """Remove local files of *dataset* whose days are not in the mirror."""
        place = f"{ARCHIVE}/{dataset}/system_id={self.system_id}"
        for path in (self.folder / place).glob("date=*/*"):
            is_wanted = str(path.relative_to(self.folder)) in parts
            if not is_wanted and not is_being_written(path):
                path.unlink(missing_ok=True)

    def _stations(self, record: MirrorRecord) -> None:
        path = f"{self.system_id}/{INFORMATION}"
        stored = self.store.find(path)
        if stored is None:
            return
        local = self._local(path)
        if local.exists() and record.has(stored, sha256_of(local)):
            return
        text = self.store.read(path) or b""
        _replace(local, text)
        record.add(stored, hashlib.sha256(text).hexdigest())

    def _local(self, path: str) -> Path:
        """Return the local path of the object at *path*, which is untrusted."""
        if ".." in path.split("/") or path.startswith("/"):
            raise MirrorError(f"the mirror has an impossible path: {path!r:.99}")
        return self.folder / path


@dataclass(frozen=True, eq=False, repr=False)
class OtherLists:
    """Downloads further lists of the stations of a system from *store* to *folder*.

    These are the live list and replaced lists: another machine may have begun a new
    list before the history of a lost machine was restored.
    """

    store: ObjectStore
    folder: Path
    system_id: str

    def run(self) -> None:
        """Bring the files up to date; raises StorageError."""
        with writing_to(self.folder):
            make_folder(self.folder)
            wanted = {self._download(stored) for stored in self._objects()}
            for path in self.folder.iterdir():
                if path.name not in wanted and not is_being_written(path):
                    path.unlink(missing_ok=True)

    def _objects(self) -> Iterator[StoredObject]:
        live = f"{LIVE}/{self.system_id}/{INFORMATION}"
        if stored := self.store.find(live):
            yield stored
        for path in (f"{self.system_id}/{INFORMATION}", live):
            replaced = self.store.list(replaced_path(path, "").rstrip("/"))
            small = (stored for stored in replaced if stored.size <= MAX_BYTES)
            yield from islice(small, MAX_LISTS)

    def _download(self, stored: StoredObject) -> str:
        """Download a list under a name of its kind and content; return the name."""
        kind = stored.path.partition("/")[0]
        name = f"{kind}-{zlib.crc32(f'{stored.path} {stored.tag}'.encode()):08x}.csv"
        path = self.folder / name
        if not path.is_file():
            with replacing(path) as new:
                self.store.download(stored.path, new)
        return name


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path for the new content of *path*; move it there at the end."""
    new = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}{NEW}")
    try:
        yield new
        new.rename(path)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Raise StorageError for an OSError that names a file in *folder*, or none."""
    try:
        yield
    except OSError as error:
        what = f"cannot write {error.filename or folder}"
        raise StorageError(f"{what}: {error.strerror}") from error


def is_being_written(path: Path) -> bool:
    """Return whether another call may be downloading *path*."""
    with suppress(FileNotFoundError):
        return path.name.endswith(NEW) and time.time() - path.stat().st_mtime < LONG
    return False


def _replace(path: Path, data: bytes) -> None:
    make_folder(path.parent)
    with replacing(path) as new:
        new.write_bytes(data)
