"""CSV and Parquet files of others, read through DuckDB, snapshot by snapshot."""

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bikecollect import engine
from bikecollect.errors import SettingsError, StorageError
from bikecollect.feeds import values
from bikecollect.slot import Slot
from bikecollect.snapshot import StationStatus
from bikecollect.sources import Foreign
from bikecollect.sources.layouts import FIELDS, Layout, mapped, recognised

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PARQUET = (".parquet", ".pq")
BATCH = 20_000
MOST_BAD = 0.2
COUNTS = FIELDS[1:7]
FLAGS = FIELDS[7:10]


@dataclass
class TableSource:
    """The files *paths*; *maps* or *name* say their layout, or their header does.

    Times without an offset are of *zone*. Of several polls in a slot of *interval*
    seconds the first one counts. *timed* is the moments' count, *rows* all rows.
    """

    paths: Sequence[Path]
    zone: tzinfo
    interval: int
    maps: Sequence[str] = ()
    name: str = ""
    bad: int = 0
    rows: int = 0
    first_bad: str = ""
    layout: Layout | None = field(default=None, init=False)

    @property
    def label(self) -> str:
        """What it is, and where."""
        kind = self.layout.name if self.layout else "table"
        return f"{kind} {self.paths[0]}"

    def snapshots(self) -> Iterator[Foreign]:
        """Yield its snapshots, the oldest first."""
        aside = Path(tempfile.mkdtemp(prefix="bikecollect-"))
        try:
            db = engine.connect(aside)
            with engine.translated(f"cannot read {self.paths[0]}"):
                yield from self._read(db)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _read(self, db: "DuckDBPyConnection") -> Iterator[Foreign]:
        source = self._source()
        described = db.execute(f"DESCRIBE FROM {source}").fetchall()
        header = [each for each, *_ in described]
        if self.maps:
            chosen = mapped(self.maps, header)
        else:
            chosen = recognised(header, self.name)
        self.layout = chosen
        theirs = [chosen.time, *chosen.columns.values()]
        cells = ", ".join(f"CAST({engine.name(each)} AS VARCHAR)" for each in theirs)
        order = engine.name(chosen.time)
        rows = db.execute(f"SELECT {cells} FROM {source} ORDER BY {order}")  # noqa: S608 - quoted
        yield from self._slots(_stream(rows), list(chosen.columns))

    def _source(self) -> str:
        files = f"[{', '.join(engine.path(each) for each in self.paths)}]"
        if self.paths[0].suffix in PARQUET:
            return f"read_parquet({files}, union_by_name = true)"
        return (
            f"read_csv({files}, all_varchar = true, header = true,"
            " union_by_name = true, delim = ',', quote = '\"', escape = '\"')"
        )

    def _slots(
        self, rows: Iterator[tuple[Any, ...]], columns: Sequence[str]
    ) -> Iterator[Foreign]:
        """Yield a snapshot for each slot: a poll's rows may have times of their own.

        The first row of a station in a slot counts.
        """
        for slot, members in groupby(self._timed(rows), key=lambda each: each[0]):
            found: dict[str, StationStatus] = {}
            fetched_at = 0.0
            for _, moment, cells in members:
                status = self._status(dict(zip(columns, cells, strict=True)))
                if status is None:
                    self._refuse(cells)
                elif status.station_id not in found:
                    fetched_at = fetched_at or moment
                    found[status.station_id] = status
            if found:
                yield Foreign(slot, fetched_at, tuple(found.values()))
        if self.bad > self.rows * MOST_BAD:
            raise SettingsError(
                f"{self.bad} of {self.rows} rows of {self.paths[0]} cannot be read, "
                f"the first: {self.first_bad}; is it the right layout? see --map"
            )

    def _timed(
        self, rows: Iterator[tuple[Any, ...]]
    ) -> Iterator[tuple[Slot, float, tuple[Any, ...]]]:
        for time, *cells in rows:
            self.rows += 1
            moment = self._moment(time)
            if moment is None:
                self._refuse((time, *cells))
                continue
            slot = Slot(int(moment // self.interval) * self.interval)
            yield slot, moment, tuple(cells)

    def _refuse(self, cells: Sequence[Any]) -> None:
        self.bad += 1
        self.first_bad = self.first_bad or ",".join(str(each) for each in cells)
        if self.bad > 1000 and self.bad > self.rows * MOST_BAD:  # noqa: PLR2004 - enough
            raise SettingsError(
                f"{self.bad} of the first {self.rows} rows of {self.paths[0]} "
                f"cannot be read, the first: {self.first_bad}; is it the right "
                "layout? see --map"
            )

    def _moment(self, text: str | None) -> float | None:
        if not text:
            return None
        if re.fullmatch(r"\d{9,13}(\.\d+)?", text):
            number = float(text)
            return number / 1000 if number > values.MILLISECONDS else number
        try:
            found = datetime.fromisoformat(text.replace("/", "-"))
        except ValueError:
            return None
        found = found if found.tzinfo else found.replace(tzinfo=self.zone)
        return found.timestamp()

    def _status(self, cells: dict[str, str | None]) -> StationStatus | None:
        station_id = values.text(cells.get("station_id"))
        vehicles = values.count(cells.get("num_vehicles_available"))
        if station_id is None or vehicles is None:
            return None
        counts = [values.count(cells.get(name)) for name in COUNTS]
        flags = [values.flag(cells.get(name)) for name in FLAGS]
        reported = self._moment(cells.get("last_reported"))
        return StationStatus._make(
            [station_id, *counts, *flags, int(reported) if reported else None]
        )


def files(path: Path) -> list[Path]:
    """Return the tables at *path*: a file, or a folder's; raises StorageError."""
    if path.is_file():
        return [path]
    found = [
        each
        for pattern in ("*.parquet", "*.csv", "*.csv.gz")
        for each in sorted(path.rglob(pattern))
    ]
    suffixes = {each.suffix in PARQUET for each in found}
    if not found or len(suffixes) > 1:
        what = "both CSV and Parquet" if found else "no CSV and no Parquet file"
        raise StorageError(f"{path}: {what} is there; give --from one kind of files")
    return found


def _stream(rows: "DuckDBPyConnection") -> Iterator[tuple[Any, ...]]:
    while some := rows.fetchmany(BATCH):
        yield from some
