"""The grid of slots of a system: intervals in local time or UTC, and their changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import groupby
from typing import NamedTuple

from bikecollect.core.slots import GRACE, HOUR, Slot
from bikecollect.core.timeline.zones import QUARTER


class Period(NamedTuple):
    """From *since* on, slots are *interval* seconds apart in the local time of *zone*.

    In UTC instead if the interval neither divides an hour nor is a multiple of one.
    """

    since: int
    interval: int
    zone: tzinfo = UTC


@dataclass(frozen=True, eq=False, repr=False)
class Grid:
    """The slots of a system; the first of *periods* holds from the start."""

    periods: Sequence[Period]

    @classmethod
    def of(cls, interval: int, zone: tzinfo = UTC) -> "Grid":
        """Return the grid of a constant *interval* in seconds."""
        return cls((Period(0, interval, zone),))

    @property
    def interval(self) -> int:
        """The interval of the last period, in seconds."""
        return self.periods[-1].interval

    def interval_at(self, slot: float) -> int:
        """Return the interval that holds at *slot*, in seconds."""
        return self._period(slot)[1].interval

    def intervals(self, since: int, until: int) -> list[int]:
        """Return the intervals that hold from *since* to before *until*, in turn.

        >>> Grid((Period(0, 1800), Period(3600, 600))).intervals(0, 5000)
        [1800, 600]
        """
        begun = [
            period.since for period in self.periods if since < period.since < until
        ]
        return [
            interval for interval, _ in groupby(map(self.interval_at, [since, *begun]))
        ]

    def floor(self, moment: float) -> Slot:
        """Return the slot that contains *moment*.

        >>> from zoneinfo import ZoneInfo
        >>> Grid.of(3600, ZoneInfo("Asia/Kolkata")).floor(5400)
        5400
        """
        index, period = self._period(moment)
        slot = _floor(moment, period)
        if index and slot < period.since:
            return Grid(self.periods[:index]).floor(period.since - 1)
        return slot

    def has_all(self, slots: Sequence[int]) -> bool:
        """Return whether each of *slots* is one of this grid.

        >>> grid = Grid((Period(0, 600),))
        >>> grid.has_all([600, 1800]), grid.has_all([600, 900])
        (True, False)
        """
        if self._is_regular:
            return not any(slot % self.interval for slot in slots)
        return all(self.floor(slot) == slot for slot in slots)

    @property
    def _is_regular(self) -> bool:
        """Whether all slots are multiples of one interval, in every time zone."""
        return len(self.periods) == 1 and QUARTER % self.interval == 0

    def at(self, now: float) -> Slot:
        """Return the slot of a run that starts at *now*.

        A scheduler may fire a moment early: the last seconds of a slot count as the
        next one.
        """
        return self.floor(now + min(GRACE, self.interval_at(now) / 30))

    def next(self, slot: int) -> Slot:
        """Return the slot after *slot*."""
        index, period = self._period(slot)
        moment = slot + period.interval
        while (after := _floor(moment, period)) <= slot:
            moment += QUARTER  # the clock is set back, or skips the next slot
        if index + 1 < len(self.periods):
            return min(after, Slot(self.periods[index + 1].since))
        return after

    def between(self, since: int, until: int) -> Iterator[Slot]:
        """Yield the slots from *since* to before *until*.

        >>> grid = Grid((Period(0, 1800), Period(3600, 600)))
        >>> list(grid.between(1, 5000))
        [1800, 3600, 4200, 4800]
        """
        if self._is_regular:
            first = -(-since // self.interval) * self.interval
            yield from map(Slot, range(first, until, self.interval))
            return
        slot = self.floor(since)
        if slot < since:
            slot = self.next(slot)
        while slot < until:
            yield slot
            slot = self.next(slot)

    def _period(self, moment: float) -> tuple[int, Period]:
        for index in range(len(self.periods) - 1, 0, -1):
            if self.periods[index].since <= moment:
                return index, self.periods[index]
        return 0, self.periods[0]


def _floor(moment: float, period: Period) -> Slot:
    """Return the latest slot of *period* that is not after *moment*."""
    interval = period.interval
    if QUARTER % interval == 0 or (HOUR % interval and interval % HOUR):
        return Slot(int(moment // interval) * interval)
    local = datetime.fromtimestamp(int(moment // 1), period.zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    passed = local.hour * 3600 + local.minute * 60 + local.second
    place = midnight + timedelta(seconds=passed - passed % interval)
    slot = _at_or_before(place, moment, period)
    if local.fold:  # Times between the clock's going back and its start are past, too.
        later = place + timedelta(seconds=interval)
        while (before := later.replace(tzinfo=period.zone)).timestamp() <= moment:
            slot = max(slot, Slot(int(before.timestamp())))
            later += timedelta(seconds=interval)
    return slot


def _at_or_before(place: datetime, moment: float, period: Period) -> Slot:
    """Return the latest slot at the local time *place* or before it.

    It is not after *moment*, and *place* is a local time of the grid of *period*.
    """
    while True:
        for fold in (1, 0):
            candidate = place.replace(tzinfo=period.zone, fold=fold)
            begin = int(candidate.timestamp())
            shown = datetime.fromtimestamp(begin, period.zone).replace(tzinfo=None)
            # A time that the clock skips is not a slot.
            if begin <= moment and shown.replace(fold=0) == place:
                return Slot(begin)
        place -= timedelta(seconds=period.interval)
