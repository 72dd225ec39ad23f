"""Answers have all rows of the ledger, or name the days they lack."""

import os
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from command import bikecollect
from keeping import archived_past_days, two_past_days
from world import World

from bikecollect.core.slots import DAY

duckdb = pytest.importorskip("duckdb")


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world with a slot on each of two past days."""
    return two_past_days(folder)


@pytest.fixture
def part(world: World) -> Path:
    """Return the archived rows of the first day, whose CSV was removed."""
    folder = world.folder.parent
    shutil.rmtree(folder)
    archived_past_days(folder)
    return min(folder.glob("archive/station_status/*/*/part.parquet"))


def test_an_intact_archive_gives_all_rows(part: Path, config: Path) -> None:
    """Nothing is damaged: three rows, and no warning."""
    query = bikecollect("--config", config, "query", "FROM station_status")

    assert (query.returncode, query.stderr) == (0, "")
    assert len(query.stdout.splitlines()) == 4
    assert part.exists()


def emptied(part: Path) -> None:
    """Truncate the file."""
    part.write_bytes(b"")


def lacking_a_row(part: Path) -> None:
    """Replace the file by a valid one with fewer rows, as an older backup has."""
    sql = f"COPY (SELECT * FROM '{part}' LIMIT 1) TO '{part}.new' (FORMAT parquet)"
    duckdb.execute(sql)
    Path(f"{part}.new").replace(part)


@pytest.mark.parametrize("spoil", [emptied, lacking_a_row])
def test_an_archived_file_that_lacks_rows_is_an_error(
    part: Path, config: Path, spoil: Callable[[Path], None]
) -> None:
    """A query or export that needs it fails; a report names what is missing."""
    spoil(part)
    day = part.parent.name.removeprefix("date=")
    query = bikecollect("--config", config, "query", "FROM station_status")
    export = bikecollect("--config", config, "export")
    report = bikecollect("--config", config, "report", "hours")
    later = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    other = bikecollect("--config", config, "report", "hours", "--since", later)

    codes = query.returncode, export.returncode, report.returncode, other.returncode
    assert codes == (74, 74, 74, 0)
    assert f"{day} cannot be read: {part}" in query.stderr
    assert f"{day} cannot be read: {part}" in export.stderr
    assert f"{day} cannot be read: {part}" in report.stderr


def rewritten(part: Path) -> None:
    """Write the same rows with another compression."""
    sql = f"COPY (FROM '{part}') TO '{part}.new' (FORMAT parquet, COMPRESSION gzip)"
    duckdb.execute(sql)
    Path(f"{part}.new").replace(part)


def test_an_archived_file_of_another_size_with_all_rows_is_read(
    part: Path, config: Path
) -> None:
    """`verify` names it; queries still use it."""
    rewritten(part)
    query = bikecollect("--config", config, "query", "FROM station_status")

    assert (query.returncode, query.stderr) == (0, "")
    assert len(query.stdout.splitlines()) == 4


def test_a_damaged_summary_is_computed_from_the_rows(part: Path, config: Path) -> None:
    """No day is missing from the coverage."""
    sql = "SELECT date, station_id, slots FROM coverage ORDER BY ALL"
    before = bikecollect("--config", config, "query", sql)
    Path(str(part).replace("station_status", "coverage")).write_bytes(b"PAR1")
    after = bikecollect("--config", config, "query", sql)

    assert after.returncode == 0, after.stderr
    assert after.stdout == before.stdout


def test_a_changed_file_with_its_old_time_is_noticed(
    world: World, config: Path
) -> None:
    """Size and modification time are unchanged, as after `touch -r`."""
    csv = min((world.folder / "station_status").iterdir())
    text = csv.read_bytes()
    csv.write_bytes(text.replace(b",0001,7,", b",0001,8,"))
    os.utime(csv, (world.clock.now - DAY, world.clock.now - DAY))
    query = bikecollect("--config", config, "query", "FROM station_status")

    assert csv.read_bytes() != text
    assert query.returncode == 74
    assert f"{csv.name[:10]} cannot be read: {csv}" in query.stderr
