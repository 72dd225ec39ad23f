"""CSV and Parquet files of others, snapshot by snapshot."""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from bikecollect.collect.sources import ForeignSnapshot
from bikecollect.collect.sources.plausible import Plausible
from bikecollect.collect.sources.table_layouts import FIELDS, Layout, mapped, recognised
from bikecollect.collect.sources.table_rows import Row, Table, table
from bikecollect.core.errors import SettingsError, StorageError, UsageError
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationStatus
from bikecollect.core.text import visible
from bikecollect.core.timeline.grid import Grid
from bikecollect.feeds.reading import values
from bikecollect.feeds.reading.stamps import MILLISECONDS
from bikecollect.storage.files.scratch import scratch

MOST_BAD = 0.2
WHOLE = 0.9
"""Share of the stations seen in a slot that makes a poll complete."""
MOST_IN_A_SLOT = 300_000
"""Most rows of one slot; more cannot be polls of one system."""
KNOWN_TIMES = 10_000
SHOWN = 200
Poll = dict[str, tuple[float, StationStatus]]
Timed = tuple[float, Row]


class _Measured(NamedTuple):
    """Measures of a table; *ordered* says whether its times are."""

    rows: int
    bad: int
    first_bad: str
    ordered: bool


@dataclass
class TableSource:
    """The files *paths*; their layout is given by *maps* or *name*, else by the header.

    Times without an offset are of *zone*. Of several polls in a slot of *grid*
    the first counts. Rows after *now* (epoch seconds) are bad.
    """

    paths: Sequence[Path]
    zone: tzinfo
    grid: Grid
    now: float
    maps: Sequence[str] = ()
    name: str = ""
    layout: Layout | None = field(default=None, init=False)
    judge: Plausible = field(init=False)
    _measured: _Measured | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Start with zero skipped rows and values."""
        self.judge = Plausible(self.now)

    @property
    def label(self) -> str:
        """Kind and path of the table."""
        kind = self.layout.name if self.layout else "table"
        return f"{kind} {visible(str(self.paths[0]))}"

    @property
    def bad(self) -> int:
        """Number of rows that could not be read."""
        return self.judge.bad

    @property
    def odd(self) -> int:
        """Number of implausible values that were left empty."""
        return self.judge.odd

    def snapshots(self) -> Iterator[ForeignSnapshot]:
        """Yield the snapshots, oldest first.

        A table with too many bad rows is refused before the first.
        """
        self.judge = Plausible(self.now)
        rows = table(self.paths)
        layout = self.layout = self.layout or self._layout(rows.header())
        if self._measured is None:
            self._measured = self._measure(rows, layout)
        columns = [layout.time, *layout.columns.values()]
        timed = self._timed(rows.rows(columns), layout)
        if self._measured.ordered:
            yield from self._slots(timed, layout)
        else:
            yield from self._slots(_sorted(timed, len(columns)), layout)

    def _layout(self, header: Sequence[str]) -> Layout:
        if self.maps:
            return mapped(self.maps, header)
        layout = recognised(header, self.name)
        if layout.network in header:
            self._check_one_network(layout.network)
        return layout

    def _check_one_network(self, tag: str) -> None:
        tags: dict[str | None, None] = {}
        for row in table(self.paths).rows([tag]):
            if row is not None:
                tags[row[0]] = None
            if len(tags) > 1:
                listed = ", ".join(map(str, tags))
                raise UsageError(
                    f"{self.paths[0]} has rows of several systems ({listed}, ...): "
                    "extract the rows of one system"
                )

    def _measure(self, rows: Table, layout: Layout) -> _Measured:
        """Measure the table; raises SettingsError if too many rows are bad."""
        names = [layout.columns["station_id"], layout.columns["num_vehicles_available"]]
        zone = self._zone(layout)
        count = bad = 0
        first_bad, before, ordered = "", 0.0, True
        times = _TimeParser(zone)
        for row in rows.rows([layout.time, *names]):
            count += 1
            moment = self._moment(row, times)
            good = row and moment and values.identifier(row[1]) and _is_count(row[2])
            if not good or moment is None:
                bad += 1
                first_bad = first_bad or _row_text(row)
                continue
            ordered = ordered and moment >= before
            before = moment
        if bad > count * MOST_BAD:
            raise SettingsError(
                f"{bad} of {count} rows of {self.paths[0]} cannot be read, the "
                f"first: {first_bad}; check the layout, see --map"
            )
        return _Measured(count, bad, first_bad, ordered)

    def _zone(self, layout: Layout) -> tzinfo:
        return UTC if layout.utc else self.zone

    def _moment(self, row: Row | None, times: "_TimeParser") -> float | None:
        """Return the time in the first cell of *row*, None if it is impossible."""
        moment = times(row[0]) if row else None
        if moment is None or not self.judge.is_time(moment):
            return None
        return moment

    def _timed(self, rows: Iterable[Row | None], layout: Layout) -> Iterator[Timed]:
        """Yield each row with its time; rows without a time are counted."""
        times = _TimeParser(self._zone(layout))
        for row in rows:
            moment = self._moment(row, times)
            if row is None or moment is None:
                self.judge.bad += 1
            else:
                yield moment, row

    def _slots(
        self, rows: Iterable[Timed], layout: Layout
    ) -> Iterator[ForeignSnapshot]:
        """Yield a snapshot for each slot; the rows of a poll may differ in time.

        The earliest poll that has nearly all stations of the slot counts; if none has
        (stations report independently), the first row of each station.
        """
        names = list(layout.columns)
        numbers = [names.index(n) + 1 if n in layout.columns else 0 for n in FIELDS]
        reported = _TimeParser(self.zone)
        for slot, slot_rows in groupby(rows, key=self._slot):
            polls: list[Poll] = [{}]
            for count, (moment, row) in enumerate(slot_rows):
                if count >= MOST_IN_A_SLOT:
                    raise SettingsError(
                        f"{self.paths[0]} has more than {MOST_IN_A_SLOT} rows within "
                        f"{self.grid.interval} s; check the time column, see --map"
                    )
                cells = [row[number] if number else None for number in numbers]
                status = self._status(cells, reported)
                if status is not None:
                    _add(polls, moment, status)
            poll = _choose_poll(polls, apart=layout.apart)
            if poll:
                first = min(moment for moment, _ in poll.values())
                statuses = tuple(status for _, status in poll.values())
                yield ForeignSnapshot(slot, first, statuses)

    def _slot(self, timed: Timed) -> Slot:
        return self.grid.floor(timed[0])

    def _status(self, cells: Row, times: "_TimeParser") -> StationStatus | None:
        """Return the status in *cells*, in the order of `FIELDS`; None if it is bad."""
        if not _is_count(cells[1]):
            self.judge.bad += 1
            return None
        return self.judge.status(cells[0], cells[1:7], cells[7:10], times(cells[10]))


class _TimeParser:
    """Parses the times of tables; those without an offset are of *zone*."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._known: dict[str, float | None] = {}

    def __call__(self, text: str | None) -> float | None:
        """Return *text* in epoch seconds, None if it is empty or not a time."""
        if not text:
            return None
        if text not in self._known:
            if len(self._known) >= KNOWN_TIMES:
                self._known.clear()
            self._known[text] = self._read(text)
        return self._known[text]

    def _read(self, text: str) -> float | None:
        if re.fullmatch(r"[0-9]{9,13}(\.[0-9]{1,9})?", text):
            number = float(text)
            return number / 1000 if number > MILLISECONDS else number
        try:
            time = datetime.fromisoformat(text.replace("/", "-"))
            time = time if time.tzinfo else time.replace(tzinfo=self._zone)
            return time.timestamp()
        except (ValueError, OverflowError):
            return None


def _is_count(text: str | None) -> bool:
    return values.count(text or "") is not None


def _row_text(row: Row | None) -> str:
    """Return *row* as a text for messages; None stands for an invalid line."""
    if row is None:
        return "a line that does not match the header"
    return ",".join(map(str, row))[:SHOWN]


def _sorted(rows: Iterable[Timed], width: int) -> Iterator[Timed]:
    """Yield *rows*, of *width* cells, sorted by time on disk."""
    marks = ", ".join("?" * (width + 1))
    names = ", ".join(f"c{n}" for n in range(width))
    with scratch() as folder, closing(sqlite3.connect(folder / "rows.sqlite3")) as db:
        try:
            for setting in ("journal_mode = OFF", "synchronous = OFF"):
                db.execute(f"PRAGMA {setting}")
            db.execute(f"CREATE TABLE sorted (moment REAL, {names})")
            values_ = ((moment, *row) for moment, row in rows)
            db.executemany(f"INSERT INTO sorted VALUES ({marks})", values_)
            order = f"SELECT moment, {names} FROM sorted ORDER BY moment, rowid"
            for moment, *row in db.execute(order):
                yield moment, row
        except sqlite3.Error as error:
            raise StorageError(f"cannot sort the rows in {folder}: {error}") from error


def _add(polls: list[Poll], moment: float, status: StationStatus) -> None:
    """Add *status* to the newest poll; a repeated station starts a new poll."""
    before = polls[-1].get(status.station_id)
    if before is None:
        polls[-1][status.station_id] = (moment, status)
    elif before[0] != moment:
        polls.append({status.station_id: (moment, status)})


def _choose_poll(polls: Sequence[Poll], *, apart: bool) -> Poll:
    """Return the earliest complete poll, else the first row of each station."""
    first: Poll = {}
    for poll in reversed(polls):
        first |= poll
    share = WHOLE * len(first)
    complete = (poll for poll in polls if not apart and len(poll) >= share)
    return next(complete, first)
