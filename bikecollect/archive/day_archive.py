"""The archive of closed days: prepared aside, compared with the CSV, then published.

A day is prepared in a separate folder. Once that is renamed from ``DAY.tmp`` to
``DAY.ready`` the day will be in the archive, even if the process is killed: this
process or the next one moves the files into place.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bikecollect import __version__
from bikecollect.archive import datasets, day_csv, parquet, summaries, verbatim
from bikecollect.archive.archived_days import Archived, certified
from bikecollect.archive.checks.recertify import damage_of, is_rebuildable
from bikecollect.archive.datasets import STATION_LAYOUT, VEHICLE_LAYOUT, DatasetLayout
from bikecollect.archive.encoding.copying import copy
from bikecollect.archive.encoding.empty_days import EmptyDays
from bikecollect.archive.parts import DAMAGED, describe, is_day, move_part
from bikecollect.archive.query import duckdb_engine
from bikecollect.core.errors import StorageError
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.files.durable import (
    leave_reserve,
    make_folder,
    sync_folder,
    write_file,
)
from bikecollect.storage.files.regular_file import read_plain

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY, VEHICLE_MEMORY = "48MB", "96MB"
"""The limits of DuckDB; a day of vehicles has millions of rows."""
ROOM = 262_144
"""Bytes of temporary files that the smallest day needs."""
CERTIFICATE = "certificate.json"


class Contents(NamedTuple):
    """The content of *day*; slots and runs have the columns of their datasets.

    *size* is the approximate size of the rows as CSV, in bytes.
    """

    day: str
    columns: tuple[str, ...]
    pieces: Iterable[day_csv.Piece]
    slots: Sequence[Sequence[Any]]
    runs: Sequence[Sequence[Any]]
    size: int


@dataclass(frozen=True, eq=False, repr=False)
class Archive:
    """The archive of *system* in *data*. Raises StorageError, NotInstalled."""

    data: Path
    system: SystemFolder
    clock: Callable[[], float]
    layout: DatasetLayout = STATION_LAYOUT
    empty_days: EmptyDays = field(default_factory=EmptyDays)

    def prepare(self, contents: Contents) -> Archived:
        """Write *contents* aside, check that they read back unchanged; mark as ready.

        Raises StorageError, and removes the temporary files, if any value would change
        or the disk has no space for them.
        """
        aside = self._aside(contents.day, "tmp")
        try:
            return self._prepare(contents, aside)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise

    def _prepare(self, contents: Contents, aside: Path) -> Archived:
        with self._failing(f"cannot prepare {contents.day}"):
            make_folder(aside)
            leave_reserve(aside, ROOM + 2 * contents.size)
            summary = self._write_csv(contents, aside / "day.csv")
            with self.engine(aside) as db:
                self._write_slots(db, contents, aside)
                if summary.rows:
                    self._write_rows(db, contents, aside)
                elif not self.empty_days.copy(contents.columns, aside):
                    names = self._write_rows(db, contents, aside)
                    self.empty_days.remember(contents.columns, aside, names)
            (aside / "day.csv").unlink()
            return self._certify(contents, aside, summary)

    def renew_summaries(self, day: str) -> None:
        """Sum up the archived *day* again; mark it as ready. Raises StorageError."""
        aside = self._aside(day, "tmp")
        name, final = self.system.system_id, self._certificate(day)
        rows, slots = (
            datasets.part(self.data, dataset, name, day)
            for dataset in (self.layout.rows, self.layout.slots)
        )
        try:
            with self._failing(f"cannot renew the summaries of {day}"):
                make_folder(aside)
                leave_reserve(aside, ROOM)
                interval = self.system.interval_on(day)
                with self.engine(aside) as db, duckdb_engine.translated(str(rows)):
                    parquet.write_summaries(db, rows, slots, interval, aside)
                values = json.loads(read_plain(final))
                new = {name: describe(aside, name) for name in summaries.NEW_COLUMN}
                values |= {"parts": values["parts"] | new, "version": __version__}
                self._make_ready(aside, day, values)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise

    def publish(self, day: str) -> Archived:
        """Move *day*, which is ready, into place; return its certificate."""
        ready = self._aside(day, "ready")
        final = self._certificate(day)
        with self._failing(f"cannot publish {day}"):
            for dataset in self.layout.datasets:
                target = datasets.part(self.data, dataset, self.system.system_id, day)
                move_part(ready / f"{dataset}.parquet", target)
            move_part(ready / CERTIFICATE, final)
        return self.certified(day)

    def published(self, day: str) -> None:
        """Remove the empty work folder of *day*, which is in place and recorded."""
        with self._failing(f"cannot remove the work folder of {day}"):
            self._aside(day, "ready").rmdir()

    def ready(self) -> list[str]:
        """Return the days that are ready; remove half-prepared ones."""
        folder = self.layout.work_folder(self.data, self.system.system_id)
        if not folder.is_dir():
            return []
        with self._failing(f"cannot tidy {folder}"):
            for half_made in folder.glob("*.tmp"):
                shutil.rmtree(half_made)
        days = (path.name.removesuffix(".ready") for path in folder.glob("*.ready"))
        return sorted(filter(is_day, days))

    def days(self) -> list[str]:
        """Return the days that have a certificate."""
        folder = self.layout.certificate(self.data, self.system.system_id, "x").parent
        return sorted(path.stem for path in folder.glob("*.json") if is_day(path.stem))

    def certified(self, day: str) -> Archived:
        """Return the archived *day* as described by its certificate."""
        path = self._certificate(day)
        with self._failing(f"cannot read {path}"):
            values = json.loads(read_plain(path))
            return certified(day, values, self.layout.rows)

    def damage(self, archived: Archived) -> list[str]:
        """Return what is wrong with the files of *archived*; empty if nothing."""
        return damage_of(self, archived)

    def is_replaceable(self, archived: Archived) -> bool:
        """Return whether damaged files can be replaced: from the CSV, or the ledger.

        So can files of a day whose runs the ledger has got since.
        """
        if "runs" in self.layout.datasets and "runs" not in archived.parts:
            return not (archived.csv_gone and self.damage(archived))
        if archived.csv_gone:
            return is_rebuildable(self, archived)
        return bool(self.damage(archived))

    def raise_if_damaged(self, archived: Archived) -> None:
        """Raise StorageError if a file of *archived* is damaged."""
        if damage := self.damage(archived):
            raise StorageError("; ".join(damage), cause="archive")

    def pieces(self, day: str, zone: tzinfo) -> Iterator[day_csv.Piece]:
        """Yield the rows of *day* as lines of its CSV."""
        system_id = self.system.system_id
        part = datasets.part(self.data, self.layout.rows, system_id, day)
        with self.engine(self.layout.work_folder(self.data, system_id)) as db:
            yield from parquet.pieces(db, part, zone, self.columns(day))

    def columns(self, day: str) -> tuple[str, ...]:
        """Return the columns that the CSV of *day* had."""
        path = self._certificate(day)
        with self._failing(f"cannot read {path}"):
            return tuple(json.loads(read_plain(path))["columns"])

    def rows(
        self, dataset: str, day: str, columns: Mapping[str, str]
    ) -> list[tuple[Any, ...]]:
        """Return *columns* of *dataset* for *day*."""
        part = datasets.part(self.data, dataset, self.system.system_id, day)
        names = ", ".join(duckdb_engine.name(column) for column in columns)
        sql = f"SELECT {names} FROM {duckdb_engine.parquet(part)}"
        with (
            self.engine(
                self.layout.work_folder(self.data, self.system.system_id)
            ) as db,
            duckdb_engine.translated(f"{part} cannot be read"),
        ):
            return db.execute(sql).fetchall()

    def _certificate(self, day: str) -> Path:
        return self.layout.certificate(self.data, self.system.system_id, day)

    def _aside(self, day: str, state: str) -> Path:
        return (
            self.layout.work_folder(self.data, self.system.system_id) / f"{day}.{state}"
        )

    def _write_csv(self, contents: Contents, path: Path) -> day_csv.DaySummary:
        """Write the day's sorted CSV to *path*; return its summary."""
        summing = day_csv.Summing()
        with path.open("wb") as out:
            for text in day_csv.lines(contents.pieces, contents.columns):
                summing.add(text)
                out.write(text)
        return summing.summary

    def _write_rows(
        self, db: "DuckDBPyConnection", contents: Contents, aside: Path
    ) -> list[str]:
        """Write the rows of the day and their summaries; return the files' names."""
        sheet, status = aside / "day.csv", aside / f"{self.layout.rows}.parquet"
        if not self._write_values(db, contents, aside):
            verbatim.write_day(db, sheet, contents.columns, status, self.system.zone)
            self._compare(db, contents, aside)
        if self.layout is VEHICLE_LAYOUT:
            return [status.name]
        interval = self.system.interval_on(contents.day)
        with duckdb_engine.translated(f"{contents.day} cannot be summed up"):
            slots = aside / "slots.parquet"
            parquet.write_summaries(db, status, slots, interval, aside)
        return [status.name, *(f"{name}.parquet" for name in summaries.NEW_COLUMN)]

    def _write_values(
        self,
        db: "DuckDBPyConnection",
        contents: Contents,
        aside: Path,
    ) -> bool:
        """Write the day as typed values; return whether they reproduce its text."""
        sheet, status = aside / "day.csv", aside / f"{self.layout.rows}.parquet"
        for derived in dict.fromkeys((parquet.derivable(contents.columns), "")):
            with suppress(StorageError):
                parquet.write_day(db, sheet, contents.columns, status, derived)
                self._compare(db, contents, aside)
                return True
        return False

    def _write_slots(
        self, db: "DuckDBPyConnection", contents: Contents, aside: Path
    ) -> None:
        """Write the slots of the day, and its runs if its layout has them."""
        tables = [(self.layout.slots, datasets.SLOTS, contents.slots, "slot")]
        if "runs" in self.layout.datasets:
            tables.append(("runs", datasets.RUNS, contents.runs, "slot, started"))
        with duckdb_engine.translated(f"{contents.day} cannot be summed up"):
            for name, columns, rows, order in tables:
                duckdb_engine.load(db, f"{name}_values", columns, rows)
                sql = f"SELECT * FROM {name}_values ORDER BY {order}"
                copy(db, sql, aside / f"{name}.parquet", parquet.SMALL)

    def _compare(
        self,
        db: "DuckDBPyConnection",
        contents: Contents,
        aside: Path,
    ) -> None:
        """Read the day back; raises StorageError if any byte differs."""
        part = aside / f"{self.layout.rows}.parquet"
        columns = contents.columns
        with (aside / "day.csv").open("rb") as sheet:
            sheet.seek(sum(map(len, day_csv.lines([], columns))))
            for piece in parquet.pieces(db, part, self.system.zone, columns):
                text = sheet.read(len(piece.text))
                if text != piece.text and text != day_csv.sorted_text(piece, columns):
                    raise StorageError(
                        f"{contents.day} does not read back from Parquet unchanged, "
                        f"first at {text[:40]!r}; nothing is archived, its CSV is kept",
                        cause="archive",
                    )
            if sheet.read(1):
                what = f"{contents.day}: Parquet lacks rows"
                raise StorageError(what, cause="archive")

    def _certify(
        self, contents: Contents, aside: Path, summary: day_csv.DaySummary
    ) -> Archived:
        parts = {name: describe(aside, name) for name in self.layout.datasets}
        archived = Archived(
            day=contents.day,
            summary=summary,
            timezone=self.system.zone_on(contents.day),
            archived_at=int(self.clock()),
            csv_gone=False,
            parts=parts,
        )
        values = {
            "system_id": self.system.system_id,
            "date": archived.day,
            "timezone": archived.timezone,
            "interval_s": self.system.interval_on(contents.day),
            "columns": list(contents.columns),
            **summary._asdict(),
            "parts": parts,
            "made": archived.archived_at,
            "version": __version__,
        }
        self._make_ready(aside, archived.day, values)
        return archived

    def _make_ready(self, aside: Path, day: str, values: Mapping[str, Any]) -> None:
        """Write the certificate of *day* beside its files; mark them as ready."""
        text = json.dumps(values, ensure_ascii=False, indent=1)
        write_file(aside / CERTIFICATE, text.encode("utf-8"))
        sync_folder(aside)
        aside.rename(self._aside(day, "ready"))
        sync_folder(aside.parent)

    @contextmanager
    def engine(self, aside: Path) -> Iterator["DuckDBPyConnection"]:
        """Open DuckDB, with its temporary files in *aside*."""
        with suppress(OSError):  # an archive that is only read may be read-only
            make_folder(aside)
        memory = VEHICLE_MEMORY if self.layout is VEHICLE_LAYOUT else MEMORY
        threads = duckdb_engine.THREADS
        spill = aside / "spill"
        try:
            with duckdb_engine.session(spill, memory=memory, threads=threads) as db:
                yield db
        finally:
            shutil.rmtree(spill, ignore_errors=True)

    @contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, *DAMAGED) as error:
            raise StorageError(f"{what}: {error}") from error
