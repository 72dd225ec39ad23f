"""A time zone that changed in the settings: days follow the zone of their time."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import groupby
from typing import Self, cast
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
WIDEST = 28 * 3_600
"""More seconds than lie between two zones, with a clock change."""
QUARTER = 900
"""All UTC offsets are multiples of these seconds: an interval that divides them gives
the same slots in every time zone."""
Change = tuple[int, str]
"""An epoch second, and the name of the zone that holds from then on."""


class SystemZone(ZoneInfo):
    """The time zone of a system whose setting changed over time.

    Its *key* is that of the last zone. A day that begins in one zone and ends in
    another is longer or shorter than usual, as on a day of a clock change.
    """

    _periods: Sequence[tuple[int, ZoneInfo]]

    @classmethod
    def of(cls, changes: Sequence[Change]) -> ZoneInfo:
        """Return the zone of *changes*, in order; the first one holds from the start.

        >>> zone = SystemZone.of([(0, "Europe/Oslo"), (1764046800, "America/New_York")])
        >>> datetime.fromtimestamp(1764046799, zone).isoformat()
        '2025-11-25T05:59:59+01:00'
        >>> datetime.fromtimestamp(1764046800, zone).isoformat()
        '2025-11-25T00:00:00-05:00'
        """
        zones = [(since, ZoneInfo(name)) for since, name in changes]
        if len({name for _, name in changes}) == 1:
            return zones[0][1]
        zone = cast("Self", cls.no_cache(changes[-1][1]))
        zone._periods = zones  # noqa: SLF001 - our own instance
        return zone

    @property
    def names(self) -> str:
        """The names of its zones, in turn."""
        return in_turn(zone.key for _, zone in self._periods)

    def fromutc(self, dt: datetime) -> datetime:
        """Return the UTC time *dt* as local time."""
        moment = dt.replace(tzinfo=UTC).timestamp()
        local = dt.replace(tzinfo=UTC).astimezone(self.zone_at(moment))
        offset = local.utcoffset()
        naive = local.replace(tzinfo=None, fold=0)
        first = self._moments(naive)[0]
        fold = 0 if first == _seconds(naive) - _total(offset) else 1
        return local.replace(tzinfo=self, fold=fold)

    def utcoffset(self, dt: datetime | None, /) -> timedelta | None:
        """Return the offset of the local time *dt*."""
        if dt is None:
            return None
        naive = dt.replace(tzinfo=None, fold=0)
        moment = self._moments(naive)[-1 if dt.fold else 0]
        return timedelta(seconds=_seconds(naive) - moment)

    def dst(self, dt: datetime | None, /) -> timedelta | None:
        """Return the daylight saving of the local time *dt*."""
        return self._local(dt).dst() if dt else None

    def tzname(self, dt: datetime | None, /) -> str | None:
        """Return the zone's abbreviation at the local time *dt*."""
        return self._local(dt).tzname() if dt else None

    def _local(self, dt: datetime) -> datetime:
        offset = cast("timedelta", self.utcoffset(dt))
        moment = _seconds(dt.replace(tzinfo=None)) - _total(offset)
        return datetime.fromtimestamp(moment, self.zone_at(moment))

    def zone_at(self, moment: float) -> ZoneInfo:
        """Return the zone that holds at *moment*."""
        begun = [zone for since, zone in self._periods if since <= moment]
        return begun[-1] if begun else self._periods[0][1]

    def _moments(self, naive: datetime) -> list[int]:
        """Return the epoch seconds at which local clocks show *naive*, in order.

        For a time that no clock shows: the moment of the change that skips it.
        """
        moments = []
        for index, (since, zone) in enumerate(self._periods):
            last = index + 1 == len(self._periods)
            until = float("inf") if last else self._periods[index + 1][0]
            for fold in (0, 1):
                local = naive.replace(tzinfo=zone, fold=fold)
                moment = _seconds(naive) - _total(local.utcoffset())
                if (index == 0 or since <= moment) and moment < until:
                    moments.append(moment)
        return sorted(set(moments)) or [self._skipped(naive)]

    def _skipped(self, naive: datetime) -> int:
        changes = [since for since, _ in self._periods[1:]]
        wanted = _seconds(naive)
        return min(changes, key=lambda since: abs(wanted - since))


def in_turn(names: Iterable[str]) -> str:
    """Return the *names* of zones that followed each other as a text.

    >>> in_turn(["Europe/Oslo", "Europe/Oslo", "America/New_York"])
    'Europe/Oslo, then America/New_York'
    """
    return ", then ".join(name for name, _ in groupby(names))


def named(zone: tzinfo) -> str:
    """Return the name of *zone*, or of each zone that a system had.

    >>> named(SystemZone.of([(0, "Europe/Oslo"), (1764046800, "America/New_York")]))
    'Europe/Oslo, then America/New_York'
    """
    return zone.names if isinstance(zone, SystemZone) else str(zone)


def first_midnight(now: float, zone: tzinfo) -> int:
    """Return the first midnight of *zone* after *now*.

    If *zone* takes effect then, days stay in order: its first day is the current day of
    the zone before, or the next one, because zones differ by less than a day (with two
    exceptions, both pairs of islands).
    """
    local = datetime.fromtimestamp(now, zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return int((midnight + DAY).timestamp())


def first_clear(moments: Iterable[int], before: str, after: str) -> int:
    """Return the first of *moments* at which the zone *after* can follow *before*.

    Around the others a local time stands for three moments, because a clock is set back
    too, and a datetime can tell only two of them apart. Without a clear one, the last.

    >>> midnights = 1792895400, 1792981800, 1793068200
    >>> midnights.index(first_clear(midnights, "Europe/Oslo", "America/St_Johns"))
    1
    """
    moment = 0
    for moment in moments:
        zone = SystemZone.of([(0, before), (moment, after)])
        near = range(moment - WIDEST, moment + WIDEST, QUARTER)
        if all(datetime.fromtimestamp(t, zone).timestamp() == t for t in near):
            break
    return moment


def _seconds(naive: datetime) -> int:
    return int(naive.replace(tzinfo=UTC, microsecond=0).timestamp())


def _total(offset: timedelta | None) -> int:
    return int(offset.total_seconds()) if offset else 0
