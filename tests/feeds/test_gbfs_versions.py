"""A GBFS system over days: changing addresses, versions and optional documents."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from publisher import Publisher, publishing
from served import Answer

from bikecollect.core.errors import Outcome
from bikecollect.core.run import Run
from bikecollect.feeds.gbfs import feed

DAY, HOUR = 86_400.0, 3_600.0
FAILING = Answer(b"", 500)
NAMES = ("station_status", "station_information")


def listing(version: str, *names: str, folder: str = "") -> dict[str, Any]:
    """Return a gbfs.json of *version* that lists the documents *names*."""
    feeds = [{"name": name, "url": f"BASE{folder}/{name}"} for name in names]
    data = {"feeds": feeds} if version >= "3" else {"en": {"feeds": feeds}}
    return {"version": version, "last_updated": "NOW", "ttl": 0, "data": data}


def status(*ids: str, vehicles: int | None = 3) -> dict[str, Any]:
    """Return a status of stations called *ids*."""
    stations = [
        {"station_id": i, "num_bikes_available": vehicles, "num_docks_available": 5}
        for i in ids
    ]
    return {"last_updated": "NOW", "ttl": 0, "data": {"stations": stations}}


def information(*ids: str, ttl: int = 0) -> dict[str, Any]:
    """Return the station information of *ids*."""
    stations = [{"station_id": i, "name": f"Stop {i}", "capacity": 8} for i in ids]
    return {"last_updated": "NOW", "ttl": ttl, "data": {"stations": stations}}


def versions(*offers: str) -> dict[str, Any]:
    """Return a gbfs_versions document: 2.3 at the root, others in their folders."""
    urls = {
        v: "BASE/gbfs.json" if v == "2.3" else f"BASE/{v}/gbfs.json" for v in offers
    }
    listed = [{"version": version, "url": url} for version, url in urls.items()]
    return {"data": {"versions": listed}}


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Publisher]:
    """Yield a system of GBFS 2.3 that offers 3.0 too; its ids there are others."""
    with publishing(tmp_path) as publisher:
        publisher.documents = {
            "/gbfs.json": listing("2.3", *NAMES, "gbfs_versions"),
            "/station_status": status("old"),
            "/station_information": information("old", ttl=3600),
            "/gbfs_versions": versions("2.3", "3.0"),
            "/3.0/gbfs.json": listing("3.0", *NAMES, folder="/3.0"),
            "/3.0/station_status": status("new"),
            "/3.0/station_information": information("new", ttl=3600),
        }
        yield publisher


def ids(publisher: Publisher) -> list[str]:
    """Return the ids of the newest slot's rows."""
    return [row["station_id"] for row in publisher.rows()]


def flags(run: Run) -> list[str]:
    """Return the flags of *run*, but for the clock: the test's server has the real."""
    return [flag for flag in run.flags if flag != "clock"]


def notices(run: Run, kind: str = "drift") -> str:
    """Return the notices of *kind* of a run."""
    return "\n".join(notice.text for notice in run.notices if notice.kind == kind)


def test_the_highest_version_that_works_is_chosen_at_the_first_fetch(
    city: Publisher,
) -> None:
    """And stored: the next slot requests only its status."""
    city.fetch()
    city.fetch()

    assert ids(city) == ["new"]
    assert city.asked == ["/3.0/station_status"]


@pytest.mark.parametrize(
    "broken", ["/3.0/gbfs.json", "/3.0/station_status", "/gbfs_versions"]
)
@pytest.mark.parametrize("how", [None, FAILING, Answer(b"<html>"), {"data": {}}])
def test_a_version_that_does_not_work_is_not_chosen(
    city: Publisher, broken: str, how: object
) -> None:
    """The version of `url` is read; optional documents are requested once at most."""
    city.documents[broken] = how if how is not None else Answer(b"", 404)
    run = city.fetch()

    assert run.outcome is Outcome.COLLECTED
    assert ids(city) == ["old"]
    assert max(city.asked.count(path) for path in set(city.asked)) == 1
    assert ("GBFS 3.0 is offered but does not work" in notices(run)) is (
        broken != "/gbfs_versions"
    )


@pytest.mark.parametrize(
    ("path", "answer", "why"),
    [
        ("station_status", {**status("new"), "last_updated": 1.78e9}, "h older"),
        ("station_status", status("new", vehicles=None), "0 stations, not of 1"),
        ("station_information", FAILING, "HTTP 500"),
        ("gbfs.json", listing("3.0", NAMES[0], folder="/3.0"), "no station_inf"),
    ],
)
def test_a_version_with_less_than_the_lower_one_is_not_chosen(
    city: Publisher, path: str, answer: object, why: str
) -> None:
    """Operators keep versions listed that stand still, or lack counts or names."""
    city.documents[f"/3.0/{path}"] = answer
    run = city.fetch()

    assert (ids(city), city.stations()[0]["name"]) == (["old"], "Stop old")
    assert "GBFS 3.0 is offered but does not work" in notices(run)
    assert why in notices(run)


@pytest.mark.parametrize("name", ["free_bike_status", "vehicle_types"])
def test_a_version_without_the_vehicles_of_the_lower_one_is_not_chosen(
    city: Publisher, name: str
) -> None:
    """They would be missing in each slot from the first one on."""
    city.more = {"vehicles": True}
    city.documents["/gbfs.json"] = listing("2.3", *NAMES, name, "gbfs_versions")
    city.documents["/free_bike_status"] = {"data": {"bikes": []}}
    city.documents["/vehicle_types"] = {"data": {"vehicle_types": []}}
    run = city.fetch()

    assert ids(city) == ["old"]
    assert "GBFS 3.0 is offered but does not work (it lists no veh" in notices(run)


def test_stamps_of_stations_are_not_compared_with_that_of_a_document(
    city: Publisher,
) -> None:
    """At night no station reports for hours; the lower version has no such stamps."""
    quiet: Any = status("new")
    quiet["data"]["stations"][0]["last_reported"] = int(city.clock.now) - 7_200
    city.documents["/3.0/station_status"] = quiet
    city.fetch()

    assert ids(city) == ["new"]


def test_the_status_is_requested_before_optional_documents(
    city: Publisher,
) -> None:
    """Only the status cannot be fetched later."""
    city.fetch()
    city.fetch(after=DAY)

    assert city.asked[0] == "/3.0/station_status"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/gbfs_versions", Answer(b"", 404)),
        ("/gbfs_versions", FAILING),
        ("/gbfs_versions", versions("2.3")),
        ("/3.0/gbfs.json", FAILING),
        ("/3.0/gbfs.json", Answer(b"<html>")),
        ("/3.0/gbfs.json", listing("3.0", folder="/3.0")),
        ("/3.0/gbfs.json", listing("3.0", "station_information", folder="/3.0")),
        ("/gbfs.json", FAILING),
        ("/gbfs.json", listing("2.3")),
    ],
)
def test_stored_addresses_remain_in_use(
    city: Publisher, path: str, answer: object
) -> None:
    """A bad discovery loses no slot, no name and no station id."""
    city.fetch()
    city.documents[path] = answer
    runs = [city.fetch(after=DAY), city.fetch(), city.fetch(after=DAY)]

    assert {run.outcome for run in runs} == {Outcome.COLLECTED}
    assert ids(city) == ["new"]
    assert city.rows()[0]["capacity"] == "8"


def test_a_failed_discovery_is_repeated_after_an_hour(city: Publisher) -> None:
    """Not in the next slot, and not only the next day."""
    city.fetch()
    city.documents["/3.0/gbfs.json"] = FAILING
    city.fetch(after=DAY)
    failed = list(city.asked)
    city.fetch()
    soon = list(city.asked)
    city.fetch(after=HOUR)

    assert failed.count("/3.0/gbfs.json") == 1
    assert "/3.0/gbfs.json" not in soon
    assert "/3.0/gbfs.json" in city.asked


def test_the_loss_of_the_chosen_version_is_reported(
    city: Publisher,
) -> None:
    """Its status answers 404: the version of `url` is read, with other ids."""
    city.fetch()
    for path in ("/3.0/gbfs.json", "/3.0/station_status"):
        del city.documents[path]
    run = city.fetch()

    assert ids(city) == ["old"]
    assert "GBFS 2.3 is read again: 3.0 no longer works" in notices(run)


def test_a_chosen_version_that_fails_for_hours_is_replaced(city: Publisher) -> None:
    """The slots of a bad quarter of an hour are lost, but no id changes."""
    city.fetch()
    city.documents["/3.0/station_status"] = FAILING
    soon = city.fetch()
    late = city.fetch(after=3 * HOUR)

    assert soon.outcome is Outcome.UNAVAILABLE
    assert late.outcome is Outcome.COLLECTED
    assert ids(city) == ["old"]
    assert "GBFS 2.3 is read again" in notices(late)


@pytest.mark.parametrize(
    ("shared", "left", "told"),
    [
        ("old", "/station_status", "GBFS 2.3 is read again: 3.0 is worse now"),
        ("new", "/3.0/station_status", "GBFS 3.0 is worse than 2.3 now"),
    ],
)
def test_a_chosen_version_that_stands_still_for_hours_is_left(
    city: Publisher, shared: str, left: str, told: str
) -> None:
    """If the lower one is fresh and has the same ids; else that is reported."""
    city.documents["/3.0/station_status"] = status(shared)
    city.fetch()
    frozen = {**status(shared), "last_updated": city.clock.now}
    city.documents["/3.0/station_status"] = frozen
    reported = [notices(city.fetch(after=HOUR)) for _ in range(4)]
    city.fetch()

    assert [told in text for text in reported] == [False, True, False, False]
    assert "its data are 2 h" in reported[1]
    assert city.asked == [left]


def test_a_chosen_version_that_stands_still_is_kept_if_the_other_has_less(
    city: Publisher,
) -> None:
    """The one of the settings is fresh, but has lost its counts."""
    city.documents["/3.0/station_status"] = status("old", vehicles=7)
    city.fetch()
    frozen = {**status("old", vehicles=7), "last_updated": city.clock.now}
    city.documents["/3.0/station_status"] = frozen
    city.documents["/station_status"] = status("old", vehicles=None)
    reported = [notices(city.fetch(after=HOUR)) for _ in range(4)]

    assert not any("read again" in text for text in reported)


def test_a_chosen_version_that_loses_its_counts_is_left(city: Publisher) -> None:
    """The other one, with the same ids, is compared once a day."""
    city.documents["/3.0/station_status"] = status("old", vehicles=7)
    city.fetch()
    city.documents["/3.0/station_status"] = status("old", vehicles=None)
    reported = [notices(city.fetch(after=after)) for after in (HOUR, DAY)]
    city.fetch()

    assert ["GBFS 3.0 is worse" in text for text in reported] == [False, False]
    assert ["GBFS 2.3 is read again: 3.0" in text for text in reported] == [False, True]
    assert city.asked == ["/station_status"]
    assert [row["num_vehicles_available"] for row in city.rows()] == ["3"]


def test_a_status_that_moved_is_found_within_its_own_version(city: Publisher) -> None:
    """Its address answers 404; the version's own gbfs.json has the new one.

    It has worked then: a failure right after that does not change the version.
    """
    city.fetch()
    moved = listing("3.0", *NAMES, folder="/3.0")
    moved["data"]["feeds"][0]["url"] = "BASE/elsewhere"
    city.documents["/3.0/gbfs.json"] = moved
    city.documents["/elsewhere"] = city.documents.pop("/3.0/station_status")
    run = city.fetch()
    city.documents["/elsewhere"] = FAILING
    after = city.fetch()

    assert (run.outcome, after.outcome) == (Outcome.COLLECTED, Outcome.UNAVAILABLE)
    assert ids(city) == ["new"]


def test_a_new_address_must_work_before_it_is_used(
    city: Publisher,
) -> None:
    """The list has another status, which answers 500: the old one remains in use."""
    city.fetch()
    moved = listing("3.0", *NAMES, folder="/3.0")
    moved["data"]["feeds"][0]["url"] = "BASE/broken"
    city.documents["/3.0/gbfs.json"] = moved
    city.documents["/broken"] = FAILING
    run = city.fetch(after=DAY)
    city.fetch()

    assert "a new address for station_status that does not work" in notices(run)
    assert city.asked == ["/3.0/station_status"]


def test_a_status_that_is_listed_no_longer_is_reported(city: Publisher) -> None:
    """Its address remains in use; the publisher may be about to end it."""
    city.more = {"version": "2.3"}
    first = city.fetch()
    city.documents["/gbfs.json"] = listing("2.3", "station_information")
    run = city.fetch(after=DAY)
    city.fetch()

    assert notices(first) == ""
    assert "gbfs.json no longer lists station_status" in notices(run)
    assert (city.asked, ids(city)) == (["/station_status"], ["old"])


def test_a_later_version_with_different_ids_is_not_chosen(
    city: Publisher,
) -> None:
    """It is reported once, with the line that would change to it."""
    offers = city.documents.pop("/gbfs_versions")
    city.fetch()
    city.documents["/gbfs_versions"] = offers
    first = city.fetch(after=DAY)
    second = city.fetch(after=DAY)

    assert ids(city) == ["old"]
    assert 'version = "3.0" in the settings switches to it' in notices(first)
    assert notices(second) == ""


def test_a_later_version_with_the_same_ids_is_chosen(
    city: Publisher,
) -> None:
    """From the next slot on, and reported."""
    offers = city.documents.pop("/gbfs_versions")
    city.documents["/3.0/station_status"] = status("old", vehicles=7)
    city.fetch()
    city.documents["/gbfs_versions"] = offers
    run = city.fetch(after=DAY)
    city.fetch()

    assert "GBFS 3.0 is read from now on, 2.3 before" in notices(run)
    assert city.asked[0] == "/3.0/station_status"
    assert city.rows()[0]["num_vehicles_available"] == "7"


def test_the_address_of_a_status_that_stands_still_is_looked_up_each_hour(
    city: Publisher,
) -> None:
    """The feed has moved, and its old address has the last content for ever."""
    city.more = {"version": "2.3"}
    city.fetch()
    city.documents["/station_status"] |= {"last_updated": int(city.clock.now)}  # type: ignore[operator]
    city.fetch(after=2 * HOUR)
    still = city.fetch()
    asked = list(city.asked)
    city.documents["/gbfs.json"] = listing("2.3", "station_status", folder="/2.3")
    city.documents["/2.3/station_status"] = status("old", vehicles=7)
    city.fetch(after=HOUR)
    moved = city.fetch()

    assert asked == ["/station_status"]
    assert ("stale" in still.flags, "stale" in moved.flags) == (True, False)
    assert city.asked == ["/2.3/station_status"]


@pytest.mark.parametrize(("pin", "there"), [("2.3", ["old"]), ("3.0", ["new"])])
def test_a_version_can_be_pinned(city: Publisher, pin: str, there: list[str]) -> None:
    """It is read on every day, and no other one is looked for."""
    city.more = {"version": pin}
    city.fetch()
    asked = set(city.asked)
    days = [city.fetch(after=DAY), city.fetch()]

    assert ids(city) == there
    assert [notices(run) for run in days] == ["", ""]
    assert ("/gbfs_versions" in asked) is (pin == "3.0")


def test_a_pinned_version_that_is_offered_no_longer_is_reported(
    city: Publisher,
) -> None:
    """Its addresses remain in use while they work."""
    city.more = {"version": "3.0"}
    city.fetch()
    city.documents["/gbfs_versions"] = versions("2.3")
    runs = [city.fetch(after=DAY), city.fetch()]

    assert "3.0 is not offered, only 2.3: the known addresses" in notices(runs[0])
    assert city.asked == ["/3.0/station_status"]
    assert ids(city) == ["new"]


def test_a_pin_that_is_set_later_is_obeyed_at_once(city: Publisher) -> None:
    """The stored addresses of another version are dropped."""
    city.fetch()
    city.more = {"version": "2.3"}
    city.fetch()

    assert ids(city) == ["old"]


def test_a_gbfs_json_without_the_pinned_version_is_not_said_to_have_failed(
    city: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That version is reported, once; one failed request stands for those of a day."""
    monkeypatch.setattr(feed, "MISSES", 1)
    city.more = {"version": "3.0"}
    city.fetch()
    city.documents["/gbfs_versions"] = versions("2.3")
    told = [notices(city.fetch(after=25 * HOUR)) for _ in range(2)]

    assert [text.partition(",")[0] for text in told] == [
        "version 3.0 is not offered",
        "",
    ]
    assert "\n" not in told[0]


def test_a_version_that_is_not_offered_cannot_be_pinned(city: Publisher) -> None:
    """The error lists those that are."""
    city.more = {"version": "1.1"}
    run = city.fetch()

    assert run.outcome is Outcome.UNAVAILABLE
    assert "version 1.1 is not offered, only 2.3, 3.0" in run.error


def test_a_retry_after_is_that_of_its_host(city: Publisher) -> None:
    """An address on another host in the settings is requested at once."""
    good = city.documents["/gbfs.json"]
    city.documents["/gbfs.json"] = Answer(b"", 429, {"Retry-After": "3000"})
    limited = [city.fetch(), city.fetch()]
    city.documents["/gbfs.json"] = good
    city.base = city.base.replace("127.0.0.1", "localhost")
    run = city.fetch()

    assert [run.outcome for run in limited] == [Outcome.RATE_LIMITED] * 2
    assert run.outcome is Outcome.COLLECTED


def test_another_language_in_the_settings_is_read_at_once(city: Publisher) -> None:
    """Not only with the next daily request of gbfs.json."""
    city.documents["/gbfs.json"] = {
        "data": {
            "en": listing("2.3", *NAMES)["data"]["en"],
            "fr": listing("2.3", *NAMES, folder="/fr")["data"]["en"],
        }
    }
    city.documents["/fr/station_status"] = status("old")
    city.documents["/fr/station_information"] = information("old")
    city.fetch()
    city.more = {"language": "fr"}
    city.fetch()

    assert city.asked[1:3] == ["/gbfs.json", "/fr/station_status"]

    city.fetch()

    assert city.asked[0] == "/fr/station_status"
    assert "/gbfs.json" not in city.asked


def test_feeds_are_taken_from_the_first_language_that_lists_a_status(
    city: Publisher,
) -> None:
    """An empty language comes first, and one that has only the information."""
    full = listing("2.3", *NAMES)["data"]["en"]
    part = {"feeds": [full["feeds"][1]]}
    city.documents["/gbfs.json"] = {
        "data": {"fr": {"feeds": []}, "de": part, "en": full}
    }
    city.fetch()

    assert ids(city) == ["old"]


MISSING: Sequence[object] = (
    Answer(b"", 404),
    FAILING,
    Answer(b'{"data": {"stations": ['),
    {"data": {"stations": []}},
    Answer(b'{"data": 1}' + b" " * 2_000_000),
)


@pytest.mark.parametrize("answer", MISSING)
def test_missing_information_is_reported_until_it_is_fetched(
    city: Publisher, answer: object
) -> None:
    """Each slot is flagged partial; it is requested again after ten minutes."""
    city.more = {"version": "2.3", "max_body": "1MiB"}
    good = city.documents["/station_information"]
    city.documents["/station_information"] = answer
    runs = [city.fetch(), city.fetch(), city.fetch()]
    count = city.asked.count("/station_information")
    city.documents["/station_information"] = good
    city.fetch(after=600)
    after = city.fetch()

    assert [flags(run) for run in runs] == [["partial"]] * 3
    assert "station_information failed" in notices(runs[1], "partial")
    assert count == 1
    assert flags(after) == []
    assert city.stations()[0]["name"] == "Stop old"


@pytest.mark.parametrize("answer", [None, Answer(b"", 410)])
def test_information_that_moved_is_found_in_the_same_slot(
    city: Publisher, answer: object
) -> None:
    """Its new address is looked up when the old one is gone; no slot is partial."""
    city.more = {"version": "2.3"}
    city.documents["/station_information"] = information("old", ttl=0)
    city.fetch()
    city.documents["/moved"] = information("old", "new", ttl=0)
    city.documents["/station_information"] = answer
    city.documents["/station_status"] = status("old", "new")
    feeds = city.documents["/gbfs.json"]["data"]["en"]["feeds"]  # type: ignore[index]
    feeds[1]["url"] = "BASE/moved"
    run = city.fetch(after=2 * HOUR)

    assert flags(run) == []
    assert [s["name"] for s in city.stations()] == ["Stop old", "Stop new"]


def test_a_document_that_is_never_there_costs_a_look_at_gbfs_json_each_hour(
    city: Publisher,
) -> None:
    """It is listed, and answers 404."""
    city.more = {"version": "2.3"}
    city.documents["/station_information"] = None
    looks = 0
    for _ in range(37):
        city.fetch()
        looks += city.asked.count("/gbfs.json")

    assert looks == 4  # of the first run, and of three hours


def test_new_information_is_requested_though_the_old_one_has_just_failed(
    city: Publisher,
) -> None:
    """A failure holds for ten minutes, at the same address only."""
    city.more = {"version": "2.3"}
    city.fetch()
    city.documents["/station_information"] = FAILING
    city.fetch(after=DAY - 300)
    city.documents["/moved"] = information("old", ttl=0)
    feeds = city.documents["/gbfs.json"]["data"]["en"]["feeds"]  # type: ignore[index]
    feeds[1]["url"] = "BASE/moved"
    run = city.fetch()

    assert "/moved" in city.asked
    assert flags(run) == []


def test_missing_vehicle_types_are_reported_and_cost_no_names(
    city: Publisher,
) -> None:
    """The failure of one optional document does not affect the other."""
    city.documents["/gbfs.json"] = listing("2.3", *NAMES, "vehicle_types")
    city.documents["/vehicle_types"] = FAILING
    run = city.fetch()

    assert flags(run) == ["partial"]
    assert "vehicle_types failed" in notices(run, "partial")
    assert city.stations()[0]["name"] == "Stop old"


def test_a_feed_without_station_information_is_reported_once(city: Publisher) -> None:
    """Names and places are not part of this feed, so its slots are not partial."""
    city.documents["/gbfs.json"] = listing("2.3", "station_status")
    first, second = city.fetch(), city.fetch()

    assert "lists no station_information" in notices(first)
    assert (flags(first), second.notices) == (["drift"], ())


def test_an_unknown_station_is_looked_up_each_quarter_of_an_hour(
    city: Publisher,
) -> None:
    """At once when it appears; then each quarter of an hour until it is listed."""
    city.more = {"version": "2.3"}
    city.documents["/station_information"] = information("old", ttl=86_400)
    city.fetch()
    city.documents["/station_status"] = status("old", "late")
    counts = []
    for _ in range(7):
        city.fetch()
        counts.append("/station_information" in city.asked)
    city.documents["/station_information"] = information("old", "late", ttl=86_400)
    city.fetch(after=900)
    city.fetch(after=900)

    assert counts == [True, False, False, True, False, False, True]
    assert [station["name"] for station in city.stations()] == ["Stop old", "Stop late"]
    assert "/station_information" not in city.asked


def test_a_gbfs_json_that_is_gone_for_a_day_is_reported_once(
    city: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its documents are still there. A success in between begins another day.

    Three failed requests stand for those of a day.
    """
    monkeypatch.setattr(feed, "MISSES", 3)
    city.more = {"version": "2.3"}
    city.fetch()
    told, here = [], city.documents["/gbfs.json"]
    for is_there in (False, False, True, False, False, False, False):
        city.documents["/gbfs.json"] = here if is_there else None
        run = city.fetch(after=25 * HOUR)
        told.append(notices(run))

    assert [bool(text) for text in told] == [False] * 5 + [True, False]
    assert told[5].startswith("gbfs.json has failed for a day (http://")
    assert told[5].endswith(
        "answered HTTP 404): the known addresses remain in use, and new ones are not "
        "noticed"
    )


def test_in_short_slots_an_unknown_station_is_looked_up_again_soon(
    tmp_path: Path,
) -> None:
    """Its information comes a slot later: it has its name after two."""
    with publishing(tmp_path, interval=10) as city:
        city.documents = {
            "/gbfs.json": listing("2.3", *NAMES),
            "/station_status": status("a"),
            "/station_information": information("a", ttl=86_400),
        }
        city.fetch()
        city.documents["/station_status"] = status("a", "b")
        city.fetch()
        city.documents["/station_information"] = information("a", "b", ttl=86_400)
        city.fetch()
        city.fetch()

        assert [station["name"] for station in city.stations()] == ["Stop a", "Stop b"]


@pytest.mark.parametrize("ttl", [864_000, 315_360_000, 10**30, "a week", -5])
def test_the_ttl_of_the_information_is_limited_to_a_day(
    city: Publisher, ttl: Any
) -> None:
    """Ten years count as a day: a changed capacity is noticed."""
    city.more = {"version": "2.3"}
    city.documents["/station_information"] = information("old", ttl=ttl)
    city.fetch()
    changed = json.loads(json.dumps(information("old", ttl=ttl)))
    changed["data"]["stations"][0]["capacity"] = 99
    city.documents["/station_information"] = changed
    city.fetch(after=DAY)

    assert [station["capacity"] for station in city.stations()] == ["8", "99"]
