"""Read the CSV lists of another bikecollect, which are untrusted, line by line."""

import csv
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from bikecollect.collect.sources.plausible import Plausible
from bikecollect.core.slots import Slot, from_iso
from bikecollect.storage.csv_format import read_cells
from bikecollect.storage.files.regular_file import open_below

MAX_LINE = 1 << 15


def list_rows(
    folder: Path,
    name: str,
    what: str,
    judge: Plausible,
    *,
    needed: Collection[str],
    most: int,
) -> Iterator[dict[str, str]]:
    """Yield the cells of each line of *name* below *folder*, by column.

    Lines that are torn, too long or not CSV are skipped, and counted by *judge*. Raises
    OSError if it is no list of *what*, which has the columns *needed*, or has more than
    *most* bytes.
    """
    with os.fdopen(open_below(folder, name), "rb") as file:
        if os.fstat(file.fileno()).st_size > most:
            raise OSError(f"{name} is too large for a list of {what}")
        header = _cells(file.readline(MAX_LINE)) or []
        if not set(needed) <= set(header) or len(set(header)) != len(header):
            raise OSError(f"{name} does not begin with the header of a list of {what}")
        while line := file.readline(MAX_LINE):
            cells = _cells(line)
            if cells is None or len(cells) != len(header):
                judge.bad += 1
                continue
            yield dict(zip(header, cells, strict=True))


def time_of(cell: str) -> Slot | None:
    """Return the moment in *cell*, None if it has none."""
    try:
        return from_iso(cell)
    except (ValueError, OverflowError):
        return None


def _cells(line: bytes) -> list[str] | None:
    """Return the cells of *line*, None if it is torn, too long or not CSV."""
    if not line.endswith(b"\n"):
        return None
    try:
        return next(read_cells([line[:-1].decode("utf-8")], strict=True), None)
    except (ValueError, csv.Error):
        return None
