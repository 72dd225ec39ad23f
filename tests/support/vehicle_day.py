"""A day of vehicles that come and go, archived as `compact` does it."""

import random
from pathlib import Path
from typing import Any

from bikecollect.archive import parquet
from bikecollect.archive.datasets import ADDED, VEHICLE_TYPES
from bikecollect.archive.query import duckdb_engine

COLUMNS = VEHICLE_TYPES | ADDED
FIRST = 1_700_000_100


def rows_of(vehicles: int, slots: int) -> list[tuple[Any, ...]]:
    """Return rows of *vehicles* over *slots*, by vehicle: each is ridden now and then.

    Values are unknown at some of them.
    """
    chance = random.Random(7)
    rows: list[tuple[Any, ...]] = []
    for number in range(vehicles):
        lat, lon, metres, since = 25.0, 121.5, 40_000, FIRST - 900
        for slot in range(FIRST, FIRST + 300 * slots, 300):
            if chance.random() < 0.05:
                lat = round(25 + chance.random() / 10, 6)
                lon = round(121.5 + chance.random() / 10, 6)
                metres, since = max(0, metres - chance.randint(0, 3_000)), slot
                continue
            place = (None, None) if number % 50 == 3 else (lat, lon)
            flags = number % 9 == 0, None if number % 11 else False
            range_m = None if number % 7 == 2 else metres
            more = (range_m, range_m and round(range_m / 40_000, 2), None, since)
            minute = slot % 86_400 // 60
            head = (slot, slot + 2, f"v{number:05}", *place, "scooter")
            rows.append((*head, *flags, *more, minute, minute // 60))
    return rows


def written(folder: Path, rows: list[tuple[Any, ...]]) -> Path:
    """Return the archived file of *rows* in *folder*."""
    db = duckdb_engine.connect(folder / "spill", threads=2)
    duckdb_engine.load(db, "day", COLUMNS, rows)
    path = folder / "part.parquet"
    sql = "SELECT * FROM day ORDER BY vehicle_id, slot"
    parquet.copy_smallest(db, sql, path, tuple(VEHICLE_TYPES))
    db.close()
    return path
