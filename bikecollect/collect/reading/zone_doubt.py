"""Recognise stamps that were read in a wrong time zone, because they have no offset."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from math import inf
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bikecollect.collect.reading.staleness import OLD, Calibration
from bikecollect.core.slots import HOUR
from bikecollect.core.text import length

HOURS = tuple(range(-720, 841, 60))
PARTS = (-570, -210, -150, 210, 270, 330, 345, 390, 525, 570, 630, 765, 825)
"""The offsets from UTC in use, in minutes: whole hours, and the others."""
EARLIEST, LATEST = -2.0, 10.0
"""The age of the newest report in the right time zone is between these, in minutes."""
EVIDENT, MISFIT = 90.0, 180.0
"""Minutes by which an offset must fit the longitude better than another, and by which
it may differ from the time by the sun."""
PER_DEGREE = 4.0
"""Minutes that the sun takes for a degree."""
MISSED = 1.2
"""The factor by which slots with new reports may be farther apart than an interval."""
STEADY = 600.0
"""Maximum seconds between the age of the newest report and its usual age."""


class ZoneDoubt(NamedTuple):
    """Stamps are *age* seconds old in *zone*, and new in one of *offset* minutes.

    *used* and *fitting* are by how many minutes *zone* and *offset* differ from the
    time by the sun at the stations, endless if their places are unknown.
    """

    zone: ZoneInfo
    age: float
    offset: int
    used: float = inf
    fitting: float = inf

    @property
    def is_evident(self) -> bool:
        """Whether the stations are where *offset* is used, and not *zone*."""
        return self.fitting <= min(MISFIT, self.used - EVIDENT)

    @property
    def is_publishers(self) -> bool:
        """Whether the stations are where *zone* is used, and not *offset*."""
        return self.used <= min(MISFIT, self.fitting - EVIDENT)

    @property
    def is_ahead(self) -> bool:
        """Whether the stamps are in the future, and not for being of *offset*."""
        return self.age < 0 and not self.is_publishers

    @property
    def is_unplaced(self) -> bool:
        """Whether the places of the stations are unknown, or fit neither of both."""
        return min(self.used, self.fitting) > MISFIT

    def __str__(self) -> str:
        name, utc = f'timezone = "{self.zone}"', utc_text(self.offset)
        apart = f"{length(abs(self.age))} {'old' if self.age > 0 else 'ahead'}"
        stamps = f"the feed's stamps have no offset from UTC and are {apart}"
        if self.is_evident:
            return (
                f"{name} is probably wrong: {stamps} in it; the stations' places and "
                f"stamps fit a time zone of {utc}"
            )
        if self.is_publishers:
            guess = f"the feed writes them in {utc}, so that last_reported is wrong"
        elif self.age > 0:
            guess = f"{utc} is the right time zone"
        else:
            guess = f"the feed's clock is wrong, or {utc} is the right time zone"
        lags = "it lags, or " if self.age > 0 else ""
        return f"{stamps} in {name}: {lags}{guess}"


def utc_text(minutes: int) -> str:
    """Return an offset from UTC as text.

    >>> utc_text(480), utc_text(-210), utc_text(0)
    ('UTC+8', 'UTC-3:30', 'UTC+0')
    """
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}"


def doubt(
    zone: ZoneInfo, age: float, at: float, longitudes: Iterable[float]
) -> ZoneDoubt | None:
    """Return why *zone* is in doubt if the newest stamp was *age* seconds old *at*.

    None if the stamps are new, or new in no zone. *longitudes* are of the stations.

    >>> doubt(ZoneInfo("Asia/Taipei"), 120, 1.8e9, []) is None
    True
    >>> str(doubt(ZoneInfo("Europe/Oslo"), -25_080, 1.8e9, [121.5]))[:38]
    'timezone = "Europe/Oslo" is probably w'
    """
    if abs(age) <= OLD:
        return None
    local = datetime.fromtimestamp(at, zone)
    used, summer = (_minutes(shift) for shift in (local.utcoffset(), local.dst()))
    offsets = (
        offset
        for offset in (*HOURS, *PARTS)
        if EARLIEST <= offset - used + age / 60 <= LATEST
    )
    offset = next(offsets, used)
    if offset == used:
        return None
    middle = sorted(longitudes)
    if not middle:
        return ZoneDoubt(zone, age, offset)
    solar = middle[len(middle) // 2] * PER_DEGREE
    fitting = min(abs(offset - solar), abs(offset - summer - solar))
    return ZoneDoubt(zone, age, offset, abs(used - summer - solar), fitting)


def doubt_of_reports(
    zone: ZoneInfo, reports: Calibration, interval: int, longitudes: Iterable[float]
) -> ZoneDoubt | None:
    """Return why *zone* is in doubt, by *reports* up to the current slot.

    A feed may lag, have stopped, or be quiet: old stamps are evidence only if stations
    have reported in each slot of *interval* seconds for an hour, always as late, and
    are not where *zone* is used, as far as their places are known.
    """
    found = doubt(zone, reports.last, reports.slot, longitudes)
    if found is None or found.age < 0:
        return found
    lasted = reports.slot - reports.regular
    is_regular = HOUR <= lasted <= MISSED * interval * (reports.beats - 1)
    is_steady = abs(reports.last - reports.age) <= STEADY
    is_possible = found.is_evident or found.is_unplaced
    return found if is_regular and is_steady and is_possible else None


def _minutes(shift: timedelta | None) -> int:
    return round((shift or timedelta(0)).total_seconds() / 60)
