"""Days and slots of a system whose zone or interval has changed."""

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from bikecollect.core.slots import bounds, day_of, local_days
from bikecollect.core.timeline.facts import (
    SystemFact,
    begun_earlier,
    describe_change,
    grid_of,
    inherited,
    with_settings,
    zone_of,
)
from bikecollect.core.timeline.grid import Grid, Period
from bikecollect.core.timeline.zones import SystemZone, first_midnight

OSLO = ZoneInfo("Europe/Oslo")
OSLO_BACK, ST_JOHNS_BACK = 1_792_890_000, 1_793_507_400
"""01:00 UTC on 2026-10-25, and 04:30 UTC on 2026-11-01: clocks are set back."""
NOON = int(datetime(2026, 11, 24, 11, tzinfo=UTC).timestamp())
"""Noon in Oslo."""


def of_day(grid: Grid, day: str, zone: ZoneInfo) -> list[str]:
    """Return the slots of *day* by the clock of *zone*."""
    slots = grid.between(*bounds(day, zone))
    return [datetime.fromtimestamp(slot, zone).strftime("%H:%M%z") for slot in slots]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Europe/Oslo", "America/New_York"),
        ("America/New_York", "Europe/Oslo"),
        ("Europe/Oslo", "Asia/Kolkata"),
        ("Pacific/Pago_Pago", "Pacific/Kiritimati"),
        ("UTC", "Asia/Taipei"),
    ],
)
@pytest.mark.parametrize("hours", [0, 5, 10, 15, 20])
def test_days_stay_in_order_when_the_zone_changes(
    old: str, new: str, hours: int
) -> None:
    """Each slot has one day, which contains it."""
    now = NOON + hours * 3600
    zone = SystemZone.of([(0, old), (first_midnight(now, ZoneInfo(new)), new)])
    slots = range(now - 3 * 86_400, now + 4 * 86_400, 1800)
    days = [day_of(slot, zone) for slot in slots]  # type: ignore[arg-type]
    cut = {
        day: [slot for slot in slots if begin <= slot < end]
        for day, begin, end in local_days(slots[0], slots[-1], zone)  # type: ignore[arg-type]
    }

    assert days == sorted(days)
    assert [slot for day in cut.values() for slot in day] == list(slots)
    assert all(day_of(s, zone) == day for day, listed in cut.items() for s in listed)  # type: ignore[arg-type]
    texts = [datetime.fromtimestamp(slot, zone).isoformat() for slot in slots]
    assert [datetime.fromisoformat(text).timestamp() for text in texts] == list(slots)


@pytest.mark.parametrize(
    ("hours", "day", "slots"),
    [
        (1, "2026-03-29", 23),
        (1, "2026-10-25", 25),
        (6, "2026-03-29", 4),
        (6, "2026-10-25", 4),
        (24, "2026-10-25", 1),
    ],
)
def test_long_slots_follow_the_local_clock(hours: int, day: str, slots: int) -> None:
    """On days of a clock change too, like cron."""
    assert len(of_day(Grid.of(hours * 3600, OSLO), day, OSLO)) == slots


def test_slots_of_six_hours_begin_at_local_hours() -> None:
    """Also when the offset to UTC changes in between."""
    grid = Grid.of(21_600, OSLO)

    assert of_day(grid, "2026-10-25", OSLO) == [
        "00:00+0200",
        "06:00+0100",
        "12:00+0100",
        "18:00+0100",
    ]


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Eucla"])
def test_hours_begin_with_the_local_hour(zone: str) -> None:
    """In zones with an offset of half or a quarter of an hour."""
    place = ZoneInfo(zone)
    slots = of_day(Grid.of(3600, place), "2026-11-24", place)

    assert len(slots) == 24
    assert all(":00" in slot[:5] for slot in slots)


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Asia/Beirut", "2026-03-29"),
        ("Africa/Cairo", "2026-04-24"),
        ("America/Havana", "2026-11-01"),
        ("Australia/Lord_Howe", "2026-10-04"),
        ("Australia/Lord_Howe", "2026-04-05"),
        ("Antarctica/Troll", "2026-03-29"),
        ("Antarctica/Troll", "2026-10-25"),
        ("Pacific/Chatham", "2026-04-05"),
    ],
)
@pytest.mark.parametrize("hours", [0.5, 1, 2, 3, 6, 8, 24])
def test_each_moment_is_in_a_slot_that_is_listed(
    zone: str, change: str, hours: float
) -> None:
    """Also where the clock skips or repeats the time at which a slot would begin."""
    grid = Grid.of(int(hours * 3600), ZoneInfo(zone))
    midnight = int(datetime.fromisoformat(f"{change}T00:00:00+00:00").timestamp())
    moments = range(midnight - 2 * 86_400, midnight + 2 * 86_400, 900)
    floors = [grid.floor(moment) for moment in moments]
    slots = sorted(set(floors))

    assert floors == sorted(floors)  # none is that of an earlier moment
    assert list(islice(grid.between(slots[0], slots[-1] + 1), 200)) == slots


def test_short_slots_are_those_of_utc() -> None:
    """Every offset is a multiple of a quarter of an hour."""
    grid = Grid.of(300, ZoneInfo("Asia/Kolkata"))

    assert list(grid.between(1, 1000)) == [300, 600, 900]
    assert (grid.floor(899.9), grid.at(890.0), grid.next(300)) == (600, 900, 600)


def test_a_changed_interval_does_not_change_the_past() -> None:
    """The expected slots of the past are the same."""
    grid = Grid([Period(0, 1800), Period(7200, 600)])

    assert list(grid.between(0, 9000)) == [0, 1800, 3600, 5400, 7200, 7800, 8400]
    assert (grid.next(5400), grid.floor(7199), grid.interval) == (7200, 5400, 600)
    assert (grid.interval_at(7199), grid.interval_at(7200)) == (1800, 600)


def test_a_longer_interval_waits_for_its_next_slot() -> None:
    """No moment belongs to two slots."""
    facts = with_settings(
        [SystemFact(0, "UTC", 600)], 4300, timezone="UTC", interval=3600, columns=()
    )

    assert [fact.since for fact in facts] == [0, 7200]
    assert list(grid_of(facts).between(3600, 8000)) == [
        *(3600, 4200, 4800, 5400, 6000, 6600),
        7200,
    ]


def test_a_new_zone_takes_effect_at_its_next_midnight() -> None:
    """The day that has begun is not changed."""
    facts = with_settings(
        [SystemFact(0, "Europe/Oslo", 300)],
        NOON,
        timezone="America/New_York",
        interval=300,
        columns=(),
    )
    zone = zone_of(facts)

    assert zone.key == "America/New_York"
    assert datetime.fromtimestamp(NOON, zone).isoformat() == "2026-11-24T12:00:00+01:00"
    assert describe_change(*facts) == (
        "time zone Europe/Oslo -> America/New_York from 2026-11-25T00:00:00-05:00 on; "
        "rows until now keep their times, also if they were read in a wrong zone"
    )


@pytest.mark.parametrize(
    ("old", "new", "now"),
    [
        ("Europe/Oslo", "America/St_Johns", OSLO_BACK),
        ("America/St_Johns", "Europe/Oslo", ST_JOHNS_BACK),
        ("Europe/Oslo", "America/New_York", OSLO_BACK),
        ("America/New_York", "Pacific/Apia", ST_JOHNS_BACK),
    ],
)
@pytest.mark.parametrize("hours", [-40, -20, -10, -1, 5])
def test_a_zone_that_changes_while_a_clock_is_set_back_can_be_read_back(
    old: str, new: str, now: int, hours: int
) -> None:
    """No local time stands for three moments, of which a text has only two."""
    begin = now + hours * 3600
    facts = with_settings(
        [SystemFact(0, old, 300)], begin, timezone=new, interval=300, columns=()
    )
    slots = range(now - 3 * 86_400, now + 4 * 86_400, 1800)
    texts = [datetime.fromtimestamp(slot, zone_of(facts)).isoformat() for slot in slots]
    other = inherited([facts[-1]._replace(since=0)], facts[:1], begin)

    assert [datetime.fromisoformat(text).timestamp() for text in texts] == list(slots)
    assert begin < facts[-1].since <= begin + 3 * 86_400
    assert begin - 4 * 86_400 < other[-1].since <= begin


def test_own_intervals_hold_after_the_loss_of_a_ledger() -> None:
    """Certificates in a mirror know only on which day the interval changed."""
    ours = [SystemFact(0, "UTC", 1_800), SystemFact(9 * 10_800, "UTC", 10_800)]
    theirs = [SystemFact(0, "UTC", 1_800), SystemFact(2 * 86_400, "UTC", 10_800)]

    assert inherited(ours, theirs, 9 * 86_400) == ours


def test_a_single_slot_of_long_ago_does_not_date_a_new_interval() -> None:
    """The interval was tried for one slot then: the months since had the old one."""
    facts = [SystemFact(0, "UTC", 3_600), SystemFact(90 * 86_400, "UTC", 600)]
    tried = [600, *range(3_600, 90 * 86_400, 3_600)]

    assert begun_earlier(facts, facts[:1], lambda: tried) == facts


def test_a_change_that_is_reverted_in_time_has_no_effect() -> None:
    """It never took effect."""
    before = [SystemFact(0, "Europe/Oslo", 300)]
    changed = with_settings(before, NOON, timezone="UTC", interval=300, columns=())
    back = with_settings(
        changed, NOON + 600, timezone="Europe/Oslo", interval=300, columns=()
    )

    assert len(changed) == 2
    assert back == before


def test_the_same_settings_change_nothing() -> None:
    """However often a run compares them."""
    facts = with_settings([], NOON, timezone="UTC", interval=300, columns=["hour"])
    again = with_settings(facts, NOON, timezone="UTC", interval=300, columns=["hour"])

    assert again == facts == [SystemFact(0, "UTC", 300, ("hour",))]
