"""The map: a canvas that requires neither tile servers nor a graphics card."""

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
    """The station picked on a map, or the point as "lat, lon"; empty if none."""

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
    """Draw *places* and return the station or point that was picked."""
    data = {
        "stations": [
            [*s[1:6], s.capacity, s.vehicles, s.docks, s.is_closed] for s in places
        ],
        "selected": selected,
        "point": point,
    }
    return _mounted(data, key)


def play(film: Film, labels: Sequence[str], *, key: str, at: str = "") -> Picked:
    """Draw *film* with a slider, at first at the label *at*; return the pick."""
    data = {
        "stations": [[*station, None, None, False] for station in film.stations],
        "labels": list(labels),
        "states": film.states,
        "vehicles": film.vehicles,
        "docks": film.docks,
        "at": at,
    }
    return _mounted(data, key)


def _mounted(data: dict[str, Any], key: str) -> Picked:
    values = _component()(
        key=key,
        data=data,
        on_station_change=_nothing,
        on_point_change=_nothing,
        on_at_change=_nothing,
    )
    return Picked(*(values.get(field) or "" for field in Picked._fields))


def _nothing() -> None:
    """Do nothing: a component returns values only if it has callbacks."""


@cache
def _component() -> Any:
    folder = files(__package__)
    return st.components.v2.component(
        "bikecollect_city",
        html=HTML,
        css=folder.joinpath("citymap.css").read_text("utf-8"),
        js="\n".join(folder.joinpath(name).read_text("utf-8") for name in SCRIPTS),
    )
