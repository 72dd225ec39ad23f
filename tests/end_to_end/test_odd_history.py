"""Impossible values in our own ledger, list and payloads do not affect other data."""

import re
import sqlite3
from functools import cache
from pathlib import Path

import pytest
from keeping import compacted, findings, viewed
from odd_history import COMMANDS, FEW, NO_VEHICLES, SLOT, codes, two_days
from world import World

from bikecollect.core.slots import DAY

pytest.importorskip("duckdb")
pytestmark = pytest.mark.slow

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
    "INSERT INTO archives VALUES ('9999-99-99', 1, 1, 'x', 'UTC', 1e300, 0, '{}')",
    "INSERT INTO archives VALUES ('x', 1, 1, 'x', '', 0, 0, '{')",
    "INSERT INTO files VALUES ('../../x', 5, 1, 1, 0, NULL)",
    "INSERT INTO stations (station_id, valid_from, capacity, lat, is_listed)"
    " VALUES ('q', 1 << 62, 1 << 62, 1e300, 1)",
)


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world of two closed days with three slots each."""
    return two_days(folder)


def ledger(world: World, *statements: str) -> None:
    """Change the ledger of *world*."""
    db = sqlite3.connect(world.folder / "ledger.sqlite3", isolation_level=None)
    db.executescript(";".join(statements))
    db.close()


@pytest.mark.parametrize("statement", BLOCKS)
def test_no_command_fails_on_an_odd_block_of_the_ledger(
    world: World, tmp_path: Path, statement: str
) -> None:
    """Years 1 and 9999, the largest numbers, paths that lead out."""
    ledger(world, statement)

    assert codes(world, tmp_path, FEW) == {}


@pytest.mark.parametrize("statement", [*BLOCKS[:6], ";".join(OTHERS)])
def test_days_are_archived_despite_odd_rows_of_the_ledger(
    world: World, statement: str
) -> None:
    """Exactly the two days are archived, and their rows are the same."""
    with viewed(world, tables=["station_status"]) as db:
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
    with viewed(world, tables=["station_status"]) as db:
        assert db.execute("FROM station_status ORDER BY ALL").fetchall() == before


@pytest.mark.parametrize("statement", BLOCKS[:6])
def test_verify_names_an_impossible_block(world: World, statement: str) -> None:
    """No other command reports that it is skipped."""
    ledger(world, statement)

    assert any(
        re.search("not a daily file|impossible slot|has a wrong slot", finding)
        for finding in findings(world)
    )


def with_odd_files(folder: Path) -> World:
    """Return a world in *folder* with an odd list and odd payloads."""
    world = two_days(folder)
    path = world.folder / "station_information.csv"
    _odd_list(path)
    _odd_payloads(path)
    return world


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


@pytest.fixture(scope="module")
def odd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the worlds of `codes_with_oddities`."""
    return tmp_path_factory.mktemp("odd")


@cache
def codes_with_oddities(folder: Path) -> dict[str, int]:
    """Return the `codes` of worlds in *folder* with odd files.

    The ledger is odd, too, except for `compact`, which misses its odd archived days.
    """
    world, compacted_world = map(with_odd_files, (folder / "all", folder / "files"))
    ledger(world, *OTHERS)
    return codes(world, folder, COMMANDS) | codes(compacted_world, folder, ["compact"])


def test_no_command_fails_on_other_odd_rows_of_the_ledger(odd_folder: Path) -> None:
    """Runs without end, incidents of all times, invalid JSON."""
    assert codes_with_oddities(odd_folder) == NO_VEHICLES


def test_no_command_fails_on_an_odd_list_of_stations(odd_folder: Path) -> None:
    """Impossible numbers, and a time of the year 9999."""
    assert codes_with_oddities(odd_folder) == NO_VEHICLES


def test_no_command_fails_on_odd_payloads(odd_folder: Path) -> None:
    """Payloads of the years 1 and 9999, in each folder of payloads."""
    assert codes_with_oddities(odd_folder) == NO_VEHICLES
