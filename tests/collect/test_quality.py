"""Unusual snapshots are committed and flagged."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from publisher import publishing
from world import MINUTES, NOON, World, status

from bikecollect.collect import quality
from bikecollect.collect.reading import staleness
from bikecollect.collect.reading.staleness import Calibration
from bikecollect.core.errors import Outcome
from bikecollect.core.payload import Document, Payload
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationInformation, StationStatus

DAY_FILE = "station_status/2026-11-22.csv"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with an empty folder."""
    return World(tmp_path / "city")


def test_far_fewer_stations_than_usual_are_flagged_and_kept(world: World) -> None:
    """They are committed with the flag `short` (fault 32)."""
    world.fetch({"a": 1, "b": 1, "c": 1})
    run = world.fetch({"a": 1}, after=5 * MINUTES)

    assert (run.outcome, run.flags) == (Outcome.COLLECTED, ("short",))


def test_a_feed_with_an_unchanged_stamp_is_flagged(world: World) -> None:
    """An unchanged or old time stamp: stale, and committed (fault 33)."""
    first = world.fetch({"a": 1}, last_updated=int(NOON) - 10)
    again = world.fetch({"a": 1}, after=5 * MINUTES, last_updated=int(NOON) - 10)
    old = world.fetch({"a": 1}, after=5 * MINUTES, last_updated=int(NOON) - 3600)

    assert (first.flags, again.flags, old.flags) == ((), ("stale",), ("stale",))


def test_a_feed_whose_own_stamp_is_in_the_future_is_reported(world: World) -> None:
    """Its age is unknown; a server's clock that is a little ahead is no matter."""
    near = world.fetch({"a": 1}, last_updated=int(NOON) + 600)
    far = world.fetch({"a": 1}, after=5 * MINUTES, last_updated=int(NOON) + 86_400)

    assert (near.notices, far.outcome) == ((), Outcome.COLLECTED)
    assert [notice.text for notice in far.notices] == [
        "the feed's own stamp is in the future, 2026-11-23T04:00:00+00:00, fetched at "
        "2026-11-22T04:05:02+00:00: it is not known how old its data are"
    ]


def test_a_clock_that_is_behind_puts_no_stamp_of_the_feed_in_the_future(
    world: World,
) -> None:
    """The Date header tells that this machine is an hour late."""
    world.feed.date = NOON + 3_600
    run = world.fetch({"a": 1}, last_updated=int(NOON) + 3_600)

    assert (run.flags, run.notices) == (("clock",), ())


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        (3, ["the feed's own stamp is in the future"]),
        (1, []),
        (0, []),
        (
            -2,
            ["the feed's own stamp is about 2 h old, although it moves from slot to "],
        ),
        (-1 / 3, []),
    ],
)
def test_a_stamp_without_an_offset_that_is_new_in_no_zone_is_reported(
    tmp_path: Path, hours: float, told: list[str]
) -> None:
    """Neither UTC nor the time zone fits, and stations report no time of their own."""
    with publishing(tmp_path, timezone="Europe/Vienna") as city:
        city.documents["/gbfs.json"] = {
            "data": {
                "en": {"feeds": [{"name": "station_status", "url": "BASE/status"}]}
            }
        }

        def stamped(_: object) -> object:
            stamp = datetime.fromtimestamp(city.clock.now + hours * 3_600, UTC)
            row = {"station_id": "a", "name": "A", "num_bikes_available": 3}
            text = stamp.replace(tzinfo=None).isoformat()
            return {"last_updated": text, "data": {"stations": [row]}}

        city.documents["/status"] = stamped
        runs = [city.fetch() for _ in range(4)]

    texts = [n.text for run in runs for n in run.notices if "no station_" not in n.text]
    assert [text[: len(told[0])] for text in texts] == told
    assert {"stale" in run.flags for run in runs} == {hours < 0}


@pytest.mark.parametrize(
    ("zone", "hours", "form", "end"),
    [
        ("Asia/Taipei", 9, "%FT%T", ': timezone = "Asia/Taipei" may be wrong'),
        ("Asia/Taipei", 7, "%FT%T", ', or timezone = "Asia/Taipei" is wrong'),
        ("Asia/Taipei", 1, "%FT%TZ", ": it is not known how old its data are"),
        ("Asia/Taipei", -1, "%FT%TZ", "clock or time zone is wrong, or it lags"),
    ],
)
def test_a_stamp_that_was_read_in_the_time_zone_of_the_settings_puts_that_in_doubt(
    tmp_path: Path, zone: str, hours: int, form: str, end: str
) -> None:
    """It is not blamed where the stamp has an offset of its own."""
    with publishing(tmp_path, timezone=zone) as city:

        def stamped(_: object) -> object:
            stamp = datetime.fromtimestamp(city.clock.now + hours * 3_600, UTC)
            row = {"station_id": "a", "name": "A", "num_bikes_available": 3}
            return {"last_updated": stamp.strftime(form), "data": {"stations": [row]}}

        city.documents["/gbfs.json"] = {
            "data": {
                "en": {"feeds": [{"name": "station_status", "url": "BASE/status"}]}
            }
        }
        city.documents["/status"] = stamped
        texts = [n.text for _ in range(3) for n in city.fetch().notices]

    (text,) = [text for text in texts if "the feed's own stamp" in text]
    assert text.endswith(end)


def test_a_feed_that_goes_back_again_and_again_is_reported(world: World) -> None:
    """Of two caches one is old: never stale for long, but half of the slots are."""
    told = []
    for number in range(20):
        stamp = int(NOON) + 300 * number - (600 if number % 2 else 0)
        run = world.fetch({"a": 1}, after=5 * MINUTES, last_updated=stamp)
        assert ("stale" in run.flags) is bool(number % 2)
        told += [(number, notice.text) for notice in run.notices]

    ((number, text),) = told
    assert (number, text) == (
        11,
        "6 times the feed went back to older data, now to those of "
        "2026-11-22T04:45:00+00:00: one of its servers or caches is behind",
    )


def test_a_feed_that_goes_back_once_is_not_said_to_do_so_in_each_slot(
    world: World,
) -> None:
    """Its other server is behind, and is used for hours."""
    world.fetch({"a": 1}, last_updated=int(NOON))
    runs = [
        world.fetch({"a": 1}, after=5 * MINUTES, last_updated=int(NOON) - 600 + n)
        for n in range(10)
    ]

    assert {run.flags for run in runs} == {("stale",)}
    assert [notice.text for run in runs for notice in run.notices] == []


def test_a_feed_that_stops_is_not_said_to_go_back(world: World) -> None:
    """Nor one that goes back every other day."""
    stopped = [world.fetch({"a": 1}, last_updated=int(NOON))]
    stopped += [
        world.fetch({"a": 1}, after=5 * MINUTES, last_updated=int(NOON))
        for _ in range(8)
    ]
    for number in range(14):
        after = 2_000 * MINUTES if number % 2 else 5 * MINUTES
        stamp = int(world.clock() + after) - (600 if number % 2 == 0 else 0)
        stopped.append(world.fetch({"a": 1}, after=after, last_updated=stamp))

    assert [notice.text for run in stopped for notice in run.notices] == []


@pytest.mark.parametrize(("seconds", "flags"), [(59, ()), (60, ("stale",))])
def test_the_stamps_of_two_servers_may_differ_by_less_than_a_minute(
    seconds: int, flags: tuple[str, ...], world: World
) -> None:
    """The answer of the one that is a little behind is not old data."""
    world.fetch({"a": 1}, last_updated=int(NOON))
    run = world.fetch({"a": 1}, after=5 * MINUTES, last_updated=int(NOON) - seconds)

    assert run.flags == flags


def test_a_stamp_after_one_that_was_in_the_future_is_not_stale(world: World) -> None:
    """The publisher has set its clock: what it published before was the error."""
    world.fetch({"a": 1}, last_updated=int(NOON) + 600)
    run = world.fetch({"a": 1}, after=5 * MINUTES, last_updated=int(NOON) + 290)

    assert run.flags == ()


def test_a_clock_that_differs_from_the_servers_is_flagged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than 120 s from the Date header (fault 77)."""
    document = Document(
        "status", b'{"stations": {"a": 1}}', fetched_at=NOON, date=NOON - 500
    )
    monkeypatch.setattr(world.feed, "fetch", lambda *_: Payload((document,)))

    assert world.fetch().flags == ("clock",)


def test_the_old_date_of_one_cached_document_is_no_wrong_clock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of stations may be from a cache; the status agrees with this clock."""
    status = Document(
        "status", b'{"stations": {"a": 1}}', fetched_at=NOON, date=NOON - 1
    )
    cached = Document("information", b"{}", fetched_at=NOON, date=NOON - 7_200)
    documents = (status, cached)
    monkeypatch.setattr(world.feed, "fetch", lambda *_: Payload(documents))

    assert world.fetch().flags == ()


def test_reports_in_the_future_are_reported() -> None:
    """Local times published as UTC; not one of fifty, and not if our clock is wrong."""
    document = Document("status", b"", fetched_at=NOON, date=NOON)
    payload = Payload((document,), fetched_at=NOON)
    wrong = replace(payload, documents=(replace(document, date=NOON + 28_800),))
    counts = (1, None, 1, None, None, 9, True, True, True)
    fresh = [StationStatus(f"{n}", *counts, int(NOON) - n) for n in range(50)]
    ahead = [status._replace(last_reported=int(NOON) + 28_800) for status in fresh]

    (text,) = quality.ahead_findings(ahead, payload).values()

    assert text.startswith("last_reported is in the future at 50 of 50 rows, such as")
    assert quality.ahead_findings([*fresh[1:], ahead[0]], payload) == {}
    assert quality.ahead_findings(ahead, wrong) == {}


@pytest.mark.parametrize(("offset", "is_reported"), [(0, True), (500, False)])
def test_a_wrong_clock_of_this_machine_puts_no_time_zone_in_doubt(
    offset: int, *, is_reported: bool
) -> None:
    """Stamps that are seven hours ahead of it prove nothing."""
    slot, reported = Slot(int(NOON)), int(NOON) + 7 * 3_600
    known = Calibration(slot, reported, slot - 900, slot - 900, 3, -25_198.0, -25_198.0)
    document = Document("status", b"", fetched_at=NOON + 2, date=NOON + 2 + offset)
    found, _ = quality.zone_findings(
        Payload((document,), slot=slot, fetched_at=NOON + 2),
        ZoneInfo("Europe/Oslo"),
        {staleness.NOTE: known.to_note()},
        300,
        [StationInformation("a", lat=25.0, lon=121.5)],
    )

    assert (quality.ZONE in found) is is_reported


def test_zeros_at_every_open_station_are_reported(world: World) -> None:
    """Once; not of a closed system, nor of one that has free docks."""
    zeros = dict.fromkeys("abcde", 0)
    full = world.fetch(zeros)
    shut = {"docks": zeros, "closed": list(zeros)}
    closed = world.fetch(zeros, after=5 * MINUTES, **shut)
    zero = world.fetch(zeros, after=5 * MINUTES, docks=zeros)
    again = world.fetch(zeros, after=5 * MINUTES, docks=zeros)

    assert (full.notices, closed.notices, again.notices) == ((), (), ())
    assert [n.text for n in zero.notices] == [
        "all 5 stations have 0 vehicles and 0 free docks, although they are open: it "
        "is stored unchanged"
    ]


@pytest.mark.parametrize(("number", "reported"), [(19, False), (20, True)])
def test_stations_without_docks_may_be_empty_if_they_are_few(
    number: int, *, reported: bool
) -> None:
    """A pilot whose vehicles are all in use."""
    statuses = [status(f"{n}", 0) for n in range(number)]
    dockless = [one._replace(num_docks_available=None) for one in statuses]

    assert bool(quality.zero_findings(dockless)) is reported


def test_unknown_free_docks_are_not_called_zero() -> None:
    """Of 20 empty stations one has docks."""
    statuses = [status(f"{n}", 0)._replace(num_docks_available=None) for n in range(19)]
    docked = status("x", 0)._replace(num_docks_available=0)

    (text,) = quality.zero_findings([*statuses, docked]).values()

    assert text.startswith("all 20 stations have 0 vehicles, although")


def test_a_late_run_is_flagged(world: World) -> None:
    """It started 200 s into its slot (fault 81)."""
    assert world.fetch({"a": 1}, after=200.0).flags == ("late",)


def test_rows_are_filed_under_the_slots_day(world: World) -> None:
    """A fetch across midnight belongs to the slot's day (fault 80)."""
    world.clock.now = datetime(
        2026, 11, 22, 23, 55, tzinfo=ZoneInfo("Asia/Taipei")
    ).timestamp()
    world.feed.clock = replace(world.clock, now=world.clock.now + 400)
    world.fetch({"a": 1})

    (line,) = world.lines(DAY_FILE)
    assert line.startswith("2026-11-22T23:55:00+08:00,2026-11-23T00:01:42+08:00,a")


def test_a_damaged_payload_in_the_inbox_does_not_stop_the_others(world: World) -> None:
    """It is rejected with its reason; the slot's own is committed (fault 65)."""
    world.fetch({"a": 1})
    inbox = world.folder / "payloads/inbox"
    (inbox / "20261122T035500Z.00000099.zip").write_bytes(b"PK no zip at all")
    run = world.fetch({"a": 2}, after=5 * MINUTES)

    assert run.outcome is Outcome.COLLECTED
    reasons = list((world.folder / "payloads/rejected").glob("*.reason.txt"))
    assert [reason.name for reason in reasons] == [
        "20261122T035500Z.00000099.zip.reason.txt"
    ]


def test_a_station_that_left_the_list_is_recorded_after_a_day(
    world: World,
) -> None:
    """Absence from one poll is ignored, absence for a day is a new version."""
    world.fetch({"a": 1, "b": 1})
    world.fetch({"a": 1, "b": 1, "c": 1}, after=5 * MINUTES)
    world.fetch({"a": 1, "b": 1}, after=5 * MINUTES)
    world.fetch({"a": 1, "b": 1}, after=1440 * MINUTES)

    lines = world.lines("station_information.csv")
    assert [(line.split(",")[1], line.split(",")[-1]) for line in lines] == [
        ("a", "true"),
        ("b", "true"),
        ("c", "true"),
        ("c", "false"),
    ]
