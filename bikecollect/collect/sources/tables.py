"""CSV and Parquet files of others, read through DuckDB, snapshot by snapshot."""

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bikecollect.archive.query import duckdb_engine
from bikecollect.collect.sources import Foreign
from bikecollect.collect.sources.table_layouts import FIELDS, Layout, mapped, recognised
from bikecollect.core.errors import SettingsError, StorageError, UsageError
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationStatus
from bikecollect.feeds.reading import values
from bikecollect.feeds.reading.stamps import MILLISECONDS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PARQUET = (".parquet", ".pq")
BATCH = 20_000
MOST_BAD = 0.2
ENOUGH = 1_000
WHOLE = 0.9
"""Of the stations seen in a slot: a poll that has as many is a whole one."""
NEEDED = ("station_id", "num_vehicles_available")
Poll = dict[str, tuple[float, StationStatus]]
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
            db = duckdb_engine.connect(aside)
            with duckdb_engine.translated(f"cannot read {self.paths[0]}"):
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
        cells = ", ".join(
            f"CAST({duckdb_engine.name(each)} AS VARCHAR)" for each in theirs
        )
        order = duckdb_engine.name(chosen.time)
        if chosen.network in header:
            self._one_network(db, source, chosen.network)
        self._measured(db, source, chosen)
        rows = db.execute(f"SELECT {cells} FROM {source} ORDER BY {order}")
        yield from self._slots(_stream(rows), list(chosen.columns))

    def _one_network(self, db: "DuckDBPyConnection", source: str, tag: str) -> None:
        name = duckdb_engine.name(tag)
        sql = f"SELECT DISTINCT {name} AS tag FROM {source} ORDER BY tag"
        tags = [str(each) for (each,) in db.execute(sql).fetchmany(4)]
        if len(tags) > 1:
            raise UsageError(
                f"{self.paths[0]} is of several systems ({', '.join(tags[:3])}, ...): "
                "make a file of one of them"
            )

    def _measured(self, db: "DuckDBPyConnection", source: str, layout: Layout) -> None:
        """Refuse a table most of which is bad, before anything is filled from it."""
        theirs = (layout.time, *(layout.columns[each] for each in NEEDED))
        cells = [f"CAST({duckdb_engine.name(each)} AS VARCHAR)" for each in theirs]
        time, station, vehicles = cells
        bad = (
            f"coalesce(trim({station}), '') = '' OR TRY_CAST({vehicles} AS DOUBLE) IS"
            f" NULL OR (TRY_CAST({time} AS DOUBLE) IS NULL AND"
            f" TRY_CAST(replace({time}, '/', '-') AS TIMESTAMP) IS NULL)"
        )
        sql = f"SELECT count(*), count(*) FILTER ({bad}) FROM {source}"
        ((rows, many),) = db.execute(sql).fetchall()
        if many > rows * MOST_BAD:
            sql = f"SELECT {', '.join(cells)} FROM {source} WHERE {bad} LIMIT 1"
            self.bad, self.rows = many, rows
            self.first_bad = ",".join(map(str, db.execute(sql).fetchall()[0]))
            raise self._unreadable()

    def _unreadable(self) -> SettingsError:
        return SettingsError(
            f"{self.bad} of {self.rows} rows of {self.paths[0]} cannot be read, the "
            f"first: {self.first_bad}; is it the right layout? see --map"
        )

    def _source(self) -> str:
        files = f"[{', '.join(duckdb_engine.path(each) for each in self.paths)}]"
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

        The earliest poll that has nearly all stations of the slot counts; where none
        has (each station speaks for itself), the first row of each station.
        """
        for slot, members in groupby(self._timed(rows), key=lambda each: each[0]):
            polls: list[Poll] = [{}]
            for _, moment, cells in members:
                status = self._status(dict(zip(columns, cells, strict=True)))
                if status is None:
                    self._refuse(cells)
                else:
                    _add(polls, moment, status)
            found = _chosen(polls, apart=bool(self.layout and self.layout.apart))
            if found:
                first = min(moment for moment, _ in found.values())
                yield Foreign(slot, first, tuple(each for _, each in found.values()))
        if self.bad > self.rows * MOST_BAD:
            raise self._unreadable()

    def _timed(
        self, rows: Iterator[tuple[Any, ...]]
    ) -> Iterator[tuple[Slot, float, tuple[Any, ...]]]:
        zone = UTC if self.layout and self.layout.utc else self.zone
        for time, *cells in rows:
            self.rows += 1
            moment = self._moment(time, zone)
            if moment is None:
                self._refuse((time, *cells))
                continue
            slot = Slot(int(moment // self.interval) * self.interval)
            yield slot, moment, tuple(cells)

    def _refuse(self, cells: Sequence[Any]) -> None:
        self.bad += 1
        self.first_bad = self.first_bad or ",".join(str(each) for each in cells)
        if self.bad > ENOUGH and self.bad > self.rows * MOST_BAD:
            raise self._unreadable()

    def _moment(self, text: str | None, zone: tzinfo) -> float | None:
        if not text:
            return None
        if re.fullmatch(r"\d{9,13}(\.\d+)?", text):
            number = float(text)
            return number / 1000 if number > MILLISECONDS else number
        try:
            found = datetime.fromisoformat(text.replace("/", "-"))
        except ValueError:
            return None
        found = found if found.tzinfo else found.replace(tzinfo=zone)
        return found.timestamp()

    def _status(self, cells: dict[str, str | None]) -> StationStatus | None:
        station_id = values.text(cells.get("station_id"))
        counts = [_count(cells.get(name)) for name in COUNTS]
        if station_id is None or counts[0] is None:
            return None
        flags = [values.flag(cells.get(name)) for name in FLAGS]
        reported = self._moment(cells.get("last_reported"), self.zone)
        return StationStatus._make(
            [station_id, *counts, *flags, int(reported) if reported else None]
        )


def _count(text: str | None) -> int | None:
    """Return the count in *text*; pandas writes 7.0 where a column has empty cells.

    >>> _count("7"), _count("7.0"), _count("7.5"), _count("")
    (7, 7, None, None)
    """
    return values.count(re.sub(r"\.0+$", "", text or ""))


def _add(polls: list[Poll], moment: float, status: StationStatus) -> None:
    """Put *status* into the newest poll; a station that speaks again begins one."""
    before = polls[-1].get(status.station_id)
    if before is None:
        polls[-1][status.station_id] = (moment, status)
    elif before[0] != moment:
        polls.append({status.station_id: (moment, status)})


def _chosen(polls: Sequence[Poll], *, apart: bool) -> Poll:
    """Return the earliest whole poll; where there is none, each station's first row."""
    first: Poll = {}
    for poll in reversed(polls):
        first |= poll
    share = WHOLE * len(first)
    whole = (poll for poll in polls if not apart and len(poll) >= share)
    return next(whole, first)


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
