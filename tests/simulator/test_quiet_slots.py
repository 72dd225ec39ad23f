"""Slots that the demo writes straight become the files of collected ones."""

import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bikecollect.simulator import demo_month
from bikecollect.simulator.demo import YOUBIKE
from bikecollect.simulator.quiet_slots import DayArchiver, StraightWriter

duckdb = pytest.importorskip("duckdb")
NOW = datetime.fromisoformat("2025-03-11T03:00:00+08:00").timestamp()
SAME = ("station_status", "coverage", "profile")
"""Datasets that name no run: their files are equal byte for byte."""
RUNS = "SELECT slot, outcome, cause, http_status, bytes, stations, rows, flags FROM"
BLOCKS = "SELECT slot, file, start, end, crc32, rows, sha256, source, flags FROM"


def simulated(folder: Path) -> Path:
    """Simulate two days of five stations in *folder*, and return it."""
    folder.mkdir()
    demo_month.collect_days(folder, NOW, days=2, stations=5, seed=1, step=str)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return the daily files, the station list, and the archive's equal files."""
    system = folder / YOUBIKE
    files = [*system.glob("station_status/*.csv"), system / "station_information.csv"]
    for dataset in SAME:
        files += folder.glob(f"archive/{dataset}/**/*.parquet")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def archived_slots(folder: Path) -> list[tuple[Any, ...]]:
    """Return the archived slots, without their run ids."""
    parts = folder / "archive/slots/**/*.parquet"
    sql = f"SELECT * EXCLUDE (run_id) FROM read_parquet('{parts}') ORDER BY slot"
    return list(duckdb.sql(sql).fetchall())


def ledger(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return rows of the ledger, ordered by slot."""
    db = sqlite3.connect(folder / YOUBIKE / "ledger.sqlite3")
    rows = db.execute(f"{sql} ORDER BY slot").fetchall()
    db.close()
    return rows


@pytest.mark.slow
def test_a_day_written_straight_equals_a_collected_and_compacted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, blocks, stations and the archive: with outages and changed stations."""
    written = []
    write = StraightWriter.write

    def noting(writer: StraightWriter, slot: int, *times: float) -> None:
        written.append(slot)
        write(writer, slot, *times)

    monkeypatch.setattr(StraightWriter, "write", noting)
    monkeypatch.setattr(demo_month, "BESIDE", 0)
    straight = simulated(tmp_path / "straight")
    count = len(written)
    monkeypatch.setattr(demo_month, "_is_quiet", lambda *_: False)
    monkeypatch.setattr(DayArchiver, "add", lambda *_: None)
    collected = simulated(tmp_path / "collected")

    assert count == len(written) > 60
    assert contents(straight) == contents(collected)
    assert len(contents(straight)) == 6
    assert archived_slots(straight) == archived_slots(collected)
    for sql in (f"{BLOCKS} blocks", f"{RUNS} runs"):
        assert ledger(straight, sql) == ledger(collected, sql)
