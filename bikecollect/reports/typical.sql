-- The typical day of a station, by weekday and quarter of an hour.
-- weekday: 0 = Monday; minute: of the local day, the first of its quarter
-- days_seen, days_expected: such days in the range with a row, and all of them
-- low_, mid_, high_: quartiles: half of the values lie between low and high
-- reads: slots, station_status (rows), asked
WITH quarters AS (
    SELECT s.system_id AS system_id,
        CAST(FLOOR(s.hour_of_week / 24) AS BIGINT) AS weekday,
        CAST(s.minute_of_day - s.minute_of_day % 15 AS BIGINT) AS minute,
        COUNT(DISTINCT s.date) AS days
    FROM slots AS s
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
        AND s.hour_of_week >= $first_hour AND s.hour_of_week < $end_hour
    GROUP BY 1, 2, 3
), counts AS (
    SELECT r.system_id AS system_id, r.station_id AS station_id,
        CAST(FLOOR(r.hour_of_week / 24) AS BIGINT) AS weekday,
        CAST(r.minute_of_day - r.minute_of_day % 15 AS BIGINT) AS minute,
        COUNT(DISTINCT CASE WHEN r.num_vehicles_available IS NOT NULL THEN r.date END)
            AS days,
        AVG(CAST(r.num_vehicles_available AS DOUBLE)) AS mean_vehicles,
        PERCENTILE_CONT(0.25) WITHIN GROUP (ORDER BY r.num_vehicles_available)
            AS low_vehicles,
        PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY r.num_vehicles_available)
            AS mid_vehicles,
        PERCENTILE_CONT(0.75) WITHIN GROUP (ORDER BY r.num_vehicles_available)
            AS high_vehicles,
        PERCENTILE_CONT(0.25) WITHIN GROUP (ORDER BY r.num_docks_available)
            AS low_docks,
        PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY r.num_docks_available)
            AS mid_docks,
        PERCENTILE_CONT(0.75) WITHIN GROUP (ORDER BY r.num_docks_available)
            AS high_docks
    FROM station_status AS r
    JOIN asked AS a ON a.system_id = r.system_id AND a.station_id = r.station_id
    WHERE r.date >= DATE '$since' AND r.date < DATE '$until'
        AND r.hour_of_week >= $first_hour AND r.hour_of_week < $end_hour
    GROUP BY 1, 2, 3, 4
)
SELECT a.system_id AS system_id, a.station_id AS station_id, q.weekday AS weekday,
    q.minute AS minute, CAST(COALESCE(f.days, 0) AS BIGINT) AS days_seen,
    CAST(q.days AS BIGINT) AS days_expected,
    f.mean_vehicles AS mean_vehicles, f.low_vehicles AS low_vehicles,
    f.mid_vehicles AS mid_vehicles, f.high_vehicles AS high_vehicles,
    f.low_docks AS low_docks, f.mid_docks AS mid_docks, f.high_docks AS high_docks
FROM asked AS a
JOIN quarters AS q ON q.system_id = a.system_id
LEFT JOIN counts AS f ON f.system_id = a.system_id AND f.station_id = a.station_id
    AND f.weekday = q.weekday AND f.minute = q.minute
ORDER BY system_id, station_id, weekday, minute
