"""Station lists of every dialect: no row is lost, impossible numbers are empty."""

import json
from datetime import UTC
from typing import Any

import pytest

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Check, Document, Memory
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds import Feed
from bikecollect.feeds.citybikes import CityBikes
from bikecollect.feeds.gbfs import reader
from bikecollect.feeds.gbfs.feed import Gbfs
from bikecollect.feeds.mapped import Mapped
from bikecollect.feeds.registry import _QuotingOwnHost
from bikecollect.feeds.youbike import YouBike

TYPES = [
    {"vehicle_type_id": "plain", "propulsion_type": "human"},
    {"vehicle_type_id": "assist", "propulsion_type": "electric_assist"},
    {"vehicle_type_id": "moped", "propulsion_type": "electric"},
    {"vehicle_type_id": "silent", "form_factor": "bicycle"},
    {"vehicle_type_id": "odd", "propulsion_type": "sail"},
]
OPEN = {"is_installed": True, "is_renting": True, "is_returning": True}


def station(station_id: str = "a", **more: Any) -> dict[str, Any]:
    """Return a station of a GBFS status, with *more* fields."""
    counts = {"num_bikes_available": 4, "num_docks_available": 6}
    return {"station_id": station_id, **counts, **OPEN, **more}


def gbfs(
    *stations: object,
    about: object = None,
    updated: object = None,
    fields: dict[str, str] | None = None,
) -> Snapshot:
    """Return the snapshot of a status of *stations* and the station information."""
    values = {
        "station_status": {"last_updated": updated, "data": {"stations": stations}},
        "vehicle_types": {"data": {"vehicle_types": TYPES}},
    }
    values |= {"station_information": about} if about is not None else {}
    return Gbfs("http://localhost/gbfs.json", UTC, fields=fields or {}).read(
        tuple(
            Document(name, json.dumps(value).encode(), fetched_at=1_800_000_000.0)
            for name, value in values.items()
        )
    )


def network(*stations: dict[str, Any]) -> Snapshot:
    """Return the snapshot of a CityBikes network with *stations*."""
    body = json.dumps({"network": {"stations": stations}}).encode()
    return CityBikes("http://localhost/").read((Document("network", body),))


def by_type(**counts: object) -> list[dict[str, object]]:
    """Return GBFS's vehicle_types_available."""
    return [{"vehicle_type_id": key, "count": n} for key, n in counts.items()]


def test_a_closed_station_without_counts_is_a_row() -> None:
    """Half of a system in winter: ten rows, five of them empty, none dropped."""
    empty: dict[str, Any] = {"num_bikes_available": None, "num_docks_available": None}
    closed = {**empty, "is_installed": False, "is_renting": False}

    snapshot = gbfs(
        *(station(str(n)) for n in range(5)),
        *(station(str(n), **closed) for n in range(5, 10)),
    )

    assert snapshot.dropped == 0
    assert [s.num_vehicles_available for s in snapshot.statuses] == [4] * 5 + [None] * 5
    assert snapshot.statuses[9].is_installed is False
    assert snapshot.findings == {}


def test_stations_that_are_each_in_a_response_are_read() -> None:
    """As CommonsBooking publishes both documents (its issues 2004 and 2249)."""

    def wrapped(data: object) -> dict[str, object]:
        return {"data": data, "headers": [], "status": 200}

    about = [wrapped({"station_id": n, "name": f"S{n}"}) for n in range(10)]
    read = gbfs(
        *(wrapped(station(str(n))) for n in range(10)),
        about={"data": {"stations": about}},
    )

    assert [s.num_vehicles_available for s in read.statuses] == [4] * 10
    assert [s.name for s in read.information] == [f"S{n}" for n in range(10)]
    assert (read.dropped, read.findings) == (0, {})


@pytest.mark.parametrize("value", ["seven", "1,234", True, {"value": 3}])
def test_a_count_that_is_no_number_is_flagged(value: object) -> None:
    """Like an impossible one; a text for "no value" is not."""
    ten = [station(str(n)) for n in range(10)]

    assert gbfs(station(num_bikes_available=value), *ten).flags == ("implausible",)
    assert gbfs(station(num_bikes_available="N/A"), *ten).flags == ()


@pytest.mark.parametrize("number", [-1, 999, 9999, 999999, "-1", 10**30, 4.5])
def test_an_impossible_count_is_empty_and_flagged(number: object) -> None:
    """-1, 999 and the like: the station is kept, and this is reported once."""
    snapshot = gbfs(station(num_docks_available=number))

    assert snapshot.statuses[0].num_docks_available is None
    assert snapshot.statuses[0].num_vehicles_available == 4
    assert snapshot.flags == ("implausible",)
    assert "at 1 of 1 stations" in snapshot.findings["implausible num_docks_available"]


@pytest.mark.parametrize("number", [-1, 999, 4.5, "many", 10**30])
def test_an_impossible_count_by_type_is_not_counted_and_flagged(number: object) -> None:
    """E-bikes are empty, not a part of them; a type without a count is no error."""
    types = by_type(plain=2, assist=number)
    odd = gbfs(station(vehicle_types_available=types))
    none = gbfs(station(vehicle_types_available=by_type(plain=4, assist=None)))

    assert odd.statuses[0].num_ebikes_available is None
    assert odd.flags == ("implausible",)
    assert "1 counts in vehicle_types_available" in next(iter(odd.findings.values()))
    assert (none.flags, none.findings) == ((), {})


def test_a_single_impossible_count_among_many_is_flagged_only() -> None:
    """One of forty is not worth a mail."""
    many = [station(str(n)) for n in range(40)]

    snapshot = gbfs(*many, station("odd", num_bikes_available=-1))

    assert snapshot.flags == ("implausible",)
    assert snapshot.findings == {}


def test_counts_that_are_no_numbers_reject_the_payload() -> None:
    """The payload is not understood, and kept for a later version."""
    retyped = [station(str(n), num_bikes_available={"now": n}) for n in range(5)]

    with pytest.raises(PayloadError, match="not a number at 5 of 5 stations") as e:
        gbfs(*retyped)
    assert e.value.cause == "drift"


@pytest.mark.parametrize(
    ("more", "ebikes"),
    [
        ({"vehicle_types_available": by_type(plain=2, assist=1, moped=1)}, 2),
        ({"vehicle_types_available": by_type(plain=4)}, 0),
        ({"vehicle_types_available": by_type(silent=4)}, None),
        ({"vehicle_types_available": by_type(odd=1, assist=3)}, None),
        ({"vehicle_types_available": by_type(unheard=4)}, None),
        ({"vehicle_types_available": by_type(unheard=0, assist=3)}, 3),
        ({"vehicle_types_available": by_type(plain=-1, assist=2)}, 2),
        ({"vehicle_types_available": by_type(plain=2, assist=None)}, None),
        ({"vehicle_types_available": by_type(plain=0, assist=0)}, None),
        ({"vehicle_types_available": []}, None),
        ({"num_ebikes_available": 3}, 3),
        ({"num_ebikes_available": "3"}, 3),
        ({"num_bikes_available_types": [{"mechanical": 1}, {"ebike": 3}]}, 3),
        ({"num_bikes_available_types": {"mechanical": 1, "ebike": 3}}, 3),
        ({"num_bikes_available_types": {"ICONIC": 1, "EFIT": 3}}, None),
    ],
)
def test_e_bikes_are_known_or_empty(more: dict[str, Any], ebikes: object) -> None:
    """Unknown is not 0: a type without propulsion may be either."""
    (row,) = gbfs(station(**more)).statuses

    assert row.num_ebikes_available == ebikes


@pytest.mark.parametrize(
    "more",
    [{"num_ebikes_available": None}, {"num_bikes_available_types": {"ICONIC": 4}}],
)
def test_a_key_without_a_value_does_not_end_the_search(more: dict[str, Any]) -> None:
    """Counts by type are used if the field beside them is null."""
    types = by_type(plain=1, assist=3)

    (row,) = gbfs(station(**more, vehicle_types_available=types)).statuses

    assert row.num_ebikes_available == 3


def test_totals_that_contradict_their_types_are_kept_and_reported() -> None:
    """0 in all and 15 by type: both unchanged, a flag, and a notice."""
    types = by_type(assist=15)

    snapshot = gbfs(station(num_bikes_available=0, vehicle_types_available=types))

    (row,) = snapshot.statuses
    assert (row.num_vehicles_available, row.num_ebikes_available) == (0, 15)
    assert snapshot.flags == ("contradictory",)
    assert "a: 0 in all, 15 by type" in snapshot.findings["contradictory"]


@pytest.mark.parametrize(
    "more",
    [
        {"vehicle_types_available": by_type(plain=7)},
        {"vehicle_types_available": by_type(silent=7)},
        {"vehicle_types_available": by_type(plain=2, assist=5)},
        {"num_ebikes_available": 5},
    ],
)
def test_every_kind_of_vehicle_contradicts_a_total_of_none(more: Any) -> None:
    """Plain bikes, and those of unknown type, too."""
    snapshot = gbfs(station(num_bikes_available=0, **more))

    assert snapshot.flags == ("contradictory",)
    unit = "5 e-bikes" if "num_ebikes_available" in more else "by type"
    assert unit in snapshot.findings["contradictory"]


@pytest.mark.parametrize("total", [{}, {"num_bikes_available": None}])
def test_missing_totals_are_reported_and_not_the_sums_of_their_types(
    total: dict[str, Any],
) -> None:
    """In real feeds the sums differ: the cells are empty."""
    docks = [{"vehicle_type_ids": ["plain"], "count": 4}, {"count": "2"}]
    more = {"num_docks_available": "", "vehicle_docks_available": docks}
    types = {"vehicle_types_available": by_type(plain=2, assist=1)}
    bare = {"station_id": "a", **total, **more, **types}

    snapshot = gbfs(station("b", num_docks_available=1), bare)

    assert snapshot.statuses[1].num_vehicles_available is None
    assert snapshot.statuses[1].num_docks_available is None
    assert [
        f"num_{name}_available is missing at 1 of 2 stations" in text
        for name, text in zip(
            ("vehicles", "docks"), snapshot.findings.values(), strict=True
        )
    ] == [True, True]


@pytest.mark.parametrize("name", ["numBikesAvailable", "Bikes"])
def test_a_total_in_another_spelling_is_not_missing(name: str) -> None:
    """Nor is one that the settings name."""
    types = by_type(plain=2, assist=1)
    row = {"station_id": "a", name: 9, "vehicle_types_available": types}
    snapshot = gbfs(row, fields={"num_vehicles_available": "Bikes"})

    assert snapshot.statuses[0].num_vehicles_available == 9
    assert snapshot.findings == {}


def test_two_spellings_of_a_count_that_differ_are_reported() -> None:
    """As when a new name is 0 at first; a single station may be an error of it."""
    both = [station(f"s{n}", num_vehicles_available=0) for n in range(40)]
    same = {"num_vehicles_available": 3, "num_bikes_available": "3"}
    alike = [{**item, **same} for item in both]

    findings = gbfs(*both).findings

    assert (
        "num_vehicles_available and num_bikes_available differ at 40 of 40 sta"
        in (findings["rivals num_vehicles_available"])
    )
    assert gbfs(*alike).findings == gbfs(*alike[:39], both[39]).findings == {}


def test_an_implausible_count_is_not_called_stored_beside_another_spelling() -> None:
    """It is left empty, and that is what is said."""
    odd = [station(f"s{n}", num_vehicles_available=9_999) for n in range(40)]

    assert list(gbfs(*odd).findings) == ["implausible num_vehicles_available"]


def test_a_column_that_cannot_be_read_at_any_station_is_reported() -> None:
    """The key exists and the column is empty: the notice names both, and a value."""
    snapshot = gbfs(station(last_reported="half past nine", capacity=None))

    assert list(snapshot.findings) == ["unread last_reported"]
    assert "'half past nine'" in snapshot.findings["unread last_reported"]


def test_a_column_that_is_read_at_one_station_is_not_reported() -> None:
    """One readable station is sufficient."""
    odd = station("b", last_reported="soon")

    assert gbfs(station(last_reported=1_799_999_000), odd).findings == {}


@pytest.mark.parametrize(
    ("key", "odd", "none"),
    [
        ("is_renting", {"is_renting": "perhaps"}, {"is_renting": "n/a"}),
        ("last_reported", {"last_reported": "soon"}, {"last_reported": 0}),
        ("num_docks_available", {"num_docks_available": "x"}, {}),
        ("lat", {"lon": 500}, {"lat": 0, "lon": 0}),
        ("name", {"name": [3]}, {"name": None}),
        ("name", {"name": [[3]]}, {"name": [], "lat": "-", "lon": "N/A"}),
        ("name", {"name": True}, {"name": False}),
        (
            "last_reported",
            {"last_reported": [1]},
            {"last_reported": "0001-01-01T00:00"},
        ),
    ],
)
def test_a_column_that_cannot_be_read_at_some_stations_is_reported(
    key: str, odd: dict[str, object], none: dict[str, object]
) -> None:
    """Not where the publisher says that there is no value."""
    usual = {"name": "A", "lat": 48.1, "lon": 16.3, "last_reported": 1_799_999_000}
    some = [station(str(n), **usual) for n in range(30)]

    reported, nothing = (
        gbfs(*some, *(station(f"o{n}", **{**usual, **more}) for n in range(2)))
        for more in (odd, none)
    )

    assert list(reported.findings) == [f"unreadable {key}"]
    assert nothing.findings == {}


def test_lasting_values_come_from_the_list_of_stations() -> None:
    """Null keys of a status change nothing; its places come second."""
    names = {"station_id": "a", "name": "Hall", "lat": 48.1, "lon": 16.3, "capacity": 9}
    blank = station(name=None, lat=48.2, lon=16.4, capacity=None)

    snapshot = gbfs(blank, about={"data": {"stations": [names]}})
    alone = gbfs(blank)

    assert (snapshot.information[0].name, snapshot.information[0].lat) == ("Hall", 48.1)
    assert snapshot.secondary is False
    assert (alone.information[0].lat, alone.secondary) == (48.2, True)


@pytest.mark.parametrize(("listed", "lacking"), [(9, 0), (5, 5), (0, 10)])
def test_information_that_lacks_many_stations_is_reported(
    listed: int, lacking: int
) -> None:
    """Or has other ids; a new station that it does not know yet is nothing unusual."""
    names = [{"station_id": str(n), "name": "A"} for n in range(listed)]
    about = {"data": {"stations": names or [{"station_id": "00", "name": "A"}]}}

    findings = gbfs(*(station(str(n)) for n in range(10)), about=about).findings

    text = f"station_information lacks {lacking} of 10 stations"
    assert bool(lacking) is ("unlisted" in findings)
    assert not lacking or text in findings["unlisted"]


def test_keys_without_a_value_are_no_station_information() -> None:
    """If name, lat and capacity are all null, nothing is known."""
    blank = station(name=None, lat=None, lon=None, capacity=None)

    assert gbfs(blank).information == ()


@pytest.mark.parametrize(
    "body", ["{", "[]", '{"data": {"stations": []}}', '{"data": {}}', '"error"']
)
def test_unreadable_station_information_is_reported(body: str) -> None:
    """The rows are kept; the snapshot says what is missing."""
    status = json.dumps({"data": {"stations": [station()]}}).encode()
    documents = (
        Document("station_status", status),
        Document("station_information", body.encode()),
    )

    snapshot = Gbfs("http://localhost/gbfs.json", UTC).read(documents)

    assert len(snapshot.statuses) == 1
    assert snapshot.incomplete.startswith("station_information cannot be read: ")


def test_raw_control_characters_in_texts_are_tolerated() -> None:
    """A tab in one name does not lose all names."""
    about = b'{"data":{"stations":[{"station_id":"a","name":"Main\tSt\x01"}]}}'
    status = json.dumps({"data": {"stations": [station()]}}).encode()
    documents = (
        Document("station_status", status),
        Document("station_information", about),
    )

    snapshot = Gbfs("http://localhost/gbfs.json", UTC).read(documents)

    assert snapshot.incomplete == ""
    assert str(snapshot.information[0].name).startswith("Main")


@pytest.mark.parametrize(
    ("updated", "moment"),
    [
        (1_799_999_940, 1_799_999_940),
        ("2027-01-15T07:59:00", 1_799_999_940),
        ("2027-01-15T07:59:00+00:00Z", 1_799_999_940),
        ("2027-01-15T08:59:00+01:00", 1_799_999_940),
    ],
)
def test_gbfs_stamps_without_a_zone_are_utc(updated: object, moment: int) -> None:
    """The specification requires an offset; without one UTC is meant."""
    snapshot = gbfs(station(last_reported=updated), updated=updated)

    assert (snapshot.last_updated, snapshot.statuses[0].last_reported) == (
        moment,
        moment,
    )


def test_stations_that_share_an_id_are_distinguished_by_the_second_key() -> None:
    """CityBikes' id is a hash of the place; extra.uid is unique."""
    twins = [
        {"id": "f00", "free_bikes": n, "empty_slots": 1, "extra": {"uid": n}}
        for n in (4, 9)
    ]
    other = {"id": "ba5", "free_bikes": 3, "empty_slots": 1, "extra": {"uid": 1}}

    snapshot = network(*twins, other)

    rows = [(s.station_id, s.num_vehicles_available) for s in snapshot.statuses]
    assert rows == [("f00:4", 4), ("f00:9", 9), ("ba5", 3)]
    assert snapshot.duplicates == 0


@pytest.mark.parametrize("extra", [{"uid": 4}, {}, None])
def test_a_station_that_comes_twice_stays_one(extra: object) -> None:
    """Without a different second key the first is kept; another name is reported."""
    twin = {"id": "f00", "free_bikes": 4, "empty_slots": 1, "extra": extra}

    snapshot = network(twin, twin)
    findings = network({**twin, "name": "A"}, {**twin, "name": "B"}).findings

    assert [row.station_id for row in snapshot.statuses] == ["f00"]
    assert (snapshot.duplicates, "shared ids" in snapshot.findings) == (1, False)
    assert findings["shared ids"].endswith("another name or place are not stored: 1")


@pytest.mark.parametrize(("number", "reported"), [(2, False), (3, True)])
def test_a_list_with_two_rows_for_many_stations_is_reported(
    number: int, *, reported: bool
) -> None:
    """Such as one for bikes, one for e-bikes; a few are a read that was torn."""
    rows = [station(f"{n}", num_bikes_available=n) for n in range(9)]
    more = [station(f"{n}", num_bikes_available=n + 1) for n in range(number)]

    findings, same = gbfs(*rows, *more).findings, gbfs(*rows, *rows).findings

    assert ("repeated ids" in findings, same) == (reported, {})


def test_citybikes_stamps_with_an_offset_and_a_z_are_read() -> None:
    """2025-04-17T16:41:02.505032+00:00Z, as its API writes them since April 2025."""
    snapshot = network(
        {
            "id": "a",
            "free_bikes": 3,
            "empty_slots": None,
            "timestamp": "2025-04-17T16:41:02.505032+00:00Z",
        }
    )

    assert snapshot.statuses[0].last_reported == 1_744_908_062
    assert snapshot.last_updated == 1_744_908_062


def test_a_mapped_feed_keeps_stations_without_counts_too() -> None:
    """What is mapped is read by the same rules."""
    mapping = {"station_id": "id", "num_vehicles_available": "bikes.now"}
    body = json.dumps([{"id": 1, "bikes": {"now": 5}}, {"id": 2, "bikes": {"now": -1}}])
    feed = Mapped("http://localhost/", UTC, mapping)

    snapshot = feed.read((Document("feed", body.encode()),))

    assert [s.num_vehicles_available for s in snapshot.statuses] == [5, None]
    assert snapshot.flags == ("implausible",)


def test_a_long_text_is_cut_and_reported() -> None:
    """70,000 letters become 1 KiB at most, in any script."""
    about = {
        "data": {
            "stations": [
                {"station_id": "a", "name": "站" * 70_000, "address": "x" * 1_024},
                {"station_id": "b", "name": [{"text": "y" * 2_000, "language": "en"}]},
            ]
        }
    }

    read = gbfs(station("a"), station("b"), about=about)

    names = [row.name or "" for row in read.information]
    assert [len(name.encode()) for name in names] == [1_023, 1_024]
    assert names[0] == "站" * 340 + "\u2026"
    assert read.information[0].address == "x" * 1_024
    assert "cut" in read.flags
    assert read.findings["cut"] == (
        "3 texts of stations are longer than 1024 bytes and were truncated"
    )


def test_a_station_with_an_endless_id_is_dropped_and_counted() -> None:
    """A truncated id might be that of another station."""
    long = [station("x" * 131_073 + str(number)) for number in range(2)]
    good = [station(f"s{number}") for number in range(8)]

    read = gbfs(*long, *good)

    assert [row.station_id for row in read.statuses] == [f"s{n}" for n in range(8)]
    assert read.dropped == 2
    assert "2 of 10 stations have no id that can be read" in read.findings["nameless"]


def test_a_row_without_an_id_is_shown() -> None:
    """The null may be a part of the id, as in Switzerland's feed."""
    read = gbfs(station("emobility:null"), *(station(str(n)) for n in range(9)))

    assert "{'station_id': 'emobility:null'" in read.findings["nameless"]


def test_a_list_of_endless_ids_is_rejected() -> None:
    """More than a fifth cannot be read, and the message is short."""
    with pytest.raises(PayloadError, match="9 of 9 stations cannot be read") as caught:
        gbfs(*(station("x" * 131_073 + str(number)) for number in range(9)))
    assert len(str(caught.value)) < 500


def test_a_status_of_a_usual_page_size_is_compared_with_the_list() -> None:
    """100 of 173 is a page. 100 of 102, 99 of 173, or 20 of 25 are not."""
    names = [{"station_id": str(n), "name": "x"} for n in range(173)]
    status = [station(str(n)) for n in range(100)]

    cut = gbfs(*status, about={"data": {"stations": names}})
    full = gbfs(*status, about={"data": {"stations": names[:102]}})
    other = gbfs(*status[:99], about={"data": {"stations": names}})
    small = gbfs(*status[:20], about={"data": {"stations": names[:25]}})

    assert "exactly 100 of" in cut.incomplete
    assert cut.incomplete.startswith("exactly 100 of 173 stations")
    assert [full.incomplete, other.incomplete, small.incomplete] == [""] * 3


@pytest.mark.parametrize("values", [(1, 0), (True, False), ("1", "0"), (True, 0)])
@pytest.mark.parametrize("other", [True, 1, 1.0, "yes", "In_Service", 2, None, []])
def test_a_flag_is_read_alike_whatever_the_other_stations_have(
    values: tuple[object, ...], other: object
) -> None:
    """A flag of another kind, or none at all, changes no other one."""
    flags = [*values, other]
    read = gbfs(*(station(str(n), is_renting=flag) for n, flag in enumerate(flags)))

    expected = None if other in (2, None, []) else True
    assert [s.is_renting for s in read.statuses] == [True, False, expected]


@pytest.mark.parametrize("other", ["b", 12, None, "b\ufffd"])
def test_what_is_no_id_is_none_whatever_the_other_stations_have(other: object) -> None:
    """Too long, empty, damaged and null ones are none; a number is one."""
    ids = [" a ", "a:null", "x" * 256, "", "y" * 255, other]
    listed = [{"station_id": station_id} for station_id in ids]
    body = json.dumps({"data": {"stations": listed}}).encode()

    known = {str(other)} & {"b", "12"}
    assert reader.ids(body) == {"a", "y" * 255} | known


@pytest.mark.parametrize("word", ["-", "N/A", "null", " None ", "NaN", "?"])
def test_a_word_for_no_value_is_an_empty_count(word: str) -> None:
    """Half of the stations have none: they are rows, and nothing is rejected."""
    stations = [
        {"station_id": str(n), "num_bikes_available": word if n % 2 else 3}
        for n in range(10)
    ]

    read = Gbfs("http://x/", UTC).read(_documents(stations))

    assert [row.num_vehicles_available for row in read.statuses] == [3, None] * 5
    assert read.flags == ()


@pytest.mark.parametrize("sentinel", [32_767, 65_535])
def test_the_largest_numbers_of_small_fields_are_no_counts(sentinel: int) -> None:
    """An overflow at the publisher is reported, and the cell is empty."""
    stations = [{"station_id": "a", "num_bikes_available": sentinel}]

    read = Gbfs("http://x/", UTC).read(_documents(stations))

    assert read.statuses[0].num_vehicles_available is None
    assert read.flags == ("implausible",)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('"num_bikes_available":5', "an object has 'num_bikes_available' twice, as 2 "),
        ('"num_bikes_available":2', ""),
        ('"num":5', ""),
    ],
)
def test_a_field_that_occurs_twice_is_reported(more: str, told: str) -> None:
    """If its values differ: the last one is read, as by most programs (fault 41)."""
    station = f'{{"station_id":"a","num_bikes_available":2,{more}}}'
    body = f'{{"data":{{"stations":[{station},{station}]}}}}'
    feed = _QuotingOwnHost(Gbfs("http://x/", UTC), "http://x/")

    read = feed.read((Document("station_status", body.encode(), "http://x/s"),))

    texts = [text for text in read.findings.values() if "twice" in text]
    assert [text[: len(told)] for text in texts] == [told] * bool(told)


@pytest.mark.parametrize(
    "feed",
    [
        CityBikes("http://x/"),
        Gbfs("http://x/", UTC),
        Mapped(
            "http://x/",
            UTC,
            {"stations": "data", "station_id": "id", "num_vehicles_available": "n"},
        ),
        YouBike("http://x/", UTC),
    ],
    ids=lambda feed: type(feed).__name__,
)
def test_a_message_in_place_of_a_list_is_shown(feed: Feed) -> None:
    """Such as a rate limit that is answered with 200."""

    def get(name: str, url: str, *, check: Check | None = None, tries: int = 0) -> Any:
        document = Document(name, b'{"error": "rate limit"}', f"{url}?{tries}")
        if check is not None:
            check(document.body)
        return document

    with pytest.raises(PayloadError, match=r"it has: \{'error': 'rate limit'\}"):
        feed.fetch(get, Memory())


def test_the_list_of_all_networks_is_no_network() -> None:
    """The message says which address is wanted."""
    body = json.dumps({"networks": [{"id": "tiny"}, {"id": "other"}]}).encode()

    with pytest.raises(PayloadError, match=r"url must be that of one.*/networks/tiny"):
        CityBikes("http://localhost/").read((Document("network", body),))


@pytest.mark.parametrize("name", ["Köln".encode("latin-1"), b"\xe7\xab", b"a\xffb"])
def test_bytes_that_are_not_utf8_damage_one_text_only(name: bytes) -> None:
    """A station with a truncated name is kept; the damage is reported."""
    body = b'{"data":{"stations":[{"station_id":"a","num_bikes_available":2,"name":"'
    body += name + b'"},{"station_id":"b","num_bikes_available":1,"name":"b"}]}}'

    read = Gbfs("http://x/", UTC).read((Document("station_status", body),))

    assert [row.num_vehicles_available for row in read.statuses] == [2, 1]
    assert "damaged texts" in read.findings


def test_a_damaged_id_is_no_id() -> None:
    """It might be that of another station."""
    body = b'{"data":{"stations":[{"station_id":"a\xff","num_bikes_available":2},'
    body += b",".join(
        b'{"station_id":"%d","num_bikes_available":1}' % number for number in range(9)
    )

    read = Gbfs("http://x/", UTC).read((Document("station_status", body + b"]}}"),))

    assert (len(read.statuses), read.dropped) == (9, 1)


@pytest.mark.parametrize(
    "detail",
    [
        "5\uff0c2",
        [{"type": "bike", "count": 5}, {"type": "ebike", "count": 2}],
        [{"name": "E-Bike", "quantity": "2"}],
    ],
)
def test_ebikes_are_read_in_more_forms(detail: object) -> None:
    """Lists of types with counts, and other commas."""
    station = {"sno": "1", "sbi": "7", "bemp": "3", "sbi_detail": detail}

    read = YouBike("http://x/", UTC).read(
        (Document("page-0", json.dumps([station]).encode()),)
    )

    assert read.statuses[0].num_ebikes_available == 2


def test_spaces_around_a_field_name_are_ignored() -> None:
    """The list was once a spreadsheet."""
    station = {"\ufeffsno": "1", "sbi ": "7", " bemp": "3"}

    read = YouBike("http://x/", UTC).read(
        (Document("page-0", json.dumps([station]).encode()),)
    )

    assert read.statuses[0].num_vehicles_available == 7


def test_stations_by_id_in_a_text_are_found() -> None:
    """An object in a text: its values are the stations."""
    stations = {"0001": {"sno": "1", "sbi": "7", "bemp": "3"}}
    body = json.dumps({"retVal": json.dumps(stations)}).encode()

    read = YouBike("http://x/", UTC).read((Document("page-0", body),))

    assert [row.station_id for row in read.statuses] == ["1"]


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ({"fr": "Gare", "nl": "Station"}, ("Gare", None)),
        ({"": "Gare"}, ("Gare", None)),
        ({"fr": "Gare", "en": ""}, ("Gare", None)),
        ({"fr": "Gare", "en-GB": "Hall"}, ("Gare", "Hall")),
        ({"fr": "Gare", "EN": "Hall"}, ("Gare", "Hall")),
        ({"eng-x": "Gare", "en_US": "Hall"}, ("Gare", "Hall")),
    ],
)
def test_an_english_name_is_never_in_another_language(
    texts: dict[str, str], names: tuple[str, str | None]
) -> None:
    """GBFS 3 without English has a name, and no English name."""
    listed = [{"text": text, "language": tag} for tag, text in texts.items()]
    stations = [{"station_id": "a", "name": listed, "address": listed}]

    snapshot = gbfs(station(), about={"data": {"stations": stations}})

    (information,) = snapshot.information
    assert (information.name, information.name_en) == names
    assert information.address == names[0]


def _documents(stations: object) -> tuple[Document, ...]:
    body = json.dumps({"data": {"stations": stations}}).encode()
    return (Document("station_status", body),)


@pytest.mark.parametrize(
    ("extra", "is_open"),
    [
        ({"status": "OPEN"}, True),
        ({"status": "CLOSED"}, False),
        ({"status": "aktiv"}, True),
        ({"status": "Not In Service"}, False),
        ({"online": False}, False),
        ({"status": "IPL"}, None),
        ({"status": "RÉFORMÉ", "online": False}, False),
        ({"renting": 0, "returning": 0, "status": "OPEN"}, False),
    ],
)
def test_the_status_of_citybikes_says_whether_a_station_is_open(
    extra: dict[str, object], is_open: object
) -> None:
    """A word that is not known says nothing."""
    (status,) = network({"id": "a", "free_bikes": 1, "extra": extra}).statuses

    assert (status.is_renting, status.is_returning) == (is_open, is_open)


def test_a_mapped_status_is_read_as_a_word() -> None:
    """JCDecaux has OPEN and CLOSED; Paris, Lille and others have their own words."""
    mapping = {"station_id": "number", "num_vehicles_available": "available_bikes"}
    mapping |= {"is_renting": "status", "is_returning": "status"}
    words = ["OPEN", "CLOSED", "OUI", "NON", "EN SERVICE", "Hors service", "OPN", "CLS"]
    words += ["FullService", "Unavailable"]
    body = [
        {"number": number, "available_bikes": 3, "status": word}
        for number, word in enumerate(words)
    ]
    feed = Mapped("http://localhost/", UTC, mapping)

    read = feed.read((Document("list", json.dumps(body).encode()),))

    assert [status.is_returning for status in read.statuses] == [True, False] * 5


def test_jcdecaux_stations_on_citybikes_have_their_own_time() -> None:
    """extra.last_update is the station's, timestamp that of CityBikes."""
    extra = {"last_update": 1_463_949_003_000}
    station_ = {"id": "a", "free_bikes": 1, "timestamp": "2026-11-22T04:00:00Z"}

    (status,) = network({**station_, "extra": extra}).statuses

    assert status.last_reported == 1_463_949_003
