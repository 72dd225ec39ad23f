-- `availability` computed from the rows instead of summaries: slower, same result.
-- place: station, district or system; hour_of_week: 0 = Monday 00:00, local time
-- stations: stations of the place; slots_seen, slots_expected: summed over them
-- share_seen: slots_seen / slots_expected; mean_vehicles, mean_docks: over seen slots
-- share_with_vehicle, share_with_dock: share of seen slots with at least one
-- reads: slots, station_status (rows), asked
WITH hours AS (
    SELECT s.system_id AS system_id, s.hour_of_week AS hour_of_week,
        COUNT(*) AS expected
    FROM slots AS s
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
    GROUP BY s.system_id, s.hour_of_week
), members AS (
    SELECT a.system_id AS system_id, a.place AS place, COUNT(*) AS stations
    FROM asked AS a
    GROUP BY a.system_id, a.place
), counts AS (
    SELECT r.system_id AS system_id, a.place AS place, r.hour_of_week AS hour_of_week,
        COUNT(r.num_vehicles_available) AS known,
        COUNT(r.num_docks_available) AS docks_known,
        SUM(CASE WHEN r.num_vehicles_available > 0 THEN 1 ELSE 0 END) AS with_vehicle,
        SUM(CASE WHEN r.num_docks_available > 0 THEN 1 ELSE 0 END) AS with_dock,
        SUM(r.num_vehicles_available) AS sum_vehicles,
        SUM(r.num_docks_available) AS sum_docks
    FROM station_status AS r
    JOIN asked AS a ON a.system_id = r.system_id AND a.station_id = r.station_id
    WHERE r.date >= DATE '$since' AND r.date < DATE '$until'
    GROUP BY r.system_id, a.place, r.hour_of_week
)
SELECT m.system_id AS system_id, m.place AS place,
    CAST(h.hour_of_week AS BIGINT) AS hour_of_week,
    CAST(m.stations AS BIGINT) AS stations,
    CAST(COALESCE(f.known, 0) AS BIGINT) AS slots_seen,
    CAST(h.expected * m.stations AS BIGINT) AS slots_expected,
    CAST(COALESCE(f.known, 0) AS DOUBLE) / CAST(h.expected * m.stations AS DOUBLE)
        AS share_seen,
    CAST(f.sum_vehicles AS DOUBLE)
        / CAST(CASE WHEN f.known > 0 THEN f.known END AS DOUBLE) AS mean_vehicles,
    CAST(f.sum_docks AS DOUBLE)
        / CAST(CASE WHEN f.docks_known > 0 THEN f.docks_known END AS DOUBLE)
        AS mean_docks,
    CAST(f.with_vehicle AS DOUBLE)
        / CAST(CASE WHEN f.known > 0 THEN f.known END AS DOUBLE) AS share_with_vehicle,
    CAST(f.with_dock AS DOUBLE)
        / CAST(CASE WHEN f.docks_known > 0 THEN f.docks_known END AS DOUBLE)
        AS share_with_dock
FROM members AS m
JOIN hours AS h ON h.system_id = m.system_id
LEFT JOIN counts AS f ON f.system_id = m.system_id AND f.place = m.place
    AND f.hour_of_week = h.hour_of_week
ORDER BY system_id, place, hour_of_week
