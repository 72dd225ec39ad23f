"""Stale slots: counted in the basis of a figure, and excluded on request."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from in_process import bikecollect
from keeping import compacted
from reported import read_report
from templates import copied
from world import NOON, World

from bikecollect.core.slots import DAY
from bikecollect.reports.registry import REPORTS, Values

pytest.importorskip("duckdb")
VALUES = Values(
    since=date(2000, 1, 1),
    until=date(2100, 1, 1),
    interval=300,
    minute=730,
    first_hour=144,
)


def rows_of(world: World, name: str, **more: Any) -> list[dict[str, Any]]:
    """Return the rows of the report *name* on *world*."""
    return read_report(world, REPORTS[name], replace(VALUES, **more))


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return four slots of "a": 2, 0, then the content of hours ago twice: 7, 7."""
    world = World(folder / "city")
    for bikes, age in ((2, 0), (0, 0), (7, 14_400), (0, 14_400)):
        world.fetch({"a": bikes}, last_updated=int(world.clock.now) - age)
        world.clock.now += 300
    return world


def test_stale_slots_are_counted_separately(world: World) -> None:
    """Two of four: in the basis of each report."""
    stale = {
        name: rows_of(world, name)[0]["slots_stale"]
        for name in ("availability", "reliability", "hours", "days")
    }

    assert stale == dict.fromkeys(stale, 2)
    assert rows_of(world, "chance")[0]["days_stale"] == 1
    assert rows_of(world, "typical")[0]["days_stale"] == 1
    assert [r["slots_stale"] for r in rows_of(world, "episodes")] == [0, 1]
    assert rows_of(world, "snapshot")[0]["state"] == "stale"


@pytest.mark.parametrize("is_archived", [False, True])
def test_stale_slots_can_be_excluded(world: World, *, is_archived: bool) -> None:
    """They count as missing then, with their cause; from the archive too."""
    if is_archived:
        world.clock.now = NOON + DAY
        world.fetch({"a": 1}, last_updated=int(world.clock.now))
        world.clock.now += DAY
        compacted(world)
    sunday = {"until": date(2026, 11, 23), "without_stale": True}

    (row,) = rows_of(world, "reliability", **sunday)

    assert (row["slots_seen"], row["slots_stale"]) == (2, 0)
    assert (row["share_with_vehicle"], row["changes"]) == (0.5, 1)
    assert [r["slots"] for r in rows_of(world, "episodes", **sunday)] == [1]
    assert rows_of(world, "chance", **sunday)[0]["days_seen"] == 0
    (snapshot,) = rows_of(world, "snapshot", **sunday)
    assert (snapshot["slot"] - NOON, snapshot["state"]) == (300, "collected")
    states = [(r["state"], r["cause"]) for r in rows_of(world, "scarcity", **sunday)]
    assert states[:4] == [("collected", "")] * 2 + [("missing", "stale")] * 2


def test_a_slot_that_is_partial_and_stale_is_excluded(folder: Path) -> None:
    """Its state is partial, but its content is old."""
    world = World(folder / "city")
    for _ in range(2):
        stamp = int(world.clock.now)
        world.fetch({str(n): 1 for n in range(30)}, last_updated=stamp)
        world.clock.now += 300
    world.fetch({"0": 1}, last_updated=int(world.clock.now) - 14_400)
    assert world.committed()[-1].flags.split() == ["short", "stale"]

    rows = rows_of(world, "reliability", without_stale=True)

    assert {r["slots_seen"] for r in rows} == {2}


def test_the_command_excludes_stale_slots(world: World, tmp_path: Path) -> None:
    """The text has the number of stale slots only if there are any."""
    config = tmp_path / "bikecollect.toml"
    config.write_text(
        f'data_dir = "{world.folder.parent}"\n[systems.city]\nfeed = "youbike"\n'
        'timezone = "Asia/Taipei"\nurl = "http://127.0.0.1/"\n'
    )
    words = "--config", config, "report", "reliability", "--until", "2026-11-22"

    shown = bikecollect(*words)
    without = bikecollect(*words, "--without-stale")
    sql = bikecollect(*words, "--without-stale", "--sql")

    assert "stale" in shown.stdout
    assert "stale" not in without.stdout
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())
    assert "counted_station_status" in sql.stdout
    assert [p.returncode for p in (shown, without, sql)] == [0, 0, 0]
