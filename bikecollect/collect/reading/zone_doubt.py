"""Recognise stamps that were read in a wrong time zone, because they have no offset."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import inf
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bikecollect.collect.reading.staleness import OLD, Calibration
from bikecollect.core.slots import HOUR
from bikecollect.core.text import length

HOURS = tuple(range(-720, 841, 60))
PARTS = {
    -570: "Pacific/Marquesas",
    -210: "America/St_Johns",
    -150: "America/St_Johns",
    210: "Asia/Tehran",
    270: "Asia/Kabul",
    330: "Asia/Kolkata",
    345: "Asia/Kathmandu",
    390: "Asia/Yangon",
    525: "Australia/Eucla",
    570: "Australia/Darwin",
    630: "Australia/Adelaide",
    765: "Pacific/Chatham",
    825: "Pacific/Chatham",
}
"""The offsets from UTC in use, in minutes: whole hours, and the others with a zone."""
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
    """Stamps are *shift* minutes ahead in *zone*, and new in one of *offset* minutes.

    They are old if *shift* is negative. *used* and *fitting* are by how many minutes
    *zone* and *offset* differ from the time by the sun at the stations, endless if
    their places are unknown.
    """

    zone: ZoneInfo
    offset: int
    shift: int
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
    def is_wrong(self) -> bool:
        """Whether it is evident, or stamps are in the future and not of *offset*."""
        return self.is_evident or (self.shift > 0 and not self.is_publishers)

    @property
    def is_unplaced(self) -> bool:
        """Whether the places of the stations are unknown, or fit neither of both."""
        return min(self.used, self.fitting) > MISFIT

    @property
    def name(self) -> str:
        """A name of a time zone of *offset*, of no certain city."""
        return PARTS.get(self.offset) or f"Etc/GMT{-self.offset // 60:+}"

    @property
    def suggestion(self) -> str:
        """A time zone that fits, as text.

        >>> ZoneDoubt(ZoneInfo("Europe/Oslo"), 480, 420).suggestion
        'UTC+8 (timezone = "Etc/GMT-8", or better that of the city)'
        """
        utc = utc_text(self.offset)
        return f'{utc} (timezone = "{self.name}", or better that of the city)'

    def __str__(self) -> str:
        name = f'timezone = "{self.zone}"'
        apart = f"about {span(abs(self.shift))} {'ahead' if self.shift > 0 else 'old'}"
        stamps = f"the feed's stamps have no offset from UTC and are {apart}"
        if self.is_evident:
            return (
                f"{name} is probably wrong: {stamps} in it; the stations' places and "
                f"stamps fit {self.suggestion}"
            )
        if self.is_publishers:
            utc = utc_text(self.offset)
            guess = f"the feed writes them in {utc}, so that last_reported is wrong"
        else:
            cause = "the feed's clock is wrong" if self.shift > 0 else "it lags"
            guess = f"{cause}, or the right time zone is {self.suggestion}"
        return f"{stamps} in {name}: {guess}"


def span(minutes: int) -> str:
    """Return a number of minutes as text.

    >>> span(420), span(135)
    ('7 h', '2 h 15 min')
    """
    return length(minutes * 60).removesuffix(" 0 min")


def note_of(zone: ZoneInfo, offset: int) -> str:
    """Return the note to store while *zone* is in doubt, because *offset* fits.

    >>> note_of(ZoneInfo("Europe/Oslo"), 480)
    'Europe/Oslo 480'
    """
    return f"{zone} {offset}"


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
    used = _minutes(datetime.fromtimestamp(at, zone).utcoffset())
    offsets = (
        offset
        for offset in (*HOURS, *PARTS)
        if EARLIEST <= offset - used + age / 60 <= LATEST
    )
    offset = next(offsets, used)
    return None if offset == used else _doubt(zone, offset, at, longitudes)


def _doubt(
    zone: ZoneInfo, offset: int, at: float, longitudes: Iterable[float]
) -> ZoneDoubt:
    local = datetime.fromtimestamp(at, zone)
    used, summer = (_minutes(shift) for shift in (local.utcoffset(), local.dst()))
    middle = sorted(longitudes)
    if not middle:
        return ZoneDoubt(zone, offset, offset - used)
    solar = middle[len(middle) // 2] * PER_DEGREE
    fitting = min(abs(offset - solar), abs(offset - summer - solar))
    return ZoneDoubt(zone, offset, offset - used, abs(used - summer - solar), fitting)


def doubt_of_reports(
    zone: ZoneInfo,
    reports: Calibration,
    interval: int,
    longitudes: Sequence[float],
    note: str = "",
) -> ZoneDoubt | None:
    """Return why *zone* is in doubt, by *reports* up to the current slot.

    A feed may lag, have stopped, or be quiet: old stamps are evidence only if stations
    have reported in each slot of *interval* seconds for an hour, always as late, and
    are not where *zone* is used, as far as their places are known. If they are where
    another zone is used, a quarter of an hour is enough. A doubt that was noted in
    *note* lasts until the stamps are new. While they only become older, it is not
    replaced: after hours, they would be new in any other zone.
    """
    doubted = doubt(zone, reports.last, reports.slot, longitudes)
    offset = _noted_offset(zone, note)
    is_ahead = doubted is not None and doubted.shift > 0
    is_clear = is_ahead and (offset is None or _is_steady(reports))
    if is_clear or (doubted and _is_proven(doubted, reports, interval)):
        return doubted
    if offset is None or abs(reports.last) <= OLD:
        return None
    return _doubt(zone, offset, reports.slot, longitudes)


def is_new(zone: ZoneInfo, note: str, at: float, ages: Iterable[float]) -> bool:
    """Return whether any stamp is new in the offset that fits according to *note*.

    *ages* are those in *zone*, in seconds.

    >>> is_new(ZoneInfo("Europe/Oslo"), "Europe/Oslo 480", 1.8e9, [-25_080])
    True
    >>> is_new(ZoneInfo("Europe/Oslo"), "Europe/Oslo 480", 1.8e9, [-24_000])
    False
    """
    offset = _noted_offset(zone, note)
    if offset is None:
        return False
    shift = offset - _minutes(datetime.fromtimestamp(at, zone).utcoffset())
    return any(abs(shift * 60 + age) <= OLD for age in ages)


def _noted_offset(zone: ZoneInfo, note: str) -> int | None:
    """Return the offset in *note*, None if it is not of *zone*."""
    known = (offset for offset in (*HOURS, *PARTS) if note == note_of(zone, offset))
    return next(known, None)


def _is_steady(reports: Calibration) -> bool:
    return abs(reports.last - reports.age) <= STEADY


def _is_proven(doubted: ZoneDoubt, reports: Calibration, interval: int) -> bool:
    """Return whether the *reports* are always as late, and not of *zone*."""
    lasted = reports.slot - reports.regular
    enough = OLD if doubted.is_evident else HOUR
    is_regular = enough <= lasted <= MISSED * interval * (reports.beats - 1)
    is_possible = doubted.is_evident or doubted.is_unplaced
    return is_regular and is_possible and _is_steady(reports)


def _minutes(shift: timedelta | None) -> int:
    return round((shift or timedelta(0)).total_seconds() / 60)
