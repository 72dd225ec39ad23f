-- How long vehicles stand in each cell of 250 m.
-- A stay: one id in consecutive collected slots, moving less than some 100 m a slot
-- It lasts from the beginning of its first slot to the end of its last one; a slot
-- lasts until the next one, also if that is missing
-- cell_row, cell_col, lat, lon: the cell of the stay, as in vehicle_grid
-- stays: all of them; ended: those whose vehicle left, the others last until the end
-- mean_hours: of the stays that ended; longest_hours: of all
-- share_survived: share of the system's ids that are in the next slot too, as in
-- vehicle_ids. Where it is low, ids rotate while vehicles stand: stays are too short.
-- slots: collected slots of the range, of slots_expected between the first and the last
-- one with vehicles: no vehicle is seen to leave in a gap
-- reads: vehicle_status (rows), vehicle_slots, slots
WITH $numbered, $turns, $vehicle_expected, placed AS (
    SELECT v.system_id AS system_id, v.vehicle_id AS vehicle_id, v.slot AS slot,
        v.lat AS lat, v.lon AS lon, n.place AS place, n.places AS places,
        LAG(n.place) OVER (PARTITION BY v.system_id, v.vehicle_id ORDER BY v.slot)
            AS place_before,
        LEAD(n.place) OVER (PARTITION BY v.system_id, v.vehicle_id ORDER BY v.slot)
            AS place_after,
        LAG(v.lat) OVER (PARTITION BY v.system_id, v.vehicle_id ORDER BY v.slot)
            AS lat_before,
        LAG(v.lon) OVER (PARTITION BY v.system_id, v.vehicle_id ORDER BY v.slot)
            AS lon_before
    FROM vehicle_status AS v
    JOIN turns AS n ON n.system_id = v.system_id AND n.slot = v.slot
    WHERE v.date >= DATE '$since' AND v.date < DATE '$until'
), survival AS (
    SELECT p.system_id AS system_id,
        AVG(CASE WHEN p.place_after = p.place + 1 THEN 1.0 ELSE 0.0 END)
            AS share_survived
    FROM placed AS p
    WHERE p.place < p.places
    GROUP BY p.system_id
), marked AS (
    SELECT p.system_id AS system_id, p.vehicle_id AS vehicle_id, p.slot AS slot,
        p.lat AS lat, p.lon AS lon, p.place AS place, p.places AS places,
        CASE WHEN p.place = p.place_before + 1 AND ABS(p.lat - p.lat_before) < 0.001
            AND ABS(p.lon - p.lon_before) < 0.0015 THEN 0 ELSE 1 END AS begins
    FROM placed AS p
    WHERE p.lat IS NOT NULL AND p.lon IS NOT NULL
), joined AS (
    SELECT m.system_id AS system_id, m.vehicle_id AS vehicle_id, m.slot AS slot,
        m.lat AS lat, m.lon AS lon, m.place AS place, m.places AS places,
        SUM(m.begins) OVER (PARTITION BY m.system_id, m.vehicle_id ORDER BY m.slot)
            AS stay
    FROM marked AS m
), stays AS (
    SELECT j.system_id AS system_id,
        CAST(FLOOR(AVG(j.lat) / 0.00225) AS BIGINT) AS cell_row, AVG(j.lon) AS lon,
        (MAX(j.slot + COALESCE(n.seconds, $interval)) - MIN(j.slot)) / 3600.0
            AS hours,
        CASE WHEN MAX(j.place) < MAX(j.places) THEN 1 ELSE 0 END AS ended,
        MAX(j.places) AS slots
    FROM joined AS j
    LEFT JOIN numbered AS n ON n.system_id = j.system_id AND n.slot = j.slot
    GROUP BY j.system_id, j.vehicle_id, j.stay
), celled AS (
    SELECT t.system_id AS system_id, t.cell_row AS cell_row, t.hours AS hours,
        t.ended AS ended, t.slots AS slots,
        CAST(FLOOR(t.lon * COS(RADIANS((t.cell_row + 0.5) * 0.00225)) / 0.00225)
            AS BIGINT) AS cell_col
    FROM stays AS t
)
SELECT c.system_id AS system_id, c.cell_row AS cell_row, c.cell_col AS cell_col,
    CAST((c.cell_row + 0.5) * 0.00225 AS DOUBLE) AS lat,
    (c.cell_col + 0.5) * 0.00225 / COS(RADIANS((c.cell_row + 0.5) * 0.00225)) AS lon,
    COUNT(*) AS stays, CAST(SUM(c.ended) AS BIGINT) AS ended,
    AVG(CASE WHEN c.ended = 1 THEN CAST(c.hours AS DOUBLE) END) AS mean_hours,
    CAST(MAX(c.hours) AS DOUBLE) AS longest_hours,
    CAST(MAX(u.share_survived) AS DOUBLE) AS share_survived,
    CAST(MAX(c.slots) AS BIGINT) AS slots,
    CAST(MAX(e.slots) AS BIGINT) AS slots_expected
FROM celled AS c
LEFT JOIN survival AS u ON u.system_id = c.system_id
LEFT JOIN vehicle_expected AS e ON e.system_id = c.system_id
GROUP BY c.system_id, c.cell_row, c.cell_col
ORDER BY system_id, cell_row, cell_col
