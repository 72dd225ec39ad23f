"""GBFS documents of other shapes and names than the specification's are read alike."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from publisher import Publisher, publishing
from served import Answer

from bikecollect.feeds.gbfs import reader
from bikecollect.feeds.reading import vehicle_reader
from bikecollect.feeds.reading.aliases import unwrapped

STATIONS = [
    {
        "station_id": name,
        "num_bikes_available": 3,
        "num_docks_available": 4,
        "vehicle_types_available": [
            {"vehicle_type_id": "plain", "count": 1},
            {"vehicle_type_id": "assist", "count": 2},
        ],
    }
    for name in "ab"
]
BY_ID = {
    station["station_id"]: {k: v for k, v in station.items() if k != "station_id"}
    for station in STATIONS
}
TYPES = [
    {"vehicle_type_id": "plain", "form_factor": "bicycle", "propulsion_type": "human"},
    {
        "vehicle_type_id": "assist",
        "form_factor": "bicycle",
        "propulsion_type": "electric_assist",
    },
]
TYPES_BY_ID = {
    kind["vehicle_type_id"]: {k: v for k, v in kind.items() if k != "vehicle_type_id"}
    for kind in TYPES
}
VEHICLES = [{"bike_id": "v", "lat": 1.5, "lon": 2.5, "vehicle_type_id": "assist"}]
DOCUMENTS = {
    "station_status": {"stations": STATIONS},
    "station_information": {"stations": [{"station_id": "a", "name": "A"}]},
    "vehicle_types": {"vehicle_types": TYPES},
    "free_bike_status": {"bikes": VEHICLES},
}


def listing(**other: str) -> list[dict[str, str]]:
    """Return the feeds of a gbfs.json; a document may have *other* names there."""
    return [
        {"name": other.get(name, name), "url": f"BASE/{name}"} for name in DOCUMENTS
    ]


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Publisher]:
    """Yield a publisher of all documents in their usual shapes."""
    with publishing(tmp_path, vehicles=True) as publisher:
        publisher.documents["/gbfs.json"] = {"data": {"en": {"feeds": listing()}}}
        for name, data in DOCUMENTS.items():
            publisher.documents[f"/{name}"] = {"last_updated": "NOW", "data": data}
        yield publisher


def collected(city: Publisher) -> list[tuple[str, str, str]]:
    """Fetch once; return id, vehicles and e-bikes of each station."""
    city.fetch()
    columns = ("station_id", "num_vehicles_available", "num_ebikes_available")
    return [(row[columns[0]], row[columns[1]], row[columns[2]]) for row in city.rows()]


def vehicles(city: Publisher) -> list[str]:
    """Fetch once; return the lines of the file of vehicles without its times."""
    city.fetch()
    (file,) = (city.folder / "city/vehicles/vehicle_status").glob("*.csv")
    lines = file.read_text(encoding="utf-8").splitlines()[1:]
    return [line.split(",", 2)[2] for line in lines]


ALL = [("a", "3", "2"), ("b", "3", "2")]


@pytest.mark.parametrize(
    "document",
    [
        {"data": STATIONS},
        STATIONS,
        {"data": [{"stations": STATIONS}]},
        {"data": {"en": {"stations": STATIONS}}},
        {"data": {"fr": None, "en": {"stations": STATIONS}}},
        {"data": {"stations": BY_ID}},
    ],
    ids=["data", "all", "first", "language", "second", "by-id"],
)
def test_stations_are_found_wherever_their_list_is(
    city: Publisher, document: object
) -> None:
    """As the data, as all of the document, deeper, by language or by id."""
    city.documents["/station_status"] = document

    assert collected(city) == ALL


def respelt(value: Any, spell: Callable[[str], str], depth: int = 9) -> Any:
    """Return *value* with the keys of *depth* levels of objects spelt otherwise."""
    if isinstance(value, list):
        return [respelt(item, spell, depth) for item in value]
    if not isinstance(value, dict) or not depth:
        return value
    return {spell(key): respelt(item, spell, depth - 1) for key, item in value.items()}


def pascal(key: str) -> str:
    """Return *key* as `LastUpdated` is written."""
    return re.sub(r"(?:^|_)(\w)", lambda match: match[1].upper(), key)


def camel(key: str) -> str:
    """Return *key* as `lastUpdated` is written."""
    return key[:1] + pascal(key)[1:]


def in_time(
    city: Publisher, around: Callable[[Any], object], document: object
) -> Callable[[object], object]:
    """Return a document that is stamped before something is put *around* it."""

    def answer(_: object) -> object:
        text = json.dumps(document).replace('"NOW"', str(int(city.clock.now)))
        return around(json.loads(text.replace("BASE", city.base)))

    return answer


@pytest.mark.parametrize(
    "around",
    [
        lambda document: {"result": document},
        lambda document: {"code": 0, "message": "ok", "response": {"x": document}},
        lambda document: {"data": {**document, "ttl": 60}},
        lambda document: [document],
        json.dumps,
        lambda document: {"statusCode": 200, "body": json.dumps(document)},
        lambda document: {**document, "data": json.dumps(document["data"])},
        lambda document: respelt(document, pascal),
        lambda document: respelt(document, camel),
        lambda document: respelt(document, str.upper, 3),
    ],
    ids=[
        "object",
        "objects",
        "data",
        "list",
        "text",
        "lambda",
        "data-text",
        "pascal",
        "camel",
        "upper",
    ],
)
def test_documents_are_found_inside_what_a_gateway_puts_around_them(
    city: Publisher, around: Callable[[Any], object]
) -> None:
    """Objects, a list, a text of JSON, or other spellings: all documents alike."""
    for path, document in city.documents.items():
        city.documents[path] = in_time(city, around, document)
    stations, run = collected(city), city.fetch()

    assert stations == ALL
    assert vehicles(city)[0].startswith("v,1.5,2.5")
    assert [station["name"] for station in city.stations()] == ["A"]
    assert run.notices == ()


ONE = {"station_id": "a", "num_bikes_available": 3}


@pytest.mark.parametrize(
    ("document", "station"),
    [
        ([{**ONE, "vehicles": [{"type": "x"}]}], {**ONE, "vehicles": [{"type": "x"}]}),
        ([{**ONE, "data": {}, "ttl": 5}], {}),
        ([{"data": ONE, "headers": {}, "status": 200}], ONE),
        ({"data": {"stations": [ONE]}, "Data": "x"}, ONE),
        ({"meta": {"data": {"x": 1}}, "result": {"stations": [ONE]}}, ONE),
        (
            {"meta": {"data": {"x": 1}}, "body": {"data": {"en": {"stations": [ONE]}}}},
            ONE,
        ),
        ({"status": {"data": None}, "x": {"data": {"stations": [ONE]}}}, ONE),
        ({"data": {"stations": {"TTL": {"n": 1}}}}, {"station_id": "TTL", "n": 1}),
    ],
    ids=["one", "own-data", "wrapped", "twice", "meta", "meta-en", "null", "ids"],
)
def test_what_is_no_document_is_not_taken_for_one(
    document: object, station: object
) -> None:
    """A list of one station, an object about the response, and ids like a part."""
    assert reader.stations(json.dumps(document).encode()) == [station]


@pytest.mark.parametrize(
    ("body", "vehicle"),
    [
        ([{"bike_id": "1", "data": {}}], {"bike_id": "1", "data": {}}),
        ({"data": {"bikes": {"Bikes": {"lat": 1}}}}, {"vehicle_id": "Bikes", "lat": 1}),
    ],
)
def test_a_list_of_one_vehicle_is_the_list(body: object, vehicle: object) -> None:
    """Also if the vehicle has a field like a part of a document, or such an id."""
    assert vehicle_reader.vehicles(json.dumps(body).encode()) == [vehicle]


@pytest.mark.parametrize("name", ["regions", "vehicle_types", "feeds", "versions"])
def test_a_list_at_the_root_of_a_document_is_its_list(name: str) -> None:
    """Whatever the fields of its entries are called."""
    document = {name: {"a": {"data": {"stations": []}}}, "x": {"bikes": [1]}}

    assert unwrapped(document) == document


def test_an_error_is_shown_where_a_document_should_be(city: Publisher) -> None:
    """Its own words say more than the names of its fields."""
    city.fetch()
    refusal = {"id": 7, "error": {"code": 429, "message": "quota exceeded"}}
    city.documents["/station_status"] = Answer(json.dumps(refusal).encode())
    (notice,) = city.fetch().notices

    assert "(it has: {'error': {'code': 429, 'message': 'quota" in notice.text


def test_an_empty_error_does_not_hide_the_keys(city: Publisher) -> None:
    """Many interfaces always write one: null, an empty list or an empty text."""
    city.documents["/station_status"] = {"error": None, "errors": [], "items": []}

    assert "(it has: error, errors, items)" in str(city.fetch().error)


def test_positions_in_a_list_are_no_ids(city: Publisher) -> None:
    """PHP writes a list from which entries were removed as an object."""
    stations = dict(zip("02", BY_ID.values(), strict=True))
    city.documents["/station_status"] = {"data": {"stations": stations}}

    run = city.fetch()

    assert "no station has a known field for station_id" in str(run.error)


@pytest.mark.parametrize(
    "data",
    [
        {"vehicles_types": TYPES},
        {"vehicle_types": TYPES_BY_ID},
        TYPES,
        {
            "vehicle_types": [
                {**kind, "propulsion_type": kind["propulsion_type"].title()}
                for kind in TYPES
            ]
        },
    ],
    ids=["plural", "by-id", "list", "capitals"],
)
def test_vehicle_types_are_found_in_other_spellings(
    city: Publisher, data: object
) -> None:
    """Without them the e-bikes would be unknown, and nothing would say why."""
    city.documents["/vehicle_types"] = {"data": data}

    assert collected(city) == ALL


def test_the_misspelt_counts_by_type_are_read(city: Publisher) -> None:
    """As vehicles_types_available, in place of vehicle_types_available."""
    name = "vehicle_types_available"
    stations = [{**s, "vehicles_types_available": s[name]} for s in STATIONS]
    for station in stations:
        del station[name]
    city.documents["/station_status"] = {"data": {"stations": stations}}

    assert collected(city) == ALL


@pytest.mark.parametrize(
    "data",
    [
        [{"en": {"feeds": listing()}}],
        [{"language": "en", "feeds": listing()}],
        {"feeds": {"en": listing()}},
        {"feeds": [{"Name": f["name"], "URL": f["url"]} for f in listing()]},
        {"feeds": listing(station_status="station-status")},
        {"feeds": listing(station_status="stationStatus")},
        {"feeds": listing(vehicle_types="vehicles_types")},
    ],
    ids=["list", "tagged", "deeper", "capitals", "hyphen", "camel", "plural"],
)
def test_documents_are_found_by_names_in_other_spellings(
    city: Publisher, data: Any
) -> None:
    """And whichever way the languages are listed."""
    city.documents["/gbfs.json"] = {"data": data}

    assert collected(city) == ALL
    assert city.stations()[0]["name"] == "A"


def test_a_gbfs_json_without_documents_says_so(city: Publisher) -> None:
    """Its address may be that of an empty version."""
    city.documents["/gbfs.json"] = {"data": {"en": {"feeds": []}}}

    run = city.fetch()

    assert f"{city.base}/gbfs.json lists nothing, not station_status" in str(run.error)


@pytest.mark.parametrize(
    "data", [VEHICLES, {"free_bikes": VEHICLES}, {"bikes": {"v": VEHICLES[0]}}]
)
def test_vehicles_are_found_wherever_their_list_is(
    city: Publisher, data: object
) -> None:
    """As the data, or by the name of their document."""
    city.documents["/free_bike_status"] = {"last_updated": "NOW", "data": data}

    assert vehicles(city) == ["v,1.5,2.5,ebicycle,,,,,,"]


@pytest.mark.parametrize(
    "place",
    [
        {"lat": 1.5, "lng": 2.5},
        {"latitude": "1,5", "longitude": "2,5"},
        {"location": {"lat": 1.5, "lon": 2.5}},
        {"location": {"type": "Point", "coordinates": [2.5, 1.5]}},
    ],
)
def test_places_are_found_in_other_fields(
    city: Publisher, place: dict[str, object]
) -> None:
    """As other dialects call them, or as GeoJSON writes them."""
    row = {"station_id": "a", "name": "A", **place}
    city.documents["/station_information"] = {"data": {"stations": [row]}}
    city.fetch()

    assert [(s["lat"], s["lon"]) for s in city.stations()] == [("1.5", "2.5")]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"name": "A", "where": [1, 2]}, "has a place (lat, lon): the publisher"),
        ({"title": "A", "lat": 1.5, "lon": 2.5}, "has a name: the publisher"),
        ({"title": "A"}, "has a name or a place (lat, lon): the publisher"),
        ({"name": "A", "lat": 1.5, "lon": 2.5}, ""),
    ],
)
def test_a_list_without_names_or_places_is_reported_once(
    city: Publisher, row: dict[str, object], told: str
) -> None:
    """From the first slot on: later there would be nothing to compare it with."""
    listed = [{"station_id": f"s{n}", **row} for n in range(10)]
    city.documents["/station_information"] = {"data": {"stations": listed}}
    texts = [notice.text for _ in "abc" for notice in city.fetch().notices]

    assert [told in text for text in texts] == [True] * bool(told)
