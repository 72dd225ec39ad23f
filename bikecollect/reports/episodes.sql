-- When open stations were empty (no vehicle) or full (no dock).
-- what: empty or full; first_slot, last_slot: of the episode, epoch seconds
-- slots: number of slots, all seen; length_s: seconds, the sum of the slots' own lengths:
-- until the next slot, where slots follow each other (on a day of 23 or 25 hours too)
-- slots_stale: of these, slots whose content had not changed for too long
-- begin_seen, end_seen: 1 if the slot before or after was seen; 0: may be longer
-- A slot that was not seen ends an episode; gaps are not bridged. So does a slot in
-- which the station was closed: not installed, or neither renting nor returning.
-- Docks that were never above 0 over a day are unknown on that day, unless they were
-- known for less than 12 hours of it and above 0 on the day before.
-- reads: slots, station_status (rows), profile (summaries), asked
WITH $dockless_of_asked, $numbered, $scarce, islands AS (
    SELECT c.system_id AS system_id, c.station_id AS station_id, c.what AS what,
        c.slot AS slot, n.number AS number, n.stale AS stale, n.seconds AS seconds,
        n.number - ROW_NUMBER() OVER (
            PARTITION BY c.system_id, c.station_id, c.what ORDER BY n.number
        ) AS island
    FROM scarce AS c
    JOIN numbered AS n ON n.system_id = c.system_id AND n.slot = c.slot
), episodes AS (
    SELECT i.system_id AS system_id, i.station_id AS station_id, i.what AS what,
        MIN(i.slot) AS first_slot, MAX(i.slot) AS last_slot, COUNT(*) AS slots,
        SUM(i.stale) AS stale, SUM(i.seconds) AS seconds,
        MIN(i.number) AS first_number, MAX(i.number) AS last_number
    FROM islands AS i
    GROUP BY i.system_id, i.station_id, i.what, i.island
    HAVING COUNT(*) >= $least
), edges AS (
    SELECT e.system_id AS system_id, e.station_id AS station_id, n.slot AS slot
    FROM episodes AS e
    JOIN numbered AS n ON n.system_id = e.system_id AND n.number = e.first_number - 1
    UNION
    SELECT e.system_id AS system_id, e.station_id AS station_id, n.slot AS slot
    FROM episodes AS e
    JOIN numbered AS n ON n.system_id = e.system_id AND n.number = e.last_number + 1
), seen AS (
    SELECT d.system_id AS system_id, d.station_id AS station_id, n.number AS number
    FROM edges AS d
    JOIN asked_rows AS o ON o.system_id = d.system_id
        AND o.station_id = d.station_id AND o.slot = d.slot
    JOIN numbered AS n ON n.system_id = d.system_id AND n.slot = d.slot
    WHERE o.vehicles IS NOT NULL
)
SELECT e.system_id AS system_id, e.station_id AS station_id, e.what AS what,
    e.first_slot AS first_slot, e.last_slot AS last_slot,
    CAST(e.slots AS BIGINT) AS slots, CAST(e.seconds AS BIGINT) AS length_s,
    CASE WHEN b.number IS NULL THEN 0 ELSE 1 END AS begin_seen,
    CASE WHEN f.number IS NULL THEN 0 ELSE 1 END AS end_seen,
    CAST(e.stale AS BIGINT) AS slots_stale
FROM episodes AS e
LEFT JOIN seen AS b ON b.system_id = e.system_id AND b.station_id = e.station_id
    AND b.number = e.first_number - 1
LEFT JOIN seen AS f ON f.system_id = e.system_id AND f.station_id = e.station_id
    AND f.number = e.last_number + 1
ORDER BY length_s DESC, system_id, station_id, what, first_slot
