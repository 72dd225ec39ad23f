"""The past of a station: its availability, and the changes of its data."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import NamedTuple

import pandas as pd
import streamlit as st

from bikecollect.app import frames, widgets
from bikecollect.app.charts import encodings, timelines
from bikecollect.app.frames import Span
from bikecollect.app.queries import chart_rows
from bikecollect.app.queries.current import data_service
from bikecollect.reports.runner import Answer

Line = tuple[str, str]
"""The title and the colour of a line."""
RAW_DAYS, HOURLY_DAYS = 10, 92
"""Maximum days of ranges drawn by slot, and by hour; longer ones are drawn by day."""


def view(name: str, station: str, when: Span) -> None:
    """Show the availability of *station* in the days of *when*, and its changes."""
    st.header("Availability", anchor=False)
    count = (when[1] - when[0]).days
    if count <= RAW_DAYS:
        _by_slot(name, station, when)
    elif count <= HOURLY_DAYS:
        _summed(name, station, when, HOURLY)
    else:
        _summed(name, station, when, DAILY)
    _identity(name, station)


def _by_slot(name: str, station: str, when: Span) -> None:
    answer = chart_rows.slots(
        frames.answer(name, "history", when, stations=(station,)),
        data_service().settings.seconds,
        "num_vehicles_available",
    )
    table = frames.frame(answer, frames.zone(name))
    shown = {
        "num_vehicles_available": ("bikes", encodings.BLUE),
        "num_docks_available": ("free docks", encodings.ORANGE),
        "capacity": ("capacity", encodings.GREY),
    }
    tips = {"slot": ("slot", f"%a %d %b {widgets.clock_format(table['slot'])}")}
    tips |= {column: (title, "d") for column, (title, _) in shown.items()}
    tips |= {"said": ("this slot", ""), "is_renting": ("renting", "")}
    _past(
        timelines.lines(
            "slot",
            _drawn(table, shown),
            unit="bikes",
            tips=tips,
            step=True,
            is_filled=True,
        ),
        table,
        station,
        basis(name, station, when),
    )


def basis(name: str, station: str, when: Span) -> str:
    """Return the basis of figures of *station*, from its first to its last slot."""
    answer = frames.answer(
        name, "availability", when, by="station", stations=(station,)
    )
    return widgets.summed(frames.frame(answer, frames.zone(name)))


class PastSummary(NamedTuple):
    """The way a longer range is drawn: the report, and the unit (hour or day)."""

    report: str
    rows: Callable[[Answer], Answer]
    capacity: str
    word: str
    form: str
    between: tuple[str, str] | None = None


HOURLY = PastSummary(
    "hours", chart_rows.hours, "mean_capacity", "hour", "%a %d %b %Y %H:00"
)
DAILY = PastSummary(
    "days",
    chart_rows.days,
    "capacity_max",
    "day",
    "%a %d %b %Y",
    between=("min_vehicles", "max_vehicles"),
)
MORE_TIPS = {
    "min_vehicles": ("fewest bikes", "d"),
    "max_vehicles": ("most bikes", "d"),
    "slots_seen": ("slots seen", "d"),
    "slots_expected": ("slots expected", "d"),
    "day_closed": ("slots closed that day", "d"),
}


def _summed(name: str, station: str, when: Span, how: PastSummary) -> None:
    answer = how.rows(frames.answer(name, how.report, when, stations=(station,)))
    table = frames.frame(answer, frames.zone(name))
    shown = {
        "mean_vehicles": ("bikes", encodings.BLUE),
        "mean_docks": ("free docks", encodings.ORANGE),
        how.capacity: ("capacity", encodings.GREY),
    }
    tips = {"time": (how.word, how.form)}
    for column, (title, _) in shown.items():
        tips[column] = (title, widgets.COUNT)
    tips |= MORE_TIPS
    chart = timelines.lines(
        "time",
        _drawn(table, shown),
        unit=f"bikes, mean of the {how.word}",
        tips=tips,
        step=how.between is not None,
        between=how.between,
        is_filled=True,
    )
    band = " Blue area: fewest to most bikes of the day." if how.between else ""
    _past(chart, table, station, widgets.summed(table) + band)


def _drawn(table: pd.DataFrame, shown: Mapping[str, Line]) -> dict[str, Line]:
    """Return the lines of *shown* to draw: bikes, and the capacity above them.

    Free docks are the space between the two, or a line if no capacity is known.
    """
    bikes, docks, capacity = shown
    other = capacity if table[capacity].notna().any() else docks
    return {bikes: shown[bikes], other: shown[other]}


def _past(
    chart: encodings.Spec, table: pd.DataFrame, station: str, caption: str
) -> None:
    closed = " Orange: reported as closed." if table["closed"].any() else ""
    widgets.figure(
        chart,
        table,
        f"{station}-history",
        f"{caption} {widgets.no_data(table)}{closed}",
        "Bikes and capacity of the station over time",
    )


def _identity(name: str, station: str) -> None:
    st.header("Changes", anchor=False)
    first, newest = widgets.days(name)
    answer = frames.answer(
        name, "changes", (first, newest + timedelta(days=1)), stations=(station,)
    )
    table = frames.frame(answer, frames.zone(name))
    if table.empty:
        st.caption(f"Not moved, renamed or resized since {first}.")
        return
    widgets.figure(
        timelines.events("since", "what", (first, newest)),
        table,
        f"{station}-changes",
        f"All changes in the station list since {first}.",
        "When the station was added, moved, renamed, resized or removed",
    )
    moved = ["" if pd.isna(metres) else f"{metres:,.0f}" for metres in table["metres"]]
    widgets.data_table(
        table.assign(metres=moved)[["since", "what", "old", "new", "metres"]],
        "Changes in the station list",
        column_config={
            "since": widgets.time_column("since", table["since"]),
            "what": "change",
            "old": "before",
            "new": "after",
            "metres": "metres moved",
        },
    )
