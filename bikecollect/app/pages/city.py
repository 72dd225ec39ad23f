"""The page of the whole city: week, day, areas, comparison of periods, rankings."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import streamlit as st

from bikecollect.app import frames, widgets
from bikecollect.app.charts import city_map, encodings, heatmaps, timelines
from bikecollect.app.queries import chart_rows
from bikecollect.app.queries.comparison import compared
from bikecollect.app.queries.current import data_service
from bikecollect.app.queries.stations import Known
from bikecollect.reports.runner import Answer

MEASURES = {
    "slots with a bike": ("share_with_vehicle", ".0%"),
    "slots with a dock": ("share_with_dock", ".0%"),
    "bikes at a station": ("mean_vehicles", ".1f"),
    "free docks at a station": ("mean_docks", ".1f"),
}
LEAST = {".0%": 0.05, ".1f": 1.0}
"""By a measure's number format: smaller differences of two periods are drawn pale."""
RANKED = {
    "name": st.column_config.TextColumn("station", width="medium"),
    "share_with_vehicle": widgets.share_column("with a bike", "Of the slots seen"),
    "share_with_dock": widgets.share_column("with a dock", "Of the slots seen"),
    "share_seen": widgets.share_column("seen", "Slots seen of those expected"),
    "share_inactive": st.column_config.NumberColumn("closed", format="percent"),
    "share_silent": st.column_config.NumberColumn(
        "silent",
        help="Slots in which the station had not reported for an hour",
        format="percent",
    ),
    "changes": st.column_config.NumberColumn(
        "changes", help="Slots whose count differs from that of the slot before"
    ),
    "station_id": "id",
}
WHOLE = "the whole city"
STATION_SLOTS = "station slots"


def page() -> None:
    """Draw the page."""
    st.title("City")
    name = widgets.system()
    widgets.freshness(name)
    VIEWS[widgets.views(VIEWS)](name)


def _measure() -> str:
    return st.selectbox("Measure", list(MEASURES), key="measure", bind="query-params")


def _regions(name: str) -> list[str]:
    stations = frames.stations(name, widgets.days(name)[1]).values()
    return sorted({station.region for station in stations if station.region})


def _week(name: str) -> None:
    when = widgets.span(name)
    left, right = st.columns(2)
    with left:
        measure = _measure()
    area = right.selectbox(
        "Area", [WHOLE, *_regions(name)], key="area", bind="query-params"
    )
    by = "system" if area == WHOLE else "district"
    answer = frames.answer(name, "availability", when, by=by)
    if by == "district":
        answer = chart_rows.where(answer, place=area)
    table = frames.frame(chart_rows.by_hour(answer), frames.zone(name))
    column, form = MEASURES[measure]
    st.subheader(f"Week: {measure}")
    widgets.figure(
        heatmaps.week(
            column,
            measure,
            form=form,
            tips=widgets.HOUR_TIPS | {column: (measure, form)},
        ),
        table,
        f"{name}-week",
        widgets.summed(table, STATION_SLOTS),
        f"{measure} by weekday and hour",
    )


def _day(name: str) -> None:
    known = widgets.days(name)
    day = widgets.day("Day", "day", known[1], known)
    zone = frames.zone(name)
    st.subheader("The city, slot by slot")
    film = frames.film(name, day)
    if not film.stations:
        st.info(f"Nothing was collected on {day}; see Collection for the reason.")
    else:
        labels = [widgets.clock(slot, zone)[11:] for slot in film.slots]
        picked = city_map.play(
            film, labels, key="film", at=st.query_params.get("at", "")
        )
        if picked.at and picked.at != st.query_params.get("at"):
            st.query_params["at"] = picked.at
        if picked.station:
            called = next((s[1] for s in film.stations if s[0] == picked.station), "")
            widgets.more(picked.station, called)
        widgets.foot(
            lambda: frames.frame(film.answer(), zone),
            f"{name}-{day}",
            f"{len(film.stations):,} stations were seen on this day, in "
            f"{film.collected:,} of {len(film.slots):,} slots.",
        )
    _scarcity(name, (day, day + timedelta(days=1)))


def _scarcity(name: str, when: frames.Span) -> None:
    st.subheader("Stations empty, full or closed")
    answer = frames.answer(name, "scarcity", when)
    table = frames.frame(
        chart_rows.slots(answer, data_service().settings.seconds, "stations"),
        frames.zone(name),
    )
    series = {
        "empty_stations": ("empty", encodings.VERMILLION),
        "full_stations": ("full", encodings.BLUE),
        "closed_stations": ("closed", encodings.GREY),
    }
    tips = {"slot": ("slot", "%a %d %b %H:%M")}
    tips |= {column: (title, "d") for column, (title, _) in series.items()}
    tips |= {"stations": ("stations seen", "d"), "said": ("this slot", "")}
    widgets.figure(
        timelines.lines("slot", series, unit="stations", tips=tips, step=True),
        table,
        f"{name}-scarcity",
        widgets.basis((~table["missing"]).sum(), len(table)) + " Grey: no data.",
        "Number of stations that were empty, full and closed through the day",
    )


def _areas(name: str) -> None:
    when = widgets.span(name)
    left, right = st.columns(2)
    with left:
        measure = _measure()
    column, form = MEASURES[measure]
    answer = frames.answer(name, "availability", when, by="district")
    table = frames.frame(chart_rows.by_hour(answer), frames.zone(name))
    areas = sorted(table["place"].unique())
    chosen = right.multiselect(
        "Areas (up to six)",
        areas,
        default=areas[:4],
        key="areas",
        bind="query-params",
        max_selections=6,
    )
    some = table[table["place"].isin(chosen)]
    st.subheader(f"Areas through the week: {measure}")
    widgets.figure(
        timelines.areas(
            column,
            measure,
            form=form,
            tips={"place": ("area", "")}
            | widgets.HOUR_TIPS
            | {column: (measure, form)},
        ),
        some,
        f"{name}-areas",
        widgets.summed(some, STATION_SLOTS),
        f"{measure} in each area through the week",
    )


def _compare(name: str) -> None:
    first, newest = widgets.days(name)
    length = min(28, ((newest - first).days + 1) // 2)
    middle = newest - timedelta(days=length)
    left, right = st.columns(2)
    with left:
        begin = middle - timedelta(days=length - 1)
        one = widgets.ends(name, "a", (begin, middle), "First period")
    with right:
        begin = middle + timedelta(days=1)
        other = widgets.ends(name, "b", (begin, newest), "Second period")
    measure = _measure()
    column = MEASURES[measure][0]
    before, after = (frames.answer(name, "availability", span) for span in (one, other))
    st.subheader(f"Second period minus first: {measure}")
    _difference(name, chart_rows.by_hour(compared(before, after, column)), measure)


def _difference(name: str, answer: Answer, measure: str) -> None:
    """Draw the difference of *measure* between two periods, from the rows of both."""
    table = frames.frame(answer, frames.zone(name))
    caption = " ".join(
        f"{title}: {widgets.summed(table, STATION_SLOTS, f'_{title.lower()}')}"
        for title in ("First", "Second")
    )
    if table["difference"].isna().all():
        st.info("No hour of the week was seen in both periods.")
        st.caption(caption)
        return
    form = MEASURES[measure][1]
    signed = "+.1%" if form.endswith("%") else f"+{form}"
    tips = {
        "weekday": ("day", ""),
        "hour": ("hour", "d"),
        "first": ("first", form),
        "second": ("second", form),
        "difference": ("difference", signed),
    }
    widgets.figure(
        heatmaps.week(
            "difference",
            "difference",
            form=signed,
            tips=tips,
            domain=chart_rows.reach(answer, "difference", LEAST[form]),
            scheme="blueorange",
        ),
        table,
        f"{name}-compared",
        caption,
        f"Difference of {measure} between the periods, by weekday and hour",
    )


def _rankings(name: str) -> None:
    when = widgets.span(name)
    table = frames.frame(frames.answer(name, "reliability", when), frames.zone(name))
    known = frames.stations(name, widgets.days(name)[1])
    table.insert(2, "name", [_name(known, id_) for id_ in table["station_id"]])
    st.subheader("Stations, most often without bikes first")
    st.dataframe(
        table[list(RANKED)],
        hide_index=True,
        height=520,
        column_config=RANKED,
    )
    widgets.foot(
        table,
        f"{name}-rankings",
        f"{widgets.summed(table, STATION_SLOTS)} Click a column's header to sort.",
    )


def _name(known: Mapping[str, Known], station: str) -> str:
    return known[station].called if station in known else station


VIEWS: dict[str, Callable[[str], None]] = {
    "Week": _week,
    "Day": _day,
    "Areas": _areas,
    "Compare": _compare,
    "Rankings": _rankings,
}
