"""A day that is in place in the archive while the ledger does not know of it yet.

So it is while `compact` records it, and for longer if it is killed then.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from keeping import compacted, two_past_days, viewed
from world import World

from bikecollect.core.slots import DAY

pytest.importorskip("duckdb")
COUNTS = "SELECT date, count(*), count(DISTINCT (slot, station_id)) FROM station_status"


@contextmanager
def unrecorded(world: World, aside: Path) -> Iterator[None]:
    """Restore the ledger of the beginning when the context ends."""
    aside.mkdir()
    for path in world.folder.glob("ledger*"):
        shutil.copy(path, aside)
    yield
    for path in world.folder.glob("ledger*"):
        path.unlink()
    for path in aside.iterdir():
        shutil.copy(path, world.folder)


def seen(world: World) -> tuple[list[Any], list[Any]]:
    """Return the numbers of rows of each day, and the stations' coverage."""
    with viewed(world) as db:
        counts = db.execute(f"{COUNTS} GROUP BY date ORDER BY date").fetchall()
        coverage = "SELECT * FROM coverage ORDER BY date, station_id"
        return counts, db.execute(coverage).fetchall()


def test_a_day_that_is_archived_again_meanwhile_is_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has a row more than the ledger says, until `compact` has recorded it."""
    world = two_past_days(folder)
    world.clock.now += 2 * DAY
    compacted(world, csv_days=0)
    world.clock.now -= 2 * DAY
    world.fetch({"late": 3}, after=300)
    world.clock.now += 2 * DAY
    moving = world.folder.parent / "archive/.work/city/day.ready"
    with unrecorded(world, tmp_path / "aside"):
        compacted(world, csv_days=0)
        recorded = [(p, p.read_bytes()) for p in world.folder.glob("ledger*")]
        counts = seen(world)
    moving.mkdir()

    def record(_: float) -> None:
        for path, text in recorded:
            path.write_bytes(text)
        moving.rmdir()

    monkeypatch.setattr("time.sleep", record)

    assert seen(world) == counts


def test_its_rows_are_not_doubled_by_their_csv(folder: Path, tmp_path: Path) -> None:
    """Neither in the rows, nor in what is summed up from them."""
    world = two_past_days(folder)
    before = seen(world)
    with unrecorded(world, tmp_path / "aside"):
        compacted(world, csv_days=1_000)

    assert seen(world) == before
    assert all(rows == different for _, rows, different in before[0])
