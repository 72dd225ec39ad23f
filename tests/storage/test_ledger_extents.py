"""The cost of reading files does not grow with the archived ones."""

from pathlib import Path

from world import World

from bikecollect.storage.ledger_schema import GONE

DAY = "2026-11-22"


def forget(world: World, files: list[str]) -> None:
    """Record that *files* were archived and removed."""
    world.ledger.open()
    with world.ledger.transaction() as db:
        for file in files:
            db.execute(
                "INSERT INTO files VALUES (?, 9, 0, 0, ?, NULL)"
                " ON CONFLICT (file) DO UPDATE SET damaged = excluded.damaged",
                (file, GONE),
            )
    world.ledger.close()


def test_files_that_were_removed_are_not_read(folder: Path) -> None:
    """Except those of a late slot's day: its new file gets the next number."""
    world = World(folder)
    world.fetch({"a": 1})
    forget(world, [f"station_status/2025-11-{day}.csv" for day in range(10, 31)])
    world.ledger.open()

    assert list(world.ledger.extents()) == [
        "station_status/2026-11-22.csv",
        "station_information.csv",
    ]
    assert "station_status/2025-11-10.csv" in world.ledger.extents("2025-11-10")
    world.ledger.close()


def test_a_file_that_a_killed_compact_did_not_remove_is_not_read_again(
    folder: Path,
) -> None:
    """Its blocks are in the archive: they are neither adopted nor cut."""
    world = World(folder)
    world.fetch({"a": 1})
    file = f"station_status/{DAY}.csv"
    forget(world, [file])
    before = (folder / file).read_bytes()
    run = world.fetch({"a": 2}, after=300)

    assert run.notices == ()
    assert run.file == f"station_status/{DAY}.2.csv"
    assert (folder / file).read_bytes() == before
    world.ledger.open()
    assert len(world.ledger.slots()) == 2
    world.ledger.close()
