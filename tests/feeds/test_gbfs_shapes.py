"""GBFS documents of other shapes and names than the specification's are read alike."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from publisher import Publisher, publishing

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
