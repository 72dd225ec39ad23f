"""The data of the pages as pandas frames, cached until new data are committed."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from bikecollect.app.queries.coverage_days import Day, days_of
from bikecollect.app.queries.current import data_service
from bikecollect.app.queries.films.day_film import Film
from bikecollect.app.queries.service import DataService, State
from bikecollect.app.queries.station_names import (
    StationTexts,
    area_names,
    display_names,
    prefers_english,
)
from bikecollect.app.queries.stations import Known, MapStation, known, places
from bikecollect.app.queries.systems import NewestCounts, newest_counts
from bikecollect.core.errors import BikecollectError
from bikecollect.core.timeline.zones import DAY
from bikecollect.reports.coverage import Account
from bikecollect.reports.runner import Answer
from bikecollect.reports.status import Standing
from bikecollect.setup.catalogue.publishers import Publisher, publisher_in
from bikecollect.wiring import history

EPOCHS = ("slot", "first_slot", "last_slot", "since", "until", "last_reported")
"""Columns of epoch seconds; texts in them are local times."""
CLOCKS = ("time",)
OFFSET = "_utc_offset"
"""The end of the names of columns with the offsets of local times."""
ENGLISH, OWN = "en", "own"
"""The languages of names in the address: in English, and the publisher's."""
Span = tuple[date, date]
Station = TypeVar("Station", MapStation, Known)


def _key(name: str) -> tuple[DataService, State, str]:
    """Return the arguments of a function whose value for *name* is cached.

    The state and the name are the cache's key; the service is not, as the name of its
    parameter begins with an underscore.
    """
    service = data_service()
    return service, service.state(name), name


def zone(name: str) -> ZoneInfo:
    """Return the time zone of the system called *name*."""
    return history.zone(data_service().settings, name)


@st.cache_data(max_entries=60, show_spinner="Reading the history ...")
def _asked(
    _service: DataService,
    state: State,
    question: tuple[str, str, date, date],
    **more: Any,
) -> Answer:
    return _service.ask(*question, **more)


def answer(name: str, report: str, when: Span, **more: Any) -> Answer:
    """Return the answer of *report*, cached until new data are committed.

    *more* are parameters of `DataService.ask`.
    """
    service, state, _ = _key(name)
    return _asked(service, state, (name, report, *when), **more)


def frame(answer: Answer, zone: ZoneInfo) -> pd.DataFrame:
    """Return *answer* as a frame; its epoch seconds become local times in *zone*.

    A column with their UTC offsets follows each of them, for downloads.
    """
    table = pd.DataFrame(list(answer.rows), columns=answer.columns)
    for name in EPOCHS:
        if name in table and not pd.api.types.is_string_dtype(table[name]):
            times, offsets = _local(table[name], zone)
            table[name] = times
            place = table.columns.tolist().index(name)
            table.insert(place + 1, f"{name}{OFFSET}", offsets)
    for name in (*CLOCKS, *EPOCHS):
        if name in table and pd.api.types.is_string_dtype(table[name]):
            table[name] = pd.to_datetime(table[name])
    return table


def without_offsets(table: pd.DataFrame) -> pd.DataFrame:
    """Return *table* as it is shown."""
    return table.drop(columns=[c for c in table if str(c).endswith(OFFSET)])


def _local(seconds: Any, zone: ZoneInfo) -> tuple[Any, Any]:
    """Return a column of epoch seconds as local times in *zone*, and their offsets.

    If the zone was changed, pandas would use the last one for all times.
    """
    moments = {at: datetime.fromtimestamp(at, zone) for at in seconds.dropna().unique()}
    times = {at: moment.replace(tzinfo=None) for at, moment in moments.items()}
    offsets = {at: f"UTC{moment.isoformat()[19:]}" for at, moment in moments.items()}
    return pd.to_datetime(seconds.map(times)), seconds.map(offsets)


@st.cache_data(max_entries=4, show_spinner="Reading the stations ...")
def _texts(
    _service: DataService,
    state: State,
    name: str,
) -> dict[str, StationTexts]:
    return _service.texts(name)


def texts(name: str) -> dict[str, StationTexts]:
    """Return the texts about each station, by its id."""
    return _texts(*_key(name))


def is_english(name: str) -> bool:
    """Return whether names in English are shown: as chosen, else by the browser."""
    kept = st.session_state.get("kept", {}).get("names", "")
    chosen = st.query_params.get("names") or kept
    if chosen:
        return bool(chosen == ENGLISH)
    return prefers_english(st.context.locale, texts(name))


@st.cache_data(max_entries=4, show_spinner=False)
def _display_names(
    _service: DataService,
    state: State,
    name: str,
    *,
    english: bool,
) -> dict[str, tuple[str | None, str | None]]:
    return display_names(_service.texts(name), english=english)


@st.cache_data(max_entries=100, show_spinner=False)
def _publisher(
    _service: DataService,
    state: State,
    name: str,
) -> Publisher:
    return publisher_in(_service.settings, name)


def publisher(name: str) -> Publisher:
    """Return the publisher of the system *name*."""
    return _publisher(*_key(name))


def names(name: str) -> dict[str, tuple[str | None, str | None]]:
    """Return the displayed name and area of each station, by its id."""
    return _display_names(*_key(name), english=is_english(name))


def areas(name: str) -> dict[str, str]:
    """Return the displayed name of each area, by its name in reports."""
    return area_names(texts(name), english=is_english(name))


def snapshot(name: str, newest: date) -> list[MapStation]:
    """Return all stations in the newest slot, which is on the day *newest*."""
    rows = answer(name, "snapshot", (newest - DAY, newest + DAY)).rows
    return _displayed(name, places(rows))


def vehicles(name: str, newest: date) -> Answer:
    """Return the vehicles in the newest slot, which is on the day *newest*."""
    return answer(name, "vehicles", (newest - DAY, newest + DAY))


def stations(name: str, newest: date) -> dict[str, Known]:
    """Return all stations, present and removed, by their ids."""
    rows = answer(name, "stations", (newest - DAY, newest + DAY)).rows
    return {station.station_id: station for station in _displayed(name, known(rows))}


def _displayed(name: str, stations: Iterable[Station]) -> list[Station]:
    """Return *stations* of the system *name* with their displayed names and areas."""
    shown = names(name)
    return [
        station._replace(name=called, region=region)
        for station in stations
        for called, region in [
            shown.get(station.station_id, (station.name, station.region))
        ]
    ]


@st.cache_data(max_entries=4, show_spinner="Reading the day ...")
def _film(
    _service: DataService,
    state: State,
    name: str,
    day: date,
) -> Film:
    return _service.film(name, day)


def film(name: str, day: date) -> Film:
    """Return the film of *day*, cached until new data are committed."""
    return _film(*_key(name), day)


@st.cache_data(max_entries=2, show_spinner="Reading the last day ...")
def _last_hours(
    _service: DataService,
    state: State,
    name: str,
) -> Film:
    return _service.last_hours(name)


def last_hours(name: str) -> Film:
    """Return the film of the 24 hours that end with the newest slot."""
    return _last_hours(*_key(name))


@st.cache_data(max_entries=4, show_spinner="Reading the ledger ...")
def _account(
    _service: DataService,
    state: State,
    name: str,
    when: Span,
) -> Account:
    return replace(_service.account(name, *when), judged=())


def account(name: str, when: Span) -> Account:
    """Return the account of the days of *when*, without its slots."""
    return _account(*_key(name), when)


def calendar(name: str, when: Span) -> pd.DataFrame:
    """Return a row per day: slots expected, collected and missing, and the cause."""
    return pd.DataFrame(days_of(answer(name, "coverage", when)), columns=Day._fields)


@st.cache_data(max_entries=2_000, show_spinner=False)
def _standing(
    _service: DataService,
    state: State,
    name: str,
) -> Standing:
    return _service.standing(name)


def standing(name: str) -> Standing:
    """Return the status of the system *name*, as of this slot or a little before."""
    return _standing(data_service(), status_state(name), name)


def status_state(name: str) -> State:
    """Return a value that also changes when a run of the system *name* begins."""
    service = data_service()
    running = tuple(run.run_id for run in service.running(name))
    return (*service.state(name), running)


@st.cache_data(max_entries=2_000, show_spinner=False)
def _counts(
    _service: DataService,
    state: State,
    name: str,
) -> NewestCounts:
    return newest_counts(_service.settings.system_folder(name))


def counts(name: str) -> NewestCounts:
    """Return the counts of the newest slot of the system *name*."""
    return _counts(*_key(name))


def warm() -> None:
    """Read the data of the first page in advance; the page itself shows errors."""
    service = data_service()
    with suppress(BikecollectError):
        name = next(iter(service.settings.systems))
        standing(name)
        if (newest := service.newest_day(name)) is not None:
            for report in ("snapshot", "vehicles"):
                answer(name, report, (newest - DAY, newest + DAY))
            texts(name)
            last_hours(name)
