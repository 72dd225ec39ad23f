"""The page of the whole city: week, day, areas, comparison of periods, rankings."""

from collections.abc import Callable
from datetime import date, timedelta

import pandas as pd
import streamlit as st

from bikecollect.app import frames, header, inputs, mode, widgets
from bikecollect.app.charts import (
    city_map,
    encodings,
    heatmaps,
    scales,
    small_weeks,
    timelines,
)
from bikecollect.app.pages import city_rankings
from bikecollect.app.queries import chart_rows
from bikecollect.app.queries.comparison import compared
from bikecollect.app.queries.current import data_service
from bikecollect.app.queries.films.day_film import Film
from bikecollect.app.queries.stations import film_dot
from bikecollect.reports.runner import Answer

MEASURES = {
    "slots without a bike": ("share_empty", ".1%"),
    "slots without a dock": ("share_full", ".1%"),
    "bikes at a station": ("mean_vehicles", ".1f"),
    "free docks at a station": ("mean_docks", ".1f"),
}
FULLER = frozenset({"share_full", "mean_vehicles"})
"""The measures that are larger where stations are fuller."""
CLOSED = " Closed stations count as seen, but neither as empty nor as full."
COLOURS = {"share_empty": encodings.VERMILLION, "share_full": encodings.BLUE}
"""Of the measures that are shares, as on the maps."""
LEAST = {".1%": scales.LEAST_SHARE, ".1f": scales.LEAST_COUNT}
"""By the number format of a measure, the least end of its scale."""
LEAST_CHANGE = {".1%": 0.05, ".1f": 1.0}
"""The same for the difference of two periods: noise is no finding."""
WHOLE = "the whole city"
WEEK = 7


def page() -> None:
    """Draw the page."""
    name = header.head("city")
    header.stations(name)
    VIEWS[inputs.views(VIEWS)](name)


def _measure() -> str:
    return inputs.choice("Measure", "measure", list(MEASURES))


def _with_areas(name: str, answer: Answer) -> Answer:
    """Return *answer*, by district, with the displayed names of the areas."""
    place, shown = answer.columns.index("place"), frames.areas(name)
    rows = [
        (*row[:place], shown.get(row[place], row[place]), *row[place + 1 :])
        for row in answer.rows
    ]
    return Answer(answer.columns, rows)


def _week(name: str) -> None:
    when = inputs.span(name)
    left, right = st.columns(2)
    with left:
        measure = _measure()
    with right:
        area = inputs.choice(
            "Area", "area", [WHOLE, *sorted(frames.areas(name).values())]
        )
    by = "system" if area == WHOLE else "district"
    answer = frames.answer(name, "availability", when, by=by)
    if by == "district":
        answer = chart_rows.where(_with_areas(name, answer), place=area)
    table = frames.frame(chart_rows.by_hour(answer), frames.zone(name))
    column, form = MEASURES[measure]
    st.header(f"Week: {measure}", anchor=False)
    widgets.figure(
        heatmaps.week(
            column,
            measure,
            form=form,
            tips=widgets.HOUR_TIPS | {column: (measure, form)},
            domain=(0, scales.top_of(table[column].dropna(), LEAST[form])),
            above=COLOURS.get(column, ""),
        ),
        table,
        f"{name}-week",
        widgets.summed(table, widgets.STATION_SLOTS)
        + widgets.unseen(table[column])
        + widgets.few_seen(table)
        + (CLOSED if form.endswith("%") else ""),
        f"{measure} by weekday and hour",
    )


def _day(name: str) -> None:
    first, newest = widgets.days(name)[0], widgets.newest_day(name)
    day = inputs.day("Day", "day", newest, (first, widgets.last_day(name)))
    zone = frames.zone(name)
    film = frames.film(name, day)
    if not film.stations:
        verb = "cannot be read" if film.collected else "were not collected"
        st.info(f"The data of {day} {verb}; see Collection for the reason.")
        return
    _film(name, day, film)
    if mode.is_embedded():
        return
    widgets.foot(
        lambda: frames.frame(film.answer(), zone),
        f"{name}-{day}-map",
        f"{len(film.stations):,} stations were seen on this day, in "
        f"{film.collected:,} of {len(film.slots):,} slots."
        f"{widgets.unplaced(station[3] for station in film.stations)}",
    )
    _scarcity(name, (day, day + timedelta(days=1)))


def _film(name: str, day: date, film: Film) -> None:
    """Draw the day's *film* as a map with its curve."""
    zone, shown = frames.zone(name), frames.names(name)
    places = [
        film_dot(name, station, shown.get(station[0], station[1:3]))
        for station in film.stations
    ]
    selected = header.kept("station")
    picked = city_map.draw(
        places,
        key=f"film-{day}",
        film=film,
        labels=film.labels(zone),
        system=name,
        at=st.query_params.get("at", ""),
        selected=selected,
        is_static=mode.is_embedded(),
    )
    if picked.at is not None and picked.at != st.query_params.get("at", ""):
        st.query_params["at"] = picked.at
    if picked.station is not None and picked.station != selected:
        header.keep("station", picked.station)
        st.rerun()
    if picked.open:
        header.keep("station", picked.open)
        st.switch_page(header.link("station"), query_params={"station": picked.open})


def _scarcity(name: str, when: frames.Span) -> None:
    st.header("Stations empty, full or closed", anchor=False)
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
    tips = {"slot": ("slot", f"%a %d %b {widgets.clock_format(table['slot'])}")}
    tips |= {column: (title, "d") for column, (title, _) in series.items()}
    tips |= {"stations": ("stations seen", "d"), "said": ("this slot", "")}
    basis = widgets.basis((~table["missing"]).sum(), len(table))
    widgets.figure(
        timelines.lines("slot", series, unit="stations", tips=tips, step=True),
        table,
        f"{name}-scarcity",
        f"{basis} {widgets.no_data(table)}",
        "Number of stations that were empty, full and closed through the day",
    )


def _areas(name: str) -> None:
    when = inputs.span(name)
    left, right = st.columns(2)
    with left:
        measure = _measure()
    column, form = MEASURES[measure]
    answer = frames.answer(name, "availability", when, by="district")
    table = frames.frame(
        chart_rows.by_hour(_with_areas(name, answer)), frames.zone(name)
    )
    areas = sorted(table["place"].unique())
    with right:
        chosen = inputs.several(
            "Areas (up to twelve)", "areas", areas, areas[:9], max_selections=12
        )
    some, is_share = table[table["place"].isin(chosen)], form.endswith("%")
    st.header(f"Areas through the week: {measure}", anchor=False)
    known = some[column].dropna()
    if known.empty:
        st.info("No hour of the week was seen in these areas.")
        return
    small_weeks.draw(
        {area: _by_hour(some[some["place"] == area], column) for area in chosen},
        title=measure,
        top=scales.top_of(known, LEAST[form]),
        tone=COLOURS.get(column, ""),
        is_share=is_share,
    )
    widgets.foot(
        some,
        f"{name}-areas",
        f"{widgets.summed(some, widgets.STATION_SLOTS)} All charts use the same "
        f"scale.{CLOSED if is_share else ''}",
    )


def _by_hour(table: pd.DataFrame, column: str) -> dict[int, float]:
    """Return the known values of *column* by their hour of the week."""
    known = table.dropna(subset=[column])
    return dict(zip(known["hour_of_week"], known[column], strict=True))


def _compare(name: str) -> None:
    first, newest = widgets.days(name)[0], widgets.last_day(name)
    earlier, later = periods(first, newest)
    left, right = st.columns(2)
    with left.container(horizontal=True):
        one = inputs.ends(name, "a", earlier, "First period")
    with right.container(horizontal=True):
        other = inputs.ends(name, "b", later, "Second period")
    measure = _measure()
    if one == other:
        text = "Both periods are the same"
        if first == newest:
            text += ": there is only one day of data so far, to be compared later"
        st.info(f"{text}.")
        return
    column = MEASURES[measure][0]
    before, after = (frames.answer(name, "availability", span) for span in (one, other))
    st.header(f"Second period minus first: {measure}", anchor=False)
    _difference(name, chart_rows.by_hour(compared(before, after, column)), measure)


def _difference(name: str, answer: Answer, measure: str) -> None:
    """Draw the difference of *measure* between two periods, from the rows of both."""
    table = frames.frame(answer, frames.zone(name))
    caption = _basis_of_both(table)
    if table["difference"].isna().all():
        st.info("No hour of the week was seen in both periods.")
        st.caption(caption)
        return
    column, form = MEASURES[measure]
    is_share = form.endswith("%")
    shown, title, signed = "difference", "difference", f"+{form}"
    end = scales.top_of(table["difference"].dropna().abs(), LEAST_CHANGE[form])
    if is_share:
        shown, title, signed = "points", "difference, percentage points", "+.1f"
        end *= 100
    # Fewer bikes are orange, fewer docks are blue, as on the maps.
    below, above = encodings.BLUE, encodings.VERMILLION
    if column in FULLER:
        below, above = above, below
    tips = {
        "weekday": ("day", ""),
        "hour": ("hour", "d"),
        "first": ("first", form),
        "second": ("second", form),
        shown: (title, signed),
    }
    widgets.figure(
        heatmaps.week(
            shown,
            title,
            form=signed,
            tips=tips,
            domain=(-end, end),
            below=below,
            above=above,
            points="difference" if is_share else "",
        ),
        table,
        f"{name}-compared",
        f"Orange: emptier in the second period, blue: fuller. {caption}"
        f"{widgets.unseen(table['difference'])}"
        f"{widgets.few_seen(table, ('_first', '_second'))}"
        f"{CLOSED if is_share else ''}",
        f"Difference of {measure} between the periods, by weekday and hour",
    )


def _basis_of_both(table: pd.DataFrame) -> str:
    """Return the basis of each of the two periods of *table*."""
    texts = (
        widgets.summed(table, widgets.STATION_SLOTS, tail)
        for tail in ("_first", "_second")
    )
    first, second = (text.removeprefix("Basis: ") for text in texts)
    return f"First period: {first} Second period: {second}"


def periods(first: date, newest: date) -> tuple[frames.Span, frames.Span]:
    """Return two periods to compare, each by its first and last day.

    They have the same weekdays if there are more than seven days.

    >>> (a, b), (c, d) = periods(date(2026, 11, 1), date(2026, 11, 9))
    >>> [day.day for day in (a, b, c, d)]
    [1, 2, 8, 9]
    """
    days = (newest - first).days + 1
    length = min(28, days // 14 * 7) or (days - 7 if days > WEEK else max(1, days // 2))
    shift = timedelta(days=max(length, WEEK if days > WEEK else 1))
    begin = newest - timedelta(days=length - 1)
    return (begin - shift, newest - shift), (begin, newest)


VIEWS: dict[str, Callable[[str], None]] = {
    "Week": _week,
    "Day": _day,
    "Areas": _areas,
    "Compare": _compare,
    "Rankings": city_rankings.view,
}
