"""The page of one station: its past, its typical day, its chances, its neighbours."""

from collections.abc import Callable
from datetime import timedelta

import streamlit as st

from bikecollect.app import frames, widgets
from bikecollect.app.charts import heatmaps, timelines
from bikecollect.app.frames import Span
from bikecollect.app.pages import station_past
from bikecollect.app.queries import chart_rows
from bikecollect.app.queries.current import data_service
from bikecollect.app.queries.stations import Known

HALF_AN_HOUR = 1800
LONGEST_ID = 40
"""Of what is quoted from an address: whoever made the link wrote it."""
OF = {"bikes": "vehicles", "docks": "docks"}


def page() -> None:
    """Draw the page."""
    st.title("Station")
    name = widgets.system()
    widgets.freshness(name)
    station = _picked(name)
    if station is None:
        st.info("No station seen yet; see Collection for the reason.")
        return
    _head(name, station)
    word = widgets.views(VIEWS)
    when = widgets.span(name)
    VIEWS[word](name, station.station_id, when)


def _picked(name: str) -> Known | None:
    """Let a station be picked, of those that are and were; its id is in the address."""
    known = frames.stations(name, widgets.days(name)[1])
    ids = sorted(known, key=lambda e: (known[e].until is not None, known[e].called))
    if not ids:
        return None
    asked = st.query_params.get("station", "")
    if asked and asked not in known:
        short = asked if len(asked) <= LONGEST_ID else f"{asked[:LONGEST_ID]}..."
        st.warning(f'No station has the id "{widgets.plain(short)}"; here is another.')

    def words(each: str) -> str:
        gone = " - removed" if known[each].until is not None else ""
        return f"{known[each].called} ({each}){gone}"

    picked = st.selectbox(
        "Station",
        ids,
        index=ids.index(asked) if asked in known else 0,
        format_func=words,
    )
    if picked != asked:
        st.query_params["station"] = picked
    return known[picked]


def _head(name: str, station: Known) -> None:
    there = frames.zone(name)
    if station.until is not None:
        when = widgets.clock(station.until, there)
        st.warning(f"Removed from the station list at {when}; its history is kept.")
    now = {
        each.station_id: each for each in frames.snapshot(name, widgets.days(name)[1])
    }
    place = now.get(station.station_id)
    shown = {
        "Bikes": place and place.vehicles,
        "Free docks": place and place.docks,
        "Capacity": place.capacity if place else station.capacity,
    }
    with st.container(horizontal=True, gap="large"):
        for title, value in shown.items():
            known = "not seen" if value is None else value
            st.metric(title, known, width="content")
    region = widgets.plain(station.region or "")
    place_of = f"{station.lat}, {station.lon}" if station.lat else ""
    where = " · ".join(filter(None, (region, place_of)))
    st.caption(where or "No place is known.")
    if place and place.is_closed:
        st.warning("The station says that it is closed.")


def _typical(name: str, station: str, when: Span) -> None:
    _against(name, station, when)
    _chance(name, station, when)


def _against(name: str, station: str, when: Span) -> None:
    st.subheader("A day against the typical one")
    known = widgets.days(name)
    left, right = st.columns(2)
    with left:
        day = widgets.day("Day", "day", known[1], known)
    what = right.segmented_control(
        "Of",
        list(OF),
        default="bikes",
        required=True,
        key="of",
        bind="query-params",
    )
    typical = frames.answer(
        name, "typical", when, stations=(station,), weekday=day.weekday()
    )
    if not typical.rows:
        st.info("The range has no such weekday.")
        return
    one = (day, day + timedelta(days=1))
    that_day = frames.answer(name, "history", one, stations=(station,))
    both = chart_rows.overlaid(typical, that_day, day, OF[what or "bikes"])
    table = frames.frame(both, frames.zone(name))
    tips = {
        "time": ("time", "%H:%M"),
        "that_day": ("that day", "d"),
        "low": ("a quarter of days below", widgets.COUNT),
        "mid": ("half of days below", widgets.COUNT),
        "high": ("a quarter of days above", widgets.COUNT),
        "days_seen": ("days seen", "d"),
        "days_expected": ("days expected", "d"),
    }
    low, high = int(table["days_seen"].min()), int(table["days_seen"].max())
    seen = f"{low} to {high}" if low < high else f"{low}"
    widgets.figure(
        timelines.band(unit="free docks" if what == "docks" else "bikes", tips=tips),
        table,
        f"{station}-typical",
        f"Basis: {seen} of {int(table['days_expected'].max())} {day:%A}s seen, from "
        f"{when[0]} to {when[1] - timedelta(days=1)}, by quarter of an hour; on half "
        f"of them it was inside the band. Dashed: {day}.",
        "The typical day of the station as a band, and the chosen day over it",
    )


def _chance(name: str, station: str, when: Span) -> None:
    st.subheader("Chance of a bike, and of a free dock")
    what = st.segmented_control(
        "Chance of",
        ["a bike", "a dock"],
        default="a bike",
        required=True,
        key="chance",
        bind="query-params",
        label_visibility="collapsed",
    )
    found = frames.answer(name, "availability", when, by="station", stations=(station,))
    table = frames.frame(chart_rows.by_hour(found), frames.zone(name))
    column = "share_with_dock" if what == "a dock" else "share_with_vehicle"
    tips = widgets.HOUR_TIPS | {column: (f"chance of {what}", ".0%")}
    widgets.figure(
        heatmaps.week(
            column,
            f"share of slots with {what}",
            form=".0%",
            tips=tips,
            domain=(0, 1),
        ),
        table,
        f"{station}-chance",
        widgets.summed(table),
        f"The chance of {what} by weekday and hour",
    )


def _scarce(name: str, station: str, when: Span) -> None:
    _neighbours(name, station, when)
    _episodes(name, station, when)


def _neighbours(name: str, station: str, when: Span) -> None:
    st.subheader("Where to go when it has none")
    found = frames.answer(name, "neighbours", when, stations=(station,))
    table = frames.frame(found, frames.zone(name))
    if table.empty:
        st.caption("It was neither empty nor full in this range, or nothing is near.")
        return
    known = frames.stations(name, widgets.days(name)[1])
    table.insert(4, "name", [known[each].called for each in table["neighbour"]])
    for what, words, then in (
        ("empty", "no bike", "then has a bike"),
        ("full", "no free dock", "then has a dock"),
    ):
        some = table[table["what"] == what]
        if some.empty:
            continue
        st.markdown(f"**When it has {words}** ({some['slots'].iloc[0]:,} slots)")
        st.dataframe(
            some[["name", "metres", "share", "slots_seen"]].head(8),
            hide_index=True,
            column_config={
                "name": st.column_config.TextColumn("station", width="medium"),
                "metres": st.column_config.NumberColumn("metres away", format="%d"),
                "share": widgets.share_column(then, "Of the slots seen"),
                "slots_seen": st.column_config.NumberColumn(
                    "slots seen", help="Of those in which this one had none"
                ),
            },
        )
    widgets.foot(
        table,
        f"{station}-neighbours",
        "Stations of today's list within 1,000 metres, the nearest first.",
    )


def _episodes(name: str, station: str, when: Span) -> None:
    st.subheader("When it was empty or full for longest")
    least = max(1, HALF_AN_HOUR // data_service().settings.seconds)
    found = frames.answer(name, "episodes", when, stations=(station,), least=least)
    table = frames.frame(found, frames.zone(name))
    seen = frames.frame(
        frames.answer(name, "availability", when, by="station", stations=(station,)),
        frames.zone(name),
    )
    if table.empty:
        st.caption(f"Never for half an hour or more. {widgets.summed(seen)}")
        return
    table["hours"] = table["length_s"] / 3600
    table["sure"] = (table["begin_seen"] == 1) & (table["end_seen"] == 1)
    st.dataframe(
        table[["what", "first_slot", "last_slot", "hours", "sure"]].head(10),
        hide_index=True,
        column_config={
            "what": "was",
            "first_slot": widgets.time_column("from"),
            "last_slot": widgets.time_column("to"),
            "hours": st.column_config.NumberColumn("hours", format="%.1f"),
            "sure": st.column_config.CheckboxColumn(
                "both ends seen",
                help="Else it may have been longer: a gap is beside it.",
            ),
        },
    )
    widgets.foot(
        table,
        f"{station}-episodes",
        f"{len(table):,} times for half an hour or more. {widgets.summed(seen)}",
    )


VIEWS: dict[str, Callable[[str, str, Span], None]] = {
    "Past": station_past.view,
    "Typical week": _typical,
    "Empty or full": _scarce,
}
