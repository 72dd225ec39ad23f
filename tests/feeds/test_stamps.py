"""Time stamps in every format that publishers use."""

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bikecollect.core.payload import Document
from bikecollect.feeds.citybikes import CityBikes
from bikecollect.feeds.gbfs.feed import Gbfs
from bikecollect.feeds.mapped import Mapped
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.tdx.feed import Tdx
from bikecollect.feeds.youbike import YouBike

READ = Stamps(ZoneInfo("Asia/Taipei"))
MOMENT = 1_788_981_843
"""2026-09-10 03:24:03 in Taipei, 2026-09-09 19:24:03 UTC."""


@pytest.mark.parametrize(
    "stamp",
    [
        1_788_981_843,
        1_788_981_843.9,
        "1788981843",
        " 1788981843.25 ",
        1_788_981_843_000,
        "1788981843123",
        1_788_981_843_123_456,
        1_788_981_843_123_456_789,
        "2026-09-10T03:24:03+08:00",
        "2026-09-10T03:24:03+0800",
        "2026-09-10 03:24:03 UTC+8",
        "2026-09-10T03:24:03 GMT+0800",
        "2026-09-10 03:24:03 +08:00",
        "2026-09-10T03:24:03+08",
        "2026-09-09T19:24:03Z",
        "2026-09-09T19:24:03.505032Z",
        "2026-09-09T19:24:03.505032123Z",
        "2026-09-09T19:24:03.505032+00:00Z",
        "2026-09-09T19:24:03+00:00Z",
        "2026-09-09 19:24:03 UTC",
        "2026-09-09T19:24:03 GMT",
        "2026-09-09T21:24:03+02:00[Europe/Paris]",
        "2026-09-09T19:24:03z",
        "Wed, 09 Sep 2026 19:24:03 GMT",
        "Wed, 09 Sep 2026 19:24:03 -0000",
        "9 September 2026 19:24:03 GMT",
        "Thu Sep 10 03:24:03 CST 2026",  # Java's, in Taiwan and China
        "2026-09-10 03:24:03 CST",
        "/Date(1788981843000)/",
        "/Date(1788981843000+0800)/",
    ],
)
def test_stamps_with_a_zone_are_read(stamp: object) -> None:
    """Epoch in any unit, ISO 8601 and its abuses, mail's form, .NET's."""
    assert READ(stamp) == MOMENT


@pytest.mark.parametrize(
    "stamp",
    [
        "2026-09-10 03:24:03",
        "2026-09-10T03:24:03",
        "2026-09-10T03:24:03.250",
        "2026/09/10 03:24:03",
        "2026/9/10 3:24:03",
        "2026.09.10 03:24:03",
        "20260910T032403",
        "20260910032403",
        20_260_910_032_403,
        "20260910 032403",
        "20260910032403123",
        "20260910T032403.123",
        "2026/9/10 上午 03:24:03",
        "2026/9/10 上午 3:24:03",
        "2026年9月10日 03時24分03秒",
        "2026-09-10 03:24:03 AM",
        "115/09/10 03:24:03",
        "115-09-10 03:24:03",
        "1150910032403",
        "Sep 10, 2026 3:24:03 AM",
        "Thu Sep 10 03:24:03 2026",
        "10.09.2026 03:24:03",
        "10-09-2026 03:24:03",
    ],
)
def test_a_naive_stamp_is_local(stamp: object) -> None:
    """With slashes, dots, Chinese marks, in halves of a day, by Taiwan's years."""
    assert READ(stamp) == MOMENT


def test_hours_of_the_afternoon_are_read() -> None:
    """Noon is 12 p.m. and midnight 12 a.m."""
    assert READ("2026/9/10 下午 03:24:03") == MOMENT + 12 * 3600
    assert READ("Sep 10, 2026, 3:24:03\u202fPM") == MOMENT + 12 * 3600
    assert READ("September 10, 2026 3:24:03 p.m.") == MOMENT + 12 * 3600
    assert READ("2026/9/10 12:24:03 PM") == MOMENT + 9 * 3600
    assert READ("2026/9/10 12:24:03 AM") == MOMENT - 3 * 3600


def test_stamps_without_seconds_are_read() -> None:
    """Seconds may be omitted."""
    assert READ("202609100324") == MOMENT - 3
    assert READ("2026/09/10 03:24") == MOMENT - 3
    assert READ("20260910T0324+0800") == MOMENT - 3


@pytest.mark.parametrize(
    "stamp",
    [
        *(0, 18_001, 86_400, -62_135_596_800, "", "n/a", None, True, [], {}),
        *("09/10/2026 03:24:03", "2026-13-45 99:99:99", "0001-01-01T00:00:00Z"),
        *("1e400", "nan", float("inf"), "2026-09-10T03:24:03+99:99", "1" * 5_000),
        *("20261399250000", "25:00:00", "2026/9/10 13:24:03 PM", "soon", "CST"),
        *("Thu Sep 10 03:24:03 CET 2026", "Sep 10, 2026 13:24:03 PM"),
    ],
)
def test_invalid_stamps_are_empty(stamp: object) -> None:
    """Sentinels, impossible days, ambiguous ones, and those of unknown zones."""
    assert READ(stamp) is None


@pytest.mark.parametrize("zone", ["Asia/Taipei", "Europe/London", "UTC"])
@pytest.mark.parametrize("minute", ["2026-10-25 01:59", "2026-13-01 12:00"])
def test_the_seconds_of_a_minute_are_read_alike(zone: str, minute: str) -> None:
    """A stamp is the same whether others of its minute were read before it or not."""
    together = Stamps(ZoneInfo(zone))
    texts = [f"{minute}:{second}" for second in ("00", "01", "59", "60", "5x", "٣٤")]

    expected = [Stamps(ZoneInfo(zone), "%d.%m.%Y")(text) for text in texts]

    assert [together(text) for text in texts] == expected


def test_the_format_of_the_settings_is_tried_first() -> None:
    """Other known formats are still read."""
    read = Stamps(ZoneInfo("Asia/Taipei"), "%m/%d/%Y %H:%M:%S")

    assert read("09/10/2026 03:24:03") == MOMENT
    assert read("2026-09-10 03:24:03") == MOMENT


@pytest.mark.parametrize(("name", "later"), [("CDT", 0), ("CST", 3600)])
def test_the_name_of_a_zone_says_which_of_two_equal_hours_is_meant(
    name: str, later: int
) -> None:
    """In Chicago the hour from one to two in the night of November 1 comes twice."""
    stamp = Stamps(ZoneInfo("America/Chicago"))(f"Sun Nov 01 01:30:00 {name} 2026")

    assert stamp == 1_793_514_600 + later


@pytest.mark.parametrize(
    ("fetched", "stamp", "meant"),
    [
        ("01:50-05:00", "01:48:07", "01:48:07-05:00"),
        ("01:50-05:00", "01:55:07", "01:55:07-05:00"),
        ("01:50-06:00", "01:48:07", "01:48:07-06:00"),
        ("01:10-06:00", "01:55:07", "01:55:07-05:00"),
        ("01:50-06:00", "01:48:07 CDT", "01:48:07-05:00"),
        ("04:00-06:00", "00:30:00", "00:30:00-05:00"),
        ("04:00-06:00", "02:30:00", "02:30:00-06:00"),
    ],
)
def test_the_hour_that_comes_twice_is_the_last_one_before_the_fetch(
    fetched: str, stamp: str, meant: str
) -> None:
    """In Chicago the second hour from one to two is an hour nearer to the fetch."""
    day, zone = "2026-11-01", ZoneInfo("America/Chicago")
    fetched_at = datetime.fromisoformat(f"{day} {fetched}").timestamp()
    read = Stamps(zone, fetched_at=fetched_at)

    assert (
        read(f"{day} {stamp}") == datetime.fromisoformat(f"{day} {meant}").timestamp()
    )


@pytest.mark.parametrize("text", ["2026-12-31T23:59:60Z", "2027-01-01 07:59:60"])
def test_a_leap_second_is_read_as_the_second_before(text: str) -> None:
    """Epoch seconds have no place for it; 60 minutes are an error."""
    assert READ(text) == READ("2026-12-31T23:59:59Z")
    assert READ(text.replace("59:60", "60:00")) is None


def test_feeds_read_their_stamps_by_the_time_of_their_fetch() -> None:
    """All with stamps in local time, in the second hour from one to two."""
    zone, fetched_at = ZoneInfo("America/Chicago"), 1_793_518_800.0
    at = "2026-11-01T01:38:20"
    station = {"station_id": "a", "num_bikes_available": 1, "last_reported": at}
    gbfs = {"last_updated": at, "data": {"stations": [station]}}
    mapping = {"stations": "data.stations", "last_updated": "last_updated"}
    mapping |= {name: name for name in ("station_id", "last_reported")}
    mapping["num_vehicles_available"] = "num_bikes_available"
    youbike = {"sno": "1", "sbi": 1, "bemp": 2, "mday": at, "srcUpdateTime": at}
    tdx = {"StationUID": "TPE1", "AvailableRentBikes": 1, "AvailableReturnBikes": 2}
    tdx |= {"SrcUpdateTime": at, "UpdateTime": at}
    published: list[tuple[Any, object]] = [
        (Gbfs("http://localhost/", zone), gbfs),
        (Mapped("http://localhost/", zone, mapping), gbfs),
        (YouBike("http://localhost/", zone), [youbike]),
        (Tdx("http://localhost/Bike/Availability/City/Taipei", zone), [tdx]),
    ]
    read = [
        feed.read(
            (
                Document(
                    "station_status", json.dumps(body).encode(), fetched_at=fetched_at
                ),
            )
        )
        for feed, body in published
    ]

    assert [snapshot.last_updated for snapshot in read] == [1_793_518_700] * 4
    reported = [snapshot.statuses[0].last_reported for snapshot in read]
    assert reported == [1_793_518_700] * 4


NEW_YORK, PARIS = ZoneInfo("America/New_York"), ZoneInfo("Europe/Paris")


def snapshot_of(
    reports: list[str], updated: object, zone: ZoneInfo
) -> tuple[list[int | None], ZoneInfo | None]:
    """Return the reports of a GBFS status as read at 1.8e9, and the zone that was used.

    At that time it is 08:00 in UTC, 03:00 in New York and 09:00 in Paris.
    """
    stations = [
        {"station_id": number, "num_bikes_available": 1, "last_reported": report}
        for number, report in enumerate(reports)
    ]
    body = json.dumps({"last_updated": updated, "data": {"stations": stations}})
    document = Document("station_status", body.encode(), fetched_at=1.8e9)
    snapshot = Gbfs("http://localhost/", zone).read((document,))
    return [status.last_reported for status in snapshot.statuses], snapshot.zone


@pytest.mark.parametrize(
    "updated",
    [
        1_800_000_000,
        None,
        "2027-01-15T08:00:00Z",
        "2027-01-15T07:59:00",
        "2027-01-15T02:30:00",
    ],
)
@pytest.mark.parametrize(
    ("zone", "reports"),
    [
        (NEW_YORK, ["2027-01-15T02:59:00", "2027-01-15T02:58:00"]),
        (NEW_YORK, ["2027-01-15T07:59:00", "2027-01-15T07:58:00"]),
        (PARIS, ["2027-01-15T08:59:00", "2027-01-15T08:58:00"]),
    ],
)
def test_reports_without_an_offset_are_in_the_zone_in_which_they_are_recent(
    zone: ZoneInfo, reports: list[str], updated: object
) -> None:
    """Whatever the feed's own stamp is: many have an offset in that one only."""
    read, _ = snapshot_of(reports, updated, zone)

    assert read == [1_799_999_940, 1_799_999_880]


@pytest.mark.parametrize(
    "report", ["2027-01-15T02:59:00", "2027-01-15T07:59:00", 1_799_999_940]
)
def test_reports_of_citybikes_sources_are_read_in_the_same_way(report: object) -> None:
    """Some have the local time of their city in `extra`, without an offset."""
    more = {"timestamp": "2027-01-15T07:59:30Z", "extra": {"last_updated": report}}
    station = {"id": "a", "free_bikes": 3, **more}
    body = json.dumps({"network": {"stations": [station]}}).encode()
    document = Document("network", body, fetched_at=1.8e9)

    snapshot = CityBikes("http://localhost/", zone=NEW_YORK).read((document,))

    assert snapshot.statuses[0].last_reported == 1_799_999_940
    assert snapshot.last_updated == 1_799_999_970


def test_the_zone_of_reports_is_known_to_those_who_doubt_it() -> None:
    """The zone of the settings was used, which may be wrong."""
    _, local = snapshot_of(["2027-01-15T02:59:00"], 1_800_000_000, NEW_YORK)
    _, utc = snapshot_of(["2027-01-15T07:59:00"], 1_800_000_000, NEW_YORK)

    assert (local, utc) == (NEW_YORK, None)


def test_one_clock_that_is_ahead_does_not_choose_the_zone_of_all_reports() -> None:
    """In Paris its time would be right, and that of all the others an hour old."""
    reports = ["2027-01-15T07:59:00"] * 3 + ["2027-01-15T07:58:00"]
    read, _ = snapshot_of([*reports, "2027-01-15T08:50:00"], 1_800_000_000, PARIS)

    assert read[:4] == [1_799_999_940] * 3 + [1_799_999_880]


def test_old_reports_without_an_offset_are_in_utc() -> None:
    """A closed system has reported months ago; GBFS allows local time nowhere."""
    read, _ = snapshot_of(["2026-10-15T08:00:00"], 1_800_000_000, NEW_YORK)

    assert read == [1_792_051_200]
