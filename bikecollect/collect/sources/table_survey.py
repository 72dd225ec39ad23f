"""Survey a table before importing it: its order, its gaps, the zone of its times."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from statistics import median
from typing import NamedTuple

from bikecollect.collect.sources.plausible import Plausible
from bikecollect.collect.sources.table_dialect import restored_id
from bikecollect.collect.sources.table_layouts import OURS, Layout
from bikecollect.collect.sources.table_rows import Row, Table
from bikecollect.collect.sources.tabular.times import (
    RepeatedHours,
    TimeParser,
    have_offsets,
)
from bikecollect.core.errors import SettingsError
from bikecollect.core.slots import DAY, HOUR
from bikecollect.core.timeline.grid import Grid
from bikecollect.feeds.reading import values

MAX_BAD = 0.2
SHOWN = 200
AHEAD, BEHIND = 120.0, HOUR
"""Maximum seconds by which the newest report may be after its poll, and before it."""
STEADY, LONG = HOUR / 2, 2 * HOUR
"""If times are in another zone, the age of the newest report changes by less than
STEADY seconds over LONG seconds of polls; if the source has stopped, it grows."""
MAX_POLLS = 2_000
"""Maximum polls by which the zone of the times is determined."""
DAYS, STATIONS = 3, 200
"""Days and stations by which an archive of changes only is recognised."""
WHOLE = 0.5
"""Share of the slots that have a station; with less, only changes are archived."""


class Survey(NamedTuple):
    """Properties of a table; *ordered* says whether it is sorted by time.

    Its times without an offset are in *zone*, which is *assumed* if nothing in the
    table confirms it. A table that is *change_only* has rows only of stations that have
    changed.
    """

    rows: int
    bad: int
    ordered: bool
    zone: tzinfo
    assumed: bool
    change_only: bool


@dataclass
class Surveyor:
    """Surveys *table*, at *place*, of *layout*; its reports are in *system_zone*.

    *zone* is the zone of times without an offset, None to determine it.
    """

    table: Table
    layout: Layout
    place: str
    system_zone: tzinfo
    grid: Grid
    judge: Plausible
    zone: tzinfo | None = None
    hours: RepeatedHours = field(init=False)
    _newest: dict[str, float] = field(default_factory=dict, init=False)
    _sample: dict[str, None] = field(default_factory=dict, init=False)
    _slots: dict[int, set[int]] = field(default_factory=dict, init=False)
    _pairs: dict[int, set[tuple[int, str]]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Start without repeated hours."""
        self.hours = RepeatedHours(self.zone or self.system_zone)

    def survey(self) -> Survey:
        """Return the properties of the table.

        Raises SettingsError if too many rows are bad, or if the times can be neither in
        the zone of the system nor in UTC.
        """
        layout = self.layout
        names = [layout.columns["station_id"], layout.columns["num_vehicles_available"]]
        default = UTC if layout.utc else self.system_zone
        times, reports = TimeParser(self.zone or default), TimeParser(self.system_zone)
        count = bad = 0
        first_bad, before, ordered = "", 0.0, True
        for row in self.table.rows([layout.time, *names, *self._stamps()]):
            count += 1
            moment = times(row[0]) if row else None
            if row is None or moment is None or not self._is_good(row, moment):
                bad += 1
                first_bad = first_bad or row_text(row)
                continue
            ordered = ordered and moment >= before
            before = moment
            self._note_reports(str(row[0]), map(reports, row[3:]))
            station_id = str(restored_id(row[1]))
            self.hours.note(str(row[0]), station_id)
            self._note_station(moment, station_id)
        if bad > count * MAX_BAD:
            raise SettingsError(
                f"{bad} of {count} rows of {self.place} cannot be read, the "
                f"first: {first_bad}; check the layout, see --map"
            )
        proven = self.zone or self._proven_zone(default)
        zone, is_assumed = proven or default, proven is None
        return Survey(count, bad, ordered, zone, is_assumed, self._is_change_only())

    def _stamps(self) -> list[str]:
        """Return the columns whose stamps prove the zone of the times."""
        layout = self.layout
        names = (layout.published, layout.updated, layout.columns.get("last_reported"))
        header = set(self.table.header())
        return [name for name in names if name in header and name != layout.time]

    def _is_good(self, row: Row, moment: float) -> bool:
        # A time that is in the future in one zone may be in the past in another.
        is_time = self.judge.is_time(moment) or self.judge.is_time(moment - DAY)
        station_id = values.identifier(restored_id(row[1]))
        is_value = is_count(row[2]) or (self.layout.name == OURS and not row[2])
        return bool(is_time and station_id and is_value)

    def _note_reports(self, text: str, reports: Iterable[float | None]) -> None:
        """Note the newest of *reports* beside the time *text* of a poll."""
        if text not in self._newest and len(self._newest) >= MAX_POLLS:
            return
        newest = max((stamp for stamp in reports if stamp is not None), default=0.0)
        self._newest[text] = max(self._newest.get(text, 0.0), newest)

    def _note_station(self, moment: float, station_id: str) -> None:
        """Note that *station_id* has a row at *moment*, on the first days."""
        day = int(moment // DAY)
        if day not in self._slots and len(self._slots) >= DAYS:
            return
        slot = self.grid.floor(moment)
        self._slots.setdefault(day, set()).add(slot)
        if station_id not in self._sample and len(self._sample) < STATIONS:
            self._sample[station_id] = None
        if station_id in self._sample:
            self._pairs.setdefault(day, set()).add((slot, station_id))

    def _is_change_only(self) -> bool:
        possible = present = 0
        for day, slots in self._slots.items():
            pairs = self._pairs.get(day, set())
            possible += len(slots) * len({station_id for _, station_id in pairs})
            present += len(pairs)
        return present < possible * WHOLE

    def _proven_zone(self, default: tzinfo) -> tzinfo | None:
        """Return the zone in which the polls come shortly after their newest report.

        None if the times need a zone and there are no such reports.
        """
        if self.layout.apart or have_offsets(self._newest):
            return default
        polls = {text: newest for text, newest in self._newest.items() if newest}
        if not polls:
            return default if self.layout.utc else None
        ages = {zone: _ages(polls, zone) for zone in (default, self.system_zone, UTC)}
        for zone, by_moment in ages.items():
            if -AHEAD <= median(by_moment.values()) <= BEHIND:
                return zone
        age = median(ages[default].values())
        if age >= -AHEAD and not _is_steady(ages[default]):
            return default  # reports may be old; they are not from the future
        before = "before" if age < 0 else "after"
        raise SettingsError(
            f"the times of {self.place}, such as {next(iter(polls))}, are "
            f"{abs(age) / HOUR:.1f} h {before} the reports in the same rows, and not "
            "in UTC either: give their zone with --time-zone"
        )


def _ages(polls: dict[str, float], zone: tzinfo) -> dict[float, float]:
    """Return by moment the seconds from the newest report to the poll, in *zone*."""
    times = TimeParser(zone)
    moments = ((times(text), newest) for text, newest in polls.items())
    return {at: at - newest for at, newest in moments if at is not None}


def _is_steady(ages: dict[float, float]) -> bool:
    """Return whether the *ages*, by moment, hardly change over hours."""
    is_long = max(ages) - min(ages) >= LONG
    return is_long and max(ages.values()) - min(ages.values()) <= STEADY


def is_count(text: str | None) -> bool:
    """Return whether *text* is a count."""
    return values.count(text or "") is not None


def row_text(row: Row | None) -> str:
    """Return *row* as text for messages; None is an invalid line."""
    if row is None:
        return "a line that does not match the header"
    return ",".join(map(str, row))[:SHOWN]


def cells_of(row: Sequence[str | None], numbers: Sequence[int]) -> list[str | None]:
    """Return the cells *numbers* of *row*, None for the number 0."""
    return [row[number] if number else None for number in numbers]
