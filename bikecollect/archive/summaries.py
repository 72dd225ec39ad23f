"""The summaries of a day: SQL over the rows of stations and the day's slots.

Both tables have ``system_id`` and ``date``, so that the same SQL sums up a closed day,
all open days, or the whole range of a report. It is portable, like the reports.
"""

from collections.abc import Mapping
from typing import Any

from bikecollect.core.slots import stale_sql
from bikecollect.core.snapshot import CLOSED_SQL

FORMAT = 4
"""The version of these definitions.

Files of version 1 lack `NEW_COLUMN`; of version 2, coverage lacks `episodes`; in
version 3, all slots of a day are as long as its shortest one.
"""
NEW_COLUMN = {"coverage": "first_vehicles", "profile": "closed"}
EVEN = 3
"""The first version that is right if all slots of a day have the same length."""
COMPLETE = 2
"""The first version with all columns that portable SQL reads."""
COVERAGE = """
WITH numbered AS (
    SELECT system_id, date, slot, state, flags,
        ROW_NUMBER() OVER (PARTITION BY system_id, date ORDER BY slot) AS place,
        MIN(slot) OVER (PARTITION BY system_id, date) AS day_begin,
        COALESCE(
            LEAD(slot) OVER (PARTITION BY system_id, date ORDER BY slot),
            2 * slot - LAG(slot) OVER (PARTITION BY system_id, date ORDER BY slot),
            slot + {interval}) AS slot_end
    FROM {slots}
), days AS (
    SELECT system_id, date, COUNT(*) AS expected, MAX(slot_end) AS day_end,
        SUM(CASE WHEN state = 'missing' THEN 0 ELSE 1 END) AS collected
    FROM numbered GROUP BY system_id, date
), placed AS (
    SELECT r.system_id, r.date, r.station_id, r.slot, r.num_vehicles_available,
        r.num_docks_available, r.capacity, r.last_reported, n.place, n.slot_end,
        r.slot - COALESCE(LAG(n.slot_end) OVER station, n.day_begin) AS gap_s,
        {closed} AS closed,
        CASE WHEN {stale} THEN 1 ELSE 0 END AS stale,
        LAG(n.place) OVER station AS place_before,
        LEAD(n.place) OVER station AS place_after,
        LAG(r.num_vehicles_available) OVER station AS vehicles_before
    FROM {rows} AS r
    JOIN numbered AS n
    ON n.system_id = r.system_id AND n.date = r.date AND n.slot = r.slot
    WINDOW station AS (
        PARTITION BY r.system_id, r.date, r.station_id ORDER BY r.slot
    )
), summed AS (
    SELECT system_id, date, station_id, COUNT(*) AS slots,
        MIN(slot) AS first_slot, MAX(slot) AS last_slot, MAX(place) AS last_place,
        SUM(CASE WHEN place - COALESCE(place_before, 0) > 1 THEN 1 ELSE 0 END) AS gaps,
        MAX(gap_s) AS longest_s, MAX(slot_end) AS last_end,
        COUNT(num_vehicles_available) AS known,
        SUM(CASE WHEN closed = 0 AND num_vehicles_available = 0
            THEN 1 ELSE 0 END) AS empty_slots,
        SUM(CASE WHEN closed = 0 AND num_docks_available = 0
            THEN 1 ELSE 0 END) AS full_slots,
        SUM(CASE WHEN place = place_before + 1
            AND num_vehicles_available <> vehicles_before THEN 1 ELSE 0 END) AS changes,
        MIN(capacity) AS capacity_min, MAX(capacity) AS capacity_max,
        COUNT(last_reported) AS reported,
        SUM(CASE WHEN last_reported >= slot - 3600 THEN 0 ELSE 1 END) AS silent,
        SUM(closed) AS inactive, SUM(stale) AS stale,
        MAX(CASE WHEN COALESCE(place_before, 0) = 0 THEN num_vehicles_available END)
            AS first_vehicles,
        MAX(CASE WHEN COALESCE(place_after, 0) = 0 THEN num_vehicles_available END)
            AS last_vehicles
    FROM placed GROUP BY system_id, date, station_id
), told AS (
    SELECT s.*, SUM(reported) OVER (PARTITION BY system_id, date) AS day_reported
    FROM summed AS s
)
SELECT f.system_id, f.date, f.station_id,
    CAST(f.slots AS INTEGER) AS slots,
    CAST(d.expected AS INTEGER) AS expected,
    CAST(d.collected AS INTEGER) AS collected,
    f.first_slot, f.last_slot,
    CAST(f.gaps + CASE WHEN f.last_place < d.expected THEN 1 ELSE 0 END AS INTEGER)
        AS gaps,
    CAST(GREATEST(f.longest_s, d.day_end - f.last_end) AS BIGINT) AS longest_gap_s,
    CAST(f.known AS INTEGER) AS known,
    CAST(f.empty_slots AS INTEGER) AS empty_slots,
    CAST(f.full_slots AS INTEGER) AS full_slots,
    CAST(f.changes AS INTEGER) AS changes,
    f.capacity_min, f.capacity_max,
    CAST(CASE WHEN f.day_reported > 0 THEN f.silent END AS INTEGER) AS silent,
    CAST(f.inactive AS INTEGER) AS inactive,
    CAST(f.stale AS INTEGER) AS stale,
    f.first_vehicles, f.last_vehicles
FROM told AS f JOIN days AS d ON d.system_id = f.system_id AND d.date = f.date
"""
PROFILE = """
SELECT r.system_id, r.date, r.station_id, r.hour_of_week,
    CAST(COUNT(*) AS INTEGER) AS slots,
    CAST(COUNT(r.num_vehicles_available) AS INTEGER) AS known,
    CAST(COUNT(r.num_docks_available) AS INTEGER) AS docks_known,
    CAST(SUM(CASE WHEN {closed} = 1 THEN 0
        WHEN r.num_vehicles_available > 0 THEN 1 ELSE 0 END) AS INTEGER)
        AS with_vehicle,
    CAST(SUM(CASE WHEN {closed} = 1 THEN 0
        WHEN r.num_docks_available > 0 THEN 1 ELSE 0 END) AS INTEGER)
        AS with_dock,
    CAST(SUM(r.num_vehicles_available) AS BIGINT) AS sum_vehicles,
    CAST(SUM(r.num_docks_available) AS BIGINT) AS sum_docks,
    MIN(r.num_vehicles_available) AS min_vehicles,
    MAX(r.num_vehicles_available) AS max_vehicles,
    CAST(SUM(r.capacity) AS BIGINT) AS sum_capacity,
    CAST(COUNT(r.capacity) AS INTEGER) AS capacity_known,
    CAST(SUM(CASE WHEN r.num_vehicles_available IS NOT NULL THEN {closed} ELSE 0 END)
        AS INTEGER) AS closed,
    CAST(SUM(CASE WHEN r.num_vehicles_available IS NOT NULL AND {stale}
        THEN 1 ELSE 0 END) AS INTEGER) AS stale
FROM {rows} AS r
LEFT JOIN {slots} AS s
ON s.system_id = r.system_id AND s.date = r.date AND s.slot = r.slot
GROUP BY r.system_id, r.date, r.station_id, r.hour_of_week
"""

PRESENCE = """
SELECT r.system_id, r.date, r.station_id,
    MIN(r.slot) AS first_slot, MAX(r.slot) AS last_slot
FROM {rows} AS r
SEMI JOIN {slots} AS s
ON s.system_id = r.system_id AND s.date = r.date AND s.slot = r.slot
GROUP BY r.system_id, r.date, r.station_id
"""
STATION_DAYS = """
WITH numbered AS (
    SELECT system_id, date, slot,
        ROW_NUMBER() OVER (PARTITION BY system_id, date ORDER BY slot) AS place,
        COUNT(*) OVER (PARTITION BY system_id, date) AS places
    FROM {slots}
), placed AS (
    SELECT r.system_id, r.date, r.station_id, r.slot, n.place,
        {closed} = 0 AND r.num_vehicles_available = 0 AS is_empty,
        {closed} = 0 AND r.num_docks_available = 0 AS is_full,
        CASE WHEN n.place > 1 THEN COALESCE(n.place - 1 = LAG(n.place) OVER station
            AND LAG(r.num_vehicles_available) OVER station IS NOT NULL, false) END
            AS begin_seen,
        CASE WHEN n.place < n.places THEN COALESCE(n.place + 1 = LEAD(n.place) OVER
            station AND LEAD(r.num_vehicles_available) OVER station IS NOT NULL, false)
            END AS end_seen
    FROM {rows} AS r
    JOIN numbered AS n
    ON n.system_id = r.system_id AND n.date = r.date AND n.slot = r.slot
    WINDOW station AS (
        PARTITION BY r.system_id, r.date, r.station_id ORDER BY r.slot
    )
), scarce AS (
    SELECT *, 'empty' AS what FROM placed WHERE is_empty
    UNION ALL
    SELECT *, 'full' AS what FROM placed WHERE is_full
), islands AS (
    SELECT *, place - ROW_NUMBER() OVER (
        PARTITION BY system_id, date, station_id, what ORDER BY place) AS island
    FROM scarce
), pieces AS (
    SELECT system_id, date, station_id, what, MIN(slot) AS first_slot,
        MAX(slot) AS last_slot, CAST(COUNT(*) AS INTEGER) AS slots,
        arg_min_null(begin_seen, slot) AS begin_seen,
        arg_max_null(end_seen, slot) AS end_seen
    FROM islands GROUP BY system_id, date, station_id, what, island
), lists AS (
    SELECT system_id, date, station_id,
        list({{'what': what, 'first_slot': first_slot, 'last_slot': last_slot,
            'slots': slots, 'begin_seen': begin_seen, 'end_seen': end_seen}}
            ORDER BY what, first_slot) AS episodes
    FROM pieces GROUP BY system_id, date, station_id
), docks AS (
    SELECT system_id, date, station_id,
        CAST(SUM(num_docks_available) AS BIGINT) AS sum_docks,
        CAST(COUNT(num_docks_available) AS INTEGER) AS docks_known
    FROM {rows} GROUP BY system_id, date, station_id
)
SELECT d.system_id, d.date, d.station_id, d.sum_docks, d.docks_known, l.episodes
FROM docks AS d
LEFT JOIN lists AS l ON l.system_id = d.system_id AND l.date = d.date
    AND l.station_id = d.station_id
"""


def coverage(interval: int, rows: str = "rows", slots: str = "day_slots") -> str:
    """Return the SQL that sums up a station's day.

    Changes are counted only between consecutive collected slots, because their number
    over a gap is unknown. A row is silent if its station has not reported for an hour,
    or never; `silent` is NULL on a day without any reporting time. A slot ends
    with the next one; *interval* (seconds) is used for a day with a single slot.
    """
    rules = {"closed": CLOSED_SQL, "stale": stale_sql("n")}
    return COVERAGE.format(interval=int(interval), rows=rows, slots=slots, **rules)


def profile(rows: str = "rows", slots: str = "day_slots") -> str:
    """Return the SQL that sums up a station's hours of the week."""
    rules = {"closed": CLOSED_SQL, "stale": stale_sql("s")}
    return PROFILE.format(rows=rows, slots=slots, **rules)


def presence(rows: str = "rows", slots: str = "day_slots") -> str:
    """Return the SQL for DuckDB of a station's first and last slot on each day."""
    return PRESENCE.format(rows=rows, slots=slots)


def station_days(rows: str = "rows", slots: str = "day_slots") -> str:
    """Return the SQL for DuckDB of a station's docks and episodes on each day.

    `episodes` has the sequences of slots in which it was empty or full; *begin_seen*
    tells whether its vehicles were known in the slot before, and is NULL at the first
    slot of the day (*end_seen*: after, last).
    """
    return STATION_DAYS.format(rows=rows, slots=slots, closed=CLOSED_SQL)


def coverage_file(interval: int) -> str:
    """Return the SQL for DuckDB of the archived file of a day's coverage."""
    return (
        "SELECT c.*, e.* EXCLUDE (system_id, date, station_id)"
        f" FROM ({coverage(interval)}) AS c"
        f" JOIN ({station_days()}) AS e ON e.station_id = c.station_id"
    )


def are_outdated(parts: Mapping[str, Mapping[str, Any]], *, is_even: bool) -> bool:
    """Return whether an archived day with *parts* has summaries of an earlier format.

    *is_even* tells whether all slots of the day have the same length.

    >>> are_outdated({"coverage": {"sha256": ""}}, is_even=True)
    True
    >>> [are_outdated({"profile": {"format": 3}}, is_even=e) for e in (True, False)]
    [False, True]
    >>> are_outdated({"vehicle_slots": {}}, is_even=False)
    False
    """
    valid = {EVEN, FORMAT} if is_even else {FORMAT}
    return any(
        parts[name].get("format") not in valid
        for name in NEW_COLUMN.keys() & parts.keys()
    )


def lack_columns(dataset: str, part: Mapping[str, Any]) -> bool:
    """Return whether *part*, a file of *dataset*, lacks columns of the reports.

    >>> lack_columns("profile", {"sha256": ""}), lack_columns("slots", {"sha256": ""})
    (True, False)
    """
    return dataset in NEW_COLUMN and int(part.get("format") or 1) < COMPLETE


def without(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return those of the *parts* of a day that are not summaries."""
    return {name: part for name, part in parts.items() if name not in NEW_COLUMN}


def only(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return those of the *parts* of a day that are summaries."""
    return {name: part for name, part in parts.items() if name in NEW_COLUMN}
