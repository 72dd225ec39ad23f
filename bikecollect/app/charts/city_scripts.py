"""The map's scripts and data: the same for the app and for shared pages."""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

from bikecollect.app.queries.films.day_film import Film
from bikecollect.app.queries.films.usual import DAYS, MIN_DAYS
from bikecollect.app.queries.stations import MapStation

PERCENT = "percent.js"
"""The script that writes percentages, also for other charts."""
SCRIPTS = (
    "d3-delaunay.min.js",
    PERCENT,
    "cityscheme.js",
    "cityland.js",
    "citytiles.js",
    "citybase.js",
    "citymap.js",
    "citycontrols.js",
    "cityfilm.js",
)


def station_data(places: Iterable[MapStation]) -> list[list[Any]]:
    """Return *places* in the form that the map takes."""
    return [[*s[1:6], s.capacity, s.vehicles, s.docks, s.is_closed] for s in places]


def film_data(film: Film | None, labels: Sequence[str]) -> dict[str, Any]:
    """Return *film* in the form that the map takes, empty for None."""
    if film is None:
        return {}
    return {
        "film_ids": [station[0] for station in film.stations],
        "labels": list(labels),
        "states": film.states,
        "seconds": film.seconds,
        "vehicles": film.vehicles,
        "docks": film.docks,
        "closed": film.closed,
        "usual": film.usual.vehicles,
        "usual_days": film.usual.days,
        "usual_hours": film.usual.hours,
        "slot_hours": film.usual.slot_hours,
        "usual_rule": {"least": MIN_DAYS, "of": DAYS},
    }


def scripts() -> str:
    """Return the map's scripts, without the part that mounts them on a page."""
    return joined(*SCRIPTS)


def joined(*names: str) -> str:
    """Return the scripts of these *names* as one."""
    folder = files(__package__)
    return "\n".join(folder.joinpath(name).read_text("utf-8") for name in names)


def styles() -> str:
    """Return the map's style sheet."""
    return files(__package__).joinpath("citymap.css").read_text("utf-8")
