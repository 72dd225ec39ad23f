"""Answers have all rows of the ledger, or name the days they lack."""

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from in_process import bikecollect
from keeping import archived_past_days, two_past_days
from world import World

from bikecollect.archive.checks.file_sums import damaged_files
from bikecollect.core.slots import DAY
from bikecollect.storage.files.regular_file import sha256_of
from bikecollect.storage.ledger import Ledger

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


def with_another_value(part: Path) -> None:
    """Change one byte so that all rows can be read, one with another value."""
    intact = part.read_bytes()
    rows = duckdb.sql(f"FROM '{part}'").fetchall()
    for place in range(len(intact)):
        changed = bytes([intact[place] ^ 1])
        part.write_bytes(intact[:place] + changed + intact[place + 1 :])
        with suppress(duckdb.Error):
            read = duckdb.sql(f"FROM '{part}'").fetchall()
            if len(read) == len(rows) and read != rows:
                return
    raise AssertionError("each changed byte is an error")


@pytest.mark.parametrize("spoil", [emptied, lacking_a_row, with_another_value])
def test_an_archived_file_that_lacks_rows_or_has_others_is_an_error(
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
    # Its rows would look like those of a day that was not collected.
    figures, _, basis = report.stdout.partition("\n\n  ")
    assert day not in figures
    assert later in figures
    assert " slots were collected (" in " ".join(basis.split())
    assert "; 1 day cannot be read\n" in " ".join(basis.split()) + "\n"


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


@pytest.mark.parametrize("spoil", [emptied, with_another_value])
def test_a_damaged_summary_is_computed_from_the_rows(
    part: Path, config: Path, spoil: Callable[[Path], None]
) -> None:
    """No day is missing from the coverage."""
    sql = "FROM coverage ORDER BY date, station_id"
    before = bikecollect("--config", config, "query", sql)
    spoil(Path(str(part).replace("station_status", "coverage")))
    after = bikecollect("--config", config, "query", sql)

    assert after.returncode == 0, after.stderr
    assert after.stdout == before.stdout


def test_files_of_a_restored_ledger_are_those_of_their_certificates(
    world: World, part: Path, config: Path
) -> None:
    """A backup of the ledger has the sums of earlier files, maybe of the same size."""
    ledger = Ledger(world.folder / "ledger.sqlite3")
    ledger.open()
    with ledger.transaction() as db:
        (text,) = db.execute("SELECT parts FROM archives ORDER BY day").fetchone()
        other = text.replace(sha256_of(part), "0" * 64)
        db.execute("UPDATE archives SET parts = ? WHERE parts = ?", (other, text))
    ledger.close()
    query = bikecollect("--config", config, "query", "FROM station_status")
    with_another_value(part)
    damaged = bikecollect("--config", config, "query", "FROM station_status")

    assert other != text
    assert (query.returncode, query.stderr) == (0, "")
    assert damaged.returncode == 74


def test_a_changed_value_is_found_without_a_ledger(
    world: World, part: Path, config: Path
) -> None:
    """The next `fetch` makes a new ledger, which has no archived days."""
    (world.folder / "ledger.sqlite3").unlink()
    Ledger(world.folder / "ledger.sqlite3").open()
    query = bikecollect("--config", config, "query", "FROM station_status")
    with_another_value(part)
    damaged = bikecollect("--config", config, "query", "FROM station_status")

    assert (query.returncode, len(query.stdout.splitlines())) == (0, 4)
    assert damaged.returncode == 74


def test_a_file_is_hashed_once_until_it_changes(
    part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app opens the history after each slot."""
    expected, read = sha256_of(part), list[object]()
    digest = hashlib.file_digest

    def counted(file: Any, name: str) -> Any:
        read.append(file)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    sound = [damaged_files({part: expected}) for _ in range(3)]
    opened = len(read)
    with_another_value(part)

    assert (sound, opened) == ([{}, {}, {}], 1)
    assert damaged_files({part: expected}) == {part: f"{part}: sha256 mismatch"}


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
