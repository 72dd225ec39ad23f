"""The list of stations keeps values that a document no longer has."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from publisher import Publisher, publishing
from served import Answer

from bikecollect.collect.station_list import find_changes
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import Snapshot, StationInformation

DAY = 86_400.0
NAMES: dict[str, Any] = {
    "station_id": "a",
    "name": "Hall",
    "lat": 48.1,
    "lon": 16.3,
    "capacity": 10,
    "address": "Main St 1",
}
STATUS: dict[str, Any] = {
    "station_id": "a",
    "num_bikes_available": 4,
    "num_docks_available": 6,
    "last_reported": "NOW",
}


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Publisher]:
    """Yield a GBFS system with one station and the hour's station information."""
    with publishing(tmp_path) as publisher:
        feeds = [
            {"name": name, "url": f"BASE/{name}"}
            for name in ("station_status", "station_information")
        ]
        publisher.documents["/gbfs.json"] = {"data": {"en": {"feeds": feeds}}}
        publisher.documents["/station_status"] = listed(STATUS)
        publisher.documents["/station_information"] = listed(NAMES, ttl=3600)
        yield publisher


def listed(*stations: dict[str, Any], ttl: int = 0) -> dict[str, Any]:
    """Return a GBFS document that lists *stations*."""
    return {"last_updated": "NOW", "ttl": ttl, "data": {"stations": stations}}


@pytest.mark.parametrize(
    "more",
    [
        {"name": None, "lat": None, "lon": None, "capacity": None},
        {"lat": 48.2, "lon": 16.4},
        {"name": "another", "capacity": 99},
    ],
)
def test_a_status_never_changes_what_the_list_of_stations_says(
    city: Publisher, more: dict[str, Any]
) -> None:
    """Null keys, places and names in the status: one version, its capacity used."""
    city.documents["/station_status"] = listed({**STATUS, **more})

    city.fetch()
    city.fetch()
    city.fetch()

    (version,) = city.stations()
    assert (version["name"], version["lat"], version["capacity"]) == (
        "Hall",
        "48.1",
        "10",
    )
    assert [row["capacity"] for row in city.rows()] == ["10"]
    assert [row["occupancy"] for row in city.rows()] == ["0.4"]


def test_a_status_fills_what_the_list_lacks(city: Publisher) -> None:
    """Without a list the stations are described by the status."""
    del city.documents["/station_information"]
    city.documents["/station_status"] = listed({**STATUS, "name": "Old", "lat": 48.2})

    city.fetch()
    city.documents["/station_status"] = listed({**STATUS, "name": "New", "lat": 48.2})
    city.fetch()

    assert [station["name"] for station in city.stations()] == ["Old", "New"]


def test_a_field_that_vanishes_keeps_its_value_for_a_day_and_is_reported(
    city: Publisher,
) -> None:
    """The capacity is gone from the list: kept for a day, reported once, then empty."""
    city.fetch()
    city.documents["/station_information"] = listed({**NAMES, "capacity": None})

    vanished = city.fetch(after=3600)
    later = city.fetch(after=DAY / 2)
    kept = city.rows()[0]["capacity"]
    city.fetch(after=DAY)

    (notice,) = vanished.notices
    assert notice.kind == "drift"
    assert (
        "capacity has vanished from the information of 1 of 1 stations" in notice.text
    )
    assert later.notices == ()
    assert kept == "10"
    assert [station["capacity"] for station in city.stations()] == ["10", ""]
    assert city.rows()[0]["capacity"] == ""


def test_a_field_that_comes_back_within_a_day_makes_no_version(
    city: Publisher,
) -> None:
    """A publisher's error of an hour leaves no version of a station."""
    city.fetch()
    city.documents["/station_information"] = listed({"station_id": "a"})
    city.fetch(after=3600)
    city.documents["/station_information"] = listed(NAMES)
    city.fetch(after=3600)
    city.fetch(after=2 * DAY)

    assert len(city.stations()) == 1


def test_a_value_that_changes_is_followed_at_once(city: Publisher) -> None:
    """Only a missing value is delayed: a new name is a new version."""
    city.fetch()
    city.documents["/station_information"] = listed(
        {**NAMES, "name": "Town Hall", "address": None}
    )
    city.fetch(after=3600)

    assert [station["name"] for station in city.stations()] == ["Hall", "Town Hall"]
    assert [station["address"] for station in city.stations()] == ["Main St 1"] * 2


def test_a_count_of_more_than_ten_times_the_capacity_is_empty(
    city: Publisher,
) -> None:
    """999 docks at a station of ten: an empty cell, a flag, and one notice."""
    full = {**STATUS, "num_bikes_available": 101, "num_docks_available": 100}
    city.documents["/station_status"] = listed(full)

    first = city.fetch()
    second = city.fetch()

    (row,) = city.rows()
    assert (row["num_vehicles_available"], row["num_docks_available"]) == ("", "100")
    assert row["occupancy"] == ""
    assert "implausible" in first.flags
    assert "implausible" in second.flags
    assert [n.text[:40] for n in first.notices] == [
        "a count is more than 10 times the capaci"
    ]
    assert second.notices == ()


def test_a_public_rack_may_have_fifty_vehicles(city: Publisher) -> None:
    """Chicago's have a capacity of one: more than ten at one of them are no error."""
    full = {**STATUS, "num_bikes_available": 50, "num_docks_available": 51}
    city.documents["/station_status"] = listed(full)
    city.documents["/station_information"] = listed({**NAMES, "capacity": 1})

    city.fetch()

    (row,) = city.rows()
    assert (row["num_vehicles_available"], row["num_docks_available"]) == ("50", "")


def test_an_oddity_is_reported_again_after_a_week_without_it(
    city: Publisher,
) -> None:
    """An hour without it is not enough; eight days are."""
    odd = {**STATUS, "last_reported": "soon"}
    city.documents["/station_status"] = listed(odd)
    first = city.fetch()
    city.documents["/station_status"] = listed(STATUS)
    city.fetch()
    city.documents["/station_status"] = listed(odd)
    soon = city.fetch()
    city.documents["/station_status"] = listed(STATUS)
    city.fetch()
    city.documents["/station_status"] = listed(odd)
    late = city.fetch(after=8 * DAY)

    kinds = [
        [n.kind for n in run.notices if "last_reported is empty" in n.text]
        for run in (first, soon, late)
    ]
    assert kinds == [["drift"], [], ["drift"]]


def test_a_complete_change_of_ids_is_reported(city: Publisher) -> None:
    """A publisher that renumbers its stations interrupts a history."""
    city.fetch()
    city.documents["/station_status"] = listed({**STATUS, "station_id": "b"})
    city.documents["/station_information"] = listed({**NAMES, "station_id": "b"})
    first = city.fetch()
    second = city.fetch()

    assert [n.text[:46] for n in first.notices] == [
        "only 0 of 1 stations have an id that was known"
    ]
    assert second.notices == ()


def test_a_list_with_other_ids_from_the_start_is_no_change(city: Publisher) -> None:
    """It is reported as such, in the first slot; a list that fits then is no news."""
    here = [{**STATUS, "station_id": f"00{n}"} for n in range(9)]
    lists = [
        [{**NAMES, "station_id": f"{zeros}{n}"} for n in range(9)]
        for zeros in ("", "00")
    ]
    city.documents["/station_status"] = listed(*here)
    city.documents["/station_information"] = listed(*lists[0], ttl=3600)
    first, second = city.fetch(), city.fetch()
    city.documents["/station_information"] = listed(*lists[1])
    later = [city.fetch() for _ in range(13)]

    (notice,) = first.notices
    assert notice.text.startswith("station_information lacks 9 of 9 stations")
    assert second.notices == ()
    assert not any(run.notices for run in later)


def test_a_small_system_that_grows_has_not_changed_its_ids(city: Publisher) -> None:
    """It keeps its first station, which is less than a tenth of the new ones."""
    city.fetch()
    grown = [{**STATUS, "station_id": name} for name in ("a", *"bcdefghijklmno")]
    city.documents["/station_status"] = listed(*grown)
    city.documents["/station_information"] = listed(
        *({**NAMES, "station_id": station["station_id"]} for station in grown)
    )

    assert city.fetch().notices == ()


def test_a_field_that_is_null_everywhere_is_reported_once(city: Publisher) -> None:
    """Its type is stored: its return is not reported."""
    city.fetch()
    city.documents["/station_status"] = listed({**STATUS, "num_docks_available": None})
    gone = city.fetch()
    still = city.fetch()
    city.documents["/station_status"] = listed(STATUS)
    back = city.fetch()

    assert [n.text for n in gone.notices] == [
        "field num_docks_available is null at every station"
    ]
    assert (still.notices, back.notices) == ((), ())


@pytest.mark.parametrize("value", [None, ""])
def test_a_count_that_is_empty_from_the_start_is_reported_once(
    city: Publisher, value: object
) -> None:
    """The history of the system would have no vehicle at all."""
    empty = {**STATUS, "num_bikes_available": value}
    city.documents["/station_status"] = listed(empty)
    first = city.fetch()
    still = city.fetch()

    assert [n.text for n in first.notices] == [
        "field num_bikes_available is null at every station"
    ]
    assert still.notices == ()


REGIONS: dict[str, Any] = {
    "data": {
        "regions": [
            {"region_id": 3, "name": "Harbour"},
            {"region_id": "4", "name": [{"text": "Altstadt", "language": "de"}]},
        ]
    }
}


@pytest.mark.parametrize(
    ("region_id", "name"),
    [("3", "Harbour"), (3.0, "Harbour"), ("4", "Altstadt"), ("5", "5"), (None, "")],
)
def test_regions_have_their_names(city: Publisher, region_id: Any, name: str) -> None:
    """They come from system_regions; an unknown id is kept as an id."""
    listing: Any = city.documents["/gbfs.json"]
    regions = {"name": "system_regions", "url": "BASE/regions"}
    listing["data"]["en"]["feeds"].append(regions)
    city.documents["/regions"] = REGIONS
    names = {**NAMES, "region_id": region_id}
    city.documents["/station_information"] = listed(names, ttl=3600)
    city.fetch()

    assert [station["region"] for station in city.stations()] == [name]


def test_a_renamed_region_is_followed(
    city: Publisher,
) -> None:
    """The list of stations is unchanged; the region's name is not."""
    listing: Any = city.documents["/gbfs.json"]
    regions = {"name": "system_regions", "url": "BASE/regions"}
    listing["data"]["en"]["feeds"].append(regions)
    city.documents["/station_information"] = listed({**NAMES, "region_id": "3"})
    city.fetch()
    city.documents["/regions"] = REGIONS
    city.fetch(after=3600)
    named = {"data": {"regions": [{"region_id": "3", "name": "Old Port"}]}}
    city.documents["/regions"] = named
    city.fetch(after=3600)

    assert [station["region"] for station in city.stations()] == [
        "3",
        "Harbour",
        "Old Port",
    ]


@pytest.mark.parametrize("answer", [{"error": "maintenance"}, {"data": {"regions": 3}}])
def test_an_error_in_place_of_the_regions_replaces_no_name(
    city: Publisher, answer: object
) -> None:
    """Its status is 200, and it is JSON: the slot is partial, the names stay.

    Regions in another encoding are read, and one that is listed no more is no error.
    """
    listing: Any = city.documents["/gbfs.json"]
    regions = {"name": "system_regions", "url": "BASE/regions"}
    listing["data"]["en"]["feeds"].append(regions)
    city.documents["/station_information"] = listed({**NAMES, "region_id": "4"})
    city.documents["/regions"] = Answer(json.dumps(REGIONS).encode("utf-16"))
    first = city.fetch()
    city.documents["/regions"] = answer
    second = city.fetch(after=3600)
    listing["data"]["en"]["feeds"].remove(regions)
    third = city.fetch(after=86_400)

    flags = [run.result.flags for run in (first, second, third)]
    assert flags == [(), ("partial",), ()]
    assert [station["region"] for station in city.stations()] == ["Altstadt"]


def test_an_empty_list_of_regions_replaces_no_name(city: Publisher) -> None:
    """During maintenance, for example: that is reported once."""
    listing: Any = city.documents["/gbfs.json"]
    regions = {"name": "system_regions", "url": "BASE/regions"}
    listing["data"]["en"]["feeds"].append(regions)
    city.documents["/station_information"] = listed({**NAMES, "region_id": "4"})
    city.documents["/regions"] = REGIONS
    city.fetch()
    city.documents["/regions"] = {"data": {"regions": []}}
    runs = [city.fetch(after=3600), city.fetch(after=3600)]

    assert [[notice.text for notice in run.notices] for run in runs] == [
        ["system_regions is an empty list now: its last content remains in use"],
        [],
    ]
    assert [station["region"] for station in city.stations()] == ["Altstadt"]


@pytest.mark.parametrize("empty", [None, {}])
def test_regions_without_any_are_no_error(city: Publisher, empty: object) -> None:
    """Servers write an empty list as null (Go) or as an object (PHP)."""
    listing: Any = city.documents["/gbfs.json"]
    regions = {"name": "system_regions", "url": "BASE/regions"}
    listing["data"]["en"]["feeds"].append(regions)
    city.documents["/regions"] = {"data": {"regions": empty}}

    assert city.fetch().result.flags == ()


def test_a_station_that_returns_to_a_list_that_changes_too_often_is_written() -> None:
    """It is known, but has left; the other one is only renamed again."""
    back, other = StationInformation("back"), StationInformation("other")
    known = {"back": back._replace(is_listed=False), "other": other}
    ledger: Any = SimpleNamespace(
        newest_stations=lambda: 0, versions_since=lambda _: range(10_000), absent=dict
    )
    snapshot = Snapshot((), (back, other._replace(name="again")))
    changes = find_changes(
        snapshot, known, Slot(300), notes={}, ledger=ledger, is_partial=False
    )

    assert changes.versions == [back]
    assert "mostly in name" in changes.findings["restless list"]


@pytest.mark.parametrize(
    ("place", "later", "told"),
    [
        ((48.1, 16.3), (16.3, 48.1), "lat and lon were exchanged at 3 of 3 stations"),
        ((40.7, -74.0), (-74.0, 40.7), "3 of 3 stations lie where no town is, such as"),
        ((-74.0, 40.7), (-74.0, 40.7), "3 of 3 stations lie where no town is, such as"),
        ((48.1, 16.3), (48.4, 16.9), ""),
        ((48.1, 16.3), (16.3, 16.3), ""),
        ((5.2, 5.2), (5.2, 5.2), ""),
        ((-54.8, -68.3), (78.2, 15.6), ""),
    ],
)
def test_exchanged_coordinates_are_reported_once(
    city: Publisher,
    place: tuple[float, float],
    later: tuple[float, float],
    told: str,
) -> None:
    """Also those of a new system, if there is no town; they are stored unchanged."""
    lists = [
        listed(*({**NAMES, "station_id": i, "lat": lat, "lon": lon} for i in "abc"))
        for lat, lon in (place, later, later)
    ]
    city.documents["/station_status"] = listed(
        *({**STATUS, "station_id": i} for i in "abc")
    )
    texts: list[str] = []
    for stations in lists:
        city.documents["/station_information"] = stations
        texts += [notice.text for notice in city.fetch().notices]

    about = [text for text in texts if "exchanged" in text][:1]
    assert [text[: len(told)] for text in about] == [told] * bool(told)
    assert [float(city.stations()[-1][name]) for name in ("lat", "lon")] == [*later]


def spread(lat: float = 48.1, lon: float = 16.3, number: int = 24) -> dict[str, Any]:
    """Return a list of *number* stations around a place."""
    return listed(
        *(
            {**NAMES, "station_id": f"s{n}", "name": f"Stop {n}"}
            | {"lat": lat + n / 1000, "lon": lon + n / 1000}
            for n in range(number)
        )
    )


SPREAD: list[dict[str, Any]] = spread()["data"]["stations"]


def told_of(city: Publisher, *lists: object) -> list[str]:
    """Return what is told in slots with these *lists* of stations."""
    rows = ({**STATUS, "station_id": f"s{n}"} for n in range(24))
    city.documents["/station_status"] = listed(*rows)
    texts: list[str] = []
    for stations in lists:
        city.documents["/station_information"] = stations
        texts += [notice.text for notice in city.fetch().notices]
    return texts


@pytest.mark.parametrize(
    ("zone", "place", "told"),
    [
        ("Europe/Vienna", (48.1, 16.3), ""),
        ("Europe/Vienna", (16.3, 48.1), "lat and lon are exchanged at the stations"),
        ("Europe/Madrid", (-3.7, 40.4), "lat and lon are exchanged at the stations"),
        ("Europe/Madrid", (39.6, 2.65), ""),
        ("Africa/Cairo", (31.2, 29.9), ""),
        (
            "America/New_York",
            (40.7, 74.0),
            "lon has the wrong sign at the stations, or timezone is wrong: ",
        ),
        (
            "Australia/Sydney",
            (33.9, 151.2),
            "lat has the wrong sign at the stations, or timezone is wrong: ",
        ),
        ("Asia/Shanghai", (43.8, 87.6), ""),
        ("Asia/Taipei", (48.1, 16.3), ""),
        ("America/New_York", (25.0, 121.0), ""),
        ("UTC", (16.3, 48.1), ""),
        ("Asia/Taipei", (121.5, 25.0), "lat is empty at every station: no value of"),
    ],
)
def test_the_first_list_is_compared_with_the_place_of_its_time_zone(
    city: Publisher, zone: str, place: tuple[float, float], told: str
) -> None:
    """Mirrored places are told once, from the first slot on, and stored unchanged."""
    city.more = {**city.more, "timezone": zone}
    texts = told_of(city, spread(*place), spread(*place))

    assert [text[: len(told)] for text in texts] == [told] * bool(told)


@pytest.mark.parametrize(
    ("places", "guess"),
    [
        ((121.5, 25.0), "both may be exchanged"),
        ((4.81e7, 1.63e7), "they may be in parts of a degree"),
        ((4.81e8, 1.63e8), "they may be in parts of a degree"),
        ((5_340_000, 1_820_000), ""),
        ((999, 999), ""),
        ((99_999_999, 99_999_999), ""),
    ],
)
def test_what_unreadable_coordinates_may_be_is_guessed(
    city: Publisher, places: tuple[float, float], guess: str
) -> None:
    """Coordinates that are none on earth are empty; the notice says why."""
    lat, lon = places
    (told,) = told_of(city, spread(lat=lat, lon=lon))

    assert told.startswith("lat is empty at every station")
    assert told.partition("; ")[2] == guess


@pytest.mark.parametrize(
    ("later", "told"),
    [
        (spread(41.4, 2.2), "24 of 24 stations are far from where they were, such as"),
        (spread(48.15, 16.35), ""),
        (listed(*spread(41.4, 2.2, 9)["data"]["stations"]), ""),
    ],
)
def test_stations_that_are_elsewhere_at_once_are_reported(
    city: Publisher, later: dict[str, Any], told: str
) -> None:
    """It may be the list of another city, with the same numbers for its stations."""
    others = spread()["data"]["stations"][9:]
    fewer = [*later["data"]["stations"], *others][:24]
    texts = told_of(city, spread(), listed(*fewer), listed(*fewer))

    assert [text[: len(told)] for text in texts] == [told] * bool(told)


@pytest.mark.parametrize(
    ("spell", "example"),
    [
        (lambda i: f"00{i}" if int(i) % 2 else i, "00101 for 101"),
        (lambda i: f"VIE:Station:{i}", "VIE:Station:100 for 100"),
        (lambda i: f"{i}.0", "100.0 for 100"),
        (lambda i: f"https://a.org/{i}/", "https://a.org/100/ for 100"),
        (lambda i: f"{int(i) + 700}", ""),
    ],
)
def test_ids_in_another_spelling_are_reported_once(
    city: Publisher, spell: Callable[[str], str], example: str
) -> None:
    """The stations are new ones then: the publisher must be told, or the settings."""
    rows = [{**row, "station_id": f"{100 + n}"} for n, row in enumerate(SPREAD)]
    texts: list[str] = []
    for name in (str, spell, spell):
        ids = [name(row["station_id"]) for row in rows]
        city.documents["/station_status"] = listed(
            *({**STATUS, "station_id": i} for i in ids)
        )
        city.documents["/station_information"] = listed(
            *({**row, "station_id": i} for row, i in zip(rows, ids, strict=True))
        )
        texts += [notice.text for notice in city.fetch().notices]

    told = [text for text in texts if "in another spelling" in text]
    assert [example in text for text in told] == [True] * bool(example)


@pytest.mark.parametrize(
    ("spell", "later"),
    [
        ("bonn:{}", "ulm:{}"),
        ("https://a.org/{}/", "https://b.org/{}/"),
        ("{}", "x:{}"),
        ("{}", "0{}"),
    ],
)
def test_ids_of_other_stations_are_no_other_spelling(
    city: Publisher, spell: str, later: str
) -> None:
    """Of a city that left and one that came, with other names, at other places."""
    texts: list[str] = []
    for name, rows in ((spell, SPREAD), (later, spread(50.1, 8.6)["data"]["stations"])):
        stations = [
            {**row, "station_id": name.format(n), "name": f"{name} {n}"}
            for n, row in enumerate(rows, 100)
        ]
        city.documents["/station_status"] = listed(
            *({**STATUS, "station_id": row["station_id"]} for row in stations)
        )
        city.documents["/station_information"] = listed(*stations)
        texts += [notice.text for notice in city.fetch().notices]

    assert [text for text in texts if "in another spelling" in text] == []


def test_stations_that_are_listed_twice_are_reported_once(city: Publisher) -> None:
    """Under two ids each; a few may share name and place, or all of a kind."""
    rows = spread()["data"]["stations"]
    copies = [{**row, "station_id": f"copy of {row['station_id']}"} for row in rows]
    alike = listed(*({**NAMES, "station_id": row["station_id"]} for row in rows))
    others = told_of(city, spread(), alike, listed(*rows, *copies[:2]))
    twice = told_of(city, *[listed(*rows, *copies)] * 2)

    assert others == []
    assert twice == [
        "24 of 48 stations have the name and place of another one, such as s0 and "
        "copy of s0: they may be listed twice, and sums over all stations may then "
        "count their vehicles twice"
    ]


def test_the_first_list_has_stations_twice_and_in_mirrored_places(
    city: Publisher,
) -> None:
    """One finding about places does not hide the other one."""
    city.more = {**city.more, "timezone": "Europe/Vienna"}
    rows = spread(16.3, 48.1)["data"]["stations"]
    copies = [{**row, "station_id": f"copy of {row['station_id']}"} for row in rows]
    told = told_of(city, listed(*rows, *copies))

    assert any("have the name and place of another one" in text for text in told)
    assert any("lat and lon are exchanged" in text for text in told)


def test_exchanged_places_beside_the_counts_are_not_reported_if_a_list_has_others(
    city: Publisher,
) -> None:
    """They are not stored, unlike those of the separate list."""
    listing = ({**NAMES, "station_id": i, "lat": 48.1, "lon": 16.3} for i in "abc")
    city.documents["/station_information"] = listed(*listing)
    texts: list[str] = []
    places: list[dict[str, float]] = [{}, {"lat": 16.3, "lon": 48.1}]
    for beside in places:
        rows = ({**STATUS, **beside, "station_id": i} for i in "abc")
        city.documents["/station_status"] = listed(*rows)
        texts += [notice.text for notice in city.fetch(after=DAY).notices]
        city.documents["/station_information"] = Answer(b"", 404)

    assert [text for text in texts if "exchanged" in text] == []
    assert city.stations()[-1]["lat"] == "48.1"
