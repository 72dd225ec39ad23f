"""A city that does not exist: stations that fill and empty with the commute."""

import hashlib
import math
import random
from dataclasses import dataclass, replace
from functools import cached_property

DAY = 86_400
HOUR = 3_600.0
OFFSET = 8 * 3_600
"""Seconds by which the city's clock is ahead of UTC."""
AREAS = (
    ("港灣區", "Harbour Dist."),
    ("竹林區", "Bamboo Dist."),
    ("北丘區", "North Hill Dist."),
    ("工坊區", "Workshops Dist."),
)
CENTRES = ((-0.03, -0.03), (-0.02, 0.05), (0.04, 0.01), (0.0, 0.0))
"""Of the areas: degrees north and east of the city's centre."""
STREETS = (
    ("燈塔路", "Lighthouse Rd."),
    ("織布街", "Weaver St."),
    ("鷺鷥大道", "Heron Blvd."),
    ("茶市巷", "Tea Market Ln."),
    ("鐘樓街", "Belfry St."),
)


@dataclass(frozen=True)
class Station:
    """A station that stays: *work* is 0 where people live and 1 where they work."""

    station_id: str
    name: str
    name_en: str
    area: int
    lat: float
    lon: float
    capacity: int
    work: float
    phase: float
    busy: float
    salt: int


@dataclass(frozen=True)
class StationState:
    """A station at a moment; *reported* is when its counts last changed."""

    place: Station
    bikes: int
    ebikes: int
    docks: int
    active: bool
    reported: int


@dataclass(frozen=True)
class StationEvent:
    """What happens to the station *number* from *begin* to before *end*.

    *kind* is moved (200 m north), renamed, resized (half as many docks again), closed,
    or absent (the list does not have it).
    """

    kind: str
    number: int
    begin: float
    end: float = math.inf


@dataclass(frozen=True)
class City:
    """A city of *stations*, the same for the same *seed*, in which *events* happen.

    Any moment can be asked for, in any order: nothing is simulated up to it.
    """

    stations: int = 300
    seed: int = 1
    events: tuple[StationEvent, ...] = ()

    @cached_property
    def places(self) -> tuple[Station, ...]:
        """Return all stations, in the feed's order."""
        dice = random.Random(self.seed)  # noqa: S311 - a city, not a secret
        return tuple(_place(number, dice) for number in range(self.stations))

    def at(self, moment: float) -> list[StationState]:
        """Return the state of each station at *moment*, in epoch seconds."""
        now = [each for each in self.events if each.begin <= moment < each.end]
        absent = {each.number for each in now if each.kind == "absent"}
        closed = {each.number for each in now if each.kind == "closed"}
        places = dict(enumerate(self.places))
        for each in now:
            places[each.number] = _changed(places[each.number], each.kind)
        return [
            replace(state, active=state.active and number not in closed)
            if closed
            else state
            for number, place in places.items()
            if number not in absent
            for state in [_state(place, moment)]
        ]


def _changed(place: Station, kind: str) -> Station:
    if kind == "moved":
        return replace(place, lat=round(place.lat + 0.0018, 6))
    if kind == "renamed":
        return replace(
            place, name=f"{place.name}(新)", name_en=f"{place.name_en} (new)"
        )
    if kind == "resized":
        return replace(place, capacity=place.capacity + place.capacity // 2)
    return place


def _place(number: int, dice: random.Random) -> Station:
    area = dice.randrange(len(AREAS))
    street, street_en = dice.choice(STREETS)
    house = dice.randrange(1, 300)
    return Station(
        station_id=f"9900{number + 1:05d}",
        name=f"模擬_{street}{house}號",
        name_en=f"Simport_No. {house}, {street_en}",
        area=area,
        lat=round(-48.876 + CENTRES[area][0] + dice.gauss(0, 0.015), 6),
        lon=round(-123.393 + CENTRES[area][1] + dice.gauss(0, 0.022), 6),
        capacity=dice.choice((10, 14, 16, 20, 24, 28, 34, 40, 60)),
        work=min(1.0, max(0.0, dice.gauss((0.2, 0.4, 0.6, 0.9)[area], 0.2))),
        phase=dice.uniform(-0.5, 0.5) * HOUR,
        busy=dice.uniform(0.2, 1.0),
        salt=dice.getrandbits(32),
    )


def _state(place: Station, moment: float) -> StationState:
    """Return *place* at *moment*: its counts change in steps of its own length."""
    length = int(240 + 1500 * (1 - place.busy))
    step = int((moment + place.salt % length) // length)
    changed = step * length - place.salt % length
    noise = _noise(place.salt, step)
    local = (changed + OFFSET + place.phase) % DAY
    weekend = ((changed + OFFSET) // DAY + 3) % 7 >= 5  # noqa: PLR2004 - Sat, Sun
    share = _share(place, local, weekend=weekend) + (noise - 0.5) * 0.25
    broken = 1 if place.salt % 7 == 0 else 0
    usable = place.capacity - broken
    bikes = min(usable, max(0, round(share * usable)))
    closed = place.salt % 97 == 0
    return StationState(
        place=place,
        bikes=bikes,
        ebikes=bikes // 5,
        docks=usable - bikes,
        active=not closed,
        reported=int(changed),
    )


def _share(place: Station, local: float, *, weekend: bool) -> float:
    """Return how full a station is at *local* seconds of the day: 0 to 1."""
    morning = 1 / (1 + math.exp(-(local - 8.3 * HOUR) / (0.5 * HOUR)))
    evening = 1 / (1 + math.exp(-(local - 18.4 * HOUR) / (0.8 * HOUR)))
    at_work = (morning - evening) * (0.3 if weekend else 1.0)
    return 0.5 + (place.work - 0.5) * (2 * at_work - 0.6) * 0.9 * place.busy


def _noise(salt: int, step: int) -> float:
    digest = hashlib.blake2b(f"{salt}:{step}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32
