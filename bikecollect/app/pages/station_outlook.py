"""The usual availability of a station in the next hours, with the basis of each."""

import math
from calendar import day_name
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from bikecollect.app import frames, header, widgets
from bikecollect.app.queries.current import data_service
from bikecollect.app.queries.stations import Known
from bikecollect.core.text import count_of, percent

HOURS_AHEAD = 3
DAYS = timedelta(days=28)
WEEK, WEEK_HOURS = 7, 168
HEAD = (
    "| hour | usual bikes | chance of a bike | chance of a dock | based on |",
    "|---|--:|--:|--:|---|",
)
"""The first lines of the table, in Markdown."""


def show(name: str, station: Known) -> None:
    """Show the usual bikes and chances of the next hours, and a link to the map."""
    _next_hours(name, station)
    if header.has_link("now"):
        st.page_link(
            header.link("now"),
            label="On the live map",
            icon=":material/map:",
            query_params={"system": name, "picked": station.station_id},
        )


def _next_hours(name: str, station: Known) -> None:
    today, zone = data_service().today(name), frames.zone(name)
    when = (max(widgets.days(name)[0], today - DAYS), today)
    if when[0] >= today:
        st.caption("The next hours are unknown: no earlier day has data.")
        return
    answer = frames.answer(
        name, "availability", when, by="station", stations=(station.station_id,)
    )
    hours = {row["hour_of_week"]: row for row in answer.records()}
    now = datetime.fromtimestamp(data_service().clock(), zone)
    first = now.weekday() * 24 + now.hour + 1
    listed = _listed(station, when, zone)
    following = [number % WEEK_HOURS for number in range(first, first + HOURS_AHEAD)]
    lines = (_line(hour, hours.get(hour), listed) for hour in following)
    st.markdown("\n".join([*HEAD, *lines]))
    st.caption(
        f"From the same hours of the week, {when[0]} to {today - timedelta(days=1)}: "
        "the mean number of bikes, and the share of slots with a bike or a free dock."
    )


def _line(hour: int, row: Mapping[str, Any] | None, listed: frames.Span) -> str:
    """Return the table's line of an *hour* of the week.

    The station was *listed* in these days; *row* is of the report ``availability``.
    """
    if row is None or not row["slots_seen"]:
        return f"| {hour % 24:02}:00 | unknown | | | no data |"
    docks = row["share_with_dock"]
    basis = count_of(weekdays(hour // 24, *listed), day_name[hour // 24])
    basis = basis.replace(" ", "\u00a0")
    if row["slots_seen"] < row["slots_expected"]:
        basis += f", {row['slots_seen']:,} of {row['slots_expected']:,} slots"
    line = (
        f"| {hour % 24:02}:00 | {row['mean_vehicles']:.0f} "
        f"| {percent(row['share_with_vehicle'])} "
        f"| {percent(docks) if docks is not None else 'unknown'} | {basis} |"
    )
    return line.replace(" %", "\u00a0%")


def _listed(station: Known, when: frames.Span, zone: ZoneInfo) -> frames.Span:
    """Return the days of *when* on which *station* was listed."""
    begin, end = when
    if station.since is not None:
        begin = max(begin, datetime.fromtimestamp(station.since, zone).date())
    if station.until is not None:
        until = datetime.fromtimestamp(station.until, zone).date()
        end = min(end, until + timedelta(days=1))
    return begin, end


def weekdays(number: int, begin: date, end: date) -> int:
    """Return how many days from *begin* to before *end* are weekday *number*.

    >>> [weekdays(number, date(2026, 11, 2), date(2026, 11, 10)) for number in (0, 6)]
    [2, 1]
    """
    first = begin + timedelta(days=(number - begin.weekday()) % WEEK)
    return max(0, math.ceil((end - first).days / WEEK))
