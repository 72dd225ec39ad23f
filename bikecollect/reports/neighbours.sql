-- Vehicles (docks) at nearby stations while a station is empty (full).
-- what: empty (no vehicle) or full (no dock); slots: number of such slots
-- neighbour: a listed station within 1,000 m; metres: straight-line distance
-- slots_seen: of these slots, those with a count of the neighbour
-- share: share of slots_seen in which the neighbour was open and had a vehicle (a dock)
-- A closed station (not installed, or neither renting nor returning) is neither empty
-- nor full. slots_stale: of slots, those that were stale
-- Docks that were never above 0 over a day are unknown on that day, unless they were
-- known for less than 12 hours of it and above 0 on the day before.
-- reads: slots, station_status (rows), stations, profile (summaries), asked
WITH $dockless, places AS (
    SELECT s.system_id AS system_id, s.station_id AS station_id, s.lat AS lat,
        s.lon AS lon
    FROM stations AS s
    WHERE s.valid_to IS NULL AND (s.is_listed IS NULL OR s.is_listed = TRUE)
), measured AS (
    SELECT h.system_id AS system_id, h.station_id AS station_id,
        n.station_id AS neighbour,
        CAST(111195 AS DOUBLE) * SQRT(
            (n.lat - h.lat) * (n.lat - h.lat)
            + POWER(LEAST(ABS(n.lon - h.lon), 360 - ABS(n.lon - h.lon))
                * COS(RADIANS(h.lat)), 2)) AS metres
    FROM places AS h
    JOIN asked AS a ON a.system_id = h.system_id AND a.station_id = h.station_id
    JOIN places AS n ON n.system_id = h.system_id AND n.station_id <> h.station_id
), near AS (
    SELECT m.system_id AS system_id, m.station_id AS station_id,
        m.neighbour AS neighbour, m.metres AS metres
    FROM measured AS m
    WHERE m.metres <= 1000
), $scarce, counted AS (
    SELECT c.system_id AS system_id, c.station_id AS station_id, c.what AS what,
        COUNT(*) AS slots,
        SUM(CASE WHEN $stale_s THEN 1 ELSE 0 END) AS stale
    FROM scarce AS c
    LEFT JOIN slots AS s ON s.system_id = c.system_id AND s.slot = c.slot
        AND s.date >= DATE '$since' AND s.date < DATE '$until'
    GROUP BY c.system_id, c.station_id, c.what
), others AS (
    SELECT DISTINCT n.system_id AS system_id, n.neighbour AS neighbour
    FROM near AS n
), near_rows AS (
    SELECT r.system_id AS system_id, r.station_id AS station_id, r.slot AS slot,
        r.num_vehicles_available AS vehicles,
        $docks AS docks,
        $closed AS closed
    FROM station_status AS r
    JOIN others AS o ON o.system_id = r.system_id AND o.neighbour = r.station_id
    $join_dockless_r
    WHERE r.date >= DATE '$since' AND r.date < DATE '$until'
), counts AS (
    SELECT c.system_id AS system_id, c.station_id AS station_id, c.what AS what,
        n.neighbour AS neighbour, n.metres AS metres,
        COUNT(CASE WHEN c.what = 'empty' THEN r.vehicles ELSE r.docks END) AS seen,
        SUM(CASE WHEN r.closed = 1 THEN 0
            WHEN c.what = 'empty' AND r.vehicles > 0 THEN 1
            WHEN c.what = 'full' AND r.docks > 0 THEN 1 ELSE 0 END) AS good
    FROM scarce AS c
    JOIN near AS n ON n.system_id = c.system_id AND n.station_id = c.station_id
    LEFT JOIN near_rows AS r ON r.system_id = c.system_id
        AND r.station_id = n.neighbour AND r.slot = c.slot
    GROUP BY c.system_id, c.station_id, c.what, n.neighbour, n.metres
)
SELECT f.system_id AS system_id, f.station_id AS station_id, f.what AS what,
    f.neighbour AS neighbour, f.metres AS metres, CAST(c.slots AS BIGINT) AS slots,
    CAST(f.seen AS BIGINT) AS slots_seen,
    CAST(f.good AS DOUBLE) / CAST(CASE WHEN f.seen > 0 THEN f.seen END AS DOUBLE)
        AS share,
    CAST(c.stale AS BIGINT) AS slots_stale
FROM counts AS f
JOIN counted AS c ON c.system_id = f.system_id AND c.station_id = f.station_id
    AND c.what = f.what
ORDER BY system_id, station_id, what, metres, neighbour
