"""One definition of closed, in every report, from summaries and from rows."""

import itertools
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from keeping import compacted
from reported import read_report
from templates import copied
from world import World

from bikecollect.core.slots import DAY
from bikecollect.core.snapshot import CLOSED_SQL, FLAGS, is_closed
from bikecollect.reports.registry import REPORTS, Values

pytest.importorskip("duckdb")
VALUES = Values(
    since=date(2000, 1, 1),
    until=date(2100, 1, 1),
    interval=300,
    minute=720,
    first_hour=144,
)
OPEN_IF_EMPTY = {"is_installed": True, "is_renting": False, "is_returning": True}
"""What Tokyo's feed says of a station without vehicles."""
SHUT = {"is_installed": True, "is_renting": False, "is_returning": False}
GONE = {"is_installed": False, "is_renting": True, "is_returning": True}


def rows_of(world: World, name: str, **more: Any) -> list[dict[str, Any]]:
    """Return the rows of the report *name* on *world*."""
    return read_report(world, REPORTS[name], replace(VALUES, **more))


def both(world: World, name: str) -> list[dict[str, Any]]:
    """Return the rows of the report, which are equal from summaries and from rows."""
    summed = rows_of(world, name)
    assert summed == rows_of(world, name, rows=True)
    return summed


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return three slots of "a", without vehicles: empty, closed, not installed."""
    world = World(folder / "city")
    for flags in (OPEN_IF_EMPTY, SHUT, GONE):
        world.fetch({"a": 0, "b": 3}, after=300, flags={"a": flags})
    return world


EVERY = list(itertools.product((True, False, None), repeat=3))


@pytest.mark.parametrize("flags", EVERY)
def test_python_and_sql_have_the_same_rule(
    flags: tuple[bool | None, bool | None, bool | None],
) -> None:
    """For each combination of true, false and unknown."""
    import duckdb

    named = ", ".join(f"CAST(? AS BOOLEAN) AS {name}" for name in FLAGS)
    sql = f"SELECT {CLOSED_SQL} FROM (SELECT {named}) AS r"

    ((answer,),) = duckdb.execute(sql, list(flags)).fetchall()

    assert bool(answer) is is_closed(flags)


def test_an_empty_station_that_does_not_rent_is_empty(world: World) -> None:
    """It accepts returns, so it is open."""
    counts = [
        (row["empty_stations"], row["closed_stations"])
        for row in rows_of(world, "scarcity")
    ]

    assert counts == [(1, 0), (0, 1), (0, 1)]


def test_a_closed_station_without_counts_is_one_of_the_stations(folder: Path) -> None:
    """Else more could be closed than there are."""
    world = World(folder / "city")
    world.fetch({"a": 0, "b": None}, after=300, flags={"b": SHUT})

    (row,) = rows_of(world, "scarcity")

    assert row["stations"] == 2
    assert (row["empty_stations"], row["closed_stations"]) == (1, 1)


def test_an_episode_ends_where_the_station_closes(world: World) -> None:
    """A closed station is not empty; the end of the episode is known."""
    (episode,) = rows_of(world, "episodes")

    assert (episode["station_id"], episode["slots"]) == ("a", 1)
    assert episode["end_seen"] == 1


def test_a_closed_station_has_no_vehicle_and_no_dock(folder: Path) -> None:
    """Open in one of four slots with a vehicle: a share of a quarter, not of all."""
    world = World(folder / "city")
    for flags in ({}, SHUT, SHUT, GONE):
        world.fetch({"a": 4}, after=300, flags={"a": flags} if flags else {})

    (row,) = both(world, "reliability")
    (hour,) = both(world, "availability")
    (chance,) = rows_of(world, "chance", minute=730)

    assert (row["share_with_vehicle"], row["share_with_dock"]) == (0.25, 0.25)
    assert row["share_inactive"] == 0.75
    assert {r[c] for r in (row, hour) for c in ("share_empty", "share_full")} == {0}
    assert (hour["share_with_vehicle"], hour["share_closed"]) == (0.25, 0.75)
    assert hour["mean_vehicles"] == 4
    assert (chance["days_seen"], chance["days_closed"]) == (1, 1)
    assert chance["share_with_vehicle"] == 0


def test_a_closed_station_is_neither_empty_nor_full(folder: Path) -> None:
    """Shut in two of four slots: of the open ones, one is empty and the other full."""
    world = World(folder / "city")
    for bikes, docks, flags in ((0, 5, {}), (0, 0, SHUT), (0, 0, GONE), (5, 0, {})):
        world.fetch(
            {"a": bikes},
            after=300,
            docks={"a": docks},
            flags={"a": flags} if flags else {},
        )

    (row,) = both(world, "reliability")
    (hour,) = both(world, "availability")

    for figures in (row, hour):
        assert (figures["share_empty"], figures["share_full"]) == (0.25, 0.25)


def test_days_count_their_closed_slots(world: World) -> None:
    """From summaries and from rows, from open days and from the archive."""
    before = both(world, "days")
    world.clock.now += DAY
    world.fetch({"a": 1})
    world.clock.now += DAY
    compacted(world)

    first = [row for row in both(world, "days") if row["date"] == "2026-11-22"]

    assert [row["day_closed"] for row in first] == [2, 0]
    later = {"slots_expected": 143}
    assert first[0] == {**before[0], **later}


def test_a_closed_neighbour_does_not_count(folder: Path) -> None:
    """It has vehicles in both slots, and is open in one of them."""
    world = World(folder / "city")
    for flags in ({}, SHUT):
        world.fetch(
            {"s": 0, "n": 5},
            after=300,
            flags={"n": flags} if flags else {},
            places={"s": (25.0, 121.5, ""), "n": (25.001, 121.5, "")},
        )

    (row,) = rows_of(world, "neighbours")

    assert (row["slots"], row["slots_seen"], row["share"]) == (2, 2, 0.5)
