"""The page of a station: its past, its typical week, its times empty or full."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

import pandas as pd
import streamlit as st

from bikecollect.app import frames, header, inputs, widgets
from bikecollect.app.charts import city_map, encodings, heatmaps, timelines
from bikecollect.app.frames import Span
from bikecollect.app.pages import station_outlook, station_past
from bikecollect.app.queries import chart_rows
from bikecollect.app.queries.stations import Known, MapStation, nearest
from bikecollect.core.text import clock_minute, count_of, percent

HALF_AN_HOUR = 1800
MAX_ID = 40
"""Maximum characters quoted from the address, which is untrusted."""
NEAR, MIN_NEAR = 14, 3
"""Maximum and minimum of stations on the map of a neighbourhood."""
AT_LEAST = (1, 3, 5)
OF = {"bikes": "vehicles", "docks": "docks"}
LACKING = {"a bike": encodings.VERMILLION, "a dock": encodings.BLUE}
"""The colours of never a bike, and never a dock, as on the maps."""
SHUT = " While the station was closed, it had neither a bike nor a dock for riders."
TYPICAL_TIPS = {
    "time": ("time", "%H:%M"),
    "that_day": ("that day", "d"),
    "low": ("lower quartile", widgets.COUNT),
    "mid": ("median", widgets.COUNT),
    "high": ("upper quartile", widgets.COUNT),
    "days_seen": ("days seen", "d"),
    "days_expected": ("days expected", "d"),
}
ENOUGH = 3
"""The least days behind a band of quartiles: those of 28 days beside the chosen one."""


def page() -> None:
    """Draw the page."""
    name = header.head("station")
    station = _picked(name)
    header.entitle(station.called, name)
    _head(name, station)
    view = inputs.views(VIEWS)
    when = inputs.span(name)
    VIEWS[view](name, station.station_id, when)


def _picked(name: str) -> Known:
    """Return the station chosen by the user, present or removed.

    Its id is in the address.
    """
    known = header.stations(name)
    ids = sorted(known, key=lambda i: (known[i].until is not None, known[i].called))
    requested = st.query_params.get("station", "") or header.kept("station")
    if st.query_params.get("station") and requested not in known:
        short = requested if len(requested) <= MAX_ID else f"{requested[:MAX_ID]}..."
        st.warning(f'No station has the id "{widgets.plain(short)}"; showing another.')

    def label(station_id: str) -> str:
        station = known[station_id]
        removed = " - removed" if station.until is not None else ""
        return f"{station.called} ({station_id}){removed}"

    current = requested if requested in known else ids[0]
    picked = st.selectbox(
        "Station",
        ids,
        index=ids.index(current),
        format_func=label,
        key=inputs.fresh("station", current),
        label_visibility="collapsed",
    )
    inputs.showing("station", picked)
    if picked != current:
        st.query_params["station"] = picked
    else:
        header.note("station", "station", picked)
    header.keep("station", picked)
    return known[picked]


def _head(name: str, station: Known) -> None:
    if station.until is not None:
        when = clock_minute(station.until, frames.zone(name), station.until)
        st.warning(f"Removed from the station list at {when}; its history is kept.")
    snapshot = frames.snapshot(name, widgets.newest_day(name))
    place = {s.station_id: s for s in snapshot}.get(station.station_id)
    shown = {
        "Bikes": place and place.vehicles,
        "Free docks": place and place.docks,
        "Capacity": place.capacity if place else station.capacity,
    }
    left, right = st.columns([3, 2])
    with left:
        with st.container(horizontal=True, gap="large"):
            for title, value in shown.items():
                if value is not None:
                    st.metric(title, value, width="content")
        region = widgets.plain(station.region or "")
        is_placed = station.lat is not None
        place_of = f"{station.lat}, {station.lon}" if is_placed else ""
        unknown = [title.lower() for title, value in shown.items() if value is None]
        lacking = f"unknown: {', '.join(unknown)}" if unknown else ""
        where = " · ".join(filter(None, (region, place_of, lacking)))
        st.caption(where or "The location is unknown.")
        if place and place.is_closed:
            st.warning("The feed reports that the station is closed.")
        station_outlook.show(name, station)
    with right:
        _neighbourhood(name, station, snapshot)


def _neighbourhood(name: str, station: Known, snapshot: Sequence[MapStation]) -> None:
    """Draw the stations nearest to *station*; a click opens another one."""
    if station.lat is None or station.lon is None:
        return
    near = [place for _, place in nearest(snapshot, station.lat, station.lon, NEAR)]
    if len(near) < MIN_NEAR:
        return
    picked = city_map.draw(
        near,
        key=f"near-{name}",
        system=f"{name}/{station.station_id}",
        mini=True,
        selected=station.station_id,
    )
    if picked.station and picked.station != st.query_params.get("station"):
        header.keep("station", picked.station)
        st.query_params["station"] = picked.station
        st.rerun()


def _typical(name: str, station: str, when: Span) -> None:
    _typical_day(name, station, when)
    _chance(name, station, when)
    _at_least(name, station, when)


def _at_least(name: str, station: str, when: Span) -> None:
    """Show the shares of slots with at least one, three and five bikes."""
    st.header("Share of slots with at least 1, 3 or 5 bikes", anchor=False)
    answer = frames.answer(name, "history", when, stations=(station,))
    counts = frames.frame(answer, frames.zone(name))["num_vehicles_available"]
    seen = counts.dropna()
    if seen.empty:
        st.caption("The station was not seen in this range.")
        return
    with st.container(horizontal=True, gap="medium"):
        for least in AT_LEAST:
            share = percent(float((seen >= least).mean()))
            st.metric(count_of(least, "bike"), share, width="content")
    st.caption(station_past.basis(name, station, when))


def _typical_day(name: str, station: str, when: Span) -> None:
    st.header("A day compared with the typical one", anchor=False)
    first, newest = widgets.days(name)[0], widgets.newest_day(name)
    left, right = st.columns(2)
    with left:
        day = inputs.day("Day", "day", newest, (first, widgets.last_day(name)))
    with right:
        measure = inputs.segments("Measure", "of", list(OF), label="visible")
    typical = frames.answer(
        name,
        "typical",
        when,
        stations=(station,),
        weekday=day.weekday(),
        without=day,
    )
    if not typical.rows:
        st.info(f"The range has no other {day:%A} to compare with.")
        return
    seen_in = typical.columns.index("days_seen")
    if not any(row[seen_in] for row in typical.rows):
        st.info(f"The station was not seen on another {day:%A} of the range.")
        return
    one = (day, day + timedelta(days=1))
    that_day = frames.answer(name, "history", one, stations=(station,))
    both = chart_rows.overlaid(typical, that_day, day, OF[measure])
    table = frames.frame(both, frames.zone(name))
    widgets.figure(
        timelines.band(
            unit="free docks" if measure == "docks" else "bikes",
            tips=TYPICAL_TIPS,
            least=ENOUGH,
        ),
        table,
        f"{station}-typical",
        _basis_of_typical(table, day, when),
        "The typical day of the station as a band, and the chosen day as a line",
    )


def _basis_of_typical(table: pd.DataFrame, day: date, when: Span) -> str:
    """Return which days the band of *table* is made of; the line is of *day*."""
    low, high = int(table["days_seen"].min()), int(table["days_seen"].max())
    seen = f"{low} to {high}" if low < high else f"{low}"
    return (
        f"Basis: {seen} of {int(table['days_expected'].max())} {day:%A}s seen, from "
        f"{when[0]} to {when[1] - timedelta(days=1)}, by quarter of an hour; {day} "
        f"itself is left out. {_band(low, high)} Dashed: {day}."
    )


def _band(low: int, high: int) -> str:
    """Return what the band holds, if quarters of *low* to *high* days have one.

    >>> _band(2, 3)
    'Band: the middle half of the slots, where at least 3 days were seen.'
    >>> _band(1, 2)
    'No band: fewer than 3 days were seen.'
    """
    if high < ENOUGH:
        return f"No band: fewer than {ENOUGH} days were seen."
    where = f", where at least {ENOUGH} days were seen" if low < ENOUGH else ""
    return f"Band: the middle half of the slots{where}."


def _chance(name: str, station: str, when: Span) -> None:
    st.header("Chance of a bike, and of a free dock", anchor=False)
    measure = inputs.segments("Chance of", "chance", list(LACKING))
    answer = frames.answer(
        name, "availability", when, by="station", stations=(station,)
    )
    table = frames.frame(chart_rows.by_hour(answer), frames.zone(name))
    column = "share_with_dock" if measure == "a dock" else "share_with_vehicle"
    tips = widgets.HOUR_TIPS | {column: (f"chance of {measure}", ".1%")}
    widgets.figure(
        heatmaps.week(
            column,
            f"share of slots with {measure}",
            form=".1%",
            tips=tips,
            domain=(0, 1),
            below=LACKING[measure],
        ),
        table,
        f"{station}-chance",
        widgets.summed(table)
        + widgets.unseen(table[column])
        + widgets.few_seen(table)
        + (SHUT if table["share_closed"].gt(0).any() else ""),
        f"Chance of {measure} by weekday and hour",
    )


def _scarce(name: str, station: str, when: Span) -> None:
    _neighbours(name, station, when)
    _episodes(name, station, when)


def _neighbours(name: str, station: str, when: Span) -> None:
    st.header("Nearby stations while this one is empty or full", anchor=False)
    answer = frames.answer(name, "neighbours", when, stations=(station,))
    table = frames.frame(answer, frames.zone(name))
    if table.empty:
        st.caption(
            "In this range it was never empty or full, or has no station within 1 km."
        )
        return
    shown = ["name", "metres", "share", "slots_seen"]
    known = frames.stations(name, widgets.days(name)[1])
    table.insert(4, "name", [known[id_].called for id_ in table["neighbour"]])
    for measure, words, title in (
        ("empty", "no bike", "has a bike then"),
        ("full", "no free dock", "has a dock then"),
    ):
        some = table[table["what"] == measure]
        if some.empty:
            continue
        st.markdown(
            f"**While this station has {words}** ({some['slots'].iloc[0]:,} slots)"
        )
        st.dataframe(
            widgets.percents(some[shown].head(8), ["share"]),
            hide_index=True,
            placeholder="-",
            alt=f"Nearby stations while this one has {words}",
            column_config={
                "name": st.column_config.TextColumn("station", width="medium"),
                "metres": st.column_config.NumberColumn("metres away", format="%d"),
                "share": widgets.share_column(title, "Share of the slots seen"),
                "slots_seen": st.column_config.NumberColumn(
                    "slots seen", help=f"Of those in which this station had {words}"
                ),
            },
        )
    widgets.foot(
        table,
        f"{station}-neighbours",
        "Stations in the present list within 1 km, nearest first.",
    )


def _episodes(name: str, station: str, when: Span) -> None:
    st.header("Longest times empty or full", anchor=False)
    answer = frames.answer(name, "episodes", when, stations=(station,))
    table = frames.frame(answer, frames.zone(name))
    table = table[table["length_s"] >= HALF_AN_HOUR].reset_index(drop=True)
    seen = station_past.basis(name, station, when)
    if table.empty:
        st.caption(f"Never for half an hour or more. {seen}")
        return
    table["hours"] = table["length_s"] / 3600
    table["sure"] = (table["begin_seen"] == 1) & (table["end_seen"] == 1)
    st.dataframe(
        table[["what", "first_slot", "last_slot", "hours", "sure"]].head(10),
        hide_index=True,
        placeholder="-",
        alt="Longest times empty or full",
        column_config={
            "what": "state",
            "first_slot": widgets.time_column("first slot", table["first_slot"]),
            "last_slot": widgets.time_column("last slot", table["last_slot"]),
            "hours": st.column_config.NumberColumn("hours", format="%.1f"),
            "sure": st.column_config.CheckboxColumn(
                "both ends seen",
                help="If not, it may have lasted longer: a gap is before or after it",
            ),
        },
    )
    widgets.foot(
        table,
        f"{station}-episodes",
        f"{count_of(len(table), 'time')} for half an hour or more. {seen}",
    )


VIEWS: dict[str, Callable[[str, str, Span], None]] = {
    "Past": station_past.view,
    "Typical week": _typical,
    "Empty or full": _scarce,
}
