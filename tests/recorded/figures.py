"""The figures of reports, computed in plain Python from the served data."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from itertools import groupby, pairwise
from statistics import fmean, quantiles
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from bikecollect.reports.registry import wilson

Row = dict[str, Any]


class Seen(NamedTuple):
    """A station in a slot."""

    vehicles: int | None
    docks: int | None
    capacity: int | None
    is_closed: bool
    reported: int | None


def share(part: float, of: float) -> float | None:
    """Return *part* divided by *of*, or None."""
    return part / of if of else None


def mean(values: Sequence[float]) -> float | None:
    """Return the mean of *values*, or None."""
    return fmean(values) if values else None


def quartiles(values: Sequence[int]) -> list[float | None]:
    """Return the three quartiles of *values*, interpolated."""
    if len(values) < 2:
        return [float(values[0]) if values else None] * 3
    return list(quantiles(values, n=4, method="inclusive"))


def with_unknown_docks(
    seen: Mapping[int, Mapping[str, Seen]], zone: ZoneInfo, interval: int
) -> dict[int, dict[str, Seen]]:
    """Return *seen* without the docks of a station on days on which all were 0.

    A day with less than twelve hours of counts is judged with the day before.
    """
    counts: dict[str, dict[date, list[int]]] = defaultdict(lambda: defaultdict(list))
    days = {slot: datetime.fromtimestamp(slot, zone).date() for slot in seen}
    for slot in sorted(seen):
        for name, row in seen[slot].items():
            counts[name][days[slot]] += [] if row.docks is None else [row.docks]
    unknown = set()
    for name, by_day in counts.items():
        before = 0
        for day, docks in by_day.items():
            is_long = len(docks) * interval >= 43_200
            if docks and not sum(docks) and (is_long or not before):
                unknown.add((name, day))
            before = sum(docks)
    return {
        slot: {
            name: row._replace(docks=None) if (name, days[slot]) in unknown else row
            for name, row in stations.items()
        }
        for slot, stations in seen.items()
    }


@dataclass(frozen=True)
class Figures:
    """The figures of the range *slots*, in a city whose slots last *interval* seconds.

    *seen* has the stations of each slot that was collected, of the whole history;
    *stale* are slots.
    """

    seen: Mapping[int, Mapping[str, Seen]]
    stale: frozenset[int]
    slots: Sequence[int]
    zone: ZoneInfo
    interval: int

    @cached_property
    def local(self) -> dict[int, datetime]:
        """The local time of each slot."""
        return {slot: datetime.fromtimestamp(slot, self.zone) for slot in self.slots}

    @cached_property
    def stations(self) -> list[str]:
        """All stations, in order."""
        return sorted({name for stations in self.seen.values() for name in stations})

    @cached_property
    def lives(self) -> dict[str, tuple[float, float]]:
        """The first and the last slot of each station."""
        first, last = min(self.seen), max(self.seen)
        lives = {}
        for name in self.stations:
            slots = [slot for slot, stations in self.seen.items() if name in stations]
            begin = min(slots) if min(slots) > first else float("-inf")
            lives[name] = begin, max(slots) if max(slots) < last else float("inf")
        return lives

    def expected(self, name: str, slots: Iterable[int]) -> list[int]:
        """Return those of *slots* that are within the station's life."""
        begin, end = self.lives[name]
        return [slot for slot in slots if begin <= slot <= end]

    def of(self, name: str, slots: Iterable[int]) -> list[tuple[int, Seen]]:
        """Return the station's rows in *slots*."""
        return [
            (slot, self.seen[slot][name])
            for slot in slots
            if name in self.seen.get(slot, {})
        ]

    def known(self, name: str, slots: Iterable[int]) -> list[tuple[int, Seen]]:
        """Return the station's rows in *slots* that have a number of vehicles."""
        return [(s, row) for s, row in self.of(name, slots) if row.vehicles is not None]

    def reliability(self) -> Iterator[Row]:
        """Yield the rows of the report."""
        days = defaultdict(list)
        for slot in self.slots:
            days[self.local[slot].date()].append(slot)
        telling = {
            slot
            for slots in days.values()
            if any(r.reported for s in slots for r in self.seen.get(s, {}).values())
            for slot in slots
        }
        for name in self.stations:
            rows, known = self.of(name, self.slots), self.known(name, self.slots)
            counted = [(slot, row) for slot, row in rows if slot in telling]
            silent = [
                1 for s, r in counted if r.reported is None or r.reported < s - 3600
            ]
            docks = [row for _, row in rows if row.docks is not None]
            changes = [
                1
                for (a, x), (b, y) in pairwise(rows)
                if b - a == self.interval
                if None not in {x.vehicles, y.vehicles} and x.vehicles != y.vehicles
            ]
            yield {
                "station_id": name,
                "slots_seen": len(known),
                "slots_expected": len(self.expected(name, self.slots)),
                "share_with_vehicle": share(len(_rentable(known)), len(known)),
                "share_with_dock": share(len(_returnable(rows)), len(docks)),
                "share_empty": share(_count_open(known, "vehicles"), len(known)),
                "share_full": share(_count_open(rows, "docks"), len(docks)),
                "share_silent": share(len(silent), len(counted)),
                "share_inactive": share(sum(r.is_closed for _, r in rows), len(rows)),
                "changes": len(changes) if rows else None,
                "slots_stale": sum(slot in self.stale for slot, _ in rows),
            }

    def availability(self) -> Iterator[Row]:
        """Yield the rows of the report, by system."""
        hours = defaultdict(list)
        for slot, local in self.local.items():
            hours[local.weekday() * 24 + local.hour].append(slot)
        for hour, slots in hours.items():
            rows = [pair for name in self.stations for pair in self.of(name, slots)]
            known = [(s, row) for s, row in rows if row.vehicles is not None]
            docks = [row.docks for _, row in rows if row.docks is not None]
            yield {
                "hour_of_week": hour,
                "stations": len(self.stations),
                "slots_seen": len(known),
                "slots_expected": sum(
                    len(self.expected(name, slots)) for name in self.stations
                ),
                "mean_vehicles": mean([row.vehicles or 0 for _, row in known]),
                "mean_docks": mean(docks),
                "share_with_vehicle": share(len(_rentable(known)), len(known)),
                "share_with_dock": share(len(_returnable(rows)), len(docks)),
                "share_empty": share(_count_open(known, "vehicles"), len(known)),
                "share_full": share(_count_open(rows, "docks"), len(docks)),
                "share_closed": share(sum(r.is_closed for _, r in known), len(known)),
                "slots_stale": sum(slot in self.stale for slot, _ in known),
            }

    def days(self) -> Iterator[Row]:
        """Yield the rows of the report."""
        for day, group in groupby(self.slots, key=lambda s: self.local[s].date()):
            slots = list(group)
            for name in self.stations:
                rows, known = self.of(name, slots), self.known(name, slots)
                counts = [row.vehicles or 0 for _, row in known]
                sizes = [r.capacity for _, r in rows if r.capacity is not None]
                yield {
                    "station_id": name,
                    "date": day.isoformat(),
                    "slots_seen": len(known),
                    "slots_expected": len(self.expected(name, slots)),
                    "min_vehicles": min(counts, default=None),
                    "mean_vehicles": mean(counts),
                    "max_vehicles": max(counts, default=None),
                    "capacity_min": min(sizes, default=None),
                    "day_slots": len(rows),
                    "day_closed": sum(row.is_closed for _, row in rows),
                    "slots_stale": sum(slot in self.stale for slot, _ in rows),
                }

    def hours(self) -> Iterator[Row]:
        """Yield the rows of the report."""
        hours = defaultdict(list)
        for slot, local in self.local.items():
            hours[local.date().isoformat(), local.hour].append(slot)
        for (day, hour), slots in hours.items():
            for name in self.stations:
                known = self.known(name, slots)
                counts = [row.vehicles or 0 for _, row in known]
                yield {
                    "station_id": name,
                    "date": day,
                    "hour": hour,
                    "slots_seen": len(known),
                    "slots_expected": len(self.expected(name, slots)),
                    "min_vehicles": min(counts, default=None),
                    "mean_vehicles": mean(counts),
                    "max_vehicles": max(counts, default=None),
                    "slots_stale": sum(slot in self.stale for slot, _ in known),
                }

    def episodes(self) -> Iterator[Row]:
        """Yield the rows of the report."""
        place = {slot: number for number, slot in enumerate(self.slots)}
        for name in self.stations:
            rows = dict(self.of(name, self.slots))
            for what in ("empty", "full"):
                scarce = [
                    place[slot]
                    for slot, row in rows.items()
                    if not row.is_closed
                    if (row.vehicles if what == "empty" else row.docks) == 0
                ]
                for group in _consecutive(scarce):
                    slots = [self.slots[number] for number in group]
                    before, after = slots[0] - self.interval, slots[-1] + self.interval
                    yield {
                        "station_id": name,
                        "what": what,
                        "first_slot": slots[0],
                        "last_slot": slots[-1],
                        "slots": len(slots),
                        "length_s": len(slots) * self.interval,
                        "begin_seen": int(before in rows),
                        "end_seen": int(after in rows),
                        "slots_stale": len(self.stale.intersection(slots)),
                    }

    def scarcity(self) -> Iterator[Row]:
        """Yield the rows of the report, by system."""
        for slot in self.slots:
            rows = list(self.seen.get(slot, {}).values())
            is_open = [row for row in rows if not row.is_closed]
            docks = [row.docks for row in rows if row.docks is not None]
            yield {
                "slot": slot,
                "stations": len(rows) or None,
                "empty_stations": sum(r.vehicles == 0 for r in is_open)
                if rows
                else None,
                "full_stations": sum(r.docks == 0 for r in is_open) if rows else None,
                "closed_stations": len(rows) - len(is_open) if rows else None,
                "vehicles": sum(r.vehicles or 0 for r in rows) if rows else None,
                "docks": sum(docks) if docks else None,
            }

    def chance(self, weekday: int, minute: int) -> Iterator[Row]:
        """Yield the rows of the report for the slots that begin at *minute*."""
        slots = [
            slot
            for slot, at in self.local.items()
            if at.weekday() == weekday and at.hour * 60 + at.minute == minute
        ]
        for name in self.stations:
            known = self.known(name, slots)
            good = len(_rentable(known))
            yield {
                "station_id": name,
                "days_expected": len(self.expected(name, slots)),
                "days_seen": len(known),
                "with_vehicle": good,
                "with_dock": len(_returnable(known)),
                "share_with_vehicle": share(good, len(known)),
                "days_closed": sum(row.is_closed for _, row in known),
                "days_stale": sum(slot in self.stale for slot, _ in known),
                "low": (wilson(good, len(known)) or [None])[0],
            }

    def typical(self) -> Iterator[Row]:
        """Yield the rows of the report."""
        quarters = defaultdict(list)
        for slot, at in self.local.items():
            minute = at.hour * 60 + at.minute
            quarters[at.weekday(), minute - minute % 15].append(slot)
        for (weekday, minute), slots in quarters.items():
            for name in self.stations:
                rows, known = self.of(name, slots), self.known(name, slots)
                low, mid, high = quartiles([row.vehicles or 0 for _, row in known])
                docks = quartiles([r.docks for _, r in rows if r.docks is not None])
                yield {
                    "station_id": name,
                    "weekday": weekday,
                    "minute": minute,
                    "days_seen": len({self.local[slot].date() for slot, _ in known}),
                    "days_expected": len(
                        {self.local[s].date() for s in self.expected(name, slots)}
                    ),
                    "mean_vehicles": mean([row.vehicles or 0 for _, row in known]),
                    "low_vehicles": low,
                    "mid_vehicles": mid,
                    "high_vehicles": high,
                    "mid_docks": docks[1],
                }


def _rentable(rows: Iterable[tuple[int, Seen]]) -> list[Seen]:
    return [row for _, row in rows if not row.is_closed and (row.vehicles or 0) > 0]


def _returnable(rows: Iterable[tuple[int, Seen]]) -> list[Seen]:
    return [row for _, row in rows if not row.is_closed and (row.docks or 0) > 0]


def _count_open(rows: Iterable[tuple[int, Seen]], lacking: str) -> int:
    """Return how many of the *rows* are of an open station that has none."""
    return sum(not r.is_closed and getattr(r, lacking) == 0 for _, r in rows)


def _consecutive(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Yield the runs of consecutive *numbers*."""
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        yield [number for _, number in group]
