"""The live page: a map of the newest slot and the last day, filters, and a table."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from bikecollect.app import frames, header, inputs, mode, widgets
from bikecollect.app.charts import city_map
from bikecollect.app.queries.station_names import matching
from bikecollect.app.queries.stations import (
    MapStation,
    chosen,
    nearest,
    point,
    table_of,
    vehicle_dots,
)
from bikecollect.core.text import clock_minute
from bikecollect.reports.runner import Answer

MAX_DOTS = 10_000
"""Maximum vehicles on the map and in the table: with more a browser gets slow."""
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


VEHICLES = {
    "system_id": None,
    "vehicle_id": st.column_config.TextColumn("vehicle", width="medium"),
    "type": st.column_config.TextColumn("type"),
    "lat": st.column_config.NumberColumn("lat"),
    "lon": st.column_config.NumberColumn("lon"),
    "slot": None,
    "is_reserved": st.column_config.CheckboxColumn("reserved"),
    "is_disabled": st.column_config.CheckboxColumn("disabled"),
    "current_range_meters": st.column_config.NumberColumn("range, m", format="%d"),
    "current_fuel_percent": st.column_config.NumberColumn(
        "charge or fuel", format=widgets.PERCENT
    ),
    "station_id": st.column_config.TextColumn("at station"),
    "last_reported": widgets.time_column("last reported"),
}
"""The columns of vehicles, all in one slot, which is named above the table."""


def page() -> None:
    """Draw the page."""
    name = header.head("now")
    newest = widgets.newest_day(name)
    stations, vehicles = frames.snapshot(name, newest), frames.vehicles(name, newest)
    if not (stations or vehicles.rows):
        st.info("Nothing has been seen yet; see Collection for the reason.")
        return
    if stations:
        _stations(name, stations)
    if vehicles.rows:
        _vehicles(name, vehicles)


def _stations(name: str, stations: list[MapStation]) -> None:
    """Draw the stations."""
    shown = stations if mode.is_embedded() else _filters(name, stations)
    near = st.query_params.get("near", "")
    film = frames.last_hours(name)
    zone = frames.zone(name)
    selected = st.query_params.get("picked", header.kept("station"))
    picked = city_map.draw(
        stations,
        key="now-map",
        film=film,
        labels=film.labels(zone),
        system=name,
        live=True,
        points=not mode.is_embedded(),
        is_static=mode.is_embedded(),
        shown=[s.station_id for s in shown] if len(shown) < len(stations) else None,
        selected=selected,
        point=point(near),
    )
    if mode.is_embedded():
        return
    _follow(picked, selected)
    seen = sum(station.vehicles is not None for station in shown)
    closed = sum(station.is_closed for station in shown)
    when = clock_minute(stations[0].slot, zone, stations[0].slot)
    table = _table(name, shown)
    widgets.foot(
        table,
        f"{name}-now",
        f"{len(shown):,} of {len(stations):,} stations shown; {seen:,} seen "
        f"in the slot {when}; {closed:,} closed."
        f"{widgets.unplaced(station.lat for station in shown)}",
    )
    _near(name, shown, near)
    st.header("Stations shown", anchor=False)
    widgets.data_table(table, "Stations shown", column_config=COLUMNS, height=360)


def _vehicles(name: str, vehicles: Answer) -> None:
    """Draw each vehicle as a dot."""
    st.header("Vehicles", anchor=False)
    dots = vehicle_dots(vehicles)
    city_map.draw(dots[:MAX_DOTS], key="vehicles-map", system=name, vehicles_only=True)
    zone = frames.zone(name)
    table = frames.frame(vehicles, zone)
    widgets.foot(
        table,
        f"{name}-vehicles",
        f"{len(vehicles.rows):,} vehicles in the slot "
        f"{clock_minute(dots[0].slot, zone, dots[0].slot) if dots else '-'}; "
        f"{min(len(dots), MAX_DOTS):,} of {len(dots):,} with a location are shown.",
    )
    shown = widgets.percents(table.head(MAX_DOTS), ["current_fuel_percent"])
    widgets.data_table(shown, "Vehicles", column_config=VEHICLES, height=360)


def _filters(name: str, stations: list[MapStation]) -> list[MapStation]:
    """Show the search and the filters; return the stations that pass them."""
    regions = sorted({station.region for station in stations if station.region})
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        text = inputs.text(
            "Search by name or id",
            "search",
            icon=":material/search:",
            placeholder="Search: name, area, address or id",
            label_visibility="collapsed",
        )
        with st.popover("Filters", icon=":material/tune:"):
            areas = inputs.several("Areas", "areas", regions, placeholder="All")
            vehicles = inputs.number("Bikes, at least", "bikes")
            docks = inputs.number("Free docks, at least", "docks")
            _language(name)
    matches = matching(frames.texts(name), text) if text.strip() else None
    return chosen(
        stations, matches=matches, regions=areas, vehicles=vehicles, docks=docks
    )


def _language(name: str) -> None:
    """Let the user choose the language of names, if the publisher has two."""
    if not any(about.name_en for about in frames.texts(name).values()):
        return
    before = frames.is_english(name)
    if st.toggle("Names in English", before) != before:
        chosen = frames.OWN if before else frames.ENGLISH
        header.keep("names", chosen)
        st.query_params["names"] = chosen
        st.rerun()


def _follow(picked: city_map.Picked, selected: str) -> None:
    """Put the pick on the map into the address, or open the station's page."""
    if picked.open:
        header.keep("station", picked.open)
        st.switch_page(header.link("station"), query_params={"station": picked.open})
    if picked.station is not None and picked.station != selected:
        header.keep("station", picked.station)
        st.query_params["picked"] = picked.station
        st.rerun()
    if picked.point and picked.point != st.query_params.get("near"):
        st.query_params["near"] = picked.point
        st.rerun()


def _near(name: str, shown: Sequence[MapStation], near: str) -> None:
    with st.expander("Nearest to a point", expanded=bool(near)):
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
                else "Click the map away from the stations, or enter a point."
            )
            return
        stations = nearest(shown, *place)
        table = _table(name, [station for _, station in stations])
        table.insert(0, "metres", [round(metres) for metres, _ in stations])
        widgets.data_table(table, "Nearest stations", column_config=COLUMNS)
        text = f"The {len(table)} nearest of the stations shown."
        widgets.foot(table, f"{name}-nearest", text)


def _table(name: str, stations: Sequence[MapStation]) -> pd.DataFrame:
    return frames.frame(table_of(stations), frames.zone(name))
