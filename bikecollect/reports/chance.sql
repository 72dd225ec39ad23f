-- Chance of a vehicle, and of a free dock, at a time of the week.
-- A day counts once, with the slot that holds the time of day: of several (30-second
-- slots, an hour repeated in autumn) the first that was seen.
-- days_expected: such days between the station's first and last slot with a row
-- days_seen: those with a number of vehicles; last_seen: the last such slot
-- with_vehicle, with_dock: days on which the station was open and had at least one
-- days_closed: days seen on which it was closed: not installed, or neither renting
-- nor returning; days_stale: days seen in a stale slot
-- low, high: 95 % confidence interval (Wilson) of the chance of a vehicle
-- share_with_vehicle: with_vehicle / days_seen
-- share_with_dock: over seen days with a known number of docks
-- Docks that were never above 0 over a day are unknown on that day, unless they were
-- known for less than 12 hours of it and above 0 on the day before.
-- reads: slots, station_status (rows), profile (summaries), asked
WITH $dockless_of_asked, $numbered, moments AS (
    SELECT s.system_id AS system_id, s.date AS date, s.slot AS slot, s.flags AS flags
    FROM slots AS s
    JOIN numbered AS n ON n.system_id = s.system_id AND n.slot = s.slot
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
        AND (($first_hour * 60 + $minute + 10080 - s.minute_of_day
                - CAST(FLOOR(s.hour_of_week / 24) AS BIGINT) * 1440) % 10080) * 60
            < CASE WHEN n.seconds < 60 THEN 60 ELSE n.seconds END
), $lives, expected AS (
    SELECT l.system_id AS system_id, l.first_slot AS first_slot,
        l.last_slot AS last_slot, COUNT(DISTINCT m.date) AS days
    FROM lives AS l
    JOIN moments AS m ON m.system_id = l.system_id AND m.slot >= l.first_slot
        AND m.slot <= l.last_slot
    GROUP BY l.system_id, l.first_slot, l.last_slot
), matched AS (
    SELECT r.system_id AS system_id, r.station_id AS station_id, r.slot AS slot,
        r.num_vehicles_available AS vehicles,
        $docks AS docks,
        $closed AS closed,
        CASE WHEN $stale_m THEN 1 ELSE 0 END AS stale,
        ROW_NUMBER() OVER (
            PARTITION BY r.system_id, r.station_id, m.date ORDER BY r.slot) AS turn
    FROM station_status AS r
    JOIN asked AS a ON a.system_id = r.system_id AND a.station_id = r.station_id
    $join_dockless_r
    JOIN moments AS m ON m.system_id = r.system_id AND m.slot = r.slot
    WHERE r.date >= DATE '$since' AND r.date < DATE '$until'
        AND r.num_vehicles_available IS NOT NULL
), counts AS (
    SELECT t.system_id AS system_id, t.station_id AS station_id,
        COUNT(*) AS seen, COUNT(t.docks) AS docks_seen,
        SUM(CASE WHEN t.closed = 0 AND t.vehicles > 0 THEN 1 ELSE 0 END)
            AS with_vehicle,
        SUM(CASE WHEN t.closed = 0 AND t.docks > 0 THEN 1 ELSE 0 END) AS with_dock,
        SUM(t.closed) AS closed, SUM(t.stale) AS stale, MAX(t.slot) AS last_seen
    FROM matched AS t
    WHERE t.turn = 1
    GROUP BY t.system_id, t.station_id
), systems AS (
    SELECT DISTINCT m.system_id AS system_id
    FROM moments AS m
)
SELECT a.system_id AS system_id, a.station_id AS station_id,
    CAST(COALESCE(e.days, 0) AS BIGINT) AS days_expected,
    CAST(COALESCE(f.seen, 0) AS BIGINT) AS days_seen,
    CAST(COALESCE(f.with_vehicle, 0) AS BIGINT) AS with_vehicle,
    CAST(COALESCE(f.with_dock, 0) AS BIGINT) AS with_dock,
    CAST(f.with_vehicle AS DOUBLE)
        / CAST(CASE WHEN f.seen > 0 THEN f.seen END AS DOUBLE) AS share_with_vehicle,
    CAST(f.with_dock AS DOUBLE)
        / CAST(CASE WHEN f.docks_seen > 0 THEN f.docks_seen END AS DOUBLE)
        AS share_with_dock,
    f.last_seen AS last_seen,
    CAST(COALESCE(f.closed, 0) AS BIGINT) AS days_closed,
    CAST(COALESCE(f.stale, 0) AS BIGINT) AS days_stale
FROM asked AS a
JOIN systems AS y ON y.system_id = a.system_id
LEFT JOIN expected AS e ON e.system_id = a.system_id
    AND e.first_slot = a.first_slot AND e.last_slot = a.last_slot
LEFT JOIN counts AS f ON f.system_id = a.system_id AND f.station_id = a.station_id
ORDER BY system_id, station_id
