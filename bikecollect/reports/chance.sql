-- Chance of a vehicle, and of a free dock, at a time of the week.
-- days_expected: such days in the range; days_seen: those with a row at that minute
-- with_vehicle, with_dock: days with at least one; last_seen: the last such slot
-- low, high: 95 % confidence interval (Wilson) of the chance of a vehicle
-- reads: slots, station_status (rows), asked
WITH expected AS (
    SELECT s.system_id AS system_id, COUNT(*) AS days
    FROM slots AS s
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
        AND s.minute_of_day = $minute
        AND s.hour_of_week >= $first_hour AND s.hour_of_week < $first_hour + 24
    GROUP BY s.system_id
), counts AS (
    SELECT r.system_id AS system_id, r.station_id AS station_id,
        COUNT(r.num_vehicles_available) AS seen,
        COUNT(r.num_docks_available) AS docks_seen,
        SUM(CASE WHEN r.num_vehicles_available > 0 THEN 1 ELSE 0 END) AS with_vehicle,
        SUM(CASE WHEN r.num_docks_available > 0 THEN 1 ELSE 0 END) AS with_dock,
        MAX(r.slot) AS last_seen
    FROM station_status AS r
    JOIN asked AS a ON a.system_id = r.system_id AND a.station_id = r.station_id
    WHERE r.date >= DATE '$since' AND r.date < DATE '$until'
        AND r.minute_of_day = $minute
        AND r.hour_of_week >= $first_hour AND r.hour_of_week < $first_hour + 24
    GROUP BY r.system_id, r.station_id
)
SELECT a.system_id AS system_id, a.station_id AS station_id,
    CAST(e.days AS BIGINT) AS days_expected,
    CAST(COALESCE(f.seen, 0) AS BIGINT) AS days_seen,
    CAST(COALESCE(f.with_vehicle, 0) AS BIGINT) AS with_vehicle,
    CAST(COALESCE(f.with_dock, 0) AS BIGINT) AS with_dock,
    CAST(f.with_vehicle AS DOUBLE)
        / CAST(CASE WHEN f.seen > 0 THEN f.seen END AS DOUBLE) AS share_with_vehicle,
    CAST(f.with_dock AS DOUBLE)
        / CAST(CASE WHEN f.docks_seen > 0 THEN f.docks_seen END AS DOUBLE)
        AS share_with_dock,
    f.last_seen AS last_seen
FROM asked AS a
JOIN expected AS e ON e.system_id = a.system_id
LEFT JOIN counts AS f ON f.system_id = a.system_id AND f.station_id = a.station_id
ORDER BY system_id, station_id
