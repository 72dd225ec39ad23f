-- How reliably each station has a vehicle, and a free dock.
-- slots_seen: slots with a number of vehicles
-- slots_expected: slots between the station's first and last slot with a row
-- share_seen: slots_seen / slots_expected
-- share_with_vehicle, share_with_dock: share of seen slots in which the station was
-- open and had at least one
-- share_silent: share of rows whose last_reported is over 3,600 s before the slot, or
-- empty (it never reported); NULL if no station of those days has such a time
-- share_inactive: share of rows that say closed: not installed, or neither renting
-- nor returning
-- changes: pairs of adjacent slots whose numbers of vehicles differ, also over
-- midnight; a pair across a gap or with an unknown number is not counted
-- slots_stale: slots with a row whose content had not changed for too long
-- share_empty, share_full: share of seen slots in which it was open and had none: a
-- closed station is neither empty nor full
-- share_with_dock, share_full: over slots with a known number of docks
-- Docks that were never above 0 over a day are unknown on that day, unless they were
-- known for less than 12 hours of it and above 0 on the day before.
-- reads: slots, coverage, profile (summaries), asked
WITH $dockless, $expected, days AS (
    SELECT s.system_id AS system_id, s.date AS date, MIN(s.slot) AS first_slot,
        MAX(s.slot) AS last_slot
    FROM slots AS s
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
    GROUP BY s.system_id, s.date
), midnights AS (
    SELECT d.system_id AS system_id, d.date AS date, d.first_slot AS slot,
        LAG(d.last_slot) OVER (PARTITION BY d.system_id ORDER BY d.date)
            AS slot_before
    FROM days AS d
), sequence AS (
    SELECT c.system_id AS system_id, c.station_id AS station_id, c.date AS date,
        c.slots AS slots, c.silent AS silent, c.inactive AS inactive,
        c.changes AS changes, c.stale AS stale, c.first_slot AS first_slot,
        c.empty_slots AS empty_slots, c.full_slots AS full_slots,
        c.first_vehicles AS first_vehicles,
        LAG(c.last_slot) OVER (
            PARTITION BY c.system_id, c.station_id ORDER BY c.date) AS slot_before,
        LAG(c.last_vehicles) OVER (
            PARTITION BY c.system_id, c.station_id ORDER BY c.date) AS vehicles_before
    FROM coverage AS c
    WHERE c.date >= DATE '$since' AND c.date < DATE '$until'
), covered AS (
    SELECT q.system_id AS system_id, q.station_id AS station_id, SUM(q.slots) AS slots,
        SUM(q.silent) AS silent,
        SUM(CASE WHEN q.silent IS NOT NULL THEN q.slots END) AS telling,
        SUM(q.inactive) AS inactive, SUM(q.stale) AS stale,
        SUM(q.empty_slots) AS empty_slots,
        SUM(CASE WHEN x.station_id IS NULL THEN q.full_slots ELSE 0 END) AS full_slots,
        SUM(q.changes + CASE WHEN m.slot = q.first_slot
            AND m.slot_before = q.slot_before
            AND q.first_vehicles <> q.vehicles_before THEN 1 ELSE 0 END) AS changes
    FROM sequence AS q
    $join_dockless_q
    LEFT JOIN midnights AS m ON m.system_id = q.system_id AND m.date = q.date
    GROUP BY q.system_id, q.station_id
), counts AS (
    SELECT p.system_id AS system_id, p.station_id AS station_id,
        SUM(p.known) AS known,
        SUM($docks_known) AS docks_known,
        SUM(p.with_vehicle) AS with_vehicle, SUM(p.with_dock) AS with_dock
    FROM profile AS p
    $join_dockless_p
    WHERE p.date >= DATE '$since' AND p.date < DATE '$until'
    GROUP BY p.system_id, p.station_id
), systems AS (
    SELECT DISTINCT d.system_id AS system_id
    FROM days AS d
)
SELECT a.system_id AS system_id, a.station_id AS station_id,
    CAST(COALESCE(f.known, 0) AS BIGINT) AS slots_seen,
    CAST(COALESCE(e.slots, 0) AS BIGINT) AS slots_expected,
    CAST(COALESCE(f.known, 0) AS DOUBLE) / CAST(e.slots AS DOUBLE) AS share_seen,
    CAST(f.with_vehicle AS DOUBLE)
        / CAST(CASE WHEN f.known > 0 THEN f.known END AS DOUBLE) AS share_with_vehicle,
    CAST(f.with_dock AS DOUBLE)
        / CAST(CASE WHEN f.docks_known > 0 THEN f.docks_known END AS DOUBLE)
        AS share_with_dock,
    CAST(c.silent AS DOUBLE) / CAST(c.telling AS DOUBLE) AS share_silent,
    CAST(c.inactive AS DOUBLE) / CAST(c.slots AS DOUBLE) AS share_inactive,
    CAST(c.changes AS BIGINT) AS changes,
    CAST(COALESCE(c.stale, 0) AS BIGINT) AS slots_stale,
    CAST(c.empty_slots AS DOUBLE)
        / CAST(CASE WHEN f.known > 0 THEN f.known END AS DOUBLE) AS share_empty,
    CAST(c.full_slots AS DOUBLE)
        / CAST(CASE WHEN f.docks_known > 0 THEN f.docks_known END AS DOUBLE)
        AS share_full
FROM asked AS a
JOIN systems AS y ON y.system_id = a.system_id
LEFT JOIN expected AS e ON e.system_id = a.system_id
    AND e.first_slot = a.first_slot AND e.last_slot = a.last_slot
LEFT JOIN covered AS c ON c.system_id = a.system_id AND c.station_id = a.station_id
LEFT JOIN counts AS f ON f.system_id = a.system_id AND f.station_id = a.station_id
ORDER BY system_id, share_with_vehicle, station_id
