"""Verify a daily file: every byte belongs to a block that matches its checksum."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from bikecollect.core.blocks import Span
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationInformation
from bikecollect.core.text import count_of
from bikecollect.storage.csv_format import information_header, information_lines
from bikecollect.storage.csv_store import Store, is_header
from bikecollect.storage.data_folder import INFORMATION, SystemFolder
from bikecollect.storage.repair import removed_text

FIRST_COLUMNS = (b"slot,fetched_at,station_id,", b"slot,fetched_at,vehicle_id,")
LINK = "is a link to"
NO_BLOCK = "belong to no block"


class DailyFile(NamedTuple):
    """A daily file of *size* bytes (None: missing), and its record in the ledger.

    The record has its *end*, its damage, the crc32 of its first line, and the *spans*
    of its blocks.
    """

    name: str
    size: int | None
    end: int
    is_damaged: bool
    header_crc: int | None
    spans: Sequence[Span]


def check_file(file: DailyFile, store: Store, *, reads_blocks: bool) -> Iterator[str]:
    """Yield what is wrong with *file*; its blocks are read only if *reads_blocks*.

    A missing file without blocks is no loss: its slots are in another file, or were
    forgotten. Neither is an empty file, whose bytes recovery has moved away.
    """
    if file.size is None:
        if file.spans:
            yield removed_text(len(file.spans))
        return
    if not (file.size or file.spans or file.is_damaged):
        return
    if target := store.target(file.name):
        yield f"{LINK} {target}; links are not followed"
    if file.is_damaged:
        yield "is marked as damaged"
    try:
        header = store.header(file.name)
        yield from _of_header(header, file.header_crc)
        yield from _of_bytes(file, file.size, len(header))
        whole = [span for span in file.spans if span.end <= file.size]
        for span in whole if reads_blocks else ():
            if store.crc(span) != span.crc:
                yield describe_damage(span)
    except StorageError as error:
        yield f"cannot be read: {error}"


def describe_damage(span: Span) -> str:
    """Return the text for a block that differs from its checksum."""
    return f"the block in bytes {span.start} to {span.end} is damaged"


def check_information(
    system: SystemFolder, rows: Iterable[Sequence[Any]], size: int
) -> Iterator[str]:
    """Yield how the list of stations, of *size* bytes, differs from *rows*, its own."""
    expected = {
        line
        for row in rows
        for line in information_lines(
            Slot(row[1]), system.zone, [_version(row)]
        ).splitlines()
    }
    if not size:
        if expected:
            yield "is missing"
        return
    try:
        head, *lines = (system.path / INFORMATION).read_bytes()[:size].splitlines()
    except OSError as error:
        yield f"cannot be read: {error.strerror}"
        return
    if head + b"\n" != information_header():
        yield "its first line has changed"
    for number, line in enumerate(lines, 2):
        if line not in expected:
            yield f"line {number} is not in the ledger"
    if missing := expected - set(lines):
        yield f"{len(missing)} versions are missing"


def _version(row: Sequence[object]) -> StationInformation:
    station_id, _, *values = row
    for place in (8, 12):
        flag = values[place]
        values[place] = None if flag is None else bool(flag)
    return StationInformation._make((station_id, *values))


def _of_header(header: bytes, crc: int | None) -> Iterator[str]:
    if not is_header(header, crc):
        yield "its first line has changed"
    elif crc not in {None, zlib.crc32(header)}:
        yield "its first line is sound, but the ledger has a wrong checksum of it"
    elif not header.startswith(FIRST_COLUMNS):
        yield "its first line is not that of a daily file"


def _of_bytes(file: DailyFile, size: int, position: int) -> Iterator[str]:
    """Yield the bytes from *position* on that belong to no block, or are missing.

    The blocks in a missing end are one finding: there may be hundreds.
    """
    for span in file.spans:
        if position < span.start <= size:
            yield f"bytes {position} to {span.start} {NO_BLOCK}"
        elif span.start < position:  # the first line is longer, or the ledger is wrong
            yield f"bytes {span.start} to {position} do not belong to one block only"
        position = span.end
    if position > size:
        slots = count_of(sum(span.end > size for span in file.spans), "slot")
        yield f"has {size} bytes, {position} were written: it lacks rows of {slots}"
    elif position < size:
        yield f"bytes {position} to {size} {NO_BLOCK}"
    elif file.end != size:
        yield f"ends at byte {size}, the ledger says {file.end}"
