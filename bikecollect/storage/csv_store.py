"""Daily CSV files: appended block by block, checked, repaired and read."""

import csv
import errno
import os
import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import groupby
from pathlib import Path

from bikecollect.core.blocks import Group, Span, Tail, is_misrecorded
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot, from_iso
from bikecollect.storage.csv_format import read_cells
from bikecollect.storage.data_folder import INFORMATION, STATUS, VEHICLE_STATUS
from bikecollect.storage.files.durable import (
    leave_reserve,
    make_folder,
    replacing,
    sync_folder,
    unwritten,
    write_all,
)
from bikecollect.storage.files.regular_file import in_words, open_plain

MAX_LINE = 1_048_576
"""Maximum bytes of a line; bikecollect writes no longer ones."""
LOST = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})
"""Errors of a read whose bytes the disk has lost: a bad sector, a failed checksum."""
_SEGMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:\.(\d+))?\.csv")


def is_segment(file: str) -> bool:
    """Return whether *file* is a daily file's name, relative to its system's folder.

    >>> is_segment("station_status/2026-11-22.2.csv"), is_segment("../2026-11-22.csv")
    (True, False)
    """
    folder, _, name = file.rpartition("/")
    return folder in {STATUS, VEHICLE_STATUS} and _SEGMENT.fullmatch(name) is not None


def is_header(line: bytes, crc: int | None) -> bool:
    """Return whether *line* is the first line with the *crc* that the ledger has of it.

    None is that of an earlier version. A damaged record of it does not count.
    """
    actual = zlib.crc32(line)
    return crc is None or crc == actual or is_misrecorded(crc, actual)


class Store:
    """The CSV files of *dataset* in a system's *folder*; names are relative to it.

    Every method raises StorageError on disk errors.
    """

    def __init__(self, folder: Path, dataset: str = STATUS) -> None:
        self._folder = folder
        self.dataset = dataset

    def make_folder(self) -> None:
        """Create the folder durably."""
        try:
            make_folder(self._folder)
        except OSError as error:
            raise StorageError(f"cannot make {self._folder}: {error}") from error

    def sizes(self) -> dict[str, int]:
        """Return the size of each CSV file, in bytes, by name."""
        sizes: dict[str, int] = {}
        try:
            for entry in _scan(self._folder / self.dataset):
                if _SEGMENT.fullmatch(entry.name):
                    sizes[f"{self.dataset}/{entry.name}"] = entry.stat().st_size
            if (self._folder / INFORMATION).exists():
                sizes[INFORMATION] = (self._folder / INFORMATION).stat().st_size
        except OSError as error:
            raise StorageError(f"cannot list {self._folder}: {error}") from error
        return dict(sorted(sizes.items()))

    def crc(self, span: Span) -> int | None:
        """Return the crc32 of the bytes of *span*, None if some of them are lost."""
        data = self.text(span)
        return zlib.crc32(data) if len(data) == span.end - span.start else None

    def text(self, span: Span) -> bytes:
        """Return the bytes of *span*, fewer if the file is shorter.

        Empty if a sector of the disk is bad: its bytes are lost, as in a damaged file.
        """
        return self._read_or_lose(span.file, span.start, span.end)

    def header(self, file: str) -> bytes:
        """Return the first line of *file*, empty if it has none or it is lost."""
        data = self._read_or_lose(file, 0, 65_536)
        line, newline, _ = data.partition(b"\n")
        return line + newline if newline else b""

    def target(self, file: str) -> Path | None:
        """Return where *file* leads if it is a link: nothing is written to it."""
        path = self._folder / file
        return path.resolve() if path.is_symlink() else None

    def segments(self, day: str) -> list[str]:
        """Return the names of the files of *day*, first segment first."""
        numbered = []
        try:
            entries = _scan(self._folder / self.dataset)
        except OSError as error:
            raise StorageError(f"cannot list {self._folder}: {error}") from error
        for entry in entries:
            match = _SEGMENT.fullmatch(entry.name)
            if match and match[1] == day:
                numbered.append((int(match[2] or 1), f"{self.dataset}/{entry.name}"))
        return [name for _, name in sorted(numbered)]

    def tail(
        self,
        file: str,
        end: int,
        waiting: Collection[Slot],
        known: Collection[Slot],
        *,
        is_lost: bool = False,
    ) -> Tail:
        """Return the bytes of *file* after *end*, divided into groups and garbage.

        A group was committed if its slot is not *waiting* in the inbox, or if another
        committed group follows it, because nothing is ever appended after a torn one.
        Slots in *known* are in the ledger already. If the ledger *is_lost*, a group of
        a waiting slot may be of an earlier payload, which was committed: it is garbage.
        """
        header = self.header(file)
        begin = end or len(header)
        if not end and not header.startswith((b"slot,", b"valid_from,")):
            return Tail(file, (), 0, self._read(file, 0, None))
        adopted: list[Group] = []
        later: list[Group] = []  # groups after the last one that was committed
        cut = end
        for group in self._groups(file, begin, header.count(b",") + 1):
            later.append(group)
            if group.slot not in waiting:
                adopted += (group for group in later if group.slot not in known)
                later, cut = [], group.span.end
        rest = self._read(file, cut, None)
        has_rows = is_lost and bool(later)
        is_torn_block = not has_rows and _is_torn_block(rest, later, cut)
        return Tail(file, tuple(adopted), cut, b"" if is_torn_block else rest)

    def groups(self, file: str) -> Iterator[Group]:
        """Yield the groups of lines of *file*, with as many cells as its header.

        Other lines are skipped; what follows a bad sector is lost.
        """
        header = self.header(file)
        try:
            yield from self._groups(file, len(header), header.count(b",") + 1)
        except StorageError as error:
            if getattr(error.__cause__, "errno", None) not in LOST:
                raise

    def _groups(self, file: str, begin: int, width: int) -> Iterator[Group]:
        """Yield the groups of complete, well-formed lines of *file* from *begin* on.

        Only one group at a time is in memory.
        """
        path = self._folder / file
        try:
            with open_plain(path) as stream:
                stream.seek(begin)
                lines = iter(partial(stream.readline, MAX_LINE), b"")
                yield from _grouped(file, lines, begin, width)
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error}") from error

    def truncate(self, file: str, size: int) -> None:
        """Truncate *file* to *size* bytes durably."""
        path = self._folder / file
        try:
            fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.ftruncate(fd, size)
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise StorageError(
                f"cannot truncate {path} to {size} bytes: {in_words(error)}"
            ) from error

    def content(self, file: str) -> bytes | None:
        """Return all bytes of *file*, None if it does not exist."""
        return self._read(file, 0, None) if (self._folder / file).exists() else None

    def replace(self, file: str, data: bytes) -> None:
        """Replace the content of *file* by *data*, atomically and durably."""
        with replacing(self._folder / file, len(data)) as fd:
            write_all(fd, data)

    def remove(self, file: str) -> None:
        """Remove *file* durably, if it exists."""
        path = self._folder / file
        try:
            path.unlink(missing_ok=True)
            sync_folder(path.parent)
        except OSError as error:
            raise StorageError(f"cannot remove {path}: {error}") from error

    def keep_aside(self, file: str, folder: Path) -> Path:
        """Link *file*, which will be replaced, into *folder*; return the new path."""
        path, number = self._folder / file, 1
        try:
            make_folder(folder)
            while (target := folder / f"{path.name}.{number}.changed").exists():
                number += 1
            os.link(path, target)
            sync_folder(folder)
        except OSError as error:
            raise StorageError(f"cannot keep {path} in {folder}: {error}") from error
        return target

    def append(self, file: str, end: int, header: bytes, text: bytes) -> Span:
        """Append *text* durably to *file*, whose committed bytes end at *end*.

        A new file begins with *header*, and its folder is synced too. The bytes are
        synced once: a failed sync is never repeated, because the kernel may have
        dropped the pages that it could not write.
        """
        path = self._folder / file
        try:
            make_folder(path.parent, self._folder)
            leave_reserve(path.parent, 2 * len(text))  # as much again for the ledger
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
            fd = os.open(path, flags | os.O_CLOEXEC, 0o640)
            try:
                write_all(fd, (header if end == 0 else b"") + text)
                os.fsync(fd)
            except OSError:
                _undo(fd, end)
                raise
            finally:
                os.close(fd)
            if end == 0:
                sync_folder(path.parent)
                sync_folder(self._folder)
        except OSError as error:
            problem = f"cannot append to {path}: {in_words(error)}"
            raise unwritten(problem, error) from error
        start = end or len(header)
        return Span(file, start, start + len(text), zlib.crc32(text))

    def _read_or_lose(self, file: str, start: int, end: int) -> bytes:
        with suppress(StorageError):  # a bad sector fails again
            return self._read(file, start, end)
        try:
            return self._read(file, start, end)
        except StorageError as error:
            if getattr(error.__cause__, "errno", None) in LOST:
                return b""
            raise

    def _read(self, file: str, start: int, end: int | None) -> bytes:
        path = self._folder / file
        if start < 0 or not (is_segment(file) or file == INFORMATION):
            return b""
        try:
            with open_plain(path) as stream:
                size = os.fstat(stream.fileno()).st_size
                end = size if end is None else min(end, size)
                stream.seek(min(start, end))
                return stream.read(max(0, end - start))
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error}") from error


def _grouped(
    file: str, lines: Iterable[bytes], begin: int, width: int
) -> Iterator[Group]:
    """Yield the groups of *lines*, which begin at the byte *begin* of *file*.

    Groups of station_information.csv have all their rows, others only the first.
    """
    position, has_all = begin, file == INFORMATION
    parsed = ((cells, line) for line in lines for cells in [_cells(line, width)])
    for slot, members in groupby(parsed, key=lambda pair: _slot(pair[0])):
        start, crc, count = position, 0, 0
        rows: list[tuple[str, ...]] = []
        for cells, line in members:
            position, count = position + len(line), count + 1
            crc = zlib.crc32(line, crc)
            if has_all or not rows:
                rows.append(cells)
        if slot is not None:
            yield Group(slot, Span(file, start, position, crc), tuple(rows), count)


def _cells(line: bytes, width: int) -> tuple[str, ...]:
    """Return the cells of *line*, none if it is torn or has other columns."""
    if not line.endswith(b"\n") or b"\0" in line:
        return ()
    try:
        cells = tuple(next(read_cells([line.decode("utf-8")], strict=True)))
    except (ValueError, csv.Error, StopIteration):
        return ()
    return cells if len(cells) == width else ()


def _slot(cells: tuple[str, ...]) -> Slot | None:
    try:
        return from_iso(cells[0]) if cells else None
    except ValueError:
        return None


def slot_of(block: bytes) -> Slot | None:
    """Return the slot in the first line of *block*, None if it has none."""
    try:
        return from_iso(block.partition(b",")[0].decode("ascii"))
    except ValueError:
        return None


def _is_torn_block(rest: bytes, groups: list[Group], cut: int) -> bool:
    """Return whether *rest* is just a torn block that a waiting payload rewrites."""
    if not rest:
        return True
    if not groups or groups[0].span.start > cut + 65_536:
        return b"\0" not in rest and rest.count(b"\n") == 0
    torn = rest[groups[-1].span.end - cut :]
    return b"\n" not in torn and b"\0" not in torn


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _undo(fd: int, end: int) -> None:
    """Truncate a half-written block; if that fails, the next run does it."""
    with suppress(OSError):
        os.ftruncate(fd, end)
