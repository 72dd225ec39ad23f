"""YouBike's lists in the spellings that cities publish, station by station."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Document
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds.youbike import YouBike

FEED = YouBike("http://localhost/", ZoneInfo("Asia/Taipei"))
TAIPEI = {
    "sno": "500101001",
    "sna": "YouBike2.0_Park",
    "Quantity": 28,
    "available_rent_bikes": 11,
    "available_return_bikes": 16,
    "latitude": 25.02,
    "longitude": 121.5,
    "act": "1",
    "infoTime": "2026-09-10 03:24:03",
}
NEW_TAIPEI = {
    "sno": "500201001",
    "sna": "YouBike2.0_River",
    "sarea": "Banqiao",
    "tot_quantity": "34",
    "sbi_quantity": "9",
    "yb2_quantity": "6",
    "eyb_quantity": "3",
    "bemp": "25",
    "act": "0",
    "lat": "25.01",
    "lng": "121.46",
}


def read(*stations: dict[str, Any]) -> Snapshot:
    """Return what a list of *stations* says."""
    return FEED.read((Document("page-0", json.dumps(stations).encode()),))


def test_new_taipeis_names_of_2026_are_read() -> None:
    """tot_quantity, sbi_quantity and eyb_quantity, all of them texts."""
    (station,) = read(NEW_TAIPEI).statuses

    assert (station.num_vehicles_available, station.num_ebikes_available) == (9, 3)
    assert (station.num_docks_available, station.capacity) == (25, 34)
    assert station.is_renting is False


def test_two_cities_in_one_list_are_read_each_by_its_own_names() -> None:
    """As republished: 1,653 stations of one spelling, 1,000 of another."""
    snapshot = read(TAIPEI, NEW_TAIPEI)

    counts = [(s.num_vehicles_available, s.capacity) for s in snapshot.statuses]
    assert counts == [(11, 28), (9, 34)]
    assert [station.lat for station in snapshot.information] == [25.02, 25.01]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sbi_detail", "8,3"),
        ("sbi_detail", " 8 , 3 "),
        ("sbi_detail", '{"yb2": "8", "eyb": "3"}'),
        ("sbi_detail", {"yb2": 8, "eyb": 3}),
        ("sbi_detail", [{"yb2": 8}, {"eyb": 3}]),
        ("available_spaces_detail", {"yb1": 0, "yb2": 8, "eyb": 3}),
        ("available_spaces_detail", '{"yb1":0,"yb2":8,"eyb":3}'),
        ("AvailableRentBikesDetail", {"GeneralBikes": 8, "ElectricBikes": 3}),
        ("eyb_quantity", "3"),
        ("EYB_Quantity", 3),
    ],
)
def test_e_bikes_are_read_in_each_known_form(field: str, value: object) -> None:
    """Also if only a station late in the list has them."""
    many = [{**TAIPEI, "sno": str(number)} for number in range(40)]

    snapshot = read(*many, {**TAIPEI, field: value})

    assert snapshot.statuses[0].num_ebikes_available is None
    assert snapshot.statuses[40].num_ebikes_available == 3


def test_e_bikes_that_stand_for_unknown_are_empty_and_flagged() -> None:
    """999 is no number of e-bikes, in the detail as in a field of its own."""
    snapshot = read({**TAIPEI, "sbi_detail": "8,999"})

    assert snapshot.statuses[0].num_ebikes_available is None
    assert snapshot.flags == ("implausible",)


@pytest.mark.parametrize("value", ["11", "", "?", {"yb2": 8}, None, [8, 3], "{"])
def test_unknown_e_bikes_are_empty(value: object) -> None:
    """A form that does not separate electric bikes leaves the column empty."""
    (station,) = read({**TAIPEI, "sbi_detail": value}).statuses

    assert station.num_ebikes_available is None


def test_a_field_that_is_null_gives_way_to_another_spelling() -> None:
    """The field that has a value is used."""
    (station,) = read({**TAIPEI, "Quantity": None, "total": "30"}).statuses

    assert station.capacity == 30


def test_spellings_of_case_and_underscore_are_one() -> None:
    """A publisher's change to camel case loses nothing."""
    renamed = {
        "Sno": "500101001",
        "availableRentBikes": 11,
        "AvailableReturnBikes": 16,
        "QUANTITY": 28,
        "info_time": "2026-09-10 03:24:03",
    }

    (station,) = read(renamed).statuses

    assert station[:4] == ("500101001", 11, None, 16)
    assert (station.capacity, station.last_reported) == (28, 1_788_981_843)


def test_names_of_china_are_read() -> None:
    """name_cn, district_cn and address_cn."""
    station = {"station_no": "12", "available_spaces": 5, "empty_spaces": 15}
    names = {"name_cn": "A", "district_cn": "B", "address_cn": "C"}

    (row,) = read({**station, **names}).information

    assert (row.name, row.region, row.address) == ("A", "B", "C")


def test_a_list_without_a_known_count_names_its_fields() -> None:
    """The error names the column without a field, and the unknown fields."""
    renamed = {"sno": "1", "bemp": 3, "rentable": 4}

    with pytest.raises(PayloadError, match=r"num_vehicles_available .* rentable"):
        read(renamed)


def test_a_station_without_counts_is_a_row_all_the_same() -> None:
    """Its counts are empty; nothing is dropped."""
    closed = {**TAIPEI, "sno": "2", "act": "0"}
    closed |= {"available_rent_bikes": None, "available_return_bikes": ""}

    snapshot = read(TAIPEI, closed)

    assert snapshot.dropped == 0
    assert snapshot.statuses[1].num_vehicles_available is None
    assert snapshot.statuses[1].is_renting is False
