"""A block: the rows of one slot in a file, and what the ledger knows of it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationInformation


class Span(NamedTuple):
    """A block's place: bytes *start* to *end* of *file*, and their crc32."""

    file: str
    start: int
    end: int
    crc: int


class Extent(NamedTuple):
    """The committed part of a file; *last* is its last block."""

    end: int
    last: Span
    damaged: bool


class Group(NamedTuple):
    """Consecutive lines of one slot, as found in a file; *rows* are its cells."""

    slot: Slot
    span: Span
    rows: tuple[tuple[str, ...], ...]


class Tail(NamedTuple):
    """What lies in *file* beyond the ledger's end.

    *groups* were committed once and are to be adopted; from byte *cut* on nothing
    was, and *strange* holds that part where no waiting payload explains it.
    """

    file: str
    groups: tuple[Group, ...]
    cut: int
    strange: bytes


class Block(NamedTuple):
    """A block as the ledger knows it.

    *fetched_at* and *last_updated* (the feed's stamp) are epoch seconds, *uptime*
    seconds since the boot called *boot_id*. *source* says where it came from: fetch,
    recovery, adopted, or what `backfill` took it from. *flags* are words, as a run's.
    *header* is the crc32 of the file's first line, None where it is not known.
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
        """Return the block that a *row* of the ledger's table tells of."""
        slot, file, start, end, crc, *rest = row
        return cls(slot, Span(file, start, end, crc), *rest)

    def to_row(self) -> tuple[Any, ...]:
        """Return the row of the ledger's table that tells of this block."""
        return (self.slot, *self.span, *self[2:-1])


class Stations(NamedTuple):
    """What a block says of the stations.

    *versions* are new, *span* is their place in station_information.csv, and
    *absent* says since which slot listed stations have been missing (None: no
    word on that).
    """

    versions: tuple[StationInformation, ...] = ()
    span: Span | None = None
    absent: Mapping[str, int] | None = None
