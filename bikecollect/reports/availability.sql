-- Mean number of vehicles and docks by hour of the week.
-- place: station, district or system; hour_of_week: 0 = Monday 00:00, local time
-- stations: all of the place that are in the list now or have a row in the range, also
-- if never at once; slots_seen, slots_expected: summed over them, expected from a
-- station's first slot with a row to its last; 0 in other hours
-- share_seen: slots_seen / slots_expected; mean_vehicles, mean_docks: over seen slots
-- share_with_vehicle, share_with_dock: share of seen slots in which the station was
-- open and had at least one; share_closed: share of seen slots in which it was closed
-- share_empty, share_full: share of seen slots in which it was open and had none; a
-- closed station is neither empty nor full, if its number of vehicles is known
-- slots_stale: seen slots whose content had not changed for too long
-- closed: not installed, or neither renting nor returning
-- mean_docks, share_with_dock, share_full: over slots with a known number of docks
-- Docks that were never above 0 over a day are unknown on that day, unless they were
-- known for less than 12 hours of it and above 0 on the day before.
-- reads: slots, profile (summaries), asked
WITH $dockless_of_asked, spans AS (
    SELECT a.system_id AS system_id, a.place AS place, a.first_slot AS first_slot,
        a.last_slot AS last_slot, COUNT(*) AS stations
    FROM asked AS a
    GROUP BY a.system_id, a.place, a.first_slot, a.last_slot
), $expected_by_hour, expected_of_places AS (
    SELECT p.system_id AS system_id, p.place AS place,
        l.hour_of_week AS hour_of_week, SUM(p.stations * l.slots) AS slots
    FROM spans AS p
    JOIN expected AS l ON l.system_id = p.system_id AND l.first_slot = p.first_slot
        AND l.last_slot = p.last_slot
    GROUP BY p.system_id, p.place, l.hour_of_week
), hours AS (
    SELECT DISTINCT s.system_id AS system_id, s.hour_of_week AS hour_of_week
    FROM slots AS s
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
), members AS (
    SELECT p.system_id AS system_id, p.place AS place, SUM(p.stations) AS stations
    FROM spans AS p
    GROUP BY p.system_id, p.place
), numbered AS (
    SELECT m.system_id AS system_id, m.place AS place, m.stations AS stations,
        ROW_NUMBER() OVER (ORDER BY m.system_id, m.place) AS number
    FROM members AS m
), numbers AS (
    SELECT a.system_id AS system_id, a.station_id AS station_id, n.number AS number
    FROM asked AS a
    JOIN numbered AS n ON n.system_id = a.system_id AND n.place = a.place
), counts AS (
    SELECT a.number AS number, p.hour_of_week AS hour_of_week,
        SUM(p.known) AS known,
        SUM($docks_known) AS docks_known,
        SUM(p.with_vehicle) AS with_vehicle, SUM(p.with_dock) AS with_dock,
        SUM(p.sum_vehicles) AS sum_vehicles, SUM(p.sum_docks) AS sum_docks,
        SUM(p.closed) AS closed, SUM(p.stale) AS stale,
        SUM(GREATEST($docks_known - p.with_dock - p.closed, 0)) AS full_slots
    FROM profile AS p
    JOIN numbers AS a ON a.system_id = p.system_id AND a.station_id = p.station_id
    $join_dockless_p
    WHERE p.date >= DATE '$since' AND p.date < DATE '$until'
    GROUP BY a.number, p.hour_of_week
)
SELECT m.system_id AS system_id, m.place AS place,
    CAST(h.hour_of_week AS BIGINT) AS hour_of_week,
    CAST(m.stations AS BIGINT) AS stations,
    CAST(COALESCE(f.known, 0) AS BIGINT) AS slots_seen,
    CAST(COALESCE(e.slots, 0) AS BIGINT) AS slots_expected,
    CAST(COALESCE(f.known, 0) AS DOUBLE) / CAST(e.slots AS DOUBLE) AS share_seen,
    CAST(f.sum_vehicles AS DOUBLE)
        / CAST(CASE WHEN f.known > 0 THEN f.known END AS DOUBLE) AS mean_vehicles,
    CAST(f.sum_docks AS DOUBLE)
        / CAST(CASE WHEN f.docks_known > 0 THEN f.docks_known END AS DOUBLE)
        AS mean_docks,
    CAST(f.with_vehicle AS DOUBLE)
        / CAST(CASE WHEN f.known > 0 THEN f.known END AS DOUBLE) AS share_with_vehicle,
    CAST(f.with_dock AS DOUBLE)
        / CAST(CASE WHEN f.docks_known > 0 THEN f.docks_known END AS DOUBLE)
        AS share_with_dock,
    CAST(f.closed AS DOUBLE)
        / CAST(CASE WHEN f.known > 0 THEN f.known END AS DOUBLE) AS share_closed,
    CAST(COALESCE(f.stale, 0) AS BIGINT) AS slots_stale,
    CAST(f.known - f.with_vehicle - f.closed AS DOUBLE)
        / CAST(CASE WHEN f.known > 0 THEN f.known END AS DOUBLE) AS share_empty,
    CAST(f.full_slots AS DOUBLE)
        / CAST(CASE WHEN f.docks_known > 0 THEN f.docks_known END AS DOUBLE)
        AS share_full
FROM numbered AS m
JOIN hours AS h ON h.system_id = m.system_id
LEFT JOIN expected_of_places AS e ON e.system_id = m.system_id AND e.place = m.place
    AND e.hour_of_week = h.hour_of_week
LEFT JOIN counts AS f ON f.number = m.number AND f.hour_of_week = h.hour_of_week
ORDER BY system_id, place, hour_of_week
