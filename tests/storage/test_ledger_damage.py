"""A damaged ledger is repaired or rebuilt: it never stops the collection."""

import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from keeping import findings
from world import NOON, World, body

from bikecollect.core.errors import Outcome, StorageError
from bikecollect.storage.data_folder import LEDGER
from bikecollect.storage.ledger_reader import History

PAGE = 4096


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a system with two stations."""
    world = World(tmp_path / "city")
    world.feed.answer = body({"a": 1, "b": 2})
    return world


def restored_by_dump(path: Path) -> None:
    """Read the ledger's SQL text into a new database, as `.dump` does."""
    with closing(sqlite3.connect(path)) as db:
        text = "\n".join(db.iterdump())
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(text)


def sql(statements: str) -> Callable[[Path], None]:
    """Return a function that runs *statements* on a ledger."""

    def execute(path: Path) -> None:
        with closing(sqlite3.connect(path)) as db:
            db.executescript(statements)

    return execute


def patched(position: int, data: bytes) -> Callable[[Path], None]:
    """Return a function that overwrites the bytes of a ledger from *position* on."""

    def write(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[position : position + len(data)] = data
        path.write_bytes(content)

    return write


def cut_to(size: int) -> Callable[[Path], None]:
    """Return a function that truncates a ledger."""
    return lambda path: os.truncate(path, size)


DAMAGES = {
    "restored by .dump": restored_by_dump,
    "version 0": sql("PRAGMA user_version = 0"),
    "version 1 of 3": sql("PRAGMA user_version = 1"),
    "version -5": sql("PRAGMA user_version = -5"),
    "no blocks": sql("DELETE FROM blocks"),
    "no rows at all": sql(
        "DELETE FROM blocks; DELETE FROM runs; DELETE FROM files; DELETE FROM stations"
    ),
    "no stations": sql("DELETE FROM stations"),
    "no index": sql("DROP INDEX runs_by_slot; PRAGMA user_version = 0"),
    "a table dropped": sql("DROP TABLE files"),
    "all tables dropped": sql(
        "DROP TABLE blocks; DROP TABLE runs; DROP TABLE files; DROP TABLE stations;"
        "DROP TABLE absent; DROP TABLE memory; DROP TABLE incidents;"
        "DROP TABLE archives"
    ),
    "a column renamed": sql("ALTER TABLE blocks RENAME COLUMN rows TO lines"),
    "another program's tables": sql("CREATE TABLE places (id); DROP TABLE runs"),
    "empty": lambda path: path.write_bytes(b"") and None,
    "cut amid the first page": cut_to(1000),
    "cut behind the first page": cut_to(PAGE),
    "cut amid": cut_to(PAGE * 3 + 100),
    "a text": lambda path: path.write_bytes(b"slot,file\n" * 900) and None,
    "zeros": lambda path: path.write_bytes(b"\0" * PAGE * 4) and None,
    "a future file format": patched(18, b"\x05\x05"),
    "a future schema format": patched(44, b"\0\0\0\x09"),
    "an impossible page size": patched(16, b"\x00\x07"),
    "noise in the schema": patched(200, b"\xff" * 3000),
    "a byte of the schema": lambda path: (
        path.write_bytes(path.read_bytes().replace(b"TABLE blocks", b"TABL\xf7 blocks"))
        and None
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_ledger_is_rebuilt(
    world: World, damage: Callable[[Path], None]
) -> None:
    """The next run is collected, and all rows and stations are in the ledger."""
    world.fetch()
    world.fetch(after=300)
    path = world.folder / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        stations = db.execute("SELECT count(*) FROM stations").fetchone()
    damage(path)

    run = world.fetch(after=300)

    history = History("city", world.folder)
    assert run.outcome is Outcome.COLLECTED
    assert history.select("SELECT slot FROM blocks ORDER BY slot") == [
        (NOON,),
        (NOON + 300,),
        (NOON + 600,),
    ]
    assert history.select("SELECT count(*) FROM stations") == [stations]
    assert world.agrees()


@pytest.mark.parametrize(
    "damage",
    [restored_by_dump, sql("PRAGMA user_version = 0"), sql("PRAGMA user_version = 2")],
    ids=["restored by .dump", "version 0", "version 2"],
)
def test_a_wrong_version_number_costs_no_row(
    world: World, damage: Callable[[Path], None]
) -> None:
    """Runs are kept, and readers read the ledger before the next fetch, too."""
    world.fetch()
    damage(world.folder / "ledger.sqlite3")

    before = History("city", world.folder).runs()
    world.fetch(after=300)

    assert [run.slot for run in before] == [NOON]
    assert [run.slot for run in History("city", world.folder).runs()] == [
        NOON + 300,
        NOON,
    ]


def test_bytes_that_are_no_text_are_found_once_a_reader_met_them(world: World) -> None:
    """SQLite's own check does not find them, and `fetch` does not read that value."""
    world.fetch()
    ledger, mark = (world.folder / name for name in (LEDGER, f"{LEDGER}-check"))
    sql("UPDATE blocks SET sha256 = CAST(x'ff' || substr(sha256, 2) AS TEXT)")(ledger)
    unnoticed = world.fetch(after=300)
    history = History("city", world.folder)
    with pytest.raises(StorageError, match="the next fetch sets it aside"):
        history.select("SELECT * FROM main.blocks")
    is_marked = mark.exists()

    run = world.fetch(after=300)

    damaged = [any("damaged" in n.text for n in r.notices) for r in (unnoticed, run)]
    assert (is_marked, mark.exists(), damaged) == (True, False, [False, True])
    assert len(history.select("SELECT * FROM main.blocks")) == 3
    assert world.agrees()


@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE files SET "end" = "end" + 64',
        'UPDATE files SET "end" = "end" - 64',
        "UPDATE files SET start = start + 1",
        "UPDATE files SET crc32 = crc32 + 7",
        "UPDATE files SET file = replace(file, '22', '32')",
        "UPDATE files SET file = replace(file, '/', 'o')",
    ],
)
def test_a_damaged_record_of_a_file_is_no_damage_of_the_file(
    world: World, statement: str
) -> None:
    """Its last block proves its end: the next one follows, and the ledger is named."""
    before = world.fetch()
    sql(f"{statement} WHERE file <> 'station_information.csv'")(world.folder / LEDGER)

    after = world.fetch(after=300)

    (notice,) = after.notices
    corrected = f"ledger.sqlite3 had a wrong end for {before.file}: corrected by its"
    assert (notice.kind, notice.text) == ("ledger", f"{corrected} last block")
    assert after.file == before.file
    assert world.fetch(after=300).notices == ()
    assert world.agrees()


def test_bytes_that_are_no_text_stop_no_second_run(world: World) -> None:
    """A run that meets them lets the next one set the ledger aside."""
    world.fetch()
    world.ledger.open()
    world.ledger.remember({"any": "text"})
    world.ledger.close()
    sql("UPDATE memory SET value = CAST(x'ff' AS TEXT)")(world.folder / LEDGER)

    outcomes = [world.fetch(after=300).outcome for _ in range(2)]

    assert outcomes == [Outcome.DISK, Outcome.COLLECTED]
    assert len(world.committed()) == 3


def test_a_damaged_index_costs_no_run(world: World) -> None:
    """It is rebuilt by the next run after `verify` has named the ledger."""
    world.fetch()
    empty = "CREATE INDEX runs_by_slot ON runs (slot)"
    sql(
        f"DROP INDEX runs_by_slot; {empty} WHERE slot < 0; PRAGMA writable_schema = 1;"
        f" UPDATE sqlite_master SET sql = '{empty}' WHERE name = 'runs_by_slot'"
    )(world.folder / LEDGER)

    before = findings(world)
    run = world.fetch(after=300)

    # The words are SQLite's, and differ by its version.
    assert re.fullmatch(f"{LEDGER}: is damaged: .* index runs_by_slot", before[0])
    assert [n.text for n in run.notices] == [
        f"{LEDGER} had a damaged index: rebuilt from its table"
    ]
    assert len(History("city", world.folder).runs()) == 2
    assert findings(world) == []


@pytest.mark.parametrize("is_copy", [False, True])
def test_the_ledger_of_another_system_is_set_aside(
    world: World, *, is_copy: bool
) -> None:
    """Its stations do not get into the list here; one of a copied folder is kept."""
    other = World(world.folder.with_name("town"), runs=100)
    for _ in range(2):
        world.fetch(after=300)
        other.fetch({"z": 4, "y": 0, "x": 2}, after=300)
    name = "city" if is_copy else "town"
    (other.folder / ".bikecollect").write_text(f"system: {name}\n")
    shutil.copy(other.folder / LEDGER, world.folder / LEDGER)
    aside = world.folder.glob(f"{LEDGER}.damaged-*")

    run = world.fetch({"a": 1, "b": 3}, after=300)

    named = [n for n in run.notices if f"{LEDGER} was that of town" in n.text]
    assert run.outcome is Outcome.COLLECTED
    assert (len(named), len(list(aside))) == ((0, 0) if is_copy else (1, 1))
    if not is_copy:
        assert len(world.committed()) == 3
        assert world.agrees()
        assert ",z," not in (world.folder / "station_information.csv").read_text()


@pytest.mark.parametrize("proof", ["its file", "its payloads"])
def test_a_ledger_that_another_system_began_with_is_not_foreign(
    world: World, proof: str
) -> None:
    """The other one was begun as a copy; here a file does not end as it did."""
    for _ in range(2):
        world.fetch(after=300)
    other = shutil.copytree(world.folder, world.folder.with_name("town"))
    (other / ".bikecollect").write_text("system: town\n")
    (csv,) = world.folder.glob("station_status/*.csv")
    if proof == "its file":
        csv.write_bytes(csv.read_bytes() + b"torn")
        shutil.rmtree(world.folder / "payloads/kept")
    else:
        os.truncate(csv, csv.stat().st_size - 5)

    run = world.fetch(after=300)

    assert run.outcome is Outcome.COLLECTED
    assert not [notice for notice in run.notices if "was that of" in notice.text]
