-- Mean number of vehicles and docks by hour of the week.
-- place: station, district or system; hour_of_week: 0 = Monday 00:00, local time
-- stations: stations of the place; slots_seen, slots_expected: summed over them
-- share_seen: slots_seen / slots_expected; mean_vehicles, mean_docks: over seen slots
-- share_with_vehicle, share_with_dock: share of seen slots with at least one
-- reads: slots, profile (summaries), asked
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
    SELECT p.system_id AS system_id, a.place AS place, p.hour_of_week AS hour_of_week,
        SUM(p.known) AS known, SUM(p.docks_known) AS docks_known,
        SUM(p.with_vehicle) AS with_vehicle, SUM(p.with_dock) AS with_dock,
        SUM(p.sum_vehicles) AS sum_vehicles, SUM(p.sum_docks) AS sum_docks
    FROM profile AS p
    JOIN asked AS a ON a.system_id = p.system_id AND a.station_id = p.station_id
    WHERE p.date >= DATE '$since' AND p.date < DATE '$until'
    GROUP BY p.system_id, a.place, p.hour_of_week
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
