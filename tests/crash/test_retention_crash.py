"""A run killed while it removes rejected payloads loses none that are needed."""

import os
import signal
from pathlib import Path

import pytest
from world import NOON, World

from bikecollect.core.slots import DAY
from bikecollect.storage.retention import rejected

OLD, NEW = 6, 3


@pytest.fixture
def world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world with six old rejected payloads, of which five are too many."""
    world = World(folder)
    world.feed.answer = b"nonsense"
    for number in range(OLD):
        world.clock.now = NOON + number * 300
        world.fetch()
    monkeypatch.setattr(rejected, "MAX_PAYLOADS", 2)
    world.clock.now = NOON + 30 * DAY
    return world


def killed_at(world: World, number: int) -> bool:
    """Run in a child that is killed before it removes file *number*."""
    unlink, seen = Path.unlink, [0]

    def kill_or_unlink(path: Path, *, missing_ok: bool = False) -> None:
        if path.parent.name == "rejected":
            seen[0] += 1
            if seen[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)
        unlink(path, missing_ok=missing_ok)

    child = os.fork()
    if child == 0:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "unlink", kill_or_unlink)
            world.fetch()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("number", range(1, 11))
def test_the_next_run_continues_the_removal(world: World, number: int) -> None:
    """The newest payloads keep their reasons; at most one reason is left over."""
    assert killed_at(world, number)
    for _ in range(2):
        world.clock.now += 300
        world.fetch()

    folder = world.folder / "payloads/rejected"
    payloads = {path.name for path in folder.glob("*.zip")}
    reasons = {path.name.removesuffix(rejected.REASON) for path in folder.glob("*.txt")}
    assert len(payloads) == NEW  # all new ones are still needed
    assert all(name.startswith("20261222") for name in payloads)
    assert payloads <= reasons
    assert len(reasons - payloads) <= 1
    assert world.inbox() == []
