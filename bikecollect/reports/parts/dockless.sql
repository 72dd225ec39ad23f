-- Station days on which the number of free docks is unknown.
-- Docks that were never above 0 over a day are unknown on that day, unless they were
-- known for less than 12 hours of it and above 0 on the day before.
-- A feed says 0 where it does not know; but a station that is full since midnight is
-- not unknown until noon. Each count is as long as a slot of that day, on average.
-- reads: slots, profile (summaries)
dock_slots AS (
    SELECT s.system_id AS system_id, s.date AS date,
        CASE WHEN COUNT(*) > 1 THEN MAX(s.slot) - MIN(s.slot) ELSE $interval END
            AS seconds,
        CASE WHEN COUNT(*) > 1 THEN COUNT(*) - 1 ELSE 1 END AS slots
    FROM slots AS s
    WHERE s.date >= DATE '$eve' AND s.date < DATE '$until'
    GROUP BY s.system_id, s.date
), dock_dates AS (
    SELECT l.system_id AS system_id, l.date AS date, l.seconds AS seconds,
        l.slots AS slots,
        LAG(l.date) OVER (PARTITION BY l.system_id ORDER BY l.date) AS eve
    FROM dock_slots AS l
), dock_days AS (
    SELECT p.system_id AS system_id, p.station_id AS station_id, p.date AS date,
        SUM(p.sum_docks) AS docks, SUM(p.docks_known) AS docks_known
    FROM profile AS p
    WHERE p.date >= DATE '$eve' AND p.date < DATE '$until'
    GROUP BY p.system_id, p.station_id, p.date
), dock_eves AS (
    SELECT d.system_id AS system_id, d.station_id AS station_id, d.date AS date,
        d.docks AS docks, d.docks_known AS docks_known,
        LAG(d.docks) OVER (
            PARTITION BY d.system_id, d.station_id ORDER BY d.date
        ) AS docks_before,
        LAG(d.date) OVER (
            PARTITION BY d.system_id, d.station_id ORDER BY d.date
        ) AS day_before
    FROM dock_days AS d
), dockless AS (
    SELECT e.system_id AS system_id, e.station_id AS station_id, e.date AS date
    FROM dock_eves AS e
    JOIN dock_dates AS l ON l.system_id = e.system_id AND l.date = e.date
    WHERE e.docks = 0
        AND (e.docks_known * l.seconds >= 43200 * l.slots
            OR COALESCE(e.docks_before, 0) = 0 OR e.day_before < l.eve)
)
