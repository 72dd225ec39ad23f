"""The archived days of another bikecollect, as listed by its certificates."""

import hashlib
import heapq
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bikecollect.archive.datasets import (
    KEY,
    PART,
    RUNS,
    STATION_LAYOUT,
    DatasetLayout,
    part_of,
    types_of,
)
from bikecollect.archive.parts import is_day
from bikecollect.archive.query import duckdb_engine
from bikecollect.collect.sources import ForeignBlock, Status
from bikecollect.collect.sources.foreign_rows import RowReader, flags_of
from bikecollect.collect.sources.plausible import MAX_STATIONS, Plausible
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import DAY, Slot, bounds
from bikecollect.feeds.reading.values import MAX_ID, MAX_TEXT
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
MAX_CERTIFICATE = 1 << 18
MAX_BYTES = 1 << 30
"""Maximum bytes of a day's file; that of a large city has two million."""
MAX_ROWS = 20_000_000
MAX_SLOTS = 100_000
BATCH = 20_000
SLOTS = "slots.parquet"
Facts = Mapping[int, tuple[Any, Any, Any]]
"""Flags, stamp and number of rows by slot, unchecked."""
READ_ERRORS = (
    OSError,
    StorageError,
    ValueError,
    LookupError,
    TypeError,
    OverflowError,
    RecursionError,
)
"""The exceptions that reading a day's files may raise for any content."""


@dataclass(frozen=True)
class _Certified:
    """The content of a certificate about a day's rows."""

    day: str
    zone: ZoneInfo
    rows: int
    size: int
    sha256: str
    slots: tuple[int, str] | None = None
    """Size and sha256 of the day's file of slots, which has the flags."""
    runs: tuple[int, str] | None = None
    """Size and sha256 of the day's file of runs."""
    earliest: int = 0
    """Where the day before ends, if it has another time zone."""

    @property
    def span(self) -> tuple[int, int]:
        """The first epoch second of the day, and the one after it."""
        begin, end = map(int, bounds(self.day, self.zone))
        earliest = max(self.earliest, begin - DAY) if self.earliest else begin
        return min(begin, earliest), end


class _ConfinedEngine:
    """DuckDB that can open only the copies in a folder, which change with the day."""

    def __init__(self, scratch_folder: Path) -> None:
        self.rows, self.slots = scratch_folder / PART, scratch_folder / SLOTS
        self._spill = scratch_folder / "spill"
        self._db: DuckDBPyConnection | None = None

    @property
    def db(self) -> "DuckDBPyConnection":
        """A connection to it; it is started when it is needed."""
        if self._db is None:
            self._db = duckdb_engine.connect(
                self._spill, memory=MEMORY, caches_files=False
            )
            duckdb_engine.confine(self._db, [str(self.rows), str(self.slots)])
        return self._db

    def close(self) -> None:
        """Close it, also after an error: it may have made the engine unusable."""
        if self._db is not None:
            self._db.close()
            self._db = None


def certified_days(folder: Path, layout: DatasetLayout) -> set[str]:
    """Return the days with a certificate for the system in *folder*, maybe damaged.

    Raises OSError.
    """
    names = list_below(folder.parent, _certificates(folder, layout))
    return {name[:10] for name in names if name[10:] == ".json" and is_day(name[:10])}


def _certificates(folder: Path, layout: DatasetLayout) -> str:
    return f"{ARCHIVE}/{layout.certificates}/system_id={folder.name}"


def archived(
    folder: Path, scratch_folder: Path, judge: Plausible, rows: RowReader[Status]
) -> Iterator[ForeignBlock[Status]]:
    """Yield the archived *rows* of the system in *folder*, by slot.

    Each file is copied to *scratch_folder*, and must match its certificate and have
    only rows of that day. Other days are skipped, and counted by *judge*. Raises
    OSError if the archive cannot be listed.
    """
    layout = rows.layout
    place = _certificates(folder, layout)
    before: _Certified | None = None
    with closing(_ConfinedEngine(scratch_folder)) as engine:
        for day in sorted(certified_days(folder, layout)):
            try:
                certified = _certified(folder, f"{place}/{day}.json", day, layout)
                if before and before.zone != certified.zone:
                    certified = replace(certified, earliest=before.span[1])
                before = certified
                yield from _day(folder, certified, engine, judge, rows)
            except READ_ERRORS as error:
                log.warning("%s of %s cannot be read: %s", day, folder, error)
                judge.bad += 1
                engine.close()


def _day(
    folder: Path,
    certified: _Certified,
    engine: _ConfinedEngine,
    judge: Plausible,
    rows: RowReader[Status],
) -> Iterator[ForeignBlock[Status]]:
    """Yield the archived *rows* of a day by slot; raises `READ_ERRORS`."""
    facts = _facts(folder, certified, engine, rows.layout)
    _copy_verified(
        folder,
        _place(folder, rows.layout.rows, certified.day),
        certified.size,
        certified.sha256,
        engine.rows,
    )
    blocks = _blocks(engine, certified, judge, rows)
    for block in heapq.merge(blocks, _empty(facts, certified), key=_slot):
        flags, updated, _ = facts.get(block.slot, ("", None, None))
        yield block._replace(flags=flags_of(flags), last_updated=judge.stamp(updated))


def _certified(folder: Path, name: str, day: str, layout: DatasetLayout) -> _Certified:
    """Return the content of the certificate *name* of *day*; raises `READ_ERRORS`."""
    content = json.loads(read_below(folder.parent, name, MAX_CERTIFICATE))
    if content["date"] != day or content["system_id"] != folder.name:
        owner = f"{content['system_id']}, {content['date']}"
        raise ValueError(f"its certificate belongs to {owner}")
    part = content["parts"][layout.rows]
    rows, size = int(content["rows"]), int(part["bytes"])
    if not (0 <= rows <= MAX_ROWS and 0 < size <= MAX_BYTES):
        raise ValueError(f"its certificate lists {rows} rows in {size} bytes")
    zone = ZoneInfo(str(content["timezone"])[:99])
    slots, runs = (content["parts"].get(name) for name in (layout.slots, "runs"))
    return _Certified(
        day,
        zone,
        rows,
        size,
        str(part["sha256"]),
        (int(slots["bytes"]), str(slots["sha256"])) if slots else None,
        (int(runs["bytes"]), str(runs["sha256"])) if runs else None,
    )


def _copy_verified(
    folder: Path, place: str, size: int, sha256: str, copy: Path
) -> None:
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


def _place(folder: Path, dataset: str, day: str) -> str:
    return f"{ARCHIVE}/{part_of(dataset, folder.name, day)}"


def _facts(
    folder: Path, certified: _Certified, engine: _ConfinedEngine, layout: DatasetLayout
) -> Facts:
    """Return what is known of the slots of a day, nothing if it cannot be read."""
    if certified.slots is None or not 0 < certified.slots[0] <= MAX_BYTES:
        return {}
    place = _place(folder, layout.slots, certified.day)
    try:
        _copy_verified(folder, place, *certified.slots, engine.slots)
        with duckdb_engine.translated("not the slots of a day"):
            rows = engine.db.execute(
                "SELECT TRY_CAST(slot AS BIGINT), substr(flags, 1, 255),"
                " TRY_CAST(last_updated AS BIGINT),"
                " CASE WHEN state = 'missing' THEN NULL"
                " ELSE TRY_CAST(rows AS BIGINT) END"
                f" FROM {duckdb_engine.parquet(engine.slots)} LIMIT {MAX_SLOTS}"
            ).fetchall()
    except READ_ERRORS as error:
        log.warning("%s of %s has no flags: %s", certified.day, folder, error)
        engine.close()
        return {}
    return {slot: tuple(facts) for slot, *facts in rows}


def archived_runs(
    folder: Path, scratch_folder: Path, days: Iterable[str]
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the runs of each archived day, unchecked; raises `READ_ERRORS`."""
    with closing(_ConfinedEngine(scratch_folder)) as engine:
        for day in days:
            yield _runs(folder, day, engine)


def _runs(folder: Path, day: str, engine: _ConfinedEngine) -> list[tuple[Any, ...]]:
    name = f"{_certificates(folder, STATION_LAYOUT)}/{day}.json"
    certified = _certified(folder, name, day, STATION_LAYOUT)
    if certified.runs is None or not 0 < certified.runs[0] <= MAX_BYTES:
        raise ValueError("it has no runs")
    place = _place(folder, "runs", day)
    _copy_verified(folder, place, *certified.runs, engine.rows)
    source = duckdb_engine.parquet(engine.rows)
    with duckdb_engine.translated("not the runs of a day"):
        cells = _cells(engine.db, source, RUNS, RUNS)
        sql = f"SELECT {cells} FROM {source} LIMIT {MAX_SLOTS}"
        return engine.db.execute(sql).fetchall()


def _empty(facts: Facts, certified: _Certified) -> Iterator[ForeignBlock[Any]]:
    """Yield the collected slots of a day without rows: no vehicle was listed."""
    begin, end = certified.span
    for slot, (_, _, count) in sorted(facts.items()):
        if count == 0 and begin <= slot < end:
            yield ForeignBlock(Slot(slot), float(slot), ())


def _slot(block: ForeignBlock[Any]) -> Slot:
    return block.slot


def _blocks(
    engine: _ConfinedEngine,
    certified: _Certified,
    judge: Plausible,
    rows: RowReader[Status],
) -> Iterator[ForeignBlock[Status]]:
    """Yield the copied rows of a day by slot; raises StorageError."""
    begin, end = certified.span
    source, types = duckdb_engine.parquet(engine.rows), types_of(rows.layout.columns)
    with duckdb_engine.translated("not a day's rows"):
        _check_rows(engine.db, engine.rows, certified)
        cursor = engine.db.execute(
            f"SELECT {_cells(engine.db, source, rows.layout.columns, types)}"
            f" FROM {source}"
            " WHERE TRY_CAST(slot AS BIGINT) BETWEEN ? AND ? ORDER BY 1",
            [begin, end - 1],
        )
        count = 0
        for slot, group in groupby(_stream(cursor), key=lambda row: row[0]):
            slot_rows = list(group)
            count += len(slot_rows)
            yield from _block(Slot(slot), slot_rows, judge, rows)
    judge.bad += certified.rows - count


def _check_rows(db: "DuckDBPyConnection", copy: Path, certified: _Certified) -> None:
    """Raise if the file *copy* has another number of rows than *certified*."""
    literal = duckdb_engine.path(copy)
    sql = f"SELECT sum(num_rows) FROM parquet_file_metadata({literal})"
    ((rows,),) = db.execute(sql).fetchall()
    if rows != certified.rows:
        raise ValueError(f"its file has {rows} rows, its certificate {certified.rows}")


def _cells(
    db: "DuckDBPyConnection",
    source: str,
    columns: Iterable[str],
    types: Mapping[str, str],
) -> str:
    """Return SQL for the *columns* of a day, cast to *types*; NULL if missing."""
    described = db.execute(f"DESCRIBE FROM {source}").fetchall()
    present = {name for name, *_ in described}
    cells = []
    for place, name in enumerate(columns):
        cell = duckdb_engine.name(name) if name in present else "NULL"
        cell = f"TRY_CAST({cell} AS {types[name]})"
        longest = MAX_ID if place == KEY else MAX_TEXT
        is_text = types[name] == "VARCHAR"
        cells.append(f"substr({cell}, 1, {longest + 1})" if is_text else cell)
    return ", ".join(cells)


def _block(
    slot: Slot,
    cells: Sequence[Sequence[Any]],
    judge: Plausible,
    rows: RowReader[Status],
) -> Iterator[ForeignBlock[Status]]:
    if len(cells) > MAX_STATIONS or not judge.is_time(slot):
        judge.bad += len(cells)
        return
    names = rows.layout.columns
    read = (rows.read(judge, dict(zip(names, row, strict=True))) for row in cells)
    statuses = tuple(status for status in read if status is not None)
    yield ForeignBlock(slot, judge.fetched(cells[0][1], slot), statuses)


def _stream(cursor: "DuckDBPyConnection") -> Iterator[tuple[Any, ...]]:
    while batch := cursor.fetchmany(BATCH):
        yield from batch
