"""Impossible values in our own files or ledger do not affect other data."""

import sqlite3
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from keeping import compacted, findings, verifier, viewed
from test_query_bounds import files
from world import NOON, World

from bikecollect.archive.certificates import Certificate
from bikecollect.archive.day_csv import DaySummary
from bikecollect.cli import main
from bikecollect.cli.options import Screen
from bikecollect.core.slots import DAY
from bikecollect.reports.registry import REPORTS

pytest.importorskip("duckdb")

SLOT = int(NOON) + 600
BLOCK = (
    "INSERT INTO blocks SELECT {0}, '{1}', start, \"end\", crc32, rows, sha256,"
    " fetched_at, last_updated, 'x' || run_id, uptime, boot_id, source, flags"
    " FROM blocks LIMIT 1"
)
RUN = (
    "INSERT INTO runs SELECT 'x' || run_id, {0}, {1}, {1}, outcome, cause, http_status,"
    " attempts, bytes, stations, rows, flags, file, seconds, accepted, boot_id, uptime,"
    " version, error, notices, tries, awake FROM runs LIMIT 1"
)
BLOCKS = (
    BLOCK.format(253402300799, "station_status/9999-12-31.csv"),
    BLOCK.format(-62135596800, "station_status/0001-01-01.csv"),
    BLOCK.format(0, "station_status/1970-01-01.csv"),
    BLOCK.format(1 << 62, "station_status/2026-11-22.csv"),
    BLOCK.format(SLOT + 77, "../../../etc/passwd"),
    BLOCK.format(SLOT + 77, ""),
    f"UPDATE blocks SET rows = 1 << 62, fetched_at = 1e300, last_updated = 1 << 62"
    f" WHERE slot = {SLOT}",
    f"UPDATE blocks SET rows = -5, fetched_at = -9e999, last_updated = -(1 << 62)"
    f" WHERE slot = {SLOT}",
)
OTHERS = (
    RUN.format(1 << 62, 1e300),
    RUN.format(0, 0).replace("'x'", "'y'"),
    RUN.format(-62135596800, -1e300).replace("'x'", "'z'"),
    RUN.format(SLOT, "9e999").replace("'x'", "'w'"),
    "INSERT INTO incidents VALUES ('q', 'disk', -62135596800, 1 << 62, NULL, 1 << 62,"
    " -5, 0, '{}', 'x')",
    "INSERT INTO incidents VALUES ('r', 'odd', 0, 0, NULL, 1, 1, 0, '[1]', 'x')",
    "INSERT INTO archives VALUES ('9999-99-99', 1, 1, 'x', 'Nowhere', 1e300, 0, '{}')",
    "INSERT INTO archives VALUES ('x', 1, 1, 'x', '', 0, 0, '{')",
    "INSERT INTO files VALUES ('../../x', 5, 1, 1, 0, NULL)",
    "INSERT INTO stations (station_id, valid_from, capacity, lat, is_listed)"
    " VALUES ('q', 1 << 62, 1 << 62, 1e300, 1)",
)
VALUES = (
    (b",a,1,", b",a,99999999999999999999,"),
    (b",a,1,", b",a,-3,"),
    (b",a,1,", b",a,x,"),
    (b",a,1,", b",a,7.0,"),
    (b",a,1,", b",a,007,"),
    (b",true,", b",maybe,"),
    (b"2026-11-22T12:10:02+08:00", b"9999-12-31T23:59:59-14:00"),
    (b"2026-11-22T12:10:02+08:00", b"0001-01-01T00:00:00+14:00"),
    (b"2026-11-22T12:10:02+08:00", b"yesterday"),
    (b"2026-11-22T12:10:02+08:00", b"2026-11-22T04:10:02Z"),
    (b",a,1,", b",a\x1b[2J\xe2\x80\xa8,1,"),
    (b",a,1,", b"," + b"z" * 9_000 + b",1,"),
    (b",a,1,", b',"a, ""quoted""",1,'),
)
COMMANDS = (
    "status",
    "status --format json",
    "status --format prometheus",
    "runs",
    "runs --format json",
    "runs show 2026-11-22T12:10",
    "backfill-report",
    "backfill-report --format json",
    "backfill-report --stations",
    *(f"report {name}" for name in REPORTS if name != "chance"),
    "export",
    "export --names --format jsonl",
    "export --what slots",
    "export --what runs",
    "export --what coverage",
    "export -o out.parquet",
    "verify --deep",
    "backfill",
)
NO_VEHICLES = {f"report {name}": 64 for name in REPORTS if name.startswith("vehicle")}
"""The reports on vehicles say that this history has none."""
FEW = (
    *("status --format json", "runs", "backfill-report", "report availability"),
    *("report episodes", "export", "export --what slots", "export -o out.parquet"),
    *("verify --deep", "backfill"),
)
"""Those that look at all kinds of data, for where there are many oddities."""


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world of two closed days with three slots each."""
    world = World(folder / "city")
    (world.folder / ".bikecollect").touch()
    for _ in range(2):
        for bikes in (0, 1, 2):
            world.fetch({"a": bikes, "b": 5}, after=300)
        world.clock.now += DAY - 900
    return world


def ledger(world: World, *statements: str) -> None:
    """Change the ledger of *world*."""
    db = sqlite3.connect(world.folder / "ledger.sqlite3", isolation_level=None)
    db.executescript(";".join(statements))
    db.close()


def codes(world: World, tmp_path: Path, lines: Sequence[str]) -> dict[str, int]:
    """Run the command *lines*; return those whose exit code is neither 0 nor 1."""
    config = tmp_path / "bikecollect.toml"
    config.write_text(
        f'data_dir = "{world.folder.parent}"\n[systems.city]\nfeed = "youbike"\n'
        'timezone = "Asia/Taipei"\nurl = "http://127.0.0.1:9/"\n',
        encoding="utf-8",
    )
    results = {
        line: main.run(["--config", str(config), *line.split()]) for line in lines
    }
    Screen.lost = None
    return {line: code for line, code in results.items() if code not in {0, 1}}


@pytest.mark.parametrize("statement", BLOCKS)
def test_no_command_fails_on_an_odd_block_of_the_ledger(
    world: World, tmp_path: Path, statement: str
) -> None:
    """Years 1 and 9999, the largest numbers, paths that lead out."""
    ledger(world, statement)

    assert codes(world, tmp_path, FEW) == {}


def test_no_command_fails_on_other_odd_rows_of_the_ledger(
    world: World, tmp_path: Path
) -> None:
    """Runs without end, incidents of all times, invalid JSON."""
    ledger(world, *OTHERS)

    assert codes(world, tmp_path, COMMANDS) == NO_VEHICLES


@pytest.mark.parametrize("statement", [*BLOCKS[:6], ";".join(OTHERS)])
def test_days_are_archived_despite_odd_rows_of_the_ledger(
    world: World, statement: str
) -> None:
    """Exactly the two days are archived, and their rows are the same."""
    with viewed(world) as db:
        before = db.execute("FROM station_status ORDER BY ALL").fetchall()
    ledger(world, statement)
    world.clock.now += DAY

    steps = compacted(world, 0)

    assert [(s.day, s.what) for s in steps] == [
        ("2026-11-22", "archived"),
        ("2026-11-23", "archived"),
        ("2026-11-22", "let go"),
        ("2026-11-23", "let go"),
    ]
    with viewed(world) as db:
        assert db.execute("FROM station_status ORDER BY ALL").fetchall() == before


@pytest.mark.parametrize("statement", BLOCKS[:6])
def test_verify_names_an_impossible_block(world: World, statement: str) -> None:
    """No other command reports that it is skipped."""
    ledger(world, statement)

    assert any(
        "not a daily file" in finding or "impossible slot" in finding
        for finding in findings(world)
    )


def rewrite(world: World, old: bytes, new: bytes) -> None:
    """Change rows of one block, with a ledger that agrees."""
    path = world.folder / "station_status/2026-11-22.csv"
    db = sqlite3.connect(world.folder / "ledger.sqlite3", isolation_level=None)
    sql = f'SELECT start, "end" FROM blocks WHERE slot = {SLOT}'
    ((start, end),) = db.execute(sql).fetchall()
    data = path.read_bytes()
    text = data[start:end].replace(old, new)
    path.write_bytes(data[:start] + text + data[end:])
    moved = len(text) - (end - start)
    name = f"station_status/{path.name}"
    db.execute(
        'UPDATE blocks SET start = start + ?1, "end" = "end" + ?1'
        " WHERE start >= ?2 AND file = ?3",
        (moved, end, name),
    )
    db.execute(
        f'UPDATE blocks SET "end" = "end" + ?, crc32 = ? WHERE slot = {SLOT}',
        (moved, zlib.crc32(text)),
    )
    sql = 'UPDATE files SET "end" = "end" + ?1, start = start + ?1 WHERE file = ?2'
    db.execute(sql, (moved, name))
    db.close()


@pytest.mark.parametrize(("old", "new"), VALUES)
def test_no_command_fails_on_an_odd_value_of_a_daily_file(
    world: World, tmp_path: Path, old: bytes, new: bytes
) -> None:
    """It is empty where it is typed; before and after the day is archived."""
    rewrite(world, old, new)
    before = codes(world, tmp_path, FEW)
    world.clock.now += DAY
    compacted(world, 0)

    assert before == {}
    assert codes(world, tmp_path, FEW) == {}
    with viewed(world) as db:
        sql = "SELECT count(*), count(DISTINCT slot) FROM station_status"
        assert db.execute(sql).fetchall() == [(12, 6)]


@pytest.mark.parametrize(("old", "new"), VALUES)
def test_an_odd_value_is_archived_unchanged(
    world: World, old: bytes, new: bytes
) -> None:
    """Byte for byte: the certificate of the CSV is that of the archive."""
    rewrite(world, old, new)
    before = certificates(world)
    world.clock.now += DAY

    steps = compacted(world, 0)

    assert {step.what for step in steps} == {"archived", "let go"}
    assert not list((world.folder / "station_status").iterdir())
    assert certificates(world) == before
    assert findings(world, deep=True) == []


def certificates(world: World) -> list[tuple[str, DaySummary]]:
    """Return the day and the summary of each certificate."""
    results = verifier(world, deep=True).run()
    return [(c.date, c.summary) for c in results if isinstance(c, Certificate)]


def test_a_typical_day_has_no_column_for_odd_rows(world: World) -> None:
    """It exists only on days that need it."""
    world.clock.now += DAY
    compacted(world)
    archives = [path for path in files(world) if path.suffix == ".parquet"]

    assert len(archives) == 10
    assert not any(b"verbatim_line" in path.read_bytes() for path in archives)


def test_a_day_of_another_time_zone_is_still_refused(world: World) -> None:
    """The settings have changed, not the rows."""
    path = world.folder / "station_status/2026-11-22.csv"
    for slot in (SLOT - 300, SLOT, SLOT + 300):
        _shift(world, path, slot)
    world.clock.now += DAY

    steps = compacted(world)

    assert [s.what for s in steps] == ["failed", "archived"]
    assert "timezone" in steps[0].why


def _shift(world: World, path: Path, slot: int) -> None:
    """Write the rows of *slot* with another offset, the same moment."""
    db = sqlite3.connect(world.folder / "ledger.sqlite3", isolation_level=None)
    sql = f'SELECT start, "end" FROM blocks WHERE slot = {slot}'
    ((start, end),) = db.execute(sql).fetchall()
    data = path.read_bytes()
    text = data[start:end].replace(b"T12:", b"T13:").replace(b"+08:00", b"+09:00")
    path.write_bytes(data[:start] + text + data[end:])
    db.execute(f"UPDATE blocks SET crc32 = {zlib.crc32(text)} WHERE slot = {slot}")
    db.close()


def _odd_list(path: Path) -> None:
    with path.open("a", encoding="utf-8") as out:
        out.write("9999-12-31T23:59:59-14:00,q,q,,1e999,nan,99999999999999999999")
        out.write(",,,,maybe,,,,true\n")


def _odd_payloads(path: Path) -> None:
    for folder in ("inbox", "rejected", "kept/2026-11-22", "kept/9999-12-31"):
        place = path.parent / "payloads" / folder
        place.mkdir(parents=True, exist_ok=True)
        for slot in ("99991231T235959Z", "00010101T000000Z", "19700101T000000Z"):
            (place / f"{slot}.0123abcd.zip").write_bytes(b"x")


@pytest.mark.parametrize("plant", [_odd_list, _odd_payloads])
def test_no_command_fails_on_odd_other_files(
    world: World, tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    """A list of stations with impossible numbers, payloads of the years 1 and 9999."""
    plant(world.folder / "station_information.csv")

    assert codes(world, tmp_path, [*COMMANDS, "compact"]) == NO_VEHICLES
