-- The slots of the range, numbered, with the length of each in seconds.
-- reads: slots
steps AS (
    SELECT s.system_id AS system_id, s.date AS date, s.slot AS slot,
        CASE WHEN $stale_s THEN 1 ELSE 0 END AS stale,
        ROW_NUMBER() OVER (PARTITION BY s.system_id ORDER BY s.slot) AS number,
        s.slot - LAG(s.slot) OVER (
            PARTITION BY s.system_id, s.date ORDER BY s.slot) AS in_day,
        s.slot - LAG(s.slot) OVER (
            PARTITION BY s.system_id ORDER BY s.slot) AS from_last,
        LEAD(s.slot) OVER (
            PARTITION BY s.system_id ORDER BY s.slot) - s.slot AS to_next
    FROM slots AS s
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
), regular AS (
    SELECT t.system_id AS system_id, t.date AS date, t.slot AS slot,
        t.number AS number, t.stale AS stale, t.from_last AS from_last,
        COALESCE(t.to_next, 0) AS to_next,
        LAG(t.from_last) OVER (
            PARTITION BY t.system_id ORDER BY t.slot) AS from_last_but_one,
        LEAD(t.to_next) OVER (
            PARTITION BY t.system_id ORDER BY t.slot) AS to_next_but_one
    FROM steps AS t
), lengths AS (
    SELECT t.system_id AS system_id, t.date AS date,
        COALESCE(MIN(t.in_day), $interval) AS seconds
    FROM steps AS t
    GROUP BY t.system_id, t.date
), numbered AS (
    SELECT t.system_id AS system_id, t.slot AS slot, t.number AS number,
        t.stale AS stale,
        CASE WHEN t.to_next <= 0 AND t.from_last = t.from_last_but_one
                THEN t.from_last
            WHEN t.to_next <= 0 THEN d.seconds
            WHEN 2 * t.to_next <= 3 * d.seconds THEN t.to_next
            WHEN t.to_next = t.from_last OR t.to_next = t.to_next_but_one
                THEN t.to_next
            ELSE d.seconds END AS seconds
    FROM regular AS t
    JOIN lengths AS d ON d.system_id = t.system_id AND d.date = t.date
)
