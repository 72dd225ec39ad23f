"""One writer at a time, and no run loses its data."""

import fcntl
import os
import sqlite3
from pathlib import Path

import pytest
from templates import copied
from world import MINUTES, World

from bikecollect.core.errors import Interrupted, LockBusy, Outcome
from bikecollect.core.process import Stop
from bikecollect.storage.lock import BREATH, Breather, Lock
from bikecollect.storage.sqlite import ledger_file


@pytest.fixture
@copied
def world(tmp_path: Path) -> World:
    """Return a world with one slot collected."""
    world = World(tmp_path / "city")
    world.fetch({"a": 1})
    return world


def test_a_busy_lock_defers_the_commit_to_the_next_run(world: World) -> None:
    """Held by another, even a stopped process: 75, committed later (faults 82, 83)."""
    fd = os.open(world.folder / "lock", os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    first = world.fetch({"a": 2}, after=5 * MINUTES)
    os.close(fd)
    second = world.fetch({"a": 3}, after=5 * MINUTES)

    assert (first.outcome, first.exit_code) == (Outcome.DEFERRED, 75)
    assert first.accepted
    assert second.exit_code == 0
    assert [line.split(",")[3] for line in world.lines()] == ["1", "2", "3"]
    assert world.inbox() == []


class RacingLock(Lock):
    """A lock whose file is removed, or replaced, just after it was first opened."""

    replaced, removals = False, 1

    def _open(self) -> int:
        fd = super()._open()
        if self.removals:
            self.removals = 0
            self._path.unlink()
            if self.replaced:
                self._path.touch()
        return fd


@pytest.mark.parametrize("replaced", [False, True])
def test_a_lock_on_a_file_that_is_gone_does_not_count(
    tmp_path: Path, *, replaced: bool
) -> None:
    """It was removed between opening and locking: the one in its place is locked."""
    path = tmp_path / "lock"
    lock = RacingLock(path, sleep=lambda _: None)
    lock.replaced = replaced
    with lock.held(), pytest.raises(LockBusy), Lock(path, patience=0).held():
        pass


def test_a_removed_lock_file_does_not_make_two_owners(tmp_path: Path) -> None:
    """Only the lock on the existing file counts (fault 85)."""
    path = tmp_path / "lock"
    with Lock(path, patience=0).held():
        path.unlink()
        with (
            Lock(path, patience=0).held(),
            pytest.raises(LockBusy),
            Lock(path, patience=0).held(),
        ):
            pass


def test_a_reader_of_the_ledger_does_not_disturb(world: World) -> None:
    """An open reader does not delay the run (fault 86)."""
    reader = sqlite3.connect(world.folder / "ledger.sqlite3")
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM blocks").fetchone() == (1,)
    run = world.fetch({"a": 2}, after=5 * MINUTES)
    reader.close()

    assert run.exit_code == 0


def test_a_ledger_that_somebody_writes_to_defers_the_commit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locked by another program: 75, accepted, committed later (fault 87)."""
    monkeypatch.setattr(ledger_file, "BUSY", 0.05)
    writer = sqlite3.connect(world.folder / "ledger.sqlite3", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    first = world.fetch({"a": 2}, after=5 * MINUTES)
    writer.execute("ROLLBACK")
    writer.close()
    second = world.fetch({"a": 3}, after=5 * MINUTES)

    assert (first.exit_code, first.accepted) == (75, True)
    assert second.exit_code == 0
    assert len(world.lines()) == 3
    assert world.agrees()


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    """A link in place of the day's file is rejected (fault 111)."""
    world = World(tmp_path / "city")
    target = tmp_path / "precious"
    target.write_bytes(b"")
    (world.folder / "station_status").mkdir()
    (world.folder / "station_status/2026-11-22.csv").symlink_to(target)
    run = world.fetch({"a": 1})

    assert run.exit_code == 74
    assert "is a link; links are not followed" in run.error
    assert target.read_bytes() == b""


def test_short_steps_share_a_pause_for_a_waiting_fetch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """900 days without data took three minutes of pauses; a stop ends them all."""
    now, pauses, stop = [0.0], list[float](), Stop()
    monkeypatch.setattr(stop, "wait", pauses.append)
    breathe = Breather(stop, lambda: now[0])
    for seconds in (*[0.1] * 25, 3.0, 3.0):
        now[0] += seconds
        breathe()

    assert pauses == [BREATH] * 4
    stop.set(15)
    with pytest.raises(Interrupted):
        breathe()
