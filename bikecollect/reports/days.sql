-- Minimum, mean and maximum of a station on each day.
-- slots_seen: slots with a number of vehicles; slots_expected: slots of the day between
-- the station's first and last slot with a row, of its whole history
-- Each day of the range has a row, unless it cannot be read: slots_expected is 0 in
-- those before and after.
-- day_slots: slots with a row of the station; day_closed: of these, it was closed: not
-- installed, or neither renting nor returning; slots_stale: of these, stale slots
-- capacity_min, capacity_max: lowest and highest capacity of the day
-- Docks that were never above 0 over a day are unknown on that day, unless they were
-- known for less than 12 hours of it and above 0 on the day before.
-- reads: slots, profile, coverage (summaries), asked
WITH $dockless_of_asked, days AS (
    SELECT DISTINCT s.system_id AS system_id, s.date AS date
    FROM slots AS s
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
), $expected_by_date, counts AS (
    SELECT p.system_id AS system_id, p.station_id AS station_id, p.date AS date,
        SUM(p.known) AS known,
        SUM($docks_known) AS docks_known,
        SUM(p.sum_vehicles) AS sum_vehicles, SUM(p.sum_docks) AS sum_docks,
        MIN(p.min_vehicles) AS min_vehicles, MAX(p.max_vehicles) AS max_vehicles
    FROM profile AS p
    JOIN asked AS a ON a.system_id = p.system_id AND a.station_id = p.station_id
    $join_dockless_p
    WHERE p.date >= DATE '$since' AND p.date < DATE '$until'
    GROUP BY p.system_id, p.station_id, p.date
), covered AS (
    SELECT c.system_id AS system_id, c.station_id AS station_id, c.date AS date,
        c.slots AS slots, c.inactive AS inactive, c.stale AS stale,
        c.capacity_min AS capacity_min,
        c.capacity_max AS capacity_max
    FROM coverage AS c
    JOIN asked AS a ON a.system_id = c.system_id AND a.station_id = c.station_id
    WHERE c.date >= DATE '$since' AND c.date < DATE '$until'
)
SELECT a.system_id AS system_id, a.station_id AS station_id,
    CAST(d.date AS VARCHAR(10)) AS date,
    CAST(COALESCE(f.known, 0) AS BIGINT) AS slots_seen,
    CAST(COALESCE(e.slots, 0) AS BIGINT) AS slots_expected,
    f.min_vehicles AS min_vehicles,
    CAST(f.sum_vehicles AS DOUBLE)
        / CAST(CASE WHEN f.known > 0 THEN f.known END AS DOUBLE) AS mean_vehicles,
    f.max_vehicles AS max_vehicles,
    CAST(f.sum_docks AS DOUBLE)
        / CAST(CASE WHEN f.docks_known > 0 THEN f.docks_known END AS DOUBLE)
        AS mean_docks,
    c.capacity_min AS capacity_min, c.capacity_max AS capacity_max,
    CAST(COALESCE(c.slots, 0) AS BIGINT) AS day_slots,
    CAST(COALESCE(c.inactive, 0) AS BIGINT) AS day_closed,
    CAST(COALESCE(c.stale, 0) AS BIGINT) AS slots_stale
FROM asked AS a
JOIN days AS d ON d.system_id = a.system_id
LEFT JOIN expected AS e ON e.system_id = a.system_id
    AND e.first_slot = a.first_slot AND e.last_slot = a.last_slot AND e.date = d.date
LEFT JOIN counts AS f ON f.system_id = a.system_id AND f.station_id = a.station_id
    AND f.date = d.date
LEFT JOIN covered AS c ON c.system_id = a.system_id AND c.station_id = a.station_id
    AND c.date = d.date
ORDER BY system_id, station_id, date
