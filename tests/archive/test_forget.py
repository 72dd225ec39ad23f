"""A loss can be accepted: it is no longer reported, and a note of it is kept."""

import errno
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from in_process import bikecollect
from keeping import compacted, findings
from quiet_settings import write_settings
from world import NOON, World

from bikecollect.cli import cli
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import DAY
from bikecollect.storage.files import marker, regular_file

FILE = "station_status/2026-11-22.csv"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a system with two slots on one day, and one on the next."""
    world = World(tmp_path / "data" / "city")
    world.fetch({"a": 1, "b": 2})
    world.fetch({"a": 1, "b": 3}, after=300)
    world.fetch({"a": 1, "b": 2}, after=DAY)
    world.clock.now += DAY
    (world.folder / ".bikecollect").touch()
    config = tmp_path / "bikecollect.toml"
    write_settings(config, tmp_path / "data", "city", "town")
    return world


def forget(world: World, *args: str) -> tuple[int, str]:
    """Call `forget`; return its exit code and output."""
    config = str(world.folder.parents[1] / "bikecollect.toml")
    process = bikecollect("--config", config, "forget", "city", *args)
    return process.returncode, process.stdout + process.stderr


def backfilled(world: World, copy: Path) -> str:
    """Call `backfill --from` the data folder *copy*; return what it prints."""
    config = str(world.folder.parents[1] / "bikecollect.toml")
    words = ("--config", config, "backfill", "city", "--from", copy)
    text = bikecollect(*words).stdout
    return " ".join(text.split())


def notes(world: World) -> list[dict[str, object]]:
    """Return the notes of losses in the ledger."""
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db:
        rows = db.execute(
            "SELECT value FROM memory WHERE key LIKE 'bikecollect.forgotten.%'"
        ).fetchall()
    return [json.loads(value) for (value,) in rows]


@pytest.mark.parametrize("what", [FILE, "2026-11-22"])
def test_a_deleted_file_is_forgotten(world: World, what: str) -> None:
    """Its slots are gaps; `verify` succeeds; the other day is unchanged."""
    (world.folder / FILE).unlink()

    code, text = forget(world, what, "--reason", "logrotate")

    assert (code, "2 lost slots forgotten" in text) == (0, True)
    assert findings(world) == []
    assert len(world.committed()) == 1
    (note,) = notes(world)
    assert (note["what"], note["slots"], note["rows"]) == (what, 2, 4)
    assert note["reason"] == "logrotate"


def test_the_loss_of_several_systems_is_accepted_at_once(world: World) -> None:
    """One that has lost nothing is skipped and named; without WHAT, nothing is done."""
    for name in ("city", "town"):
        folder = world.folder.with_name(name)
        folder.mkdir(exist_ok=True)
        text = marker.text_of(name) + marker.mark(NOON)
        (folder / ".bikecollect").write_bytes(text)

    nothing = forget(world, "town")
    both = forget(world, "town", "earlier-data")
    again = forget(world, "town", "earlier-data")

    assert (nothing[0], 'cannot forget "town"' in nothing[1]) == (64, True)
    assert (both[0], both[1].count("the loss of all data before 2026-11-22")) == (0, 2)
    assert (again[0], again[1].count("the folder was not begun anew")) == (64, 2)


def test_forget_keeps_the_good_blocks_of_a_damaged_file(world: World) -> None:
    """Only the unreadable rows are dropped."""
    path = world.folder / FILE
    data = path.read_bytes()
    path.write_bytes(data.replace(b",b,3,", b",b,9,"))

    code, text = forget(world, "2026-11-22")

    assert (code, "1 lost slot forgotten" in text) == (0, True)
    assert findings(world) == []
    assert len(world.lines()) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [(b",b,2,", b',"b\xff,2,'), (b",a,1,", b",a,01,")],
    ids=["a quote and a byte that is no text", "a digit"],
)
def test_blocks_that_only_moved_are_not_lost(
    world: World, old: bytes, new: bytes
) -> None:
    """The slots after a longer or shorter block are in the file, elsewhere."""
    path = world.folder / FILE
    path.write_bytes(path.read_bytes().replace(old, new, 1))

    code, text = forget(world, "2026-11-22")

    assert (code, "1 lost slot forgotten" in text) == (0, True)
    assert findings(world) == []
    assert len(world.lines()) == 2


def test_a_lost_day_of_the_archive_is_forgotten(world: World) -> None:
    """Also one whose CSV was removed. Then a copy fills its slots."""
    compacted(world, csv_days=0)
    copy = world.folder.parents[1] / "copy"
    shutil.copytree(world.folder.parent, copy)
    for path in (world.folder.parent / "archive").glob("*/*/date=2026-11-22"):
        shutil.rmtree(path)
    for path in (world.folder.parent / "archive").rglob("2026-11-22.json"):
        path.unlink()

    code, text = forget(world, "2026-11-22")
    after = backfilled(world, copy)

    assert (code, "2 lost slots forgotten" in text) == (0, True)
    assert "2 slots filled" in after
    assert "forget" not in after
    assert findings(world) == []


@pytest.mark.parametrize("harm", [b"", b"x" * 99, None])
def test_a_damaged_day_of_the_archive_is_forgotten(
    world: World, harm: bytes | None
) -> None:
    """Only its rows are lost; the next `compact` keeps the causes of its gaps."""
    compacted(world, csv_days=0)
    archive = world.folder.parent / "archive"
    (part,) = archive.glob("station_status/*/date=2026-11-22/part.parquet")
    part.unlink() if harm is None else part.write_bytes(harm)

    code, text = forget(world, "2026-11-22")
    compacted(world, csv_days=0)

    assert (code, "2 lost slots forgotten" in text) == (0, True)
    assert findings(world) == []


@pytest.mark.parametrize("csv_days", [0, 7])
def test_a_day_that_this_user_may_not_read_is_not_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch, csv_days: int
) -> None:
    """The next `compact` would replace its rows by none. No note says otherwise."""
    compacted(world, csv_days=csv_days)
    (world.folder / FILE).unlink(missing_ok=True)
    opened = regular_file.open_plain

    def denied(path: Path) -> Any:
        if path.name == "part.parquet":
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path)

    monkeypatch.setattr(regular_file, "open_plain", denied)
    config = str(world.folder.parents[1] / "bikecollect.toml")
    arguments = ["--config", config, "forget", "city", "2026-11-22"]
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)

    assert isinstance(result.exception, StorageError)
    assert "Permission denied; nothing is forgotten" in str(result.exception)
    assert notes(world) == []
    assert len(world.committed()) == 3


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("2026-11-22", "its rows can be read"),
        ("2026-11-23", "its rows can be read"),
        ("2026-01-01", "the ledger has no block of it"),
        ("00000001", "its rows can be read"),
        ("../../etc/passwd", "not a day"),
    ],
)
def test_data_that_is_not_lost_cannot_be_forgotten(
    world: World, what: str, why: str
) -> None:
    """No row is dropped by mistake: of the second day, the ledger is damaged."""
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db:
        db.execute("UPDATE blocks SET crc32 = crc32 | 255 WHERE file LIKE '%-23.csv'")
        db.commit()

    code, text = forget(world, what)

    assert (code, why in text) == (64, True)
    assert len(world.committed()) == 3
    assert notes(world) == []


def test_a_run_without_rows_is_forgotten(world: World) -> None:
    """Such as one of a wrong clock."""
    world.feed.answer = b"{}"
    run = world.fetch(after=300)

    code, _ = forget(world, run.run_id)

    assert code == 0
    world.ledger.open()
    assert not world.ledger.has_run(run.run_id)
    world.ledger.close()


def test_the_list_of_stations_is_rebuilt_on_request(world: World) -> None:
    """Even after a change that a run does not notice."""
    path = world.folder / "station_information.csv"
    text = path.read_bytes()
    path.write_bytes(text.replace(b",a,a,", b",a,A,", 1))
    config = str(world.folder.parents[1] / "bikecollect.toml")

    process = bikecollect("--config", config, "rebuild", "stations", "city")

    assert process.returncode == 0
    assert path.read_bytes() == text
