-- Minimum, mean and maximum of a station in each hour.
-- date, hour: local time, 0 to 23; the hour repeated in autumn counts as one
-- slots_seen: slots with a number of vehicles; slots_expected: slots of the hour between
-- the station's first and last slot with a row, of its whole history
-- Each hour of the range has a row, unless its day cannot be read: slots_expected is 0
-- in those before and after.
-- slots_stale: of slots_seen, those that were stale
-- day_slots: slots of the day with a row; day_closed: of these, it was closed: not
-- installed, or neither renting nor returning
-- Docks that were never above 0 over a day are unknown on that day, unless they were
-- known for less than 12 hours of it and above 0 on the day before.
-- reads: slots, profile, coverage (summaries), asked
WITH $dockless_of_asked, hours AS (
    SELECT DISTINCT s.system_id AS system_id, s.date AS date,
        s.hour_of_week AS hour_of_week
    FROM slots AS s
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
), $expected_by_date_and_hour, counts AS (
    SELECT p.system_id AS system_id, p.station_id AS station_id, p.date AS date,
        p.hour_of_week AS hour_of_week, p.known AS known,
        $docks_known AS docks_known,
        p.sum_vehicles AS sum_vehicles,
        p.sum_docks AS sum_docks, p.min_vehicles AS min_vehicles,
        p.max_vehicles AS max_vehicles, p.sum_capacity AS sum_capacity,
        p.capacity_known AS capacity_known, p.stale AS stale
    FROM profile AS p
    JOIN asked AS a ON a.system_id = p.system_id AND a.station_id = p.station_id
    $join_dockless_p
    WHERE p.date >= DATE '$since' AND p.date < DATE '$until'
), days AS (
    SELECT c.system_id AS system_id, c.station_id AS station_id, c.date AS date,
        c.slots AS slots, c.inactive AS inactive
    FROM coverage AS c
    JOIN asked AS a ON a.system_id = c.system_id AND a.station_id = c.station_id
    WHERE c.date >= DATE '$since' AND c.date < DATE '$until'
)
SELECT a.system_id AS system_id, a.station_id AS station_id,
    CAST(h.date AS VARCHAR(10)) AS date, CAST(h.hour_of_week % 24 AS BIGINT) AS hour,
    CAST(COALESCE(f.known, 0) AS BIGINT) AS slots_seen,
    CAST(COALESCE(e.slots, 0) AS BIGINT) AS slots_expected,
    f.min_vehicles AS min_vehicles,
    CAST(f.sum_vehicles AS DOUBLE)
        / CAST(CASE WHEN f.known > 0 THEN f.known END AS DOUBLE) AS mean_vehicles,
    f.max_vehicles AS max_vehicles,
    CAST(f.sum_docks AS DOUBLE)
        / CAST(CASE WHEN f.docks_known > 0 THEN f.docks_known END AS DOUBLE)
        AS mean_docks,
    CAST(f.sum_capacity AS DOUBLE)
        / CAST(CASE WHEN f.capacity_known > 0 THEN f.capacity_known END AS DOUBLE)
        AS mean_capacity,
    CAST(COALESCE(d.slots, 0) AS BIGINT) AS day_slots,
    CAST(COALESCE(d.inactive, 0) AS BIGINT) AS day_closed,
    CAST(COALESCE(f.stale, 0) AS BIGINT) AS slots_stale
FROM asked AS a
JOIN hours AS h ON h.system_id = a.system_id
LEFT JOIN expected AS e ON e.system_id = a.system_id
    AND e.first_slot = a.first_slot AND e.last_slot = a.last_slot
    AND e.date = h.date AND e.hour_of_week = h.hour_of_week
LEFT JOIN counts AS f ON f.system_id = a.system_id AND f.station_id = a.station_id
    AND f.date = h.date AND f.hour_of_week = h.hour_of_week
LEFT JOIN days AS d ON d.system_id = a.system_id AND d.station_id = a.station_id
    AND d.date = h.date
ORDER BY system_id, station_id, date, hour
