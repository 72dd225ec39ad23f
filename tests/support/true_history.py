"""What a feed truly had, slot by slot, and figures of it in plain Python."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import groupby
from typing import Any, NamedTuple

METRES = 111_195
HALF_A_DAY = 43_200
ALWAYS = 1 << 40


class Row(NamedTuple):
    """A station in a slot."""

    vehicles: int | None
    docks: int | None
    capacity: int | None
    flags: tuple[bool | None, bool | None, bool | None]
    reported: int | None

    @property
    def is_closed(self) -> bool:
        """Whether it is not installed, or neither rents nor takes back."""
        installed, renting, returning = self.flags
        return installed is False or (renting is False and returning is False)


class Place(NamedTuple):
    """A station in the list of stations."""

    name: str
    lat: float
    lon: float
    capacity: int | None
    region: str | None


class Vehicle(NamedTuple):
    """A vehicle in a slot."""

    lat: float | None
    lon: float | None
    is_reserved: bool = False
    is_disabled: bool = False


@dataclass
class Moment:
    """A slot of *seconds*; its *cause* is set if it is missing."""

    slot: int
    seconds: int
    cause: str = ""
    is_stale: bool = False
    rows: Mapping[str, Row] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    vehicles: Mapping[str, Vehicle] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The state of the slot."""
        return "missing" if self.cause else "stale" if self.is_stale else "collected"


@dataclass
class Truth:
    """All slots of the system "city", in order, and its time zone."""

    zone: tzinfo
    moments: list[Moment] = field(default_factory=list)
    _docks: dict[str, dict[str, list[tuple[int, int]]]] = field(default_factory=dict)

    def local(self, moment: Moment) -> datetime:
        """Return the local time of a slot."""
        return datetime.fromtimestamp(moment.slot, self.zone)

    def day(self, moment: Moment) -> str:
        """Return the local day of a slot."""
        return f"{self.local(moment):%Y-%m-%d}"

    def week_hour(self, moment: Moment) -> int:
        """Return the hour of the week of a slot."""
        local = self.local(moment)
        return local.weekday() * 24 + local.hour

    @property
    def collected(self) -> list[Moment]:
        """The slots that are not missing."""
        return [moment for moment in self.moments if not moment.cause]

    @property
    def stations(self) -> list[str]:
        """All ids of stations, sorted."""
        return sorted({name for moment in self.moments for name in moment.rows})

    def versions(self) -> dict[str, list[tuple[int, Place, bool]]]:
        """Return the versions of stations: since which slot, and whether listed.

        A station has left if it was absent for a day.
        """
        versions: dict[str, list[tuple[int, Place, bool]]] = defaultdict(list)
        absent: dict[str, int] = {}
        for moment in self.collected:
            if moment.is_stale:
                continue
            for name, place in moment.places.items():
                absent.pop(name, None)
                if not versions[name] or versions[name][-1][1:] != (place, True):
                    versions[name].append((moment.slot, place, True))
            for name, known in versions.items():
                if name not in moment.places and known[-1][2]:
                    since = absent.setdefault(name, moment.slot)
                    if moment.slot - since >= 2 * HALF_A_DAY:
                        known.append((since, known[-1][1], False))
        return versions

    def expected(self, name: str, moments: Iterable[Moment]) -> list[Moment]:
        """Return those of *moments* between a station's first and last row."""
        ends = [m.slot for m in self.collected if name in m.rows]
        first, last = self.collected[0].slot, self.collected[-1].slot
        begin = 0 if ends[0] == first else ends[0]
        end = ALWAYS if ends[-1] == last else ends[-1]
        return [m for m in moments if begin <= m.slot <= end]

    def docks(self, name: str, moment: Moment) -> int | None:
        """Return the docks of a row, None on a day on which they are unknown."""
        row = moment.rows.get(name)
        return None if row is None or self._is_dockless(name, moment) else row.docks

    def _docks_by_day(self, name: str) -> dict[str, list[tuple[int, int]]]:
        by_day: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for moment in self.collected:
            if name in moment.rows:
                docks = moment.rows[name].docks
                known = [] if docks is None else [(docks, moment.seconds)]
                by_day[self.day(moment)] += known
        return by_day

    def _is_dockless(self, name: str, moment: Moment) -> bool:
        if name not in self._docks:  # asked only when the history is complete
            self._docks[name] = self._docks_by_day(name)
        by_day = self._docks[name]
        days = sorted(by_day)
        at = days.index(self.day(moment))
        before = by_day[days[at - 1]] if at else []
        today = by_day[days[at]]
        is_known = sum(seconds for _, seconds in today) >= HALF_A_DAY
        return not any(d for d, _ in today) and (
            is_known or not any(docks for docks, _ in before)
        )

    def figures(self, name: str, moments: Sequence[Moment]) -> "Figures":
        """Return the figures of a station in *moments*."""
        rows = [(m, m.rows[name]) for m in moments if name in m.rows]
        docks = [(row, self.docks(name, m)) for m, row in rows]
        return Figures(
            [row for _, row in rows],
            [row for _, row in rows if row.vehicles is not None],
            [(row, count) for row, count in docks if count is not None],
            sum(m.is_stale for m, row in rows if row.vehicles is not None),
            sum(m.is_stale for m, _ in rows),
            len(self.expected(name, moments)),
        )


@dataclass
class Figures:
    """Rows, those with known vehicles, those with known docks; numbers of slots."""

    rows: list[Row] = field(default_factory=list)
    known: list[Row] = field(default_factory=list)
    docked: list[tuple[Row, int]] = field(default_factory=list)
    stale: int = 0
    stale_rows: int = 0
    expected: int = 0

    def __add__(self, other: "Figures") -> "Figures":
        """Return the figures of both."""
        return Figures(*(a + b for a, b in zip(self._all, other._all, strict=True)))

    @property
    def _all(self) -> tuple[Any, ...]:
        return (*(self.rows, self.known, self.docked), *self._numbers)

    @property
    def _numbers(self) -> tuple[int, int, int]:
        return self.stale, self.stale_rows, self.expected

    @property
    def vehicles(self) -> list[int]:
        """The known numbers of vehicles."""
        return [row.vehicles for row in self.known if row.vehicles is not None]

    @property
    def docks(self) -> list[int]:
        """The known numbers of docks."""
        return [docks for _, docks in self.docked]

    @property
    def closed(self) -> int:
        """The number of rows that say closed."""
        return sum(row.is_closed for row in self.rows)

    def seen(self) -> dict[str, Any]:
        """Return the columns that most reports have."""
        return {"slots_seen": len(self.known), "slots_expected": self.expected}

    def shares(self) -> dict[str, Any]:
        """Return the shares of slots with a vehicle, and with a dock."""
        bikes = [not r.is_closed and (r.vehicles or 0) > 0 for r in self.known]
        docks = [not row.is_closed and count > 0 for row, count in self.docked]
        return {
            "share_seen": share(len(self.known), self.expected),
            "share_with_vehicle": mean(bikes),
            "share_with_dock": mean(docks),
        }

    def lacked(self) -> dict[str, Any]:
        """Return the shares of slots in which an open station had none."""
        bikes = [not r.is_closed and r.vehicles == 0 for r in self.known]
        docks = [not row.is_closed and count == 0 for row, count in self.docked]
        return {"share_empty": mean(bikes), "share_full": mean(docks)}

    def range(self) -> dict[str, Any]:
        """Return the minimum, mean and maximum."""
        return {
            "min_vehicles": min(self.vehicles, default=None),
            "mean_vehicles": mean(self.vehicles),
            "max_vehicles": max(self.vehicles, default=None),
            "mean_docks": mean(self.docks),
        }


def share(part: float, whole: float) -> float | None:
    """Return *part* of *whole*, None of nothing."""
    return part / whole if whole else None


def mean(values: Sequence[float]) -> float | None:
    """Return the mean of *values*, None if there are none."""
    return share(sum(values), len(values))


def quantile(values: Sequence[int], place: float) -> float | None:
    """Return a quantile of *values*, between two of them if need be."""
    if not values:
        return None
    ordered = sorted(values)
    at = place * (len(values) - 1)
    low, high = ordered[math.floor(at)], ordered[math.ceil(at)]
    return low + (high - low) * (at - math.floor(at))


def metres(a: Place, b: Place) -> float:
    """Return the distance on a plane, with the degrees of longitude at *b*."""
    east = (b.lon - a.lon) * math.cos(math.radians(b.lat))
    return METRES * math.hypot(b.lat - a.lat, east)


def grouped(
    moments: Iterable[Moment], key: Callable[[Moment], Any]
) -> list[tuple[Any, list[Moment]]]:
    """Return *moments* by *key*, in its order."""
    return [(k, list(g)) for k, g in groupby(sorted(moments, key=key), key)]
