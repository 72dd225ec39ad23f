-- Changes in the list of stations.
-- what: added, removed, returned, moved, renamed, resized or reused
-- since: first slot with the change, epoch seconds; metres: distance moved
-- reused: moved over 500 m and renamed, so the id now names another place
-- old, new: what changed: the names, the capacities, or the positions (lat, lon)
-- Stations of the first list are not "added"; moves under 20 m are ignored.
-- "removed" is known after 24 hours without the station, since its first slot without
-- it; a station that returns before was neither removed nor returned.
-- reads: stations, asked
WITH first_seen AS (
    SELECT s.system_id AS system_id, MIN(s.valid_from) AS first_slot
    FROM stations AS s
    GROUP BY s.system_id
), versions AS (
    SELECT s.system_id AS system_id, s.station_id AS station_id,
        s.valid_from AS since, s.name AS name, s.capacity AS capacity,
        s.lat AS lat, s.lon AS lon, s.is_listed AS is_listed,
        LAG(s.valid_from) OVER (
            PARTITION BY s.system_id, s.station_id ORDER BY s.valid_from) AS before,
        LAG(s.name) OVER (
            PARTITION BY s.system_id, s.station_id ORDER BY s.valid_from) AS old_name,
        LAG(s.capacity) OVER (
            PARTITION BY s.system_id, s.station_id ORDER BY s.valid_from)
            AS old_capacity,
        LAG(s.lat) OVER (
            PARTITION BY s.system_id, s.station_id ORDER BY s.valid_from) AS old_lat,
        LAG(s.lon) OVER (
            PARTITION BY s.system_id, s.station_id ORDER BY s.valid_from) AS old_lon,
        LAG(s.is_listed) OVER (
            PARTITION BY s.system_id, s.station_id ORDER BY s.valid_from) AS was_listed
    FROM stations AS s
    JOIN asked AS a ON a.system_id = s.system_id AND a.station_id = s.station_id
), measured AS (
    SELECT v.system_id AS system_id, v.station_id AS station_id, v.since AS since,
        v.name AS name, v.old_name AS old_name, v.capacity AS capacity,
        v.old_capacity AS old_capacity, v.before AS before, v.is_listed AS is_listed,
        v.was_listed AS was_listed, f.first_slot AS first_slot,
        CONCAT(CAST(CAST(v.lat AS DECIMAL(9, 5)) AS VARCHAR(20)), ', ',
            CAST(CAST(v.lon AS DECIMAL(9, 5)) AS VARCHAR(20))) AS place,
        CONCAT(CAST(CAST(v.old_lat AS DECIMAL(9, 5)) AS VARCHAR(20)), ', ',
            CAST(CAST(v.old_lon AS DECIMAL(9, 5)) AS VARCHAR(20))) AS old_place,
        CAST(111195 AS DOUBLE) * SQRT(
            (v.lat - v.old_lat) * (v.lat - v.old_lat)
            + POWER(LEAST(ABS(v.lon - v.old_lon), 360 - ABS(v.lon - v.old_lon))
                * COS(RADIANS(v.lat)), 2)) AS metres
    FROM versions AS v
    JOIN first_seen AS f ON f.system_id = v.system_id
    WHERE v.since >= $begin_of_v AND v.since < $end_of_v
), events AS (
    SELECT m.system_id AS system_id, m.station_id AS station_id, m.since AS since,
        'added' AS what, '' AS old, m.name AS new, CAST(NULL AS DOUBLE) AS metres
    FROM measured AS m
    WHERE m.before IS NULL AND m.since > m.first_slot
    UNION ALL
    SELECT m.system_id AS system_id, m.station_id AS station_id, m.since AS since,
        'removed' AS what, m.name AS old, '' AS new, CAST(NULL AS DOUBLE) AS metres
    FROM measured AS m
    WHERE m.was_listed = TRUE AND m.is_listed = FALSE
    UNION ALL
    SELECT m.system_id AS system_id, m.station_id AS station_id, m.since AS since,
        'returned' AS what, '' AS old, m.name AS new, CAST(NULL AS DOUBLE) AS metres
    FROM measured AS m
    WHERE m.was_listed = FALSE AND m.is_listed = TRUE
    UNION ALL
    SELECT m.system_id AS system_id, m.station_id AS station_id, m.since AS since,
        'reused' AS what, m.old_name AS old, m.name AS new, m.metres AS metres
    FROM measured AS m
    WHERE m.metres > 500 AND m.name <> m.old_name
    UNION ALL
    SELECT m.system_id AS system_id, m.station_id AS station_id, m.since AS since,
        'moved' AS what, m.old_place AS old, m.place AS new, m.metres AS metres
    FROM measured AS m
    WHERE m.metres >= 20
        AND (m.metres <= 500 OR m.name = m.old_name OR m.name IS NULL
            OR m.old_name IS NULL)
    UNION ALL
    SELECT m.system_id AS system_id, m.station_id AS station_id, m.since AS since,
        'renamed' AS what, m.old_name AS old, m.name AS new,
        CAST(NULL AS DOUBLE) AS metres
    FROM measured AS m
    WHERE m.name <> m.old_name AND (m.metres IS NULL OR m.metres <= 500)
    UNION ALL
    SELECT m.system_id AS system_id, m.station_id AS station_id, m.since AS since,
        'resized' AS what, CAST(m.old_capacity AS VARCHAR(20)) AS old,
        CAST(m.capacity AS VARCHAR(20)) AS new, CAST(NULL AS DOUBLE) AS metres
    FROM measured AS m
    WHERE m.capacity <> m.old_capacity
)
SELECT t.system_id AS system_id, t.since AS since, t.station_id AS station_id,
    t.what AS what, t.old AS old, t.new AS new, t.metres AS metres
FROM events AS t
ORDER BY system_id, since, station_id, what
