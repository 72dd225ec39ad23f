"""What pages draw: answers, from a cache until something new was committed."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from bikecollect.app.queries.coverage_days import Day, days_of
from bikecollect.app.queries.current import data_service
from bikecollect.app.queries.day_film import Film
from bikecollect.app.queries.service import DataService
from bikecollect.app.queries.stations import Known, MapStation, known, places
from bikecollect.reports.coverage import Account
from bikecollect.reports.runner import Answer
from bikecollect.wiring import history

EPOCHS = ("slot", "first_slot", "last_slot", "since", "until", "last_reported")
"""Columns of epoch seconds; where they are texts, those are local clock times."""
CLOCKS = ("time",)
Span = tuple[date, date]
DAY = timedelta(days=1)


def zone(name: str) -> ZoneInfo:
    """Return the time zone of the system called *name*."""
    return history.zone(data_service().settings, name)


@st.cache_data(max_entries=60, show_spinner="Reading the history ...")
def _asked(
    _service: DataService,
    state: tuple[object, ...],  # part of the cache's key
    question: tuple[str, str, date, date],
    **more: Any,
) -> Answer:
    return _service.ask(*question, **more)


def answer(name: str, report: str, when: Span, **more: Any) -> Answer:
    """Return what *report* says, from the cache until something new comes.

    *more* is for `DataService.ask`.
    """
    return _asked(
        data_service(), data_service().state(name), (name, report, *when), **more
    )


def frame(found: Answer, there: ZoneInfo) -> pd.DataFrame:
    """Return an answer as a table; its epoch seconds become local clock times."""
    table = pd.DataFrame(list(found.rows), columns=found.columns)
    for name in EPOCHS:
        if name in table and not pd.api.types.is_string_dtype(table[name]):
            table[name] = local(table[name], there)
    for name in (*CLOCKS, *EPOCHS):
        if name in table and pd.api.types.is_string_dtype(table[name]):
            table[name] = pd.to_datetime(table[name])
    return table


def local(seconds: Any, there: ZoneInfo) -> Any:
    """Return a column of epoch seconds as clock times of *there*."""
    return (
        pd.to_datetime(seconds, unit="s", utc=True)
        .dt.tz_convert(there)
        .dt.tz_localize(None)
    )


def snapshot(name: str, newest: date) -> list[MapStation]:
    """Return all stations in the newest slot, which is of the day *newest*."""
    return places(answer(name, "snapshot", (newest - DAY, newest + DAY)).rows)


def vehicles(name: str, newest: date) -> Answer:
    """Return the vehicles of the newest slot, which is of the day *newest*."""
    return answer(name, "vehicles", (newest - DAY, newest + DAY))


def stations(name: str, newest: date) -> dict[str, Known]:
    """Return all stations there are and were, by their ids."""
    found = known(answer(name, "stations", (newest - DAY, newest + DAY)).rows)
    return {each.station_id: each for each in found}


@st.cache_data(max_entries=4, show_spinner="Reading the day ...")
def _film(
    _service: DataService,
    state: tuple[object, ...],  # part of the cache's key
    name: str,
    day: date,
) -> Film:
    return _service.film(name, day)


def film(name: str, day: date) -> Film:
    """Return the film of *day*, from the cache until something new comes."""
    return _film(data_service(), data_service().state(name), name, day)


@st.cache_data(max_entries=4, show_spinner="Reading the ledger ...")
def _account(
    _service: DataService,
    state: tuple[object, ...],  # part of the cache's key
    name: str,
    when: Span,
) -> Account:
    return replace(_service.account(name, *when), judged=())


def account(name: str, when: Span) -> Account:
    """Return the account of the days of *when*, without its single slots."""
    return _account(data_service(), data_service().state(name), name, when)


def calendar(name: str, when: Span) -> pd.DataFrame:
    """Return a line a day: what was expected and collected, and what was amiss."""
    return pd.DataFrame(days_of(answer(name, "coverage", when)), columns=Day._fields)
