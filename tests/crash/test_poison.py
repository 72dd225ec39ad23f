"""A payload that kills the runs that read it loses only its own slot."""

import signal
from pathlib import Path

import driver
import harness
import pytest
from world import World

from bikecollect.core.errors import Outcome
from bikecollect.storage.ledger_reader import History

DEADLY = 4
NAME = "20261122T041000Z.00000004.zip"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a history of three runs."""
    return harness.history(tmp_path / "city")


def fetch(folder: Path, number: int) -> int:
    """Run cycle *number*, in a separate process; return how that ended."""
    process = harness.start(folder, number, number - 2, "--deadly", str(DEADLY))
    return process.communicate()[0]


def test_a_payload_that_killed_two_runs_is_rejected(folder: Path) -> None:
    """It kills its own run and the next; every slot but its own is collected."""
    ended = [fetch(folder, number) for number in (4, 5, 6, 7)]

    earlier = (folder / "station_status/2026-11-21.csv").read_bytes()
    assert ended == [-signal.SIGKILL, -signal.SIGKILL, 0, 0]
    assert harness.violations(folder, {1, 2, 3, 5, 6, 7}, earlier) == []
    rejected = folder / "payloads/rejected"
    assert [path.name for path in sorted(rejected.iterdir())] == [
        NAME,
        f"{NAME}.reason.txt",
    ]


def test_the_fresh_payload_is_committed_before_one_that_kills(folder: Path) -> None:
    """A run that is killed by an older payload has already written its own rows."""
    fetch(folder, 4)
    fetch(folder, 5)

    assert "2026-11-22T12:15:00+08:00," in (
        folder / "station_status/2026-11-22.csv"
    ).read_text(encoding="utf-8")


def test_such_a_payload_is_reported_with_its_reason(folder: Path) -> None:
    """By the run that rejects it, and in the file beside it."""
    fetch(folder, 4)
    fetch(folder, 5)
    run = driver.run(folder, 6, 4)

    texts = [notice.text for notice in run.notices if notice.kind == "payload"]
    reason = (folder / f"payloads/rejected/{NAME}.reason.txt").read_text("utf-8")
    assert run.outcome is Outcome.COLLECTED
    assert texts == [
        "2 runs were killed while they read it or failed to commit it; `bikecollect "
        "backfill` tries it again; the payload is kept in "
        f"{folder}/payloads/rejected/{NAME}"
    ]
    assert reason == (
        "2 runs were killed while they read it or failed to commit it; `bikecollect "
        "backfill` tries it again\n"
    )


def test_killed_runs_are_recorded_as_killed(folder: Path) -> None:
    """Each of them, with the notice that its payload was accepted."""
    for number in (4, 5, 6):
        fetch(folder, number)

    runs = History("city", folder).runs(outcomes=["killed"])
    assert sorted((run.run_id, run.accepted) for run in runs) == [
        ("00000004", True),
        ("00000005", True),
    ]


def test_a_run_that_ends_leaves_no_mark(folder: Path) -> None:
    """A full disk or a busy lock does not count against the payload."""
    assert World(folder).inbox() == []
    fetch(folder, 4)
    assert World(folder).inbox() == [
        "20261122T041000Z.00000004.run",
        NAME,
        f"{NAME}.1.opened",
    ]
    driver.run(folder, 5, 3)

    assert World(folder).inbox() == []


def test_a_payload_that_is_tried_again_may_kill_one_more_run(folder: Path) -> None:
    """It is the second run that it kills since: then it is rejected again."""
    for number in (4, 5, 6):
        fetch(folder, number)

    payloads = World(folder).payloads
    assert payloads.requeue(NAME)

    assert payloads.kills(NAME) == 1


def test_a_mark_without_its_payload_is_removed(folder: Path) -> None:
    """A run was killed after it had moved the payload, and before the mark."""
    fetch(folder, 4)
    (folder / "payloads/inbox" / NAME).unlink()

    driver.run(folder, 5, 3)

    assert World(folder).inbox() == []
