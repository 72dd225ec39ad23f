"""The summaries of a day: SQL that reads the tables ``rows`` and ``day_slots``.

Both have ``system_id`` and ``date``, so that the same SQL sums up one closed day or all
open ones.
"""

NUMBERED = """
numbered AS (
    SELECT system_id, date, slot, state,
        ROW_NUMBER() OVER (PARTITION BY system_id, date ORDER BY slot) AS place
    FROM day_slots
), days AS (
    SELECT system_id, date, COUNT(*) AS expected,
        SUM(CASE WHEN state = 'missing' THEN 0 ELSE 1 END) AS collected
    FROM numbered GROUP BY system_id, date
)"""
COVERAGE = """
WITH {numbered}, placed AS (
    SELECT r.system_id, r.date, r.station_id, r.slot, r.num_vehicles_available,
        r.num_docks_available, r.capacity, r.last_reported, r.is_renting,
        r.is_installed, n.place,
        LAG(n.place) OVER station AS place_before,
        LAG(r.num_vehicles_available) OVER station AS vehicles_before
    FROM rows AS r
    JOIN numbered AS n
    ON n.system_id = r.system_id AND n.date = r.date AND n.slot = r.slot
    WINDOW station AS (
        PARTITION BY r.system_id, r.date, r.station_id ORDER BY r.slot
    )
), found AS (
    SELECT system_id, date, station_id, COUNT(*) AS slots,
        MIN(slot) AS first_slot, MAX(slot) AS last_slot, MAX(place) AS last_place,
        SUM(CASE WHEN place - COALESCE(place_before, 0) > 1 THEN 1 ELSE 0 END) AS gaps,
        MAX(place - COALESCE(place_before, 0) - 1) AS longest,
        COUNT(num_vehicles_available) AS known,
        SUM(CASE WHEN num_vehicles_available = 0 THEN 1 ELSE 0 END) AS empty_slots,
        SUM(CASE WHEN num_docks_available = 0 THEN 1 ELSE 0 END) AS full_slots,
        SUM(CASE WHEN place = place_before + 1
            AND num_vehicles_available <> vehicles_before THEN 1 ELSE 0 END) AS changes,
        MIN(capacity) AS capacity_min, MAX(capacity) AS capacity_max,
        SUM(CASE WHEN last_reported < slot - 3600 THEN 1 ELSE 0 END) AS silent,
        SUM(CASE WHEN is_renting = FALSE OR is_installed = FALSE
            THEN 1 ELSE 0 END) AS inactive
    FROM placed GROUP BY system_id, date, station_id
)
SELECT f.system_id, f.date, f.station_id,
    CAST(f.slots AS INTEGER) AS slots,
    CAST(d.expected AS INTEGER) AS expected,
    CAST(d.collected AS INTEGER) AS collected,
    f.first_slot, f.last_slot,
    CAST(f.gaps + CASE WHEN f.last_place < d.expected THEN 1 ELSE 0 END AS INTEGER)
        AS gaps,
    CAST(GREATEST(f.longest, d.expected - f.last_place) AS BIGINT) * {interval}
        AS longest_gap_s,
    CAST(f.known AS INTEGER) AS known,
    CAST(f.empty_slots AS INTEGER) AS empty_slots,
    CAST(f.full_slots AS INTEGER) AS full_slots,
    CAST(f.changes AS INTEGER) AS changes,
    f.capacity_min, f.capacity_max,
    CAST(f.silent AS INTEGER) AS silent,
    CAST(f.inactive AS INTEGER) AS inactive
FROM found AS f JOIN days AS d ON d.system_id = f.system_id AND d.date = f.date
"""
PROFILE = """
SELECT system_id, date, station_id, hour_of_week,
    CAST(COUNT(*) AS INTEGER) AS slots,
    CAST(COUNT(num_vehicles_available) AS INTEGER) AS known,
    CAST(COUNT(num_docks_available) AS INTEGER) AS docks_known,
    CAST(SUM(CASE WHEN num_vehicles_available > 0 THEN 1 ELSE 0 END) AS INTEGER)
        AS with_vehicle,
    CAST(SUM(CASE WHEN num_docks_available > 0 THEN 1 ELSE 0 END) AS INTEGER)
        AS with_dock,
    CAST(SUM(num_vehicles_available) AS BIGINT) AS sum_vehicles,
    CAST(SUM(num_docks_available) AS BIGINT) AS sum_docks,
    MIN(num_vehicles_available) AS min_vehicles,
    MAX(num_vehicles_available) AS max_vehicles,
    CAST(SUM(capacity) AS BIGINT) AS sum_capacity,
    CAST(COUNT(capacity) AS INTEGER) AS capacity_known
FROM rows
GROUP BY system_id, date, station_id, hour_of_week
"""


def coverage(interval: int) -> str:
    """Return the SQL that sums up a station's day, in slots of *interval* seconds.

    Changes are counted between consecutive collected slots only: their number over a
    gap is unknown.
    """
    return COVERAGE.format(numbered=NUMBERED, interval=int(interval))


def profile() -> str:
    """Return the SQL that sums up a station's hours of the week."""
    return PROFILE
