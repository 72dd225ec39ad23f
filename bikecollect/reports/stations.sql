-- All current and former stations: name, position, capacity.
-- since: first slot in which it was listed; until: first slot without it, else NULL
-- Until is known after 24 hours without the station; a shorter absence does not count.
-- A station with rows that was never in a list has no name and no position.
-- reads: stations, asked
WITH firsts AS (
    SELECT s.system_id AS system_id, s.station_id AS station_id,
        MIN(s.valid_from) AS since
    FROM stations AS s
    GROUP BY s.system_id, s.station_id
), newest AS (
    SELECT s.system_id AS system_id, s.station_id AS station_id, s.name AS name,
        s.region AS region, s.lat AS lat, s.lon AS lon, s.capacity AS capacity,
        CASE WHEN s.is_listed = FALSE THEN s.valid_from END AS until
    FROM stations AS s
    WHERE s.valid_to IS NULL
)
SELECT a.system_id AS system_id, a.station_id AS station_id, n.name AS name,
    n.region AS region, n.lat AS lat, n.lon AS lon, n.capacity AS capacity,
    f.since AS since, n.until AS until
FROM asked AS a
LEFT JOIN firsts AS f ON f.system_id = a.system_id AND f.station_id = a.station_id
LEFT JOIN newest AS n ON n.system_id = a.system_id AND n.station_id = a.station_id
ORDER BY system_id, station_id
