"""The archived days of another bikecollect: those that its certificates tell of."""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bikecollect.archive.datasets import DAYS, PART, STATUS, TYPES
from bikecollect.archive.parts import is_day
from bikecollect.archive.query import duckdb_engine
from bikecollect.collect.sources import Foreign
from bikecollect.collect.sources.plausible import (
    MOST_STATIONS,
    Plausible,
)
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot, bounds
from bikecollect.feeds.reading.values import LONGEST_ID
from bikecollect.storage.csv_format import COLUMNS
from bikecollect.storage.data_folder import ARCHIVE
from bikecollect.storage.files.regular_file import (
    content_below,
    names_below,
    opened_below,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)
MEMORY = "96MB"
MOST_CERTIFICATE = 1 << 18
MOST_BYTES = 1 << 30
"""Of a day's file; a large city's has two million."""
MOST_ROWS = 20_000_000
BATCH = 20_000
NAMES = tuple(COLUMNS)
WRONG = (
    *(OSError, StorageError, ValueError, LookupError, TypeError, OverflowError),
    RecursionError,
)
"""What reading a day's files may raise, whatever is in them."""


@dataclass(frozen=True)
class _Certified:
    """What a certificate says of a day's rows."""

    day: str
    zone: ZoneInfo
    rows: int
    size: int
    sha256: str


def archived(folder: Path, aside: Path, judge: Plausible) -> Iterator[Foreign]:
    """Yield the snapshots of the archived days of the system in *folder*, by slot.

    Each file is copied to *aside* and must be the one that its certificate tells of,
    with rows of that day only. A day that is not so is left out, and *judge* counts it.
    Raises OSError where the archive cannot be listed.
    """
    place = f"{ARCHIVE}/certificates/system_id={folder.name}"
    for name in names_below(folder.parent, place):
        day, ending = name[:10], name[10:]
        if ending != ".json" or not is_day(day):
            continue
        try:
            certified = _certified(folder, f"{place}/{name}", day)
            copy = _copied(folder, certified, aside)
            yield from _snapshots(copy, certified, judge)
        except WRONG as error:
            log.warning("%s of %s cannot be read: %s", day, folder, error)
            judge.bad += 1


def _certified(folder: Path, name: str, day: str) -> _Certified:
    """Return what the certificate *name* says of *day*; raises for another one."""
    said = json.loads(content_below(folder.parent, name, MOST_CERTIFICATE))
    if said["date"] != day or said["system_id"] != folder.name:
        raise ValueError(f"its certificate is of {said['system_id']}, {said['date']}")
    part = said["parts"][STATUS]
    rows, size = int(said["rows"]), int(part["bytes"])
    if not (0 <= rows <= MOST_ROWS and 0 < size <= MOST_BYTES):
        raise ValueError(f"its certificate tells of {rows} rows in {size} bytes")
    zone = ZoneInfo(str(said["timezone"])[:99])
    return _Certified(day, zone, rows, size, str(part["sha256"]))


def _copied(folder: Path, certified: _Certified, aside: Path) -> Path:
    """Copy the file of a day to *aside*; raises where it is not what was certified."""
    above = f"{ARCHIVE}/{STATUS}/{DAYS.format(folder.name, certified.day)}"
    fd = opened_below(folder.parent, f"{above}/{PART}")
    copy, digest, left = aside / PART, hashlib.sha256(), certified.size
    with os.fdopen(fd, "rb") as source, copy.open("wb") as out:
        if os.fstat(fd).st_size != certified.size:
            raise ValueError("its file has another size than its certificate says")
        while left and (some := source.read(min(left, 1 << 20))):
            digest.update(some)
            out.write(some)
            left -= len(some)
    if digest.hexdigest() != certified.sha256:
        raise ValueError("its file is not what its certificate says (sha256 mismatch)")
    return copy


def _snapshots(
    copy: Path, certified: _Certified, judge: Plausible
) -> Iterator[Foreign]:
    """Yield the snapshots in the file *copy* of a day; raises StorageError."""
    begin, end = bounds(certified.day, certified.zone)
    with closing(duckdb_engine.connect(copy.with_name("spill"), memory=MEMORY)) as db:
        duckdb_engine.confine(db, [str(copy)])
        source = duckdb_engine.parquet(copy)
        with duckdb_engine.translated("not a day's rows"):
            _measured(db, copy, certified)
            cursor = db.execute(
                f"SELECT {_cells(db, source)} FROM {source}"
                " WHERE TRY_CAST(slot AS BIGINT) BETWEEN ? AND ? ORDER BY 1",
                [begin, end - 1],
            )
            found = 0
            for slot, rows in groupby(_stream(cursor), key=lambda row: row[0]):
                members = list(rows)
                found += len(members)
                yield from _snapshot(Slot(slot), members, judge)
    judge.bad += certified.rows - found


def _measured(db: "DuckDBPyConnection", copy: Path, certified: _Certified) -> None:
    """Raise where the file *copy* has not the rows that were certified."""
    literal = duckdb_engine.path(copy)
    sql = f"SELECT sum(num_rows) FROM parquet_file_metadata({literal})"
    ((rows,),) = db.execute(sql).fetchall()
    if rows != certified.rows:
        raise ValueError(f"its file has {rows} rows, its certificate {certified.rows}")


def _cells(db: "DuckDBPyConnection", source: str) -> str:
    """Return the columns of a day, each of its type, those that are not there empty."""
    described = db.execute(f"DESCRIBE FROM {source}").fetchall()
    known = {each for each, *_ in described}
    made = []
    for each in NAMES:
        cell = duckdb_engine.name(each) if each in known else "NULL"
        cell = f"TRY_CAST({cell} AS {TYPES[each]})"
        made.append(
            f"substr({cell}, 1, {LONGEST_ID + 1})" if each == NAMES[2] else cell
        )
    return ", ".join(made)


def _snapshot(
    slot: Slot, rows: Sequence[Sequence[Any]], judge: Plausible
) -> Iterator[Foreign]:
    if len(rows) > MOST_STATIONS or not judge.is_time(slot):
        judge.bad += len(rows)
        return
    statuses = []
    for _, _, station_id, *cells, reported in rows:
        status = judge.status(station_id, cells[:6], cells[6:9], reported)
        if status is not None:
            statuses.append(status)
    yield Foreign(slot, judge.fetched(rows[0][1], slot), tuple(statuses))


def _stream(cursor: "DuckDBPyConnection") -> Iterator[tuple[Any, ...]]:
    while some := cursor.fetchmany(BATCH):
        yield from some
