-- Stations in each slot, and why slots are missing.
-- minute_of_day: local time; state: collected, stale, partial or missing
-- cause: why the slot is missing
-- A collected slot without a row of this station has a state and no counts.
-- Docks that were never above 0 over a day are unknown on that day, unless they were
-- known for less than 12 hours of it and above 0 on the day before.
-- reads: slots, station_status (rows), profile (summaries), asked
WITH $dockless_of_asked, station_rows AS (
    SELECT r.system_id AS system_id, r.station_id AS station_id, r.slot AS slot,
        r.num_vehicles_available AS vehicles,
        $docks AS docks,
        r.capacity AS capacity, r.is_installed AS is_installed,
        r.is_renting AS is_renting, r.is_returning AS is_returning
    FROM station_status AS r
    JOIN asked AS a ON a.system_id = r.system_id AND a.station_id = r.station_id
    $join_dockless_r
    WHERE r.date >= DATE '$since' AND r.date < DATE '$until'
)
SELECT a.system_id AS system_id, a.station_id AS station_id, s.slot AS slot,
    CAST(s.minute_of_day AS BIGINT) AS minute_of_day, s.state AS state,
    s.cause AS cause, f.vehicles AS num_vehicles_available,
    f.docks AS num_docks_available, f.capacity AS capacity,
    f.is_installed AS is_installed, f.is_renting AS is_renting,
    f.is_returning AS is_returning
FROM asked AS a
JOIN slots AS s ON s.system_id = a.system_id
LEFT JOIN station_rows AS f ON f.system_id = a.system_id AND f.station_id = a.station_id
    AND f.slot = s.slot
WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
ORDER BY system_id, station_id, slot
