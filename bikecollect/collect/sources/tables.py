"""Read other programs' CSV and Parquet files, snapshot by snapshot."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from itertools import groupby
from pathlib import Path

from bikecollect.collect.sources import ForeignSnapshot, ForeignVehicles
from bikecollect.collect.sources.plausible import Plausible
from bikecollect.collect.sources.table_dialect import restored_id
from bikecollect.collect.sources.table_layouts import (
    FIELDS,
    OURS,
    Layout,
    mapped,
    recognised,
)
from bikecollect.collect.sources.table_rows import Row, Table, table
from bikecollect.collect.sources.table_survey import (
    Survey,
    Surveyor,
    cells_of,
    is_count,
)
from bikecollect.collect.sources.tabular.polls import Polls
from bikecollect.collect.sources.tabular.slot_lists import SlotNotes, slot_notes
from bikecollect.collect.sources.tabular.sorting import Timed, sorted_rows
from bikecollect.collect.sources.tabular.times import RepeatedHours, TimeParser
from bikecollect.core.errors import SettingsError, UsageError
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationStatus
from bikecollect.core.text import count_of, visible
from bikecollect.core.timeline.grid import Grid

log = logging.getLogger(__name__)
SHOWN = 6
"""Maximum files that are named as left out."""
MAX_IN_A_SLOT = 300_000
"""Maximum rows of one slot; more cannot be polls of one system."""
OF_FLAGS = "a CSV of `export --what slots`, of one system, has them"
"""Which list of slots beside the rows of an export is read."""


@dataclass
class TableSource:
    """The files *paths*; their layout is given by *maps* or *name*, else by the header.

    Times without an offset are in *times_zone*; if that is None, in the zone proven by
    the reports in the same rows, or in *zone*, that of the system. If a slot of *grid*
    has several polls, the first is used. Rows after *now* (epoch seconds) are bad.
    *list_names* are the lists of stations below *folder*, *slot_names* those of slots.
    """

    paths: Sequence[Path]
    zone: tzinfo
    grid: Grid
    now: float
    maps: Sequence[str] = ()
    name: str = ""
    layout: Layout | None = field(default=None, init=False)
    judge: Plausible = field(init=False)
    times_zone: tzinfo | None = None
    folder: Path = Path()
    list_names: Sequence[str] = ()
    slot_names: Sequence[str] = ()
    listed: Plausible = field(init=False)
    _surveyed: Survey | None = field(default=None, init=False)
    _header: Sequence[str] = field(default=(), init=False)
    _notes: Mapping[Slot, SlotNotes] = field(default_factory=dict, init=False)
    _doubtful: set[Slot] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        """Start with zero skipped rows and values, and without repeated hours."""
        self.judge, self.listed = Plausible(self.now), Plausible(self.now)
        self._reports = self._hours = RepeatedHours(self.zone)

    def lists(self) -> Sequence[str]:
        """Return the names of its lists of stations."""
        return self.list_names

    @property
    def is_ours(self) -> bool:
        """Whether a bikecollect wrote it, as an export."""
        return self.layout is not None and self.layout.name == OURS

    @property
    def lacking(self) -> Sequence[str]:
        """Of a bikecollect's slots: what its rows do not tell, and no list beside them.

        Empty before it was read, or if another program wrote it.
        """
        if self.layout is None or not self.is_ours:
            return ()
        has_times = self.layout.fetched in self._header
        return [
            *(() if has_times else ("when they were fetched",)),
            *(() if self.slot_names else (f"the flags of slots ({OF_FLAGS})",)),
        ]

    @property
    def label(self) -> str:
        """Kind and path of the table."""
        kind = self.layout.name if self.layout else "table"
        return f"{kind} {visible(str(self._place))}"

    @property
    def _place(self) -> Path:
        """The file, or the folder of all files."""
        if len(self.paths) == 1:
            return self.paths[0]
        return Path(os.path.commonpath([path.absolute().parent for path in self.paths]))

    @property
    def has_flags(self) -> bool:
        """Whether the flags are known: False, because tables have none."""
        return False

    @property
    def bad(self) -> int:
        """Number of rows that could not be read."""
        return self.judge.bad + self.listed.bad

    @property
    def odd(self) -> int:
        """Number of implausible values that were left empty."""
        return self.judge.odd + self.listed.odd

    def snapshots(self) -> Iterator[ForeignSnapshot]:
        """Yield the snapshots, oldest first.

        Raises SettingsError before the first if the table has too many bad rows.
        """
        self.judge = Plausible(self.now)
        layout = self.layout = self.layout or self._layout(table(self.paths))
        rows = table(self.paths)
        survey = self._surveyed = self._surveyed or self._survey(rows, layout)
        columns = [layout.time, *layout.columns.values()]
        header = self._header = rows.header()
        columns += [n for n in (layout.updated, layout.fetched) if n in header]
        if self.is_ours:
            self._notes = slot_notes(self.folder, self.slot_names, self.judge)
        id_at = columns.index(layout.columns["station_id"], 1)
        timed = self._timed(rows.rows(columns), survey.zone, id_at)
        rows_in_order = timed if survey.ordered else sorted_rows(timed, len(columns))
        yield from self._slots(rows_in_order, layout, columns)

    def vehicles(self) -> Iterator[ForeignVehicles]:
        """Yield nothing: tables have stations only."""
        return iter(())

    def _layout(self, rows: Table) -> Layout:
        """Return the layout; from now on only the files that have it are read."""
        header = rows.header()
        if self.maps:
            layout = mapped(self.maps, header)
        else:
            layout = recognised(header, self.name)
        self._leave_out_others(layout, rows.headers())
        if layout.network in table(self.paths).header():
            self._check_one_network(layout.network)
        return layout

    def _leave_out_others(
        self, layout: Layout, headers: Mapping[Path, set[str]]
    ) -> None:
        """Leave out the files without rows of stations, such as a list of stations."""
        needed = [layout.time, *(layout.columns[name] for name in FIELDS[:2])]
        others = [path for path in self.paths if not headers[path].issuperset(needed)]
        if len(others) == len(self.paths):
            raise UsageError(
                f"no file of {self._place} has all of the columns {', '.join(needed)}"
            )
        if others:
            names = ", ".join(visible(path.name) for path in others[:SHOWN])
            log.warning(
                "%s of %s left out, without the columns %s: %s%s",
                count_of(len(others), "file"),
                self._place,
                ", ".join(needed),
                names,
                " ..." if others[SHOWN:] else "",
            )
            self.paths = [path for path in self.paths if path not in others]

    def _check_one_network(self, tag: str) -> None:
        tags: dict[str | None, None] = {}
        for row in table(self.paths).rows([tag]):
            if row is not None:
                tags[row[0]] = None
            if len(tags) > 1:
                listed = ", ".join(map(str, tags))
                raise UsageError(
                    f"{self._place} has rows of several systems ({listed}, ...): "
                    "extract the rows of one system"
                )

    def _survey(self, rows: Table, layout: Layout) -> Survey:
        """Return the survey of the table; log what it decides."""
        surveyor = Surveyor(
            rows,
            layout,
            str(self._place),
            self.zone,
            self.grid,
            self.judge,
            self.times_zone,
        )
        survey = surveyor.survey()
        self._hours = surveyor.hours
        default = UTC if layout.utc else self.zone
        if self.times_zone is None and survey.zone != default:
            log.warning(
                "%s: times are taken as %s, by the reports in the same rows",
                self._place,
                survey.zone,
            )
        if survey.assumed:
            log.warning(
                "%s: times have no offset and are read as %s, but nothing in the file "
                "confirms that; if they are UTC, give --time-zone UTC",
                self._place,
                survey.zone,
            )
        hours = self._hours if self._hours.zone == survey.zone else None
        for number, sample in hours.doubts() if hours else ():
            log.warning(
                "%s: %s left out: times such as %s occur twice in %s, when clocks go "
                "back, and the order of the rows does not tell which is meant; give "
                "times with an offset, or in UTC",
                self._place,
                count_of(number, "row"),
                sample,
                survey.zone,
            )
        if survey.change_only:
            log.warning(
                "%s has a row only where a station has changed: its slots are partial",
                self._place,
            )
        return survey

    def _moment(self, row: Row | None, times: TimeParser) -> float | None:
        """Return the time in the first cell of *row*, None if it is impossible."""
        moment = times(row[0]) if row else None
        if moment is None or not self.judge.is_time(moment):
            return None
        return moment

    def _timed(
        self, rows: Iterable[Row | None], zone: tzinfo, id_at: int
    ) -> Iterator[Timed]:
        """Yield each row with its time; rows without a time are counted.

        Their station is in the cell *id_at*. Slots of doubtful rows are noted.
        """
        times, hours = TimeParser(zone), self._hours
        hours.begin()
        self._doubtful.clear()
        for row in rows:
            moment = self._moment(row, times)
            if row is None or moment is None:
                self.judge.bad += 1
                continue
            if hours.zone == zone:
                text, station_id = str(row[0]), str(restored_id(row[id_at]))
                moment = hours.moment(text, moment, station_id)
                if moment is None:
                    self._doubtful.update(map(self.grid.floor, hours.passes(text)))
                    continue
            yield moment, row

    def _slots(
        self, rows: Iterable[Timed], layout: Layout, columns: Sequence[str]
    ) -> Iterator[ForeignSnapshot]:
        """Yield a snapshot for each slot; the rows of a poll may differ in time.

        The earliest poll that has nearly all stations of the slot is used; if none has
        (stations report independently), the first row of each station.
        """
        names = list(layout.columns)
        numbers = [names.index(n) + 1 if n in layout.columns else 0 for n in FIELDS]
        updated, fetched = (
            columns.index(name) if name in columns else None
            for name in (layout.updated, layout.fetched)
        )
        stamps = TimeParser(self.zone)
        change_only = bool(self._surveyed and self._surveyed.change_only)
        for slot, slot_rows in groupby(rows, key=self._slot):
            polls, is_partial = Polls(apart=layout.apart), change_only
            is_partial |= slot in self._doubtful
            for count, (moment, row) in enumerate(slot_rows):
                if count >= MAX_IN_A_SLOT:
                    raise SettingsError(
                        f"{self._place} has more than {MAX_IN_A_SLOT} rows within "
                        f"{self.grid.interval} s; check the time column, see --map"
                    )
                status = self._status(cells_of(row, numbers), stamps, moment)
                if status is None:
                    is_partial = True
                else:
                    polls.add(
                        moment,
                        status,
                        None if updated is None else stamps(row[updated]),
                        None if fetched is None else stamps(row[fetched]),
                    )
            if polls:
                yield self._noted(polls.snapshot(slot), is_partial=is_partial)

    def _noted(self, polled: ForeignSnapshot, *, is_partial: bool) -> ForeignSnapshot:
        """Return *polled* with what is known of its slot beside the rows."""
        flags = (*polled.flags, *(("partial",) if is_partial else ()))
        notes = self._notes.get(polled.slot, SlotNotes())
        return polled._replace(
            fetched_at=self.judge.fetched(polled.fetched_at, polled.slot),
            flags=tuple(dict.fromkeys((*notes.flags, *flags))),
            last_updated=polled.last_updated or notes.last_updated,
        )

    def _slot(self, timed: Timed) -> Slot:
        return self.grid.floor(timed[0])

    def _status(
        self, cells: Row, times: TimeParser, moment: float
    ) -> StationStatus | None:
        """Return the status in *cells*, in the order of `FIELDS`; None if it is bad."""
        is_unknown = self.is_ours and not cells[1]  # it was collected like that
        if not (is_unknown or is_count(cells[1])):
            self.judge.bad += 1
            return None
        station_id = restored_id(cells[0])
        reported = times(cells[10])
        if self._hours.is_near(moment):
            reported = self._reports.before(cells[10], moment) or reported
        return self.judge.status(station_id, cells[1:7], cells[7:10], reported)
