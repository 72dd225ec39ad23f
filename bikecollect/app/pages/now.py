"""The page of the newest slot: a map, a table, and the stations near a point."""

import pandas as pd
import streamlit as st

from bikecollect.app import frames, widgets
from bikecollect.app.charts import city_map
from bikecollect.app.queries.stations import (
    MapStation,
    chosen,
    nearest,
    point,
    table_of,
    vehicle_dots,
)
from bikecollect.reports.runner import Answer

MOST_DOTS = 10_000
"""Vehicles on the map and in the table at most: a browser draws no more with ease."""
COLUMNS = {
    "station_id": st.column_config.TextColumn("id"),
    "name": st.column_config.TextColumn("station", width="medium"),
    "region": st.column_config.TextColumn("area"),
    "vehicles": st.column_config.NumberColumn("bikes"),
    "docks": st.column_config.NumberColumn("free docks"),
    "capacity": st.column_config.NumberColumn("capacity"),
    "closed": st.column_config.CheckboxColumn("closed"),
    "last_reported": widgets.time_column("last reported"),
    "metres": st.column_config.NumberColumn("metres", format="%d"),
}


def page() -> None:
    """Draw the page."""
    st.title("Now")
    name = widgets.system()
    widgets.freshness(name)
    newest = widgets.days(name)[1]
    stations, vehicles = frames.snapshot(name, newest), frames.vehicles(name, newest)
    if stations or not vehicles.rows:
        _stations(name, stations)
    if vehicles.rows:
        _vehicles(name, vehicles)


def _stations(name: str, stations: list[MapStation]) -> None:
    """Draw the stations."""
    shown = _filters(stations)
    near = st.query_params.get("near", "")
    picked = city_map.draw(
        shown,
        key="now-map",
        selected=st.query_params.get("picked", ""),
        point=point(near),
    )
    _follow(picked)
    seen = sum(station.vehicles is not None for station in shown)
    closed = sum(station.is_closed for station in shown)
    when = widgets.clock(stations[0].slot, frames.zone(name)) if stations else "-"
    table = _table(name, shown)
    widgets.foot(
        table,
        f"{name}-now",
        f"{len(shown):,} of {len(stations):,} stations shown; {seen:,} seen "
        f"in the slot {when}; {closed:,} closed.",
    )
    _picked(stations)
    _near(name, shown, near)
    st.subheader("Stations shown")
    st.dataframe(table, column_config=COLUMNS, hide_index=True, height=360)


def _vehicles(name: str, vehicles: Answer) -> None:
    """Draw the vehicles, a dot each."""
    st.subheader("Vehicles")
    dots = vehicle_dots(vehicles)
    city_map.draw(dots[:MOST_DOTS], key="vehicles-map")
    table = frames.frame(vehicles, frames.zone(name))
    widgets.foot(
        table,
        f"{name}-vehicles",
        f"{len(vehicles.rows):,} vehicles in the slot "
        f"{widgets.clock(dots[0].slot, frames.zone(name)) if dots else '-'}; "
        f"{min(len(dots), MOST_DOTS):,} of those with a location shown.",
    )
    st.dataframe(table.head(MOST_DOTS), hide_index=True, height=360)


def _filters(stations: list[MapStation]) -> list[MapStation]:
    """Show the filters, and return the stations that pass them."""
    regions = sorted({station.region for station in stations if station.region})
    left, right = st.columns(2)
    text = left.text_input(
        "Search by name or id",
        key="search",
        bind="query-params",
        icon=":material/search:",
    )
    areas = right.multiselect(
        "Areas", regions, key="areas", bind="query-params", placeholder="All"
    )
    left, right = st.columns(2)
    vehicles = left.number_input(
        "Bikes, at least", 0, 100, 0, key="bikes", bind="query-params"
    )
    docks = right.number_input(
        "Free docks, at least", 0, 100, 0, key="docks", bind="query-params"
    )
    return chosen(stations, text=text, regions=areas, vehicles=vehicles, docks=docks)


def _follow(picked: city_map.Picked) -> None:
    """Put the station or point picked on the map into the address."""
    if picked.station and picked.station != st.query_params.get("picked"):
        st.query_params["picked"] = picked.station
        st.rerun()
    if picked.point and picked.point != st.query_params.get("near"):
        st.query_params["near"] = picked.point
        st.rerun()


def _picked(stations: list[MapStation]) -> None:
    picked = st.query_params.get("picked", "")
    station = next((s for s in stations if s.station_id == picked), None)
    if station is not None:
        widgets.more(picked, station.name or picked)


def _near(name: str, shown: list[MapStation], near: str) -> None:
    st.subheader("Nearest to a point")
    text = st.text_input(
        "Latitude, longitude",
        near,
        placeholder="25.0330, 121.5654",
    )
    if text != near:
        st.query_params["near"] = text
        st.rerun()
    place = point(text)
    if place is None:
        st.caption(
            "Not a point: enter two numbers, such as 25.0330, 121.5654."
            if text
            else "Click the map beside the stations, or enter a point."
        )
        return
    stations = nearest(shown, *place)
    table = _table(name, [station for _, station in stations])
    table.insert(0, "metres", [round(metres) for metres, _ in stations])
    st.dataframe(table, column_config=COLUMNS, hide_index=True)
    text = f"The {len(table)} nearest of the stations shown."
    widgets.foot(table, f"{name}-nearest", text)


def _table(name: str, stations: list[MapStation]) -> pd.DataFrame:
    return frames.frame(table_of(stations), frames.zone(name))
