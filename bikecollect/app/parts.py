"""What pages share: the data, what is asked for, and figures with their basis."""

import atexit
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from bikecollect import config, keeper
from bikecollect.account import Account
from bikecollect.asking import Answer
from bikecollect.errors import BikecollectError
from bikecollect.looking import Look
from bikecollect.looking.calendar import Day, days_of
from bikecollect.looking.film import Film
from bikecollect.looking.places import Place, places
from bikecollect.slot import iso
from bikecollect.words import ago, percent

STYLE = """<style>
[data-testid="stMainBlockContainer"] {padding-top: 4rem; padding-bottom: 3rem}
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] {padding-left: 1rem; padding-right: 1rem}
}
</style>"""
ONLY = "BIKECOLLECT_APP_SYSTEM"
"""Names the variable by which ``--system`` reaches the app."""
RANGES = {"7 days": 7, "28 days": 28, "90 days": 90, "365 days": 365, "All": 0}
EPOCHS = ("slot", "first_slot", "last_slot", "since", "last_reported")
Span = tuple[date, date]
ColumnConfig = Any
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def run(page: Callable[[], None]) -> None:
    """Show *page*; a trouble of ours is said in words."""
    try:
        page()
    except BikecollectError as error:
        st.error(str(error))


@st.cache_resource(show_spinner=False)
def look() -> Look:
    """Return what answers all questions, one for all sessions."""
    made = Look(config.load(None))
    atexit.register(made.close)
    return made


def system() -> str:
    """Let the system be chosen, where there are several; say how fresh it is."""
    only = os.environ.get(ONLY)
    names = [only] if only else list(look().settings.systems)
    if len(names) == 1:
        return names[0]
    return st.selectbox("System", names, key="system", bind="query-params")


def zone(name: str) -> ZoneInfo:
    """Return the time zone of the system called *name*."""
    return keeper.zone(look().settings, name)


def freshness(name: str) -> None:
    """Say how old the newest data are, in plain sight."""
    health = look().standing(name).health
    if health.behind is None:
        st.warning(f"**{name}**: nothing was collected yet.")
        return
    when = iso(health.now - health.behind, zone(name))
    text = f"Newest data: **{ago(health.behind)}** ({when[:10]} {when[11:16]}, local)"
    if health.late:
        st.warning(f"{text}. It is late: see Collection.", icon=":material/schedule:")
    else:
        st.caption(text)


def days(name: str) -> tuple[date, date]:
    """Return the first and the newest day; a system without any ends the page."""
    found = look().days(name)
    if found is None:
        st.info(
            "Nothing was collected yet. Let cron call `bikecollect fetch`, or try a "
            "simulated month: `bikecollect demo --days 30`."
        )
        st.stop()
    return found


def span(name: str, *, key: str = "range", default: str = "28 days") -> Span:
    """Let a range of days be chosen; return its first day and the one behind it."""
    first, newest = days(name)
    left, right = st.columns(2)
    words = left.selectbox(
        "Range",
        [*RANGES, "Own dates"],
        index=list(RANGES).index(default),
        key=key,
        bind="query-params",
    )
    if words != "Own dates":
        last = right.date_input(
            "Last day",
            value=newest,
            min_value=first,
            max_value=newest,
            key=f"{key}_last",
            bind="query-params",
        )
        length = RANGES[words]
        begin = max(first, last - timedelta(days=length - 1)) if length else first
        return begin, last + timedelta(days=1)
    begin = right.date_input(
        "First day",
        value=first,
        min_value=first,
        max_value=newest,
        key=f"{key}_from",
        bind="query-params",
    )
    last = right.date_input(
        "Last day",
        value=newest,
        min_value=first,
        max_value=newest,
        key=f"{key}_to",
        bind="query-params",
    )
    return min(begin, last), max(begin, last) + timedelta(days=1)


@st.cache_data(max_entries=60, show_spinner="Reading the history ...")
def _asked(
    _look: Look,
    state: tuple[object, ...],  # noqa: ARG001 - part of the cache's key
    question: tuple[str, str, date, date],
    *,
    by: str,
    stations: tuple[str, ...],
    least: int,
) -> Answer:
    return _look.ask(*question, by=by, stations=stations, least=least)


def answer(
    name: str,
    report: str,
    when: Span,
    *,
    by: str = "",
    stations: Sequence[str] = (),
    least: int = 1,
) -> Answer:
    """Return what *report* says, from the cache until something new comes."""
    question = (name, report, *when)
    state = look().state(name)
    return _asked(look(), state, question, by=by, stations=tuple(stations), least=least)


def frame(found: Answer, there: ZoneInfo) -> pd.DataFrame:
    """Return an answer as a table; its epoch seconds become local clock times."""
    table = pd.DataFrame(list(found.rows), columns=found.columns)
    for name in EPOCHS:
        if name in table:
            table[name] = local(table[name], there)
    return table


def local(seconds: Any, there: ZoneInfo) -> Any:
    """Return a column of epoch seconds as clock times of *there*."""
    return (
        pd.to_datetime(seconds, unit="s", utc=True)
        .dt.tz_convert(there)
        .dt.tz_localize(None)
    )


def snapshot(name: str) -> list[Place]:
    """Return all places in the newest slot."""
    newest = days(name)[1]
    when = (newest - timedelta(days=1), newest + timedelta(days=1))
    return places(answer(name, "snapshot", when).rows)


@st.cache_data(max_entries=4, show_spinner="Reading the day ...")
def _film(
    _look: Look,
    state: tuple[object, ...],  # noqa: ARG001 - part of the cache's key
    name: str,
    day: date,
) -> Film:
    return _look.film(name, day)


def film(name: str, day: date) -> Film:
    """Return the film of *day*, from the cache until something new comes."""
    return _film(look(), look().state(name), name, day)


@st.cache_data(max_entries=4, show_spinner="Reading the ledger ...")
def _account(
    _look: Look,
    state: tuple[object, ...],  # noqa: ARG001 - part of the cache's key
    name: str,
    when: Span,
) -> Account:
    return replace(_look.account(name, *when), judged=())


def account(name: str, when: Span) -> Account:
    """Return the account of the days of *when*, without its single slots."""
    return _account(look(), look().state(name), name, when)


def calendar(name: str, when: Span) -> pd.DataFrame:
    """Return a line a day: what was expected and collected, and what was amiss."""
    found = days_of(answer(name, "coverage", when))
    table = pd.DataFrame(found, columns=Day._fields)
    table["share"] = table["collected"] / table["expected"]
    day = pd.to_datetime(table["day"])
    table["weekday"] = day.dt.dayofweek.map(lambda each: WEEKDAYS[each])
    monday = day - pd.to_timedelta(day.dt.dayofweek, "D")
    table["week"] = monday.dt.strftime("%Y-%m-%d")
    return table


def mondays(newest: date) -> list[str]:
    """Return the Mondays of the 53 weeks that end with that of *newest*."""
    last = newest - timedelta(days=newest.weekday())
    return [(last - timedelta(weeks=each)).isoformat() for each in range(52, -1, -1)]


def titles(name: str) -> dict[str, str]:
    """Return what each station is called, by its id."""
    return {each.station_id: each.name or each.station_id for each in snapshot(name)}


def basis(seen: float, expected: float, what: str = "slots") -> str:
    """Return what a figure rests on."""
    share = percent(seen / expected) if expected else percent(None)
    return f"Basis: {seen:,.0f} of {expected:,.0f} expected {what} were seen ({share})."


def figure(spec: dict[str, Any], table: pd.DataFrame, name: str, said: str) -> None:
    """Draw *table* by *spec*; under it *said*, its basis, and a button for the data."""
    st.vega_lite_chart(table, spec, width="stretch")
    foot(table, name, said)


def foot(table: pd.DataFrame, name: str, said: str) -> None:
    """Say what a figure rests on, and offer its data."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(said, width="stretch")
        st.download_button(
            "Data",
            lambda: table.to_csv(index=False).encode(),
            f"{name}.csv",
            "text/csv",
            key=f"data-{name}",
            on_click="ignore",
            icon=":material/download:",
            help="This figure's data, as CSV",
        )


def clock(seconds: float, there: ZoneInfo) -> str:
    """Return a moment as local day and minute."""
    return datetime.fromtimestamp(seconds, there).strftime("%Y-%m-%d %H:%M")


HOUR_TIPS = {
    "weekday": ("day", ""),
    "hour": ("hour", "d"),
    "slots_seen": ("slots seen", ",d"),
    "slots_expected": ("slots expected", ",d"),
}


def by_hour(table: pd.DataFrame) -> pd.DataFrame:
    """Return *table* with its hour of the week as ``weekday`` and ``hour``."""
    table["weekday"] = table["hour_of_week"].map(lambda each: WEEKDAYS[each // 24])
    table["hour"] = table["hour_of_week"] % 24
    return table


def share_column(title: str, help_: str = "") -> ColumnConfig:
    """Return how a column of shares is shown."""
    return st.column_config.ProgressColumn(
        title, help=help_ or None, format="percent", min_value=0, max_value=1
    )


def time_column(title: str, help_: str = "") -> ColumnConfig:
    """Return how a column of clock times is shown."""
    return st.column_config.DatetimeColumn(
        title, help=help_ or None, format="YYYY-MM-DD HH:mm"
    )


def more(station: str, called: str) -> None:
    """Lead to the page of *station*."""
    st.markdown(f"[More about **{called or station}**](station?station={station})")
