"""A daily file that a spreadsheet saved is read, and repaired on request."""

import csv
import io
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Literal
from unittest.mock import Mock

import pytest
from keeping import findings, viewed
from templates import copied
from world import TAIPEI, World

from bikecollect.core.blocks import Block, Span
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import DAY, Slot, stamp
from bikecollect.storage.csv_format import DERIVED
from bikecollect.storage.csv_store import Store
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.recovery import Recovery
from bikecollect.storage.repair import Repair
from bikecollect.storage.repair.damage import find_damage
from bikecollect.storage.repair.records import misnamed
from bikecollect.storage.repair.repairer import Repairer

FILE = "station_status/2026-11-22.csv"
Table = list[list[str]]


@pytest.fixture
@copied
def world(tmp_path: Path) -> World:
    """Return three slots of two stations on a day that is over."""
    world = World(tmp_path / "city", (DERIVED["occupancy"],))
    for bikes in (5, 0, 10):
        world.fetch({'1,"x"': bikes, "0002": 7}, after=300)
    world.clock.now += DAY
    world.uptime += DAY
    return world


def saved(
    change: Callable[[Table], Iterable[list[str]]] = lambda rows: rows,
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    quoting: Literal[0, 1] = csv.QUOTE_MINIMAL,
    end: str = "\r\n",
) -> Callable[[Path], None]:
    """Return a function that saves a file as a spreadsheet does."""

    def save(path: Path) -> None:
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        out = io.StringIO(newline="")
        writer = csv.writer(
            out, delimiter=delimiter, quoting=quoting, lineterminator=end
        )
        writer.writerows(change(rows))
        path.write_text(out.getvalue(), encoding=encoding, newline="")

    return save


def cells(change: Callable[[str], str]) -> Callable[[Table], Table]:
    """Return a function that changes each cell below the header."""
    return lambda rows: [rows[0], *([change(cell) for cell in r] for r in rows[1:])]


def decimal_comma(cell: str) -> str:
    """Write a share with a comma, and an integral one without a point."""
    return {"0.5": "0,5", "0.0": "0", "1.0": "1", "0.7": "0,7"}.get(cell, cell)


SPELLINGS = {
    "crlf": saved(),
    "cr at some ends only": saved(end="\r\n"),
    "all quoted": saved(quoting=csv.QUOTE_ALL),
    "semicolons": saved(delimiter=";"),
    "tabs": saved(delimiter="\t"),
    "a byte order mark": saved(encoding="utf-8-sig"),
    "utf-16": saved(encoding="utf-16", delimiter="\t"),
    "capital flags": saved(cells(lambda c: c.upper() if c in {"true", "false"} else c)),
    "decimal commas": saved(cells(decimal_comma), delimiter=";"),
    "columns moved": saved(lambda rows: [[*r[3:], *r[:3]] for r in rows], end="\n"),
    "blank lines": saved(lambda rows: [*rows, []]),
}


def repair(world: World) -> list[Repair]:
    """Repair the files of *world*."""
    world.ledger.open()
    try:
        Recovery(world.payloads, world.store, world.ledger, TAIPEI).recover_files()
        aside = world.folder / "payloads/rejected"
        return list(Repairer(world.folder, world.store, world.ledger, aside).run())
    finally:
        world.ledger.close()


@pytest.mark.parametrize("save", SPELLINGS.values(), ids=list(SPELLINGS))
def test_a_reformatted_file_is_read_before_its_repair(
    world: World, save: Callable[[Path], None]
) -> None:
    """All rows are there for a query, before and after the next fetch."""
    save(world.folder / FILE)
    sql = "SELECT count(*), sum(num_vehicles_available) FROM station_status"

    with viewed(world, tables=["station_status"]) as db:
        before = db.execute(sql).fetchall()
    world.fetch({"a": 1}, after=300)
    with viewed(world) as db:
        after = db.execute(sql).fetchall()

    assert before == [(6, 36)]
    assert after == [(7, 37)]


@pytest.mark.parametrize("save", SPELLINGS.values(), ids=list(SPELLINGS))
def test_a_reformatted_file_is_rewritten(
    world: World, save: Callable[[Path], None]
) -> None:
    """It has its original bytes, the changed file is kept, `verify` succeeds."""
    path = world.folder / FILE
    text = path.read_bytes()
    save(path)
    changed = path.read_bytes()
    world.fetch({"a": 1}, after=300)

    assert repair(world) == [Repair(FILE, 3, ())]

    assert path.read_bytes() == text
    (kept,) = (world.folder / "payloads/rejected").glob("*.changed")
    assert kept.read_bytes() == changed
    assert findings(world) == []
    assert repair(world) == []


@pytest.mark.parametrize("place", [1, 200])
def test_a_damaged_first_line_is_written_again(world: World, place: int) -> None:
    """Its checksum proves it: most columns are known, others are in another file."""
    path = world.folder / FILE
    text = path.read_bytes()
    world.fetch({"a": 1})
    path.write_bytes(text[:place] + b"#" + text[place + 1 :])

    assert repair(world) == [Repair(FILE, 3, ())]
    assert path.read_bytes() == text
    assert findings(world) == []


def test_an_edited_value_is_not_repaired(world: World) -> None:
    """The other blocks are read; the file is unchanged, and the slot is named."""
    path = world.folder / FILE
    saved(cells(lambda cell: "6" if cell == "5" else cell))(path)
    changed = path.read_bytes()

    with viewed(world, tables=["station_status"]) as db:
        (rows,) = db.execute("SELECT count(*) FROM station_status").fetchall()

    (result,) = repair(world)
    assert rows == (4,)
    assert (result.blocks, len(result.damaged)) == (3, 1)
    assert path.read_bytes() == changed


def test_bytes_of_a_replaced_block_are_dropped(world: World) -> None:
    """After a backfill of a torn block, the rest of its file is sound again."""
    path = world.folder / FILE
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    world.ledger.open()
    first = min(world.ledger.slots())
    with world.ledger.transaction() as db:
        db.execute("DELETE FROM blocks WHERE slot = ?", (first,))
    world.ledger.mark_damaged(FILE)
    world.ledger.close()

    assert repair(world) == [Repair(FILE, 2, ())]

    assert findings(world) == []
    assert len(world.lines()) == 4


def test_a_killed_repair_is_completed_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is new, the ledger has the positions of the old one."""
    path = world.folder / FILE
    text = path.read_bytes()
    saved(lambda rows: [[*row[3:], *row[:3]] for row in rows])(path)
    world.fetch({"a": 1}, after=300)
    with monkeypatch.context() as patched:
        patched.setattr("bikecollect.storage.repair.repairer.REPLACE", "no SQL")
        with pytest.raises(StorageError):
            repair(world)

    assert repair(world) == [Repair(FILE, 3, ())]

    assert path.read_bytes() == text
    assert findings(world) == []


@pytest.mark.parametrize(
    "error", [StorageError("too many open files"), KeyboardInterrupt()]
)
def test_a_repair_that_ends_amid_the_writing_leaves_no_file(
    world: World, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Neither if its source fails, nor by Ctrl-C."""
    path = world.folder / FILE
    saved()(path)
    monkeypatch.setattr(
        "bikecollect.storage.repair.repairer.write_all", Mock(side_effect=error)
    )

    with pytest.raises(type(error)):
        repair(world)

    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_that_cannot_be_read_keeps_no_other_from_its_repair(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named with the reason."""
    saved()(world.folder / FILE)
    world.clock.now += DAY
    world.fetch({"a": 1})
    later = "station_status/2026-11-24.csv"
    read = world.store.text

    def denied(store: Store, span: Span) -> bytes:
        if span.file == later:
            raise StorageError("cannot read it") from PermissionError()
        return read(span)

    monkeypatch.setattr(Store, "text", denied)

    assert repair(world) == [
        Repair(FILE, 3, ()),
        Repair(later, 0, (), "cannot read it"),
    ]


def edit_ledger(world: World, sql: str) -> None:
    """Run *sql* in the ledger, like a user in a shell."""
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db, db:
        db.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE blocks SET rows = rows + 1",
        "UPDATE blocks SET slot = slot + 60",
        "UPDATE blocks SET slot = slot - 7, rows = 0 WHERE slot % 900 = 0",
        "UPDATE blocks SET slot = slot + 86400",
        "UPDATE blocks SET start = start + 64 WHERE slot % 900 = 0",
        "UPDATE blocks SET start = start - 64 WHERE slot % 900 = 0",
        'UPDATE blocks SET "end" = "end" - 2',
        'UPDATE blocks SET "end" = "end" + (1 << 40) WHERE slot % 900 = 300',
        "UPDATE blocks SET crc32 = crc32 + (1 << 32)",
        "UPDATE blocks SET file = replace(file, '22', '32') WHERE slot % 900 = 0",
        "UPDATE blocks SET file = replace(file, '/', 'o') WHERE slot % 900 = 0",
        "UPDATE files SET header = header | 255",
        "UPDATE files SET damaged = damaged + 1",
    ],
)
def test_what_was_edited_or_damaged_in_the_ledger_is_corrected(
    world: World, sql: str
) -> None:
    """The lines of the CSV are the truth; nothing is written into it."""
    text = (world.folder / FILE).read_bytes()
    blocks = world.committed()
    edit_ledger(world, sql)
    before = findings(world)
    results = repair(world)

    named = ("the ledger has", "is marked as damaged")
    assert before
    assert all(any(name in finding for name in named) for finding in before)
    assert [result.file for result in results] == [FILE]
    assert world.committed() == blocks
    assert (world.folder / FILE).read_bytes() == text
    assert findings(world) == []
    assert repair(world) == []


def test_a_slot_that_was_filled_after_such_an_edit_is_there_once(world: World) -> None:
    """The edited block is removed; the changed file is kept."""
    blocks = world.committed()
    edit_ledger(world, "UPDATE blocks SET slot = slot + 60 WHERE slot % 900 = 0")
    (kept,) = [
        b.slot for b in blocks if b.slot not in {x.slot for x in world.committed()}
    ]
    (path,) = (world.folder / "payloads/kept").rglob(f"{stamp(kept)}.*.zip")
    path.rename(world.folder / "payloads/inbox" / path.name)
    world.fetch({"a": 1}, after=300)
    repair(world)

    slots = [block.slot for block in world.committed()]
    assert set(slots) > {block.slot for block in blocks}
    assert len(slots) == len(blocks) + 1
    assert world.agrees()
    assert findings(world) == []


def test_a_file_that_a_run_saw_changed_is_damaged_until_it_is_repaired(
    tmp_path: Path,
) -> None:
    """`status` says so, without reading the file; the notice has the remedy."""
    world = World(tmp_path / "city")
    world.fetch({"a": 3})
    path = world.folder / FILE
    intact = path.read_bytes()
    path.write_bytes(intact.replace(b",3,", b",4,"))
    (notice,) = world.fetch({"a": 4}, after=300).notices
    system = world.system
    (damage,) = find_damage(system, History("city", world.folder))
    path.write_bytes(intact)
    (repaired,) = repair(world)

    assert notice.text.endswith("run: bikecollect verify --repair city")
    assert damage.endswith("run: bikecollect verify --repair city")
    assert damage.startswith(f"{FILE} is damaged: another program changed it")
    assert not repaired.damaged
    assert find_damage(system, History("city", world.folder)) == []


def test_a_name_that_differs_in_more_than_a_byte_is_not_guessed() -> None:
    """The ledger of another program may have such names: the block stays a finding."""
    spans = [Span(f"station_status/2026-11-{day}.csv", 0, 9, 0) for day in (22, 13, 32)]
    blocks = [
        Block(Slot(300 * n), span, 1, fetched_at=0.0) for n, span in enumerate(spans)
    ]

    assert list(misnamed(blocks[:2], [spans[0].file])) == []
    ((wrong, right),) = misnamed([blocks[0], blocks[2]], [spans[0].file])
    assert (wrong, right.span) == (blocks[2], spans[0])
