"""A day as a film: every station in every slot, packed for a browser."""

import base64
import sys
import zlib
from array import array
from dataclasses import dataclass
from datetime import date
from itertools import product
from typing import TYPE_CHECKING, Any

from bikecollect.archive.query.duckdb_engine import translated
from bikecollect.reports.runner import Answer

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

UNSEEN = 65_535
"""Stands where a slot does not tell of a station."""
SLOTS = "SELECT slot, state, cause FROM slots WHERE date = ? ORDER BY slot"
STATIONS = """
SELECT r.station_id, s.name, s.region, s.lat, s.lon,
    COALESCE(r.capacity, s.capacity) AS capacity
FROM (
    SELECT station_id, MAX(capacity) AS capacity, MAX(slot) AS slot
    FROM station_status WHERE date = ? GROUP BY station_id
) AS r
LEFT JOIN stations AS s ON s.station_id = r.station_id
    AND s.valid_from <= r.slot AND (s.valid_to IS NULL OR s.valid_to > r.slot)
ORDER BY r.station_id
"""
COUNTS = """
WITH shown AS (
    SELECT station_id, ROW_NUMBER() OVER (ORDER BY station_id) - 1 AS place
    FROM (SELECT DISTINCT station_id FROM station_status WHERE date = $day) AS s
), times AS (
    SELECT slot, ROW_NUMBER() OVER (ORDER BY slot) - 1 AS place
    FROM slots WHERE date = $day
)
SELECT CAST(s.place AS INTEGER) AS station, CAST(t.place AS INTEGER) AS slot,
    CAST(LEAST(COALESCE(r.num_vehicles_available, 65535), 65535) AS INTEGER)
        AS vehicles,
    CAST(LEAST(COALESCE(r.num_docks_available, 65535), 65535) AS INTEGER) AS docks
FROM station_status AS r
JOIN shown AS s ON s.station_id = r.station_id
JOIN times AS t ON t.slot = r.slot
WHERE r.date = $day
"""


@dataclass(frozen=True)
class Film:
    """What *stations* had in *slots*; *states* says how each slot came, or why not.

    Of the slots so many are *missing*.

    A station is (station_id, name, region, lat, lon, capacity), as it was that day.
    *vehicles* and *docks*: stations times slots numbers of 16 bits, little-endian,
    station by station, deflated (zlib), in base64; `UNSEEN` where nothing is known.
    """

    slots: list[int]
    states: list[str]
    missing: int
    stations: list[tuple[Any, ...]]
    vehicles: str
    docks: str

    @property
    def collected(self) -> int:
        """How many slots were not missing."""
        return len(self.slots) - self.missing

    def answer(self) -> Answer:
        """Return a row for each station in each slot that tells of it."""
        vehicles, docks = _unpacked(self.vehicles), _unpacked(self.docks)
        pairs = product(self.stations, self.slots)
        rows = [
            (slot, station[0], bikes, None if free == UNSEEN else free)
            for (station, slot), bikes, free in zip(pairs, vehicles, docks, strict=True)
            if bikes != UNSEEN
        ]
        return Answer(["slot", "station_id", "vehicles", "docks"], rows)


def film(db: "DuckDBPyConnection", day: date) -> Film:
    """Return the film of *day* from the views of *db*; raises StorageError."""
    with translated(f"cannot read {day}"):
        slots = db.execute(SLOTS, [day]).fetchall()
        stations = db.execute(STATIONS, [day]).fetchall()
        found = db.execute(COUNTS, {"day": day}).fetchnumpy()
    shape = len(stations), len(slots)
    return Film(
        slots=[slot for slot, _, _ in slots],
        states=[cause or state for _, state, cause in slots],
        missing=sum(state == "missing" for _, state, _ in slots),
        stations=stations,
        vehicles=_packed(found, "vehicles", shape),
        docks=_packed(found, "docks", shape),
    )


def _packed(found: Any, column: str, shape: tuple[int, int]) -> str:
    import numpy as np  # comes with the extra `app`

    made = np.full(shape, UNSEEN, dtype="<u2")
    made[found["station"], found["slot"]] = found[column]
    return base64.b64encode(zlib.compress(made.tobytes(), 6)).decode("ascii")


def _unpacked(text: str) -> "array[int]":
    found = array("H", zlib.decompress(base64.b64decode(text)))
    if sys.byteorder == "big":
        found.byteswap()
    return found
