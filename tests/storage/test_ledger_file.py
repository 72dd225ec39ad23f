"""A ledger after an unclean end: which checks run, and what counts as damage."""

import shutil
import sqlite3
import tracemalloc
from pathlib import Path
from unittest.mock import Mock

import pytest
from templates import copied
from world import MINUTES, World

from bikecollect.core.errors import Outcome, StorageError
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.sqlite import ledger_file
from bikecollect.storage.sqlite.structure import structural_damage

LEDGER = "ledger.sqlite3"
DAY = "station_status/2026-11-22.csv"


@pytest.fixture
@copied
def world(tmp_path: Path) -> World:
    """Return a world with two slots collected."""
    world = World(tmp_path / "city")
    world.fetch({"a": 1, "b": 2})
    world.fetch({"a": 2, "b": 3}, after=5 * MINUTES)
    return world


def killed_copy(world: World, target: Path) -> World:
    """Copy the folder of *world* during a run, as a kill would leave it."""
    world.ledger.open()
    world.ledger.remember({"bikecollect.test": "x"})
    shutil.copytree(world.folder, target)
    world.ledger.close()
    (target / f"{LEDGER}-shm").unlink()
    copy = World(target, clock=world.clock)
    copy.runs, copy.uptime = world.runs, world.uptime
    return copy


def set_aside(world: World) -> list[str]:
    """Return the names of damaged ledgers that were set aside, without their times."""
    names = sorted(path.name for path in world.folder.glob("*.damaged-*"))
    return [name.partition(".damaged-")[2].partition(".")[2] for name in names]


def test_the_first_run_needs_no_change_of_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAT and some network disks have fixed ones."""
    monkeypatch.setattr(Path, "chmod", Mock(side_effect=PermissionError))

    run = World(tmp_path / "city").fetch({"a": 1})

    assert run.outcome is Outcome.COLLECTED


def test_an_older_ledger_is_not_read_with_the_log_of_a_killed_run(
    world: World, tmp_path: Path
) -> None:
    """A restored backup loses or doubles no slot, and the mixture is reported."""
    older = (world.folder / LEDGER).read_bytes()
    for _ in range(4):
        world.fetch({"a": 5, "b": 6}, after=5 * MINUTES)
    killed = killed_copy(world, tmp_path / "killed")
    (killed.folder / LEDGER).write_bytes(older)
    run = killed.fetch({"a": 7, "b": 8}, after=5 * MINUTES)

    assert run.outcome is Outcome.COLLECTED
    assert [n.text for n in run.notices if "restored" in n.text] != []
    assert set_aside(killed) == ["1-shm", "1-wal"]
    assert len(killed.lines()) == 14
    assert len(killed.committed()) == 7
    assert killed.agrees()


def test_the_log_of_a_killed_run_is_used(world: World, tmp_path: Path) -> None:
    """Transactions that the killed run had committed to the WAL are kept."""
    killed = killed_copy(world, tmp_path / "killed")
    killed.ledger.open()

    assert killed.ledger.notes()["bikecollect.test"] == "x"
    killed.ledger.close()
    assert set_aside(killed) == []


def test_the_logs_of_several_runs_beside_a_reader_are_used(
    world: World, tmp_path: Path
) -> None:
    """While a reader holds the ledger, the WAL is not merged: all of it is used."""
    reader = sqlite3.connect(f"file:{world.folder / LEDGER}?mode=ro", uri=True)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM runs").fetchall()
    for number in (3, 4, 5):
        world.fetch({"a": number, "b": 6}, after=5 * MINUTES)
    killed = killed_copy(world, tmp_path / "killed")
    reader.close()
    run = killed.fetch({"a": 9, "b": 9}, after=5 * MINUTES)

    assert run.notices == ()
    assert set_aside(killed) == []
    assert len(killed.committed()) == 6


def test_a_clean_ledger_is_not_read_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run's cost does not grow with the ledger: only unclean ends are checked."""
    checks: list[object] = []
    monkeypatch.setattr(ledger_file, "_check_structure", checks.append)
    world.fetch({"a": 3}, after=5 * MINUTES)

    assert checks == []


def test_a_reader_that_stays_makes_no_run_unclean(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that keeps the ledger open all day causes no check."""
    reader = sqlite3.connect(world.folder / LEDGER)
    reader.execute("SELECT count(*) FROM runs").fetchall()
    world.fetch({"a": 3}, after=5 * MINUTES)
    checks: list[object] = []
    monkeypatch.setattr(ledger_file, "_check_structure", checks.append)
    world.fetch({"a": 4}, after=5 * MINUTES)
    reader.close()

    assert checks == []


def test_the_ledger_of_a_killed_run_is_checked(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A remaining WAL shows that the ledger was not closed."""
    killed = killed_copy(world, tmp_path / "killed")
    checks: list[object] = []
    monkeypatch.setattr(ledger_file, "_check_structure", checks.append)
    killed.fetch({"a": 3}, after=5 * MINUTES)
    killed.fetch({"a": 4}, after=5 * MINUTES)

    assert len(checks) == 1


def test_damage_that_a_run_meets_is_set_aside_by_the_next(world: World) -> None:
    """Pages overwritten after a clean end lose no slot (fault 64)."""
    path = world.folder / LEDGER
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (size - 4096))
    runs = [world.fetch({"a": n}, after=5 * MINUTES) for n in (3, 4, 5)]

    assert runs[-1].outcome is Outcome.COLLECTED
    assert len(set_aside(world)) == 1
    assert len(world.committed()) == 5
    assert world.agrees()
    assert not path.with_name(f"{LEDGER}-check").exists()


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.DatabaseError("Tree 5 page 5: unable to get the page. error code=266"),
        sqlite3.DatabaseError("database disk image is malformed"),
        MemoryError(),
        OSError(5, "Input/output error"),
    ],
    ids=["unreadable page", "malformed", "memory", "EIO"],
)
def test_one_failed_read_is_no_damage(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """All runs are still there when the ledger could not be read for a moment."""
    (world.folder / f"{LEDGER}-check").touch()
    check, errors = ledger_file._check_structure, iter([error])

    def failing(db: sqlite3.Connection) -> None:
        for failure in errors:
            raise failure
        check(db)

    monkeypatch.setattr(ledger_file, "_check_structure", failing)
    world.fetch({"a": 3}, after=5 * MINUTES)
    world.fetch({"a": 4}, after=5 * MINUTES)

    assert set_aside(world) == []
    assert len(world.committed()) == 4
    world.ledger.open()
    assert world.ledger.all("SELECT count(*) FROM runs") == [(4,)]
    world.ledger.close()


def test_a_ledger_that_the_disk_cannot_read_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lasting read error is the disk's: it is reported, nothing is removed."""
    (world.folder / f"{LEDGER}-check").touch()
    monkeypatch.setattr(ledger_file, "_check_structure", _fail)
    monkeypatch.setattr(ledger_file, "_read_all", _unreadable)
    ledger = Ledger(world.folder / LEDGER)

    with pytest.raises(StorageError, match="Input/output error"):
        ledger.open()
    ledger.close()
    assert set_aside(world) == []


def test_a_path_that_sqlite_cannot_open_is_called_too_long(tmp_path: Path) -> None:
    """It says only "unable to open database file"."""
    left = 504 - len(f"{tmp_path}///{LEDGER}") - 200
    longest = tmp_path / ("d" * 200) / ("e" * left)
    longer = longest.with_name("e" * (left + 1))
    for folder in (longest, longer):
        folder.mkdir(parents=True)

    ledger = Ledger(longest / LEDGER)
    ledger.open()
    ledger.close()
    with pytest.raises(StorageError, match="the path has 505 bytes"):
        Ledger(longer / LEDGER).open()


def test_the_newest_damaged_ledgers_are_kept(world: World) -> None:
    """A disk that damages a ledger every day is not filled by copies of it."""
    for day in range(1, 10):
        name = f"{LEDGER}.damaged-202611{day:02}T000000Z.1"
        (world.folder / name).write_bytes(b"old")
        (world.folder / f"{name}-wal").write_bytes(b"old")
    (world.folder / LEDGER).write_bytes(b"no database" * 100)
    world.fetch({"a": 3}, after=5 * MINUTES)
    names = sorted(path.name for path in world.folder.glob("*.damaged-*"))

    assert [name[23:31] for name in names if not name.endswith(("-wal", "-shm"))][
        :4
    ] == ["20261106", "20261107", "20261108", "20261109"]
    assert len([name for name in names if name.endswith(".1")]) == 5
    assert len(world.committed()) == 3


def test_a_lost_ledger_is_rebuilt_in_little_memory(tmp_path: Path) -> None:
    """Of a day of 1.7 MB one block at a time is in memory (fault 64)."""
    world = World(tmp_path / "city")
    world.fetch({"a": 1})
    day = world.folder / "station_status/2026-11-21.csv"
    head, line = (world.folder / DAY).read_text(encoding="utf-8").splitlines()
    with day.open("w", encoding="utf-8") as file:
        file.write(f"{head}\n")
        for hour in range(0, 24, 2):
            slot = f"2026-11-21T{hour:02}:00:00+08:00"
            row = f"{slot},{slot},{{}}{line.partition(',a')[2]}\n"
            file.writelines(row.format(f"s{number}") for number in range(2_000))
    (world.folder / LEDGER).unlink()
    tracemalloc.start()
    world.fetch({"a": 2}, after=5 * MINUTES)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert day.stat().st_size > 1_700_000
    assert peak < 700_000
    assert len(world.committed()) == 14
    assert world.agrees()


def _fail(_: object) -> None:
    raise sqlite3.DatabaseError("unable to get the page. error code=266")


def _unreadable(_: object) -> None:
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize(
    ("verdicts", "damage"),
    [
        (["ok"], ""),
        (["wrong # of entries in index runs_by_slot"], ""),
        (["wrong # of entries in index i", "NULL value in runs.slot"], "NULL value"),
        (["*** in database main ***\nTree 2 page 2: 2nd reference"], "*** in database"),
    ],
)
def test_an_index_that_sqlite_counts_is_no_damage_of_the_file(
    verdicts: list[str], damage: str
) -> None:
    """SQLite 3.46 names it, 3.40 does not: the ledger is kept with both."""
    db = Mock(sqlite3.Connection, execute=lambda _: [(each,) for each in verdicts])

    assert structural_damage(db).startswith(damage)
    assert bool(structural_damage(db)) == bool(damage)
