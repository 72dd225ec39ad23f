-- Vehicles of the newest collected slot, with their locations.
-- type: kind of the vehicle, the publisher's type if its kind is unknown
-- current_range_meters: metres; current_fuel_percent: 0 to 1
-- reads: vehicle_status (rows), vehicle_slots
WITH newest AS (
    SELECT s.system_id AS system_id, MAX(s.slot) AS slot
    FROM vehicle_slots AS s
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until' AND s.state <> 'missing'
    GROUP BY s.system_id
)
SELECT v.system_id AS system_id, v.vehicle_id AS vehicle_id, v.type AS type,
    v.lat AS lat, v.lon AS lon, v.slot AS slot, v.is_reserved AS is_reserved,
    v.is_disabled AS is_disabled, v.current_range_meters AS current_range_meters,
    v.current_fuel_percent AS current_fuel_percent, v.station_id AS station_id,
    v.last_reported AS last_reported
FROM vehicle_status AS v
JOIN newest AS n ON n.system_id = v.system_id AND n.slot = v.slot
WHERE v.date >= DATE '$since' AND v.date < DATE '$until'
ORDER BY system_id, vehicle_id
