"""The page of the whole city: its week, its day, its areas, two periods, rankings."""

from collections.abc import Callable
from datetime import date, timedelta

import pandas as pd
import streamlit as st

from bikecollect.app import charts, citymap, grids, lines, parts
from bikecollect.looking.compared import compared

MEASURES = {
    "slots with a bike": ("share_with_vehicle", ".0%"),
    "slots with a dock": ("share_with_dock", ".0%"),
    "bikes at a station": ("mean_vehicles", ".1f"),
    "free docks at a station": ("mean_docks", ".1f"),
}
WHOLE = "the whole city"


def page() -> None:
    """Draw the page."""
    st.title("City")
    name = parts.system()
    parts.freshness(name)
    word = st.segmented_control(
        "View",
        list(VIEWS),
        default="Week",
        key="view",
        bind="query-params",
        label_visibility="collapsed",
    )
    VIEWS[word or "Week"](name)


def _measure() -> str:
    return st.selectbox("Measure", list(MEASURES), key="measure", bind="query-params")


def _regions(name: str) -> list[str]:
    return sorted({each.region for each in parts.snapshot(name) if each.region})


def _week(name: str) -> None:
    when = parts.span(name)
    left, right = st.columns(2)
    with left:
        measure = _measure()
    area = right.selectbox(
        "Area", [WHOLE, *_regions(name)], key="area", bind="query-params"
    )
    by = "system" if area == WHOLE else "district"
    table = parts.by_hour(
        parts.frame(parts.answer(name, "availability", when, by=by), parts.zone(name))
    )
    if by == "district":
        table = table[table["place"] == area]
    column, form = MEASURES[measure]
    st.subheader(f"The week: {measure}")
    parts.figure(
        grids.week(
            column, measure, form=form, tips=parts.HOUR_TIPS | {column: (measure, form)}
        ),
        table,
        f"{name}-week",
        parts.basis(
            table["slots_seen"].sum(), table["slots_expected"].sum(), "station slots"
        ),
    )


def _day(name: str) -> None:
    first, newest = parts.days(name)
    day = st.date_input(
        "Day", newest, min_value=first, max_value=newest, key="day", bind="query-params"
    )
    there = parts.zone(name)
    st.subheader("The whole city, slot by slot")
    film = parts.film(name, day)
    if not film.stations:
        st.info(f"Nothing was collected on {day}; Collection says why.")
    else:
        labels = [parts.clock(each, there)[11:] for each in film.slots]
        picked = citymap.play(
            film, labels, key="film", at=st.query_params.get("at", "")
        )
        if picked.at and picked.at != st.query_params.get("at"):
            st.query_params["at"] = picked.at
        if picked.station:
            called = next((s[1] for s in film.stations if s[0] == picked.station), "")
            parts.more(picked.station, called)
    when = (day, day + timedelta(days=1))
    table = parts.frame(parts.answer(name, "scarcity", when), there)
    _scarcity(name, table)


def _scarcity(name: str, table: pd.DataFrame) -> None:
    st.subheader("Stations empty, full or closed")
    table["until"] = table["slot"] + pd.Timedelta(seconds=parts.look().settings.seconds)
    table["missing"] = table["stations"].isna()
    table["state"] = table["cause"].where(table["cause"] != "", table["state"])
    series = {
        "empty_stations": ("empty", charts.VERMILLION),
        "full_stations": ("full", charts.BLUE),
        "closed_stations": ("closed", charts.GREY),
    }
    tips = {"slot": ("slot", "%a %d %b %H:%M")}
    tips |= {each: (title, "d") for each, (title, _) in series.items()}
    tips |= {"stations": ("stations seen", "d"), "state": ("this slot", "")}
    parts.figure(
        lines.lines("slot", series, unit="stations", tips=tips, step=True),
        table,
        f"{name}-scarcity",
        f"{parts.basis((~table['missing']).sum(), len(table))} Grey: not seen.",
    )


def _areas(name: str) -> None:
    when = parts.span(name)
    left, right = st.columns(2)
    with left:
        measure = _measure()
    column, form = MEASURES[measure]
    table = parts.frame(
        parts.answer(name, "availability", when, by="district"), parts.zone(name)
    )
    known = sorted(table["place"].unique())
    wanted = right.multiselect(
        "Areas (up to six)",
        known,
        default=known[:4],
        key="areas",
        bind="query-params",
        max_selections=6,
    )
    some = parts.by_hour(table[table["place"].isin(wanted)].copy())
    st.subheader(f"Areas through the week: {measure}")
    parts.figure(
        lines.areas(
            column,
            measure,
            form=form,
            tips={"place": ("area", "")} | parts.HOUR_TIPS | {column: (measure, form)},
        ),
        some,
        f"{name}-areas",
        parts.basis(
            some["slots_seen"].sum(), some["slots_expected"].sum(), "station slots"
        ),
    )


def _compare(name: str) -> None:
    first, newest = parts.days(name)
    middle = newest - timedelta(days=28)
    left, right = st.columns(2)
    with left:
        one = _period(
            "First period",
            "a",
            max(first, middle - timedelta(days=27)),
            max(first, middle),
            name,
        )
    with right:
        other = _period(
            "Second period", "b", max(first, middle + timedelta(days=1)), newest, name
        )
    measure = _measure()
    column, form = MEASURES[measure]
    before, after = (parts.answer(name, "availability", each) for each in (one, other))
    found = compared(before, after, column)
    table = parts.by_hour(parts.frame(found, parts.zone(name)))
    st.subheader(f"The second less the first: {measure}")
    signed = "+.1%" if form.endswith("%") else f"+{form}"
    tips = {
        "weekday": ("day", ""),
        "hour": ("hour", "d"),
        "first": ("first", form),
        "second": ("second", form),
        "difference": ("difference", signed),
    }
    seen = [
        parts.basis(
            table[f"slots_seen_{e}"].sum(),
            table[f"slots_expected_{e}"].sum(),
            "station slots",
        )
        for e in ("first", "second")
    ]
    parts.figure(
        grids.week("difference", "difference", form=signed, tips=tips, diverging=True),
        table,
        f"{name}-compared",
        f"First: {seen[0]} Second: {seen[1]}",
    )


def _period(title: str, key: str, begin: date, end: date, name: str) -> parts.Span:
    first, newest = parts.days(name)
    begin = st.date_input(
        f"{title}: from",
        begin,
        min_value=first,
        max_value=newest,
        key=f"{key}_from",
        bind="query-params",
    )
    end = st.date_input(
        f"{title}: to",
        end,
        min_value=first,
        max_value=newest,
        key=f"{key}_to",
        bind="query-params",
    )
    return min(begin, end), max(begin, end) + timedelta(days=1)


def _rankings(name: str) -> None:
    when = parts.span(name)
    table = parts.frame(parts.answer(name, "reliability", when), parts.zone(name))
    titles = parts.titles(name)
    table.insert(2, "name", table["station_id"].map(titles))
    st.subheader("Stations, those without bikes oftenest first")
    st.dataframe(
        table.drop(columns=["system_id", "slots_seen", "slots_expected"]),
        hide_index=True,
        height=520,
        column_config={
            "station_id": "id",
            "name": st.column_config.TextColumn("station", width="medium"),
            "share_seen": parts.share_column("seen", "Slots seen of those expected"),
            "share_with_vehicle": parts.share_column(
                "with a bike", "Of the slots seen"
            ),
            "share_with_dock": parts.share_column("with a dock", "Of the slots seen"),
            "share_silent": st.column_config.NumberColumn(
                "silent",
                help="Slots in which the station had not spoken for an hour",
                format="percent",
            ),
            "share_inactive": st.column_config.NumberColumn("closed", format="percent"),
            "changes": st.column_config.NumberColumn(
                "changes", help="Slots with another count than the one just before"
            ),
        },
    )
    parts.foot(
        table,
        f"{name}-rankings",
        parts.basis(
            table["slots_seen"].sum(), table["slots_expected"].sum(), "station slots"
        )
        + " Click a column's head to sort by it.",
    )


VIEWS: dict[str, Callable[[str], None]] = {
    "Week": _week,
    "Day": _day,
    "Areas": _areas,
    "Compare": _compare,
    "Rankings": _rankings,
}
