"""The archive of closed days: prepared aside, compared with the CSV, then published.

A day is prepared in a separate folder. Once that is renamed from ``DAY.tmp`` to
``DAY.ready`` the day will be in the archive, even if the process is killed: this
process or the next one moves the files into place.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bikecollect import __version__
from bikecollect.archive import datasets, day_csv, parquet, summaries
from bikecollect.archive.archived_days import Archived, certified
from bikecollect.archive.checks.recertify import damage_of, is_rebuildable
from bikecollect.archive.datasets import STATION_LAYOUT, VEHICLE_LAYOUT, DatasetLayout
from bikecollect.archive.encoding.day_writer import (
    SHEET,
    Contents,
    DayWriter,
    write_sheet,
)
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


@dataclass(frozen=True, eq=False, repr=False)
class Archive:
    """The archive of *system* in *data*. Raises StorageError, NotInstalled."""

    data: Path
    system: SystemFolder
    clock: Callable[[], float]
    layout: DatasetLayout = STATION_LAYOUT
    empty_days: EmptyDays = field(default_factory=EmptyDays)

    @property
    def work(self) -> Path:
        """The folder in which days are prepared."""
        return self.layout.work_folder(self.data, self.system.system_id)

    def part(self, dataset: str, day: str) -> Path:
        """Return the path of the file of *dataset* for *day*."""
        return datasets.part(self.data, dataset, self.system.system_id, day)

    def certificate_path(self, day: str) -> Path:
        """Return the path of the certificate of *day*."""
        return self.layout.certificate(self.data, self.system.system_id, day)

    def prepare(self, contents: Contents) -> Archived:
        """Write *contents* aside, check that they read back unchanged; mark as ready.

        Raises StorageError, and removes the temporary files, if any value would change
        or the disk has no space for them.
        """
        day, size = contents.day, ROOM + 2 * contents.size
        with self._prepared(day, size, f"cannot prepare {day}") as aside:
            summary = write_sheet(contents, aside)
            with self.engine(aside) as db:
                writer = DayWriter(db, contents, aside, self.layout, self.system)
                writer.write_slots()
                if summary.rows:
                    writer.write_rows()
                elif not self.empty_days.copy(contents.columns, aside):
                    names = writer.write_rows()
                    self.empty_days.remember(contents.columns, aside, names)
            (aside / SHEET).unlink()
            return self._certify(contents, aside, summary)

    def renew_summaries(self, day: str) -> None:
        """Sum up the archived *day* again; mark it as ready. Raises StorageError."""
        rows, slots = (
            self.part(dataset, day) for dataset in (self.layout.rows, self.layout.slots)
        )
        what = f"cannot renew the summaries of {day}"
        with self._prepared(day, ROOM, what) as aside:
            interval = self.system.interval_on(day)
            with self.engine(aside) as db, duckdb_engine.translated(str(rows)):
                parquet.write_summaries(db, rows, slots, interval, aside)
            values = json.loads(read_plain(self.certificate_path(day)))
            new = {name: describe(aside, name) for name in summaries.NEW_COLUMN}
            values |= {"parts": values["parts"] | new, "version": __version__}
            self._make_ready(aside, day, _as_json(values))

    @contextmanager
    def _prepared(self, day: str, size: int, what: str) -> Iterator[Path]:
        """Yield a new folder for the files of *day*, which is removed after an error.

        Raises StorageError beginning with *what*, also if the disk has no space for
        *size* bytes.
        """
        aside = self._aside(day, "tmp")
        try:
            with self._failing(what):
                make_folder(aside)
                leave_reserve(aside, size)
                yield aside
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise

    def publish(self, day: str) -> Archived:
        """Move *day*, which is ready, into place; return its certificate."""
        ready = self._aside(day, "ready")
        final = self.certificate_path(day)
        with self._failing(f"cannot publish {day}"):
            for dataset in self.layout.datasets:
                move_part(ready / f"{dataset}.parquet", self.part(dataset, day))
            move_part(ready / CERTIFICATE, final)
        return self.certified(day)

    def published(self, day: str) -> None:
        """Remove the empty work folder of *day*, which is in place and recorded."""
        with self._failing(f"cannot remove the work folder of {day}"):
            self._aside(day, "ready").rmdir()

    def ready(self) -> list[str]:
        """Return the days that are ready; remove half-prepared ones."""
        if not self.work.is_dir():
            return []
        with self._failing(f"cannot tidy {self.work}"):
            for half_made in self.work.glob("*.tmp"):
                shutil.rmtree(half_made)
        days = (path.name.removesuffix(".ready") for path in self.work.glob("*.ready"))
        return sorted(filter(is_day, days))

    def days(self) -> list[str]:
        """Return the days that have a certificate."""
        folder = self.layout.certificate(self.data, self.system.system_id, "x").parent
        return sorted(path.stem for path in folder.glob("*.json") if is_day(path.stem))

    def certified(self, day: str) -> Archived:
        """Return the archived *day* as described by its certificate."""
        path = self.certificate_path(day)
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

    def pieces(
        self, day: str, zone: tzinfo, columns: Sequence[str]
    ) -> Iterator[day_csv.Piece]:
        """Yield the rows of *day* as lines of its CSV, which had *columns*."""
        with self.engine(self.work) as db:
            yield from parquet.pieces(
                db, self.part(self.layout.rows, day), zone, columns
            )

    def summary(
        self, day: str, zone: tzinfo, columns: Sequence[str]
    ) -> day_csv.DaySummary:
        """Return the summary of the rows of *day*, which are read back for it."""
        pieces = self.pieces(day, zone, columns)
        return day_csv.total(day_csv.lines(pieces, columns))

    def columns(self, day: str) -> tuple[str, ...]:
        """Return the columns that the CSV of *day* had."""
        path = self.certificate_path(day)
        with self._failing(f"cannot read {path}"):
            return tuple(json.loads(read_plain(path))["columns"])

    def rows(
        self, dataset: str, day: str, columns: Mapping[str, str]
    ) -> list[tuple[Any, ...]]:
        """Return *columns* of *dataset* for *day*."""
        part = self.part(dataset, day)
        names = ", ".join(duckdb_engine.name(column) for column in columns)
        sql = f"SELECT {names} FROM {duckdb_engine.parquet(part)}"
        return self.query(part, sql)

    def query(self, part: Path, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of the statement *sql*, which reads the file *part*."""
        with (
            self.engine(self.work) as db,
            duckdb_engine.translated(f"{part} cannot be read"),
        ):
            return db.execute(sql).fetchall()

    def _aside(self, day: str, state: str) -> Path:
        return self.work / f"{day}.{state}"

    def _certify(
        self, contents: Contents, aside: Path, summary: day_csv.DaySummary
    ) -> Archived:
        archived = Archived(
            day=contents.day,
            summary=summary,
            timezone=self.system.zone_on(contents.day),
            archived_at=int(self.clock()),
            csv_gone=False,
            parts={name: describe(aside, name) for name in self.layout.datasets},
        )
        text = self.certificate(archived, contents.columns)
        self._make_ready(aside, archived.day, text)
        return archived

    def certificate(self, archived: Archived, columns: Sequence[str]) -> bytes:
        """Return the certificate of the day *archived*, whose CSV had *columns*."""
        return _as_json(
            {
                "system_id": self.system.system_id,
                "date": archived.day,
                "timezone": archived.timezone,
                "interval_s": self.system.interval_on(archived.day),
                "columns": list(columns),
                **archived.summary._asdict(),
                "parts": archived.parts,
                "made": int(archived.archived_at),
                "version": __version__,
            }
        )

    def _make_ready(self, aside: Path, day: str, certificate: bytes) -> None:
        """Write the *certificate* of *day* beside its files; mark them as ready."""
        write_file(aside / CERTIFICATE, certificate)
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


def _as_json(certificate: Mapping[str, Any]) -> bytes:
    return json.dumps(certificate, ensure_ascii=False, indent=1).encode("utf-8")
