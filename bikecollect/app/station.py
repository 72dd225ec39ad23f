"""The page of one station: its past, its typical day, its chances, its neighbours."""

from datetime import date, timedelta

import pandas as pd
import streamlit as st

from bikecollect.app import charts, grids, lines, parts
from bikecollect.app.parts import Span

RAW_DAYS = 10
"""Up to so many days are drawn slot by slot, more by the hour."""
COUNT = ".1f"


def page() -> None:
    """Draw the page."""
    st.title("Station")
    name = parts.system()
    parts.freshness(name)
    station = _picked(name)
    when = parts.span(name)
    _head(name, station)
    _history(name, station, when)
    _typical(name, station, when)
    _chance(name, station, when)
    _neighbours(name, station, when)
    _scarce(name, station, when)
    _identity(name, station)


def _picked(name: str) -> str:
    """Let a station be picked; its id is in the address."""
    titles = parts.titles(name)
    ids = sorted(titles, key=lambda each: titles[each])
    asked = st.query_params.get("station", "")
    if asked and asked not in titles:
        st.warning(f"No station has the id {asked} now; here is another.")
    picked = st.selectbox(
        "Station",
        ids,
        index=ids.index(asked) if asked in titles else 0,
        format_func=lambda each: f"{titles[each]} ({each})",
    )
    if picked != asked:
        st.query_params["station"] = picked
    return picked


def _head(name: str, station: str) -> None:
    place = next(p for p in parts.snapshot(name) if p.station_id == station)
    shown = {
        "Bikes now": place.vehicles,
        "Free docks now": place.docks,
        "Capacity": place.capacity,
        "Area": place.region,
    }
    with st.container(horizontal=True, gap="large"):
        for title, value in shown.items():
            known = "not seen" if value is None else value
            st.metric(title, known, width="content")
    if place.is_closed:
        st.warning("The station says that it is closed.")


def _history(name: str, station: str, when: Span) -> None:
    st.subheader("What it had")
    there = parts.zone(name)
    if (when[1] - when[0]).days <= RAW_DAYS:
        table = parts.frame(
            parts.answer(name, "history", when, stations=[station]), there
        )
        table["until"] = table["slot"] + pd.Timedelta(
            seconds=parts.look().settings.seconds
        )
        table["missing"] = table["num_vehicles_available"].isna()
        table["state"] = table["cause"].where(table["cause"] != "", table["state"])
        series = {
            "num_vehicles_available": ("bikes", charts.BLUE),
            "num_docks_available": ("free docks", charts.ORANGE),
            "capacity": ("capacity", charts.GREY),
        }
        tips = {"slot": ("slot", "%a %d %b %H:%M")}
        tips |= {each: (title, "d") for each, (title, _) in series.items()}
        tips |= {"state": ("this slot", ""), "is_renting": ("renting", "")}
        spec = lines.lines("slot", series, unit="number", tips=tips, step=True)
        said = parts.basis((~table["missing"]).sum(), len(table))
    else:
        table = parts.frame(
            parts.answer(name, "hours", when, stations=[station]), there
        )
        table["time"] = pd.to_datetime(table["date"]) + pd.to_timedelta(
            table["hour"], "h"
        )
        table["until"] = table["time"] + pd.Timedelta(hours=1)
        table["missing"] = table["slots_seen"] == 0
        series = {
            "mean_vehicles": ("bikes", charts.BLUE),
            "mean_docks": ("free docks", charts.ORANGE),
            "mean_capacity": ("capacity", charts.GREY),
        }
        tips = {"time": ("hour", "%a %d %b %Y %H:00")}
        tips |= {each: (title, COUNT) for each, (title, _) in series.items()}
        tips |= {
            "min_vehicles": ("least bikes", "d"),
            "max_vehicles": ("most bikes", "d"),
        }
        tips |= {"slots_seen": ("slots seen", "d"), "slots_expected": ("expected", "d")}
        spec = lines.lines("time", series, unit="mean of the hour", tips=tips)
        said = parts.basis(table["slots_seen"].sum(), table["slots_expected"].sum())
    parts.figure(
        spec,
        table,
        f"{station}-history",
        f"{said} Grey: not seen, and nothing is drawn over it.",
    )


def _typical(name: str, station: str, when: Span) -> None:
    st.subheader("A day against the typical one")
    newest = parts.days(name)[1]
    left, right = st.columns(2)
    day = left.date_input(
        "Day", newest, max_value=newest, key="day", bind="query-params"
    )
    what = right.segmented_control(
        "Of", ["bikes", "docks"], default="bikes", key="of", bind="query-params"
    )
    column = "docks" if what == "docks" else "vehicles"
    there = parts.zone(name)
    typical = parts.frame(
        parts.answer(name, "typical", when, stations=[station]), there
    )
    typical = typical[typical["weekday"] == day.weekday()]
    if typical.empty:
        st.info("The range has no such weekday.")
        return
    table = _overlaid(name, station, typical, day, column)
    tips = {
        "time": ("time", "%H:%M"),
        "today": ("that day", "d"),
        "low": ("a quarter of days below", COUNT),
        "mid": ("half of days below", COUNT),
        "high": ("a quarter of days above", COUNT),
        "days_seen": ("days seen", "d"),
        "days_expected": ("days expected", "d"),
    }
    unit = "bikes" if column == "vehicles" else "free docks"
    low, high = int(typical["days_seen"].min()), int(typical["days_seen"].max())
    parts.figure(
        lines.band(unit=unit, tips=tips, over=True),
        table,
        f"{station}-typical",
        f"Typical {day:%A}, from {when[0]} to {when[1] - timedelta(days=1)}: between "
        f"{low} and {high} days seen of {int(typical['days_expected'].max())}, by "
        f"quarter of an hour. On half of them it was inside the band. Dashed: {day}.",
    )


def _overlaid(
    name: str, station: str, typical: pd.DataFrame, day: date, column: str
) -> pd.DataFrame:
    """Return the typical day and *day* in one table, by the minute of the day."""
    there = parts.zone(name)
    start = pd.Timestamp(day)
    table = typical.rename(
        columns={f"{each}_{column}": each for each in ("low", "mid", "high")}
    )
    table["time"] = start + pd.to_timedelta(table["minute"], "min")
    names = ["time", "low", "mid", "high", "days_seen", "days_expected"]
    found = parts.frame(
        parts.answer(
            name, "history", (day, day + timedelta(days=1)), stations=[station]
        ),
        there,
    ).rename(columns={"slot": "time", f"num_{column}_available": "today"})
    if found.empty:
        return table[names].assign(today=None, asked=False)
    found["asked"] = True
    made = table[names].merge(found[["time", "today", "asked"]], on="time", how="outer")
    return made.assign(asked=made["asked"].notna())


def _chance(name: str, station: str, when: Span) -> None:
    st.subheader("Chance of a bike, and of a free dock")
    what = st.segmented_control(
        "Chance of",
        ["a bike", "a dock"],
        default="a bike",
        key="chance",
        bind="query-params",
        label_visibility="collapsed",
    )
    found = parts.answer(name, "availability", when, by="station", stations=[station])
    table = parts.by_hour(parts.frame(found, parts.zone(name)))
    column = "share_with_dock" if what == "a dock" else "share_with_vehicle"
    tips = parts.HOUR_TIPS | {column: (f"chance of {what or 'a bike'}", ".0%")}
    parts.figure(
        grids.week(
            column,
            f"share of slots with {what or 'a bike'}",
            form=".0%",
            tips=tips,
            domain=(0, 1),
        ),
        table,
        f"{station}-chance",
        parts.basis(table["slots_seen"].sum(), table["slots_expected"].sum()),
    )


def _neighbours(name: str, station: str, when: Span) -> None:
    st.subheader("Where to go when it has none")
    table = parts.frame(
        parts.answer(name, "neighbours", when, stations=[station]), parts.zone(name)
    )
    if table.empty:
        st.caption("It was neither empty nor full in this range, or nothing is near.")
        return
    titles = parts.titles(name)
    table["name"] = table["neighbour"].map(titles).fillna(table["neighbour"])
    for what, words in (("empty", "no bike"), ("full", "no free dock")):
        some = table[table["what"] == what].head(8)
        if some.empty:
            continue
        slots = int(some["slots"].iloc[0])
        st.markdown(f"**When it has {words}** ({slots:,} slots of the range)")
        st.dataframe(
            some[["name", "metres", "share", "slots_seen"]],
            hide_index=True,
            column_config={
                "name": st.column_config.TextColumn("station", width="medium"),
                "metres": st.column_config.NumberColumn("metres away", format="%d"),
                "share": parts.share_column(
                    "then has a bike" if what == "empty" else "then has a dock"
                ),
                "slots_seen": st.column_config.NumberColumn("slots seen"),
            },
        )
    parts.foot(table, f"{station}-neighbours", "Listed stations within 1,000 metres.")


def _scarce(name: str, station: str, when: Span) -> None:
    st.subheader("When it was empty or full for longest")
    least = max(1, 1800 // parts.look().settings.seconds)
    table = parts.frame(
        parts.answer(name, "episodes", when, stations=[station], least=least),
        parts.zone(name),
    )
    if table.empty:
        st.caption("Never for half an hour in this range, as far as it was seen.")
        return
    table["hours"] = table["length_s"] / 3600
    table["sure"] = (table["begin_seen"] == 1) & (table["end_seen"] == 1)
    st.dataframe(
        table[["what", "first_slot", "last_slot", "hours", "sure"]].head(10),
        hide_index=True,
        column_config={
            "what": "was",
            "first_slot": parts.time_column("from"),
            "last_slot": parts.time_column("to"),
            "hours": st.column_config.NumberColumn("hours", format="%.1f"),
            "sure": st.column_config.CheckboxColumn(
                "both ends seen",
                help="Else it may have been longer: a gap is beside it.",
            ),
        },
    )
    parts.foot(
        table, f"{station}-episodes", f"{len(table):,} times for half an hour or more."
    )


def _identity(name: str, station: str) -> None:
    st.subheader("What became of it")
    first, newest = parts.days(name)
    table = parts.frame(
        parts.answer(
            name, "changes", (first, newest + timedelta(days=1)), stations=[station]
        ),
        parts.zone(name),
    )
    if table.empty:
        st.caption(f"Neither moved, renamed nor resized since {first}.")
        return
    st.dataframe(
        table[["since", "what", "old", "new", "metres"]],
        hide_index=True,
        column_config={
            "since": parts.time_column("since"),
            "what": "what",
            "old": "before",
            "new": "then",
            "metres": st.column_config.NumberColumn("metres moved", format="%d"),
        },
    )
    parts.foot(table, f"{station}-changes", f"All since {first}.")
