"""Slots are a grid; every moment belongs to exactly one."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bikecollect.core.slots import (
    Slot,
    bounds,
    day_of,
    from_iso,
    from_stamp,
    iso,
    slot_at,
    stamp,
)

INTERVALS = st.sampled_from([1, 30, 60, 300, 600, 3600, 86400])
MOMENTS = st.floats(0, 4e9, allow_nan=False)
ZONES = st.sampled_from(
    ["UTC", "Asia/Taipei", "Europe/Paris", "America/St_Johns", "Asia/Kathmandu"]
)


@given(MOMENTS, INTERVALS)
def test_a_moment_belongs_to_a_slot_on_the_grid(now: float, interval: int) -> None:
    """The slot is on the grid, and at most one grace ahead of the moment."""
    slot = slot_at(now, interval)

    assert slot % interval == 0
    assert now - interval < slot <= now + min(10.0, interval / 30)


@given(st.integers(0, 4_000_000_000))
def test_a_slot_in_a_file_name_is_read_back(moment: int) -> None:
    """Formatting and parsing returns the same slot."""
    assert from_stamp(stamp(Slot(moment))) == moment


@pytest.mark.parametrize(
    "text",
    ["2026W484T070000Z", "20261126T070000", "20261326T070000Z", "٢0261126T070000Z", ""],
)
def test_other_texts_are_no_stamps(text: str) -> None:
    """A week date, a missing zone, a thirteenth month, other digits."""
    with pytest.raises(ValueError, match=r"form YYYY|month"):
        from_stamp(text)


@given(st.integers(0, 4_000_000_000), ZONES)
def test_a_slot_in_a_csv_is_read_back_in_any_zone(moment: int, zone: str) -> None:
    """Also in the hour that occurs twice."""
    assert from_iso(iso(moment, ZoneInfo(zone))) == moment


def test_a_slot_is_filed_under_its_local_day() -> None:
    """Days begin at the system's own midnight (fault 80)."""
    assert day_of(Slot(1_795_276_800), ZoneInfo("Asia/Taipei")) == "2026-11-22"
    assert day_of(Slot(1_795_276_799), ZoneInfo("Asia/Taipei")) == "2026-11-21"
    assert day_of(Slot(1_795_276_800), UTC) == "2026-11-21"


def test_a_start_ten_seconds_early_counts_for_the_slot_ahead() -> None:
    """A run that starts at :59.9 belongs to the next slot (fault 79)."""
    assert slot_at(1_795_276_799.9, 300) == 1_795_276_800
    assert slot_at(1_795_276_789.9, 300) == 1_795_276_500


def test_a_slot_without_offset_is_refused() -> None:
    """A naive time could be any of 38 moments."""
    with pytest.raises(ValueError, match="offset"):
        from_iso("2026-11-22T12:00:00")


def test_the_hour_that_occurs_twice_has_two_offsets() -> None:
    """At the end of summer time both 02:30 are distinct (fault 78)."""
    berlin = ZoneInfo("Europe/Berlin")

    assert iso(1_792_888_200, berlin) == "2026-10-25T02:30:00+02:00"
    assert iso(1_792_891_800, berlin) == "2026-10-25T02:30:00+01:00"
    assert day_of(Slot(1_792_891_800), berlin) == "2026-10-25"


def test_a_day_has_as_many_hours_as_its_calendar_says() -> None:
    """23 when clocks go forward, 25 when they go back."""
    lengths = [
        (end - begin) / 3600
        for begin, end in (
            bounds(day, ZoneInfo("Europe/Vienna"))
            for day in ("2026-03-29", "2026-10-25", "2026-11-24")
        )
    ]

    assert lengths == [23, 25, 24]
