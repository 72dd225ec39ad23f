"""Sessions of DuckDB share the engine of their process, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from children import run_in_child

from bikecollect.archive.query import duckdb_engine
from bikecollect.archive.query.duckdb_engine import session

duckdb = pytest.importorskip("duckdb")
FIRST, SECOND = "SELECT 1 AS n", "SELECT 2 AS n"
FORKING = """
import os, sys
from pathlib import Path
from bikecollect.archive.query.duckdb_engine import session

def answer():
    with session(Path(sys.argv[1]) / "spill", threads=2) as db:
        assert len(os.listdir("/proc/self/task")) > 1
        return db.execute("SELECT sum(range) FROM range(100000)").fetchone()

assert answer() == (4999950000,)
child = os.fork()
assert answer() == (4999950000,)
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def engine_threads() -> set[Path]:
    """Return the threads of this process; each engine starts some."""
    return set(Path("/proc/self/task").iterdir())


def one_value(folder: Path, sql: str) -> object:
    """Return the result of *sql* in a session."""
    with session(folder / "spill", threads=2) as db:
        (value,) = db.execute(sql).fetchone() or ()
        return value


def test_sessions_share_an_engine(tmp_path: Path) -> None:
    """The second session starts no threads, and has its own folder and limits."""
    one_value(tmp_path, FIRST)
    before = engine_threads()

    with session(tmp_path / "other", memory="70MB", threads=2) as db:
        limits = db.execute(
            "SELECT current_setting('memory_limit'), current_setting('temp_directory')"
        ).fetchone()

    assert limits == ("66.7 MiB", str(tmp_path / "other"))
    assert engine_threads() == before


def test_a_session_begins_without_tables(tmp_path: Path) -> None:
    """Also after a session that left a table, a view and a temporary table."""
    with session(tmp_path / "spill") as db:
        db.execute("CREATE TABLE day AS SELECT 1; CREATE VIEW days AS FROM day")
        db.execute("CREATE TEMP TABLE passing AS SELECT 1")

    with session(tmp_path / "spill") as db:
        assert db.execute("SELECT table_name FROM duckdb_tables()").fetchall() == []
        db.execute("CREATE VIEW days AS SELECT 1; CREATE TABLE day AS SELECT 1")


def test_a_session_within_a_session_is_separate(tmp_path: Path) -> None:
    """Its limits and tables are its own; the first one continues."""
    with session(tmp_path / "spill", memory="70MB") as outer:
        outer.execute("CREATE TABLE day AS SELECT 1 AS n")
        with session(tmp_path / "other", memory="90MB") as inner:
            inner.execute("CREATE TABLE day AS SELECT 2 AS n")
            limit = inner.execute("SELECT current_setting('memory_limit')").fetchone()

        assert limit == ("85.8 MiB",)
        assert outer.execute(
            "SELECT n, current_setting('memory_limit') FROM day"
        ).fetchall() == [(1, "66.7 MiB")]


def test_a_session_that_failed_leaves_no_engine(tmp_path: Path) -> None:
    """An error may have made the engine unusable; the next session has a new one."""
    one_value(tmp_path, FIRST)
    before = engine_threads()

    with (
        pytest.raises(duckdb.CatalogException),
        session(tmp_path / "spill", threads=2) as db,
    ):
        db.execute("FROM nothing")

    assert engine_threads() < before
    assert one_value(tmp_path, FIRST) == 1


def test_a_session_can_follow_one_that_spilled(tmp_path: Path) -> None:
    """DuckDB cannot change the folder to which it has spilled: the engine is new."""
    rows = "SELECT range AS n, hash(range) AS h, 'row ' || range AS r"
    spilled = tmp_path / "spilled"
    with session(spilled, memory="20MB", threads=2) as db:
        db.execute(f"CREATE TABLE day AS {rows} FROM range(1_000_000)")
        assert spilled.exists()

    assert not spilled.exists()
    assert one_value(tmp_path, SECOND) == 2


def test_a_session_sees_a_file_that_was_damaged_since(tmp_path: Path) -> None:
    """A damaged disk changes neither the size nor the time of a file."""
    path = tmp_path / "part.parquet"
    sql = f"SELECT count(*) FROM '{path}'"
    one_value(tmp_path, f"COPY (FROM range(10)) TO '{path}' (FORMAT parquet)")
    os.utime(path, (1e9, 1e9))
    before = one_value(tmp_path, sql)

    data = path.read_bytes()
    path.write_bytes(data[:4] + bytes(len(data) - 12) + data[-8:])
    os.utime(path, (1e9, 1e9))

    assert before == 10
    with pytest.raises(duckdb.Error):
        one_value(tmp_path, sql)


def test_a_fork_does_not_use_the_engine_of_its_parent(tmp_path: Path) -> None:
    """The threads of the engine of its parent would not exist in the child."""
    process = subprocess.run(
        [sys.executable, "-c", FORKING, str(tmp_path)], timeout=60, check=False
    )

    assert process.returncode == 0


def test_a_fork_during_a_session_has_an_engine_to_itself(tmp_path: Path) -> None:
    """The session continues in the parent, undisturbed."""
    with session(tmp_path / "spill", threads=2) as db:
        db.execute("CREATE TABLE day AS SELECT 1 AS n")

        code = run_in_child(lambda: one_value(tmp_path / "child", SECOND))

        assert code == 0
        assert db.execute("FROM day").fetchall() == [(1,)]


def test_the_engine_of_sessions_is_not_that_of_a_connection(tmp_path: Path) -> None:
    """A confined connection does not confine the sessions."""
    path = tmp_path / "part.parquet"
    one_value(tmp_path, f"COPY ({FIRST}) TO '{path}' (FORMAT parquet)")
    db = duckdb_engine.connect(tmp_path / "other")
    duckdb_engine.confine(db, [])

    assert one_value(tmp_path, f"SELECT n FROM '{path}'") == 1
    with pytest.raises(duckdb.PermissionException):
        db.execute(f"FROM '{path}'")
    db.close()
