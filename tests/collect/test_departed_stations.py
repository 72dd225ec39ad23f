"""A station that leaves the list is recorded from the first slot without it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from publisher import MISSING, Publisher, publishing

from bikecollect.storage.ledger_reader import History

DAY = 86_400.0


def information(*ids: str, ttl: int = 0) -> dict[str, Any]:
    """Return a station_information with the stations *ids*."""
    stations = [{"station_id": i, "name": i, "lat": 48, "lon": 16} for i in ids]
    return {"last_updated": "NOW", "ttl": ttl, "data": {"stations": stations}}


def status(*ids: str) -> dict[str, Any]:
    """Return a station_status with the stations *ids*."""
    stations = [
        {"station_id": i, "num_bikes_available": 3, "num_docks_available": 4}
        for i in ids
    ]
    return {"last_updated": "NOW", "ttl": 0, "data": {"stations": stations}}


def departed(city: Publisher) -> list[tuple[str, str]]:
    """Return the removed stations, each with the slot of its removal."""
    return [
        (version["station_id"], version["valid_from"])
        for version in city.stations()
        if version["is_listed"] == "false"
    ]


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Publisher]:
    """Yield a GBFS system with the stations a, b and c, polled every hour."""
    with publishing(tmp_path, interval=3600) as publisher:
        feeds = [
            {"name": name, "url": f"BASE/{name}"}
            for name in ("station_status", "station_information")
        ]
        publisher.documents["/gbfs.json"] = {"data": {"en": {"feeds": feeds}}}
        publisher.documents["/station_status"] = status("a", "b", "c")
        publisher.documents["/station_information"] = information("a", "b", "c")
        yield publisher


def test_a_station_is_removed_from_a_list_that_is_unchanged_afterwards(
    city: Publisher,
) -> None:
    """The unchanged list is not in the payload, but it is evidence."""
    city.fetch()
    city.documents["/station_status"] = status("a", "b")
    city.documents["/station_information"] = information("a", "b")
    city.fetch()
    for _ in range(23):
        city.fetch()
    before = departed(city)
    city.fetch()

    assert before == []
    assert departed(city) == [("c", "2026-11-22T02:00:00+08:00")]


def test_a_station_is_removed_when_its_rows_end(
    city: Publisher,
) -> None:
    """The rows end at 02:00, and the next day's list lacks the station."""
    city.documents["/station_information"] = information("a", "b", "c", ttl=80_000)
    city.fetch()
    city.documents["/station_status"] = status("a", "b")
    city.documents["/station_information"] = information("a", "b", ttl=80_000)
    city.fetch()
    city.fetch(after=DAY - 3600)
    city.fetch(after=DAY - 7200)

    assert departed(city) == [("c", "2026-11-22T02:00:00+08:00")]


def test_a_listed_station_without_rows_is_removed_with_the_list(
    city: Publisher,
) -> None:
    """Without rows only the list has the date of its removal."""
    city.documents["/station_status"] = status("a", "b")
    city.fetch()
    city.fetch(after=2 * DAY)
    city.documents["/station_information"] = information("a", "b")
    city.fetch()
    city.fetch(after=DAY)

    assert departed(city) == [("c", "2026-11-24T02:00:00+08:00")]


def test_a_station_that_had_no_row_when_it_was_listed_is_removed_after_that(
    city: Publisher,
) -> None:
    """Not in the same slot: the file and the ledger would have different versions."""
    city.documents["/station_status"] = status("a", "b")
    city.fetch()
    city.documents["/station_information"] = information("a", "b")
    city.fetch()
    city.fetch(after=DAY)

    assert departed(city) == [("c", "2026-11-22T02:00:00+08:00")]
    versions = History("city", city.folder / "city").select("SELECT * FROM stations")
    assert len(versions) == len(city.stations())


def test_a_station_that_is_renamed_after_its_rows_ended_is_removed_after_that(
    city: Publisher,
) -> None:
    """As the newest version, the one with its new name would list it again."""
    city.fetch()
    city.documents["/station_status"] = status("a", "b")
    city.fetch()
    renamed = information("a", "b", "c")
    renamed["data"]["stations"][2]["name"] = "closed"
    city.documents["/station_information"] = renamed
    city.fetch()
    city.documents["/station_information"] = information("a", "b")
    city.fetch()
    city.fetch(after=DAY)
    city.fetch(after=DAY)

    assert departed(city) == [("c", "2026-11-22T04:00:00+08:00")]


def test_a_list_that_cannot_be_fetched_removes_no_station(city: Publisher) -> None:
    """Only a list that was read, and lacks the station, is evidence."""
    city.fetch()
    city.documents["/station_information"] = information("a", "b")
    city.fetch()
    city.documents["/station_information"] = MISSING
    city.fetch(after=DAY)
    city.fetch(after=DAY)
    unseen = departed(city)
    city.documents["/station_information"] = information("a", "b")
    city.fetch()

    assert unseen == []
    assert departed(city) == [("c", "2026-11-22T02:00:00+08:00")]


@pytest.mark.parametrize("trouble", ["regions", "no id"])
def test_a_trouble_elsewhere_keeps_no_station_on_the_list(
    city: Publisher, trouble: str
) -> None:
    """Slots are partial for ever: without regions, or with a station without an id."""
    feeds: Any = city.documents["/gbfs.json"]
    if trouble == "regions":
        feeds["data"]["en"]["feeds"].append({"name": "system_regions", "url": "BASE/r"})
    nameless = [""] if trouble == "no id" else []
    city.documents["/station_status"] = status("a", "b", "c", "d", "e", *nameless)
    city.documents["/station_information"] = information("a", "b", "c", "d", "e")
    first = city.fetch()
    city.documents["/station_status"] = status("a", "b", "d", "e", *nameless)
    city.documents["/station_information"] = information("a", "b", "d", "e")
    city.fetch()
    city.fetch(after=DAY)

    assert "partial" in first.result.flags
    assert departed(city) == [("c", "2026-11-22T02:00:00+08:00")]


def test_a_row_without_an_id_may_be_each_station_that_is_missing_since_then(
    tmp_path: Path,
) -> None:
    """One left before, and is recorded; the other one has lost its id only."""
    rows = [{"sno": n, "sna": n, "sbi": 1, "bemp": 2, "tot": 3} for n in "abcdefg"]
    with publishing(tmp_path, feed="youbike", path="/f", interval=3600) as city:
        city.documents["/f"] = rows
        city.fetch()
        city.documents["/f"] = rows[1:]
        city.fetch()
        city.documents["/f"] = [{**rows[1], "sno": ""}, *rows[2:]]
        city.fetch()
        city.fetch(after=DAY)
        city.fetch(after=DAY)

        assert departed(city) == [("a", "2026-11-22T02:00:00+08:00")]


def test_a_station_that_returns_within_a_day_was_not_removed(city: Publisher) -> None:
    """A list without it for an hour has no effect, even at the same hour later."""
    city.fetch()
    city.documents["/station_information"] = information("a", "b")
    city.fetch()
    city.documents["/station_information"] = information("a", "b", "c")
    city.fetch()
    city.fetch(after=DAY)
    city.fetch(after=DAY)

    assert departed(city) == []


def test_a_lost_ledger_keeps_the_date_of_a_departure(city: Publisher) -> None:
    """The list of stations is the truth; the ledger is rebuilt from it."""
    city.fetch()
    city.documents["/station_status"] = status("a", "b")
    city.documents["/station_information"] = information("a", "b")
    city.fetch()
    city.fetch(after=DAY)
    for file in (city.folder / "city").glob("ledger.sqlite3*"):
        file.unlink()
    city.fetch()

    db = sqlite3.connect(city.folder / "city/ledger.sqlite3")
    sql = "SELECT station_id, valid_from FROM stations WHERE NOT is_listed"
    assert db.execute(sql).fetchall() == [("c", 1_795_284_000)]
    db.close()
    assert departed(city) == [("c", "2026-11-22T02:00:00+08:00")]
