"""The map: a canvas that requires neither tile servers nor a graphics card."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import streamlit as st

from bikecollect.app import mode, widgets
from bikecollect.app.basemap import basemap_file
from bikecollect.app.charts.city_scripts import (
    SCRIPTS,
    film_data,
    joined,
    station_data,
    styles,
)
from bikecollect.app.queries.current import data_service
from bikecollect.app.queries.films.day_film import Film
from bikecollect.app.queries.stations import MapStation

COMPONENT = "citycomponent.js"
HTML = '<div class="city"></div>'


class Picked(NamedTuple):
    """The station picked on a map, or the point as "lat, lon"; empty if none.

    *at* is the slot shown by the slider, *open* the station whose page is to be opened.
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
    settings = data_service().settings
    app, name = settings.app, str(more.get("system", "")).partition("/")[0]
    more = {
        "tiles": app.tiles,
        "attribution": app.attribution,
        "basemap": basemap_file.packed_of(settings.data / name) if name else "",
        **more,
    }
    data = {"stations": station_data(places), **film_data(film, labels), **more}
    picked = _mounted(data, key)
    problem = basemap_file.problem_of(settings.data / name) if name else ""
    if problem and not mode.is_public():
        st.caption(widgets.plain(data_service().addressed(f"{name}: {problem}")))
    return picked


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
    return st.components.v2.component(
        "bikecollect_city", html=HTML, css=styles(), js=joined(*SCRIPTS, COMPONENT)
    )
