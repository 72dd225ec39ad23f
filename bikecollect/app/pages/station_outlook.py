"""The usual availability of a station in the next hours, with the basis of each."""

import math
from datetime import datetime, timedelta

import streamlit as st

from bikecollect.app import frames, header, widgets
from bikecollect.app.queries.stations import Known
from bikecollect.core.text import count_of, percent

HOURS_AHEAD = 3
DAYS = timedelta(days=28)
WEEK_HOURS = 168


def show(name: str, station: Known) -> None:
    """Show the usual bikes and chances of the next hours, and a link to the map."""
    _next_hours(name, station.station_id)
    if header.has_link("now"):
        st.page_link(
            header.link("now"),
            label="On the live map",
            icon=":material/map:",
            query_params={"system": name, "picked": station.station_id},
        )


def _next_hours(name: str, station: str) -> None:
    today = widgets.service().today(name)
    when = (max(widgets.days(name)[0], today - DAYS), today)
    if when[0] >= today:
        st.caption("The next hours are unknown: no earlier day has data.")
        return
    answer = frames.answer(
        name, "availability", when, by="station", stations=(station,)
    )
    hours = {row["hour_of_week"]: row for row in answer.records()}
    now = datetime.fromtimestamp(widgets.service().clock(), frames.zone(name))
    first = now.weekday() * 24 + now.hour + 1
    lines = []
    for hour in range(first, first + HOURS_AHEAD):
        row = hours.get(hour % WEEK_HOURS)
        if row is None or not row["slots_seen"]:
            lines.append(f"| {hour % 24:02}:00 | unknown | | | 0 slots |")
            continue
        bikes = percent(row["share_with_vehicle"])
        docks = row["share_with_dock"]
        lines.append(
            f"| {hour % 24:02}:00 | {row['mean_vehicles']:.0f} | {bikes} "
            f"| {percent(docks) if docks is not None else 'unknown'} "
            f"| {row['slots_seen']:,} slots |"
        )
    st.markdown(
        "\n".join(
            [
                "| next hours | usual bikes | a bike | a free dock | basis |",
                "|---|---|---|---|---|",
                *(line.replace(" %", "\u00a0%") for line in lines),
            ]
        )
    )
    most = count_of(math.ceil((today - when[0]).days / 7), "day")
    st.caption(
        f"The same hours of the week from {when[0]} to {today - timedelta(days=1)}, "
        f"at most {most} each: mean of the bikes, share of the slots seen with a bike "
        "and a free dock."
    )
