-- The rows of the stations in question, and those in which a station is empty or full.
-- It needs the table dockless in front of it.
-- reads: station_status (rows), asked
asked_rows AS (
    SELECT r.system_id AS system_id, r.station_id AS station_id, r.slot AS slot,
        r.num_vehicles_available AS vehicles,
        $docks AS docks,
        $closed AS closed
    FROM station_status AS r
    JOIN asked AS a ON a.system_id = r.system_id AND a.station_id = r.station_id
    $join_dockless_r
    WHERE r.date >= DATE '$since' AND r.date < DATE '$until'
), scarce AS (
    SELECT o.system_id AS system_id, o.station_id AS station_id, o.slot AS slot,
        'empty' AS what
    FROM asked_rows AS o
    WHERE o.vehicles = 0 AND o.closed = 0
    UNION ALL
    SELECT o.system_id AS system_id, o.station_id AS station_id, o.slot AS slot,
        'full' AS what
    FROM asked_rows AS o
    WHERE o.docks = 0 AND o.closed = 0
)
