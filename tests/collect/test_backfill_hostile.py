"""Another archive is untrusted: its errors affect only its own data."""

import errno
import gzip
import hashlib
import json
import lzma
import os
import shutil
import socket
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from in_process import bikecollect
from keeping import compacted
from templates import copied
from test_backfill import fill, toml
from world import NOON, TAIPEI, World

from bikecollect.archive.datasets import RUNS
from bikecollect.collect.filling import foreign_stations, taken_stations
from bikecollect.collect.filling.foreign_runs import checked, checked_incident
from bikecollect.collect.filling.foreign_stations import versions_of
from bikecollect.collect.filling.taken_stations import TakenStations
from bikecollect.collect.sources import foreign_ledger, table_rows, tables
from bikecollect.collect.sources.bikecollect_folder import FolderSource
from bikecollect.collect.sources.plausible import Plausible
from bikecollect.collect.sources.tables import TableSource
from bikecollect.core.errors import SettingsError, StorageError, UsageError
from bikecollect.core.slots import DAY, Slot
from bikecollect.core.snapshot import StationInformation
from bikecollect.core.timeline.grid import Grid
from bikecollect.storage.csv_format import INFORMATION_COLUMNS

CSV = "station_status/2026-11-22.csv"
LATER = NOON + DAY


@pytest.fixture
@copied
def world(tmp_path: Path) -> World:
    """Return a collector that misses a slot."""
    world = World(tmp_path / "bikes" / "city")
    (world.folder / ".bikecollect").touch()
    world.fetch({"a": 1})
    return world


@copied
def three_slots(folder: Path) -> World:
    """Return a collector in *folder* with three slots."""
    world = World(folder / "elsewhere" / "city")
    for bikes in (1, 2, 3):
        world.fetch({"a": bikes, "b": 5}, after=300)
    return world


@copied
def three_archived_slots(folder: Path) -> World:
    """Return a collector in *folder* with three slots that were archived."""
    world = three_slots(folder)
    world.clock.now += 2 * DAY
    compacted(world, 0)
    return world


@pytest.fixture
def other(tmp_path: Path) -> World:
    """Return another collector of the same city, with three slots."""
    return three_slots(tmp_path)


@contextmanager
def ledger(other: World) -> Iterator[sqlite3.Connection]:
    """Open the ledger of *other*, whole in one file."""
    path = other.folder / "ledger.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        yield db


def slots(other: World) -> list[int]:
    """Return which slots of *other* are read, counted from noon."""
    source = FolderSource(other.folder, Grid.of(300), LATER)
    return [int(snapshot.slot - NOON) // 300 for snapshot in source.snapshots()]


def statuses(other: World) -> list[tuple[object, ...]]:
    """Return what is read of *other*'s stations: id, vehicles, docks, last_reported."""
    source = FolderSource(other.folder, Grid.of(300), LATER)
    return [
        (station.station_id, station[1], station[3], station[10])
        for snapshot in source.snapshots()
        for station in snapshot.statuses
    ]


BLOCKS = (
    ("file = '/etc/passwd'", "an absolute path"),
    ("file = '../../secret.csv'", "a path that leads up"),
    ("file = 'station_status/../ledger.sqlite3'", "dots inside"),
    ("file = 'station_status/2026-11-22.csv/'", "a slash behind"),
    ("file = 'payloads/2026-11-22.csv'", "another folder"),
    ("file = 'station_status/2026-13-45.csv'", "no day"),
    ("file = 'station_status/0000-00-00.csv'", "the year 0"),
    ("file = 'station_status/2026-11-22.csv' || char(10)", "a newline"),
    ("file = ''", "nothing"),
    ('start = -1, "end" = 9223372036854775807', "a span of exabytes"),
    ('start = 300, "end" = 200', "a span backwards"),
    ("crc32 = 1", "another checksum"),
    ("slot = 253402300799", "the year 9999"),
    ("slot = -62135596800", "the year 1"),
    ("slot = 0", "1970"),
    ("slot = 9223372036854775807", "the largest number"),
    (f"slot = {int(LATER) + 300}", "the future"),
    ("slot = slot + 17", "off the grid of its rows"),
)


@pytest.mark.parametrize(("change", "what"), BLOCKS, ids=[w for _, w in BLOCKS])
def test_an_impossible_block_is_skipped_and_counted(
    other: World, change: str, what: str
) -> None:
    """The neighbouring blocks are read."""
    with ledger(other) as db:
        db.execute(f"UPDATE blocks SET {change} WHERE slot = ?", (NOON + 600,))
    db.close()
    source = FolderSource(other.folder, Grid.of(300), LATER)

    numbers = [int(snapshot.slot - NOON) // 300 for snapshot in source.snapshots()]

    assert numbers == [1, 3]
    assert source.bad == 1


VIEWS = (
    "CREATE VIEW blocks AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM"
    " r) SELECT n AS slot, 'x' AS file, 1 AS start, 2 AS \"end\", 3 AS crc32 FROM r",
    "CREATE VIEW blocks AS SELECT * FROM old",
    'CREATE VIRTUAL TABLE blocks USING fts5(slot, file, start, "end", crc32)',
    'CREATE TABLE blocks (slot TEXT, file, start, "end", crc32)',
    'CREATE TABLE blocks (slot INTEGER PRIMARY KEY, file, start, "end" AS (zeroblob('
    "1000000000)), crc32)",
    "CREATE TABLE blocks (slot INTEGER PRIMARY KEY)",
    "CREATE TABLE other (x)",
)


@pytest.mark.parametrize("sql", VIEWS)
def test_a_ledger_with_views_in_place_of_tables_is_refused(
    other: World, sql: str
) -> None:
    """A view may recurse for ever, a virtual table run code: neither is queried."""
    with ledger(other) as db:
        db.execute("ALTER TABLE blocks RENAME TO old")
        db.execute(sql)
    db.close()

    with pytest.raises(StorageError, match="blocks is not a table of a ledger"):
        slots(other)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIEW files AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1"
        " FROM r) SELECT n AS file, 2 AS damaged FROM r",
        "CREATE VIRTUAL TABLE files USING fts5(file, damaged)",
    ],
)
def test_a_view_in_place_of_the_table_of_files_is_refused(
    other: World, sql: str
) -> None:
    """Nor is a virtual table, which needs no key."""
    with ledger(other) as db:
        db.execute("ALTER TABLE files RENAME TO old")
        db.execute(sql)
    db.close()

    with pytest.raises(StorageError, match="files is not a table of a ledger"):
        slots(other)


def test_triggers_and_other_views_are_not_run(other: World) -> None:
    """Other parts of the schema are ignored; nothing is written there."""
    with ledger(other) as db:
        db.execute("CREATE VIEW loop AS SELECT * FROM loop")
        db.execute(
            "CREATE TRIGGER t AFTER UPDATE ON blocks BEGIN DELETE FROM runs; END"
        )
    db.close()
    before = (other.folder / "ledger.sqlite3").read_bytes()

    assert slots(other) == [1, 2, 3]
    assert (other.folder / "ledger.sqlite3").read_bytes() == before
    assert {path.name for path in other.folder.glob("ledger*")} == {"ledger.sqlite3"}


def test_a_ledger_that_takes_too_many_steps_is_refused(
    other: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's steps are counted, not seconds."""
    monkeypatch.setattr(foreign_ledger, "STEPS", 1)
    monkeypatch.setattr(foreign_ledger, "MAX_STEPS", 50)

    with pytest.raises(StorageError, match="interrupted"):
        slots(other)


def test_a_full_disk_for_the_copy_of_the_ledger_is_no_fault_of_the_ledger(
    other: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To fill from the CSV files, without the ledger, was the remedy that was named."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(foreign_ledger, "write_all", Mock(side_effect=full))

    with pytest.raises(StorageError, match=r"^cannot write .+scratch.+ set TMPDIR"):
        slots(other)


def test_a_value_of_many_megabytes_is_refused(other: World) -> None:
    """It is not even read."""
    with ledger(other) as db:
        db.execute("UPDATE blocks SET file = printf('%.*c', 9000000, 'x')")
    db.close()

    with pytest.raises(StorageError, match="too big"):
        slots(other)


def test_the_wal_of_the_ledger_is_read(other: World) -> None:
    """An active collector has its newest blocks there."""
    db = sqlite3.connect(other.folder / "ledger.sqlite3", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN")
    db.execute("SELECT count(*) FROM blocks").fetchall()
    other.fetch({"a": 4}, after=300)
    waiting = (other.folder / "ledger.sqlite3-wal").stat().st_size

    numbers = slots(other)
    db.close()

    assert waiting > 0
    assert numbers == [1, 2, 3, 4]


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(path.parent)  # names of sockets are short
        listener.bind(path.name)


def _zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _copy(path: Path) -> None:
    path.symlink_to(path.with_name("moved"))


PLANTED = pytest.mark.parametrize("plant", [_fifo, _socket, _zero, _copy])


@PLANTED
def test_a_daily_file_that_is_not_regular_is_not_opened(
    other: World, plant: Callable[[Path], None]
) -> None:
    """No link is followed, no FIFO waited for, /dev/zero not read."""
    (other.folder / CSV).rename(other.folder / "station_status/moved")
    plant(other.folder / CSV)
    source = FolderSource(other.folder, Grid.of(300), LATER)

    assert list(source.snapshots()) == []
    assert source.bad == 3


@PLANTED
def test_a_ledger_that_is_no_file_is_not_opened(
    other: World, plant: Callable[[Path], None]
) -> None:
    """The error names it, and what to do."""
    (other.folder / "ledger.sqlite3").rename(other.folder / "moved")
    plant(other.folder / "ledger.sqlite3")

    with pytest.raises(StorageError, match=r"ledger\.sqlite3.*folder without it"):
        slots(other)


def test_a_folder_of_days_that_is_a_link_is_not_followed(
    other: World, tmp_path: Path
) -> None:
    """With a ledger and without one."""
    (other.folder / "station_status").rename(tmp_path / "days")
    (other.folder / "station_status").symlink_to(tmp_path / "days")
    with_ledger = slots(other)
    for path in other.folder.glob("ledger*"):
        path.unlink()

    assert with_ledger == []
    with pytest.raises(StorageError, match="cannot read"):
        slots(other)


def test_blocks_may_not_be_longer_than_their_file(
    other: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million blocks at one position would take days to read."""
    read: list[int] = []
    pread = os.pread

    def counted(fd: int, length: int, offset: int) -> bytes:
        read.append(length if offset else 0)  # else it is the header
        return pread(fd, length, offset)

    monkeypatch.setattr(os, "pread", counted)
    with ledger(other) as db:
        db.execute(
            "UPDATE blocks SET start = (SELECT min(start) FROM blocks),"
            ' "end" = (SELECT max("end") FROM blocks)'
        )
    db.close()
    source = FolderSource(other.folder, Grid.of(300), LATER)

    assert list(source.snapshots()) == []
    assert source.bad == 3
    assert sum(read) <= (other.folder / CSV).stat().st_size


def rewrite(other: World, change: Callable[[str], str]) -> None:
    """Change the rows of noon's second slot, and the ledger with them."""
    path = other.folder / CSV
    with ledger(other) as db:
        sql = 'SELECT start, "end" FROM blocks WHERE slot = ?'
        ((start, end),) = db.execute(sql, (NOON + 600,)).fetchall()
        data = path.read_bytes()
        text = change(data[start:end].decode("utf-8")).encode(
            "utf-8", "surrogateescape"
        )
        path.write_bytes(data[:start] + text + data[end:])
        moved = len(text) - (end - start)
        db.execute(
            'UPDATE blocks SET start = start + ?1, "end" = "end" + ?1 WHERE start > ?2',
            (moved, start),
        )
        db.execute(
            'UPDATE blocks SET "end" = "end" + ?, crc32 = ? WHERE slot = ?',
            (moved, zlib.crc32(text), NOON + 600),
        )


VALUES = (
    ("a,2,", "a,99999999999999999999,", ("a", None)),
    ("a,2,", "a,-3,", ("a", None)),
    ("a,2,", "a,1e400,", ("a", None)),
    ("a,2,", "a,nan,", ("a", None)),
    ("a,2,", "a\x1b[2J,2,", ("a [2J", 2)),
    ("a,2,", "\u202ea,2,", ("a", 2)),
    ("a,2,", f"{'x' * 70_000},2,", None),
    ("a,2,", ",2,", None),
    ("a,2,", "a,٣,", ("a", 3)),
)


@pytest.mark.parametrize(("old", "new", "read"), VALUES)
def test_an_impossible_value_is_skipped_and_counted(
    other: World, old: str, new: str, read: tuple[object, ...] | None
) -> None:
    """Counts of twenty digits, negative ones, texts with escapes."""
    rewrite(other, lambda text: text.replace(old, new))
    source = FolderSource(other.folder, Grid.of(300), LATER)

    snapshots = [
        snapshot for snapshot in source.snapshots() if snapshot.slot == NOON + 600
    ]

    stations = [station[:2] for station in snapshots[0].statuses]
    assert stations == [*([read] if read else []), ("b", 5)]
    assert source.bad + source.odd == (read is None or None in read)


@pytest.mark.parametrize(
    "stamp",
    ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2300-01-01T00:00:00Z"],
)
def test_an_impossible_time_is_empty(other: World, stamp: str) -> None:
    """That of the fetch and that of a station; the row is kept."""
    rewrite(
        other,
        lambda text: "".join(
            ",".join(
                [*line.split(",")[:1], stamp, *line.split(",")[2:12], f"{stamp}\n"]
            )
            for line in text.splitlines()
        ),
    )
    source = FolderSource(other.folder, Grid.of(300), LATER)

    snapshots = [
        snapshot for snapshot in source.snapshots() if snapshot.slot == NOON + 600
    ]

    assert [station[0::10] for station in snapshots[0].statuses] == [
        ("a", None),
        ("b", None),
    ]
    assert snapshots[0].fetched_at == NOON + 600
    assert source.odd == 3


def test_a_folder_without_a_ledger_is_read_line_by_line(other: World) -> None:
    """Invalid lines are skipped, and so is the last group of a torn file."""
    for path in other.folder.glob("ledger*"):
        path.unlink()
    with (other.folder / CSV).open("ab") as out:
        out.write(b"noon,a,1\nnoon,b,2\n")
        out.write(b"x" * 400_000)

    assert slots(other) == [1, 2]


RUN = dict.fromkeys(RUNS) | {
    "run_id": "0a1b2c3d",
    "slot": int(NOON),
    "started": NOON + 1.5,
    "outcome": "unavailable",
    "cause": "dns",
}


@pytest.mark.parametrize(
    "change",
    [
        {"run_id": "\x1b[2J"},
        {"run_id": None},
        {"slot": int(NOON) * 9},
        {"started": float("nan")},
        {"started": "now"},
        {"outcome": "splendid"},
        {"cause": "<b>"},
    ],
    ids=str,
)
def test_an_implausible_run_is_not_taken_over(change: dict[str, object]) -> None:
    """Of a plausible one, other values are empty, and texts are escaped and cut."""
    judge = Plausible(NOON + 60)
    odd = {"error": "a\n" + "b" * 5_000, "rows": "many", "uptime": float("inf")}

    taken = checked(list((RUN | odd).values()), judge.is_time)
    run = dict(zip(RUNS, taken or (), strict=True))

    assert checked(list((RUN | change).values()), judge.is_time) is None
    assert (run["rows"], run["uptime"], run["http_status"]) == (0, 0.0, None)
    assert run["error"] == "a\\x0a" + "b" * 997


@pytest.mark.parametrize(
    ("kind", "causes", "taken"),
    [
        ("damage", '{"unknown": 2}', ("damage", {"unknown": 2})),
        ("damage", '{"older-folder": 2}', ("damage", {"older-folder": 2})),
        ("disk", '{"\x1b[2J": 9}', ("disk", {"disk": 2})),
        ("folder", "[", ("folder", {"folder": 2})),
        ("ledger", '{"ledger": 1}', ("ledger", {"ledger": 2})),
        ("ledger", '{"runs-lost": 1}', ("ledger", {"runs-lost": 2})),
        ("settings", None, ("settings", {"settings": 2})),
        ("fetch", '{"dns": 2}', None),
        ("\x1b[2J", '{"dns": 2}', None),
        (b"disk", None, None),
    ],
)
def test_only_incidents_that_are_the_cause_of_slots_without_a_run_are_taken_over(
    kind: object, causes: object, taken: object
) -> None:
    """Of their texts nothing, and none whose slots are implausible."""
    judge, slot = Plausible(NOON + 60), int(NOON)
    spans = (slot - 300, slot, 2), (slot - 300, slot, 0), (slot, slot - 300, 2)

    first, *others = (
        checked_incident(("a1", kind, *span, causes), judge.is_time) for span in spans
    )

    assert (first and (first.kind, first.causes)) == taken
    assert others == [None, None]


def test_runs_that_cannot_be_read_do_not_keep_slots_from_being_filled(
    other: World,
) -> None:
    """A value is too large: the error is counted."""
    with ledger(other) as db:
        db.execute("UPDATE runs SET error = hex(zeroblob(900000))")
    source = FolderSource(other.folder, Grid.of(300), LATER)

    assert list(source.runs()) == []
    assert source.bad == 1
    assert slots(other) == [1, 2, 3]


def test_runs_are_read_a_few_at_a_time_and_long_texts_are_cut(
    other: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger of gigabytes is no reason to run out of memory."""
    monkeypatch.setattr(foreign_ledger, "BATCH", 2)
    with ledger(other) as db:
        db.execute("UPDATE runs SET error = hex(zeroblob(100000))")

    batches = list(FolderSource(other.folder, Grid.of(300), LATER).runs())

    assert [len(batch) for batch in batches] == [2, 1]
    assert {len(row[list(RUNS).index("error")]) for row in batches[0]} == {2_000}


@pytest.fixture
def archived(other: World, tmp_path: Path) -> Path:
    """Return the archive of *other*, whose CSV was removed."""
    shutil.rmtree(other.folder.parent)
    return three_archived_slots(tmp_path).folder.parent / "archive"


def certificate(archive: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change values in the certificate of the day."""
    (path,) = (archive / "certificates/system_id=city").glob("2026-11-22.json")
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def test_an_archived_day_is_read(other: World, archived: Path) -> None:
    """It has the values of its CSV."""
    assert slots(other) == [1, 2, 3]
    assert statuses(other)[:2] == [("a", 1, 2, None), ("b", 5, 2, None)]


LIES: tuple[Callable[[dict[str, object]], object], ...] = (
    lambda values: values.update(date="2026-11-23"),
    lambda values: values.update(system_id="elsewhere"),
    lambda values: values.update(rows=10**20),
    lambda values: values.update(rows=7),
    lambda values: values.update(timezone="../../../etc/passwd"),
    lambda values: values.update(timezone="x" * 9_999),
    lambda values: values.update(timezone="America/New_York"),
    lambda values: values.update(parts={}),
    lambda values: values.update(
        parts={"station_status": {"bytes": 1e400, "sha256": ""}}
    ),
    lambda values: values.update(padding="x" * 999_999),
)


@pytest.mark.parametrize("lie", LIES)
def test_a_day_with_a_false_certificate_is_skipped(
    other: World, archived: Path, lie: Callable[[dict[str, object]], object]
) -> None:
    """Another day or system, other rows, a zone that is a path."""
    certificate(archived, lie)
    source = FolderSource(other.folder, Grid.of(300), LATER)

    snapshots = [
        snapshot for snapshot in source.snapshots() if snapshot.slot == NOON + 300
    ]

    assert snapshots == []
    assert source.bad > 0


@pytest.mark.parametrize("text", ["[" * 200_000, "7", "null", "", '{"date": NaN}'])
def test_a_day_with_an_invalid_certificate_is_skipped(
    other: World, archived: Path, text: str
) -> None:
    """Any other content in its place."""
    (path,) = (archived / "certificates/system_id=city").glob("2026-11-22.json")
    path.write_text(text, encoding="utf-8")

    assert slots(other) == []


@pytest.mark.parametrize("name", ["2026-11-22.json.tmp", "city-notes.json"])
def test_only_a_certificate_by_its_name_makes_a_day_archived(
    other: World, name: str
) -> None:
    """What a killed `compact` left keeps no rows of the CSV from being read."""
    folder = other.folder.parent / "archive/certificates/system_id=city"
    folder.mkdir(parents=True)
    (folder / name).touch()
    source = FolderSource(other.folder, Grid.of(300), LATER)

    assert len(list(source.snapshots())) == 3
    assert source.bad == 0


def test_an_archived_file_of_slots_that_is_none_costs_the_flags_only(
    other: World, archived: Path
) -> None:
    """Its size and sha256 are certified, and it is no Parquet."""
    (path,) = (archived / "slots/system_id=city").glob("*-22/part.parquet")
    path.write_bytes(b"none")
    part = {"bytes": 4, "sha256": hashlib.sha256(b"none").hexdigest()}
    certificate(archived, lambda values: values["parts"].update(slots=part))

    assert slots(other) == [1, 2, 3]


@PLANTED
def test_an_archived_file_that_is_not_regular_is_not_opened(
    other: World, archived: Path, plant: Callable[[Path], None]
) -> None:
    """Neither the rows nor the certificate."""
    (path,) = (archived / "station_status/system_id=city").glob("*-22/part.parquet")
    path.rename(path.with_name("moved"))
    plant(path)

    assert slots(other) == []


def table(tmp_path: Path, *lines: str) -> TableSource:
    """Return a table of one's own with *lines* below its header."""
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["t,id,n", *lines, ""]), encoding="utf-8")
    return mapped(path)


def mapped(path: Path) -> TableSource:
    """Return the table in *path*, of times, ids and counts."""
    maps = ("time=t", "station_id=id", "num_vehicles_available=n")
    return TableSource([path], TAIPEI, Grid.of(300), LATER, maps)


GOOD = [f"2026-11-22 12:0{n}:00,a,{n}" for n in range(10)]


@pytest.mark.parametrize(
    "line",
    [
        "9999-12-31 23:59:59,a,1",
        "0001-01-01 00:00:00,a,1",
        "2026-11-24 12:00:01,a,1",
        "99999999999,a,1",
        "1970-01-01 00:00:00,a,1",
        "2026-11-22 12:00:00,a,99999999999999999999",
        "2026-11-22 12:00:00,a,-1",
        "2026-11-22 12:00:00,,1",
        f"2026-11-22 12:00:00,{'x' * 2_000},1",
        f"2026-11-22 12:00:00,{'x' * 500_000},1",
        "too,few",
        "1,2,3,4",
        'an open "quote',
        "\x00",
    ],
)
def test_an_impossible_line_is_skipped_and_counted(tmp_path: Path, line: str) -> None:
    """The others are read."""
    source = table(tmp_path, *GOOD, line)

    snapshots = list(source.snapshots())

    assert [int(snapshot.slot - NOON) for snapshot in snapshots] == [0, 300]
    assert source.bad == 1


def test_a_line_that_is_not_utf8_is_skipped(tmp_path: Path) -> None:
    """Latin-1 in one line of many."""
    source = table(tmp_path, *GOOD)
    with source.paths[0].open("ab") as out:
        out.write(b"2026-11-22 12:00:00,\xe9,1\n")

    assert len(list(source.snapshots())) == 2
    assert source.bad == 1


def test_another_encoding_costs_only_the_cells_that_have_it(tmp_path: Path) -> None:
    """Names of columns and of stations in Latin-1; ids in it are no ids."""
    path = tmp_path / "latin.csv"
    good = b"2026-11-22 12:00:00,a,1,M\xfcnchner Platz"
    odd = [b"2026-11-22 12:00:00,%b,1,Lyon" % name for name in (b"\xe9", b"\xff")]
    path.write_bytes(b"\n".join([b"t,id,r\xe4der,name", *[good] * 8, *odd, good]))
    maps = ("time=t", "station_id=id", "num_vehicles_available=räder")
    source = TableSource([path], TAIPEI, Grid.of(300), LATER, maps)

    (snapshot,) = source.snapshots()

    assert [station[:2] for station in snapshot.statuses] == [("a", 1)]
    assert source.bad == 2


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("a.zip", b"PK\x03\x04rest", "a zip file"),
        ("a.csv", gzip.compress(b"t,id,n\n"), "gzip without the ending .gz"),
        ("a.csv.xz", lzma.compress(b"t,id,n\n"), "compressed by xz"),
    ],
    ids=["zip", "gzip", "xz"],
)
def test_a_packed_table_is_named_as_such(
    tmp_path: Path, name: str, data: bytes, what: str
) -> None:
    """Its bytes are not shown as the names of columns."""
    path = tmp_path / name
    path.write_bytes(data)

    with pytest.raises(StorageError, match=f"{name}: it is .*{what}"):
        list(mapped(path).snapshots())


@pytest.mark.parametrize(
    ("times", "is_warned"),
    [
        (("2026-11-22 12:00:00", "2026-11-22 12:05:00"), True),
        (("2026-11-22T12:00:00Z", "2026-11-22 12:05:00+00:00"), False),
        (("1795348800", "1795349100"), False),
    ],
)
def test_a_zone_that_nothing_confirms_is_named(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    times: tuple[str, str],
    *,
    is_warned: bool,
) -> None:
    """A column of times in UTC, read as local, is hours wrong in every row."""
    source = table(tmp_path, *(f"{time},a,1" for time in times))

    assert len(list(source.snapshots())) == 2
    assert ("read as Asia/Taipei, but nothing" in caplog.text) is is_warned


def test_a_quote_that_is_never_closed_does_not_swallow_the_rest(tmp_path: Path) -> None:
    """It takes at most the length of one value."""
    lines = [f"2026-11-22 12:00:00,{'y' * 90},{n}" for n in range(3_000)]
    source = table(tmp_path, '2026-11-22 12:00:00,"a,1', *lines)

    snapshots = list(source.snapshots())

    assert len(snapshots) == 1


def test_unordered_rows_are_sorted(tmp_path: Path) -> None:
    """Each slot occurs once, the oldest first; the sort is stable."""
    source = table(tmp_path, *reversed(GOOD), "2026-11-22 12:00:00,b,7")

    snapshots = list(source.snapshots())

    assert [int(snapshot.slot - NOON) for snapshot in snapshots] == [0, 300]
    assert [station[:2] for station in snapshots[0].statuses] == [("a", 0), ("b", 7)]


def test_a_gzip_bomb_is_not_inflated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table shrinks to a tenth or a fortieth, not to a thousandth."""
    monkeypatch.setattr(table_rows, "SMALL", 1_000)
    path = tmp_path / "bomb.csv.gz"
    line = b"2026-11-22 12:00:00,a,1\n"
    path.write_bytes(gzip.compress(b"t,id,n\n" + line * 50_000))

    with pytest.raises(StorageError, match="decompresses to more than"):
        list(mapped(path).snapshots())


def test_a_compressed_table_is_read(tmp_path: Path) -> None:
    """A truncated one is named."""
    path = tmp_path / "table.csv.gz"
    packed = gzip.compress("\n".join(["t,id,n", *GOOD, ""]).encode())
    path.write_bytes(packed)
    count = len(list(mapped(path).snapshots()))
    path.write_bytes(packed[:-20])

    assert count == 2
    with pytest.raises(StorageError, match=str(path)):
        list(mapped(path).snapshots())


def test_a_slot_with_endless_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If every row has the same time, the wrong column was mapped."""
    monkeypatch.setattr(tables, "MAX_IN_A_SLOT", 10_000)
    source = table(tmp_path, *(f"2026-11-22 12:00:00,{n},1" for n in range(10_001)))

    with pytest.raises(SettingsError, match="check the time column"):
        list(source.snapshots())


def test_a_table_of_many_columns_is_refused(tmp_path: Path) -> None:
    """It is not a table of stations; the error does not list all columns."""
    path = tmp_path / "wide.csv"
    path.write_text(",".join(map(str, range(20_000))) + "\n", encoding="utf-8")

    with pytest.raises(StorageError, match="20000 columns"):
        list(mapped(path).snapshots())


@PLANTED
def test_a_table_that_is_not_a_regular_file_is_not_opened(
    world: World, tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    """Whether named by the user or found in a folder: nothing waits or is filled."""
    (tmp_path / "tables").mkdir()
    plant(tmp_path / "tables/x.csv")
    config = toml(tmp_path)
    command = ("--config", config, "backfill", "city", "--from")

    named = bikecollect(*command, tmp_path / "tables/x.csv")
    inside = bikecollect(*command, tmp_path / "tables")

    assert named.returncode in {64, 74}
    assert inside.returncode == 74
    assert "Traceback" not in named.stderr + inside.stderr
    assert len(world.committed()) == 1


def test_a_link_that_the_user_names_is_followed(world: World, tmp_path: Path) -> None:
    """`latest.csv` may lead to this month's file."""
    table(tmp_path, *GOOD)
    (tmp_path / "latest.csv").symlink_to("table.csv")
    maps = ("--map", "time=t", "--map", "station_id=id")
    more = (*maps, "--map", "num_vehicles_available=n")

    text = fill(world, "--from", tmp_path / "latest.csv", *more, "--force")

    assert "1 slot filled" in text


def test_parquet_of_another_system_is_refused_by_its_path(
    world: World, tmp_path: Path
) -> None:
    """Its path has the system's id, like an archive's."""
    path = tmp_path / "x/system_id=oslo/date=2026-11-22"
    path.mkdir(parents=True)
    (path / "part.parquet").touch()
    config = toml(tmp_path)

    process = bikecollect(
        "--config", config, "backfill", "city", "--from", tmp_path / "x"
    )

    assert process.returncode == 64
    assert "belongs to the system oslo, not to city" in process.stderr


def parquet(path: Path, sql: str, *, rows: int) -> TableSource:
    """Write the result of *sql*, in one row group, to *path*; return the table."""
    duckdb = pytest.importorskip("duckdb")
    duckdb.execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE {rows})")
    return mapped(path)


def test_impossible_parquet_values_are_skipped(tmp_path: Path) -> None:
    """Of any type: lists, blobs, infinite numbers, texts of megabytes."""
    source = parquet(
        tmp_path / "odd.parquet",
        "SELECT TIMESTAMP '2026-11-22 12:00:00' AS t, 's' || i AS id,"
        " CASE WHEN i = 0 THEN 'inf' WHEN i = 1 THEN repeat('9', 5000000)"
        " ELSE '3' END AS n FROM range(20) AS r(i)",
        rows=100,
    )

    (snapshot,) = source.snapshots()

    assert len(snapshot.statuses) == 18
    assert source.bad == 2


def test_damaged_parquet_is_named(tmp_path: Path) -> None:
    """Exit code 74, not a crash."""
    path = tmp_path / "bad.parquet"
    parquet(path, "SELECT 1 AS t, 'a' AS id, 1 AS n", rows=100)
    data = bytearray(path.read_bytes())
    data[20:60] = b"\xff" * 40
    path.write_bytes(data)

    with pytest.raises((StorageError, UsageError), match=r"bad\.parquet"):
        list(mapped(path).snapshots())


def test_skipped_rows_blocks_and_values_are_reported(
    world: World, other: World
) -> None:
    """With their number, at the end."""
    rewrite(other, lambda text: text.replace("a,2,", "a,-3,"))

    text = fill(world, "--from", other.folder, "--force")

    assert "1 impossible value of the other archive" in text


LISTED = "2026-11-22T12:00:00+08:00,{},A,,25,121,9,,,,,,,,true"
LINES = (
    (LISTED.format("a"), StationInformation("a", "A", None, 25.0, 121.0, 9)),
    (LISTED.format("=cmd()"), StationInformation("=cmd()", "A", None, 25.0, 121.0, 9)),
    (
        LISTED.format("a").replace("25", "1e999"),
        StationInformation("a", "A", None, None, None, 9),
    ),
    (
        LISTED.format("a").replace(",9,", ",-9,"),
        StationInformation("a", "A", None, 25.0, 121.0),
    ),
    (
        LISTED.format("a").replace(",9,", f",{'9' * 30},"),
        StationInformation("a", "A", None, 25.0, 121.0),
    ),
    (LISTED.format(""), None),
    (LISTED.format("a" * 300), None),
    (LISTED.format("a").replace("A", "A" * 40_000), None),
    (LISTED.format('"a'), None),
    (LISTED.format("a").replace("true", "perhaps"), None),
    (LISTED.format("a").replace("2026", "2027"), None),
    (LISTED.format("a").replace("2026", "1026"), None),
    (LISTED.format("a").replace("+08:00", ""), None),
    (LISTED.format("a").replace("A", "\udcff"), None),
    (LISTED.format("a") + ",", None),
    ("", None),
)


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_an_impossible_version_of_a_station_is_skipped_and_counted(
    other: World, line: str, expected: StationInformation | None
) -> None:
    """Invalid values are empty, lines without id or time are skipped."""
    good, header = LISTED.format("ok"), ",".join(INFORMATION_COLUMNS)
    text = "\n".join([header, line, good, good.replace("ok", "torn")])
    path = other.folder / "station_information.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    source = FolderSource(other.folder, Grid.of(300), LATER)

    known = versions_of(source)

    found = [v for versions in known.values() for v in versions.values()]
    assert [v.station_id for v in found if v.name == "A"][-1] == "ok"
    assert found[:-1] == ([expected] if expected else [])
    odd = expected is not None and None in {expected.lat, expected.capacity}
    assert (source.bad > 1, source.odd > 0) == (expected is None, odd)


@pytest.mark.parametrize("content", ["slot,station_id\n", "", "\x00" * 70_000, "link"])
def test_a_list_of_stations_that_is_none_is_named(
    other: World, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The slots are filled all the same."""
    path = other.folder / "station_information.csv"
    path.write_text(content)
    if content == "link":
        path.unlink()
        path.symlink_to("/etc/passwd")
    source = FolderSource(other.folder, Grid.of(300), LATER)

    assert versions_of(source) == {}
    assert f"the stations of {source.label} are not taken over: " in caplog.text
    assert (source.bad, len(list(source.snapshots()))) == (1, 3)


def test_a_list_of_stations_may_not_be_endless(
    other: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its bytes nor its versions."""
    source = FolderSource(other.folder, Grid.of(300), LATER)
    assert len(versions_of(source)) == 2
    for name in ("MAX_BYTES", "MAX_VERSIONS"):
        with monkeypatch.context() as patch:
            patch.setattr(foreign_stations, name, 1)

            assert versions_of(source) == {}


def test_stations_beyond_the_longest_list_are_left_out(
    world: World, other: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run reads the whole list."""
    monkeypatch.setattr(taken_stations, "MAX_LISTED", 2)
    other.fetch({"a": 1, "b": 1, "c": 1}, after=300)
    source = FolderSource(other.folder, Grid.of(300), LATER)
    taken = TakenStations()

    taken.take(source, world.locked_files())

    with closing(world.ledger) as ledger:
        ledger.open()
        assert set(ledger.stations(Slot(int(LATER)))) == {"a", "b"}
