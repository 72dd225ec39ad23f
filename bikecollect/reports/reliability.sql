-- How reliably each station has a vehicle, and a free dock.
-- slots_seen: slots with a number of vehicles; slots_expected: all slots of the range
-- share_with_vehicle, share_with_dock: share of seen slots with at least one
-- share_silent: share of rows whose last_reported is over 3,600 s before the slot
-- share_inactive: share of rows that say not installed, or not renting
-- changes: pairs of adjacent slots of one local day whose numbers of vehicles differ;
-- a pair across a gap, across midnight, or with an unknown number is not counted
-- reads: slots, coverage, profile (summaries), asked
WITH expected AS (
    SELECT s.system_id AS system_id, COUNT(*) AS slots
    FROM slots AS s
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
    GROUP BY s.system_id
), covered AS (
    SELECT c.system_id AS system_id, c.station_id AS station_id, SUM(c.slots) AS slots,
        SUM(c.silent) AS silent, SUM(c.inactive) AS inactive, SUM(c.changes) AS changes
    FROM coverage AS c
    WHERE c.date >= DATE '$since' AND c.date < DATE '$until'
    GROUP BY c.system_id, c.station_id
), counts AS (
    SELECT p.system_id AS system_id, p.station_id AS station_id,
        SUM(p.known) AS known, SUM(p.docks_known) AS docks_known,
        SUM(p.with_vehicle) AS with_vehicle, SUM(p.with_dock) AS with_dock
    FROM profile AS p
    WHERE p.date >= DATE '$since' AND p.date < DATE '$until'
    GROUP BY p.system_id, p.station_id
)
SELECT a.system_id AS system_id, a.station_id AS station_id,
    CAST(COALESCE(f.known, 0) AS BIGINT) AS slots_seen,
    CAST(e.slots AS BIGINT) AS slots_expected,
    CAST(COALESCE(f.known, 0) AS DOUBLE) / CAST(e.slots AS DOUBLE) AS share_seen,
    CAST(f.with_vehicle AS DOUBLE)
        / CAST(CASE WHEN f.known > 0 THEN f.known END AS DOUBLE) AS share_with_vehicle,
    CAST(f.with_dock AS DOUBLE)
        / CAST(CASE WHEN f.docks_known > 0 THEN f.docks_known END AS DOUBLE)
        AS share_with_dock,
    CAST(c.silent AS DOUBLE) / CAST(c.slots AS DOUBLE) AS share_silent,
    CAST(c.inactive AS DOUBLE) / CAST(c.slots AS DOUBLE) AS share_inactive,
    CAST(c.changes AS BIGINT) AS changes
FROM asked AS a
JOIN expected AS e ON e.system_id = a.system_id
LEFT JOIN covered AS c ON c.system_id = a.system_id AND c.station_id = a.station_id
LEFT JOIN counts AS f ON f.system_id = a.system_id AND f.station_id = a.station_id
ORDER BY system_id, share_with_vehicle, station_id
