"""columns = ["vehicle_types"]: a column for each kind of vehicle, always the same."""

import json
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from in_process import bikecollect
from publisher import Publisher, publishing

from bikecollect.core.payload import Document
from bikecollect.feeds.citybikes import CityBikes
from bikecollect.feeds.youbike import YouBike

TYPES = [
    {"vehicle_type_id": "b", "form_factor": "bicycle", "propulsion_type": "human"},
    {"vehicle_type_id": "e", "form_factor": "bicycle", "propulsion_type": "electric"},
    {
        "vehicle_type_id": "f",
        "form_factor": "bicycle",
        "propulsion_type": "electric_assist",
    },
    {
        "vehicle_type_id": "c",
        "form_factor": "cargo_bicycle",
        "propulsion_type": "human",
    },
    {"vehicle_type_id": "s", "form_factor": "scooter", "propulsion_type": "electric"},
    {"vehicle_type_id": "t", "form_factor": "scooter_standing"},
    {"vehicle_type_id": "k", "form_factor": "car", "propulsion_type": "combustion"},
    {"vehicle_type_id": "q", "form_factor": "bicycle"},
]
KINDS = (
    *("num_bicycles_available", "num_ebicycles_available"),
    *("num_cargo_bicycles_available", "num_cargo_ebicycles_available"),
    *("num_scooters_available", "num_seated_scooters_available"),
    *("num_mopeds_available", "num_cars_available"),
    *("num_other_vehicles_available", "num_untyped_vehicles_available"),
)


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Publisher]:
    """Yield a GBFS system with types, whose columns are the kinds of vehicles."""
    with publishing(tmp_path, columns=["occupancy", "vehicle_types"]) as publisher:
        feeds = [
            {"name": name, "url": f"BASE/{name}"}
            for name in ("station_status", "station_information", "vehicle_types")
        ]
        publisher.documents = {
            "/gbfs.json": {"data": {"feeds": feeds}},
            "/station_information": {
                "ttl": 60,
                "data": {"stations": [{"station_id": "a", "name": "A"}]},
            },
            "/vehicle_types": {"data": {"vehicle_types": TYPES}},
        }
        yield publisher


def serve(publisher: Publisher, **more: Any) -> None:
    """Serve one station with the fields *more*."""
    station = {"station_id": "a", "num_bikes_available": 20, "num_docks_available": 1}
    publisher.documents["/station_status"] = {"data": {"stations": [station | more]}}


def kinds(publisher: Publisher) -> dict[str, str]:
    """Return the kinds of vehicles that the newest row has."""
    (row,) = publisher.rows()
    assert tuple(row)[-len(KINDS) :] == KINDS
    return {name: row[name] for name in KINDS if row[name]}


def by_type(**counts: object) -> list[dict[str, object]]:
    """Return vehicle_types_available."""
    return [{"vehicle_type_id": key, "count": n} for key, n in counts.items()]


@pytest.mark.parametrize(
    ("more", "counts"),
    [
        (
            {"vehicle_types_available": by_type(b=3, e=2, f=4, s=5, t=6)},
            {"bicycles": 3, "ebicycles": 6, "scooters": 11},
        ),
        (
            {"vehicle_types_available": by_type(c=1, k=0, q=7, zz=2)},
            {"cargo_bicycles": 1, "cars": 0, "untyped_vehicles": 9},
        ),
        (
            {"num_bikes_available_types": [{"mechanical": 9}, {"ebike": 11}]},
            {"bicycles": 9, "ebicycles": 11},
        ),
        ({"vehicle_types_available": by_type(b=-1, e=2)}, {"ebicycles": 2}),
        (
            {"vehicle_types_available": {"b": 3, "e": 2}},
            {"bicycles": 3, "ebicycles": 2},
        ),
        ({}, {}),
    ],
)
def test_each_kind_of_vehicle_has_its_column(
    city: Publisher, more: dict[str, Any], counts: dict[str, int]
) -> None:
    """By form factor and propulsion; an incomplete type is untyped, not zero."""
    serve(city, **more)
    city.fetch()

    assert kinds(city) == {f"num_{k}_available": str(n) for k, n in counts.items()}


def test_a_type_that_comes_later_changes_no_column(city: Publisher) -> None:
    """The header of the day's file is the same with types and without."""
    serve(city)
    city.fetch()
    serve(city, vehicle_types_available=by_type(b=3))
    city.fetch()

    files = list((city.folder / "city/station_status").glob("*.csv"))
    assert len(files) == 1
    assert kinds(city) == {"num_bicycles_available": "3"}


def test_a_new_type_is_looked_up_at_once(city: Publisher) -> None:
    """It does not wait for the ttl; then each quarter of an hour until it is known."""
    information: Any = city.documents["/station_information"]
    information["ttl"] = 86_400
    serve(city, vehicle_types_available=by_type(b=3))
    city.fetch()
    serve(city, vehicle_types_available=by_type(b=3, new=2))
    asked = []
    for _ in range(5):
        city.fetch()
        asked.append("/vehicle_types" in city.asked)
        new = {**TYPES[1], "vehicle_type_id": "new"}
        if len(asked) == 3:
            types = {"data": {"vehicle_types": [*TYPES, new]}}
            city.documents["/vehicle_types"] = types

    assert asked == [True, False, False, True, False]
    bikes = {"num_bicycles_available": "3", "num_ebicycles_available": "2"}
    assert kinds(city) == bikes


def test_a_new_type_does_not_wait_longer_because_of_another_document(
    city: Publisher,
) -> None:
    """Ten minutes after the regions failed, not a quarter of an hour later."""
    listing: Any = city.documents["/gbfs.json"]
    regions = {"name": "system_regions", "url": "BASE/regions"}
    listing["data"]["feeds"].append(regions)
    information: Any = city.documents["/station_information"]
    information["ttl"] = 86_400
    serve(city, vehicle_types_available=by_type(b=3))
    city.fetch()
    serve(city, vehicle_types_available=by_type(b=3, new=2))
    asked = []
    for _ in range(2):
        city.fetch()
        asked.append("/vehicle_types" in city.asked)

    assert asked == [False, True]


def test_kinds_are_counted_only_if_configured(city: Publisher) -> None:
    """The columns of a file follow the settings."""
    city.more = {"columns": ["occupancy"]}
    serve(city, vehicle_types_available=by_type(b=3))
    city.fetch()

    (row,) = city.rows()
    assert "num_bicycles_available" not in row


def test_youbike_and_citybikes_have_two_kinds() -> None:
    """All bikes, and those with a motor."""
    station = {"sno": "1", "sbi": 7, "bemp": 1, "sbi_detail": "5,2"}
    plain = {"sno": "2", "sbi": 7, "bemp": 1}
    youbike = YouBike("http://localhost/", UTC, kinds=True)
    bikes = {"id": "a", "free_bikes": 6, "empty_slots": 1, "extra": {"ebikes": 2}}
    network = json.dumps({"network": {"stations": [bikes]}}).encode()
    citybikes = CityBikes("http://localhost/", kinds=True)

    of_youbike = youbike.read(
        (Document("page-0", json.dumps([station, plain]).encode()),)
    )
    of_citybikes = citybikes.read((Document("network", network),))

    assert of_youbike.kinds == {
        "1": {"num_bicycles_available": 5, "num_ebicycles_available": 2}
    }
    assert of_citybikes.kinds == {
        "a": {"num_bicycles_available": 4, "num_ebicycles_available": 2}
    }


def test_kinds_are_archived_as_numbers_and_verified(city: Publisher) -> None:
    """Compacted, verified and queried: integers, with their meaning."""
    serve(city, vehicle_types_available=by_type(b=3, e=2))
    city.fetch()
    config = city.folder / "bikecollect.toml"
    config.write_text(
        f'data_dir = "{city.folder}"\n[systems.city]\nfeed = "gbfs"\n'
        f'url = "{city.base}/gbfs.json"\ntimezone = "Asia/Taipei"\n'
        'columns = ["occupancy", "vehicle_types"]\n',
        encoding="utf-8",
    )
    config.chmod(0o600)
    sql = "SELECT sum(num_ebicycles_available) AS n FROM station_status"

    compacted = bikecollect("--config", config, "compact")
    verified = bikecollect("--config", config, "verify")
    process = bikecollect("--config", config, "query", sql, "--format", "jsonl")

    assert (compacted.returncode, verified.returncode) == (0, 0)
    assert process.stderr == ""
    assert json.loads(process.stdout)["n"] == 2
