"""The map: a canvas that needs neither tile servers nor a graphics card."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import streamlit as st

from bikecollect.app.queries.day_film import Film
from bikecollect.app.queries.stations import MapStation

SCRIPTS = ("citydots.js", "citymap.js")
HTML = '<div class="city"></div>'


class Picked(NamedTuple):
    """What was picked on a map: a station, or a point as "lat, lon"; else empty."""

    station: str = ""
    point: str = ""
    at: str = ""


def draw(
    places: Sequence[MapStation],
    *,
    key: str,
    selected: str = "",
    point: tuple[float, float] | None = None,
) -> Picked:
    """Draw *places* and return what was picked."""
    data = {
        "stations": [
            [*p[1:6], p.capacity, p.vehicles, p.docks, p.is_closed] for p in places
        ],
        "selected": selected,
        "point": point,
    }
    return _mounted(data, key)


def play(film: Film, labels: Sequence[str], *, key: str, at: str = "") -> Picked:
    """Draw *film* with a slider, at first at the label *at*; return what was picked."""
    data = {
        "stations": [[*each, None, None, False] for each in film.stations],
        "labels": list(labels),
        "states": film.states,
        "vehicles": film.vehicles,
        "docks": film.docks,
        "at": at,
    }
    return _mounted(data, key)


def _mounted(data: dict[str, Any], key: str) -> Picked:
    found = _component()(
        key=key,
        data=data,
        on_station_change=_nothing,
        on_point_change=_nothing,
        on_at_change=_nothing,
    )
    values = (found.get(each) or "" for each in Picked._fields)
    return Picked(*values)


def _nothing() -> None:
    """Do nothing: that a component has a callback lets it say something."""


@cache
def _component() -> Any:
    here = files(__package__)
    return st.components.v2.component(
        "bikecollect_city",
        html=HTML,
        css=here.joinpath("citymap.css").read_text("utf-8"),
        js="\n".join(here.joinpath(each).read_text("utf-8") for each in SCRIPTS),
    )
