"""Backfilled payloads give station versions their right dates."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from world import World

from bikecollect.core.errors import Outcome

OLD: dict[str, Any] = {"names": {"a": "Old"}}
NEW: dict[str, Any] = {"names": {"a": "New"}}
NEWER: dict[str, Any] = {"names": {}}


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world with the station `a` in its first version."""
    world = World(folder)
    world.fetch({"a": 1}, **OLD)
    return world


def versions(world: World, station_id: str = "a") -> list[tuple[int, str | None]]:
    """Return the names of a station, by the number of the slot since the first."""
    first = world.committed()[0].slot
    sql = "SELECT valid_from, name FROM stations WHERE station_id = ? ORDER BY 1"
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db:
        rows = db.execute(sql, (station_id,)).fetchall()
    return [((since - first) // 300, name) for since, name in rows]


def reject(world: World, stations: dict[str, int], **more: Any) -> Path:
    """Fetch *stations* with a version of the program that has a bug."""
    world.feed.bug = RuntimeError("injected")
    run = world.fetch(stations, after=300, **more)
    world.feed.bug = None
    assert run.outcome is Outcome.BUG
    (path,) = (world.folder / "payloads/rejected").glob("*.zip")
    return path


def fill(world: World, path: Path) -> None:
    """Commit the rejected payload at *path*, as `backfill` does, and run."""
    path.rename(world.folder / "payloads/inbox" / path.name)
    world.fetch(after=300)


def test_a_change_in_a_rejected_payload_begins_at_its_slot(world: World) -> None:
    """The list of the following slot has the same change."""
    path = reject(world, {"a": 1, "b": 1}, **NEW)
    world.fetch({"a": 1, "b": 1}, after=300, **NEW)
    fill(world, path)

    assert versions(world) == [(0, "Old"), (1, "New"), (2, "New")]
    assert versions(world, "b") == [(1, "b"), (2, "b")]
    assert world.agrees()


def test_two_changes_in_a_row_are_both_kept(world: World) -> None:
    """The slot after the rejected payload already has another name."""
    path = reject(world, {"a": 1}, **NEW)
    world.fetch({"a": 1}, after=300, **NEWER)
    fill(world, path)

    assert versions(world) == [(0, "Old"), (1, "New"), (2, "a")]


def test_a_reverted_change_is_not_dated_back(
    world: World,
) -> None:
    """The next slots had the old name: one odd slot does not rename them."""
    path = reject(world, {"a": 1}, **NEW)
    world.fetch({"a": 1}, after=300, **OLD)
    world.fetch({"a": 1}, after=300, **NEW)
    fill(world, path)

    assert versions(world) == [(0, "Old"), (3, "New")]


def test_an_unchanged_station_has_no_new_version(world: World) -> None:
    """Only a later slot has the change."""
    path = reject(world, {"a": 1}, **OLD)
    world.fetch({"a": 1}, after=300, **NEW)
    fill(world, path)

    assert versions(world) == [(0, "Old"), (2, "New")]


def test_slots_before_the_first_list_get_no_versions(folder: Path) -> None:
    """Rows imported from before the first run have their own names."""
    world = World(folder)
    path = reject(world, {"a": 1}, **OLD)
    world.fetch({"a": 1}, after=300, **NEW)
    fill(world, path)

    assert [name for _, name in versions(world)] == ["New"]
