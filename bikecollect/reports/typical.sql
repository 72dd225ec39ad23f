-- The typical day of a station, by weekday and quarter of an hour.
-- weekday: 0 = Monday; minute: of the local day, the first of its quarter
-- days_seen: such days with a number of vehicles; days_expected: all such days between
-- the station's first and last slot with a row; days_stale: seen, also in stale slots
-- low_, mid_, high_: quartiles of the values of all slots in the quarter, on all those
-- days: half of the values lie between low and high
-- Docks that were never above 0 over a day are unknown on that day, unless they were
-- known for less than 12 hours of it and above 0 on the day before.
-- reads: slots, station_status (rows), profile (summaries), asked
WITH $dockless_of_asked, timed AS (
    SELECT s.system_id AS system_id, s.date AS date, s.slot AS slot, s.flags AS flags,
        CAST(FLOOR(s.hour_of_week / 24) AS BIGINT) AS weekday,
        CAST(s.minute_of_day - s.minute_of_day % 15 AS BIGINT) AS minute
    FROM slots AS s
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
        AND s.date <> DATE '$without'
        AND s.hour_of_week >= $first_hour AND s.hour_of_week < $end_hour
), quarters AS (
    SELECT DISTINCT t.system_id AS system_id, t.weekday AS weekday, t.minute AS minute
    FROM timed AS t
), $lives, expected AS (
    SELECT l.system_id AS system_id, l.first_slot AS first_slot,
        l.last_slot AS last_slot, t.weekday AS weekday, t.minute AS minute,
        COUNT(DISTINCT t.date) AS days
    FROM lives AS l
    JOIN timed AS t ON t.system_id = l.system_id AND t.slot >= l.first_slot
        AND t.slot <= l.last_slot
    GROUP BY l.system_id, l.first_slot, l.last_slot, t.weekday, t.minute
), counts AS (
    SELECT r.system_id AS system_id, r.station_id AS station_id,
        t.weekday AS weekday, t.minute AS minute,
        COUNT(DISTINCT CASE WHEN r.num_vehicles_available IS NOT NULL THEN r.date END)
            AS days,
        COUNT(DISTINCT CASE WHEN r.num_vehicles_available IS NOT NULL
            AND $stale_t THEN r.date END) AS stale,
        AVG(CAST(r.num_vehicles_available AS DOUBLE)) AS mean_vehicles,
        PERCENTILE_CONT(0.25) WITHIN GROUP (ORDER BY r.num_vehicles_available)
            AS low_vehicles,
        PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY r.num_vehicles_available)
            AS mid_vehicles,
        PERCENTILE_CONT(0.75) WITHIN GROUP (ORDER BY r.num_vehicles_available)
            AS high_vehicles,
        PERCENTILE_CONT(0.25) WITHIN GROUP (ORDER BY $docks) AS low_docks,
        PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY $docks) AS mid_docks,
        PERCENTILE_CONT(0.75) WITHIN GROUP (ORDER BY $docks) AS high_docks
    FROM station_status AS r
    JOIN asked AS a ON a.system_id = r.system_id AND a.station_id = r.station_id
    $join_dockless_r
    JOIN timed AS t ON t.system_id = r.system_id AND t.slot = r.slot
    WHERE r.date >= DATE '$since' AND r.date < DATE '$until'
    GROUP BY r.system_id, r.station_id, t.weekday, t.minute
)
SELECT a.system_id AS system_id, a.station_id AS station_id, q.weekday AS weekday,
    q.minute AS minute, CAST(COALESCE(f.days, 0) AS BIGINT) AS days_seen,
    CAST(COALESCE(e.days, 0) AS BIGINT) AS days_expected,
    f.mean_vehicles AS mean_vehicles, f.low_vehicles AS low_vehicles,
    f.mid_vehicles AS mid_vehicles, f.high_vehicles AS high_vehicles,
    f.low_docks AS low_docks, f.mid_docks AS mid_docks, f.high_docks AS high_docks,
    CAST(COALESCE(f.stale, 0) AS BIGINT) AS days_stale
FROM asked AS a
JOIN quarters AS q ON q.system_id = a.system_id
LEFT JOIN expected AS e ON e.system_id = a.system_id
    AND e.first_slot = a.first_slot AND e.last_slot = a.last_slot
    AND e.weekday = q.weekday AND e.minute = q.minute
LEFT JOIN counts AS f ON f.system_id = a.system_id AND f.station_id = a.station_id
    AND f.weekday = q.weekday AND f.minute = q.minute
ORDER BY system_id, station_id, weekday, minute
