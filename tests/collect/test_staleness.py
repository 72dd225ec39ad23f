"""Old content with a fresh stamp is stale; a system that is only quiet is not."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from logging import WARNING
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from publisher import BEGIN, Publisher, publishing
from vehicles import publish, vehicle

from bikecollect.collect.reading import uniform
from bikecollect.collect.reading.staleness import (
    Calibration,
    judge_content,
    read_reports,
)
from bikecollect.collect.reading.zone_doubt import doubt_of_reports
from bikecollect.core.payload import Payload
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationStatus, VehicleStatus
from bikecollect.reports.health import Health
from bikecollect.reports.status import survey
from bikecollect.storage.data_folder import SystemFolder

MINUTE, HOUR, DAY = 60, 3_600, 86_400
TAIPEI = ZoneInfo("Asia/Taipei")
NOW = int(BEGIN) + 302
"""The moment of the first fetch."""


def local(moment: float) -> str:
    """Return *moment* in YouBike's format."""
    return datetime.fromtimestamp(moment, TAIPEI).strftime("%Y-%m-%d %H:%M:%S")


def gbfs(reported: Sequence[object], updated: object = "NOW") -> dict[str, Any]:
    """Return a GBFS status whose stations have *reported* at these moments."""
    stations = [
        {
            "station_id": f"s{number}",
            "num_bikes_available": 3,
            "num_docks_available": 4,
            "last_reported": moment,
        }
        for number, moment in enumerate(reported)
    ]
    return {"last_updated": updated, "ttl": 60, "data": {"stations": stations}}


def youbike(reported: float, source: str, city: str) -> list[dict[str, object]]:
    """Return two stations of YouBike with their four times."""
    return [
        {
            "sno": f"50010{number}",
            "sna": "Hall",
            "available_rent_bikes": 3,
            "available_return_bikes": 4,
            "Quantity": 9,
            "act": "1",
            "infoTime": local(reported - number * 300),
            "srcUpdateTime": source,
            "updateTime": city,
        }
        for number in range(2)
    ]


def tdx(reported: int) -> list[dict[str, object]]:
    """Return two stations of TDX, whose own stamp is always fresh."""
    return [
        {
            "StationUID": f"TPE{number}",
            "AvailableRentBikes": 3,
            "AvailableReturnBikes": 4,
            "ServiceStatus": 1,
            "SrcUpdateTime": local(reported - number * 300),
            "UpdateTime": "NOW",
        }
        for number in range(2)
    ]


def citybikes(reported: int) -> dict[str, object]:
    """Return a network whose stations have their own time beside CityBikes' one."""
    stations = [
        {
            "id": f"s{number}",
            "free_bikes": 3,
            "empty_slots": 4,
            "timestamp": "NOW",
            "extra": {"last_updated": reported - number * 300},
        }
        for number in range(2)
    ]
    return {"network": {"stations": stations}}


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Publisher]:
    """Yield a GBFS system without a station information."""
    with publishing(tmp_path) as publisher:
        feeds = [{"name": "station_status", "url": "BASE/status"}]
        publisher.documents["/gbfs.json"] = {"data": {"en": {"feeds": feeds}}}
        yield publisher


def stale(city: Publisher, *documents: object, path: str = "/status") -> list[bool]:
    """Return for each of *documents*, a slot each, whether its slot is stale."""
    flags = []
    for document in documents:
        city.documents[path] = document
        flags.append("stale" in city.fetch().flags)
    return flags


def test_a_source_of_days_ago_under_a_fresh_stamp_is_stale(tmp_path: Path) -> None:
    """The operator's srcUpdateTime takes precedence over the city's updateTime."""
    fresh = youbike(NOW - 60, local(NOW - 30), local(NOW - 10))
    old = youbike(NOW - 4 * DAY, local(NOW - 4 * DAY), local(NOW + 280))
    again = youbike(NOW + 540, local(NOW + 570), local(NOW + 590))
    with publishing(tmp_path, feed="youbike", path="/list") as city:
        flags = stale(city, fresh, old, again, path="/list")

    assert flags == [False, True, False]


def test_old_content_changes_no_station(tmp_path: Path) -> None:
    """A day and a half of an old list: no station is removed or renamed."""
    old = [{**s, "sna": "Old"} for s in youbike(NOW - 9 * DAY, "", "NOW")][:1]
    with publishing(tmp_path, feed="youbike", path="/list", interval=3600) as city:
        fresh = youbike(NOW + 3000, "", "NOW")
        flags = stale(city, fresh, *[old] * 36, path="/list")
        later = youbike(city.clock.now + 3000, "", "NOW")
        flags += stale(city, later, path="/list")

        versions = [(v["station_id"], v["name"]) for v in city.stations()]

    assert flags == [False, *[True] * 36, False]
    assert versions == [("500100", "Hall"), ("500101", "Hall")]


def test_the_first_payload_of_a_dead_source_is_stale(tmp_path: Path) -> None:
    """The source's own time requires no history of the system."""
    old = youbike(NOW - 4 * DAY, local(NOW - 4 * DAY), local(NOW - 10))
    with publishing(tmp_path, feed="youbike", path="/list") as city:
        assert stale(city, old, path="/list") == [True]
        assert [v["name"] for v in city.stations()] == ["Hall", "Hall"]


@pytest.mark.parametrize(
    ("feed", "document"),
    [
        ("youbike", lambda moment: youbike(moment, "", "NOW")),
        ("citybikes", citybikes),
        ("tdx", tdx),
    ],
)
def test_reports_that_fall_back_are_stale_in_every_dialect(
    tmp_path: Path, feed: str, document: Any
) -> None:
    """The republisher's stamp advances; the stations' times go back ten minutes."""
    path = "/v2/Bike/Availability/City/Taipei" if feed == "tdx" else "/list"
    more: dict[str, Any] = {"headers": {"Authorization": "Bearer x"}}
    with publishing(tmp_path, feed=feed, path=path, **more) as city:
        documents = [document(NOW - age) for age in (60, 660, 660, -840)]
        flags = stale(city, *documents, path=path)

    assert flags == [False, True, True, False]


def test_reports_that_fall_back_are_stale_when_the_fresh_rows_are_gone(
    tmp_path: Path,
) -> None:
    """After a week of old content the CSV of the last fresh day has been removed."""
    fresh, old = citybikes(NOW - 60), citybikes(NOW - 4000)
    with publishing(tmp_path, feed="citybikes", path="/list") as city:
        flags = stale(city, fresh, old, path="/list")
        for file in tmp_path.glob("city/station_status/*.csv"):
            file.unlink()
        flags += stale(city, old, path="/list")

    assert flags == [False, True, True]


def test_a_stamp_of_the_feed_that_falls_back_is_stale(city: Publisher) -> None:
    """A server that is five minutes behind answers once."""
    flags = stale(
        city,
        gbfs([NOW], NOW),
        gbfs([NOW], NOW - 300),
        gbfs([NOW + 600], NOW + 600),
    )

    assert flags == [False, True, False]


def test_a_heartbeat_that_stops_is_stale_after_a_quarter_of_an_hour(
    city: Publisher,
) -> None:
    """25 stations that reported in every slot stop; the feed's stamp advances."""
    beats = [gbfs(["NOW"] * 25)] * 3
    frozen = [gbfs([NOW + 600] * 25)] * 5
    flags = stale(city, *beats, *frozen, gbfs(["NOW"] * 25))

    assert flags == [False] * 6 + [True] * 2 + [False]


def test_a_feed_that_is_always_late_is_not_stale(city: Publisher) -> None:
    """All its reports are two hours old, from the first slot on."""
    late = [gbfs([NOW + n * 300 - 2 * HOUR] * 25) for n in range(8)]

    assert stale(city, *late) == [False] * 8


def test_stations_that_do_not_rent_because_they_are_empty_are_not_closed(
    city: Publisher,
) -> None:
    """Tokyo publishes is_renting = (bikes > 0): most of its stations are empty."""

    def tokyo(document: dict[str, Any]) -> dict[str, Any]:
        for station in document["data"]["stations"][5:]:
            station |= {"num_bikes_available": 0, "is_renting": False}
        return document

    beats = [tokyo(gbfs(["NOW"] * 25))] * 3
    frozen = [tokyo(gbfs([NOW + 600] * 25))] * 5

    assert stale(city, *beats, *frozen) == [False] * 6 + [True] * 2


def test_reports_that_are_always_ahead_are_judged_by_their_own_past(
    city: Publisher,
) -> None:
    """Local times written as UTC: eight hours ahead, until the source stops."""
    ahead = [gbfs([NOW + n * 300 + 8 * HOUR] * 25) for n in range(3)]
    frozen = [gbfs([NOW + 600 + 8 * HOUR] * 25)] * 5
    behind = gbfs([NOW - 600 + 8 * HOUR] * 25)

    assert stale(city, *ahead, *frozen, behind) == [False] * 6 + [True] * 3


@pytest.mark.parametrize("slots", [1, 5])
def test_a_clock_that_the_publisher_corrects_makes_no_slot_stale(
    city: Publisher, slots: int
) -> None:
    """Stamps eight hours ahead, in one slot or for a while, then of now again.

    It was eight hours of stale slots, until the stamps had caught up.
    """
    ahead = [gbfs([NOW + n * 300 + 8 * HOUR] * 25) for n in range(slots)]
    right = [gbfs([NOW + n * 300] * 25) for n in range(slots, slots + 3)]
    frozen = [right[-1]] * 4

    flags = stale(city, *ahead, *right, *frozen)
    assert flags == [False] * (slots + 6) + [True]


def test_a_stamp_that_is_always_hours_behind_fresh_reports_is_only_wrong(
    city: Publisher,
) -> None:
    """The stations have just reported; without their reports it would be stale."""
    behind = [gbfs([NOW + n * 300] * 25, NOW + n * 300 - 8 * HOUR) for n in range(3)]
    silent = gbfs([], NOW + 900 - 8 * HOUR)
    silent["data"]["stations"] = [{"station_id": "s1", "num_bikes_available": 3}]

    assert stale(city, *behind, silent) == [False] * 3 + [True]


@pytest.mark.parametrize("ttl", [0, 60, 86_400])
def test_a_frozen_stamp_is_stale_with_any_ttl(city: Publisher, ttl: int) -> None:
    """A ttl of a day delays that by a quarter of an hour only."""
    frozen = {**gbfs([NOW] * 25, NOW), "ttl": ttl}

    assert stale(city, *[frozen] * 5)[-1]


def test_a_stamp_without_a_zone_is_not_that_of_hours_ago(city: Publisher) -> None:
    """After a pause as long as the offset, its time in UTC is that of the last slot."""
    city.more = {"timezone": "America/Los_Angeles"}
    zone = ZoneInfo("America/Los_Angeles")
    texts = [
        datetime.fromtimestamp(moment, zone).isoformat()[:19]
        for moment in (NOW - 10, NOW - 10, NOW - 10 + 8 * HOUR)
    ]
    flags = stale(city, *(gbfs([0], text) for text in texts[:2]))
    city.clock.now = NOW + 8 * HOUR - city.interval
    flags += stale(city, gbfs([0], texts[2]))

    assert flags == [False, True, False]


def test_a_frozen_stamp_without_a_zone_does_not_become_fresh(city: Publisher) -> None:
    """East of Greenwich, as many hours later, its time in UTC is the present."""
    city.more = {"timezone": "Asia/Taipei"}
    frozen = gbfs([0], local(NOW - 10).replace(" ", "T"))
    flags = stale(city, frozen)
    city.clock.now = NOW + 8 * HOUR - 7 * city.interval
    flags += stale(city, *[frozen] * 8)

    assert flags == [False] + [True] * 8


def test_a_slot_without_any_report_does_not_end_what_was_learned(
    city: Publisher,
) -> None:
    """last_reported is null at all stations once, while they have a heartbeat."""
    beats = [gbfs(["NOW"] * 25)] * 2
    frozen = [gbfs([NOW + 900] * 25)] * 5
    flags = stale(city, *beats, gbfs([0] * 25), *frozen)

    assert flags == [False] * 7 + [True]


def test_a_system_that_closes_at_midnight_is_not_stale(city: Publisher) -> None:
    """All 30 stations report once that they close, and then nothing more."""
    day = [
        gbfs([NOW + n * 300 - s * 240 for s in range(30)]) for n in range(4)
    ]  # a report every four minutes
    closing = [gbfs([NOW + 1200 - 60] * 30)] * 60

    assert not any(stale(city, *day, *closing))


def test_the_newest_station_may_leave_or_set_its_clock_back(city: Publisher) -> None:
    """The newest report falls back, but those of other stations do not."""
    flags = stale(
        city,
        gbfs([NOW - 900, NOW - 800, NOW - 10]),
        gbfs([NOW - 900, NOW - 800]),
        gbfs([NOW + 1000, NOW - 800, NOW]),
        gbfs([NOW + 700, NOW + 700, NOW + 700]),
    )

    assert flags == [False] * 4


def reported(slot: int, ages: Sequence[int]) -> Any:
    """Return what `read_reports` reads in *slot* of stations of these *ages*."""
    counts = (1, None, 1, None, None, 9, True, True, True)
    statuses = [
        StationStatus(f"s{number}", *counts, slot - age)
        for number, age in enumerate(ages)
    ]
    return read_reports(statuses, slot)


def test_a_small_system_is_quiet_at_night() -> None:
    """Stations report on changes only: no bike is rented for eight hours.

    The last report of the evening, an hour after all others, is no heartbeat.
    """
    others = [5_000, 7_000, 6_000, DAY]
    known = Calibration.first(reported(0, [10, *others]), Slot(0))
    for slot in range(300, 8 * HOUR, 300):
        ages = [slot + age for age in (10, *others)]
        assert known.limit(reported(slot, ages)) is None
        known = known.after(reported(slot, ages), Slot(slot), 300)


def test_a_few_stations_have_a_heartbeat_after_a_day_without_a_pause() -> None:
    """Three that report in each slot; rides of each third day are no heartbeat."""
    known = Calibration.first(reported(0, [10] * 3), Slot(0))
    for slot in range(300, DAY + 300, 300):
        known = known.after(reported(slot, [10] * 3), Slot(slot), 300)
    silent = known.after(reported(DAY + HOUR, [HOUR + 10] * 3), Slot(DAY + HOUR), 300)
    rare = Calibration.first(reported(0, [10, DAY]), Slot(0))
    limits = []
    for slot in range(300, 6 * DAY, 300):
        ages = [slot % (3 * DAY) + 10, slot + DAY]
        limits.append(rare.limit(reported(slot, ages)))
        rare = rare.after(reported(slot, ages), Slot(slot), 300)

    assert known.limit(reported(DAY, [10] * 3)) == 900 + 10
    assert silent.limit(reported(DAY + HOUR, [HOUR + 10] * 3)) == 900 + 10
    assert {limit for limit in limits if limit} == {16 * DAY, 24 * DAY}


def test_a_large_system_that_is_never_silent_is_stale_after_half_an_hour() -> None:
    """Its longest silence in two days was two minutes."""
    busy = [120 + n * 120 for n in range(40)]
    known = Calibration.first(reported(0, busy), Slot(0))
    for slot in range(300, 8 * DAY, 300):
        known = known.after(reported(slot, busy), Slot(slot), 300)
    young = replace(known, began=known.slot - DAY)

    assert known.beats == 0
    assert known.limit(reported(known.slot, busy)) == HOUR / 2
    assert young.limit(reported(known.slot, busy)) is None


@pytest.mark.parametrize("is_disabled", [True, False])
def test_vehicles_out_of_service_are_like_closed_stations(*, is_disabled: bool) -> None:
    """Two of three are in the workshop: their silence is no evidence."""
    fields = None, None, None, False, is_disabled, None, None, None, 0
    fleet = [VehicleStatus(f"v{number}", *fields) for number in range(2)]
    reports = read_reports([*fleet, fleet[0]._replace(is_disabled=False)], 10)

    assert reports is not None
    assert reports.is_open is not is_disabled


def test_a_quiet_night_is_learned() -> None:
    """A system without changes for six hours is not stale within a day."""
    busy = [120 + n * 120 for n in range(40)]
    known = Calibration.first(reported(0, busy), Slot(0))
    for slot in range(300, 8 * DAY, 300):
        night = max(0, slot % DAY - 18 * HOUR)
        ages = [age + night for age in busy]
        known = known.after(reported(slot, ages), Slot(slot), 300)

    assert known.silence == 4 * HOUR + 42 * MINUTE
    assert known.limit(reported(known.slot, busy)) == 8 * known.silence


def test_a_pause_of_the_collector_is_no_silence_of_the_stations() -> None:
    """After it, a station may have reported many times; after two slots it has not."""
    known = Calibration.first(reported(0, [10]), Slot(0))

    paused = known.after(reported(12 * HOUR, [10]), Slot(12 * HOUR), 300)
    late = known.after(reported(600, [10]), Slot(600), 300)

    assert (paused.silence, late.silence) == (0, 600)


def test_a_system_that_is_closed_is_not_stale(city: Publisher) -> None:
    """25 stations with a heartbeat stop reporting while they do not rent."""
    beats = [gbfs(["NOW"] * 25)] * 3
    closed = gbfs([NOW + 900] * 25)
    for station in closed["data"]["stations"]:
        station["is_renting"] = False

    assert not any(stale(city, *beats, *[closed] * 12))


@pytest.mark.parametrize("hours", [1, 6])
def test_reports_of_all_every_few_hours_are_no_heartbeat(hours: int) -> None:
    """Each batch of 25 at once is late for no more than until the next one."""
    known = Calibration.first(reported(0, [10] * 25), Slot(0))
    for slot in range(300, 3 * DAY, 300):
        now = reported(slot, [slot % (hours * HOUR) + 10] * 25)
        limit = known.limit(now)
        assert limit is None or now.age < limit
        known = known.after(now, Slot(slot), 300)

    assert known.limit(now) == 8 * hours * HOUR


def test_one_outage_does_not_make_old_reports_usual() -> None:
    """After four days without news the limit is five minutes longer, for an hour."""
    fresh = [10] * 25
    known = Calibration.first(reported(0, fresh), Slot(0))
    for slot in (300, 600):
        known = known.after(reported(slot, fresh), Slot(slot), 300)
    for slot in range(900, 4 * DAY, 300):
        known = known.after(reported(slot, [slot - 590] * 25), Slot(slot), 300)
    for slot in (4 * DAY, 4 * DAY + 300):
        known = known.after(reported(slot, fresh), Slot(slot), 300)
    after = known.limit(reported(known.slot, fresh))
    for slot in range(4 * DAY + 600, 4 * DAY + HOUR + 300, 300):
        known = known.after(reported(slot, fresh), Slot(slot), 300)

    assert after == 900 + 310 - 30
    assert known.limit(reported(known.slot, fresh)) == 900 + 10


def flags_of_contents(*contents: tuple[int, str], interval: int = 300) -> list[bool]:
    """Return whether each slot is stale: *contents* last for a number of slots each."""
    note, slot = "", 0
    flags: list[bool] = []
    for number, content in contents:
        for _ in range(number):
            payload = Payload((), slot=Slot(slot), fetched_at=slot + 2.0)
            is_stale, note = judge_content([content], payload, note, interval)
            slot, flags = slot + interval, [*flags, is_stale]
    return flags


def test_content_that_stands_still_is_stale_in_a_feed_without_reports() -> None:
    """Eight times as long as it ever did in two days: here an hour, so 8 h."""
    days = [(12, f"{n}") for n in range(60)]
    flags = flags_of_contents(*days, (100, "still"), (1, "again"))

    assert not any(flags[: 720 + 97])
    assert flags[720 + 97 :] == [True] * 3 + [False]
    assert not any(flags_of_contents((12, "1"), (12, "2"), (500, "still")))


def test_the_order_of_what_stands_still_does_not_matter() -> None:
    """Rows in another order are the same; two slots without a fetch end it, not one."""
    notes = [""]
    for slot, rows in ((0, "ab"), (300, "ba"), (900, "ba"), (1800, "ab")):
        payload = Payload((), slot=Slot(slot), fetched_at=slot)
        notes.append(judge_content(rows, payload, notes[-1], 300)[1])

    assert [json.loads(note)["newest"] for note in notes[1:]] == [0, 0, 0, 1800]


@pytest.mark.parametrize(
    ("counts", "outage", "learned"),
    [
        ((25, 13, 3), 0, 60),
        ((25, 13, 3), DAY // 2, 60),
        ((25, 13, 3), 9 * DAY, 60),
        ((25, 13, 3), DAY + HOUR, 4 * HOUR),
        ((25, 12, 3), 0, 4 * HOUR),
        ((25, 25, 0), 0, 4 * HOUR),
        ((19, 19, 3), 0, 4 * HOUR),
    ],
)
def test_an_outage_that_ends_with_a_jump_is_no_usual_silence(
    city: Publisher, counts: tuple[int, int, int], outage: int, learned: int
) -> None:
    """Trips after a closure change a few stations, or all were empty: it is learned.

    So is an *outage* that is repeated a day later: it is a closure, too.
    """
    stations, changed, vehicles = counts
    document = gbfs([0] * stations)
    for station in document["data"]["stations"]:
        station["num_bikes_available"] = vehicles
    city.documents["/status"] = document
    city.fetch()
    path = city.folder / "city/ledger.sqlite3"
    where = "WHERE key = 'bikecollect.reports'"
    with closing(sqlite3.connect(path)) as db, db:
        ((note,),) = db.execute(f"SELECT value FROM memory {where}")
        values = {**json.loads(note), "began": 0, "silence": 60}
        values["newest"] -= 4 * HOUR - city.interval
        values["outage"] = (values["slot"] + city.interval - outage) * bool(outage)
        db.execute(f"UPDATE memory SET value = ? {where}", [json.dumps(values)])
    for station in document["data"]["stations"][:changed]:
        station["num_bikes_available"] = 4
    flags = city.fetch().flags
    with closing(sqlite3.connect(path)) as db, db:
        ((note,),) = db.execute(f"SELECT value FROM memory {where}")
    db.close()

    assert "stale" not in flags
    assert json.loads(note)["silence"] == learned


@pytest.mark.parametrize("name", ["last_updated", "lastUpdated", "lastUpdatedOther"])
def test_vehicles_under_a_stamp_that_stands_still_are_stale(
    tmp_path: Path, name: str
) -> None:
    """In each spelling of the stamp that the status may have."""
    with publishing(tmp_path, vehicles=True) as city:
        publish(city, [])
        bikes = {"data": {"bikes": [vehicle(), vehicle("v2", lat=25.1)]}}
        frozen = {name: NOW - 10, **bikes}
        flags = stale(city, frozen, frozen, path="/free_bike_status.json")

    assert flags == [False, True]


@pytest.mark.parametrize("kind", ["stations", "vehicles"])
def test_a_feed_without_reports_that_stands_still_is_stale(
    tmp_path: Path, kind: str
) -> None:
    """Its stamp advances; its counts, or vehicles, have not changed for hours."""
    is_alone = kind == "vehicles"
    with publishing(tmp_path, vehicles=is_alone) as city:
        publish(city, [vehicle()], stations=[] if is_alone else [{"station_id": "s0"}])
        city.documents["/station_status.json"] = gbfs([0])
        city.fetch()
        folder = tmp_path / "city" / ("vehicles" if is_alone else "")
        with closing(sqlite3.connect(folder / "ledger.sqlite3")) as db, db:
            where = "WHERE key = 'bikecollect.reports'"
            ((note,),) = db.execute(f"SELECT value FROM memory {where}")
            hours_ago = json.loads(note)["newest"] - HOUR
            learned = {**json.loads(note), "began": 0, "newest": hours_ago}
            learned["silence"] = MINUTE
            db.execute(f"UPDATE memory SET value = ? {where}", [json.dumps(learned)])
        db.close()
        publish(
            city,
            [vehicle("another id")],
            stations=[] if is_alone else [{"station_id": "s0"}],
        )
        city.documents["/station_status.json"] = gbfs([0])
        flags = ["stale" in city.fetch().flags]
        city.documents["/free_bike_status.json"] = {
            "last_updated": "NOW",
            "data": {"bikes": [vehicle(lat=25.1)]},
        }
        city.documents["/station_status.json"] = gbfs([0, 0])
        flags.append("stale" in city.fetch().flags)

    assert flags == [True, False]


def test_reports_of_the_feeds_own_time_do_not_hide_that_nothing_changes(
    city: Publisher,
) -> None:
    """As of Vienna: all stations reported now, in each slot, also of a dead source.

    Nothing has changed for an hour, after two days with a minute at most. A few
    stations, or one with its own time, may have reported by themselves.
    """
    alike = gbfs(["NOW"] * 20)
    stale(city, alike)
    with closing(sqlite3.connect(city.folder / "city/ledger.sqlite3")) as db, db:
        where = "WHERE key = 'bikecollect.content'"
        ((note,),) = db.execute(f"SELECT value FROM memory {where}")
        hour_ago = json.loads(note)["newest"] - HOUR
        learned = {**json.loads(note), "began": 0, "newest": hour_ago}
        learned["silence"] = MINUTE
        db.execute(f"UPDATE memory SET value = ? {where}", [json.dumps(learned)])
    own = gbfs(["NOW"] * 19 + [int(city.clock.now)])
    changed = gbfs(["NOW"] * 20)
    changed["data"]["stations"][0]["num_bikes_available"] = 2

    flags = stale(city, alike, own, gbfs(["NOW"] * 19), changed)
    assert flags == [True, False, False, False]


@pytest.mark.parametrize(
    ("newest", "closed", "expected"),
    [(True, False, True), (False, False, False), (True, True, False)],
)
def test_standing_still_counts_in_the_newest_slot_of_an_open_system_only(
    *, newest: bool, closed: bool, expected: bool
) -> None:
    """All stations report the feed's own time; nothing has changed for an hour."""
    counts = (1, None, 1, None, None, 9, not closed, not closed, not closed)
    statuses = [StationStatus(f"{n}", *counts, NOW) for n in range(20)]
    payload = Payload((), slot=Slot(NOW // 300 * 300), fetched_at=NOW)
    _, note = judge_content([row[:-1] for row in statuses], payload, "", 300)
    learned = {**json.loads(note), "began": 0, "newest": NOW - HOUR, "silence": MINUTE}
    notes = {uniform.NOTE: json.dumps(learned)}
    ledger: Any = SimpleNamespace(is_newest=lambda _: newest)

    still, new = uniform.judge(
        payload, statuses, notes, 300, ledger=ledger, store=ledger
    )

    assert (still, bool(new)) == (expected, expected)


def test_a_damaged_note_is_ignored() -> None:
    """Notes only save work, and may have been edited."""
    known = Calibration.first(reported(0, [10]), Slot(0)).to_note()
    notes = ["", "{}", "[1]", '{"slot": 1}', "no JSON", '{"x": 1}']
    notes += [known.replace("1", '"1"'), known.replace("10", "null")]

    assert Calibration.from_note(known) is not None
    assert [Calibration.from_note(note) for note in notes] == [None] * 8


def test_a_damaged_note_is_replaced(city: Publisher) -> None:
    """The calibration begins again with the next slot."""
    city.documents["/status"] = gbfs([NOW] * 25)
    city.fetch()
    path = city.folder / "city/ledger.sqlite3"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE memory SET value = '[' WHERE key = 'bikecollect.reports'")
    db.close()
    city.fetch()

    with closing(sqlite3.connect(path)) as db, db:
        sql = "SELECT value FROM memory WHERE key = 'bikecollect.reports'"
        ((note,),) = db.execute(sql)
    db.close()
    assert json.loads(note)["newest"] == NOW


def placed(moment: float, longitude: float, form: str = "") -> list[dict[str, object]]:
    """Return 25 stations at *longitude*; they report within four minutes *moment*."""
    stations = []
    source = "" if form else local(moment)
    for number in range(25):
        reported = int(moment) - number * 10
        station = youbike(reported, source, "")[0] | {"sno": f"5001010{number:02}"}
        place = {"latitude": 25.0, "longitude": longitude}
        stamp = {"infoTime": reported} if form == "epoch" else {}
        stations.append(station | place | stamp)
    return stations


@pytest.mark.parametrize(
    ("zone", "longitude", "late", "expected"),
    [
        ("Europe/Oslo", 121.5, 60, ("Etc/GMT-8", 14)),  # to the west: 7 h ahead
        ("Australia/Sydney", 121.5, 60, ("Etc/GMT-8", 11)),  # to the east: 3 h old
        ("Asia/Kathmandu", 121.5, 60, ("Etc/GMT-8", 14)),  # 2 h 15 min ahead
        ("Asia/Taipei", 77.2, 9_060, ("Asia/Kolkata", 11)),
        ("Asia/Taipei", 121.5, 60, ("", 0)),
        ("Australia/Sydney", -123.4, 60, ("Etc/GMT-8", 2)),  # fits neither: it may lag
        ("Asia/Taipei", 121.5, 3 * HOUR + 60, ("", 0)),  # lags by whole hours
        ("Asia/Taipei", 0.0, 3 * HOUR + 1_260, ("", 0)),  # lags
        ("Asia/Taipei", 106.0, HOUR + 60, ("", 0)),  # far west in its zone
    ],
)
def test_a_wrong_time_zone_is_named(
    zone: str, longitude: float, late: int, expected: tuple[str, int], tmp_path: Path
) -> None:
    """Stamps without an offset would be new in the zone in which the stations are.

    It lasts, and is reported once. A feed that lags has no wrong time zone.
    """
    name, slots = expected
    with publishing(tmp_path, feed="youbike", path="/list", timezone=zone) as city:
        runs = []
        for _ in range(14):
            moment = city.clock.now + 302 - late
            city.documents["/list"] = placed(moment, longitude)
            runs.append(city.fetch())

    named = [[n.text for n in run.notices if n.kind == "zone"] for run in runs]
    assert [bool(texts) for texts in named] == [False] * (14 - slots) + [True] * slots
    assert all(f'(timezone = "{name}"' in text for texts in named for text in texts)
    assert ["drift" in run.flags for run in runs].count(True) == bool(slots)
    assert not any(n.kind == "drift" for run in runs for n in run.notices)
    incidents = {i.kind: i.slots for i in stood(city).incidents}
    assert incidents.get("zone", 0) == slots
    assert len(incidents) <= 1, "stamps that are old because of it are no other problem"


def stood(city: Publisher) -> Health:
    """Return the health of the system at the end of its last slot."""
    folder = SystemFolder("city", city.folder / "city", TAIPEI, 300)
    return survey(folder, now=city.clock.now).health


@pytest.mark.parametrize("zone", ["Europe/Oslo", "Australia/Sydney"])
def test_a_wrong_time_zone_is_in_doubt_until_the_stamps_are_new(
    zone: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A quiet hour, and slots that were not collected, prove nothing."""
    with publishing(tmp_path, feed="youbike", path="/list", timezone=zone) as city:
        for slot in [*range(5), *[5] * 5, 39, 40]:
            city.documents["/list"] = placed(BEGIN + 300 * slot + 240, 121.5)
            run = city.fetch(after=30 * 300 if slot == 39 else 300)
        assert [n.kind for n in run.notices] == ["zone"]
        warned = [log for log in caplog.records if log.levelno >= WARNING]
        assert len(warned) == 1, "people are warned in the first slot only"
        assert [i.kind for i in stood(city).incidents] == ["zone"]
        city.more = {**city.more, "timezone": "Asia/Taipei"}
        for slot in (41, 42):
            city.documents["/list"] = placed(BEGIN + 300 * slot + 240, 121.5)
            assert city.fetch().notices == ()

    assert [i.kind for i in stood(city).incidents] == []


@pytest.mark.parametrize("zone", ["Europe/Oslo", "Australia/Sydney"])
def test_a_feed_that_stops_is_stale_although_its_time_zone_is_wrong(
    zone: str, tmp_path: Path
) -> None:
    """Its stamps become old in the zone that fits, and are new in others: no proof."""
    with publishing(tmp_path, feed="youbike", path="/list", timezone=zone) as city:
        for slot in [*range(6), *[6] * 18]:
            city.documents["/list"] = placed(BEGIN + 300 * slot + 240, 121.5)
            run = city.fetch()

    assert [n.kind for n in run.notices] == ["zone", "stale"]
    assert 'timezone = "Etc/GMT-8"' in run.notices[0].text
    assert {i.kind for i in stood(city).incidents} == {"zone", "stale"}


def test_a_quiet_night_in_a_wrong_time_zone_is_not_stale(tmp_path: Path) -> None:
    """The stamp of the list is as old in that zone as before."""
    with publishing(
        tmp_path, feed="youbike", path="/list", timezone="Australia/Sydney"
    ) as city:
        for slot in range(24):
            stations = placed(BEGIN + 300 * min(slot, 6) + 240, 121.5)
            source = {"srcUpdateTime": local(BEGIN + 300 * slot + 240)}
            city.documents["/list"] = [station | source for station in stations]
            city.fetch()

    assert {i.kind for i in stood(city).incidents} == {"zone"}


def test_stamps_that_need_no_time_zone_prove_none(tmp_path: Path) -> None:
    """They are 7 hours ahead as numbers: the publisher's clock is wrong."""
    with publishing(tmp_path, feed="youbike", path="/list") as city:
        city.documents["/list"] = placed(city.clock.now + 7 * HOUR, 0.0, "epoch")
        (notice,) = city.fetch().notices

    assert "in the future at 25 of 25 rows" in notice.text
    assert notice.text.endswith("it is stored unchanged")


@pytest.mark.parametrize(
    ("late", "is_named"), [(5 * HOUR, True), (5 * HOUR + 1_500, False), (240, False)]
)
def test_reports_that_are_always_hours_late_are_reported(
    late: int, city: Publisher, *, is_named: bool
) -> None:
    """West of UTC local times as numbers look old: no setting is wrong, but the feed.

    25 minutes more are of no time zone: such a feed lags.
    """
    texts = []
    for _ in range(14):
        moment = int(city.clock.now) + 302 - late
        city.documents["/status"] = gbfs([moment - n for n in range(25)])
        texts += [n.text for n in city.fetch().notices if "last_reported" in n.text]

    begin = "last_reported is about 5 h old in each slot, although stations report"
    assert [text[: len(begin)] for text in texts] == [begin] * is_named


def test_a_feed_that_has_stopped_has_no_wrong_time_zone(tmp_path: Path) -> None:
    """Even if the stations are far from where the zone is used."""
    with publishing(tmp_path, feed="youbike", path="/list") as city:
        notices: list[str] = []
        for slot in range(50):
            moment = BEGIN + 300 * min(slot, 15) + 240
            city.documents["/list"] = placed(moment, 77.2)
            notices += [notice.text for notice in city.fetch().notices]

    assert [text for text in notices if "zone" in text] == []


def test_stamps_of_another_zone_do_not_put_the_setting_in_doubt(tmp_path: Path) -> None:
    """The stations are where the zone is used: the feed writes UTC."""
    with publishing(tmp_path, feed="youbike", path="/list") as city:
        city.documents["/list"] = placed(city.clock.now + 4 * HOUR + 240, 121.5)
        (notice,) = city.fetch().notices

    assert "the feed writes them in UTC+12, so that last_reported is wrong" in (
        notice.text
    )


@pytest.mark.parametrize(("beats", "is_named"), [(13, True), (3, False)])
def test_a_quiet_system_has_no_wrong_time_zone(beats: int, *, is_named: bool) -> None:
    """Of three reports in an hour the newest is as old as a zone is off by chance."""
    slot = Slot(int(BEGIN))
    reports = Calibration(
        slot, slot - 7_260, 0, slot - HOUR, beats, last=7_260.0, age=7_260.0
    )

    found = doubt_of_reports(TAIPEI, reports, 300, [])

    assert (found is not None) == is_named
