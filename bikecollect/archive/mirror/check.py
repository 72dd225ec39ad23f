"""Verify the mirror: read each object and compare it with its certificate.

What was found damaged is marked in the record of copies: the next `push`, which trusts
it, sends it again.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bikecollect.archive.certificates import Certificate, Finding
from bikecollect.archive.datasets import LAYOUTS, DatasetLayout
from bikecollect.archive.mirror.certified import (
    CertifiedDay,
    certificate_path,
    certificates_of,
    local_certificates,
    local_day,
    parse,
    part_path,
)
from bikecollect.archive.mirror.live.live_paths import live_path
from bikecollect.archive.mirror.record import LIVE, MirrorRecord, live_address
from bikecollect.archive.mirror.store.object_store import ObjectStore, StoredObject
from bikecollect.archive.parts import OTHER_BYTES, is_day
from bikecollect.archive.verify import VerifiedCounts
from bikecollect.core.errors import (
    MirrorDenied,
    MirrorError,
    MirrorUnavailable,
    StorageError,
)
from bikecollect.storage.data_folder import INFORMATION, LEDGER, VEHICLES
from bikecollect.storage.files.regular_file import sha256_of
from bikecollect.storage.files.scratch import scratch
from bikecollect.storage.sqlite.structure import structural_damage

NOT_THERE = "is not in the mirror"
AT_ONCE = 8


@dataclass(frozen=True, eq=False, repr=False)
class MirrorCheck:
    """Compares the days of a system in *store* with those in the folder *data*.

    Days from *since* to before *until* are read; all of them must be in the mirror.
    Without a range, the list of stations and the live copy are read, too. *counts* are
    the numbers of what was read.
    """

    store: ObjectStore
    data: Path
    system_id: str
    since: str = ""
    until: str = "9"
    counts: VerifiedCounts = field(default_factory=VerifiedCounts)

    def run(self) -> Iterator[Finding | Certificate]:
        """Yield a certificate per good day in the mirror, and findings for others."""
        for layout in LAYOUTS:
            ours: dict[str, CertifiedDay | None] = {}
            for path in local_certificates(self.data, layout, self.system_id):
                if self.since <= (name := Path(path).stem) < self.until:
                    ours[name] = None
                    try:
                        ours[name] = local_day(self.data, layout, self.system_id, path)
                    except StorageError as error:
                        yield self._finding(name, str(error))
            theirs = sorted(self._listed(layout))
            for day in sorted(ours.keys() - set(theirs)):
                yield Finding(self.system_id, day, NOT_THERE)
                self._doubt_day(layout, day)
            for day in theirs:
                results = list(self._day(layout, day, ours.get(day)))
                yield from results
                if any(isinstance(result, Finding) for result in results):
                    self._doubt_day(layout, day)
        if (self.since, self.until) == ("", "9"):
            yield from self._others()

    def _listed(self, layout: DatasetLayout) -> Iterator[str]:
        for stored in self.store.list(certificates_of(layout, self.system_id)):
            day = Path(stored.path).stem
            if is_day(day) and self.since <= day < self.until:
                yield day

    def _day(
        self, layout: DatasetLayout, day: str, ours: CertifiedDay | None
    ) -> Iterator[Finding | Certificate]:
        path = certificate_path(layout, self.system_id, day)
        try:
            text = self.store.read(path) or b""
            theirs = parse(layout, self.system_id, path, text)
        except (MirrorUnavailable, MirrorDenied):
            raise
        except StorageError as error:
            is_read = isinstance(error, MirrorError)
            what = f"the certificate {self.store.address}/{path} is invalid"
            yield self._finding(day, str(error) if is_read else what)
            return
        if ours is not None and ours.text != text:
            what = "the mirror has another state of the day than this machine"
            yield self._finding(day, what)
        wrong = list(self._wrong_parts(theirs))
        self.counts.files += 1 + len(theirs.parts)
        yield from (self._finding(day, what) for what in wrong)
        if not wrong:
            self.counts.days += 1
            self.counts.blocks += theirs.summary.slots
            yield Certificate(self.system_id, day, theirs.summary, "mirror")

    def _wrong_parts(self, day: CertifiedDay) -> Iterator[str]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            sums = pool.map(self.store.digest, day.parts)
            for (path, part), sha256 in zip(day.parts.items(), sums, strict=True):
                if not sha256:
                    yield f"{self.store.address}/{path} is missing"
                elif sha256 != part.sha256:
                    yield f"{self.store.address}/{path}{OTHER_BYTES}"

    def _others(self) -> Iterator[Finding]:
        """Yield the list of stations and live files that are not those that were sent.

        Only this machine knows what it sent: nothing is said of other copies.
        """
        stations, live = f"{self.system_id}/{INFORMATION}", live_path(self.system_id)
        # Both are asked for after the record is read: a `push` may send them meanwhile.
        found = filter(None, map(self.store.find, [stations]))
        for address, place, objects in (
            (str(self.store.address), stations, found),
            (live_address(self.store.address), live, self.store.list(live)),
        ):
            record = MirrorRecord(self.data, self.system_id, address)
            listed = [*objects]
            wrong = [s.path for s in listed if self._is_changed(s, record)]
            yield from self._wrong_others(address, wrong, OTHER_BYTES)
            sent = {
                p for p in record.paths() if p == place or p.startswith(f"{place}/")
            }
            lost = sorted(sent - {stored.path for stored in listed})
            lost = [path for path in lost if self._is_missing(path)]
            yield from self._wrong_others(address, lost, " is missing")

    def _wrong_others(
        self, address: str, paths: Sequence[str], what: str
    ) -> Iterator[Finding]:
        for path in paths:
            yield self._finding(path, f"{self.store.address}/{path}{what}")
            self._doubt(address, path)

    def _is_changed(self, stored: StoredObject, record: MirrorRecord) -> bool:
        """Return whether *stored* is not what was sent, nor may be sent just now."""
        sent = record.copied_sha256(stored.path)
        if not sent:
            return False
        self.counts.files += 1
        theirs = self.store.digest(stored.path)
        is_known = record.has(stored, sent)
        if theirs == sent or (not is_known and self._may_be_new(stored, sent, theirs)):
            return False
        return self.store.find(stored.path) == stored

    def _may_be_new(self, stored: StoredObject, sent: str, theirs: str) -> bool:
        """Return whether *stored* may be a later state of what was *sent*.

        A ledger is another one after each run; it must be sound. A daily file grows, or
        it is emptied when its day is in the archive of the mirror.
        """
        if stored.path.endswith(LEDGER):
            return self._is_sound_ledger(stored.path)
        with suppress(OSError):
            if theirs == sha256_of(self._own(stored.path)):
                return True
        if not stored.size:
            return self._has_day(stored.path)
        digest = hashlib.sha256()
        for line in (self.store.read(stored.path) or b"").splitlines(keepends=True):
            if digest.hexdigest() == sent:
                return True
            digest.update(line)
        return False

    def _is_sound_ledger(self, path: str) -> bool:
        with scratch() as folder:
            self.store.download(path, folder / LEDGER)
            try:
                with closing(sqlite3.connect(folder / LEDGER)) as db:
                    return not structural_damage(db)
            except (sqlite3.DatabaseError, UnicodeDecodeError):
                return False

    def _is_missing(self, path: str) -> bool:
        """Return whether a copy at *path* is needed: `push` would send it again."""
        return self._own(path).exists() and not self._has_day(path)

    def _own(self, path: str) -> Path:
        """Return the file that is copied to *path*."""
        return self.data / path.removeprefix(f"{LIVE}/")

    def _has_day(self, path: str) -> bool:
        """Return whether the archive of the mirror has the day of the file *path*."""
        layout, day = LAYOUTS[f"/{VEHICLES}/" in path], Path(path).name[:10]
        certificate = certificate_path(layout, self.system_id, day)
        return is_day(day) and self.store.find(certificate) is not None

    def _doubt_day(self, layout: DatasetLayout, day: str) -> None:
        parts = (part_path(name, self.system_id, day) for name in layout.datasets)
        certificate = certificate_path(layout, self.system_id, day)
        self._doubt(str(self.store.address), certificate, *parts)

    def _doubt(self, address: str, *paths: str) -> None:
        """Mark *paths* as damaged in the record; a reader may not write it."""
        record = MirrorRecord(self.data, self.system_id, address)
        copied = [path for path in paths if record.copied_sha256(path)]
        for path in copied:
            record.doubt(path)
        if copied:
            with suppress(StorageError):
                record.save()

    def _finding(self, day: str, what: str) -> Finding:
        return Finding(self.system_id, day, what)
