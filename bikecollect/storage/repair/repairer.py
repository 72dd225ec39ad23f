"""Repair daily files: rewrite blocks that are proven by their checksums."""

import errno
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.blocks import Block, Span
from bikecollect.core.errors import StorageError
from bikecollect.core.text import csv_text
from bikecollect.storage.csv_format import COLUMNS
from bikecollect.storage.csv_store import LOST, Store, is_header, is_segment
from bikecollect.storage.data_folder import VEHICLE_STATUS
from bikecollect.storage.files.durable import (
    replacing,
    write_all,
)
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_schema import GONE
from bikecollect.storage.repair import Repair
from bikecollect.storage.repair.records import Correction, corrections, misnamed
from bikecollect.storage.repair.respelled import RespelledFile, Sum, sum_of
from bikecollect.storage.vehicles import rows as vehicle_rows

PRESENT = (
    "SELECT b.* FROM main.blocks AS b LEFT JOIN files AS f ON f.file = b.file"
    f" WHERE coalesce(f.damaged, 0) <> {GONE} ORDER BY b.file, b.start"
)
"""The blocks whose files were not removed by `compact`."""
MISNAMED = "main.blocks WHERE file NOT IN (SELECT file FROM files) LIMIT 1"
BLOCKS = "SELECT * FROM main.blocks WHERE file = ? ORDER BY start"
FILES = f'SELECT file, "end", damaged, header FROM files WHERE damaged <> {GONE}'
HEADER = "SELECT header FROM files WHERE file = ?"
UPDATE = 'UPDATE blocks SET start = ?, "end" = ? WHERE slot = ?'
REPLACE = (
    'INSERT OR REPLACE INTO files (file, "end", start, crc32, damaged, header)'
    " VALUES (?, ?, ?, ?, 0, ?)"
)


class _File(NamedTuple):
    """A daily file as recorded in the ledger."""

    name: str
    end: int
    is_damaged: bool
    header_crc: int | None


@dataclass(frozen=True, eq=False, repr=False)
class Repairer:
    """Rewrites the changed daily files of a system's *folder*. Raises StorageError.

    A file is rewritten only if its checksum proves every block that the ledger has in
    it; the changed file is kept in *aside*. Requires the lock and an open ledger.
    """

    folder: Path
    store: Store
    ledger: Ledger
    aside: Path

    def run(self) -> Iterator[Repair]:
        """Repair what can be repaired; yield a result for each changed file."""
        sizes = self.store.sizes()
        corrected = self._correct_ledger(sizes)
        for row in self.ledger.all(FILES):
            file = _File(row[0], row[1], bool(row[2]), row[3])
            if is_segment(file.name) and file.name in sizes:
                try:
                    blocks = self._blocks(file)
                    is_changed = self._is_changed(file, blocks, sizes[file.name])
                except StorageError as error:
                    if not isinstance(error.__cause__, OSError):
                        raise
                    # Others can be repaired although this file cannot be read.
                    yield Repair(file.name, 0, (), str(error))
                    continue
                if is_changed:
                    yield self._repair(file, blocks)
                elif corrected[file.name]:
                    yield Repair(file.name, len(blocks), ())

    def lost(self, blocks: Sequence[Block]) -> list[Block]:
        """Return those of *blocks* whose rows are nowhere in their files.

        The others are in their place, or `run` finds them elsewhere in the file: it has
        become shorter or longer before them, a spreadsheet has saved it, or the ledger
        is wrong.
        """
        lost = []
        sizes = self.store.sizes()
        for name in sorted({block.span.file for block in blocks}):
            changed = self.changed([b for b in blocks if b.span.file == name])
            if changed:
                ((crc,),) = self.ledger.all(HEADER, name) or [(None,)]
                _, found = self._read(name, crc, changed)
                changed = [block for block in changed if _sum(block) not in found]
                wrong = [c.recorded for c in corrections(self.store, changed, sizes)]
                lost += [block for block in changed if block not in wrong]
        return lost

    def changed(self, blocks: Sequence[Block]) -> list[Block]:
        """Return those of *blocks* that differ from their checksums in their place."""
        return [b for b in blocks if self.store.crc(b.span) != b.span.crc]

    def _blocks(self, file: _File) -> list[Block]:
        return [Block.from_row(row) for row in self.ledger.all(BLOCKS, file.name)]

    def _correct_ledger(self, sizes: Mapping[str, int]) -> Counter[str]:
        """Correct what the ledger says of files; return the corrected blocks, by file.

        Their lines prove that it was edited or damaged. If two blocks have one slot,
        the one whose lines have it is kept. Nothing is rewritten before: a block may
        seem to be in another file.
        """
        blocks = map(Block.from_row, self.ledger.all(PRESENT))
        wrong = list(corrections(self.store, blocks, sizes))
        self._replace(wrong)
        if self.ledger.all(f"SELECT 1 FROM {MISNAMED}"):
            every = map(Block.from_row, self.ledger.all("SELECT * FROM main.blocks"))
            known = {file for (file,) in self.ledger.all("SELECT file FROM files")}
            lost = list(misnamed(every, known | sizes.keys()))
            self._replace(lost)
            wrong += lost
        return Counter(proven.span.file for _, proven in wrong)

    def _replace(self, wrong: Sequence[Correction]) -> None:
        if not wrong:
            return
        rows = [proven.to_row() for _, proven in wrong]
        marks = ", ".join("?" * len(rows[0]))
        with self.ledger.transaction() as db:
            slots = [(block.slot,) for block, _ in wrong]
            db.executemany("DELETE FROM blocks WHERE slot = ?", slots)
            db.executemany(f"INSERT OR IGNORE INTO blocks VALUES ({marks})", rows)

    def _is_changed(self, file: _File, blocks: Sequence[Block], size: int) -> bool:
        header = self.store.header(file.name)
        position = len(header)
        for block in blocks:
            if block.span.start != position:
                return True
            position = block.span.end
        if file.is_damaged or position != size or file.end != size:
            return True
        if file.header_crc not in {None, zlib.crc32(header)}:
            return True
        return any(self.store.crc(block.span) != block.span.crc for block in blocks)

    def _repair(self, file: _File, blocks: Sequence[Block]) -> Repair:
        changed = self.changed(blocks)
        header, found = self._read(file.name, file.header_crc, changed)
        damaged = [block.slot for block in changed if _sum(block) not in found]
        if damaged or (blocks and not header):
            slots = damaged or [block.slot for block in blocks]
            return Repair(file.name, len(blocks), slots)
        self.ledger.mark_damaged(file.name)
        self.store.keep_aside(file.name, self.aside)
        if blocks:
            self._write(file.name, header, blocks, found)
        else:
            self.store.remove(file.name)
            with self.ledger.transaction() as db:
                db.execute("DELETE FROM files WHERE file = ?", (file.name,))
        return Repair(file.name, len(blocks), ())

    def _read(
        self, file: str, crc: int | None, changed: Sequence[Block]
    ) -> tuple[bytes, dict[Sum, bytes]]:
        """Return the header of *file*, and the text of *changed* blocks found in it.

        *crc* is the crc32 of its original first line, None if unknown.
        """
        header = self.store.header(file)
        is_ours = header.startswith(b"slot,") and is_header(header, crc)
        wanted, found = {_sum(block) for block in changed}, {}
        if is_ours:
            spans = (group.span for group in self.store.groups(file))
            texts = [self.store.text(s) for s in spans if _sum_of(s) in wanted]
            found = {sum_of(text): text for text in texts}
        if is_ours and found.keys() >= wanted:
            return header, found
        try:
            respelled = RespelledFile(self.folder / file, crc)
            found |= {sum_of(text): text for text in respelled.blocks(wanted)}
        except OSError as error:
            if error.errno in {*LOST, errno.ENOENT}:
                return header if is_ours else b"", found
            raise StorageError(f"cannot read {file}: {error}") from error
        if not is_ours:
            header = respelled.header or self._lost_header(crc, header)
        return header, found

    def _lost_header(self, crc: int | None, damaged: bytes) -> bytes:
        """Return the line that has the checksum of the lost header, empty if unknown.

        Most columns are always the same, and other daily files have the same ones.
        """
        own = vehicle_rows.COLUMNS if self.store.dataset == VEHICLE_STATUS else COLUMNS
        derived = damaged.decode("utf-8", "replace").strip().split(",")[len(own) :]
        usual = [csv_text([[*own, *names]]).encode("utf-8") for names in ((), derived)]
        others = (self.store.header(other) for other in self.store.sizes())
        for line in chain(usual, others):
            if zlib.crc32(line) == crc:
                return line
        return b""

    def _write(
        self,
        file: str,
        header: bytes,
        blocks: Sequence[Block],
        found: dict[Sum, bytes],
    ) -> None:
        """Replace *file* by *blocks* atomically, then record their new positions."""
        spans = []
        size = len(header) + sum(b.span.end - b.span.start for b in blocks)
        with replacing(self.folder / file, size) as fd:
            write_all(fd, header)
            position = len(header)
            for block in blocks:
                text = found.get(_sum(block)) or self.store.text(block.span)
                if sum_of(text) != _sum(block):  # a sector was lost meanwhile
                    raise StorageError(f"{file} changes while it is read; try again")
                write_all(fd, text)
                spans.append((position, position + len(text), block.slot))
                position += len(text)
        start, end, _ = spans[-1]
        values = (file, end, start, blocks[-1].span.crc, zlib.crc32(header))
        with self.ledger.transaction() as db:
            db.executemany(UPDATE, spans)
            db.execute(REPLACE, values)


def _sum(block: Block) -> Sum:
    return _sum_of(block.span)


def _sum_of(span: Span) -> Sum:
    return span.crc, span.end - span.start
