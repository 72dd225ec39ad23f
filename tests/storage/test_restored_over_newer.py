"""Yesterday's copy of a system's folder is restored over the newer one."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from keeping import findings, verifier
from templates import copied
from world import NOON, World

from bikecollect.archive.certificates import Finding
from bikecollect.archive.checks.remedies import remedy
from bikecollect.cli.render.archive import verdict
from bikecollect.core.errors import Outcome
from bikecollect.core.slots import DAY


@pytest.fixture
@copied
def world(tmp_path: Path) -> World:
    """Return a world with three slots in a copy, and four newer ones."""
    world = World(tmp_path / "city")
    for bikes in (1, 2, 3):
        world.fetch({"a": bikes}, after=300)
    shutil.copytree(world.folder, tmp_path / "yesterday")
    for bikes in (4, 5, 6, 7):
        world.fetch({"a": bikes}, after=300)
    return world


def slots(world: World) -> list[int]:
    """Return the numbers of the committed slots."""
    return [int(block.slot - NOON) // 300 for block in world.committed()]


def test_rows_that_an_older_ledger_lacks_are_adopted(world: World) -> None:
    """Only the ledger was restored: the CSV has the newer rows."""
    older = world.folder.with_name("yesterday") / "ledger.sqlite3"
    shutil.copy2(older, world.folder / "ledger.sqlite3")

    run = world.fetch({"a": 8}, after=300)

    texts = [notice.text for notice in run.notices]
    what = "adopted: the ledger is older, without the runs of these slots"
    assert texts == [f"4 blocks of station_status/2026-11-22.csv {what}"]
    assert slots(world) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert findings(world) == []


def test_slots_of_newer_payloads_are_named_once(world: World) -> None:
    """The CSV was overwritten too: the kept payloads have the newer rows."""
    older = world.folder.with_name("yesterday")
    shutil.copytree(older, world.folder, dirs_exist_ok=True)

    world.feed.answer = b"no JSON"
    rejected = world.fetch(after=300)
    run = world.fetch({"a": 8}, after=300)
    after = world.fetch({"a": 9}, after=300)

    assert [notice.kind for notice in rejected.notices] == ["payload"]
    (notice,) = run.notices
    assert notice.kind == "older-copy"  # its other text is mailed beside other damage
    (found,) = findings(world)
    where, _, what = found.partition(": ")
    assert what.startswith("lacks 4 slots of kept payloads (20261122T0420")
    todo = remedy(Finding("city", where, what), has_csv=True)
    assert todo == "bikecollect backfill city"
    assert "kept payloads of 4 slots are newer (to 20261122T043500Z)" in notice.text
    assert run.outcome is after.outcome is Outcome.COLLECTED
    assert after.notices == ()
    assert slots(world) == [1, 2, 3, 9, 10]


def test_a_slot_that_a_person_forgot_is_not_lacking(world: World) -> None:
    """The ledger knows its run; nor is a file in the folder that is not ours."""
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db, db:
        db.execute("DELETE FROM blocks WHERE slot = (SELECT max(slot) FROM blocks)")
    (world.folder / "payloads/kept/2026-11-22/notes.old.zip").touch()

    assert not any("kept payloads" in found for found in findings(world))


@pytest.mark.parametrize(
    ("kept", "day", "gone"),
    [
        ("", "2026-11-22", 0),
        ("*/*T0420*", "2026-11-22", 1),
        ("*/*", "2026-11-22", 7),
        ("*/*", "2026-11-23", 0),  # pruned, with all of its day
    ],
)
def test_kept_payloads_that_were_removed_are_counted(
    world: World, kept: str, day: str, gone: int
) -> None:
    """Those that only the age of their day has removed are not."""
    place = world.folder / "payloads/kept"
    for path in place.glob(kept) if kept else ():
        path.unlink()
    world.fetch({"a": 8}, after=DAY if day > "2026-11-22" else 300)
    verification = verifier(world)
    list(verification.run())

    assert verification.counts.gone == gone
    text = " ".join(verdict([verification.counts], 0).split())
    assert (" gone, which" in text) == (gone > 0)


def test_slots_before_a_newer_file_that_survived_are_named(tmp_path: Path) -> None:
    """The copy has no file of today: its rows are adopted, yesterday's rest is not."""
    world = World(tmp_path / "city")
    world.clock.now += DAY / 2 - 1200  # 20 min before midnight
    world.fetch({"a": 1})
    shutil.copytree(world.folder, tmp_path / "yesterday")
    for bikes in (2, 3, 4, 5, 6):
        world.fetch({"a": bikes}, after=300)
    shutil.copytree(tmp_path / "yesterday", world.folder, dirs_exist_ok=True)

    run = world.fetch({"a": 7}, after=300)

    texts = [notice.text for notice in run.notices]
    assert "2 blocks of station_status/2026-11-23.csv adopted: " in " ".join(texts)
    (named,) = [text for text in texts if "was an older copy" in text]
    assert "kept payloads of 3 slots are newer (to 20261122T155500Z)" in named


def test_a_lost_ledger_is_no_older_copy(world: World) -> None:
    """Its blocks are adopted, and gaps that always were are not named."""
    for path in world.folder.glob("ledger.sqlite3*"):
        path.unlink()

    run = world.fetch({"a": 8}, after=300)

    assert not any("older copy" in notice.text for notice in run.notices)


def test_newer_payloads_of_the_inbox_are_committed(world: World) -> None:
    """They never reached the restored ledger."""
    shutil.copytree(
        world.folder.with_name("yesterday"), world.folder, dirs_exist_ok=True
    )
    kept = world.folder / "payloads" / "kept" / "2026-11-22"
    for path in sorted(kept.iterdir())[3:]:
        path.rename(world.folder / "payloads" / "inbox" / path.name)

    world.fetch({"a": 8}, after=300)

    assert slots(world) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert findings(world) == []
