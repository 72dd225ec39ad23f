"""Mangled payloads: an understood snapshot or a PayloadError, never another error."""

import contextlib
import copy
import json
from collections.abc import Callable
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Document
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds import Feed
from bikecollect.feeds.citybikes import CityBikes
from bikecollect.feeds.gbfs.feed import Gbfs
from bikecollect.feeds.mapped import Mapped
from bikecollect.feeds.registry import _QuotingOwnHost
from bikecollect.feeds.youbike import YouBike
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City

CITY = City(6)
YOUBIKE = json.loads(dialects.youbike(CITY, 1.8e9))
GBFS = {
    name: json.loads(body)
    for name, body in dialects.gbfs(CITY, 1.8e9, "http://localhost").items()
}
NETWORK = {
    "network": {
        "stations": [
            {"id": f"n{i}", "free_bikes": i, "empty_slots": 5, "extra": {"slots": 9}}
            for i in range(6)
        ]
    }
}
MAPPING = {"station_id": "sno", "num_vehicles_available": "available_rent_bikes"}
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["", "0", "-1", "1e400", "\ud800", "null", "2025-13-45 99:99:99"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
    ),
    max_leaves=5,
)


def read(feed: Feed, *documents: tuple[str, Any]) -> Snapshot | None:
    """Return the snapshot, None for a PayloadError."""
    packed = tuple(Document(n, json.dumps(v).encode()) for n, v in documents)
    with contextlib.suppress(PayloadError):
        return feed.read(packed)
    return None


def mangled(value: Any, data: st.DataObject) -> Any:
    """Return *value* with some of its places overwritten by junk."""
    value = copy.deepcopy(value)
    for _ in range(data.draw(st.integers(1, 4))):
        place = value
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = data.draw(st.sampled_from(list(keys)))
            inner = place[key]
            if not isinstance(inner, dict | list) or data.draw(st.booleans()):
                place[key] = data.draw(JUNK)
                break
            place = inner
    return value


@settings(max_examples=150)
@given(st.data())
def test_a_mangled_youbike_payload_raises_only_a_payload_error(
    data: st.DataObject,
) -> None:
    """Counts are numbers that were in the payload (faults 35 to 40)."""
    value = mangled(YOUBIKE, data)
    snapshot = read(YouBike("http://localhost/", UTC), ("page-0", value))

    numbers = _numbers(value)
    for status in snapshot.statuses if snapshot else ():
        assert status.num_vehicles_available in numbers | {None}
        assert status.num_docks_available in numbers | {None}


@settings(max_examples=100)
@given(st.data(), st.sampled_from(["station_status", "station_information"]))
def test_a_mangled_gbfs_payload_raises_only_a_payload_error(
    data: st.DataObject, which: str
) -> None:
    """Status, information and vehicle types."""
    documents = {**GBFS, which: mangled(GBFS[which], data)}
    types = mangled(GBFS["vehicle_types"], data)
    snapshot = read(
        Gbfs("http://localhost/", UTC),
        ("station_status", documents["station_status"]),
        ("station_information", documents["station_information"]),
        ("vehicle_types", types),
    )

    numbers = _numbers(documents["station_status"])
    for status in snapshot.statuses if snapshot else ():
        assert status.num_vehicles_available in numbers | {None}


@settings(max_examples=60)
@given(st.data())
def test_other_mangled_payloads_raise_only_a_payload_error(data: st.DataObject) -> None:
    """CityBikes and mapped feeds."""
    read(CityBikes("http://localhost/"), ("network", mangled(NETWORK, data)))
    mapped = Mapped("http://localhost/", UTC, MAPPING)
    read(mapped, ("feed", mangled(YOUBIKE, data)))


@settings(max_examples=100)
@given(st.binary(max_size=60))
def test_bytes_that_are_no_json_are_a_payload_error(body: bytes) -> None:
    """Any bytes at all."""
    with contextlib.suppress(PayloadError):
        YouBike("http://localhost/", UTC).read((Document("page-0", body),))


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: text.replace("}]", "},]"),
        lambda text: text.replace("}", ",\n }"),
        lambda text: f"callback({text.replace('}]', '}, ]')});",
    ],
)
def test_commas_after_the_last_item_cost_no_payload(
    spell: Callable[[str], str],
) -> None:
    """Programs that write JSON by hand leave them; those within a text are its own."""
    row = {"sno": "1", "sna": "A,]", "sbi": 3, "bemp": 4, "tot": 7}
    url = "http://localhost/"
    document = Document("page-0", spell(json.dumps([row])).encode(), url=url)
    snapshot = _QuotingOwnHost(YouBike(url, UTC), url).read((document,))

    assert [station.name for station in snapshot.information] == ["A,]"]
    assert "commas page-0" in snapshot.findings


@pytest.mark.parametrize("blanks", ["", " ", "   ", "\n", "\r\n", "\t", " \n"])
def test_commas_after_the_last_item_are_reported_whatever_blanks_follow(
    blanks: str,
) -> None:
    """A payload is never mended without a word."""
    row = {"sno": "1", "sna": "A", "sbi": 3, "bemp": 4, "tot": 7}
    url = "http://localhost/"
    body = json.dumps([row]).replace("}]", f"}},{blanks}]").encode()
    document = Document("page-0", body, url=url)
    snapshot = _QuotingOwnHost(YouBike(url, UTC), url).read((document,))

    assert "commas page-0" in snapshot.findings


@pytest.mark.parametrize(
    "body",
    [
        b"[1, 2,, 3]",
        b"[,]",
        b'{"a": 1,',
        b"",
        b"null",
        b"{}",
        b'{"a": NaN}',
        b"[" * 100_000,
        b"[" + b"1" * 5_000 + b"]",
        "[é]".encode("latin-1"),
        b'{"retVal": "not json"}',
        b'{"retVal": {"retVal": {"retVal": {}}}}',
    ],
)
def test_a_hopeless_body_is_a_payload_error(body: bytes) -> None:
    """Empty, null, NaN, too deep, too long, not UTF-8 (faults 30, 37 to 39, 43)."""
    with pytest.raises(PayloadError):
        YouBike("http://localhost/", UTC).read((Document("page-0", body),))


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_one_number_that_json_does_not_have_costs_no_station(number: bytes) -> None:
    """It is an empty value and reported; a text with its name is none (fault 37)."""
    stations = json.loads(dialects.youbike(City(10), 1.8e9))
    stations[3]["latitude"] = "LATITUDE"
    stations[4]["sna"] = "NaN Infinity"
    body = json.dumps(stations).encode()
    read = _QuotingOwnHost(YouBike("http://localhost/", UTC), "http://localhost/").read
    one = read((Document("page-0", body.replace(b'"LATITUDE"', number)),))
    none = read((Document("page-0", body.replace(b'"LATITUDE"', b"1.5")),))

    assert (len(one.statuses), one.information[3].lat) == (10, None)
    assert one.findings["no numbers page-0"].startswith(f"page-0 has {number.decode()}")
    assert (len(none.statuses), none.findings) == (10, {})


def test_a_byte_order_mark_is_ignored() -> None:
    """UTF-8 with a byte order mark is JSON (fault 44)."""
    body = b"\xef\xbb\xbf" + json.dumps(YOUBIKE).encode()

    snapshot = YouBike("http://localhost/", UTC).read((Document("page-0", body),))
    assert len(snapshot.statuses) == 6


def test_one_bad_station_does_not_cost_the_others() -> None:
    """It is dropped and counted; more than a fifth is an error (fault 35)."""
    stations = json.loads(dialects.youbike(City(10), 1.8e9))
    stations[3] = {"sno": None}
    feed = YouBike("http://localhost/", UTC)
    one = feed.read((Document("page-0", json.dumps(stations).encode()),))
    stations[4] = stations[5] = 7
    three = json.dumps(stations).encode()

    assert (len(one.statuses), one.dropped) == (9, 1)
    with pytest.raises(PayloadError, match="3 of 10 stations"):
        feed.read((Document("page-0", three),))


def test_a_station_that_comes_twice_is_kept_once() -> None:
    """The first row is kept, and the other counted (fault 34)."""
    body = json.dumps([*YOUBIKE, YOUBIKE[0]]).encode()
    snapshot = YouBike("http://localhost/", UTC).read((Document("page-0", body),))

    assert (len(snapshot.statuses), snapshot.duplicates) == (6, 1)


def _numbers(value: Any) -> set[float]:
    """Return all numbers in *value*, those written as text too."""
    if isinstance(value, dict):
        return set().union(*(_numbers(item) for item in value.values()), set())
    if isinstance(value, list):
        return set().union(*(_numbers(item) for item in value), set())
    try:
        return {float(value)} if not isinstance(value, bool | None) else set()
    except (ValueError, TypeError, OverflowError):
        return set()
