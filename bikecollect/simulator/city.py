"""A simulated city whose stations fill and empty with the commute."""

import hashlib
import math
import random
from dataclasses import dataclass, replace
from functools import cached_property

from bikecollect.core.slots import DAY, HOUR
from bikecollect.simulator.terrain import CENTRE, dry

MAX_STATIONS = 20_000
"""More than any city has; the feeds of so many are 10 MB."""
SATURDAY = 5
OFFSET = 8 * 3_600
"""The city's offset from UTC in seconds."""
AREAS = (
    ("港灣區", "Harbour Dist."),
    ("竹林區", "Bamboo Dist."),
    ("北丘區", "North Hill Dist."),
    ("工坊區", "Workshops Dist."),
)
CENTRES = ((-0.03, -0.03), (-0.02, 0.05), (0.04, 0.01), (0.0, 0.0))
"""The centres of the areas, in degrees north and east of the city's centre."""
STREETS = (
    ("燈塔路", "Lighthouse Rd."),
    ("織布街", "Weaver St."),
    ("鷺鷥大道", "Heron Blvd."),
    ("茶市巷", "Tea Market Ln."),
    ("鐘樓街", "Belfry St."),
)


@dataclass(frozen=True)
class Station:
    """Fixed properties of a station; *work* is 0 in residential areas, 1 at offices."""

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
    """A change of the station *number* from *begin* until *end*.

    *kind* is moved (200 m north), renamed, resized (1.5 times the docks), closed, or
    absent (not in the list).
    """

    kind: str
    number: int
    begin: float
    end: float = math.inf


@dataclass(frozen=True)
class City:
    """A city of *stations*, determined by *seed*, with *events*.

    The state at any moment is computed directly, in any order.
    """

    stations: int = 300
    seed: int = 1
    events: tuple[StationEvent, ...] = ()

    @cached_property
    def places(self) -> tuple[Station, ...]:
        """Return all stations, in the feed's order."""
        rng = random.Random(self.seed)  # noqa: S311 - a city, not a secret
        return tuple(_place(number, rng) for number in range(self.stations))

    def at(self, moment: float) -> list[StationState]:
        """Return the state of each station at *moment*, in epoch seconds."""
        events = [event for event in self.events if event.begin <= moment < event.end]
        absent = {event.number for event in events if event.kind == "absent"}
        closed = {event.number for event in events if event.kind == "closed"}
        places = dict(enumerate(self.places))
        for event in events:
            places[event.number] = _changed(places[event.number], event.kind)
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


def _place(number: int, rng: random.Random) -> Station:
    area = rng.randrange(len(AREAS))
    street, street_en = rng.choice(STREETS)
    house = rng.randrange(1, 300)
    centre = CENTRE[0] + CENTRES[area][0], CENTRE[1] + CENTRES[area][1]
    lat = round(centre[0] + rng.gauss(0, 0.015), 6)
    lon = round(centre[1] + rng.gauss(0, 0.022), 6)
    lat, lon = dry(lat, lon, centre)
    return Station(
        station_id=f"9900{number + 1:05d}",
        name=f"模擬_{street}{house}號",
        name_en=f"Simport_No. {house}, {street_en}",
        area=area,
        lat=lat,
        lon=lon,
        capacity=rng.choice((10, 14, 16, 20, 24, 28, 34, 40, 60)),
        work=min(1.0, max(0.0, rng.gauss((0.2, 0.4, 0.6, 0.9)[area], 0.2))),
        phase=rng.uniform(-0.5, 0.5) * HOUR,
        busy=rng.uniform(0.2, 1.0),
        salt=rng.getrandbits(32),
    )


def _state(place: Station, moment: float) -> StationState:
    """Return the state of *place* at *moment*; its counts change at steps in time."""
    length = int(240 + 1500 * (1 - place.busy))
    step = int((moment + place.salt % length) // length)
    changed = step * length - place.salt % length
    noise = _noise(place.salt, step)
    local = (changed + OFFSET + place.phase) % DAY
    weekend = ((changed + OFFSET) // DAY + 3) % 7 >= SATURDAY
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
    """Return how full a station is at *local* seconds of the day, from 0 to 1."""
    morning = 1 / (1 + math.exp(-(local - 8.3 * HOUR) / (0.5 * HOUR)))
    evening = 1 / (1 + math.exp(-(local - 18.4 * HOUR) / (0.8 * HOUR)))
    at_work = (morning - evening) * (0.3 if weekend else 1.0)
    return 0.5 + (place.work - 0.5) * (2 * at_work - 0.6) * 0.9 * place.busy


def _noise(salt: int, step: int) -> float:
    digest = hashlib.blake2b(f"{salt}:{step}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32
