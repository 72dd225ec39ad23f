-- Vehicles and docks of each station in the newest collected slot.
-- slot: that slot; last_reported: when the station last reported, epoch seconds
-- state: of the slot: collected, stale or partial
-- A listed station without a row in that slot has no counts.
-- Docks that were never above 0 over a day are unknown on that day, unless they were
-- known for less than 12 hours of it and above 0 on the day before.
-- reads: slots, station_status (rows), stations, profile (summaries), asked
WITH $dockless_of_asked, newest AS (
    SELECT s.system_id AS system_id, MAX(s.slot) AS slot
    FROM slots AS s
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until' AND s.state <> 'missing'
    GROUP BY s.system_id
), states AS (
    SELECT s.system_id AS system_id, s.slot AS slot, s.state AS state
    FROM slots AS s
    JOIN newest AS n ON n.system_id = s.system_id AND n.slot = s.slot
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
), newest_rows AS (
    SELECT r.system_id AS system_id, r.station_id AS station_id, r.slot AS slot,
        r.num_vehicles_available AS vehicles,
        $docks AS docks,
        r.capacity AS capacity, r.is_installed AS is_installed,
        r.is_renting AS is_renting, r.is_returning AS is_returning,
        r.last_reported AS last_reported
    FROM station_status AS r
    JOIN newest AS n ON n.system_id = r.system_id AND n.slot = r.slot
    $join_dockless_r
    WHERE r.date >= DATE '$since' AND r.date < DATE '$until'
), places AS (
    SELECT s.system_id AS system_id, s.station_id AS station_id, s.name AS name,
        s.region AS region, s.lat AS lat, s.lon AS lon, s.capacity AS capacity,
        s.is_listed AS is_listed
    FROM stations AS s
    WHERE s.valid_to IS NULL
)
SELECT a.system_id AS system_id, a.station_id AS station_id, p.name AS name,
    p.region AS region, p.lat AS lat, p.lon AS lon, n.slot AS slot,
    COALESCE(r.capacity, p.capacity) AS capacity,
    r.vehicles AS num_vehicles_available, r.docks AS num_docks_available,
    r.is_installed AS is_installed, r.is_renting AS is_renting,
    r.is_returning AS is_returning, r.last_reported AS last_reported,
    t.state AS state
FROM asked AS a
JOIN newest AS n ON n.system_id = a.system_id
JOIN states AS t ON t.system_id = n.system_id AND t.slot = n.slot
LEFT JOIN newest_rows AS r ON r.system_id = a.system_id AND r.station_id = a.station_id
LEFT JOIN places AS p ON p.system_id = a.system_id AND p.station_id = a.station_id
WHERE r.station_id IS NOT NULL OR p.is_listed IS NULL OR p.is_listed = TRUE
ORDER BY system_id, station_id
