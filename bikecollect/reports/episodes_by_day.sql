-- The report episodes from the episodes within each day, joined at midnight; for DuckDB.
-- It has the rows of episodes.sql if the slots of each day follow those of the day
-- before.
-- Docks that were never above 0 over a day are unknown on that day, unless they were
-- known for less than 12 hours of it and above 0 on the day before.
-- reads: slots, coverage, station_days (summaries), asked
WITH $dockless_by_day, $numbered, summed AS (
    SELECT n.system_id AS system_id, n.slot AS slot, n.number AS number,
        n.stale AS stale, n.seconds AS seconds,
        SUM(n.stale) OVER (
            PARTITION BY n.system_id ORDER BY n.number) AS stale_so_far,
        SUM(n.seconds) OVER (
            PARTITION BY n.system_id ORDER BY n.number) AS seconds_so_far
    FROM numbered AS n
), listed AS (
    SELECT d.system_id AS system_id, d.station_id AS station_id, d.date AS date,
        UNNEST(d.episodes) AS piece
    FROM station_days AS d
    JOIN asked AS a ON a.system_id = d.system_id AND a.station_id = d.station_id
    WHERE d.date >= DATE '$since' AND d.date < DATE '$until'
), pieces AS (
    SELECT l.system_id AS system_id, l.station_id AS station_id,
        l.piece.what AS what, l.piece.first_slot AS first_slot,
        l.piece.last_slot AS last_slot,
        l.piece.begin_seen AS begin_seen, l.piece.end_seen AS end_seen
    FROM listed AS l
    LEFT JOIN dockless AS x ON l.piece.what = 'full' AND x.system_id = l.system_id
        AND x.station_id = l.station_id AND x.date = l.date
    WHERE x.station_id IS NULL AND (l.piece.slots >= $least
        OR l.piece.begin_seen IS NULL OR l.piece.end_seen IS NULL)
), open_pieces AS (
    SELECT p.system_id AS system_id, p.station_id AS station_id, p.what AS what,
        p.first_slot AS first_slot, p.last_slot AS last_slot,
        p.begin_seen AS begin_seen, p.end_seen AS end_seen,
        CASE WHEN f.number = 1 + LAG(l.number) OVER (
            PARTITION BY p.system_id, p.station_id, p.what ORDER BY f.number
        ) THEN 0 ELSE 1 END AS begins
    FROM pieces AS p
    JOIN numbered AS f ON f.system_id = p.system_id AND f.slot = p.first_slot
    JOIN numbered AS l ON l.system_id = p.system_id AND l.slot = p.last_slot
    WHERE p.begin_seen IS NULL OR p.end_seen IS NULL
), chained AS (
    SELECT o.*, SUM(o.begins) OVER (
        PARTITION BY o.system_id, o.station_id, o.what ORDER BY o.first_slot) AS chain
    FROM open_pieces AS o
), joined AS (
    SELECT c.system_id AS system_id, c.station_id AS station_id, c.what AS what,
        MIN(c.first_slot) AS first_slot, MAX(c.last_slot) AS last_slot,
        ARG_MIN_NULL(c.begin_seen, c.first_slot) AS begin_seen,
        ARG_MAX_NULL(c.end_seen, c.first_slot) AS end_seen
    FROM chained AS c
    GROUP BY c.system_id, c.station_id, c.what, c.chain
    UNION ALL
    SELECT p.system_id AS system_id, p.station_id AS station_id, p.what AS what,
        p.first_slot AS first_slot, p.last_slot AS last_slot,
        p.begin_seen AS begin_seen, p.end_seen AS end_seen
    FROM pieces AS p
    WHERE p.begin_seen IS NOT NULL AND p.end_seen IS NOT NULL
), episodes AS (
    SELECT j.system_id AS system_id, j.station_id AS station_id, j.what AS what,
        j.first_slot AS first_slot, j.last_slot AS last_slot,
        j.begin_seen AS begin_seen, j.end_seen AS end_seen,
        f.number AS first_number, l.number AS last_number,
        1 + l.number - f.number AS slots,
        f.seconds + l.seconds_so_far - f.seconds_so_far AS seconds,
        f.stale + l.stale_so_far - f.stale_so_far AS stale
    FROM joined AS j
    JOIN summed AS f ON f.system_id = j.system_id AND f.slot = j.first_slot
    JOIN summed AS l ON l.system_id = j.system_id AND l.slot = j.last_slot
    WHERE 1 + l.number - f.number >= $least
), seen AS (
    SELECT c.system_id AS system_id, c.station_id AS station_id,
        CASE WHEN c.first_vehicles IS NOT NULL THEN c.first_slot END AS first_slot,
        CASE WHEN c.last_vehicles IS NOT NULL THEN c.last_slot END AS last_slot
    FROM coverage AS c
    WHERE c.date >= DATE '$since' AND c.date < DATE '$until'
), edges AS (
    SELECT e.*, b.slot AS slot_before, a.slot AS slot_after
    FROM episodes AS e
    LEFT JOIN numbered AS b ON e.begin_seen IS NULL
        AND b.system_id = e.system_id AND b.number = e.first_number - 1
    LEFT JOIN numbered AS a ON e.end_seen IS NULL
        AND a.system_id = e.system_id AND a.number = e.last_number + 1
)
SELECT e.system_id AS system_id, e.station_id AS station_id, e.what AS what,
    e.first_slot AS first_slot, e.last_slot AS last_slot,
    CAST(e.slots AS BIGINT) AS slots, CAST(e.seconds AS BIGINT) AS length_s,
    CASE WHEN e.begin_seen OR b.last_slot IS NOT NULL THEN 1 ELSE 0 END AS begin_seen,
    CASE WHEN e.end_seen OR a.first_slot IS NOT NULL THEN 1 ELSE 0 END AS end_seen,
    CAST(e.stale AS BIGINT) AS slots_stale
FROM edges AS e
LEFT JOIN seen AS b ON b.system_id = e.system_id AND b.station_id = e.station_id
    AND b.last_slot = e.slot_before
LEFT JOIN seen AS a ON a.system_id = e.system_id AND a.station_id = e.station_id
    AND a.first_slot = e.slot_after
ORDER BY length_s DESC, system_id, station_id, what, first_slot
