"""Correct what the ledger says of daily files, where their lines prove it wrong.

A changed byte in the ledger is not blamed on the file: its blocks, its lines and the
record of its end are witnesses of each other.
"""

import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from bikecollect.core.blocks import Block, Span, is_misrecorded
from bikecollect.core.errors import StorageError
from bikecollect.core.run import Notice
from bikecollect.core.slots import stamp
from bikecollect.storage.csv_store import Store, is_segment, slot_of
from bikecollect.storage.data_folder import LEDGER

if TYPE_CHECKING:
    from bikecollect.storage.ledger import Ledger

NAMES = ("slot", "file name", "start", "end", "checksum", "number of rows")
"""The values of a block that its lines prove, as in the ledger's table."""
LAST = (
    'SELECT file, start, "end", crc32 FROM blocks WHERE file = ?'
    ' ORDER BY "end" DESC LIMIT 1'
)


class Correction(NamedTuple):
    """A block as the ledger has it, and what it is by its lines."""

    recorded: Block
    proven: Block

    @property
    def file(self) -> str:
        """The file in which it is recorded, or in which it is."""
        name = self.recorded.span.file
        return name if is_segment(name) else self.proven.span.file

    @property
    def text(self) -> str:
        """What is wrong, for people."""
        old, new = self.recorded.to_row(), self.proven.to_row()
        wrong = [name for name, a, b in zip(NAMES, old, new, strict=False) if a != b]
        return (
            f"the block of {stamp(self.proven.slot)} is sound, but the ledger has a "
            f"wrong {' and '.join(wrong)} of it"
        )


def corrections(
    store: Store, blocks: Iterable[Block], files: Collection[str]
) -> Iterator[Correction]:
    """Yield what the ledger says wrongly of *blocks*, of which some are damaged.

    The checksum of a block proves its slot, its place and its number of rows; of these
    and the checksum one may be wrong, or the name of its file, which is one of *files*.
    Of files that cannot be read nothing is known.
    """
    for file, members in groupby(blocks, key=lambda block: block.span.file):
        with suppress(StorageError):
            yield from _of_file(store, file, list(members), files)


def _of_file(
    store: Store, file: str, blocks: Iterable[Block], files: Collection[str]
) -> Iterator[Correction]:
    damaged = []
    for block in blocks:
        if not (proven := _by_checksum(store, block)):
            damaged.append(block)
        elif proven != block:
            yield Correction(block, proven)
    lines = store.groups(file) if damaged and file in files else ()
    groups = {group.slot: group for group in lines}
    for block in damaged:
        group = groups.get(block.slot)
        if group and _is_of(block.span, group.span):
            proven = block._replace(span=group.span, rows=group.length)
            yield Correction(block, proven)
        elif found := _elsewhere(store, block, files):
            yield Correction(block, found)


def misnamed(blocks: Iterable[Block], files: Collection[str]) -> Iterator[Correction]:
    """Yield the *blocks* of files that are not among *files*, with the right name.

    It is that of the block before or after, if it differs in one character: so it is
    found also after the file was archived and removed. They are all blocks.
    """
    ordered = sorted(blocks)
    for place, block in enumerate(ordered):
        name = block.span.file
        if name not in files:
            others = ordered[max(place - 1, 0) : place + 2]
            names = {b.span.file for b in others if is_near(b.span.file, name)}
            for file in names if len(names) == 1 else ():
                span = block.span._replace(file=file)
                yield Correction(block, block._replace(span=span))


def corrected(blocks: Iterable[Block], wrong: Iterable[Correction]) -> list[Block]:
    """Return *blocks* without what is *wrong*, in the order of their places."""
    proven = dict(wrong)
    return sorted((proven.get(b, b) for b in blocks), key=lambda b: b.span[:3])


def _by_checksum(store: Store, block: Block) -> Block | None:
    """Return *block* with the slot and the rows of its lines, None if they changed.

    Those of a block without lines are not known.
    """
    text = store.text(block.span)
    if zlib.crc32(text) != block.span.crc:
        return None
    if (slot := slot_of(text)) is None:
        return block
    return block._replace(slot=slot, rows=text.count(b"\n"))


def _is_of(recorded: Span, found: Span) -> bool:
    """Return whether *recorded*, of the same slot, has one damaged value of *found*.

    A block that only moved has its length.
    """
    if recorded.crc == found.crc:
        return recorded.end - recorded.start != found.end - found.start
    return recorded[:3] == found[:3] and is_misrecorded(recorded.crc, found.crc)


def _elsewhere(store: Store, block: Block, files: Collection[str]) -> Block | None:
    """Return *block* in the one of *files* whose name differs in one character."""
    for file in files:
        if is_near(file, block.span.file):
            found = block._replace(span=block.span._replace(file=file))
            if store.text(found.span) and _by_checksum(store, found) == found:
                return found
    return None


def is_near(text: str, other: str) -> bool:
    """Return whether both differ in one character.

    >>> is_near("2026-11-22", "2026-11-32"), is_near("ab", "abc"), is_near("a", "a")
    (True, False, False)
    """
    if len(text) != len(other):
        return False
    return sum(a != b for a, b in zip(text, other, strict=True)) == 1


def correct_end(ledger: "Ledger", store: Store, file: str) -> list[Notice]:
    """Correct what the ledger says of the end of *file*; return a notice of it.

    There is none if the last block in the ledger is not that at the end of the file, or
    if the ledger was lost: then it is rebuilt.
    """
    is_rebuilt = ledger.was_absent or ledger.trouble
    for row in () if is_rebuilt else ledger.all(LAST, file):
        span = Span(*row)
        if span.end == store.sizes().get(file) and store.crc(span) == span.crc:
            ledger.adopt_stations(span, {})  # writes the end of any file
            text = f"{LEDGER} had a wrong end for {file}: corrected by its last block"
            return [Notice("ledger", text)]
    return []
