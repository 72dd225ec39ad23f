"""The times of tables, also in the hour that occurs twice when summer time ends."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone, tzinfo
from typing import NamedTuple

from bikecollect.core.slots import DAY, MINUTE, occurs_twice
from bikecollect.feeds.reading.stamps import AHEAD, MILLISECONDS, Stamps

KNOWN_TIMES = 10_000
ANY_OFFSET = timedelta(hours=1)
STEP = 15 * MINUTE
"""Minimum seconds by which the times of an hour step back when it is repeated."""
ALL = ""
"""The key of all stations, which none of them has."""


class TimeParser:
    """Parses the times of tables; those without an offset are in *zone*."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._stamps = Stamps(zone)
        self._known: dict[str, float | None] = {}

    def __call__(self, text: str | None) -> float | None:
        """Return *text* in epoch seconds, None if it is empty or not a time."""
        if not text:
            return None
        if text not in self._known:
            if len(self._known) >= KNOWN_TIMES:
                self._known.clear()
                self._stamps = Stamps(self._zone)
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
            return self._stamps(text)  # such as "02.06.2025 08:00"


def have_offsets(times: Iterable[str]) -> bool:
    """Return whether all *times* have an offset: they are the same in any zone."""
    west, east = TimeParser(timezone(-ANY_OFFSET)), TimeParser(timezone(ANY_OFFSET))
    return all(west(text) == east(text) for text in times)


Key = tuple[str, str]
"""A day, and a station or `ALL`."""


class Twice(NamedTuple):
    """A time that occurs twice: *first*, and *later* seconds after it, on *day*."""

    first: float
    later: float
    day: str


class RepeatedHours:
    """Tells the two passes of an hour that clocks in *zone* repeat, by the rows' order.

    The times of polls ascend: where they step back, the second pass begins. If the rows
    of all stations do that once, it holds for all; else (a table that is sorted by
    station) for each station that does. Other rows of such an hour are doubtful: if it
    has one pass only, it may be either.
    """

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        self._times = TimeParser(zone)
        self._twice: dict[str, Twice | None] = {}
        self._rows: Counter[Key] = Counter()
        self._steps: Counter[Key] = Counter()
        self._onward: set[Key] = set()
        self._last: dict[Key, float] = {}
        self._passed: set[Key] = set()
        self._deciding: dict[Key, Key | None] = {}
        self._samples: dict[str, tuple[str, float]] = {}

    def note(self, text: str, station_id: str) -> None:
        """Note the time *text* of a row, in the table's order."""
        twice = self.of(text)
        if twice is None:
            return
        self._samples.setdefault(twice.day, (text, twice.first))
        self._rows[twice.day, station_id] += 1
        for key in ((twice.day, ALL), (twice.day, station_id)):
            if twice.first > self._last.get(key, twice.first):
                self._onward.add(key)
            self._steps[key] += self._steps_back(key, twice.first)

    def doubts(self) -> Iterable[tuple[int, str]]:
        """Yield for each day its number of doubtful rows, and the time of one."""
        for day, (sample, _) in self._samples.items():
            keys = [key for key in self._rows if key[0] == day]
            if rows := sum(self._rows[key] for key in keys if not self._key(*key)):
                yield rows, sample

    def is_near(self, moment: float) -> bool:
        """Return whether *moment* is within a day of such an hour in the table."""
        return any(abs(moment - first) <= DAY for _, first in self._samples.values())

    def begin(self) -> None:
        """Begin to read the rows that were noted once more."""
        self._last.clear()
        self._passed.clear()

    def moment(self, text: str, moment: float, station_id: str) -> float | None:
        """Return the *moment* that *text* is for the next row, None if it is doubtful.

        Such a row is of one of the `passes`.
        """
        twice = self.of(text)
        if twice is None:
            return moment
        key = self._key(twice.day, station_id)
        if key is None:
            return None
        if self._steps_back(key, twice.first):
            self._passed.add(key)
        return twice.first + twice.later * (key in self._passed)

    def passes(self, text: str) -> Iterable[float]:
        """Return both moments of the time *text*, none if it occurs once."""
        twice = self.of(text)
        return (twice.first, twice.first + twice.later) if twice else ()

    def before(self, text: str | None, moment: float) -> float | None:
        """Return the later moment that *text* can be, if it is not after *moment*.

        None if it occurs once, or if the first pass is meant.
        """
        twice = self.of(text) if text else None
        if twice is None or twice.first + twice.later > moment + AHEAD:
            return None
        return twice.first + twice.later

    def of(self, text: str) -> Twice | None:
        """Return both moments of the time *text*, None if it occurs once."""
        if text not in self._twice:
            if len(self._twice) >= KNOWN_TIMES:
                self._twice.clear()
            self._twice[text] = self._read(text)
        return self._twice[text]

    def _read(self, text: str) -> Twice | None:
        moment = self._times(text)
        if moment is None or not occurs_twice(moment, self.zone):
            return None
        if have_offsets([text]):
            return None
        local = datetime.fromtimestamp(moment, self.zone)
        first, second = (local.replace(fold=fold).timestamp() for fold in (0, 1))
        return Twice(first, second - first, str(local.date()))

    def _key(self, day: str, station_id: str) -> Key | None:
        """Return the rows by whose order a row is decided, None if it cannot be.

        The rows of all stations also step back if they are sorted by station: they
        decide only if a station does it as well.
        """
        key = (day, station_id)
        if key not in self._deciding:
            stations = (key for key in self._rows if key[0] == day)
            is_decided = any(map(self._is_repeated, stations))
            keys = ((day, ALL), key) if is_decided else ()
            self._deciding[key] = next(filter(self._is_repeated, keys), None)
        return self._deciding[key]

    def _is_repeated(self, key: Key) -> bool:
        """Return whether the rows of *key* go through the hour exactly twice."""
        return self._steps[key] == 1 and key in self._onward

    def _steps_back(self, key: Key, moment: float) -> bool:
        before = self._last.get(key, moment)
        self._last[key] = moment
        return before - moment >= STEP
