-- Number of slots in the range between the first and last slot of a station.
-- reads: slots, asked
$lives, expected AS (
    SELECT l.system_id AS system_id, l.first_slot AS first_slot,
        l.last_slot AS last_slot, ${columns}COUNT(*) AS slots
    FROM lives AS l
    JOIN slots AS s ON s.system_id = l.system_id AND s.slot >= l.first_slot
        AND s.slot <= l.last_slot
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
    GROUP BY l.system_id, l.first_slot, l.last_slot$keys
)
