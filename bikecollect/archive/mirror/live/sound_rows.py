"""Daily files that are damaged here: rows that are sound in the mirror stay there."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bikecollect.archive.mirror.live.live_paths import live_path
from bikecollect.archive.mirror.record import MirrorRecord
from bikecollect.archive.mirror.store.object_store import ObjectStore, StoredObject
from bikecollect.core.blocks import Span
from bikecollect.core.errors import StorageError
from bikecollect.core.text import count_of
from bikecollect.storage.csv_store import Store, is_segment
from bikecollect.storage.data_folder import VEHICLES
from bikecollect.storage.files.regular_file import sha256_of
from bikecollect.storage.ledger_reader import History

SPANS = (
    "SELECT file, 0, min(start), (SELECT header FROM files AS f WHERE f.file = b.file)"
    " FROM main.blocks AS b WHERE file = ?1 GROUP BY file UNION ALL"
    ' SELECT file, start, "end", crc32 FROM main.blocks WHERE file = ?1'
)
"""The first line of a file, and its blocks."""
DAMAGED = "damaged"


@dataclass(eq=False, repr=False)
class SoundRows:
    """Puts sound rows of the mirror into copies of daily files that are damaged here.

    *folder* has the copies of files and ledgers of *system_id* in *data* that are to be
    sent to *store*; *objects* are there, *record* is that of earlier copies.
    """

    store: ObjectStore
    data: Path
    system_id: str
    folder: Path
    objects: Mapping[str, StoredObject]
    record: MirrorRecord
    sums: dict[str, str] = field(default_factory=dict)
    """The sha256 of each damaged file, as it is here."""

    def mend(self, names: Sequence[str]) -> list[str]:
        """Mend the copies of those of *names* that are damaged; return what to send.

        What was mended before is there already, if neither side has changed since.
        """
        known = []
        for name in names:
            if damaged := self._damaged(name):
                self.sums[name] = sha256_of(self.folder / name)
                stored = self.objects.get(live_path(self.system_id, name))
                if stored is not None and self._is_mended(name, stored):
                    known.append(name)
                else:
                    self._mend(name, damaged)
        return [name for name in names if name not in known]

    def end(self) -> None:
        """Remember what was sent; raises StorageError if a file was damaged."""
        for name, sha256 in self.sums.items():
            self.record.add(self._mark(name), sha256)
        if self.sums:
            first, *others = sorted(self.sums)
            more = f" and {count_of(len(others), 'more file')}" if others else ""
            raise StorageError(
                f"damaged rows in {first}{more}; where the mirror has them undamaged, "
                "it keeps them; all else was copied; run: bikecollect verify --repair "
                f"{self.system_id}"
            )

    def _damaged(self, name: str) -> Sequence[Span]:
        """Return the damaged parts of the copy of *name*, if that is a daily file.

        What a repair has moved since the ledger was copied is not damaged.
        """
        part, file = _part(name)
        copy, spans = Store(self.folder / part), self._spans(self.folder / part, file)
        found = [span for span in spans if copy.crc(span) != span.crc]
        own = self.data / self.system_id / part
        now = set(self._spans(own, file)) if found else set()
        return [span for span in found if span in now]

    def _mend(self, name: str, damaged: Sequence[Span]) -> None:
        """Replace *damaged* parts of the copy of *name* by sound ones.

        They are read once more here, behind a bad sector, and then from the mirror.
        """
        part, _ = _part(name)
        path = live_path(self.system_id, name)
        theirs = self.folder / DAMAGED / name
        theirs.parent.mkdir(parents=True, exist_ok=True)
        if path in self.objects:
            self.store.download(path, theirs)
        places = (self.data / self.system_id / part, self.folder / DAMAGED / part)
        with (self.folder / name).open("r+b") as copy:
            for span in damaged:
                for text in (Store(place).text(span) for place in places):
                    if zlib.crc32(text) == span.crc:
                        copy.seek(span.start)
                        copy.write(text)

    def _is_mended(self, name: str, stored: StoredObject) -> bool:
        is_known = self.record.has(stored, self.record.copied_sha256(stored.path))
        before = self.record.copied_sha256(self._mark(name).path)
        return is_known and before == self.sums[name]

    def _mark(self, name: str) -> StoredObject:
        """Return the entry of the record for the damaged file *name*."""
        return StoredObject(f"{live_path(self.system_id, name)}#{DAMAGED}", 0, "")

    def _spans(self, place: Path, file: str) -> list[Span]:
        if not is_segment(file):
            return []
        rows = History(self.system_id, place).select(SPANS, file)
        return [Span(*row) for row in rows if row[-1] is not None]


def is_daily(name: str) -> bool:
    """Return whether *name*, in the folder of a system, is a daily file."""
    return is_segment(_part(name)[1])


def _part(name: str) -> tuple[str, str]:
    """Return the subfolder of *name*, and its name there."""
    file = name.removeprefix(f"{VEHICLES}/")
    return name.removesuffix(file), file
