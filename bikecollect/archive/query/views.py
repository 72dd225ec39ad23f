"""Views over the whole history: open days from their CSV, closed ones from the archive.

There is one view per dataset, with ``system_id`` and ``date``; open days have their
committed rows only.
"""

import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bikecollect.archive import datasets, day_csv, parquet, summaries
from bikecollect.archive.parts import list_parts
from bikecollect.archive.query import duckdb_engine
from bikecollect.archive.query.duckdb_engine import UNREADABLE
from bikecollect.archive.query.open_days import (
    Segment,
    missing,
    open_days,
    segments,
    station_versions,
)
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import EARLIEST, LATEST, Slot, from_iso
from bikecollect.storage.data_folder import STATUS
from bikecollect.storage.files.scratch import scratch
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.lock import shared_lock

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KEYS = {"system_id": "VARCHAR", "date": "DATE"}
log = logging.getLogger(__name__)
CSV, ARCHIVE = "csv", "archive"
"""The places where a day may be lost."""
ARCHIVED, ANY = frozenset({ARCHIVE}), frozenset({ARCHIVE, CSV})
KNOWN = f"COLUMNS(lambda c: c <> '{datasets.VERBATIM}')"
STATIONS = (
    f"SELECT valid_from, {', '.join(datasets.STATIONS)} FROM stations"
    f" WHERE valid_from BETWEEN {EARLIEST} AND {LATEST}"
)
TIME = "TRY(to_timestamp(slot))"
HIVE = "hive_types = {'system_id': VARCHAR, 'date': DATE}"


@dataclass(frozen=True)
class ViewedSystem:
    """A system whose history lies in *folder*.

    *days* are its days so far; *bounds* returns the first slot of a day and the one
    after its last; *day_slots* returns the slots between two, with the columns of the
    dataset `slots`.
    """

    system_id: str
    folder: Path
    interval: int
    days: Sequence[str]
    bounds: Callable[[str], tuple[Slot, Slot]]
    day_slots: Callable[[Slot, Slot], Sequence[Sequence[Any]]]


@contextmanager
def connected(
    data: Path,
    systems: Sequence[ViewedSystem],
    *,
    memory: str = "",
    threads: int = 2,
    settled: Path | None = None,
    also: Sequence[str] = (),
    fails_on: Container[str] = ARCHIVED,
    timezone: str = "UTC",
) -> Iterator["DuckDBPyConnection"]:
    """Yield a connection with the views of *systems*, whose archive is in *data*.

    It can open only their files, and *also*. *memory* bounds DuckDB ("512MB"); empty:
    chosen for the machine. *settled* is a folder for callers that connect repeatedly:
    it keeps the CSV of open days as Parquet, so that each is read only once.
    *timezone* is that of `slot_time` and the like. For a day
    that cannot be read a warning is logged; or, with *fails_on* the place where it is
    lost (its file in the archive, its CSV), every query that touches it fails. Raises
    StorageError, NotInstalled.
    """
    source = _Source(data, systems, settled, fails_on)
    with _viewed(source, memory, threads) as (db, files):
        db.execute(f"SET TimeZone = {duckdb_engine.text(timezone)}")
        duckdb_engine.confine(db, [*map(str, files), *also])
        yield db


@contextmanager
def unconfined(
    data: Path,
    systems: Sequence[ViewedSystem],
    *,
    memory: str = "",
    threads: int = 2,
    timezone: str = "UTC",
) -> Iterator["DuckDBPyConnection"]:
    """Yield a connection with the views that is not restricted in any way."""
    with _viewed(_Source(data, systems), memory, threads) as (db, _):
        db.execute(f"SET TimeZone = {duckdb_engine.text(timezone)}")
        yield db


@dataclass(frozen=True)
class _Source:
    """What the views are made of, see `connected`."""

    data: Path
    systems: Sequence[ViewedSystem]
    settled: Path | None = None
    fails_on: Container[str] = ARCHIVED


@contextmanager
def _viewed(
    source: _Source, memory: str, threads: int
) -> Iterator[tuple["DuckDBPyConnection", Sequence[Path]]]:
    """Yield a connection with the views, and the files that they read."""
    memory = memory or duckdb_engine.affordable()
    with (
        _locked(source),
        scratch() as aside,
        closing(duckdb_engine.connect(aside, memory=memory, threads=threads)) as db,
    ):
        what = f"cannot read the history in {source.data}"
        try:
            with duckdb_engine.translated(what):
                files = _Views(db, aside, source).create()
        except OSError as error:
            raise StorageError(f"{what}: {error}") from error
        yield db, files


@contextmanager
def _locked(source: _Source) -> Iterator[None]:
    """Keep compaction from removing files meanwhile: a query may take long.

    Not for callers that connect repeatedly: they would prevent it for ever.
    """
    with ExitStack() as stack:
        for system in source.systems if source.settled is None else ():
            stack.enter_context(shared_lock(system.folder / STATUS))
        yield


class _Views:
    """Creates the views of *source* in *db*; copies of files go to *aside*."""

    def __init__(self, db: "DuckDBPyConnection", aside: Path, source: _Source) -> None:
        self._db = db
        self._data = source.data
        self._aside = aside
        self._systems = systems = source.systems
        self._settled = source.settled
        self._fails_on = source.fails_on
        self._files: list[Path] = []
        self._parts = {
            s.system_id: list_parts(self._data, s.system_id) for s in systems
        }
        self._histories = {s.system_id: History(s.system_id, s.folder) for s in systems}
        self._open = {
            system.system_id: open_days(
                self._histories[system.system_id],
                system.days,
                self._parts[system.system_id],
            )
            for system in systems
        }

    def create(self) -> Sequence[Path]:
        """Create all views; return the files that they read."""
        intervals = {system.interval for system in self._systems} or {0}
        self._view("rows", self._open_rows(), datasets.STATUS_COLUMNS)
        slots = (
            (system.system_id, day, *row)
            for system, day in self._days()
            for row in system.day_slots(*system.bounds(day))
        )
        duckdb_engine.load(self._db, "day_slots", KEYS | datasets.SLOTS, slots)
        runs = (
            (system.system_id, day, *row)
            for system, day in self._days()
            for row in self._runs(system, *system.bounds(day))
        )
        duckdb_engine.load(self._db, "day_runs", KEYS | datasets.RUNS, runs)
        self._both(datasets.STATUS, "FROM rows")
        self._both("slots", "FROM day_slots")
        self._both("runs", "FROM day_runs")
        self._both("profile", summaries.profile())
        self._both("coverage", summaries.coverage(max(intervals)))
        self._stations()
        return self._files

    def _days(self) -> Iterator[tuple[ViewedSystem, str]]:
        for system in self._systems:
            for day in self._open[system.system_id]:
                yield system, day

    def _view(
        self, name: str, parts: Iterable[str], columns: Mapping[str, str]
    ) -> None:
        """Create the view *name* as the union of *parts*; it has all *columns*."""
        typed = ", ".join(
            f"CAST(NULL AS {kind}) AS {duckdb_engine.name(column)}"
            for column, kind in {**KEYS, **columns}.items()
        )
        union = " UNION ALL BY NAME ".join([f"SELECT {typed} WHERE false", *parts])
        if "slot" in columns and name in datasets.COLUMNS:
            union = f"SELECT *, {TIME} AS {datasets.SLOT_TIME} FROM ({union}) AS typed"
        self._db.execute(f"CREATE VIEW {name} AS {union}")

    def _both(self, dataset: str, open_sql: str) -> None:
        """Create the view of *dataset*: the result of *open_sql*, and the archive."""
        parts = [f"SELECT * FROM ({open_sql}) AS still_open"]
        for system in self._systems:
            files = self._parts[system.system_id][dataset].items()
            closed = [p for day, p in files if day not in self._open[system.system_id]]
            if closed:
                parts.append(f"SELECT {KNOWN} FROM {self._closed(dataset, closed)}")
        self._view(dataset, parts, datasets.COLUMNS[dataset])

    def _closed(self, dataset: str, paths: Sequence[Path]) -> str:
        union = "true" if dataset == datasets.STATUS else "false"
        return (
            f"read_parquet({self._listed(paths)}, hive_partitioning = true, {HIVE},"
            f" union_by_name = {union})"
        )

    def _listed(self, paths: Sequence[Path]) -> str:
        """Return *paths* as an SQL list, and note them as files that are read."""
        self._files += paths
        return f"[{', '.join(duckdb_engine.path(path) for path in paths)}]"

    def _open_rows(self) -> Iterator[str]:
        """Yield queries for the rows of open days: their CSV, and archived rows."""
        for system in self._systems:
            name = system.system_id
            by_header: dict[bytes, list[Path]] = {}
            for day, has_gone in self._open[name].items():
                lost: list[str] = []
                for header, path in self._segments(system, day, lost):
                    if self._settled:
                        yield self._dated(system, day, self._kept(system, header, path))
                    else:
                        by_header.setdefault(header, []).append(path)
                yield from self._lost(name, day, CSV, lost)
                part = self._parts[name][datasets.STATUS].get(day)
                if has_gone and part is not None:
                    yield self._dated(system, day, part)
                elif has_gone:
                    why = missing(self._data, name, day)
                    yield from self._lost(name, day, ARCHIVE, [why])
            for header, paths in by_header.items():
                columns = day_csv.columns_of(header)
                source = parquet.csv_source(self._listed(paths), columns)
                source = source[:-1] + ", filename = true)"
                date = r"regexp_extract(filename, '(\d{4}-\d\d-\d\d)[^/]*$', 1)"
                yield (
                    f"SELECT {duckdb_engine.text(name)} AS system_id,"
                    f" CAST({date} AS DATE) AS date,"
                    f" {parquet.as_rows(columns)} FROM {source}"
                )

    def _segments(
        self, system: ViewedSystem, day: str, lost: list[str]
    ) -> Iterator[Segment]:
        history, name = self._histories[system.system_id], system.system_id
        newest = day >= max(system.days, default="")
        aside = self._aside / name
        return segments(history, system.folder, day, aside, lost, newest=newest)

    def _lost(
        self, name: str, day: str, kind: str, whys: Iterable[str]
    ) -> Iterator[str]:
        """Log what cannot be read of *day*, or yield queries that fail if it is read.

        The failing row has the day's keys: queries about other days never evaluate it.
        """
        for why in whys:
            text = f"{name}: {day} {UNREADABLE} {why}"
            if kind not in self._fails_on:
                log.warning("%s; skipped", text)
                continue
            yield (
                f"SELECT {duckdb_engine.text(name)} AS system_id,"
                f" DATE {duckdb_engine.text(day)} AS date"
                f" WHERE CAST(error({duckdb_engine.text(text)}) AS VARCHAR) IS NOT NULL"
            )

    def _dated(self, system: ViewedSystem, day: str, part: Path) -> str:
        """Return the query for the rows of *part*, those of *day*."""
        self._files.append(part)
        return (
            f"SELECT {duckdb_engine.text(system.system_id)} AS system_id,"
            f" DATE {duckdb_engine.text(day)} AS date, {KNOWN}"
            f" FROM {duckdb_engine.parquet(part)}"
        )

    def _kept(self, system: ViewedSystem, header: bytes, path: Path) -> Path:
        """Return *path* as Parquet; its committed bytes only grow, and never change."""
        assert self._settled is not None
        folder = self._settled / system.system_id
        kept = folder / f"{path.stem}-{path.stat().st_size}.parquet"
        if not kept.exists():
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob(f"{path.stem}-*"):
                old.unlink()
            new = kept.with_suffix(".new")
            parquet.write_quick(self._db, path, day_csv.columns_of(header), new)
            new.rename(kept)
        return kept

    def _runs(self, system: ViewedSystem, begin: Slot, end: Slot) -> list[Any]:
        names = ", ".join(datasets.RUNS)
        sql = f"SELECT {names} FROM runs WHERE slot >= ? AND slot < ? ORDER BY slot"
        return self._histories[system.system_id].select(sql, begin, end)

    def _stations(self) -> None:
        """Create the table of station versions from station_information.csv."""
        columns = {"system_id": "VARCHAR", "valid_from": "BIGINT", **datasets.STATIONS}
        rows = (
            (system.system_id, *row)
            for system in self._systems
            for row in self._versions(system)
        )
        duckdb_engine.load(self._db, "versions", columns, rows)
        self._db.execute(
            "CREATE TABLE stations AS SELECT system_id, station_id, valid_from,"
            " LEAD(valid_from) OVER (PARTITION BY system_id, station_id"
            " ORDER BY valid_from) AS valid_to,"
            " * EXCLUDE (system_id, station_id, valid_from) FROM versions"
        )
        self._db.execute("DROP TABLE versions")

    def _versions(self, system: ViewedSystem) -> list[tuple[object, ...]]:
        """Return the station versions: those of the list, or else of the ledger.

        Somebody may have deleted the list, or spoiled it.
        """
        known = self._histories[system.system_id].select(STATIONS)
        listed = list(_versions(system.folder))
        return listed if len(listed) >= len(known) else known


def _versions(folder: Path) -> Iterator[tuple[object, ...]]:
    """Yield the station versions as rows of the table; an empty cell is NULL."""
    for cells in station_versions(folder):
        try:
            since = from_iso(cells["valid_from"])
        except (KeyError, ValueError, OverflowError):
            continue
        if not EARLIEST <= since <= LATEST:
            continue
        yield since, *(cells.get(name) or None for name in datasets.STATIONS)
