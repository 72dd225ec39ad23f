"""Rejected files and those set aside are limited, and removals are reported."""

import os
from pathlib import Path

import pytest
from world import NOON, World

from bikecollect.core.run import Notice
from bikecollect.core.slots import DAY, Slot, stamp
from bikecollect.storage.retention import rejected
from bikecollect.storage.sqlite import aside

SLOT = int(NOON)


@pytest.fixture
def world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world that keeps five rejected payloads and three other files."""
    monkeypatch.setattr(rejected, "MAX_PAYLOADS", 5)
    monkeypatch.setattr(rejected, "MAX_OTHERS", 3)
    return World(folder)


def reject(world: World, days: float) -> tuple[Notice, ...]:
    """Reject a payload so many *days* after noon; return the notices of its run."""
    world.clock.now = NOON + days * DAY
    world.feed.answer = b"nonsense"
    return world.cycle().run(world.begin()).notices


def names(world: World, suffix: str = ".zip") -> list[str]:
    """Return the rejected files with *suffix*, by name."""
    folder = world.folder / "payloads/rejected"
    return sorted(path.name for path in folder.glob(f"*{suffix}"))


def test_the_oldest_rejected_payloads_are_removed_and_named(world: World) -> None:
    """Beyond the limit, with their reasons; the run reports how many."""
    for day in range(5):
        assert [notice.kind for notice in reject(world, day)] == ["payload"]
    notices = reject(world, 20)

    assert [notice.kind for notice in notices] == ["payload", "pruned"]
    assert "the 1 oldest files were removed" in notices[1].text
    assert len(names(world)) == 5
    assert names(world)[0].startswith(stamp(Slot(SLOT + DAY)))
    assert len(names(world, ".reason.txt")) == 5


def test_payloads_that_backfill_may_need_are_kept(world: World) -> None:
    """Within `payload_days` nothing is removed."""
    for number in range(9):
        assert [n.kind for n in reject(world, number / 2)] == ["payload"]

    assert len(names(world)) == 9


def test_the_bytes_of_rejected_payloads_are_limited(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few large payloads count like many small ones."""
    for day in range(3):
        reject(world, day)
    size = (world.folder / "payloads/rejected" / names(world)[0]).stat().st_size
    monkeypatch.setattr(rejected, "PAYLOAD_BYTES", int(size * 2.5))
    notices = reject(world, 20)

    assert "the 2 oldest files were removed" in notices[1].text
    assert len(names(world)) == 2


def test_files_that_were_set_aside_are_bounded_by_their_age(world: World) -> None:
    """Old ones are removed beyond the limit; new and foreign files are kept."""
    reject(world, 0)
    folder = world.folder / "payloads/rejected"
    for number in range(5):
        (folder / f"{number}.tail").write_bytes(b"x")
        os.utime(folder / f"{number}.tail", (NOON + number, NOON + number))
    (folder / "notes.zip").touch()
    notices = reject(world, 20)

    assert [notice.kind for notice in notices] == ["payload", "pruned"]
    assert names(world, ".tail") == ["2.tail", "3.tail", "4.tail"]
    assert "notes.zip" in names(world)


def test_a_run_that_rejects_nothing_removes_nothing(world: World) -> None:
    """The folder is not even read."""
    for day in range(6):
        reject(world, day)
    world.clock.now = NOON + 30 * DAY
    run = world.fetch({"a": 1})

    assert run.notices == ()
    assert len(names(world)) == 6


def test_damaged_ledgers_are_bounded_by_their_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest is kept at any size; the message has the number of removed ones."""
    monkeypatch.setattr(aside, "MAX_BYTES", 1_000)
    path = tmp_path / "ledger.sqlite3"
    messages = []
    for size in (300, 400, 500, 5_000):
        path.write_bytes(bytes(size))
        messages.append(aside.set_aside(path, ("-wal", "-shm", "")))

    (left,) = tmp_path.glob("ledger.sqlite3.damaged-*")
    assert left.stat().st_size == 5_000
    assert [message.partition(" (")[2] for message in messages] == [
        "",
        "",
        "1 older ones removed)",
        "2 older ones removed)",
    ]
