"""Filters: rows of some stations only; the payload and the list are complete."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from publisher import Publisher, publishing

from bikecollect.core.errors import Outcome, SettingsError
from bikecollect.setup.loader import parse

STATIONS: list[dict[str, Any]] = [
    {
        "sno": str(number),
        "sbi": 4,
        "bemp": 6,
        "tot": 10,
        "sarea": "板橋區" if number < 3 else "三重區",
        "sareaen": "Banqiao Dist." if number < 3 else "Sanchong Dist.",
        "lat": 25.0 + number / 100,
        "lng": 121.4 + number / 100,
    }
    for number in range(8)
]


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Publisher]:
    """Yield a system of eight stations in two districts."""
    with publishing(tmp_path, feed="youbike", path="/list") as publisher:
        publisher.documents["/list"] = STATIONS
        yield publisher


def ids(publisher: Publisher) -> list[str]:
    """Return the ids of the newest slot's rows."""
    return [row["station_id"] for row in publisher.rows()]


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({"only": {"region": ["板橋區"]}}, ["0", "1", "2"]),
        ({"only": {"region": ["banqiao dist."]}}, ["0", "1", "2"]),
        ({"only": {"region": ["板橋區", "三重區"]}}, list("01234567")),
        ({"only": {"station_id": ["5", "6"]}}, ["5", "6"]),
        ({"bbox": [121.4, 25, 121.42, 26]}, ["0", "1", "2"]),
        ({"only": {"region": ["三重區"]}, "bbox": [121, 24, 121.445, 26]}, ["3", "4"]),
    ],
)
def test_rows_of_some_stations_only_are_written(
    city: Publisher, more: dict[str, Any], kept: list[str]
) -> None:
    """By region in either language, by id, by place; the payload has all."""
    city.more = {**city.more, **more}
    run = city.fetch()

    (payload,) = (city.folder / "city/payloads/kept").glob("*/*.zip")
    body = zipfile.ZipFile(payload).read("page-0.json")
    assert ids(city) == kept
    assert run.rows == len(kept)
    assert body.count(b'"sno"') == 8
    assert len(city.stations()) == 8


def test_a_station_of_unknown_region_or_place_is_kept(
    city: Publisher,
) -> None:
    """With neither region nor place its rows are kept."""
    silent = {"sno": "9", "sbi": 1, "bemp": 1}
    city.documents["/list"] = [*STATIONS, silent]
    city.more = {**city.more, "only": {"region": ["板橋區"]}, "bbox": [0, 0, 1, 1]}
    city.fetch()

    assert ids(city) == ["9"]


def test_a_filter_that_is_set_later_is_no_loss_of_stations(city: Publisher) -> None:
    """Three of eight rows are as configured: not thin, and no station removed."""
    city.fetch()
    city.fetch()
    city.more = {**city.more, "only": {"region": ["板橋區"]}}
    runs = [city.fetch(), city.fetch()]
    later = city.fetch(after=2 * 86_400)

    assert [run.rows for run in (*runs, later)] == [3, 3, 3]
    assert not any("short" in run.flags for run in (*runs, later))
    assert {station["is_listed"] for station in city.stations()} == {"true"}


def test_a_filter_that_keeps_nothing_is_reported_and_loses_nothing(
    city: Publisher,
) -> None:
    """With a misspelt district the payload is rejected until it is corrected."""
    city.more = {**city.more, "only": {"region": ["Atlantis"]}}
    run = city.fetch()

    assert run.outcome is Outcome.REJECTED
    assert "the settings `only` and `bbox` keep none of 8 stations" in run.error


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"only": {"regoin": ["a"]}}, 'only: unknown key "regoin"'),
        ({"only": {"region": "a"}}, "only must contain only lists"),
        ({"only": {"region": [3]}}, "only.region must be a list of strings"),
        ({"bbox": [1, 2, 3]}, "bbox must be"),
        ({"bbox": [121.6, 24.9, 121.4, 25.1]}, "bbox must be"),
        ({"bbox": [24.9, 121.4, 25.1, 121.6]}, "bbox must be"),
        ({"bbox": ["a", "b", "c", "d"]}, "bbox must contain only numbers"),
    ],
)
def test_a_wrong_filter_is_a_settings_error(more: dict[str, Any], words: str) -> None:
    """Before any network access; degrees in the wrong order are detected."""
    system = {"feed": "youbike", "url": "http://localhost/", "timezone": "Asia/Taipei"}

    with pytest.raises(SettingsError, match=words):
        parse({"systems": {"city": {**system, **more}}})
