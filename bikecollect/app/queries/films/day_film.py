"""A day as a film: every station in every slot, packed for a browser."""

from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import pairwise, product
from math import gcd
from typing import TYPE_CHECKING, Any

from bikecollect.app.queries.films.packing import UNSEEN, packed, unpacked, unseen
from bikecollect.app.queries.films.usual import Usual, usual_of
from bikecollect.archive.query.duckdb_engine import translated
from bikecollect.core.slots import MINUTE
from bikecollect.core.text import clock_minute
from bikecollect.reports.parts.fragments import with_parts
from bikecollect.reports.registry import Values
from bikecollect.reports.runner import Answer

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SLOTS = """
SELECT slot, state, cause FROM slots
WHERE date >= DATE '$since' AND date < DATE '$until'
    AND slot >= $begin AND slot < $end
ORDER BY slot
"""
STATIONS = """
SELECT r.station_id, s.name, s.region, s.lat, s.lon,
    COALESCE(r.capacity, s.capacity) AS capacity
FROM (
    SELECT station_id, MAX(capacity) AS capacity, MAX(slot) AS slot
    FROM station_status
    WHERE date >= DATE '$since' AND date < DATE '$until'
        AND slot >= $begin AND slot < $end
    GROUP BY station_id
) AS r
LEFT JOIN stations AS s ON s.station_id = r.station_id
    AND s.valid_from <= r.slot AND (s.valid_to IS NULL OR s.valid_to > r.slot)
ORDER BY r.station_id
"""
COUNTS = """
WITH $dockless, shown AS (
    SELECT station_id, ROW_NUMBER() OVER (ORDER BY station_id) - 1 AS place
    FROM (
        SELECT DISTINCT station_id FROM station_status
        WHERE date >= DATE '$since' AND date < DATE '$until'
            AND slot >= $begin AND slot < $end
    ) AS s
), times AS (
    SELECT slot, ROW_NUMBER() OVER (ORDER BY slot) - 1 AS place
    FROM slots
    WHERE date >= DATE '$since' AND date < DATE '$until'
        AND slot >= $begin AND slot < $end
)
SELECT CAST(s.place AS INTEGER) AS station, CAST(t.place AS INTEGER) AS slot,
    CAST(LEAST(COALESCE(r.num_vehicles_available, 65535), 65535) AS INTEGER)
        AS vehicles,
    CAST(LEAST(COALESCE($docks, 65535), 65535) AS INTEGER) AS docks,
    $closed AS closed
FROM station_status AS r
JOIN shown AS s ON s.station_id = r.station_id
JOIN times AS t ON t.slot = r.slot
$join_dockless_r
WHERE r.date >= DATE '$since' AND r.date < DATE '$until'
    AND r.slot >= $begin AND r.slot < $end
"""


@dataclass(frozen=True)
class Film:
    """The counts of all *stations* in the *slots* of a day; each has *seconds*.

    *states* has the state of each slot, or the cause if it is missing; *missing* is the
    number of missing slots. A station is (station_id, name, region, lat, lon, capacity)
    as of that day. *vehicles* and *docks* are packed, station by station, with the
    slots of each; unknown counts are `UNSEEN`. So is *closed*, with 1 where the station
    was closed. *usual* is from earlier days.
    """

    slots: list[int]
    states: list[str]
    missing: int
    stations: list[tuple[Any, ...]]
    vehicles: str
    docks: str
    closed: str
    seconds: int = 300
    usual: Usual = field(default_factory=Usual)

    @property
    def collected(self) -> int:
        """The number of slots that are not missing."""
        return len(self.slots) - self.missing

    def labels(self, zone: tzinfo) -> list[str]:
        """Return the local time of each slot, with seconds if any of them has some."""
        step = gcd(MINUTE, *self.slots)
        return [clock_minute(slot, zone, step)[11:] for slot in self.slots]

    def answer(self) -> Answer:
        """Return a row for each station in each slot that has it.

        One whose vehicles are unknown has a row, too.
        """
        counts = map(unpacked, (self.vehicles, self.docks, self.closed))
        pairs = product(self.stations, self.slots)
        rows = [
            (slot, station[0], *(None if n == UNSEEN else n for n in numbers))
            for (station, slot), *numbers, closed in zip(pairs, *counts, strict=True)
            if closed != UNSEEN
        ]
        return Answer(["slot", "station_id", "vehicles", "docks"], rows)


def film(db: "DuckDBPyConnection", values: Values, zone: tzinfo) -> Film:
    """Return the film of the days and slots of *values* from the views of *db*.

    *zone* is that of the system. Raises StorageError.
    """
    with translated(f"cannot read {values.since}"):
        slots = db.execute(values.fill(SLOTS)).fetchall()
        stations = db.execute(values.fill(STATIONS)).fetchall()
        counts = db.execute(values.fill(with_parts(COUNTS))).fetchnumpy()
    shape = len(stations), len(slots)
    ids = [station[0] for station in stations]
    begins = [slot for slot, _, _ in slots]
    lengths = (after - before for before, after in pairwise(begins))
    return Film(
        slots=begins,
        states=[cause or state for _, state, cause in slots],
        missing=sum(state == "missing" for _, state, _ in slots),
        stations=stations,
        vehicles=_packed(counts, "vehicles", shape),
        docks=_packed(counts, "docks", shape),
        closed=_packed(counts, "closed", shape),
        seconds=min(lengths, default=values.interval),
        usual=usual_of(db, ids, begins, zone),
    )


def _packed(counts: Any, column: str, shape: tuple[int, int]) -> str:
    numbers = unseen(shape)
    numbers[counts["station"], counts["slot"]] = counts[column]
    return packed(numbers)
