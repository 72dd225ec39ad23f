"""A failed commit ends its run; a payload is rejected only for its content."""

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from templates import copied
from world import MINUTES, World

from bikecollect.collect import findings, quality
from bikecollect.core.blocks import Block, Stations
from bikecollect.core.errors import Outcome
from bikecollect.storage import csv_store, payload_store
from bikecollect.storage.csv_store import Store
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.lock import Lock
from bikecollect.storage.payload_store import Payloads

STAGES = [
    (quality, "flags"),
    (Store, "append"),
    (Ledger, "commit"),
    (findings, "notes_to_store"),
    (Payloads, "keep"),
]
ERRORS = [MemoryError(), ZeroDivisionError("oh"), OSError(errno.EMFILE, "no files")]


@pytest.fixture
@copied
def world(tmp_path: Path) -> World:
    """Return a world with one slot collected."""
    world = World(tmp_path / "city")
    world.fetch({"a": 1, "b": 2})
    return world


def failing(work: Callable[..., Any], error: Exception, times: int) -> Any:
    """Return *work*, which raises *error* at the end of its first *times* calls."""
    left = iter(range(times))

    def wrapper(*values: Any, **options: Any) -> Any:
        result = work(*values, **options)
        if next(left, None) is not None:
            raise error
        return result

    return wrapper


def failing_before(work: Callable[..., Any], error: Exception) -> Any:
    """Return *work*, which raises *error* at the start of its first call."""
    left = iter([error])

    def wrapper(*values: Any, **options: Any) -> Any:
        if (failure := next(left, None)) is not None:
            raise failure
        return work(*values, **options)

    return wrapper


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("owner", "name"), STAGES, ids=lambda value: str(value)[:40])
def test_a_failure_during_the_commit_ends_the_run_and_is_healed(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    error: Exception,
) -> None:
    """Nothing is appended after rows that the ledger lacks (fault 73)."""
    real = getattr(owner, name)
    monkeypatch.setattr(owner, name, failing(real, error, 1))
    failed = world.fetch({"a": 3, "b": 4}, after=5 * MINUTES)
    ends = [world.fetch({"a": n, "b": n}, after=5 * MINUTES) for n in (5, 6)]

    assert failed.exit_code in {70, 74}
    assert [run.outcome for run in ends] == [Outcome.COLLECTED] * 2
    assert sorted(line[:16] for line in world.lines()) == [
        f"2026-11-22T12:{minute}"
        for minute in ("00", "00", "05", "05", "10", "10", "15", "15")
    ]
    assert world.agrees()
    assert world.inbox() == []


def test_the_payload_behind_a_failed_one_waits_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of two payloads fails after its append: both are committed later."""
    with Lock(world.folder / "lock").held():
        world.fetch({"a": 3, "b": 4}, after=5 * MINUTES)
    real = Ledger.commit
    monkeypatch.setattr(Ledger, "commit", failing_before(real, MemoryError()))
    failed = world.fetch({"a": 5, "b": 6}, after=5 * MINUTES)
    world.fetch({"a": 7, "b": 8}, after=5 * MINUTES)

    assert failed.exit_code == 70
    assert sorted(line[11:16] for line in world.lines()) == [
        *("12:00", "12:00", "12:05", "12:05"),
        *("12:10", "12:10", "12:15", "12:15"),
    ]
    assert world.agrees()


def test_a_payload_that_always_fails_is_rejected_in_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails two runs; the others are collected, and it is kept (fault 73)."""
    real = Ledger.commit

    def commit(
        self: Ledger, block: Block, stations: Stations, notes: Mapping[str, str]
    ) -> None:
        if block.run_id == "00000002":
            raise OverflowError("too large")
        real(self, block, stations, notes)

    monkeypatch.setattr(Ledger, "commit", commit)
    runs = [world.fetch({"a": n}, after=5 * MINUTES) for n in range(2, 7)]

    assert [run.exit_code for run in runs] == [70, 0, 0, 0, 0]
    assert [path.name for path in world.folder.glob("payloads/rejected/*.zip")] == [
        "20261122T040500Z.00000002.zip"
    ]
    assert world.inbox() == []
    assert world.agrees()


@pytest.mark.parametrize(
    "number", [errno.EIO, errno.EMFILE, errno.ENOMEM, errno.EACCES]
)
@pytest.mark.parametrize("call", ["scandir", "open", "stat"])
def test_a_call_that_fails_once_costs_no_payload(
    world: World, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """For any call that fails once, the next run commits the payload."""
    rejected = world.folder / "payloads/rejected"
    calls = _count_calls(world, monkeypatch, call)
    codes = set()
    for at in range(calls):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, _failing_at(getattr(os, call), at, number))
            codes.add(world.fetch({"a": at}, after=5 * MINUTES).exit_code)
        world.fetch({"a": at}, after=5 * MINUTES)

    assert codes <= {0, 74}
    assert not rejected.exists()
    assert world.inbox() == []
    assert len(world.committed()) == 2 * calls + 2
    assert world.agrees()


def _count_calls(world: World, monkeypatch: pytest.MonkeyPatch, call: str) -> int:
    calls: list[object] = []
    with monkeypatch.context() as patch:
        real = getattr(os, call)

        def counting(*values: Any, **options: Any) -> Any:
            calls.append(values)
            return real(*values, **options)

        patch.setattr(os, call, counting)
        world.fetch({"a": 9}, after=5 * MINUTES)
    return len(calls)


def _failing_at(real: Callable[..., Any], at: int, number: int) -> Callable[..., Any]:
    calls = iter(range(1_000_000))

    def wrapper(*values: Any, **options: Any) -> Any:
        if next(calls) == at:
            raise OSError(number, os.strerror(number))
        return real(*values, **options)

    return wrapper


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "; free some space"),
        (errno.ENOENT, "; find the program that removes files there"),
        (errno.EACCES, "; make the folder writable for the user that collects"),
        (errno.EROFS, "; mount the disk writable"),
        (errno.EIO, "; repair the disk"),
        (
            errno.EFBIG,
            "; raise the limit on the size of files (`ulimit -f`; systemd: LimitFSIZE)",
        ),
    ],
)
def test_an_unwritten_payload_names_the_remedy_of_its_error(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    """A missing folder is no full disk."""
    error = OSError(number, os.strerror(number))
    monkeypatch.setattr(payload_store, "write_file", failing_before(id, error))

    run = world.fetch({"a": 3}, after=5 * MINUTES)

    (notice,) = run.notices
    assert notice.text.startswith("cannot write the payload to ")
    assert notice.text.endswith(advice)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EDQUOT, "; free some space, or raise the quota of this user"),
        (errno.EIO, "; repair the disk"),
        (errno.EISDIR, "; move away the folder that is in the file's place"),
        (errno.ELOOP, "; put a file in place of the link"),
    ],
)
def test_an_unwritten_block_names_the_remedy_of_its_error(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    """The payload was stored, and waits until somebody has done that (fault 52)."""
    error = OSError(number, os.strerror(number))
    monkeypatch.setattr(csv_store, "leave_reserve", failing_before(id, error))

    run = world.fetch({"a": 3}, after=5 * MINUTES)

    assert run.accepted
    assert run.error.startswith("cannot append to ")
    assert run.error.endswith(advice)
