"""What the live copy in the mirror has, and this machine has not: it is kept there.

Another machine has sent it, or this one before its data were lost.
"""

import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from bikecollect.archive.mirror.live.live_paths import PARTS, live_path
from bikecollect.archive.mirror.push import OTHER_HOST
from bikecollect.archive.mirror.record import MirrorRecord
from bikecollect.archive.mirror.store.object_store import ObjectStore, StoredObject
from bikecollect.archive.parts import is_day
from bikecollect.core.errors import StorageError
from bikecollect.core.incidents import EARLIER
from bikecollect.core.slots import bounds
from bikecollect.core.text import count_of
from bikecollect.storage.data_folder import LEDGER
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.repair.forget import forgotten

COMPARED = "compared"
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, repr=False)
class MissingHere:
    """Finds slots of *system_id* in the live copy in *store* that *data* lacks.

    *foreign_slots* returns the slots in the ledger of an untrusted folder; without
    one, those in its daily files; *foreign_machine* the name of the machine that wrote
    that ledger, if it has it. Days are those of *zone*. Slots whose loss was
    accepted (`forget`) are not missing.
    """

    store: ObjectStore
    data: Path
    system_id: str
    foreign_slots: Callable[[Path], Collection[int]]
    foreign_machine: Callable[[Path], str]
    zone: tzinfo

    def check(
        self,
        folder: Path,
        objects: Mapping[str, StoredObject],
        record: MirrorRecord,
        is_less: Callable[[str], bool],
    ) -> None:
        """Raise StorageError if slots in the mirror are missing here.

        They are read if its ledger is not the one that we sent last, or if a file
        there *is_less* here: it does not begin with what is there. *folder* is for
        temporary files.
        """
        for subfolder, daily, _ in PARTS:
            place = live_path(self.system_id, f"{subfolder}{daily}")
            path = live_path(self.system_id, f"{subfolder}{LEDGER}")
            files = [file for file in objects if file.startswith(f"{place}/")]
            ledger = objects.get(path)
            is_ours = ledger is None or record.has(ledger, record.copied_sha256(path))
            doubted = [
                objects[name]
                for name in (*files, *([path] if ledger else []))
                if not record.has(_compared(objects[name]), COMPARED) and is_less(name)
            ]
            if is_ours and not doubted:
                continue
            if ledger or files:
                theirs = self._slots_there(folder / daily, ledger, files)
                machine = self.foreign_machine(folder / daily)
                self._check_slots(set(theirs), subfolder, machine)
            for stored in doubted:  # they may stay there for ever
                record.add(_compared(stored), COMPARED)

    def check_archived(self, folder: Path, objects: Mapping[str, StoredObject]) -> None:
        """Raise StorageError if daily files among *objects* have slots missing here.

        They are those of archived days, which are to be emptied. See `check`.
        """
        full = [path for path, stored in objects.items() if stored.size]
        for subfolder, daily, _ in PARTS:
            place = live_path(self.system_id, f"{subfolder}{daily}")
            files = [path for path in full if path.startswith(f"{place}/")]
            if files:
                theirs = self._slots_there(folder / subfolder / daily, None, files)
                self._check_slots(theirs, subfolder)

    def _slots_there(
        self, folder: Path, ledger: StoredObject | None, files: Collection[str]
    ) -> Collection[int]:
        """Return the slots of the *ledger* in the mirror, or of its daily *files*.

        The files are read if the ledger is missing or damaged there.
        """
        folder.mkdir(parents=True)
        if ledger is not None:
            self.store.download(ledger.path, folder / LEDGER)
            try:
                return self.foreign_slots(folder)
            except StorageError:
                what = "is damaged; the daily files there are compared"
                log.warning("%s/%s %s", self.store.address, ledger.path, what)
            (folder / LEDGER).unlink()
        (folder / folder.name).mkdir()
        for file in files:
            self.store.download(file, folder / folder.name / file.rpartition("/")[2])
        return self.foreign_slots(folder)

    def _check_slots(
        self, theirs: Collection[int], subfolder: str, machine: str = ""
    ) -> None:
        """Raise StorageError if slots of *theirs* are missing here.

        If they are of another *machine*, filling them from there might be wrong.
        """
        history = History(self.system_id, self.data / self.system_id / subfolder)
        ours = {slot for (slot,) in history.select("SELECT slot FROM blocks")}
        accepted = list(self._accepted(subfolder))
        missing = sorted(
            slot
            for slot in set(theirs) - ours
            if not any(begin <= slot < end for begin, end in accepted)
        )
        if missing:
            slots = count_of(len(missing), "slot")
            are = "is" if len(missing) == 1 else "are"
            of = " of vehicles" if subfolder else ""
            needs = " (it needs `vehicles = true`)" if subfolder else ""
            problem = f"has {slots}{of} that {are} missing here"
            remedy = (
                f"run: bikecollect backfill {self.system_id} --from "
                f"{self.store.address}{needs}"
            )
            if machine in {"", own := os.uname().nodename}:
                text = f"the live copy in the mirror {problem}; {remedy}; {OTHER_HOST}"
            else:
                text = (
                    f"the live copy in the mirror is of another machine, {machine} "
                    f"(this is {own}), and {problem}; if {machine} still collects, "
                    f"give each machine a prefix of its own in [archive]; else {remedy}"
                )
            raise StorageError(text)

    def _accepted(self, subfolder: str) -> Iterator[tuple[int, int]]:
        """Yield the beginning and the end of each span whose loss was accepted."""
        for place in {"", subfolder}:
            history = History(self.system_id, self.data / self.system_id / place)
            for loss in forgotten(history):
                if loss.item == EARLIER:
                    yield 0, int(loss.when)
                elif is_day(loss.day):
                    yield bounds(loss.day, self.zone)


def _compared(stored: StoredObject) -> StoredObject:
    """Return the entry of the record that *stored* was compared with our slots."""
    return stored._replace(path=f"{stored.path}#{COMPARED}")
