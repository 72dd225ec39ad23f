"""Scooters of the simulated city, which stand anywhere."""

import random
from collections.abc import Iterator
from typing import Any

from bikecollect.core.slots import HOUR
from bikecollect.simulator.city import City

RANGE = 40_000
"""Metres with a full charge."""
TYPE = {
    "vehicle_type_id": "3",
    "form_factor": "scooter",
    "propulsion_type": "electric",
    "max_range_meters": RANGE,
}
PER_STATION = 2
RIDE = 600.0
"""Seconds of a ride, in which a scooter is not in the feed."""
RESERVED, DISABLED = 0.02, 0.05
"""Shares of the scooters."""
SPREAD = 0.004
"""Degrees from a station within which a scooter stands."""


def scooters(city: City, moment: float) -> Iterator[dict[str, Any]]:
    """Yield the scooters of *city* that stand at *moment*, in the format of GBFS 2.3.

    Each stands for one to six hours, then is ridden for ten minutes. Its id persists.
    """
    for number in range(city.stations * PER_STATION):
        stay, since = divmod(moment + number * 977, HOUR * (1 + number % 6))
        if since < RIDE:
            continue
        rng = random.Random(f"{city.seed}/{number}/{stay}")  # noqa: S311 - a city
        place = rng.choice(city.places)
        charge = round(rng.uniform(0.1, 1), 2)
        yield {
            "bike_id": f"scooter-{number:05}",
            "lat": round(place.lat + rng.uniform(-SPREAD, SPREAD), 6),
            "lon": round(place.lon + rng.uniform(-SPREAD, SPREAD), 6),
            "vehicle_type_id": TYPE["vehicle_type_id"],
            "is_reserved": rng.random() < RESERVED,
            "is_disabled": rng.random() < DISABLED,
            "current_range_meters": round(charge * RANGE),
            "current_fuel_percent": charge,
            "last_reported": int(moment - since + RIDE),
        }
