"""The past as read from a system's folder; reading never changes it."""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from small_disk import fill, mounted, remount
from world import NOON, World

from bikecollect.core.errors import (
    FeedUnavailable,
    Outcome,
    SettingsError,
    StorageError,
)
from bikecollect.core.run import Run
from bikecollect.core.slots import Slot
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.ledger_schema import STEPS
from bikecollect.storage.runs.log_lines import log_lines
from bikecollect.storage.sqlite.ledger_file import is_usable

SLOT = Slot(int(NOON))


def timeless(run: Run) -> Run:
    """Return *run* without its seconds, which the ledger has in part only."""
    return replace(run, seconds={})


def ids(runs: Sequence[Run]) -> list[str]:
    """Return the ids of *runs*."""
    return [run.run_id for run in runs]


@pytest.fixture
def world(folder: Path) -> World:
    """Return a system in an empty folder."""
    return World(folder)


@pytest.fixture
def history(folder: Path) -> History:
    """Return the history of the same system."""
    return History("city", folder)


def test_a_run_is_read_back(world: World, history: History) -> None:
    """With its notices, flags, seconds and error."""
    good = world.fetch({"a": 1, "b": 2})
    world.feed.answer = FeedUnavailable("no answer in 30 s", http_status=503)
    bad = world.fetch(after=300)

    assert list(map(timeless, history.runs())) == [timeless(bad), timeless(good)]
    assert history.run(good.run_id) == history.runs()[1:]
    assert history.runs()[0].seconds["fetch"] == round(bad.seconds["fetch"], 6)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a small disk of its own; skip the test where it cannot be mounted."""
    with mounted(tmp_path / "disk", "2m") as place:
        yield place


def test_a_full_disk_is_read(disk: Path) -> None:
    """SQLite cannot extend its -shm file there, and leaves an empty log."""
    fetched = World(disk / "bikes").fetch({"a": 1})
    fill(disk)
    history = History("city", disk / "bikes")

    assert ids(history.runs()) == ids([fetched])
    assert ids(history.runs()) == ids([fetched])


def test_a_disk_without_inodes_is_read(disk: Path) -> None:
    """SQLite cannot create its file beside the ledger there."""
    fetched = World(disk / "bikes").fetch({"a": 1})
    remount(disk, f"nr_inodes={len(list(disk.rglob('*'))) + 1}")

    assert ids(History("city", disk / "bikes").runs()) == ids([fetched])


@pytest.fixture
def left(tmp_path: Path, disk: Path) -> Path:
    """Return a system on a full disk; the log beside its ledger has one of two runs.

    As a run leaves it during which the disk became full.
    """
    world, folder = World(tmp_path / "bikes"), disk / "bikes"
    world.fetch({"a": 1})
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM runs").fetchall()
        world.fetch({"a": 1}, after=300)
        shutil.copytree(world.folder, folder)
    (folder / "ledger.sqlite3-shm").unlink()
    fill(disk)
    return folder


def test_the_log_of_a_ledger_on_a_full_disk_is_read_too(left: Path) -> None:
    """From a copy: without its log the ledger would be out of date."""
    ledger = AlertLedger(left / "ledger.sqlite3")

    assert len(History("city", left).runs()) == 2
    assert len(History("city", left).runs()) == 2
    assert ledger.last_block(Slot(SLOT + 600)) == (SLOT + 300, 1)


def test_a_log_that_cannot_be_copied_is_an_error(
    left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs would be missing without a word."""
    monkeypatch.setenv("TMPDIR", str(left.parent))

    with pytest.raises(StorageError, match="No space left on device"):
        History("city", left).runs()


def test_runs_are_chosen_by_slot_outcome_and_number(
    world: World, history: History
) -> None:
    """The end is excluded, the newest come first."""
    runs = [world.fetch({"a": 1}, after=300 * count) for count in (0, 1, 1)]
    world.feed.answer = FeedUnavailable("out")
    bad = world.fetch(after=300)

    assert ids(history.runs(Slot(SLOT + 300), Slot(SLOT + 600))) == ids(runs[1:2])
    assert ids(history.runs(outcomes=["unavailable"])) == ids([bad])
    assert ids(history.runs(limit=2)) == ids([bad, runs[2]])


def test_slots_and_blocks_are_read(world: World, history: History) -> None:
    """A failed run is first, and has no block."""
    world.feed.answer = FeedUnavailable("out")
    world.fetch()
    world.fetch({"a": 1}, after=300)

    assert history.first() == SLOT
    assert [slot for slot, _ in history.flags(SLOT)] == [SLOT + 300]
    assert history.newest_block() == SLOT + 300
    assert history.block(SLOT) is None
    block = history.block(Slot(SLOT + 300))
    assert block is not None
    assert (block.span.file, block.rows) == ("station_status/2026-11-22.csv", 1)


def _killed(world: World) -> Run:
    """Leave the note of a run that died; return the run."""
    run = world.begin()
    world.run_notes.begin(run)
    os.close(world.run_notes._notes.pop(run.run_id))
    return run


def test_a_killed_run_is_shown_before_it_is_recovered(
    world: World, history: History
) -> None:
    """Its note is read and left in place (fault 69)."""
    run = _killed(world)

    (killed,) = history.runs()

    assert (killed.run_id, killed.outcome) == (run.run_id, Outcome.KILLED)
    assert history.run(run.run_id) == [killed]
    assert history.runs(outcomes=["collected"]) == []
    assert len(world.inbox()) == 1


def test_an_active_run_is_not_shown_as_killed(world: World, history: History) -> None:
    """The kernel holds the lock on its note."""
    world.run_notes.begin(world.begin())

    assert history.runs() == []


def test_a_note_whose_run_is_in_the_ledger_counts_once(
    world: World, history: History
) -> None:
    """The run was killed after it was recorded and before its note was removed."""
    fetched = world.fetch({"a": 1})
    world.run_notes.begin(fetched)
    os.close(world.run_notes._notes.pop(fetched.run_id))

    (run,) = history.runs()
    assert run.outcome is Outcome.COLLECTED
    assert history.runs(outcomes=["killed"]) == []


def test_a_folder_without_a_ledger_has_no_runs(history: History, folder: Path) -> None:
    """A missing or empty ledger is no error, and none is created."""
    assert (history.runs(), history.first(), history.incidents()) == ([], None, [])
    folder.mkdir()
    (folder / "ledger.sqlite3").touch()

    assert (history.runs(), history.newest_block()) == ([], None)
    assert (folder / "ledger.sqlite3").stat().st_size == 0


def test_a_ledger_of_schema_1_is_read(history: History, folder: Path) -> None:
    """It has no incidents."""
    folder.mkdir()
    db = sqlite3.connect(folder / "ledger.sqlite3")
    db.executescript(f"{STEPS[0]} PRAGMA user_version = 1")
    db.close()

    assert (history.incidents(), history.runs()) == ([], [])


def test_incidents_are_open_or_recently_closed(world: World, history: History) -> None:
    """Without a time only the open ones."""
    world.fetch({"a": 1})
    db = sqlite3.connect(world.folder / "ledger.sqlite3")
    sql = "INSERT INTO incidents VALUES (?, ?, 300, 600, ?, 2, 1, 1, ?, 'it broke')"
    db.execute(sql, ("a", "disk", None, '{"full": 2}'))
    db.execute(sql, ("b", "fetch", 900, "{}"))
    db.commit()
    db.close()

    (opened,) = history.incidents()
    assert (opened.kind, opened.lost, opened.causes) == ("disk", 1, {"full": 2})
    assert [incident.kind for incident in history.incidents(Slot(900))] == [
        "disk",
        "fetch",
    ]
    assert [incident.kind for incident in history.incidents(Slot(901))] == ["disk"]


@pytest.mark.parametrize(
    "damage",
    [
        b"no ledger at all" * 99,
        b"SQLite format 3\0" + b"\xff" * 4096,
    ],
)
def test_a_damaged_ledger_is_named(
    world: World, history: History, damage: bytes
) -> None:
    """The error names the file, and what happens next (fault 64)."""
    world.folder.mkdir(exist_ok=True)
    (world.folder / "ledger.sqlite3").write_bytes(damage)

    with pytest.raises(StorageError, match=r"ledger\.sqlite3.*the next fetch"):
        history.runs()


def test_a_value_that_is_no_json_is_left_out(world: World, history: History) -> None:
    """A changed byte in one run hides neither it nor the others."""
    world.fetch({"a": 1})
    db = sqlite3.connect(world.folder / "ledger.sqlite3")
    values = "seconds = '{_', notices = '[3]', tries = '[{\"a\": 1}]'"
    db.execute(f"UPDATE runs SET {values}")
    db.commit()
    db.close()

    (run,) = history.runs()

    assert (run.rows, run.seconds, run.notices, run.attempts) == (1, {}, (), ())


def test_a_newer_ledger_is_refused(world: World, history: History) -> None:
    """It is neither read nor called damaged."""
    world.fetch({"a": 1})
    db = sqlite3.connect(world.folder / "ledger.sqlite3")
    db.execute("PRAGMA user_version = 99")
    db.close()

    with pytest.raises(SettingsError, match="newer bikecollect"):
        history.runs()


def test_a_writer_does_not_keep_readers_waiting(world: World, history: History) -> None:
    """Committed data is read while a run holds the ledger."""
    fetched = world.fetch({"a": 1})
    db = sqlite3.connect(world.folder / "ledger.sqlite3", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM runs")

    assert ids(history.runs()) == ids([fetched])
    db.close()


def test_a_folder_that_may_not_be_written_to_is_read(disk: Path) -> None:
    """A reader leaves no file; a run says that the disk is read-only, not a `chmod`."""
    world = World(disk / "bikes")
    fetched = world.fetch({"a": 1})
    remount(disk, "ro")
    before = sorted(disk.rglob("*"))

    assert ids(History("city", disk / "bikes").runs()) == ids([fetched])
    assert world.fetch({"a": 2}).error.endswith("; mount the disk writable")
    assert sorted(disk.rglob("*")) == before


def test_a_log_that_was_only_begun_is_no_obstacle_on_a_read_only_disk(
    disk: Path,
) -> None:
    """SQLite fails there, after ten seconds: "locking protocol"."""
    world = World(disk / "bikes")
    fetched = world.fetch({"a": 1})
    ledger, log = (world.folder / f"ledger.sqlite3{end}" for end in ("", "-wal"))
    with closing(sqlite3.connect(ledger)) as db:
        db.execute("PRAGMA application_id = 1")
        begun = log.read_bytes()[:32]
    log.write_bytes(begun)
    Path(f"{ledger}-shm").write_bytes(bytes(32_768))
    remount(disk, "ro")

    assert ids(History("city", world.folder).runs()) == ids([fetched])
    assert not is_usable(ledger)


def test_log_lines_are_those_of_the_run(folder: Path) -> None:
    """Text or JSON, the older file first, with the traceback."""
    folder.mkdir()
    (folder / "bikecollect.log.1").write_text("t INFO 0000000a one\n", encoding="utf-8")
    (folder / "bikecollect.log").write_text(
        't ERROR 0000000a a bug\nTraceback ...\n  line 1\nt INFO 0000000b no\n{"run_id'
        '": "0000000a"}\n',
        encoding="utf-8",
    )

    assert log_lines(folder, "0000000a") == [
        "t INFO 0000000a one",
        "t ERROR 0000000a a bug",
        "Traceback ...",
        "  line 1",
        '{"run_id": "0000000a"}',
    ]


def test_payloads_are_found_in_each_folder(world: World, history: History) -> None:
    """Kept after a good run."""
    run = world.fetch({"a": 1})

    (payload,) = history.payloads(SLOT)

    assert payload.name == f"20261122T040000Z.{run.run_id}.zip"
    assert payload.parent.name == "2026-11-22"


@pytest.mark.parametrize("name", ["x%41y", "x?y", "x#y", "x y%", "站"])
def test_a_ledger_in_a_folder_of_any_name_is_found(tmp_path: Path, name: str) -> None:
    """Characters that are special in a URI may be in a folder's name."""
    world = World(tmp_path / name / "city")
    world.fetch({"a": 1})
    run = world.fetch({"a": 2}, after=300)

    assert run.exit_code == 0
    assert ids(History("city", world.folder).runs()) == ["00000002", "00000001"]
    assert [path.name for path in tmp_path.iterdir()] == [name]
