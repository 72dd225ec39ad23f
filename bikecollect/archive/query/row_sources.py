"""The rows of one layout: open days from their CSV, closed ones from the archive."""

from collections.abc import (
    Collection,
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.archive import datasets, summaries
from bikecollect.archive.datasets import VEHICLE_LAYOUT, DatasetLayout
from bikecollect.archive.parts import list_parts
from bikecollect.archive.query import duckdb_engine
from bikecollect.archive.query.archived_schemas import ArchivedSchemas, Key, order_of
from bikecollect.archive.query.checked_parts import (
    CheckedParts,
    check_parts,
    wait_for_compact,
)
from bikecollect.archive.query.duckdb_engine import UNREADABLE
from bikecollect.archive.query.open_days import (
    CommittedBlock,
    Loss,
    OpenDays,
    committed_blocks,
    missing,
    open_days,
    segments,
)
from bikecollect.archive.query.open_rows import (
    KEYS,
    BatchSummaries,
    LostRows,
    RowsFile,
    queries,
    settled,
    union,
    with_lost,
)
from bikecollect.archive.query.own_columns import (
    columns_of_view,
    has_own,
    shown_columns,
)
from bikecollect.archive.query.view_source import (
    ARCHIVE,
    CSV,
    SUMMED,
    ViewedSystem,
    ViewSource,
    needed,
)
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot
from bikecollect.storage.ledger_reader import History

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TIME = "TRY(to_timestamp(slot))"
HIVE = "hive_types = {'system_id': VARCHAR, 'date': DATE}"


class RowSources:
    """The rows of *layout* in *source*, as views in *db*; copies go to *aside*.

    *files* are those that the views read.
    """

    def __init__(
        self,
        db: "DuckDBPyConnection",
        aside: Path,
        source: ViewSource,
        layout: DatasetLayout,
    ) -> None:
        self._db = db
        self._aside, self._source, self._layout = aside, source, layout
        self._systems, self._tables = source.systems, source.tables
        self._failing: list[LostRows] = []
        self.files: list[Path] = []
        self._schemas = ArchivedSchemas(db)
        self._needed = needed(layout, source.tables)
        self.histories = {
            s.system_id: History(s.system_id, s.folder(layout)) for s in self._systems
        }
        self._checked: dict[str, CheckedParts] = {}
        self._open = dict.fromkeys(self.histories, OpenDays({}, Slot(0)))
        for system in self._systems if self._needed else ():
            self._read_system(system)
        self._schemas.read_ahead(
            (self._closed(dataset), dataset != layout.rows)
            for dataset in self._needed
            if dataset == "coverage" or dataset in self._tables
        )

    def _read_system(self, system: ViewedSystem, *, again: bool = False) -> None:
        """List the archived files of *system*, and its open days.

        Read *again* if any is damaged: `compact` may be replacing it.
        """
        name, rows = system.system_id, self._layout.rows
        data, since = self._source.data, self._source.compared_since
        history = self.histories[name]
        parts = list_parts(data, name, self._needed)
        with history.session():
            certificate = partial(self._layout.certificate, data, name)
            checked = check_parts(
                self._db, history, parts, rows, certificate, since=since
            )
            self._checked[name] = checked
            vehicles = system.system.vehicles.path
            if self._layout is VEHICLE_LAYOUT and not vehicles.is_dir():
                return
            open_ = open_days(history, system.days, checked.sound, self._needed)
            self._open[name] = open_
        if checked.damaged and not again:
            wait_for_compact(self._layout.work_folder(data, name))
            self._read_system(system, again=True)
            return
        closed = checked.damaged.keys() - open_.days.keys()
        for day in closed:  # the ledger was lost
            self._schemas.unreadable[name, day] = checked.damaged[day]

    @property
    def reads_rows(self) -> bool:
        """Whether the rows themselves are needed."""
        return self._layout.rows in self._needed

    def days(self) -> Iterator[tuple[ViewedSystem, str]]:
        """Yield the open days of each system."""
        for system in self._systems:
            for day in self._open[system.system_id].days:
                yield system, day

    def _view(
        self,
        name: str,
        parts: Iterable[str],
        columns: Mapping[str, str],
        lost: Iterable[LostRows] = (),
    ) -> None:
        """Create the view *name* as the union of *parts*; it has all *columns*.

        It fails where the *lost* rows are read.
        """
        sql = with_lost(self._db, union(parts, columns), lost)
        if "slot" in columns and name in datasets.COLUMNS:
            sql = f"SELECT *, {TIME} AS {datasets.SLOT_TIME} FROM ({sql}) AS typed"
        self._db.execute(f"CREATE VIEW {name} AS {sql}")

    def create_rows(self, name: str) -> None:
        """Create the view *name* of the rows of open days."""
        files = list(self._open_files())
        self.files += [file.path for file in files]
        parts = queries(self._db, files)
        self._view(name, parts, datasets.COLUMNS[self._layout.rows], self._failing)

    def create_view(
        self, dataset: str, open_sql: str, *, besides: Container[Key] = ()
    ) -> None:
        """Create the view of *dataset*: the result of *open_sql*, and the archive.

        The archived days in *besides* are skipped.
        """
        closed = self._closed(dataset)
        kept = {key: path for key, path in closed.items() if key not in besides}
        parts = [f"SELECT * FROM ({open_sql}) AS still_open"]
        parts += self._archived(dataset, kept)
        lost = list[LostRows]()
        if dataset == self._layout.rows:
            for (name, day), why in self._schemas.unreadable.items():
                lost += self._lost(name, day, ARCHIVE, [Loss(why)])
        self._view(dataset, parts, datasets.COLUMNS[dataset], lost)

    def create_summed(self) -> Container[Key]:
        """Create `summed_rows` and `summed_slots`: the open days and the outdated ones.

        Those are returned: archived, with summaries of an earlier definition.
        """
        days = self._outdated()
        self._create_with("summed_rows", "rows", self._layout.rows, days)
        self._create_with("summed_slots", "day_slots", self._layout.slots, days)
        return days

    def _create_with(
        self, name: str, view: str, dataset: str, days: Collection[Key]
    ) -> None:
        """Create *name*: the view *view*, and *dataset* of the archived *days*."""
        closed = self._closed(dataset)
        parts = self._archived(dataset, {key: closed[key] for key in days})
        columns = datasets.COLUMNS[dataset]
        self._view(name, [f"SELECT * FROM {view}", *parts], columns)

    def sum_up(self, slots: str, interval: int) -> None:
        """Create the views of the summaries, and of the rows if they are needed.

        The days that are not archived, or with summaries of an earlier definition, are
        summed up now, some at a time. The view *slots* has those of open days.
        """
        outdated = self._outdated()
        self._create_with("summed_slots", slots, self._layout.slots, outdated)
        rows = self._closed(self._layout.rows)
        self._schemas.columns(outdated, rows)  # records the unreadable ones
        sound = sorted(outdated - self._schemas.unreadable.keys())
        closed = [RowsFile(*key, rows[key]) for key in sound]
        summing = BatchSummaries(self._db, self._aside, self._tables, interval)
        summing.sum_up(self._open_files(), "summed_slots", keep=self._tables)
        summing.sum_up(closed, "summed_slots")
        for dataset in (self._layout.rows, *SUMMED):
            if dataset in self._tables:
                sql = union(summing.query(dataset), datasets.COLUMNS[dataset])
                sql = with_lost(self._db, sql, self._failing)
                is_rows = dataset == self._layout.rows
                self.create_view(dataset, sql, besides=() if is_rows else outdated)
        for name in datasets.EXTRACTS:
            if name in self._tables:
                self._create_extract(name, summing.query(name), outdated)
        self.files += [path for paths in summing.files.values() for path in paths]

    def _create_extract(
        self, name: str, summed: Sequence[str], besides: Container[Key]
    ) -> None:
        """Create the view *name*: the queries *summed*, and columns of coverage.

        The archived days in *besides* are skipped. There is no such view if the archive
        has days without its columns.
        """
        columns, closed = datasets.EXTRACTS[name], self._closed("coverage")
        if self._schemas.lacking(closed, [*columns][-1]):
            return
        kept = {key: path for key, path in closed.items() if key not in besides}
        names = ", ".join([*KEYS, *columns])
        parts = [*summed, *self._archived("coverage", kept, names)]
        self._view(name, parts, columns, self._failing)

    def _outdated(self) -> set[Key]:
        """Return the archived days with summaries of an earlier definition."""
        have_rows, have_slots = map(self._closed, (self._layout.rows, "slots"))
        old = self._schemas.lacking(
            self._closed("coverage"), summaries.NEW_COLUMN["coverage"]
        )
        return old & have_rows.keys() & have_slots.keys()

    def _closed(self, dataset: str) -> dict[Key, Path]:
        """Return the archived files of *dataset* of the days that are not open."""
        return {
            (system.system_id, day): part.path
            for system in self._systems
            for day, part in self._checked[system.system_id].sound[dataset].items()
            if day not in self._open[system.system_id].days
        }

    def _archived(
        self, dataset: str, closed: Mapping[Key, Path], columns: str = ""
    ) -> Iterator[str]:
        """Yield queries for *columns* (SQL) of the files *closed* of *dataset*."""
        is_rows = dataset == self._layout.rows
        for group in self._schemas.groups(closed, is_uniform=not is_rows):
            names = self._schemas.names[group[0]]
            if is_rows and has_own(names):
                own = [RowsFile(*key, closed[key]) for key in group]
                self.files += [file.path for file in own]
                yield from queries(self._db, own)
                continue
            paths = [closed[key] for key in sorted(group, key=order_of(dataset))]
            self.files += paths
            files = duckdb_engine.paths(paths)
            source = f"read_parquet({files}, hive_partitioning = true, {HIVE})"
            shown = columns or shown_columns(dataset, names)
            if is_rows:
                shown = f"system_id, date, {columns_of_view(names)}"
            yield f"SELECT {shown} FROM {source}"

    def _open_files(self) -> Iterator[RowsFile]:
        """Yield the files of open days: their CSV, and archived rows.

        Days whose loss makes queries fail are added to `_failing`.
        """
        for system in self._systems:
            name = system.system_id
            open_, history = self._open[name], self.histories[name]
            for day, blocks in committed_blocks(history, [*open_.days], open_.since):
                if blocks:
                    yield from self._files_of(system, day, blocks)
                if open_.days[day]:
                    yield from self._archived_rows(name, day, blocks)

    def _files_of(
        self, system: ViewedSystem, day: str, blocks: Sequence[CommittedBlock]
    ) -> Iterator[RowsFile]:
        name, lost = system.system_id, list[Loss]()
        aside = self._aside / self._layout.rows / name
        newest = day >= max(system.days, default="")
        folder = system.folder(self._layout)
        for header, path in segments(blocks, folder, aside, lost, newest=newest):
            if not self._source.settled:
                yield RowsFile(name, day, path, header)
                continue
            try:
                folder = self._source.settled / self._layout.rows / name
                yield RowsFile(name, day, settled(self._db, folder, header, path))
            except StorageError as error:
                real = system.folder(self._layout) / self._layout.rows
                text = str(error).removeprefix(f"{path} {UNREADABLE} ")
                lost.append(Loss(text.replace(str(path.parent), str(real))))
        self._failing += self._lost(name, day, CSV, lost)

    def _archived_rows(
        self, name: str, day: str, blocks: Sequence[CommittedBlock]
    ) -> Iterator[RowsFile]:
        """Yield the archived file of *day*, without the rows of its CSV's *blocks*.

        `compact` may have put it in place, and not recorded that the CSV is in it.
        """
        checked, rows = self._checked[name], self._layout.rows
        if (part := checked.sound[rows].get(day)) is not None:
            besides = [block.slot for block in blocks]
            yield RowsFile(name, day, part.path, besides=besides)
            return
        why = checked.damaged.get(day) or missing(self._source.data, rows, name, day)
        self._failing += self._lost(name, day, ARCHIVE, [Loss(why)])

    def _lost(
        self, name: str, day: str, kind: str, losses: Iterable[Loss]
    ) -> Iterator[LostRows]:
        """Log what cannot be read of *day*, or yield it if queries fail for it."""
        for loss in losses:
            if kind in self._source.fails_on:
                yield LostRows(name, day, f"{name}: {day} {UNREADABLE} {loss.why}")
            else:
                self._source.on_skip(name, day, loss)
