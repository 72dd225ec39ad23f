-- The collected slots of vehicles, numbered from 1 to places in each system.
turns AS (
    SELECT s.system_id AS system_id, s.slot AS slot,
        ROW_NUMBER() OVER (PARTITION BY s.system_id ORDER BY s.slot) AS place,
        COUNT(*) OVER (PARTITION BY s.system_id) AS places
    FROM vehicle_slots AS s
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until' AND s.state <> 'missing'
)
