"""A station's past: its availability, and how it changed."""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import pandas as pd
import streamlit as st

from bikecollect.app import frames, widgets
from bikecollect.app.charts import specs, timelines
from bikecollect.app.frames import Span
from bikecollect.app.queries import chart_rows
from bikecollect.app.queries.current import data_service
from bikecollect.reports.runner import Answer

RAW_DAYS, HOURLY_DAYS = 10, 92
"""Up to so many days are drawn slot by slot, and by the hour; more by the day."""


def view(name: str, station: str, when: Span) -> None:
    """Draw the availability of *station* in the days of *when*, and its changes."""
    st.subheader("Availability")
    count = (when[1] - when[0]).days
    if count <= RAW_DAYS:
        _by_slot(name, station, when)
    elif count <= HOURLY_DAYS:
        _summed(name, station, when, HOURLY)
    else:
        _summed(name, station, when, DAILY)
    _identity(name, station)


def _by_slot(name: str, station: str, when: Span) -> None:
    found = chart_rows.slots(
        frames.answer(name, "history", when, stations=(station,)),
        data_service().settings.seconds,
        "num_vehicles_available",
    )
    table = frames.frame(found, frames.zone(name))
    series = {
        "num_vehicles_available": ("bikes", specs.BLUE),
        "num_docks_available": ("free docks", specs.ORANGE),
        "capacity": ("capacity", specs.GREY),
    }
    tips = {"slot": ("slot", "%a %d %b %H:%M")}
    tips |= {each: (title, "d") for each, (title, _) in series.items()}
    tips |= {"said": ("this slot", ""), "is_renting": ("renting", "")}
    _past(
        timelines.lines("slot", series, unit="number", tips=tips, step=True),
        table,
        station,
        widgets.basis((~table["missing"]).sum(), len(table)),
    )


class PastSummary(NamedTuple):
    """How a longer past is drawn: from which report, by hours or by days."""

    report: str
    made: Callable[[Answer], Answer]
    capacity: str
    word: str
    form: str
    between: tuple[str, str] | None = None


HOURLY = PastSummary(
    "hours", chart_rows.hours, "mean_capacity", "hour", "%a %d %b %Y %H:00"
)
DAILY = PastSummary(
    *("days", chart_rows.days, "capacity_max", "day", "%a %d %b %Y"),
    between=("min_vehicles", "max_vehicles"),
)
MORE_TIPS = {
    "min_vehicles": ("least bikes", "d"),
    "max_vehicles": ("most bikes", "d"),
    "slots_seen": ("slots seen", "d"),
    "slots_expected": ("expected", "d"),
    "day_closed": ("slots closed that day", "d"),
}


def _summed(name: str, station: str, when: Span, how: PastSummary) -> None:
    found = how.made(frames.answer(name, how.report, when, stations=(station,)))
    table = frames.frame(found, frames.zone(name))
    series = {
        "mean_vehicles": ("bikes", specs.BLUE),
        "mean_docks": ("free docks", specs.ORANGE),
        how.capacity: ("capacity", specs.GREY),
    }
    tips = {"time": (how.word, how.form)}
    tips |= {
        each: (title, widgets.COUNT) for each, (title, _) in series.items()
    } | MORE_TIPS
    spec = timelines.lines(
        "time",
        series,
        unit=f"mean of the {how.word}",
        tips=tips,
        step=how.between is not None,
        between=how.between,
    )
    ground = " Blue ground: least to most bikes of the day." if how.between else ""
    _past(spec, table, station, widgets.summed(table) + ground)


def _past(spec: specs.Spec, table: pd.DataFrame, station: str, said: str) -> None:
    closed = " Orange ground: it said it was closed." if table["closed"].any() else ""
    widgets.figure(
        spec,
        table,
        f"{station}-history",
        f"{said} Grey ground: not seen, and nothing is drawn over it.{closed}",
        "Bikes, free docks and capacity of the station over time",
    )


def _identity(name: str, station: str) -> None:
    st.subheader("Changes")
    first, newest = widgets.days(name)
    found = frames.answer(
        name, "changes", (first, newest + timedelta(days=1)), stations=(station,)
    )
    table = frames.frame(found, frames.zone(name))
    if table.empty:
        st.caption(f"Neither moved, renamed nor resized since {first}.")
        return
    widgets.figure(
        timelines.events("since", "what", (first, newest)),
        table,
        f"{station}-changes",
        f"All that the lists of stations told since {first}.",
        "When the station was added, moved, renamed, resized or removed",
    )
    st.dataframe(
        table[["since", "what", "old", "new", "metres"]],
        hide_index=True,
        column_config={
            "since": widgets.time_column("since"),
            "what": "what",
            "old": "before",
            "new": "then",
            "metres": st.column_config.NumberColumn("metres moved", format="%d"),
        },
    )
