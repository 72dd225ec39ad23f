"""Coverage of each station: find those that vanished, came late, stopped reporting."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bikecollect.archive.query.duckdb_engine import translated
from bikecollect.core.slots import DAY

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SQL = """
WITH ended AS (
    SELECT s.slot AS slot, COALESCE(
        LEAD(s.slot) OVER (ORDER BY s.slot),
        2 * s.slot - LAG(s.slot) OVER (ORDER BY s.slot), s.slot) AS slot_end
    FROM slots AS s
    WHERE s.system_id = $system AND s.date BETWEEN $first_day AND $last_day
), days AS (
    SELECT c.*, e.slot_end AS last_end
    FROM coverage AS c
    JOIN ended AS e ON e.slot = c.last_slot
    WHERE c.system_id = $system AND c.date BETWEEN $first_day AND $last_day
), gaps AS (
    SELECT d.station_id AS station_id, d.longest_gap_s AS seconds
    FROM days AS d
    WHERE d.date > $first_day AND d.date < $last_day
    UNION ALL
    SELECT d.station_id AS station_id, d.first_slot - COALESCE(LAG(d.last_end) OVER (
        PARTITION BY d.station_id ORDER BY d.date), $first_slot) AS seconds
    FROM days AS d
    UNION ALL
    SELECT d.station_id AS station_id, MAX(e.slot_end) - MAX(d.last_end) AS seconds
    FROM days AS d, ended AS e
    WHERE e.slot = $last_slot
    GROUP BY d.station_id
    UNION ALL
    SELECT r.station_id AS station_id, r.slot - LAG(e.slot_end) OVER (
        PARTITION BY r.station_id, r.date ORDER BY r.slot) AS seconds
    FROM station_status AS r
    JOIN ended AS e ON e.slot = r.slot
    WHERE r.system_id = $system
        AND r.date IN ($first_day, $last_day)
), longest AS (
    SELECT g.station_id AS station_id, MAX(g.seconds) AS seconds
    FROM gaps AS g
    GROUP BY g.station_id
)
SELECT d.station_id, COALESCE(MAX(s.name), ''),
    CAST(SUM(d.slots) AS BIGINT), MIN(d.first_slot), MAX(d.last_slot),
    CAST(MAX(g.seconds) AS BIGINT),
    CAST(COALESCE(SUM(d.silent), 0) AS BIGINT), CAST(SUM(d.inactive) AS BIGINT)
FROM days AS d
JOIN longest AS g ON g.station_id = d.station_id
LEFT JOIN stations AS s ON s.system_id = d.system_id AND s.station_id = d.station_id
    AND s.valid_to IS NULL
GROUP BY d.station_id ORDER BY d.station_id
"""
"""Each station with its longest gap, from the system's first slot to its last.

Of the first and the last day, the longest gap of `coverage` may lie before or after
these slots: there, the rows tell it.
"""
TOTAL = """
SELECT CAST(COUNT(*) AS BIGINT), MIN(slot), MAX(slot), MIN(date), MAX(date) FROM slots
WHERE system_id = ? AND date >= CAST(? AS DATE) AND date <= CAST(? AS DATE)
AND state <> 'missing'
"""
TABLES = frozenset({"coverage", "slots", "station_status", "stations"})
"""The tables that are read."""


class StationCoverage(NamedTuple):
    """Coverage of a station: it has rows in *slots* of the *collected* slots.

    *first* and *last* are its first and last slot; *longest_gap_s* is the longest time
    without a row of it, between the system's first and last collected slot; *verdict*
    is vanished, late, silent, closed, thin, or empty if nothing is unusual.
    """

    station_id: str
    name: str
    slots: int
    collected: int
    first: int
    last: int
    longest_gap_s: int
    verdict: str

    @property
    def share(self) -> float:
        """Share of the system's collected slots in which the station has a row."""
        return self.slots / self.collected if self.collected else 0.0


def seen(
    db: "DuckDBPyConnection", system_id: str, first_day: str, last_day: str
) -> list[StationCoverage]:
    """Return the coverage of each station, *first_day* and *last_day* included."""
    span = [system_id, first_day, last_day]
    with translated("cannot read the history"):
        ((collected, *ends),) = db.execute(TOTAL, span).fetchall()
        names = ("first_slot", "last_slot", "first_day", "last_day")
        found = dict(zip(names, ends, strict=True))
        rows = db.execute(SQL, {"system": system_id, **found}).fetchall()
    return [
        StationCoverage(
            station_id=row[0],
            name=row[1],
            slots=row[2],
            collected=collected,
            first=row[3],
            last=row[4],
            longest_gap_s=row[5],
            verdict=_verdict(row, collected, *ends[:2]),
        )
        for row in rows
    ]


def _verdict(row: Sequence[int], collected: int, begin: int, end: int) -> str:
    _, _, slots, first, last, _, silent, inactive = row
    if end - last >= DAY:
        return "vanished"
    if first - begin >= DAY:
        return "late"
    if silent * 2 > slots:
        return "silent"
    if inactive * 2 > slots:
        return "closed"
    return "thin" if slots < 0.9 * collected else ""
