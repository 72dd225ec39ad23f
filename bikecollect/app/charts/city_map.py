"""The map: a canvas that requires neither tile servers nor a graphics card."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import streamlit as st

from bikecollect.app.queries.day_film import Film
from bikecollect.app.queries.stations import MapStation

SCRIPTS = (
    "d3-delaunay.min.js",
    "cityscheme.js",
    "cityland.js",
    "citymap.js",
    "citycontrols.js",
    "cityfilm.js",
)
COMPONENT = "citycomponent.js"
HTML = '<div class="city"></div>'


class Picked(NamedTuple):
    """The station picked on a map, or the point as "lat, lon"; empty if none.

    *at* is the slot that the slider shows, *open* the station whose page is to be
    opened.
    """

    station: str | None = None
    point: str = ""
    at: str | None = None
    open: str = ""


def draw(
    places: Sequence[MapStation],
    *,
    key: str,
    film: Film | None = None,
    labels: Sequence[str] = (),
    **more: Any,
) -> Picked:
    """Draw *places*, with a slider over the slots of *film*; return what was picked.

    *labels* are the names of the slots. *more*: ``shown``, the ids to be drawn;
    ``selected``, an id; ``point``, a latitude and longitude; ``at``, a label;
    ``points``, whether points beside the stations can be picked; ``live``, whether
    *places* are those of the newest slot.
    """
    stations = [[*s[1:6], s.capacity, s.vehicles, s.docks, s.is_closed] for s in places]
    return _mounted({"stations": stations, **film_data(film, labels), **more}, key)


def film_data(film: Film | None, labels: Sequence[str]) -> dict[str, Any]:
    """Return *film* as the map takes it, nothing for None."""
    if film is None:
        return {}
    return {
        "film_ids": [station[0] for station in film.stations],
        "labels": list(labels),
        "states": film.states,
        "seconds": film.seconds,
        "vehicles": film.vehicles,
        "docks": film.docks,
    }


def scripts() -> str:
    """Return the map's scripts, without what fits them into a page."""
    folder = files(__package__)
    return "\n".join(folder.joinpath(name).read_text("utf-8") for name in SCRIPTS)


def styles() -> str:
    """Return the map's style sheet."""
    return files(__package__).joinpath("citymap.css").read_text("utf-8")


def _mounted(data: Mapping[str, Any], key: str) -> Picked:
    values = _component()(
        key=key,
        data=data,
        on_station_change=_nothing,
        on_point_change=_nothing,
        on_at_change=_nothing,
        on_open_change=_nothing,
    )
    return Picked(
        values.get("station"),
        values.get("point") or "",
        values.get("at"),
        values.get("open") or "",
    )


def _nothing() -> None:
    """Do nothing: a component returns values only if it has callbacks."""


@cache
def _component() -> Any:
    component = files(__package__).joinpath(COMPONENT).read_text("utf-8")
    return st.components.v2.component(
        "bikecollect_city", html=HTML, css=styles(), js=f"{scripts()}\n{component}"
    )
