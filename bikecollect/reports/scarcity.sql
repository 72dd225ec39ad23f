-- Number of stations that were empty, full or closed in each slot.
-- stations: stations with a row in the slot; empty_stations: no vehicle
-- full_stations: no dock; closed_stations: not installed, or neither renting nor
-- returning; not counted as empty or full
-- vehicles, docks: the sum over the stations whose number is known
-- state: collected, stale, partial or missing
-- A missing slot has its cause and no counts.
-- Docks that were never above 0 over a day are unknown on that day, unless they were
-- known for less than 12 hours of it and above 0 on the day before.
-- reads: slots, station_status (rows), profile (summaries), asked
WITH $dockless_of_asked, counts AS (
    SELECT r.system_id AS system_id, a.place AS place, r.slot AS slot,
        COUNT(*) AS stations,
        SUM($closed) AS closed,
        SUM(CASE WHEN $closed = 1 THEN 0
            WHEN r.num_vehicles_available = 0 THEN 1 ELSE 0 END) AS empty_stations,
        SUM(CASE WHEN $closed = 1 THEN 0
            WHEN x.station_id IS NULL AND r.num_docks_available = 0 THEN 1
            ELSE 0 END) AS full_stations,
        SUM(r.num_vehicles_available) AS vehicles,
        SUM($docks) AS docks
    FROM station_status AS r
    JOIN asked AS a ON a.system_id = r.system_id AND a.station_id = r.station_id
    $join_dockless_r
    WHERE r.date >= DATE '$since' AND r.date < DATE '$until'
    GROUP BY r.system_id, a.place, r.slot
), places AS (
    SELECT DISTINCT a.system_id AS system_id, a.place AS place
    FROM asked AS a
)
SELECT p.system_id AS system_id, p.place AS place, s.slot AS slot,
    s.state AS state, s.cause AS cause, CAST(f.stations AS BIGINT) AS stations,
    CAST(f.empty_stations AS BIGINT) AS empty_stations,
    CAST(f.full_stations AS BIGINT) AS full_stations,
    CAST(f.closed AS BIGINT) AS closed_stations,
    CAST(f.vehicles AS BIGINT) AS vehicles, CAST(f.docks AS BIGINT) AS docks
FROM places AS p
JOIN slots AS s ON s.system_id = p.system_id
LEFT JOIN counts AS f ON f.system_id = p.system_id AND f.place = p.place
    AND f.slot = s.slot
WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
ORDER BY system_id, place, slot
