"""Views over the whole history: open days from their CSV, closed ones from the archive.

There is one view per dataset, with ``system_id`` and ``date``. Of open days it has only
the committed rows.
"""

import logging
import re
from collections.abc import Container, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bikecollect.archive import datasets, summaries
from bikecollect.archive.query import duckdb_engine
from bikecollect.archive.query.open_days import station_versions
from bikecollect.archive.query.open_rows import KEYS
from bikecollect.archive.query.row_sources import RowSources
from bikecollect.archive.query.vehicle_slots import vehicle_slots
from bikecollect.archive.query.view_source import (
    ARCHIVED,
    FROM_ROWS,
    TABLES,
    OnSkip,
    ViewedSystem,
    ViewSource,
    warn,
)
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import EARLIEST, LATEST, from_iso
from bikecollect.core.text import clean, count_of
from bikecollect.storage.data_folder import INFORMATION, VEHICLE_STATUS
from bikecollect.storage.files.scratch import scratch
from bikecollect.storage.lock import shared_locks

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

LISTING = re.compile(r"\bshow\b|\bpragma\b|duckdb_|information_schema|sqlite_|pg_")
"""SQL that may list the tables."""
STATIONS = (
    f"SELECT valid_from, {', '.join(datasets.STATIONS)} FROM stations"
    f" WHERE valid_from BETWEEN {EARLIEST} AND {LATEST}"
)


def tables_in(sql: str) -> frozenset[str]:
    """Return the tables that *sql* may read, all if it may list tables.

    >>> sorted(tables_in("SELECT * FROM slots JOIN Stations USING (system_id)"))
    ['slots', 'stations']
    >>> tables_in("SHOW TABLES") == tables_in("FROM duckdb_views()") == TABLES
    True
    """
    text = sql.casefold()
    tables = frozenset(table for table in TABLES if table in text)
    # DuckDB suggests a correction for a misspelled name, for which it needs all tables.
    is_odd = not tables and "from" in text
    return TABLES if is_odd or LISTING.search(text) else tables


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
    tables: Container[str] = TABLES,
    on_skip: OnSkip = warn,
    compared_since: str = "",
) -> Iterator["DuckDBPyConnection"]:
    """Yield a connection with the views of *systems*, whose archive is in *data*.

    It can open only their files, and *also*. *memory* limits DuckDB ("512MB"); empty:
    chosen for the machine. *settled* is a folder for callers that connect repeatedly:
    it keeps the CSV of open days as Parquet, so that each is read only once.
    *timezone* is that of times such as `slot_time`. Only *tables* are needed, see
    `tables_in`. A day that cannot be read is skipped, and *on_skip* is called; but if
    the place where it is lost (archive, CSV) is in *fails_on*, every query that reads
    it fails. Archived rows of days before *compared_since* are not compared with their
    certificates: the queries must not need them. Raises StorageError, NotInstalled.
    """
    source = ViewSource(
        data, systems, settled, fails_on, tables, on_skip, compared_since
    )
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
    on_skip: OnSkip = warn,
) -> Iterator["DuckDBPyConnection"]:
    """Yield a connection with the views that is not restricted in any way."""
    source = ViewSource(data, systems, on_skip=on_skip)
    with _viewed(source, memory, threads) as (db, _):
        db.execute(f"SET TimeZone = {duckdb_engine.text(timezone)}")
        yield db


@contextmanager
def _viewed(
    source: ViewSource, memory: str, threads: int
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


def _locked(source: ViewSource) -> AbstractContextManager[None]:
    """Keep compaction from removing files meanwhile, because a query may take long.

    It has no effect for callers that connect repeatedly, which would always prevent it.
    """
    systems = source.systems if source.settled is None else ()
    layouts = datasets.LAYOUTS
    return shared_locks(
        s.folder(layout) / layout.rows for s in systems for layout in layouts
    )


class _Views:
    """Creates the views of *source* in *db*; copies of files go to *aside*."""

    def __init__(
        self, db: "DuckDBPyConnection", aside: Path, source: ViewSource
    ) -> None:
        self._db, self._systems = db, source.systems
        self._tables = source.tables
        self._is_kept = source.settled is not None
        self._stations = RowSources(db, aside, source, datasets.STATION_LAYOUT)
        self._vehicles = RowSources(db, aside, source, datasets.VEHICLE_LAYOUT)
        self._histories = self._stations.histories

    def create(self) -> Sequence[Path]:
        """Create the views of the tables needed; return the files that they read."""
        if any(table in self._tables for table in ("slots", *FROM_ROWS)):
            # Before the rows: a block that is committed meanwhile has rows but no slot
            # and is not shown, while the newest slot never lacks its rows.
            self._load_slots()
        self._create_rows()
        if "slots" in self._tables:
            self._stations.create_view("slots", "FROM day_slots")
        if "runs" in self._tables:
            self._create_runs()
        if "stations" in self._tables:
            self._create_stations()
        self._create_vehicles()
        return [*self._stations.files, *self._vehicles.files]

    def _create_rows(self) -> None:
        stations = self._stations
        if not stations.reads_rows:
            return
        interval = max((viewed.system.interval for viewed in self._systems), default=0)
        is_summed = any(table in self._tables for table in FROM_ROWS)
        if is_summed and not self._is_kept:
            stations.sum_up("day_slots", interval)
            return
        stations.create_rows("rows")
        if datasets.STATUS in self._tables:
            stations.create_view(datasets.STATUS, "FROM rows")
        if is_summed:
            self._create_summaries(interval)

    def _create_summaries(self, interval: int) -> None:
        """Create the views of summaries, which are computed when they are queried."""
        rows, slots = "summed_rows", "summed_slots"
        outdated = self._stations.create_summed()
        for table, sql in (
            ("profile", summaries.profile(rows, slots)),
            ("coverage", summaries.coverage(interval, rows, slots)),
        ):
            if table in self._tables:
                self._stations.create_view(table, sql, besides=outdated)

    def _load_slots(self) -> None:
        """Load the slots of open days."""
        slots = (
            (system.system_id, day, *row)
            for system, day in self._stations.days()
            for row in system.day_slots(*system.bounds(day))
        )
        duckdb_engine.load(self._db, "day_slots", KEYS | datasets.SLOTS, slots)

    def _create_runs(self) -> None:
        columns = tuple(datasets.RUNS)
        runs = (
            (system.system_id, day, *row)
            for system, day in self._stations.days()
            for row in self._histories[system.system_id].run_rows(
                columns, *system.bounds(day)
            )
        )
        duckdb_engine.load(self._db, "day_runs", KEYS | datasets.RUNS, runs)
        self._stations.create_view("runs", "FROM day_runs")

    def _create_vehicles(self) -> None:
        vehicles = self._vehicles
        if vehicles.reads_rows:
            vehicles.create_rows("vehicle_rows")
            vehicles.create_view(VEHICLE_STATUS, "FROM vehicle_rows")
        if datasets.VEHICLE_SLOTS not in self._tables:
            return
        own_slots = (
            (viewed.system_id, day, *row)
            for viewed, day in vehicles.days()
            for row in vehicle_slots(viewed.system.vehicles, *viewed.bounds(day))
        )
        columns = KEYS | datasets.SLOTS
        duckdb_engine.load(self._db, "open_vehicle_slots", columns, own_slots)
        vehicles.create_view(datasets.VEHICLE_SLOTS, "FROM open_vehicle_slots")

    def _create_stations(self) -> None:
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
        """Return the station versions of the list, else those of the ledger.

        The list may be missing or damaged: the ledger's are used where they differ.
        """
        known = self._histories[system.system_id].select(STATIONS)
        try:
            listed = list(_versions(system.system.path))
        except OSError as error:
            log.warning("%s: %s; using the ledger's list", system.system_id, error)
            return known
        if len(listed) < len(known):
            return known
        versions = {(row[0], row[1]): row for row in listed}
        others = [row for row in known if not _is_same(row, versions.get(row[:2]))]
        if not others:
            return listed
        log.warning(
            "%s: %s and the ledger differ in %s; the ledger is used; run: bikecollect "
            "verify %s",
            *(system.system_id, INFORMATION, count_of(len(others), "version")),
            system.system_id,
        )
        is_longer = len(versions) > len(known)
        own = {row[:2]: row for row in known}
        return [*({**versions, **own} if is_longer else own).values()]


def _is_same(known: Sequence[Any], listed: Sequence[Any] | None) -> bool:
    """Return whether a version of a station in the ledger is that of the list.

    Values that one of them lacks are of an earlier version, and do not count.
    """
    if listed is None:
        return False
    pairs = zip(datasets.STATIONS.values(), known[1:], listed[1:], strict=True)
    return all(
        _is_value(kind, value, cell)
        for kind, value, cell in pairs
        if value is not None and cell is not None
    )


def _is_value(kind: str, value: Any, cell: str) -> bool:
    """Return whether a *cell* of the list has the *value* of the ledger.

    >>> _is_value("DOUBLE", 25.1, "25.10"), _is_value("BOOLEAN", 1, "false")
    (True, False)
    """
    if kind == "VARCHAR":
        return clean(cell) == clean(value)
    if kind == "BOOLEAN":
        return cell.lower() == ("true" if value else "false")
    with suppress(ValueError):
        return float(cell) == float(value)
    return False


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
