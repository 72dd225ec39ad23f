"""Any JSON by a mapping, and lists of stations in any wrapper or by id."""

import json
from datetime import UTC
from typing import Any

import pytest

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Document
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds import Feed
from bikecollect.feeds.citybikes import CityBikes
from bikecollect.feeds.mapped import Mapped
from bikecollect.feeds.youbike import YouBike

URL = "http://localhost/"
YOUBIKE = {"sno": "500101001", "sbi": 3, "bemp": 4}


def read(feed: Feed, value: object) -> Snapshot:
    """Return the snapshot of *value*, the only document of *feed*."""
    return feed.read((Document("page-0", json.dumps(value).encode()),))


def mapped(stations: str = "", **columns: str) -> Mapped:
    """Return a feed of the list at the path *stations*, with more *columns*."""
    mapping = {"stations": stations, "station_id": "id", "num_vehicles_available": "n"}
    return Mapped(URL, UTC, mapping | columns)


def counts(snapshot: Snapshot) -> dict[str, int | None]:
    """Return the vehicles of each station by id."""
    return {s.station_id: s.num_vehicles_available for s in snapshot.statuses}


@pytest.mark.parametrize(
    ("feed", "value"),
    [
        (mapped("a.b"), {"a.b": [{"id": "x", "n": 3}]}),
        (mapped("a.b.c"), {"a": {"b.c": [{"id": "x", "n": 3}]}}),
        (mapped("a.0.b"), {"a": [{"b": [{"id": "x", "n": 3}]}]}),
        (mapped(station_id="p.id"), [{"p.id": "x", "n": 3}]),
        (mapped(num_vehicles_available="p.q.n"), [{"id": "x", "p": {"q.n": 3}}]),
        (mapped(station_id="0", num_vehicles_available="2"), [["x", "name", 3]]),
        (mapped("s"), {"s": {"x": {"n": 3}}}),
        (mapped("s", station_id="p.id"), {"s": {"x": {"n": 3}}}),
    ],
    ids=["key", "deeper", "first", "id", "count", "rows", "by-id", "by-id-deeper"],
)
def test_a_mapping_reaches_whatever_json_can_hold(feed: Feed, value: object) -> None:
    """Keys with dots, positions, rows without names, and stations by id."""
    assert counts(read(feed, value)) == {"x": 3}


def test_a_key_with_dots_is_second_to_the_path() -> None:
    """The path is what the settings say."""
    stations = [{"id": "x", "p.n": 4, "p": {"n": 3}}]

    assert counts(read(mapped(num_vehicles_available="p.n"), stations)) == {"x": 3}


def test_a_mapped_column_that_no_station_has_is_reported() -> None:
    """It may be misspelt in the settings; one that some have is not reported."""
    stations = [{"id": "x", "n": 3, "size": 7}, {"id": "y", "n": 3}]
    feed = mapped(capacity="size", num_docks_available="freee", name="label")

    findings = read(feed, stations).findings

    assert findings == {
        f"mapped {column}": f'no station has a value for mapping.{column} = "{field}": '
        "the column is empty"
        for column, field in (("num_docks_available", "freee"), ("name", "label"))
    }


def test_a_mapped_column_that_cannot_be_read_is_reported_once() -> None:
    """As unreadable, not as missing too."""
    stations = [{"id": str(n), "n": 3, "y": "north", "x": "east"} for n in range(3)]

    findings = read(mapped(lat="y", lon="x"), stations).findings

    text = "no value of y can be read, such as lat 'north', lon 'east'"
    assert findings == {"unread lat": f"lat is empty at every station: {text}"}


def test_the_coordinate_that_no_station_has_is_named() -> None:
    """Not the other one, whose path in the settings is right."""
    stations = [{"id": str(n), "n": 3, "p": {"y": 50.0, "x": 14}} for n in range(3)]

    no_lon = read(mapped(lat="p.y", lon="p.xx"), stations).findings
    no_lat = read(mapped(lat="p.yy", lon="p.x"), stations).findings

    text = "lat and lon are empty: no station has a value for"
    assert no_lon == {"unread lat": f"{text} lon (p.xx), only for lat (p.y)"}
    assert no_lat == {"unread lat": f"{text} lat (p.yy), only for lon (p.x)"}


@pytest.mark.parametrize("entries", [[1, 2], ["a"], {"bikes": 3, "docks": 4}])
def test_entries_without_fields_are_called_so(entries: object) -> None:
    """The message does not ask for the field of an id."""
    with pytest.raises(
        PayloadError, match="no entry of the list of stations is an obj"
    ):
        read(mapped("s"), {"s": entries})


def test_a_text_in_place_of_the_list_is_called_so() -> None:
    """In words, not in those of Python."""
    with pytest.raises(PayloadError, match=r"stations \(s\) is a text, not a list"):
        read(mapped("s"), {"s": "none"})


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("cities.places", "cities is a list, of which a position is needed, such as"),
        ("cities.0.racks", "cities.0 has no racks (it has: places)"),
        ("towns.places", "the response has no towns.places (it has: cities)"),
        ("cities.1.places", "cities is a list, of which"),
    ],
)
def test_a_path_that_ends_on_the_way_is_explained_from_there(
    path: str, message: str
) -> None:
    """The user sees which of its steps is wrong, and what there is."""
    with pytest.raises(PayloadError) as caught:
        read(mapped(path), {"cities": [{"places": [{"id": "x", "n": 3}]}]})

    assert f'mapping.stations = "{path}": {message}' in str(caught.value)


@pytest.mark.parametrize("value", [None, 7, [], {}, "text"])
def test_an_answer_without_any_of_the_path_is_explained(value: object) -> None:
    """Whatever it is."""
    with pytest.raises(
        PayloadError, match=r"the response has no data\.list \(it has: "
    ):
        read(mapped("data.list"), value)


def test_a_list_as_json_in_a_text_is_read() -> None:
    """Some programs encode what they store twice."""
    stations = json.dumps([{"id": "x", "n": 3}])

    assert counts(read(mapped("data"), {"data": stations})) == {"x": 3}


@pytest.mark.parametrize(
    "value",
    [
        {"success": True, "stations": [YOUBIKE]},
        {"payload": {"list": [YOUBIKE], "count": [1]}},
        {"head": [{"a": 1}], "body": {"Rows": [YOUBIKE]}},
    ],
)
def test_a_youbike_list_is_found_in_any_wrapper(value: Any) -> None:
    """By the ids of its stations."""
    assert counts(read(YouBike(URL, UTC), value)) == {"500101001": 3}


@pytest.mark.parametrize(
    ("feed", "value"),
    [
        (YouBike(URL, UTC), {"retVal": {"0007": {"sbi": 3, "bemp": 4}}}),
        (YouBike(URL, UTC), {"retVal": json.dumps({"0007": {"sbi": 3, "bemp": 4}})}),
        (CityBikes(URL), {"network": {"stations": {"0007": {"free_bikes": 3}}}}),
    ],
    ids=["youbike", "text", "citybikes"],
)
def test_the_keys_of_stations_without_an_id_are_their_ids(
    feed: Feed, value: object
) -> None:
    """Stations that have one keep it."""
    assert counts(read(feed, value)) == {"0007": 3}
