"""The data of a shared map: a day as a film, packed for a browser."""

import json
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from bikecollect.app.charts.city_scripts import film_data, station_data
from bikecollect.app.queries.films.day_film import Film
from bikecollect.app.queries.service import DataService
from bikecollect.app.queries.station_names import display_names
from bikecollect.app.queries.stations import MapStation, film_dot, places
from bikecollect.archive.query.duckdb_engine import UNREADABLE
from bikecollect.core.errors import StorageError, UsageError
from bikecollect.core.timeline.zones import DAY

PACKED = ("vehicles", "docks", "closed", "usual", "usual_days")
"""The parts of a film that are already packed."""


@dataclass(frozen=True)
class CityFilm:
    """A *film* of *places*, for the map; *live* if it ends with the newest slot.

    *labels* are the local times of its slots, *begin* and *newest* its first slot and
    the newest one with data (epoch seconds).
    """

    system: str
    film: Film
    places: Sequence[MapStation]
    labels: Sequence[str]
    newest: int
    live: bool

    def packed(self) -> Mapping[str, Any]:
        """Return the data of the map, compressed, without text that needs escaping."""
        data = film_data(self.film, self.labels)
        head = {key: value for key, value in data.items() if key not in PACKED} | {
            "system": self.system,
            "stations": station_data(self.places),
            "live": self.live,
            "is_static": True,
        }
        text = json.dumps(head, ensure_ascii=False, separators=(",", ":"))
        compressed = zlib.compress(text.encode(), 9)
        return {
            "head": b64encode(compressed).decode("ascii"),
            **{key: data[key] for key in PACKED},
            "newest": self.newest,
        }


def film_of_day(service: DataService, name: str, day: date) -> CityFilm:
    """Return the film of *day*; raises UsageError if nothing was collected on it.

    Raises StorageError if it cannot be read.
    """
    film = service.film(name, day)
    if not film.stations:
        for lost, loss in service.losses(name):
            if lost == day.isoformat():
                raise StorageError(f"{name}: {lost} {UNREADABLE} {loss.why}")
        raise UsageError(
            f"no station was seen on {day}; see: bikecollect backfill-report"
        )
    shown = display_names(service.texts(name), english=False)
    stations = [
        film_dot(name, row, shown.get(row[0], row[1:3])) for row in film.stations
    ]
    return _city_film(service, name, film, stations, live=False)


def film_of_last_hours(service: DataService, name: str) -> CityFilm:
    """Return the film of the 24 hours up to the newest slot."""
    newest = service.newest_day(name)
    if newest is None:
        raise UsageError(f"{name}: nothing has been collected yet")
    film = service.last_hours(name)
    shown = display_names(service.texts(name), english=False)
    rows = service.ask(name, "snapshot", newest - DAY, newest + DAY).rows
    stations = [
        place._replace(name=title, region=region)
        for place in places(rows)
        for title, region in [shown.get(place.station_id, (place.name, place.region))]
    ]
    if not stations:
        raise UsageError(f"{name} has no stations to be shown on a map")
    return _city_film(service, name, film, stations, live=True)


def _city_film(
    service: DataService,
    name: str,
    film: Film,
    stations: Sequence[MapStation],
    *,
    live: bool,
) -> CityFilm:
    zone = service.settings.system_folder(name).zone
    collected = [
        slot
        for slot, state in zip(film.slots, film.states, strict=True)
        if state in {"collected", "stale", "partial"}
    ]
    labels = film.labels(zone)
    return CityFilm(name, film, stations, labels, max(collected, default=0), live)
