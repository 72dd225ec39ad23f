"""One view over the whole history: open days from their CSV, closed from the archive.

The views are those of `layout`, each with ``system_id`` and ``date``; of an open day
they have what is committed, and no byte behind it.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bikecollect.archive import (
    datasets as layout,
)
from bikecollect.archive import (
    day_csv as sheet,
)
from bikecollect.archive import (
    duckdb_engine as engine,
)
from bikecollect.archive import (
    parquet,
    summaries,
)
from bikecollect.archive.archived_days import FILLED, GONE
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot
from bikecollect.storage.data_folder import INFORMATION
from bikecollect.storage.ledger_reader import History

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KEYS = {"system_id": "VARCHAR", "date": "DATE"}
HIVE = "hive_types = {'system_id': VARCHAR, 'date': DATE}"
SPANS = (
    'SELECT file, start, "end" FROM blocks WHERE substr(file, 16, 10) = ?'
    " AND file NOT IN (SELECT file FROM files WHERE damaged = ?) ORDER BY file, start"
)


@dataclass(frozen=True)
class Shown:
    """A system whose history, in *folder*, is looked at.

    *days* are its days so far; *bounds* says with which slot one begins and which is
    behind its last;
    *day_slots* gives the account of the slots between two, as the layout has them.
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
    systems: Sequence[Shown],
    *,
    memory: str = "",
    threads: int = 2,
    settled: Path | None = None,
) -> Iterator["DuckDBPyConnection"]:
    """Yield a connection that has the views of *systems*, whose archive is in *data*.

    *memory* bounds DuckDB ("512MB"); empty: what the machine can afford. *settled* is
    for who connects again and again: a folder in which open days' sheets are kept as
    Parquet, so that each is read but once. Raises StorageError, NotInstalled.
    """
    memory = memory or engine.affordable()
    aside = Path(tempfile.mkdtemp(prefix="bikecollect-"))
    try:
        with closing(engine.connect(aside, memory=memory, threads=threads)) as db:
            _make(_Views(db, data, aside, systems, settled), data)
            yield db
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _make(views: "_Views", data: Path) -> None:
    what = f"cannot read the history in {data}"
    try:
        with engine.translated(what):
            views.make()
    except OSError as error:
        raise StorageError(f"{what}: {error}") from error


class _Views:
    """Makes the views of *systems* in *db*; what must be copied goes to *aside*."""

    def __init__(
        self,
        db: "DuckDBPyConnection",
        data: Path,
        aside: Path,
        systems: Sequence[Shown],
        settled: Path | None,
    ) -> None:
        self._db = db
        self._data = data
        self._aside = aside
        self._systems = systems
        self._settled = settled
        self._open = {each.system_id: _open_days(each) for each in systems}

    def make(self) -> None:
        """Make all views."""
        intervals = {each.interval for each in self._systems} or {0}
        self._view("rows", self._open_rows(), layout.STATUS_COLUMNS)
        slots = (
            (each.system_id, day, *row)
            for each, day in self._days()
            for row in each.day_slots(*each.bounds(day))
        )
        engine.load(self._db, "day_slots", KEYS | layout.SLOTS, slots, self._aside)
        runs = (
            (each.system_id, day, *row)
            for each, day in self._days()
            for row in _runs(each, *each.bounds(day))
        )
        engine.load(self._db, "day_runs", KEYS | layout.RUNS, runs, self._aside)
        self._both(layout.STATUS, "FROM rows")
        self._both("slots", "FROM day_slots")
        self._both("runs", "FROM day_runs")
        self._both("profile", summaries.profile())
        self._both("coverage", summaries.coverage(max(intervals)))
        self._stations()

    def _days(self) -> Iterator[tuple[Shown, str]]:
        for each in self._systems:
            for day in self._open[each.system_id]:
                yield each, day

    def _view(
        self, name: str, parts: Iterable[str], columns: Mapping[str, str]
    ) -> None:
        """Make the view *name* of *parts*; without any it has *columns* too."""
        typed = ", ".join(
            f"CAST(NULL AS {kind}) AS {engine.name(each)}"
            for each, kind in {**KEYS, **columns}.items()
        )
        union = " UNION ALL BY NAME ".join([f"SELECT {typed} WHERE false", *parts])
        self._db.execute(f"CREATE VIEW {name} AS {union}")

    def _both(self, dataset: str, open_sql: str) -> None:
        """Make the view of *dataset*: what *open_sql* gives, and the archive."""
        parts = [f"SELECT * FROM ({open_sql}) AS still_open"]  # noqa: S608 - ours
        for each in self._systems:
            if self._has(dataset, each.system_id):
                hidden = self._hidden(each)
                parts.append(f"SELECT * FROM {self._files(dataset, each)}{hidden}")  # noqa: S608 - quoted
        self._view(dataset, parts, layout.COLUMNS[dataset])

    def _has(self, dataset: str, system_id: str) -> bool:
        folder = layout.part(self._data, dataset, system_id, "x").parent.parent
        return any(folder.glob(f"date=*/{layout.PART}"))

    def _files(self, dataset: str, system: Shown) -> str:
        folder = layout.part(self._data, dataset, system.system_id, "x").parent.parent
        pattern = engine.path(folder, f"/date=*/{layout.PART}")
        union = "true" if dataset == layout.STATUS else "false"
        return (
            f"read_parquet({pattern}, hive_partitioning = true, {HIVE},"
            f" union_by_name = {union})"
        )

    def _hidden(self, system: Shown) -> str:
        """Return the clause that leaves out the days that `rows` has whole."""
        days = ", ".join(
            f"DATE {engine.text(day)}"
            for day in self._open[system.system_id]
            if self._part(system, day).exists()
        )
        return f" WHERE date NOT IN ({days})" if days else ""

    def _part(self, system: Shown, day: str) -> Path:
        return layout.part(self._data, layout.STATUS, system.system_id, day)

    def _open_rows(self) -> Iterator[str]:
        """Yield what gives open days' rows: their CSV, and what is only archived."""
        for system in self._systems:
            by_header: dict[bytes, list[Path]] = {}
            for day, has_gone in self._open[system.system_id].items():
                for header, path in self._committed(system, day):
                    if self._settled:
                        kept = self._kept(system, header, path)
                        yield _dated(system, day, kept)
                    else:
                        by_header.setdefault(header, []).append(path)
                if has_gone and self._part(system, day).exists():
                    yield _dated(system, day, self._part(system, day))
            for header, paths in by_header.items():
                columns = sheet.columns_of(header)
                files = f"[{', '.join(engine.path(each) for each in paths)}]"
                source = parquet.csv_source(files, columns)[:-1] + ", filename = true)"
                day = r"regexp_extract(filename, '(\d{4}-\d\d-\d\d)[^/]*$', 1)"
                yield (
                    f"SELECT {engine.text(system.system_id)} AS system_id,"  # noqa: S608 - quoted
                    f" CAST({day} AS DATE) AS date,"
                    f" {parquet.as_rows(columns)} FROM {source}"
                )

    def _kept(self, system: Shown, header: bytes, path: Path) -> Path:
        """Return the Parquet of *path*; committed bytes only grow, and never change."""
        assert self._settled is not None
        folder = self._settled / system.system_id
        kept = folder / f"{path.stem}-{path.stat().st_size}.parquet"
        if not kept.exists():
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob(f"{path.stem}-*"):
                old.unlink()
            new = kept.with_suffix(".new")
            parquet.write_quick(self._db, path, sheet.columns_of(header), new)
            new.rename(kept)
        return kept

    def _committed(self, system: Shown, day: str) -> Iterator[tuple[bytes, Path]]:
        """Yield the header and a file for each segment of *day*: committed bytes only.

        A segment that has nothing else is read where it lies, unless it may still grow.
        """
        rows = History(system.system_id, system.folder).select(SPANS, day, GONE)
        newest = day == max(self._open[system.system_id])
        for file, members in groupby(rows, key=lambda each: each[0]):
            spans = [(start, end) for _, start, end in members]
            path = system.folder / file
            with path.open("rb") as opened:
                header = opened.readline()
                size = os.fstat(opened.fileno()).st_size
                tiled = sum(end - start for start, end in spans) + len(header) == size
                if newest or not tiled:
                    target = self._aside / system.system_id / Path(file).name
                    path = _copied(opened.fileno(), header, spans, target)
            yield header, path

    def _listed(self, system: Shown) -> Path | None:
        """Return a copy of the lists of stations, in whole lines; None without any."""
        source = system.folder / INFORMATION
        text = source.read_bytes() if source.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]  # a run may be writing, or was killed
        if not whole:
            return None
        target = self._aside / system.system_id / INFORMATION
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(whole)
        return target

    def _stations(self) -> None:
        """Make the view of stations' versions, out of station_information.csv."""
        parts = []
        for each in self._systems:
            path = self._listed(each)
            if path is None:
                continue
            with path.open("rb") as opened:
                columns = sheet.columns_of(opened.readline())
            source = parquet.csv_source(engine.path(path), columns)
            typed = ", ".join(
                f"CAST({engine.name(name)} AS {kind}) AS {engine.name(name)}"
                for name, kind in layout.STATIONS.items()
                if name in columns
            )
            since = "CAST(epoch(CAST(valid_from AS TIMESTAMPTZ)) AS BIGINT)"
            parts.append(
                f"SELECT {engine.text(each.system_id)} AS system_id,"  # noqa: S608 - quoted
                f" {since} AS valid_from, {typed} FROM {source}"
            )
        typed = ", ".join(
            f"CAST(NULL AS {kind}) AS {engine.name(name)}"
            for name, kind in layout.STATIONS.items()
        )
        nothing = (
            "SELECT CAST(NULL AS VARCHAR) AS system_id,"
            f" CAST(NULL AS BIGINT) AS valid_from, {typed} WHERE false"
        )
        union = " UNION ALL BY NAME ".join([nothing, *parts])
        self._db.execute(
            "CREATE TABLE stations AS SELECT system_id, station_id, valid_from,"  # noqa: S608 - quoted
            " LEAD(valid_from) OVER (PARTITION BY system_id, station_id"
            " ORDER BY valid_from) AS valid_to,"
            f" * EXCLUDE (system_id, station_id, valid_from) FROM ({union}) AS versions"
        )


def _dated(system: Shown, day: str, part: Path) -> str:
    """Return what gives the rows of *part*, which are those of *day*."""
    return (
        f"SELECT {engine.text(system.system_id)} AS system_id,"  # noqa: S608 - quoted
        f" DATE {engine.text(day)} AS date, * FROM {engine.parquet(part)}"
    )


def _open_days(system: Shown) -> dict[str, bool]:
    """Return the days that the archive has not, or not whole; True: a part has gone."""
    history = History(system.system_id, system.folder)
    archived = {
        day: (slots, rows, gone)
        for day, slots, rows, gone in history.select(
            "SELECT day, slots, rows, csv_gone FROM archives"
        )
    }
    filled = {day: (slots, rows) for day, slots, rows in history.select(FILLED)}
    found = {}
    for day in sorted({*system.days, *filled}):
        there = archived.get(day)
        if there is None or there[:2] != filled.get(day, (0, 0)):
            found[day] = bool(there and there[2])
    return found


def _runs(system: Shown, begin: Slot, end: Slot) -> list[Any]:
    names = ", ".join(layout.RUNS)
    sql = f"SELECT {names} FROM runs WHERE slot >= ? AND slot < ? ORDER BY slot"  # noqa: S608 - fixed names
    return History(system.system_id, system.folder).select(sql, begin, end)


def _copied(
    source: int, header: bytes, spans: Sequence[tuple[int, int]], target: Path
) -> Path:
    """Copy *header* and the *spans* of the file *source* to *target*."""
    target.parent.mkdir(exist_ok=True)
    with target.open("wb") as out:
        out.write(header)
        for start, end in spans:
            out.write(os.pread(source, end - start, start))
    return target
