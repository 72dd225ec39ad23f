-- Number of slots in the range from the first to the last one with vehicles, ever.
-- reads: vehicle_slots, slots
vehicle_lives AS (
    SELECT v.system_id AS system_id, MIN(v.slot) AS first_slot, MAX(v.slot) AS last_slot
    FROM vehicle_slots AS v
    WHERE v.state <> 'missing'
    GROUP BY v.system_id
), vehicle_expected AS (
    SELECT s.system_id AS system_id, ${columns}COUNT(*) AS slots
    FROM slots AS s
    JOIN vehicle_lives AS l ON l.system_id = s.system_id AND s.slot >= l.first_slot
        AND s.slot <= l.last_slot
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
    GROUP BY s.system_id$keys
)
