-- Station days on which the number of free docks is unknown.
-- It was never above 0 on that day: a feed says 0 where it does not know. A day with
-- less than twelve hours of counts is judged together with the day before.
-- reads: profile (summaries)
dock_days AS (
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
        ) AS docks_before
    FROM dock_days AS d
), dockless AS (
    SELECT e.system_id AS system_id, e.station_id AS station_id, e.date AS date
    FROM dock_eves AS e
    WHERE e.docks = 0
        AND (e.docks_known * $interval >= 43200 OR COALESCE(e.docks_before, 0) = 0)
)
