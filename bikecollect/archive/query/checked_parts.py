"""Compare the archived files of a system with their records in the ledger."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bikecollect.archive.parts import ArchivePart, Parts
from bikecollect.archive.query import duckdb_engine
from bikecollect.archive.query.open_days import REMEDIES
from bikecollect.storage.ledger_reader import History

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ARCHIVED = "SELECT day, rows, parts FROM archives"
PAUSES, PAUSE = 20, 0.1
ROWS = "SELECT num_rows FROM parquet_file_metadata(?)"


class CheckedParts(NamedTuple):
    """The *sound* files, and why the rows of *damaged* days cannot be read."""

    sound: Parts
    damaged: Mapping[str, str]


class _KnownDay(NamedTuple):
    """The number of *rows* of a day, and the ledger's record of its files."""

    rows: int
    files: Mapping[str, Any]


def check_parts(
    db: "DuckDBPyConnection", history: History, parts: Parts, rows: str
) -> CheckedParts:
    """Return *parts* without files that are damaged; *rows* is the dataset of rows.

    A file of the size in the ledger is sound. For any other one the footer is read: the
    dataset of rows must have the archived number of rows.
    """
    certified = _certified(history)
    sound: dict[str, dict[str, ArchivePart]] = {}
    damaged: dict[str, str] = {}
    for dataset, by_day in parts.items():
        sound[dataset] = {}
        for day, part in by_day.items():
            known = certified.get(day)
            why = ""
            if known and part.size != _size(known, dataset):
                why = defect(db, part, known.rows if dataset == rows else None)
            if not why:
                sound[dataset][day] = part
            elif dataset == rows:
                damaged[day] = f"{why}{REMEDIES}"
    return CheckedParts(sound, damaged)


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


def _size(known: _KnownDay, dataset: str) -> object:
    file = known.files.get(dataset)
    return file.get("bytes") if isinstance(file, dict) else None


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
