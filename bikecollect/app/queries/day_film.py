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
"""The value of a station that is absent in a slot."""
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
    """The counts of all *stations* in the *slots* of a day.

    *states* has the state of each slot, or the cause why it is missing; *missing* is
    the number of missing slots. A station is (station_id, name, region, lat, lon,
    capacity) as of that day. *vehicles* and *docks* are arrays of 16-bit numbers,
    little-endian, slots by station, compressed with zlib, in base64; unknown counts
    are `UNSEEN`.
    """

    slots: list[int]
    states: list[str]
    missing: int
    stations: list[tuple[Any, ...]]
    vehicles: str
    docks: str

    @property
    def collected(self) -> int:
        """The number of slots that are not missing."""
        return len(self.slots) - self.missing

    def answer(self) -> Answer:
        """Return a row for each station in each slot that has it."""
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
        counts = db.execute(COUNTS, {"day": day}).fetchnumpy()
    shape = len(stations), len(slots)
    return Film(
        slots=[slot for slot, _, _ in slots],
        states=[cause or state for _, state, cause in slots],
        missing=sum(state == "missing" for _, state, _ in slots),
        stations=stations,
        vehicles=_packed(counts, "vehicles", shape),
        docks=_packed(counts, "docks", shape),
    )


def _packed(counts: Any, column: str, shape: tuple[int, int]) -> str:
    import numpy as np  # comes with the extra `app`

    numbers = np.full(shape, UNSEEN, dtype="<u2")
    numbers[counts["station"], counts["slot"]] = counts[column]
    return base64.b64encode(zlib.compress(numbers.tobytes(), 6)).decode("ascii")


def _unpacked(text: str) -> "array[int]":
    numbers = array("H", zlib.decompress(base64.b64decode(text)))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
