"""Compare the archived files of a system with their records in the ledger."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bikecollect.archive.checks.file_sums import damaged_files
from bikecollect.archive.parts import DAMAGED, ArchivePart, Parts
from bikecollect.archive.query import duckdb_engine
from bikecollect.archive.query.open_days import REMEDIES
from bikecollect.storage.files.regular_file import read_plain
from bikecollect.storage.ledger_reader import History

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ARCHIVED = "SELECT day, rows, parts FROM archives"
PAUSES, PAUSE = 20, 0.1
ROWS = "SELECT num_rows FROM parquet_file_metadata(?)"
OF_ALL_DAYS = frozenset({"coverage", "slots"})
"""Datasets of small files, which are read for when each station was there."""


class CheckedParts(NamedTuple):
    """The *sound* files, and why the rows of *damaged* days cannot be read."""

    sound: Parts
    damaged: Mapping[str, str]


class _KnownDay(NamedTuple):
    """The number of *rows* of a day, and the ledger's record of its files."""

    rows: int
    files: Mapping[str, Any]

    def value(self, dataset: str, name: str) -> object:
        """Return what the record of a file says, None if there is none."""
        file = self.files.get(dataset)
        return file.get(name) if isinstance(file, dict) else None


def check_parts(
    db: "DuckDBPyConnection",
    history: History,
    parts: Parts,
    rows: str,
    certificate: Callable[[str], Path],
    *,
    since: str,
) -> CheckedParts:
    """Return *parts* without files that are damaged; *rows* is the dataset of rows.

    A file of the size in the ledger must have the sha256 in it, or in its day's
    *certificate*: they differ if a backup of the ledger was restored. Of a file of
    another size the footer is read: it must have the archived number of rows. The
    bytes of days before *since* are not read, except those of `OF_ALL_DAYS`.
    """
    certified = _certified(history)
    compared = {
        dataset: {
            day: part
            for day, part in by_day.items()
            if day >= since or dataset in OF_ALL_DAYS
        }
        for dataset, by_day in parts.items()
    }
    whys = _damaged(compared, certified, certificate)
    sound: dict[str, dict[str, ArchivePart]] = {}
    damaged: dict[str, str] = {}
    for dataset, by_day in parts.items():
        sound[dataset] = {}
        for day, part in by_day.items():
            known = certified.get(day)
            why = whys.get(part.path, "")
            if known and part.size != known.value(dataset, "bytes"):
                why = defect(db, part, known.rows if dataset == rows else None)
            if not why:
                sound[dataset][day] = part
            elif dataset == rows:
                damaged[day] = f"{why}{REMEDIES}"
    return CheckedParts(sound, damaged)


def _damaged(
    parts: Parts, certified: Mapping[str, _KnownDay], certificate: Callable[[str], Path]
) -> Mapping[Path, str]:
    """Return what is wrong with the files that have not their certified sha256."""
    values = cache(lambda day: _values_in(certificate(day)))
    places: dict[Path, tuple[str, str]] = {}
    sums: dict[Path, str] = {}
    for dataset, by_day in parts.items():
        for day, part in by_day.items():
            known = certified.get(day)
            if known is None:
                sha256 = _sum_in(values(day), dataset)
            elif part.size == known.value(dataset, "bytes"):
                sha256 = str(known.value(dataset, "sha256") or "")
            else:
                continue
            if sha256:
                places[part.path], sums[part.path] = (dataset, day), sha256
    return damaged_files(
        {
            path: _sum_in(values(places[path][1]), places[path][0])
            for path in damaged_files(sums)
        }
    )


def _values_in(certificate: Path) -> Any:
    """Return the values of a *certificate*, None if it cannot be read."""
    with suppress(OSError, *DAMAGED):
        return json.loads(read_plain(certificate))
    return None


def _sum_in(values: Any, dataset: str) -> str:
    """Return the sha256 of the file of *dataset* in a certificate, empty if none."""
    with suppress(*DAMAGED):
        return str(values["parts"][dataset]["sha256"])
    return ""


def wait_for_compact(folder: Path) -> None:
    """Wait while `compact` moves a day from its work *folder* into the archive.

    Not for long: it may have been killed at that moment.
    """
    for _ in range(PAUSES):
        if not any(folder.glob("*.ready")):
            return
        time.sleep(PAUSE)


def _certified(history: History) -> dict[str, _KnownDay]:
    certified = {}
    for day, rows, text in history.select(ARCHIVED):
        with suppress(ValueError):
            files = json.loads(text)
            if isinstance(files, dict):
                certified[day] = _KnownDay(rows, files)
    return certified


def defect(db: "DuckDBPyConnection", part: ArchivePart, expected: int | None) -> str:
    """Return what is wrong with a file that should have *expected* rows, or ""."""
    import duckdb

    try:
        counts = db.execute(ROWS, [duckdb_engine.plain(str(part.path))]).fetchall()
    except duckdb.Error as error:
        return f"{part.path}: {duckdb_engine.message(error)}"
    rows = sum(count for (count,) in counts)
    if expected is None or rows == expected:
        return ""
    return f"{part.path} has {rows} rows, {expected} were archived"
