"""A query can only read, and only the history."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from in_process import bikecollect
from keeping import archived_past_days, compacted, two_past_days, viewed
from templates import copied
from world import World

from bikecollect.archive.query import duckdb_engine
from bikecollect.archive.query.selection import checked
from bikecollect.core.errors import UsageError
from bikecollect.core.slots import DAY
from bikecollect.storage.files.scratch import scratch

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

duckdb = pytest.importorskip("duckdb")


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world with a closed day, long past, and a day after it."""
    return two_past_days(folder)


@pytest.fixture(scope="module")
def open_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the same world, which nothing changes."""
    return tmp_path_factory.mktemp("open")


@pytest.fixture(scope="module")
def open_views(open_folder: Path) -> "Iterator[DuckDBPyConnection]":
    """Yield a connection to the history in `open_folder`."""
    with viewed(two_past_days(open_folder)) as db:
        yield db


@pytest.fixture(scope="module")
def archived_views(
    tmp_path_factory: pytest.TempPathFactory,
) -> "Iterator[DuckDBPyConnection]":
    """Yield a connection to the same history, with its days archived."""
    with viewed(archived_past_days(tmp_path_factory.mktemp("archived"))) as db:
        yield db


@copied
def archived_days_with_csv(folder: Path) -> World:
    """Return the same world with its days archived, and their CSV."""
    world = two_past_days(folder)
    archived(world, csv_days=9)
    return world


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return a file that does not belong to the history."""
    path = tmp_path / "secret.csv"
    path.write_text("word\nhunter2\n", encoding="utf-8")
    return path


def files(world: World) -> dict[Path, bytes]:
    """Return the files of *world* and of its archive."""
    there = (path for path in world.folder.parent.rglob("*") if path.is_file())
    return {p: p.read_bytes() for p in there if p.name[-4:] not in {"-shm", "-wal"}}


WRITES = (
    "COPY (SELECT 1) TO '{csv}'",
    "COPY (SELECT 1) TO '{new}'",
    "WITH x AS (COPY (SELECT 1) TO '{csv}' (FORMAT csv, USE_TMP_FILE false)) FROM x",
    "WITH x AS (COPY (SELECT 1) TO '{new}') FROM x",
    "SELECT 1 UNION ALL (WITH x AS (COPY stations TO '{new}') SELECT 2)",
    "EXPORT DATABASE '{new}'",
    "ATTACH '{new}' AS other",
    "SELECT 1; COPY (SELECT 1) TO '{new}'",
    "COPY (PIVOT stations ON station_id USING count(*)) TO '{new}'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET allowed_directories = ['/']",
    "RESET enable_external_access",
    "PRAGMA enable_external_access",
    "CALL pragma_version()",
    "DROP TABLE stations",
    "WITH x AS (DELETE FROM stations RETURNING *) FROM x",
    "CREATE TABLE x AS SELECT 1",
    "FROM query('WITH x AS (COPY stations TO ''{new}'') FROM x')",
    "EXPLAIN ANALYZE SELECT 1",
)


@pytest.mark.parametrize("sql", WRITES)
def test_a_query_that_is_more_than_a_select_is_refused(
    open_folder: Path,
    open_views: "DuckDBPyConnection",
    tmp_path: Path,
    sql: str,
) -> None:
    """Statements that could change the history, other files or settings are not run."""
    csv = next((open_folder / "city/station_status").iterdir())
    sql = sql.format(csv=csv, new=tmp_path / "new")

    with pytest.raises(UsageError, match=r"(one|only) SELECT"):
        checked(open_views, sql)


@pytest.mark.parametrize("more", [(), ("-o", "a.parquet"), ("-o", "a.csv")])
def test_a_query_that_would_write_over_a_daily_file_changes_nothing(
    world: World, config: Path, more: tuple[str, ...]
) -> None:
    """Exit code 64; no byte of the history has changed, and no file is new."""
    csv = next((world.folder / "station_status").iterdir())
    copy = f"COPY (SELECT 1) TO '{csv}' (FORMAT csv, USE_TMP_FILE false)"
    before = files(world)

    process = bikecollect(
        *("--config", config, "query", f"WITH x AS ({copy}) FROM x", *more)
    )

    assert process.returncode == 64
    assert "only SELECT, not COPY in it" in process.stderr
    assert files(world) == before
    assert not list(Path().glob("a.*"))


@pytest.mark.parametrize(
    "source",
    [
        "read_csv('{0}')",
        "read_text('{0}')",
        "read_blob('{0}')",
        "read_csv_auto('{0}')",
        "'{0}'",
        "glob('{0}')",
        "glob('{0}*')",
        "read_text('file://{0}')",
        "read_text('{1}/city/../../secret.csv')",
        "read_text('{1}/city/ledger.sqlite3')",
        "read_text('{1}/city/station_status/../.bikecollect')",
        "read_parquet('{0}')",
        "query_table('{0}')",
        "read_csv('http://127.0.0.1:9/x.csv')",
    ],
)
def test_a_query_reads_no_other_file(
    open_folder: Path, open_views: "DuckDBPyConnection", secret: Path, source: str
) -> None:
    """Neither outside of the data folder nor inside: only the files of the tables."""
    sql = f"FROM {source.format(secret, open_folder)}"

    with pytest.raises(duckdb.Error) as failure:
        open_views.execute(sql)

    assert "hunter2" not in str(failure.value)


def test_the_command_reads_no_other_file(config: Path, secret: Path) -> None:
    """Exit code 64, and none of its content is printed."""
    process = bikecollect("--config", config, "query", f"FROM '{secret}'")

    assert process.returncode == 64
    assert "hunter2" not in process.stdout + process.stderr


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM station_status",
        "FROM slots LIMIT 1;",
        "WITH a AS (FROM coverage) SELECT count(*) FROM a",
        "SUMMARIZE profile",
        "DESCRIBE runs",
        "SHOW TABLES",
        "VALUES (1)",
        "SELECT station_id FROM stations UNION SELECT 'COPY_QUERY_NODE' -- ;",
        "FROM (PIVOT stations ON station_id IN ('0001') USING count(*)) ORDER BY ALL",
    ],
)
def test_reading_statements_are_answered(
    open_views: "DuckDBPyConnection",
    archived_views: "DuckDBPyConnection",
    sql: str,
) -> None:
    """Before and after the days are archived."""
    before = open_views.execute(checked(open_views, sql)).fetchall()
    after = archived_views.execute(checked(archived_views, sql)).fetchall()

    assert before
    assert len(after) == len(before)


def test_unrestricted_lifts_the_limits(
    config: Path, secret: Path, tmp_path: Path
) -> None:
    """A query may then read and write like its user."""
    command = ("--config", config, "query", "--unrestricted")
    read = bikecollect(*command, f"SELECT word FROM '{secret}'", "--format", "csv")
    copied = bikecollect(*command, f"COPY stations TO '{tmp_path / 'out.csv'}'")

    assert read.stdout == "word\nhunter2\n"
    assert (read.returncode, copied.returncode) == (0, 0)
    assert (tmp_path / "out.csv").exists()


def test_a_data_folder_may_be_called_like_a_pattern(tmp_path: Path) -> None:
    """Brackets, stars and quotes are ordinary characters of its name."""
    world = World(tmp_path / "a[1]*?'\"" / "city")
    world.clock.now -= 900 * DAY
    world.fetch({"0002": 1})
    world.fetch({"0002": 2}, after=DAY)
    compacted(world)
    world.fetch({"0002": 3}, after=DAY)
    sql = "SELECT num_vehicles_available FROM station_status ORDER BY slot"

    with viewed(world) as db:
        assert db.execute(sql).fetchall() == [(1,), (2,), (3,)]


def test_a_large_sort_uses_the_temporary_folder(world: World) -> None:
    """Data that exceeds the memory is written to a separate folder."""
    sql = (
        "SELECT count(*) FROM (SELECT DISTINCT i * 7919 % 10000019 || repeat('x', 99)"
        " FROM range(800000) AS r(i))"
    )
    with scratch() as aside:
        db = duckdb_engine.connect(aside, memory="50MB", threads=2)
        duckdb_engine.confine(db, [])

        assert db.execute(sql).fetchall() == [(800_000,)]
        db.close()


def archived(world: World, csv_days: int = 0) -> Path:
    """Archive all days; return the file of the first one's rows."""
    world.clock.now += 2 * DAY
    compacted(world, csv_days)
    return first_part(world)


def first_part(world: World) -> Path:
    """Return the file of the rows of the first archived day."""
    archive = world.folder.parent / "archive/station_status/system_id=city"
    return min(archive.glob("date=*/part.parquet"))


def rows(world: World) -> int:
    """Return how many rows the history has."""
    with viewed(world) as db:
        return int(db.execute("SELECT count(*) FROM station_status").fetchall()[0][0])


def test_foreign_entries_of_the_archive_are_not_read(folder: Path) -> None:
    """Links to /etc, files in place of folders, FIFOs, impossible days."""
    world = archived_past_days(folder)
    part = first_part(world)
    above = part.parents[1]
    (above / "date=2020-01-01").symlink_to("/etc")
    (above / "date=2020-01-02").mkdir()
    (above / "date=2020-01-02/part.parquet").symlink_to("/etc/passwd")
    (above / "date=2020-01-03").mkdir()
    os.mkfifo(above / "date=2020-01-03/part.parquet")
    (above / "date=2020-01-04").touch()
    (above / "date=2020-02-31").mkdir()
    (above / "date=2020-02-31/part.parquet").write_bytes(part.read_bytes())
    (above / "date=nonsense").mkdir()
    (above / "date=nonsense/part.parquet").write_bytes(b"no Parquet")

    assert rows(world) == 3


def test_a_dataset_that_is_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """Its days are reported as missing, and not read from elsewhere."""
    world = archived_past_days(folder)
    part = first_part(world)
    part.parents[1].rename(tmp_path / "elsewhere")
    part.parents[1].symlink_to(tmp_path / "elsewhere")

    with pytest.raises(Exception, match="is missing or not a regular file"):
        rows(world)


def _linked(part: Path) -> None:
    part.unlink()
    part.symlink_to("/etc/passwd")


@pytest.mark.parametrize("spoil", [Path.unlink, _linked])
def test_a_day_is_read_from_its_csv_while_there_is_one(
    folder: Path, spoil: Callable[[Path], None]
) -> None:
    """For any damage of its archived file."""
    world = archived_days_with_csv(folder)
    spoil(first_part(world))

    assert rows(world) == 3


def test_a_lost_day_is_named(world: World, config: Path) -> None:
    """Exit code 74 with day and file, whatever rows are asked for.

    Queries of other days succeed.
    """
    part = archived(world)
    part.unlink()
    day = part.parent.name.removeprefix("date=")
    sql = "SELECT count(*) FROM station_status"
    export = bikecollect("--config", config, "export", "--station", "0001")
    some = f"{sql} WHERE station_id = '0001' AND slot_time > '2000-01-01'"
    query = bikecollect("--config", config, "query", some)
    others = bikecollect("--config", config, "query", f"{sql} WHERE date > '{day}'")
    report = bikecollect("--config", config, "report", "reliability")

    assert (export.returncode, query.returncode) == (74, 74)
    assert str(part) in export.stderr
    assert f"{day} cannot be read" in query.stderr
    assert others.stdout.split() == ["count_star()", "1"]
    assert report.returncode == 74
    assert f"{day} cannot be read" in report.stderr


def _link(csv: Path, secret: Path) -> None:
    csv.unlink()
    csv.symlink_to(secret)


def _gone(csv: Path, _: Path) -> None:
    csv.unlink()


def _values_translated(csv: Path, _: Path) -> None:
    csv.write_bytes(csv.read_bytes().replace(b"true", b"ja"))


def _a_block_damaged(csv: Path, _: Path) -> None:
    csv.write_bytes(csv.read_bytes()[:-3])


@pytest.mark.parametrize("spoil", [_link, _gone, _values_translated, _a_block_damaged])
def test_a_daily_file_that_cannot_be_read_costs_its_day(
    world: World, config: Path, secret: Path, spoil: Callable[[Path, Path], None]
) -> None:
    """A query reports what is missing; an export of that day ends with 74."""
    csv = min((world.folder / "station_status").iterdir())
    day = csv.name[:10]
    spoil(csv, secret)
    query = bikecollect("--config", config, "query", "FROM station_status")
    full = bikecollect("--config", config, "export")
    rest = bikecollect("--config", config, "export", "--since", _next(day))

    assert query.returncode == 74
    assert f"{day} cannot be read: {csv}" in query.stderr
    assert "hunter2" not in query.stdout + query.stderr
    assert (full.returncode, full.stdout) == (74, "")
    assert f"{day} cannot be read: {csv}" in full.stderr
    assert (rest.returncode, rest.stdout.count("\n")) == (0, 2)


def test_a_query_of_other_days_does_not_need_a_removed_file(
    world: World, config: Path
) -> None:
    """It ends with 0 and no warning, also if the day is excluded in a subquery."""
    csv = min((world.folder / "station_status").iterdir())
    day = csv.name[:10]
    csv.unlink()
    sql = "SELECT count(*) FROM station_status"
    others = bikecollect("--config", config, "query", f"{sql} WHERE date > '{day}'")
    nested = bikecollect("--config", config, "query", f"SELECT 1, ({sql}) AS n")

    assert (others.returncode, others.stderr) == (0, "")
    assert others.stdout.split() == ["count_star()", "1"]
    assert nested.returncode == 74
    assert f"{day} cannot be read: {csv}" in nested.stderr


def test_a_removed_file_that_a_run_has_reported_is_an_accepted_loss(
    world: World, config: Path
) -> None:
    """Reports and queries name the day and end with 0; an export of it does not."""
    csv = min((world.folder / "station_status").iterdir())
    csv.unlink()
    world.clock.now += 300
    run = world.fetch({"0001": 7})
    sql = "SELECT count(*) FROM station_status"
    query = bikecollect("--config", config, "query", sql)
    report = bikecollect("--config", config, "report", "reliability")
    export = bikecollect("--config", config, "export")

    assert "is missing" in str(run.notices)
    assert (query.returncode, report.returncode, export.returncode) == (0, 0, 74)
    assert f"{csv.name[:10]} cannot be read: {csv}" in query.stderr
    assert f"{csv.name[:10]} cannot be read: {csv} is missing; " in report.stderr
    assert "for remedies, see: " in report.stderr


def _next(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def test_a_list_of_stations_with_odd_lines_hides_none(world: World) -> None:
    """Only the foreign line is skipped, and only an impossible value is empty."""
    path = world.folder / "station_information.csv"
    good = path.read_text(encoding="utf-8").splitlines()[1]
    wild = good.replace("0002,", "0003,", 1).replace(",10,", ",99999999999999999999,")
    with path.open("a", encoding="utf-8") as out:
        out.write(f'nonsense\n"never closed,,,\n{wild}\n9999,x\n{good[:-30]}')

    with viewed(world) as db:
        sql = "SELECT DISTINCT station_id, capacity FROM stations ORDER BY ALL"
        known = db.execute(sql).fetchall()

    assert ("0001", 10) in known
    assert ("0002", 10) in known


def test_temporary_data_of_a_killed_command_are_removed_by_the_next(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in $TMPDIR, and foreign files are kept."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "aside"))
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside/bikecollect-notes").mkdir()
    reader, writer = os.pipe()
    waiting = "import sys; from bikecollect.storage.files.scratch import scratch\n"
    waiting += "with scratch(): print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", waiting], stdin=reader, stdout=subprocess.PIPE
    ) as killed:
        assert killed.stdout
        killed.stdout.read(1)
        (left,) = (tmp_path / "aside").glob("*.scratch")
        os.utime(left, (1, 1))

        first = bikecollect("--config", config, "export")
        held = left.exists()
        killed.send_signal(signal.SIGKILL)
    second = bikecollect("--config", config, "export")
    os.close(reader)
    os.close(writer)

    assert (first.returncode, second.returncode, held) == (0, 0, True)
    assert [e.name for e in (tmp_path / "aside").iterdir()] == ["bikecollect-notes"]
