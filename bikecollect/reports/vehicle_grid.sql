-- Vehicles per cell of 250 m and hour of the week.
-- cell_row: FLOOR(lat / 0.00225), 250 m from south to north
-- cell_col: FLOOR(lon * COS(latitude of the row's centre) / 0.00225), 250 m wide
-- lat, lon: the centre of the cell; slots: slots of the hour that were collected, of
-- slots_expected between the first and the last slot with vehicles
-- mean_vehicles: per collected slot, slots without any vehicle in the cell included
-- mean_free: of these, neither reserved nor disabled; max_vehicles: in one slot
-- Vehicles without a location are in no cell.
-- reads: vehicle_status (rows), vehicle_slots, slots
WITH $vehicle_expected_by_hour, rowed AS (
    SELECT v.system_id AS system_id, v.slot AS slot, v.hour_of_week AS hour_of_week,
        v.lon AS lon, CAST(FLOOR(v.lat / 0.00225) AS BIGINT) AS cell_row,
        CASE WHEN v.is_reserved = TRUE OR v.is_disabled = TRUE THEN 0 ELSE 1 END AS free
    FROM vehicle_status AS v
    WHERE v.date >= DATE '$since' AND v.date < DATE '$until'
        AND v.lat IS NOT NULL AND v.lon IS NOT NULL
), celled AS (
    SELECT r.system_id AS system_id, r.slot AS slot, r.hour_of_week AS hour_of_week,
        r.cell_row AS cell_row, r.free AS free,
        CAST(FLOOR(r.lon * COS(RADIANS((r.cell_row + 0.5) * 0.00225)) / 0.00225)
            AS BIGINT) AS cell_col
    FROM rowed AS r
), counted AS (
    SELECT c.system_id AS system_id, c.slot AS slot, c.hour_of_week AS hour_of_week,
        c.cell_row AS cell_row, c.cell_col AS cell_col,
        COUNT(*) AS vehicles, SUM(c.free) AS free
    FROM celled AS c
    GROUP BY c.system_id, c.slot, c.hour_of_week, c.cell_row, c.cell_col
), hours AS (
    SELECT s.system_id AS system_id, s.hour_of_week AS hour_of_week, COUNT(*) AS slots
    FROM vehicle_slots AS s
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until' AND s.state <> 'missing'
    GROUP BY s.system_id, s.hour_of_week
)
SELECT n.system_id AS system_id, n.cell_row AS cell_row, n.cell_col AS cell_col,
    CAST((n.cell_row + 0.5) * 0.00225 AS DOUBLE) AS lat,
    (n.cell_col + 0.5) * 0.00225 / COS(RADIANS((n.cell_row + 0.5) * 0.00225)) AS lon,
    CAST(n.hour_of_week AS INTEGER) AS hour_of_week, CAST(h.slots AS BIGINT) AS slots,
    CAST(SUM(n.vehicles) AS DOUBLE) / h.slots AS mean_vehicles,
    CAST(SUM(n.free) AS DOUBLE) / h.slots AS mean_free,
    CAST(MAX(n.vehicles) AS BIGINT) AS max_vehicles,
    CAST(MAX(e.slots) AS BIGINT) AS slots_expected
FROM counted AS n
JOIN hours AS h ON h.system_id = n.system_id AND h.hour_of_week = n.hour_of_week
LEFT JOIN vehicle_expected AS e ON e.system_id = n.system_id
    AND e.hour_of_week = n.hour_of_week
GROUP BY n.system_id, n.cell_row, n.cell_col, n.hour_of_week, h.slots
ORDER BY system_id, cell_row, cell_col, hour_of_week
