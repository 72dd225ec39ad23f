"""GBFS through HTTP: discovery, versions, and when each document is requested."""

import json
from datetime import UTC

import pytest

from bikecollect.core.errors import FeedUnavailable, PayloadError
from bikecollect.core.payload import Check, Document, Memory
from bikecollect.feeds.gbfs.discovery import addresses
from bikecollect.feeds.gbfs.feed import Gbfs

STATUS = {
    "last_updated": 1_800_000_000,
    "ttl": 60,
    "data": {
        "stations": [
            {
                "station_id": 7,
                "num_bikes_available": 3,
                "num_docks_available": 4,
                "is_renting": 1,
                "vehicle_types_available": [
                    {"vehicle_type_id": "e", "count": 2},
                    {"vehicle_type_id": "h", "count": 1},
                ],
            }
        ]
    },
}
INFORMATION = {
    "last_updated": 1_800_000_000,
    "ttl": 600,
    "data": {"stations": [{"station_id": "7", "name": "x", "lat": 1, "lon": 1}]},
}
TYPES = {
    "data": {
        "vehicle_types": [
            {"vehicle_type_id": "e", "propulsion_type": "electric_assist"},
            {"vehicle_type_id": "h", "propulsion_type": "human"},
        ]
    }
}
NAMES = ("station_status", "station_information", "vehicle_types")


class Feeds:
    """Documents by name, and the names that were requested."""

    def __init__(self, listing: object) -> None:
        self.documents: dict[str, object] = {
            "gbfs.json": listing,
            "station_status": STATUS,
            "station_information": INFORMATION,
            "vehicle_types": TYPES,
        }
        self.asked: list[str] = []

    def __call__(
        self, name: str, url: str, *, check: Check | None = None, tries: int = 1
    ) -> Document:
        """Return the document, or 404."""
        key = url.rpartition("/")[2]
        self.asked.append(key)
        if key not in self.documents:
            raise FeedUnavailable(f"{key} answered 404", cause="http-404")
        body = json.dumps(self.documents[key]).encode()
        if check is not None:
            check(body)
        return Document(name, body, url, fetched_at=1_800_000_000.0)


def listing(names: tuple[str, ...] = NAMES) -> list[dict[str, str]]:
    """Return the feeds of a gbfs.json."""
    return [{"name": name, "url": f"http://h/{name}"} for name in names]


GBFS = Gbfs("http://h/gbfs.json", UTC)


@pytest.mark.parametrize(
    "data",
    [
        {"en": {"feeds": listing()}},
        {"zz": {"feeds": listing()}},
        {"feeds": listing()},
        {"en": listing()},
        {"en": None, "fr": {"feeds": listing()}},
        {"feeds": [{**feed, "name": f"{feed['name']}.json"} for feed in listing()]},
        {"feeds": [{**feed, "name": feed["name"].upper()} for feed in listing()]},
        {"feeds": [{**feed, "name": f" {feed['name']} "} for feed in listing()]},
        {"feeds": {feed["name"]: feed["url"] for feed in listing()}},
        {"feeds": [{"name": "station_status", "url": None}, None, *listing()]},
        listing(),
    ],
)
def test_feeds_are_found_by_any_language_or_none(data: object) -> None:
    """1.0 to 2.3 list by language, 3.0 does not."""
    get = Feeds({"data": data})
    fetched = GBFS.fetch(get, Memory())
    (status,) = GBFS.read(fetched.documents).statuses

    assert (status.station_id, status.num_vehicles_available) == ("7", 3)
    assert status.num_ebikes_available == 2
    assert status.is_renting is True


@pytest.mark.parametrize("tag", ["nb", "NB", "nb-NO", "nb_NO"])
def test_a_variety_of_the_language_is_preferred_to_another_one(tag: str) -> None:
    """A language of the settings is found with a region, and in any case."""
    other = [{"name": "station_status", "url": "https://example.org/en"}]
    mine = [{"name": "station_status", "url": "https://example.org/nb"}]
    value = {"data": {"en": {"feeds": other}, tag: {"feeds": mine}}}

    assert addresses(value, "nb") == {"station_status": "https://example.org/nb"}
    assert addresses(value, "sv") == {"station_status": "https://example.org/en"}


@pytest.mark.parametrize(
    ("data", "language", "found"),
    [
        ({"de": listing(), "fr": listing()}, "it", True),
        ({"de": listing(), "fr": listing()}, "FR", False),
        ({"de": listing(), "fr": listing()}, "", False),
        ({"feeds": listing()}, "it", False),
        (listing(), "it", False),
    ],
)
def test_a_language_that_is_not_offered_is_reported(
    data: object, language: str, *, found: bool
) -> None:
    """The names of stations are in another one."""
    get = Feeds({"data": data})

    findings = Gbfs("http://h/gbfs.json", UTC, language).fetch(get, Memory()).findings

    assert findings == (
        {
            "language it": 'gbfs.json has no documents in `language = "it"`, only in '
            "de, fr: one of these is read"
        }
        if found
        else {}
    )


def test_a_language_without_feeds_by_language_needs_no_data_around_them() -> None:
    """Some write the feeds at the root of their gbfs.json."""
    gbfs = Gbfs("http://h/gbfs.json", UTC, "it")

    fetched = gbfs.fetch(Feeds({"feeds": listing()}), Memory())

    assert fetched.findings == {}
    assert [s.station_id for s in gbfs.read(fetched.documents).statuses] == ["7"]


@pytest.mark.parametrize("feeds", [5, True, "x"])
def test_feeds_that_are_no_list_are_reported(feeds: object) -> None:
    """It is an error of the document, not of this program."""
    get = Feeds({"data": {"feeds": feeds}})

    with pytest.raises(PayloadError, match="has no feeds: is it a gbfs"):
        GBFS.fetch(get, Memory())


def test_information_is_requested_when_its_ttl_has_expired() -> None:
    """Not in the next slot, but after ten minutes."""
    get = Feeds({"data": {"feeds": listing()}})
    first = GBFS.fetch(get, Memory(now=1000.0))
    notes, ids = first.notes, frozenset({"7"})
    get.asked.clear()
    second = GBFS.fetch(get, Memory(notes, ids, 1300.0))
    assert get.asked == ["station_status"]

    get.asked.clear()
    third = GBFS.fetch(get, Memory({**notes, **second.notes}, ids, 1700.0))
    assert get.asked == ["station_status", "station_information", "vehicle_types"]
    names = [document.name for document in third.documents]
    assert "station_information" not in names  # unchanged: not stored again


def test_an_unknown_station_causes_a_request_for_information() -> None:
    """A new id does not wait for the ttl; one request, not one in every slot."""
    get = Feeds({"data": {"feeds": listing()}})
    notes = dict(GBFS.fetch(get, Memory(now=1000.0)).notes)
    known = frozenset({"7"})
    new = {**STATUS["data"]["stations"][0], "station_id": "new"}  # type: ignore[index]
    get.documents["station_status"] = {"data": {"stations": [new]}}
    get.asked.clear()
    notes.update(GBFS.fetch(get, Memory(notes, known, 1300.0)).notes)
    assert get.asked.count("station_information") == 1

    GBFS.fetch(get, Memory(notes, known, 1400.0))
    assert get.asked.count("station_information") == 1


def test_the_highest_supported_version_is_chosen() -> None:
    """Of 2.3, 3.0 and 4.0 it is 3.0."""
    versions = [
        {"version": v, "url": f"http://h/gbfs-{v}"} for v in ("2.3", "3.0", "4.0")
    ]
    get = Feeds(
        {
            "version": "2.3",
            "data": {"en": {"feeds": listing((*NAMES, "gbfs_versions"))}},
        }
    )
    get.documents["gbfs_versions"] = {"data": {"versions": versions}}
    get.documents["gbfs-3.0"] = {"version": "3.0", "data": {"feeds": listing()}}
    GBFS.fetch(get, Memory())

    assert "gbfs-3.0" in get.asked
    assert "gbfs-4.0" not in get.asked


def test_addresses_that_have_moved_are_looked_up_again() -> None:
    """A stored address that answers 404 is looked up again."""
    get = Feeds({"data": {"feeds": listing()}})
    notes = GBFS.fetch(get, Memory(now=1000.0)).notes
    moved = listing(("station_status",))
    moved[0]["url"] = "http://h/elsewhere"
    get.documents["gbfs.json"] = {"data": {"feeds": moved}}
    get.documents["elsewhere"] = get.documents.pop("station_status")
    fetched = GBFS.fetch(get, Memory(notes, frozenset({"7"}), 1300.0))

    assert fetched.documents[-1].name in {"station_status", "vehicle_types"}
    assert "elsewhere" in get.asked


def test_missing_information_does_not_cost_the_slot() -> None:
    """Only the status cannot be fetched later."""
    get = Feeds({"data": {"feeds": listing()}})
    del get.documents["station_information"]
    fetched = GBFS.fetch(get, Memory(now=1000.0))
    assert len(GBFS.read(fetched.documents).statuses) == 1

    get.asked.clear()
    GBFS.fetch(get, Memory(fetched.notes, frozenset(), 1300.0))
    assert get.asked == ["station_status"]


@pytest.mark.parametrize("missing", [None, "station_information"])
def test_a_clock_that_was_ahead_postpones_no_request(missing: str | None) -> None:
    """Nor is an error of that time reported until then; the next run asks again."""
    get = Feeds({"data": {"feeds": listing()}})
    kept = get.documents.pop(missing) if missing else None
    ids, ahead = frozenset({"7"}), 40 * 86_400.0
    notes = GBFS.fetch(get, Memory(station_ids=ids, now=ahead)).notes
    get.documents |= {missing: kept} if missing else {}
    get.asked.clear()
    fetched = GBFS.fetch(get, Memory(notes, ids, 1300.0))

    assert {"gbfs.json", "station_information"} <= set(get.asked)
    assert fetched.incomplete == ""


@pytest.mark.parametrize("found", [{"stations": []}, STATUS], ids=["list", "status"])
def test_an_address_that_is_no_gbfs_json_is_reported(found: object) -> None:
    """The error names the expected address."""
    get = Feeds(found)

    with pytest.raises(Exception, match=r"url must be that of a gbfs\.json"):
        GBFS.fetch(get, Memory())


@pytest.mark.parametrize("form", ["list", "by language", "alone"])
def test_localised_names_of_version_3_are_read(form: str) -> None:
    """[{text, language}] or an object in its place, and RFC 3339 stamps."""
    status = {
        "last_updated": "2026-11-22T10:00:00+02:00",
        "data": {"stations": [{"station_id": "a", "num_vehicles_available": 1}]},
    }
    names = [{"text": "Rathaus", "language": "de"}, {"text": "Hall", "language": "en"}]
    forms = {"list": names, "by language": {"de": "Rathaus", "en": "Hall"}}
    name = forms.get(form, names[0])
    about = {"data": {"stations": [{"station_id": "a", "name": name}]}}
    snapshot = GBFS.read(
        (
            Document("station_status", json.dumps(status).encode()),
            Document("station_information", json.dumps(about).encode()),
        )
    )

    assert snapshot.last_updated == 1_795_334_400
    assert snapshot.information[0].name == "Rathaus"
    assert snapshot.information[0].name_en == ("Hall" if form in forms else None)


def test_a_status_that_repeats_places_as_zero_is_no_finding() -> None:
    """The information has them: lat is not empty at every station."""
    stations = [{**STATUS["data"]["stations"][0], "name": "", "lat": 0, "lon": 0}]  # type: ignore[index]
    get = Feeds({"data": {"feeds": listing()}})
    get.documents["station_status"] = {**STATUS, "data": {"stations": stations}}
    snapshot = GBFS.read(GBFS.fetch(get, Memory()).documents)

    assert (snapshot.information[0].lat, dict(snapshot.findings)) == (1, {})
