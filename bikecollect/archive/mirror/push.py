"""Copy new archived days to the mirror, verified on arrival.

The files of a day are sent before its certificate: a certificate in the mirror means
that the day is complete. Nothing is deleted: an object is copied to ``replaced/``
before it is replaced. The process may be killed at any time: the next call compares and
continues.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bikecollect.archive.checks.known_causes import known_causes
from bikecollect.archive.datasets import LAYOUTS, VEHICLE_LAYOUT, DatasetLayout
from bikecollect.archive.mirror.certified import (
    CertifiedDay,
    CertifiedPart,
    certificates_of,
    folders_of,
    local_certificates,
    local_day,
    parse,
    part_path,
)
from bikecollect.archive.mirror.record import MirrorRecord, replaced_path
from bikecollect.archive.mirror.store.object_store import ObjectStore, StoredObject
from bikecollect.archive.parts import damage_of_file
from bikecollect.core.errors import (
    MirrorDenied,
    MirrorUnavailable,
    StorageError,
)
from bikecollect.core.text import count_of
from bikecollect.storage.data_folder import INFORMATION
from bikecollect.storage.files.scratch import scratch

AT_ONCE = 4
"""Files of a day that are sent at a time."""
SAVE_EVERY = 20
"""Days after which the record is written."""
OTHER_HOST = "if another host copies to the same address, give each its own prefix"
COPIED, REPLACED_DAY, CONFLICT, FAILED = "copied", "replaced", "conflict", "failed"


class MirrorStep(NamedTuple):
    """The work done for *day*: copied, replaced; or *why* not: conflict, failed."""

    system_id: str
    day: str
    what: str
    size: int = 0
    why: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class MirrorPush:
    """Copies the archived days of a system in *data* to *store*.

    *archived* returns the days that the ledger has as archived, and *remedy* what can
    be done for those that are lost here.
    """

    store: ObjectStore
    data: Path
    system_id: str
    clock: Callable[[], float]
    interrupted: Callable[[], None] = lambda: None
    archived: Callable[[DatasetLayout], Collection[str]] = lambda _: ()
    remedy: Callable[[], str] = str

    def run(self) -> Iterator[MirrorStep]:
        """Copy new days; yield a step per day.

        Raises MirrorError if the mirror cannot be used.
        """
        record = MirrorRecord(self.data, self.system_id, str(self.store.address))
        started = self.clock()
        record.state = record.state._replace(tried=started)
        try:
            waiting, last, error_text = 0, "", ""
            for layout in LAYOUTS:
                label = layout.label(self.system_id)
                for step in self._layout(layout, record):
                    is_copied = step.what in {"known", COPIED, REPLACED_DAY}
                    waiting += not is_copied
                    if step.why and not error_text:
                        error_text = f"{step.day}: {step.why}"
                    last = step.day if is_copied and not waiting else last
                    if step.what != "known":
                        yield step._replace(system_id=label)
            self._stations(record)
        except StorageError as error:
            left = max(record.state.waiting, 1)
            record.state = record.state._replace(error=str(error), waiting=left)
            raise
        else:
            succeeded = record.state.succeeded if waiting else started
            record.state = record.state._replace(
                last_day=last, waiting=waiting, succeeded=succeeded, error=error_text
            )
        finally:
            record.save()

    def _layout(
        self, layout: DatasetLayout, record: MirrorRecord
    ) -> Iterator[MirrorStep]:
        """Copy the days of *layout*; yield a step for each, also for known ones."""
        absent = set(self.archived(layout))
        paths = local_certificates(self.data, layout, self.system_id)
        absent -= {Path(path).stem for path in paths}
        if not paths and not absent:
            return
        objects = {
            stored.path: stored
            for folder in folders_of(layout, self.system_id)
            for stored in self.store.list(folder)
        }
        count = 0
        for path in paths:
            self.interrupted()
            try:
                day = local_day(self.data, layout, self.system_id, path)
            except StorageError as error:  # it does not keep other days from the mirror
                name = Path(path).stem
                yield MirrorStep(self.system_id, name, FAILED, why=str(error))
                continue
            if self._is_known(day, objects, record):
                yield MirrorStep(self.system_id, day.day, "known")
                continue
            yield self._try_day(layout, day, objects, record)
            count += 1
            if count % SAVE_EVERY == 0:
                record.save()
        folder = certificates_of(layout, self.system_id)
        lost = sorted(day for day in absent if f"{folder}/{day}.json" not in objects)
        if lost:
            yield self._lost(lost)

    def _lost(self, days: Sequence[str]) -> MirrorStep:
        """Return the step for *days* that are neither here nor in the mirror."""
        more = f"{len(days)} archived days to {days[-1]} are"
        what = more if len(days) > 1 else "this archived day is"
        why = f"{what} neither there nor here; {self.remedy()}"
        return MirrorStep(self.system_id, days[0], FAILED, why=why)

    def _is_known(
        self, day: CertifiedDay, objects: dict[str, StoredObject], record: MirrorRecord
    ) -> bool:
        sums = {path: part.sha256 for path, part in day.parts.items()}
        sums[day.path] = _sha256(day.text)
        return all(record.has(objects.get(path), s) for path, s in sums.items())

    def _try_day(
        self,
        layout: DatasetLayout,
        day: CertifiedDay,
        objects: dict[str, StoredObject],
        record: MirrorRecord,
    ) -> MirrorStep:
        try:
            return self._day(layout, day, objects, record)
        except (MirrorUnavailable, MirrorDenied):
            raise
        except StorageError as error:
            return MirrorStep(self.system_id, day.day, FAILED, why=str(error))

    def _day(
        self,
        layout: DatasetLayout,
        day: CertifiedDay,
        objects: dict[str, StoredObject],
        record: MirrorRecord,
    ) -> MirrorStep:
        # A list may lag behind: what it lacks can be there all the same.
        text = self.store.read(day.path)
        if text is not None:
            objects = self._with_unlisted(objects, day)
        sha256 = _sha256(day.text)
        theirs = None
        if text is not None and text != day.text:
            # A damaged certificate there is replaced; its bytes are kept aside.
            with suppress(StorageError):
                theirs = parse(layout, self.system_id, day.path, text)
        if theirs is not None:
            is_ours = record.copied_sha256(day.path) == sha256
            why = self._conflict(day, theirs, was_copied=is_ours)
            if why := why or self._poorer(layout, day, theirs):
                return MirrorStep(self.system_id, day.day, CONFLICT, why=why)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            sizes = pool.map(
                lambda item: self._part(item[0], item[1], objects.get(item[0]), record),
                day.parts.items(),
            )
            size = sum(sizes)
        if text != day.text:
            self._keep_aside(objects.get(day.path))
            stored = self.store.write(day.path, day.text, sha256)
            size += len(day.text)
        else:
            stored = objects[day.path]
        record.add(stored, sha256)
        what = COPIED if text is None or text == day.text else REPLACED_DAY
        return MirrorStep(self.system_id, day.day, what if size else "known", size)

    def _conflict(
        self, ours: CertifiedDay, theirs: CertifiedDay, *, was_copied: bool
    ) -> str:
        """Return why the day in the mirror must not be replaced by ours, or "".

        *was_copied* tells whether our certificate was there already: another host has
        replaced it since.
        """
        is_same = ours.summary.sha256 == theirs.summary.sha256
        if is_same and not was_copied:
            return ""  # the same rows, with summaries of another version
        if theirs.summary.slots > ours.summary.slots:
            return (
                f"the mirror has {count_of(theirs.summary.slots, 'slot')} of that day, "
                f"this machine only {ours.summary.slots}; {self._remedy()}"
            )
        if theirs.summary.slots == ours.summary.slots and theirs.made > ours.made:
            return (
                f"the mirror has other {'files' if is_same else 'rows'} of that day, "
                f"archived later; {OTHER_HOST}"
            )
        return ""

    def _poorer(
        self, layout: DatasetLayout, ours: CertifiedDay, theirs: CertifiedDay
    ) -> str:
        """Return why *theirs* is kept although it has no more slots than *ours*, or "".

        It may have causes of missing slots and runs that an earlier machine recorded
        and this one does not know. Raises StorageError if they cannot be compared: then
        the day is kept, too.
        """
        if layout is VEHICLE_LAYOUT or ours.summary.slots > theirs.summary.slots:
            return ""
        paths = {n: part_path(n, self.system_id, ours.day) for n in ("slots", "runs")}
        if all(ours.parts[path] == theirs.parts[path] for path in paths.values()):
            return ""
        with scratch() as folder:
            copies = {name: folder / f"{name}.parquet" for name in paths}
            for name, path in paths.items():
                self._check_local(self.data / path, ours.parts[path].sha256)
                if self.store.find(path) is None:
                    return ""  # missing there
                if self.store.download(path, copies[name]) != theirs.parts[path].sha256:
                    return ""  # damaged there
            here = {name: self.data / path for name, path in paths.items()}
            own = known_causes(here, folder / "spill")
            known = known_causes(copies, folder / "spill")
        if own >= known:
            return ""
        slots = count_of(known.causes, "missing slot")
        return (
            f"the mirror has the causes of {slots} and {count_of(known.runs, 'run')} "
            f"of that day, this machine only {own.causes} and {own.runs}: the mirror's "
            f"day is kept; {self._remedy()}"
        )

    def _remedy(self) -> str:
        """Return how to get what only the mirror's day has."""
        return (
            f"run: bikecollect backfill {self.system_id} --from {self.store.address}, "
            f"then: bikecollect compact; {OTHER_HOST}"
        )

    def _with_unlisted(
        self, objects: dict[str, StoredObject], day: CertifiedDay
    ) -> dict[str, StoredObject]:
        """Return *objects* with those of *day* that were not listed."""
        unlisted = [p for p in (day.path, *day.parts) if p not in objects]
        others = filter(None, map(self.store.find, unlisted))
        return objects | {stored.path: stored for stored in others}

    def _part(
        self,
        path: str,
        part: CertifiedPart,
        stored: StoredObject | None,
        record: MirrorRecord,
    ) -> int:
        """Copy a file unless *stored* has its content; return the bytes sent."""
        if stored is not None and self._is_same(stored, part.sha256, record):
            return 0
        local = self.data / path
        self._check_local(local, part.sha256)
        self._keep_aside(stored)
        record.add(self.store.write(path, local, part.sha256), part.sha256)
        return part.size

    def _is_same(self, stored: StoredObject, sha256: str, record: MirrorRecord) -> bool:
        """Return whether *stored* has the content *sha256*; read it if unknown."""
        if record.has(stored, sha256):
            return True
        if self.store.digest(stored.path) != sha256:
            return False
        record.add(stored, sha256)
        return True

    def _check_local(self, path: Path, sha256: str) -> None:
        """Raise StorageError if the file *path* is damaged: damage is not copied."""
        if damage := damage_of_file(path, sha256):
            raise StorageError(f"{damage}; run: bikecollect verify", cause="archive")

    def _keep_aside(self, stored: StoredObject | None) -> None:
        """Copy *stored*, which will be replaced, to a path named after its content."""
        if stored is not None:
            sha256 = self.store.digest(stored.path)
            self.store.copy(stored.path, replaced_path(stored.path, sha256))

    def _stations(self, record: MirrorRecord) -> None:
        """Copy the list of stations, which only grows; keep a different one aside."""
        local = self.data / self.system_id / INFORMATION
        path = f"{self.system_id}/{INFORMATION}"
        try:
            text = local.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(f"cannot read {local}: {error.strerror}") from error
        sha256, stored = _sha256(text), self.store.find(path)
        if stored is not None:
            if self._is_same(stored, sha256, record):
                return
            known = self.store.read(path) or b""
            if not set(known.splitlines()) <= set(text.splitlines()):
                self._keep_aside(stored)
        record.add(self.store.write(path, text, sha256), sha256)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
