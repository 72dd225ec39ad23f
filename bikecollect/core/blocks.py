"""A block: the rows of one slot in a file, and its row in the ledger."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from bikecollect.core.payload import Payload
from bikecollect.core.slots import Slot, from_iso
from bikecollect.core.snapshot import StationInformation


class Span(NamedTuple):
    """The position of a block: bytes *start* to *end* of *file*, and their crc32."""

    file: str
    start: int
    end: int
    crc: int

    @property
    def day(self) -> str:
        """The local day in the name of the daily file."""
        return day_of_file(self.file)


def day_of_file(file: str) -> str:
    """Return the local day in the name of a daily *file*, whatever its segment.

    >>> day_of_file("station_status/2026-11-22.2.csv")
    '2026-11-22'
    """
    return file.rpartition("/")[2].partition(".")[0]


def is_misrecorded(recorded: int, actual: int) -> bool:
    """Return whether *recorded*, a crc32, was damaged itself, not what it is of.

    Both differ in one byte only: of four million changes of the content, one has such
    an *actual* checksum by chance.

    >>> sums = (0xA1B2C3D5, 0xA1FFC3D4, 0xA1FFC3D5, 0xA1B2C3D4)
    >>> [is_misrecorded(0xA1B2C3D4, actual) for actual in sums]
    [True, True, False, False]
    """
    changed = recorded ^ actual
    return any(changed & 0xFF << 8 * n == changed for n in range(8)) and changed > 0


class Extent(NamedTuple):
    """The committed part of a file; *last* is its last block."""

    end: int
    last: Span
    damaged: bool


class Group(NamedTuple):
    """Consecutive lines of one slot in a file: *length* lines at *span*.

    *rows* are their cells; of a daily file only those of the first line, because a
    large day does not fit in memory.
    """

    slot: Slot
    span: Span
    rows: tuple[tuple[str, ...], ...]
    length: int


class Tail(NamedTuple):
    """The bytes of *file* after the last block in the ledger.

    *groups* were committed earlier, before the ledger was lost or restored, and have
    to be added to it. Nothing after the byte *cut* was ever committed; *strange* holds
    those bytes if no waiting payload explains them.
    """

    file: str
    groups: tuple[Group, ...]
    cut: int
    strange: bytes


class Block(NamedTuple):
    """A block as stored in the ledger.

    *fetched_at* and *last_updated* (the feed's time stamp) are epoch seconds, *uptime*
    is in seconds since the boot *boot_id*. *source* is its origin: fetch, recovery,
    adopted, or the source of a `backfill`. *flags* are space-separated words, like
    those of a run. *header* is the crc32 of the file's first line, None if unknown.
    """

    slot: Slot
    span: Span = Span("", 0, 0, 0)
    rows: int = 0
    sha256: str = ""
    fetched_at: float = 0.0
    last_updated: int | None = None
    run_id: str = ""
    uptime: float = 0.0
    boot_id: str = ""
    source: str = ""
    flags: str = ""
    header: int | None = None

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """Return the block stored in *row* of the ledger's table."""
        slot, file, start, end, crc, *rest = row
        return cls(slot, Span(file, start, end, crc), *rest)

    def to_row(self) -> tuple[Any, ...]:
        """Return this block as a row of the ledger's table."""
        return (self.slot, *self.span, *self[2:-1])


class Stations(NamedTuple):
    """Changes of the station list that come with a block.

    *versions* are the new versions; *left* maps a slot to the last versions of the
    stations that left in it; *span* is the position of both in
    station_information.csv. *absent* maps the id of each listed station that the feed
    no longer has to the first slot without it (None: unknown).
    """

    versions: tuple[StationInformation, ...] = ()
    left: Mapping[Slot, Sequence[StationInformation]] = {}
    span: Span | None = None
    absent: Mapping[str, int] | None = None


def block_of(
    payload: Payload,
    last_updated: int | None,
    span: Span,
    rows: int,
    source: str,
    *,
    flags: Sequence[str],
    header: int,
) -> Block:
    """Return the block of *payload*, whose *rows* are at *span*."""
    digest = hashlib.sha256()
    for document in payload.documents:
        digest.update(document.received)
    return Block(
        slot=payload.slot,
        span=span,
        rows=rows,
        sha256=digest.hexdigest(),
        fetched_at=payload.fetched_at,
        last_updated=last_updated,
        run_id=payload.run_id,
        uptime=payload.uptime,
        boot_id=payload.boot_id,
        source=source,
        flags=" ".join(flags),
        header=header,
    )


def adopted_block(group: Group, source: str) -> Block:
    """Return the block of *group*, which was found in a file."""
    try:
        fetched_at = float(from_iso(group.rows[0][1]))
    except ValueError:
        fetched_at = 0.0
    return Block(
        slot=group.slot,
        span=group.span,
        rows=group.length,
        fetched_at=fetched_at,
        source=source,
    )
