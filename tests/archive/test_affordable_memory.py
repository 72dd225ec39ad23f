"""DuckDB's memory follows what the process may still allocate."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bikecollect.archive.encoding.copying import copy, lines_by_slot
from bikecollect.archive.query import duckdb_engine

CONNECT = """
import resource, sys
from pathlib import Path
from bikecollect.archive.query import duckdb_engine
from bikecollect.core.errors import StorageError
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]) << 20, -1))
try:
    duckdb_engine.connect(Path(sys.argv[2]), memory="48MB")
except StorageError as error:
    sys.exit(f"{error.exit_code}: {error}")
"""
"""Connects with as many MiB of addresses as the first argument says."""


@pytest.mark.parametrize(
    ("left", "limit"), [(200_000_000, "100MB"), (20_000_000, "48MB"), (0, "48MB")]
)
def test_a_limited_process_takes_half_of_what_is_left(
    monkeypatch: pytest.MonkeyPatch, left: int, limit: str
) -> None:
    """A control group or `ulimit -v` counts, not only the machine's free memory."""
    monkeypatch.setattr(duckdb_engine, "memory_left", lambda: float(left))

    assert duckdb_engine.affordable() == limit


def test_a_table_that_takes_more_memory_gets_what_is_affordable(tmp_path: Path) -> None:
    """A day of 20,000 stations could not be archived: "out of memory"."""
    target = tmp_path / "list.parquet"
    sql = "SELECT 5 AS slot, list(i) AS i FROM range(3_000_000) AS t(i)"
    with closing(duckdb_engine.connect(tmp_path / "spill", memory="16MB")) as db:
        copy(db, sql, target, "FORMAT parquet")
    sql = f"SELECT slot, len(i)::text FROM '{target}' WHERE slot BETWEEN ? AND ?"
    with closing(duckdb_engine.connect(tmp_path / "spill", memory="16MB")) as db:
        found = lines_by_slot(db, sql, [5])

    assert found == {5: ["3000000"]}


@pytest.mark.parametrize("mib", [200, 272, 352, 560, 700])
def test_too_few_addresses_are_named_before_duckdb_aborts(
    mib: int, tmp_path: Path
) -> None:
    """Under `ulimit -v` DuckDB ended the process with 127, or failed at random."""
    process = subprocess.run(
        [sys.executable, "-c", CONNECT, str(mib), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "74: DuckDB cannot be started: `ulimit -v` leaves" in process.stderr
    assert process.returncode == 1
