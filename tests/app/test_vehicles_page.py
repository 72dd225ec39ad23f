"""The page of the newest slot shows vehicles, with or without stations."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from app_pages import page_script, run_lightly, said, show_data_of
from publisher import publishing
from vehicles import publish, station, vehicle

from bikecollect.app.queries.service import DataService
from bikecollect.core.slots import DAY

pytest.importorskip("duckdb")
testing = pytest.importorskip("streamlit.testing.v1")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return what collects vehicles and stations, and returns the page of them."""
    import streamlit  # heavy, and an extra

    def shown(vehicles: list[Any], stations: list[Any], page: str = "now") -> Any:
        with publishing(tmp_path, vehicles=True) as city:
            publish(city, vehicles, stations=stations)
            city.fetch()
            service = DataService(city.settings, clock=city.clock)
            show_data_of(service, monkeypatch)
            streamlit.cache_data.clear()
            run_lightly(monkeypatch)
            app = testing.AppTest.from_function(
                page_script, default_timeout=60, args=(page,)
            )
            app.run()
            service.close()
        assert [error.value for error in app.exception] == []
        return app

    return shown


def test_vehicles_are_shown_beside_stations(show: Callable[..., Any]) -> None:
    """A map and a table of each."""
    lost = {"bike_id": "lost"}
    app = show([vehicle(), vehicle("b", is_disabled=True), lost], [station()])

    assert "Vehicles" in [item.value for item in app.header]
    text = "3 vehicles in the slot 2026-11-22 00:05; 2 of 2 with a location are shown."
    assert text in said(app)
    assert "1 of 1 stations shown" in said(app)
    columns = json.loads(app.dataframe[1].proto.columns)
    assert columns["current_range_meters"]["label"] == "range, m"
    assert columns["system_id"]["hidden"]


def test_a_system_without_stations_shows_its_vehicles(show: Callable[..., Any]) -> None:
    """There is no empty map of stations."""
    app = show([vehicle(), vehicle("b")], [])

    assert [item.value for item in app.header] == ["Vehicles"]
    assert "2 vehicles in the slot" in said(app)


@pytest.mark.parametrize("page", ["station", "city"])
def test_a_system_without_stations_names_the_page_of_its_vehicles(
    show: Callable[..., Any], page: str
) -> None:
    """There is no empty chart whose scale is NaN."""
    app = show([vehicle()], [], page)

    assert [item.value for item in app.info] == [
        "No station has been seen: Live shows the vehicles of this system."
    ]
    assert len(app.header) == 0


def test_vehicles_beside_unreadable_stations_are_the_newest_data(
    tmp_path: Path,
) -> None:
    """Their day is known while the feed is down, though no slot has stations."""
    with publishing(tmp_path, vehicles=True) as city:
        publish(city, [vehicle()], stations=[station()])
        city.documents["/station_status.json"] = {"data": {"stations": [{"a": 1}]}}
        city.fetch()
        city.documents.clear()
        city.fetch(after=3 * DAY)
        service = DataService(city.settings, clock=city.clock)
        (name,) = city.settings.systems

        assert service.newest_day(name) == date(2026, 11, 22)
        assert service.days(name) == (date(2026, 11, 22), date(2026, 11, 25))
