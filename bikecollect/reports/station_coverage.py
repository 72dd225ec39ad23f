"""Coverage of each station: find those that vanished, came late, stopped reporting."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bikecollect.archive.query.duckdb_engine import translated
from bikecollect.core.slots import DAY

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SQL = """
SELECT c.station_id, COALESCE(MAX(s.name), ''),
    CAST(SUM(c.slots) AS BIGINT), MIN(c.first_slot), MAX(c.last_slot),
    CAST(MAX(c.longest_gap_s) AS BIGINT),
    CAST(COALESCE(SUM(c.silent), 0) AS BIGINT), CAST(SUM(c.inactive) AS BIGINT)
FROM coverage AS c
LEFT JOIN stations AS s ON s.system_id = c.system_id AND s.station_id = c.station_id
    AND s.valid_to IS NULL
WHERE c.system_id = ? AND c.date >= CAST(? AS DATE) AND c.date <= CAST(? AS DATE)
GROUP BY c.station_id ORDER BY c.station_id
"""
TOTAL = """
SELECT CAST(COUNT(*) AS BIGINT), MIN(slot), MAX(slot) FROM slots
WHERE system_id = ? AND date >= CAST(? AS DATE) AND date <= CAST(? AS DATE)
AND state <> 'missing'
"""
TABLES = frozenset({"coverage", "slots", "stations"})
"""The tables that are read."""


class StationCoverage(NamedTuple):
    """Coverage of a station: it has rows in *slots* of the *collected* slots.

    *first* and *last* are its first and last slot; *longest_gap_s* is the longest gap
    within a day; *verdict* is vanished, late, silent, closed, thin, or empty if
    nothing is unusual.
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
        ((collected, begin, end),) = db.execute(TOTAL, span).fetchall()
        rows = db.execute(SQL, span).fetchall()
    return [
        StationCoverage(
            station_id=row[0],
            name=row[1],
            slots=row[2],
            collected=collected,
            first=row[3],
            last=row[4],
            longest_gap_s=row[5],
            verdict=_verdict(row, collected, begin, end),
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
