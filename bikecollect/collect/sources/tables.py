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

from bikecollect.collect.sources import Foreign
from bikecollect.collect.sources.plausible import Plausible
from bikecollect.collect.sources.table_layouts import FIELDS, Layout, mapped, recognised
from bikecollect.collect.sources.table_rows import Row, Table, table
from bikecollect.core.errors import SettingsError, StorageError, UsageError
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationStatus
from bikecollect.core.text import visible
from bikecollect.feeds.reading import values
from bikecollect.feeds.reading.stamps import MILLISECONDS
from bikecollect.storage.files.scratch import scratch

MOST_BAD = 0.2
WHOLE = 0.9
"""Of the stations seen in a slot: a poll that has as many is a whole one."""
MOST_IN_A_SLOT = 300_000
"""Rows of one slot; more of them are no polls of a system."""
KNOWN_TIMES = 10_000
SHOWN = 200
Poll = dict[str, tuple[float, StationStatus]]
Timed = tuple[float, Row]


class _Measured(NamedTuple):
    """What a table amounts to; *ordered* are its times."""

    rows: int
    bad: int
    first_bad: str
    ordered: bool


@dataclass
class TableSource:
    """The files *paths*; *maps* or *name* say their layout, or their header does.

    Times without an offset are of *zone*. Of several polls in a slot of *interval*
    seconds the first one counts. Nothing after *now* (epoch seconds) is believed.
    """

    paths: Sequence[Path]
    zone: tzinfo
    interval: int
    now: float
    maps: Sequence[str] = ()
    name: str = ""
    layout: Layout | None = field(default=None, init=False)
    judge: Plausible = field(init=False)
    _measured: _Measured | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Begin without anything that was left out."""
        self.judge = Plausible(self.now)

    @property
    def label(self) -> str:
        """What it is, and where."""
        kind = self.layout.name if self.layout else "table"
        return f"{kind} {visible(str(self.paths[0]))}"

    @property
    def bad(self) -> int:
        """How many rows could not be read."""
        return self.judge.bad

    @property
    def odd(self) -> int:
        """How many values cannot be, and were left empty."""
        return self.judge.odd

    def snapshots(self) -> Iterator[Foreign]:
        """Yield its snapshots, the oldest first.

        A table most of which is bad is refused before the first.
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
        found = recognised(header, self.name)
        if found.network in header:
            self._one_network(found.network)
        return found

    def _one_network(self, tag: str) -> None:
        tags: dict[str | None, None] = {}
        for row in table(self.paths).rows([tag]):
            if row is not None:
                tags[row[0]] = None
            if len(tags) > 1:
                listed = ", ".join(str(each) for each in tags)
                raise UsageError(
                    f"{self.paths[0]} is of several systems ({listed}, ...): "
                    "make a file of one of them"
                )

    def _measure(self, rows: Table, layout: Layout) -> _Measured:
        """Return what the table amounts to; raises SettingsError where most is bad."""
        names = [layout.columns["station_id"], layout.columns["num_vehicles_available"]]
        zone = self._zone(layout)
        count = bad = 0
        first_bad, before, ordered = "", 0.0, True
        moments = _Moments(zone)
        for row in rows.rows([layout.time, *names]):
            count += 1
            moment = self._moment(row, moments)
            good = row and moment and values.identifier(row[1]) and _is_count(row[2])
            if not good or moment is None:
                bad += 1
                first_bad = first_bad or _shown(row)
                continue
            ordered = ordered and moment >= before
            before = moment
        if bad > count * MOST_BAD:
            raise SettingsError(
                f"{bad} of {count} rows of {self.paths[0]} cannot be read, the "
                f"first: {first_bad}; is it the right layout? see --map"
            )
        return _Measured(count, bad, first_bad, ordered)

    def _zone(self, layout: Layout) -> tzinfo:
        return UTC if layout.utc else self.zone

    def _moment(self, row: Row | None, moments: "_Moments") -> float | None:
        """Return the moment that *row* begins with, None for none that can be."""
        moment = moments(row[0]) if row else None
        if moment is None or not self.judge.is_time(moment):
            return None
        return moment

    def _timed(self, rows: Iterable[Row | None], layout: Layout) -> Iterator[Timed]:
        """Yield each row that has a time, with it; the others are counted."""
        moments = _Moments(self._zone(layout))
        for row in rows:
            moment = self._moment(row, moments)
            if row is None or moment is None:
                self.judge.bad += 1
            else:
                yield moment, row

    def _slots(self, rows: Iterable[Timed], layout: Layout) -> Iterator[Foreign]:
        """Yield a snapshot for each slot: a poll's rows may have times of their own.

        The earliest poll that has nearly all stations of the slot counts; where none
        has (each station speaks for itself), the first row of each station.
        """
        places = [
            (list(layout.columns).index(each) + 1 if each in layout.columns else 0)
            for each in FIELDS
        ]
        reported = _Moments(self.zone)
        for slot, members in groupby(rows, key=self._slot):
            polls: list[Poll] = [{}]
            for count, (moment, row) in enumerate(members):
                if count >= MOST_IN_A_SLOT:
                    raise SettingsError(
                        f"{self.paths[0]} has more than {MOST_IN_A_SLOT} rows within "
                        f"{self.interval} s; are these the right times? see --map"
                    )
                cells = [row[place] if place else None for place in places]
                status = self._status(cells, reported)
                if status is not None:
                    _add(polls, moment, status)
            found = _chosen(polls, apart=layout.apart)
            if found:
                first = min(moment for moment, _ in found.values())
                yield Foreign(slot, first, tuple(each for _, each in found.values()))

    def _slot(self, timed: Timed) -> Slot:
        return Slot(int(timed[0] // self.interval) * self.interval)

    def _status(self, cells: Row, moments: "_Moments") -> StationStatus | None:
        """Return what *cells*, in the order of `FIELDS`, say; None: counted as bad."""
        if not _is_count(cells[1]):
            self.judge.bad += 1
            return None
        return self.judge.status(cells[0], cells[1:7], cells[7:10], moments(cells[10]))


class _Moments:
    """Reads times as tables have them; those without an offset are of *zone*."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._known: dict[str, float | None] = {}

    def __call__(self, text: str | None) -> float | None:
        """Return the moment that *text* names in epoch seconds, None for none."""
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
            found = datetime.fromisoformat(text.replace("/", "-"))
            found = found if found.tzinfo else found.replace(tzinfo=self._zone)
            return found.timestamp()
        except (ValueError, OverflowError):
            return None


def _is_count(text: str | None) -> bool:
    return values.count(text or "") is not None


def _shown(row: Row | None) -> str:
    """Return *row* for people; None: a line that is no row."""
    if row is None:
        return "a line with other cells than the header"
    return ",".join(str(each) for each in row)[:SHOWN]


def _sorted(rows: Iterable[Timed], width: int) -> Iterator[Timed]:
    """Yield *rows*, of *width* cells, by their times; on disk, for they may be many."""
    marks = ", ".join("?" * (width + 1))
    names = ", ".join(f"c{n}" for n in range(width))
    with scratch() as aside, closing(sqlite3.connect(aside / "rows.sqlite3")) as db:
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
            raise StorageError(f"cannot sort the rows in {aside}: {error}") from error


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
