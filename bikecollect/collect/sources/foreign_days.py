"""The archived days of another bikecollect, as listed by its certificates."""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bikecollect.archive.datasets import DAYS, PART, STATUS, TYPES
from bikecollect.archive.parts import is_day
from bikecollect.archive.query import duckdb_engine
from bikecollect.collect.sources import ForeignSnapshot
from bikecollect.collect.sources.plausible import (
    MOST_STATIONS,
    Plausible,
    known_flags,
)
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot, bounds
from bikecollect.feeds.reading.values import MAX_ID
from bikecollect.storage.csv_format import COLUMNS
from bikecollect.storage.data_folder import ARCHIVE
from bikecollect.storage.files.regular_file import (
    list_below,
    open_below,
    read_below,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)
MEMORY = "96MB"
MOST_CERTIFICATE = 1 << 18
MOST_BYTES = 1 << 30
"""Size of a day's file; that of a large city has two million bytes."""
MOST_ROWS = 20_000_000
MOST_SLOTS = 100_000
BATCH = 20_000
NAMES = tuple(COLUMNS)
SLOTS = "slots"
Facts = Mapping[int, tuple[Any, Any]]
"""Flags and stamp by slot, unchecked."""
READ_ERRORS = (
    OSError,
    StorageError,
    ValueError,
    LookupError,
    TypeError,
    OverflowError,
    RecursionError,
)
"""What reading a day's files may raise for any content."""


@dataclass(frozen=True)
class _Certified:
    """The content of a certificate about a day's rows."""

    day: str
    zone: ZoneInfo
    rows: int
    size: int
    sha256: str
    slots: tuple[int, str] | None = None
    """Size and sha256 of the file of its slots, which has their flags."""


def archived(
    folder: Path, scratch_folder: Path, judge: Plausible
) -> Iterator[ForeignSnapshot]:
    """Yield the snapshots of the archived days of the system in *folder*, by slot.

    Each file is copied to *scratch_folder* and must match its certificate, with rows
    of that day only. Any other day is skipped, and *judge* counts it. Raises OSError
    if the archive cannot be listed.
    """
    place = f"{ARCHIVE}/certificates/system_id={folder.name}"
    for name in list_below(folder.parent, place):
        day, ending = name[:10], name[10:]
        if ending != ".json" or not is_day(day):
            continue
        try:
            certified = _certified(folder, f"{place}/{name}", day)
            facts = _facts(folder, certified, scratch_folder)
            copy = _verified_copy(
                folder,
                _place(folder, STATUS, day),
                certified.size,
                certified.sha256,
                scratch_folder / PART,
            )
            for snapshot in _snapshots(copy, certified, judge):
                flags, updated = facts.get(snapshot.slot, ("", None))
                yield snapshot._replace(
                    flags=known_flags(flags), last_updated=judge.stamp(updated)
                )
        except READ_ERRORS as error:
            log.warning("%s of %s cannot be read: %s", day, folder, error)
            judge.bad += 1


def _certified(folder: Path, name: str, day: str) -> _Certified:
    """Return the content of the certificate *name* of *day*; raises if invalid."""
    content = json.loads(read_below(folder.parent, name, MOST_CERTIFICATE))
    if content["date"] != day or content["system_id"] != folder.name:
        owner = f"{content['system_id']}, {content['date']}"
        raise ValueError(f"its certificate belongs to {owner}")
    part = content["parts"][STATUS]
    rows, size = int(content["rows"]), int(part["bytes"])
    if not (0 <= rows <= MOST_ROWS and 0 < size <= MOST_BYTES):
        raise ValueError(f"its certificate lists {rows} rows in {size} bytes")
    zone = ZoneInfo(str(content["timezone"])[:99])
    slots = content["parts"].get(SLOTS)
    return _Certified(
        day,
        zone,
        rows,
        size,
        str(part["sha256"]),
        (int(slots["bytes"]), str(slots["sha256"])) if slots else None,
    )


def _verified_copy(
    folder: Path, place: str, size: int, sha256: str, copy: Path
) -> Path:
    """Copy the file at *place* to *copy*; raises if it was not certified."""
    fd = open_below(folder.parent, place)
    digest, left = hashlib.sha256(), size
    with os.fdopen(fd, "rb") as source, copy.open("wb") as out:
        if os.fstat(fd).st_size != size:
            raise ValueError("the size of its file differs from its certificate")
        while left and (data := source.read(min(left, 1 << 20))):
            digest.update(data)
            out.write(data)
            left -= len(data)
    if digest.hexdigest() != sha256:
        raise ValueError("its file does not match its certificate (sha256 mismatch)")
    return copy


def _place(folder: Path, dataset: str, day: str) -> str:
    return f"{ARCHIVE}/{dataset}/{DAYS.format(folder.name, day)}/{PART}"


def _facts(folder: Path, certified: _Certified, scratch_folder: Path) -> Facts:
    """Return flags and stamp of the slots of a day, none if they cannot be read."""
    if certified.slots is None or not 0 < certified.slots[0] <= MOST_BYTES:
        return {}
    place = _place(folder, SLOTS, certified.day)
    copy = scratch_folder / "slots.parquet"
    try:
        _verified_copy(folder, place, *certified.slots, copy)
        spill = copy.with_name("spill")
        with closing(duckdb_engine.connect(spill, memory=MEMORY)) as db:
            duckdb_engine.confine(db, [str(copy)])
            with duckdb_engine.translated("not the slots of a day"):
                rows = db.execute(
                    "SELECT TRY_CAST(slot AS BIGINT), substr(flags, 1, 255),"
                    " TRY_CAST(last_updated AS BIGINT)"
                    f" FROM {duckdb_engine.parquet(copy)} LIMIT {MOST_SLOTS}"
                ).fetchall()
    except READ_ERRORS as error:
        log.warning("%s of %s has no flags: %s", certified.day, folder, error)
        return {}
    return {slot: (flags, updated) for slot, flags, updated in rows}


def _snapshots(
    copy: Path, certified: _Certified, judge: Plausible
) -> Iterator[ForeignSnapshot]:
    """Yield the snapshots in the file *copy* of a day; raises StorageError."""
    begin, end = bounds(certified.day, certified.zone)
    with closing(duckdb_engine.connect(copy.with_name("spill"), memory=MEMORY)) as db:
        duckdb_engine.confine(db, [str(copy)])
        source = duckdb_engine.parquet(copy)
        with duckdb_engine.translated("not a day's rows"):
            _check_rows(db, copy, certified)
            cursor = db.execute(
                f"SELECT {_cells(db, source)} FROM {source}"
                " WHERE TRY_CAST(slot AS BIGINT) BETWEEN ? AND ? ORDER BY 1",
                [begin, end - 1],
            )
            count = 0
            for slot, rows in groupby(_stream(cursor), key=lambda row: row[0]):
                slot_rows = list(rows)
                count += len(slot_rows)
                yield from _snapshot(Slot(slot), slot_rows, judge)
    judge.bad += certified.rows - count


def _check_rows(db: "DuckDBPyConnection", copy: Path, certified: _Certified) -> None:
    """Raise if the file *copy* has another number of rows than *certified*."""
    literal = duckdb_engine.path(copy)
    sql = f"SELECT sum(num_rows) FROM parquet_file_metadata({literal})"
    ((rows,),) = db.execute(sql).fetchall()
    if rows != certified.rows:
        raise ValueError(f"its file has {rows} rows, its certificate {certified.rows}")


def _cells(db: "DuckDBPyConnection", source: str) -> str:
    """Return SQL for the columns of a day, cast to their types; NULL if missing."""
    described = db.execute(f"DESCRIBE FROM {source}").fetchall()
    present = {name for name, *_ in described}
    cells = []
    for name in NAMES:
        cell = duckdb_engine.name(name) if name in present else "NULL"
        cell = f"TRY_CAST({cell} AS {TYPES[name]})"
        is_id = name == NAMES[2]
        cells.append(f"substr({cell}, 1, {MAX_ID + 1})" if is_id else cell)
    return ", ".join(cells)


def _snapshot(
    slot: Slot, rows: Sequence[Sequence[Any]], judge: Plausible
) -> Iterator[ForeignSnapshot]:
    if len(rows) > MOST_STATIONS or not judge.is_time(slot):
        judge.bad += len(rows)
        return
    statuses = []
    for _, _, station_id, *cells, reported in rows:
        status = judge.status(station_id, cells[:6], cells[6:9], reported)
        if status is not None:
            statuses.append(status)
    yield ForeignSnapshot(slot, judge.fetched(rows[0][1], slot), tuple(statuses))


def _stream(cursor: "DuckDBPyConnection") -> Iterator[tuple[Any, ...]]:
    while batch := cursor.fetchmany(BATCH):
        yield from batch
