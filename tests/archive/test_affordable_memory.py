"""DuckDB's memory follows what the process may still allocate."""

import pytest

from bikecollect.archive.query import duckdb_engine


@pytest.mark.parametrize(
    ("left", "limit"), [(200_000_000, "100MB"), (20_000_000, "48MB"), (0, "48MB")]
)
def test_a_limited_process_takes_half_of_what_is_left(
    monkeypatch: pytest.MonkeyPatch, left: int, limit: str
) -> None:
    """A control group or `ulimit -v` counts, not only the machine's free memory."""
    monkeypatch.setattr(duckdb_engine, "memory_left", lambda: float(left))

    assert duckdb_engine.affordable() == limit
