"""Remove lost blocks or a run from the ledger, and leave a note of it there."""

import errno
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from bikecollect.core.blocks import Block, day_of_file
from bikecollect.core.errors import StorageError, UsageError
from bikecollect.core.incidents import EARLIER
from bikecollect.core.slots import iso
from bikecollect.core.text import count_of
from bikecollect.storage.csv_store import LOST, Store, is_segment
from bikecollect.storage.data_folder import MARKER, STATUS, SystemFolder
from bikecollect.storage.files import marker
from bikecollect.storage.files.durable import sync_folder
from bikecollect.storage.files.regular_file import read_plain, sha256_of
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.ledger_schema import GONE, file_day, store_notes
from bikecollect.storage.repair import FORGOTTEN, PARTS, Forgotten, forgotten_items
from bikecollect.storage.repair.archived_rows import part_of
from bikecollect.storage.repair.repairer import BLOCKS, Repairer
from bikecollect.storage.runs import packed

NOTES = f"SELECT key FROM memory WHERE key GLOB '{FORGOTTEN}*'"
ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
OF_DAY = f"SELECT DISTINCT file FROM main.blocks WHERE {file_day()} = ?"


def forgotten(history: History) -> Iterator[Forgotten]:
    """Return what the notes in the ledger of *history* say; raises StorageError."""
    return forgotten_items(key for (key,) in history.select(NOTES))


def note_of(values: Mapping[str, object], when: float, zone: tzinfo) -> dict[str, str]:
    """Return the note of a loss, by its key: *values* have `what` is forgotten."""
    text = json.dumps({"at": iso(when, zone), **values})
    return {f"{FORGOTTEN}{int(when)}.{values['what']}": text}


@dataclass(frozen=True, eq=False, repr=False)
class Forgetter:
    """Removes what is irrecoverably lost from the *ledger* of *system*.

    It is that of its stations, or of its vehicles, whose *folder* has the daily files;
    the *archive* has the *certificates* of their days in a folder of that name. Nothing
    that can still be read is removed. Requires the lock and an open ledger. Every
    method raises StorageError.
    """

    system: SystemFolder
    folder: Path
    archive: Path
    certificates: str
    store: Store
    ledger: Ledger
    clock: Callable[[], float]

    def check(self, item: str) -> None:
        """Raise UsageError if there is nothing called *item*, or if it is not lost."""
        if _is_run(item):
            self._check_run(item)
        else:
            self._lost_blocks(item)

    def forget(self, item: str, reason: str) -> str:
        """Forget a day, a daily file or a run; return a message on what was forgotten.

        Or all `EARLIER` data. Raises UsageError if there is nothing of that name, or if
        it is not lost.
        """
        if item == EARLIER:
            return self._accept_gone(reason)
        if _is_run(item):
            return self._forget_run(item, reason)
        return self._forget_blocks(item, self._lost_blocks(item), reason)

    def _accept_gone(self, reason: str) -> str:
        """Accept that the earlier data are gone; raises UsageError if they are not."""
        path = self.folder / MARKER
        lost = marker.lost_by(path)
        if lost is None:
            raise UsageError(f"cannot forget {EARLIER}: the folder was not begun anew")
        self.ledger.remember(self._note(EARLIER, reason, 0, 0))
        marker.accept(path)
        first, end = (iso(slot, self.system.zone) for slot in (lost.first, lost.end))
        what = f"the data from {first} to" if lost.first else "all data"
        return f"the loss of {what} before {end} is accepted"

    def _lost_blocks(self, item: str) -> Sequence[Block]:
        """Return the lost blocks of a day or a file; raises UsageError if none is.

        They are empty if the ledger has no block of an archived day that is lost.
        """
        files = [item]
        if not is_segment(item):
            files = [file for (file,) in self.ledger.all(OF_DAY, item)]
        blocks: list[Block] = []
        lost: list[Block] = []
        for file in files:
            own = [Block.from_row(row) for row in self.ledger.all(BLOCKS, file)]
            blocks += own
            lost += self._lost_of(file, own)
        if lost or (
            not blocks and self._is_certified(item) and self._is_day_lost(item)
        ):
            return lost
        has_rows = blocks or self._is_certified(item)
        text = "its rows can be read" if has_rows else "the ledger has no block of it"
        raise UsageError(f"cannot forget {item}: {text}")

    def _forget_blocks(self, item: str, lost: Sequence[Block], reason: str) -> str:
        slots = [block.slot for block in lost]
        days = {block.span.day for block in lost} or {item}
        lost_days = [day for day in sorted(days) if self._is_day_lost(day)]
        note = self._note(item, reason, len(slots), sum(b.rows for b in lost))
        with self.ledger.transaction() as db:
            store_notes(db, note)
            db.executemany("DELETE FROM blocks WHERE slot = ?", ((s,) for s in slots))
            for file in {block.span.file for block in lost}:
                left = db.execute("SELECT 1 FROM blocks WHERE file = ?", (file,))
                if not left.fetchone() and file not in self.store.sizes():
                    db.execute("DELETE FROM files WHERE file = ?", (file,))
            for day in lost_days:
                db.execute("DELETE FROM archives WHERE day = ?", (day,))
                self._revoke_certificate(day)
        for _ in self._repairer.run():
            pass
        if not slots:
            return f"{item}: forgotten; the ledger had no slots of it"
        zone = self.system.zone
        first, last = (iso(slot, zone) for slot in (min(slots), max(slots)))
        span = first if first == last else f"{first} to {last}"
        return f"{item}: {count_of(len(slots), 'lost slot')} forgotten ({span})"

    def _lost_of(self, file: str, blocks: Sequence[Block]) -> Sequence[Block]:
        """Return those of the *blocks* of *file* whose rows are lost.

        A block without rows is lost with its place in the file.
        """
        sql = "SELECT damaged FROM files WHERE file = ?"
        if self.ledger.all(sql, file) == [(GONE,)]:
            return blocks if self._is_day_lost(day_of_file(file)) else []
        size = self.store.sizes().get(file, 0)
        empty = [b for b in blocks if b.span.start == b.span.end]
        lost = [b for b in empty if size < b.span.end]
        return [*lost, *self._repairer.lost([b for b in blocks if b not in empty])]

    @property
    def _repairer(self) -> Repairer:
        aside = self.system.rejected
        return Repairer(self.folder, self.store, self.ledger, aside)

    def _is_day_lost(self, day: str) -> bool:
        """Return whether the archive has no valid rows of *day*, by their checksum.

        Raises StorageError if that is unknown: this user may not read them.
        """
        dataset = self.store.dataset
        path = part_of(self.archive, dataset, self.system.system_id, day)
        rows = self.ledger.all(PARTS, day)
        try:
            digest = sha256_of(path)
        except OSError as error:
            if isinstance(error, ABSENT) or error.errno in (*LOST, errno.EINVAL):
                return True
            text = f"cannot read {path}: {error.strerror}; nothing is forgotten"
            raise StorageError(text, cause="archive") from error
        certified = set()
        for text in (*(text for (text,) in rows), self._certified_parts(day)):
            with suppress(ValueError, KeyError, TypeError):
                certified.add(json.loads(text)[dataset]["sha256"])
        return digest not in certified if certified else bool(rows)

    def _certificate(self, day: str) -> Path:
        folder = self.archive / self.certificates
        return folder / f"system_id={self.system.system_id}" / f"{day}.json"

    def _certified_parts(self, day: str) -> str:
        """Return the files in the certificate of *day*, empty if it cannot be read."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            values = json.loads(read_plain(self._certificate(day)))
            return json.dumps(values["parts"])
        return ""

    def _is_certified(self, day: str) -> bool:
        return self._certificate(day).exists()

    def _revoke_certificate(self, day: str) -> None:
        """Rename the certificate of *day*: `compact` would restore the day from it."""
        path = self._certificate(day)
        with suppress(FileNotFoundError):
            path.rename(path.with_suffix(".forgotten"))
            sync_folder(path.parent)

    def _check_run(self, run_id: str) -> None:
        if not (self.ledger.has_run(run_id) or self._is_packed(run_id)):
            raise UsageError(
                f'cannot forget "{run_id}": not a day (2026-11-22), a daily file '
                f"({STATUS}/2026-11-22.csv) or the id of a run"
            )
        if self.ledger.all("SELECT 1 FROM blocks WHERE run_id = ?", run_id):
            raise UsageError(f"cannot forget the run {run_id}: its rows can be read")

    def _forget_run(self, run_id: str, reason: str) -> str:
        self._check_run(run_id)
        with self.ledger.transaction() as db:
            store_notes(db, self._note(run_id, reason, 1, 0))
            db.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
            packed.remove(db, run_id)
        return f"run {run_id} forgotten"

    def _is_packed(self, run_id: str) -> bool:
        with self.ledger.translated():
            return bool(packed.find(self.ledger.opened(), run_id)[0])

    def _note(self, item: str, reason: str, slots: int, rows: int) -> dict[str, str]:
        values = {"what": item, "slots": slots, "rows": rows, "reason": reason}
        return note_of(values, self.clock(), self.system.zone)


def _is_run(item: str) -> bool:
    return not (is_segment(item) or is_segment(f"{STATUS}/{item}.csv"))
