"""The archive of closed days: prepared aside, proved against the CSV, then published.

A day is prepared in a folder of its own. Renaming that folder from ``DAY.tmp`` to
``DAY.ready`` is the moment from which on the day will be in the archive, whatever is
killed: what is ready is moved into place, file by file, by this process or the next.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bikecollect import __version__
from bikecollect.archive import datasets, day_csv, parquet, summaries, verbatim
from bikecollect.archive.archived_days import Archived
from bikecollect.archive.datasets import DATASETS, STATUS
from bikecollect.archive.query import duckdb_engine
from bikecollect.core.errors import StorageError
from bikecollect.storage.files.durable import make_folder, sync_folder, write_file

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "48MB"
CERTIFICATE = "certificate.json"


class Contents(NamedTuple):
    """What goes into the archive for *day*; slots and runs as the layout has them."""

    day: str
    columns: tuple[str, ...]
    pieces: Iterable[day_csv.Piece]
    slots: Sequence[Sequence[Any]]
    runs: Sequence[Sequence[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class Archive:
    """The archive of one system in *data*. Raises StorageError, NotInstalled."""

    data: Path
    system_id: str
    zone: tzinfo
    interval: int
    clock: Callable[[], float]

    def prepare(self, contents: Contents) -> Archived:
        """Write *contents* aside, prove that they read back the same; make it ready.

        Raises StorageError where a single value would not come back as it was.
        """
        with self._failing(f"cannot prepare {contents.day}"):
            aside = self._aside(contents.day, "tmp")
            make_folder(aside)
            proof = self._sheet(contents, aside / "day.csv")
            with self._engine(aside) as db:
                if not self._values_do(db, contents, aside, proof):
                    sheet, status = aside / "day.csv", aside / f"{STATUS}.parquet"
                    verbatim.write_day(db, sheet, contents.columns, status, self.zone)
                    self._prove(db, contents, aside, proof)
                self._sum_up(db, contents, aside)
            (aside / "day.csv").unlink()
            archived = self._certified(contents, aside, proof)
            sync_folder(aside)
            aside.rename(self._aside(contents.day, "ready"))
            sync_folder(aside.parent)
        return archived

    def publish(self, day: str) -> Archived:
        """Move *day*, which is ready, into place; return what it holds."""
        ready = self._aside(day, "ready")
        final = datasets.certificate(self.data, self.system_id, day)
        with self._failing(f"cannot publish {day}"):
            for dataset in DATASETS:
                target = datasets.part(self.data, dataset, self.system_id, day)
                _move(ready / f"{dataset}.parquet", target)
            _move(ready / CERTIFICATE, final)
        return self.certified(day)

    def published(self, day: str) -> None:
        """Forget that *day* was ready: it is in place, and the ledger knows."""
        with self._failing(f"cannot tidy up after {day}"):
            self._aside(day, "ready").rmdir()

    def ready(self) -> list[str]:
        """Return the days that are ready; what was prepared by halves is removed."""
        folder = datasets.work(self.data, self.system_id)
        if not folder.is_dir():
            return []
        with self._failing(f"cannot tidy {folder}"):
            for each in folder.glob("*.tmp"):
                shutil.rmtree(each)
        return sorted(
            each.name.removesuffix(".ready") for each in folder.glob("*.ready")
        )

    def days(self) -> list[str]:
        """Return the days that have a certificate."""
        folder = datasets.certificate(self.data, self.system_id, "x").parent
        return sorted(each.stem for each in folder.glob("*.json"))

    def certified(self, day: str) -> Archived:
        """Return what the certificate of *day* says."""
        path = datasets.certificate(self.data, self.system_id, day)
        with self._failing(f"cannot read {path}"):
            said = json.loads(path.read_text(encoding="utf-8"))
            return Archived(
                day=said["date"],
                summary=day_csv.DaySummary(said["rows"], said["slots"], said["sha256"]),
                timezone=said["timezone"],
                made=said["made"],
                csv_gone=False,
                parts=said["parts"],
            )

    def damage(self, archived: Archived) -> list[str]:
        """Return what is wrong with the files of *archived*; nothing: all is well."""
        found = []
        for dataset, told in archived.parts.items():
            path = datasets.part(self.data, dataset, self.system_id, archived.day)
            if not path.exists():
                found.append(f"{path} is not there")
            elif digest(path) != told["sha256"]:
                found.append(f"{path} is not what was written: sha256 mismatch")
        return found

    def pieces(self, day: str, zone: tzinfo) -> Iterator[day_csv.Piece]:
        """Yield the rows of *day* as its CSV had them."""
        part = datasets.part(self.data, STATUS, self.system_id, day)
        with self._engine(datasets.work(self.data, self.system_id)) as db:
            yield from parquet.pieces(db, part, zone)

    def columns(self, day: str) -> tuple[str, ...]:
        """Return the columns that the CSV of *day* had."""
        path = datasets.certificate(self.data, self.system_id, day)
        with self._failing(f"cannot read {path}"):
            return tuple(json.loads(path.read_text(encoding="utf-8"))["columns"])

    def rows(
        self, dataset: str, day: str, columns: Mapping[str, str]
    ) -> list[tuple[Any, ...]]:
        """Return *columns* of *dataset* for *day*."""
        part = datasets.part(self.data, dataset, self.system_id, day)
        names = ", ".join(duckdb_engine.name(each) for each in columns)
        sql = f"SELECT {names} FROM {duckdb_engine.parquet(part)}"
        with (
            self._engine(datasets.work(self.data, self.system_id)) as db,
            duckdb_engine.translated(f"{part} cannot be read"),
        ):
            return db.execute(sql).fetchall()

    def _aside(self, day: str, state: str) -> Path:
        return datasets.work(self.data, self.system_id) / f"{day}.{state}"

    def _sheet(self, contents: Contents, path: Path) -> day_csv.DaySummary:
        """Write the day's sheet to *path*; return what it amounts to."""
        proof = day_csv.total([])
        with path.open("wb") as out:
            lines = day_csv.lines(contents.pieces, contents.columns)
            for text, proof in day_csv.summed(lines):  # noqa: B007 - the last is told
                out.write(text)
        return proof

    def _values_do(
        self,
        db: "DuckDBPyConnection",
        contents: Contents,
        aside: Path,
        proof: day_csv.DaySummary,
    ) -> bool:
        """Write the day's values; tell whether they give the very same text back."""
        sheet, status = aside / "day.csv", aside / f"{STATUS}.parquet"
        try:
            parquet.write_day(db, sheet, contents.columns, status)
            self._prove(db, contents, aside, proof)
        except StorageError:
            return False
        return True

    def _sum_up(
        self, db: "DuckDBPyConnection", contents: Contents, aside: Path
    ) -> None:
        """Write what a day is summed up in, and its slots and runs."""
        status = aside / f"{STATUS}.parquet"
        keys = f"{duckdb_engine.text(self.system_id)} AS system_id, 0 AS date"
        duckdb_engine.load(db, "day_slots_values", datasets.SLOTS, contents.slots)
        duckdb_engine.load(db, "runs_values", datasets.RUNS, contents.runs)
        source = duckdb_engine.parquet(status)
        with duckdb_engine.translated(f"{contents.day} cannot be summed up"):
            db.execute(f"CREATE VIEW rows AS SELECT {keys}, * FROM {source}")
            db.execute(
                f"CREATE VIEW day_slots AS SELECT {keys}, * FROM day_slots_values"
            )
            for name, sql in (
                ("slots", "SELECT * FROM day_slots_values ORDER BY slot"),
                ("runs", "SELECT * FROM runs_values ORDER BY slot, started"),
                ("coverage", _without_keys(summaries.coverage(self.interval), "")),
                ("profile", _without_keys(summaries.profile(), ", hour_of_week")),
            ):
                target = duckdb_engine.text(str(aside / f"{name}.parquet"))
                db.execute(f"COPY ({sql}) TO {target} ({parquet.OPTIONS})")

    def _prove(
        self,
        db: "DuckDBPyConnection",
        contents: Contents,
        aside: Path,
        proof: day_csv.DaySummary,
    ) -> None:
        """Read the day back; raises StorageError where it is not the very same."""
        part = aside / f"{STATUS}.parquet"
        back = day_csv.lines(parquet.pieces(db, part, self.zone), contents.columns)
        digest_, rows, slots = hashlib.sha256(), 0, 0
        with (aside / "day.csv").open("rb") as there:
            for text in back:
                if there.read(len(text)) != text:
                    raise StorageError(
                        f"{contents.day} does not come back from Parquet as it was, "
                        f"first at {text[:40]!r}: nothing is archived, its CSV stays",
                        cause="archive",
                    )
                digest_.update(text)
                rows, slots = rows + text.count(b"\n"), slots + 1
        if day_csv.DaySummary(rows - 1, slots - 1, digest_.hexdigest()) != proof:
            raise StorageError(f"{contents.day}: Parquet lacks rows", cause="archive")

    def _certified(
        self, contents: Contents, aside: Path, proof: day_csv.DaySummary
    ) -> Archived:
        parts = {}
        for dataset in DATASETS:
            path = aside / f"{dataset}.parquet"
            _sync(path)
            parts[dataset] = {"bytes": path.stat().st_size, "sha256": digest(path)}
        archived = Archived(
            day=contents.day,
            summary=proof,
            timezone=str(self.zone),
            made=int(self.clock()),
            csv_gone=False,
            parts=parts,
        )
        said = {
            "system_id": self.system_id,
            "date": archived.day,
            "timezone": archived.timezone,
            "interval_s": self.interval,
            "columns": list(contents.columns),
            **proof._asdict(),
            "parts": parts,
            "made": archived.made,
            "version": __version__,
        }
        text = json.dumps(said, ensure_ascii=False, indent=1)
        write_file(aside / CERTIFICATE, text.encode("utf-8"))
        return archived

    @contextmanager
    def _engine(self, aside: Path) -> Iterator["DuckDBPyConnection"]:
        make_folder(aside)
        db = duckdb_engine.connect(aside / "spill", memory=MEMORY)
        try:
            yield db
        finally:
            db.close()
            shutil.rmtree(aside / "spill", ignore_errors=True)

    @contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, KeyError) as error:
            raise StorageError(f"{what}: {error}") from error


def digest(path: Path) -> str:
    """Return the sha256 of the file *path*, as hexadecimal digits."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _without_keys(sql: str, more: str) -> str:
    return (
        f"SELECT * EXCLUDE (system_id, date) FROM ({sql}) AS summed"
        f" ORDER BY station_id{more}"
    )


def _move(source: Path, target: Path) -> None:
    if not source.exists():
        return  # moved by a process that was killed then
    make_folder(target.parent)
    source.rename(target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
