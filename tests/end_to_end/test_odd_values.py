"""Impossible values in our daily files do not affect other data."""

import sqlite3
import zlib
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from keeping import compacted, findings, verifier, viewed
from odd_history import FEW, SLOT, closed_days, codes, two_days
from templates import copied
from test_query_bounds import files
from world import World

from bikecollect.archive.certificates import Certificate
from bikecollect.archive.compact import Step
from bikecollect.archive.day_csv import DaySummary
from bikecollect.core.slots import DAY

pytest.importorskip("duckdb")

STAMP = b"DAYT12:10:02+08:00"
VALUES = (
    (b",a,1,", b",a,99999999999999999999,"),
    (b",a,1,", b",a,-3,"),
    (b",a,1,", b",a,x,"),
    (b",a,1,", b",a,7.0,"),
    (b",a,1,", b",a,007,"),
    (b",true,", b",maybe,"),
    (STAMP, b"9999-12-31T23:59:59-14:00"),
    (STAMP, b"0001-01-01T00:00:00+14:00"),
    (STAMP, b"DAYT04:10:02Z"),
    (STAMP, b"yesterday"),
    (b",a,1,", b",a\x1b[2J\xe2\x80\xa8,1,"),
    (b",a,1,", b"," + b"z" * 9_000 + b",1,"),
    (b",a,1,", b',"a, ""quoted""",1,'),
)
"""Texts of a day's file, with what replaces them: each has a day of its own."""
DAYS = tuple(f"2026-11-{24 + n - len(VALUES)}" for n in range(len(VALUES)))


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world of two closed days with three slots each."""
    return two_days(folder)


def rewrite(world: World, day: str, old: bytes, new: bytes) -> None:
    """Change rows of one block of *day*, with a ledger that agrees."""
    path = world.folder / f"station_status/{day}.csv"
    slot = int(datetime.fromisoformat(f"{day}T12:10+08:00").timestamp())
    old, new = (text.replace(b"DAY", day.encode()) for text in (old, new))
    db = sqlite3.connect(world.folder / "ledger.sqlite3", isolation_level=None)
    sql = f'SELECT start, "end" FROM blocks WHERE slot = {slot}'
    ((start, end),) = db.execute(sql).fetchall()
    data = path.read_bytes()
    assert old in data[start:end]
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
        f'UPDATE blocks SET "end" = "end" + ?, crc32 = ? WHERE slot = {slot}',
        (moved, zlib.crc32(text)),
    )
    sql = 'UPDATE files SET "end" = "end" + ?1, start = start + ?1 WHERE file = ?2'
    db.execute(sql, (moved, name))
    db.close()


class OddDays(NamedTuple):
    """A world with odd values: as collected *before*, and *after* it was archived.

    *certificates* are those of its CSV, *steps* what the compaction did.
    """

    before: World
    after: World
    certificates: list[tuple[str, DaySummary]]
    steps: list[Step]


@pytest.fixture(scope="module")
def odd_days(tmp_path_factory: pytest.TempPathFactory) -> OddDays:
    """Return worlds with a day for each of `VALUES`; nothing changes these days."""
    folder = tmp_path_factory.mktemp("odd")
    before, after = (days_to_change(folder / name) for name in ("before", "after"))
    for world in (before, after):
        for day, (old, new) in zip(DAYS, VALUES, strict=True):
            rewrite(world, day, old, new)
    after.clock.now += DAY
    expected = certificates(before)
    return OddDays(before, after, expected, compacted(after, 0))


@copied
def days_to_change(folder: Path) -> World:
    """Return a world with the `DAYS`."""
    return closed_days(folder, len(DAYS))


def test_no_command_fails_on_odd_values_of_daily_files(
    odd_days: OddDays, tmp_path: Path
) -> None:
    """They are empty where they are typed; before and after the days are archived."""
    assert codes(odd_days.before, tmp_path, FEW) == {}
    assert codes(odd_days.after, tmp_path, FEW) == {}
    with viewed(odd_days.after, tables=["station_status"]) as db:
        sql = "SELECT count(*), count(DISTINCT slot) FROM station_status GROUP BY date"
        assert db.execute(sql).fetchall() == [(6, 3)] * len(DAYS)


def test_odd_values_are_archived_unchanged(odd_days: OddDays) -> None:
    """Byte for byte: the certificate of the CSV is that of the archive."""
    world = odd_days.after

    done = {(step.day, step.what) for step in odd_days.steps}
    assert done == {*product(DAYS, ("archived", "let go"))}
    assert not list((world.folder / "station_status").iterdir())
    assert certificates(world) == odd_days.certificates
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
