"""The archive omits an occupancy that follows from its row, without loss."""

import zlib
from pathlib import Path
from typing import Any

import pytest
from in_process import bikecollect
from keeping import compacted, findings, viewed
from world import World

from bikecollect.archive import datasets
from bikecollect.archive.parquet import derivable
from bikecollect.core.slots import DAY
from bikecollect.storage.csv_format import derived

duckdb = pytest.importorskip("duckdb")
OCCUPANCY, WEEKDAY = derived("occupancy"), derived("weekday")
QUERY = "SELECT station_id, slot, occupancy FROM station_status ORDER BY 2, 1"


def collected(folder: Path) -> World:
    """Return a closed day; 1/32 of a station is a tie of rounding."""
    world = World(folder / "city", derived=(OCCUPANCY, WEEKDAY))
    for number in range(40):
        more = {"a": number % 33, "b": 1, "c": 32}
        world.fetch(more, after=300, capacity=32)
    world.clock.now += DAY
    return world


def columns(world: World) -> list[str]:
    """Return the columns of the archived file."""
    (path,) = (world.folder.parent / "archive/station_status").rglob("part.parquet")
    rows = duckdb.sql(f"DESCRIBE FROM read_parquet('{path}', hive_partitioning=false)")
    return [row[0] for row in rows.fetchall()]


def asked(world: World, sql: str = QUERY) -> list[Any]:
    """Return the result of *sql* on the views."""
    with viewed(world) as db:
        return list(db.execute(sql).fetchall())


def test_an_occupancy_that_follows_from_its_row_is_not_stored(folder: Path) -> None:
    """The views compute it; export and verify give the same bytes."""
    world = collected(folder)
    (path,) = (world.folder / "station_status").glob("*.csv")
    header = path.read_text().partition("\n")[0]
    before = asked(world)

    compacted(world)

    assert datasets.OCCUPANCY not in columns(world)
    assert datasets.OCCUPANCY_DERIVED in columns(world)
    assert asked(world) == before
    assert {row[2] for row in before} >= {0.0312, 1.0}
    described = asked(world, "DESCRIBE station_status")
    names = [row[0] for row in described if row[0] in header.split(",")]
    assert names == header.split(",")
    assert findings(world, deep=True) == []


def test_an_occupancy_that_does_not_follow_is_stored(folder: Path) -> None:
    """If one value of a day differs, all are stored."""
    world = World(folder / "city", derived=(OCCUPANCY,))
    world.fetch({"a": 3}, after=300, capacity=10)
    (path,) = (world.folder / "station_status").glob("*.csv")
    text = path.read_bytes()
    changed = text.replace(b",0.3\n", b",0.9\n")
    assert changed != text
    path.write_bytes(changed)
    world.ledger.open()
    with world.ledger.transaction() as db:
        row = db.execute('SELECT start, "end" FROM blocks').fetchone()
        crc = zlib.crc32(changed[row[0] : row[1]])
        db.execute("UPDATE blocks SET crc32 = ?", (crc,))
    world.ledger.close()
    world.clock.now += DAY
    world.fetch({"a": 3}, capacity=10)
    world.clock.now += 7200

    compacted(world)

    assert datasets.OCCUPANCY in columns(world)
    assert asked(world)[0][2] == 0.9


def test_a_system_without_the_column_has_none(folder: Path) -> None:
    """It is neither in the file nor in the views."""
    world = World(folder / "city")
    world.fetch({"a": 3}, after=300)
    world.clock.now += 2 * DAY
    compacted(world)

    names = [row[0] for row in asked(world, "DESCRIBE station_status")]

    assert not {datasets.OCCUPANCY, datasets.OCCUPANCY_DERIVED} & {*names}
    assert derivable(["slot", "occupancy"]) == ""


def test_an_export_of_an_archived_day_is_that_of_its_csv(
    folder: Path, tmp_path: Path
) -> None:
    """Byte for byte, through the command, with derived columns in their order."""
    world = collected(folder)
    config = tmp_path / "bikecollect.toml"
    config.write_text(
        f'data_dir = "{world.folder.parent}"\n[systems.city]\nfeed = "youbike"\n'
        'timezone = "Asia/Taipei"\nurl = "http://127.0.0.1/"\n'
    )
    day = "2026-11-22"
    words = ("--config", config, "export", "--since", day, "--until", day)
    before = bikecollect(*words)
    compacted(world, csv_days=0)
    assert not list((world.folder / "station_status").glob("2026-11-22*.csv"))

    after = bikecollect(*words)

    assert (before.returncode, after.returncode) == (0, 0)
    assert after.stdout == before.stdout
    assert after.stdout.count("\n") == 121
