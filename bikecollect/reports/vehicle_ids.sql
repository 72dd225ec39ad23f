-- Do the ids of vehicles persist, or are they rotated?
-- slots: collected slots, of slots_expected between the first and the last one with
-- vehicles; ids: different ids in all of them
-- share_survived: share of the ids of a slot that are in the next one too
-- vanished: ids that were missing from the next slot; returned: those that came back
-- ids_are: "rotated between slots" below half survived, "rotated after a trip" if of 20
-- or more that vanished less than a tenth returned (GBFS demands it since 2.0), else
-- "persistent"; "unknown" if less than 20 vanished.
-- Rotated after a trip: stays can be measured, trips and single vehicles cannot.
-- reads: vehicle_status (rows), vehicle_slots, slots
WITH $turns, $vehicle_expected, placed AS (
    SELECT v.system_id AS system_id, v.vehicle_id AS vehicle_id, n.place AS place,
        n.places AS places,
        LEAD(n.place) OVER (PARTITION BY v.system_id, v.vehicle_id ORDER BY v.slot)
            AS place_after
    FROM vehicle_status AS v
    JOIN turns AS n ON n.system_id = v.system_id AND n.slot = v.slot
    WHERE v.date >= DATE '$since' AND v.date < DATE '$until'
), totals AS (
    SELECT p.system_id AS system_id, MAX(p.places) AS slots,
        COUNT(DISTINCT p.vehicle_id) AS ids,
        SUM(CASE WHEN p.place < p.places THEN 1 ELSE 0 END) AS followed,
        SUM(CASE WHEN p.place_after = p.place + 1 THEN 1 ELSE 0 END) AS survived,
        SUM(CASE WHEN p.place_after > p.place + 1 THEN 1 ELSE 0 END) AS returned
    FROM placed AS p
    GROUP BY p.system_id
)
SELECT t.system_id AS system_id, CAST(t.slots AS BIGINT) AS slots,
    CAST(t.ids AS BIGINT) AS ids,
    CASE WHEN t.followed > 0 THEN CAST(t.survived AS DOUBLE) / t.followed END
        AS share_survived,
    CAST(t.followed - t.survived AS BIGINT) AS vanished,
    CAST(t.returned AS BIGINT) AS returned,
    CASE WHEN t.followed - t.survived < 20 THEN 'unknown'
        WHEN t.survived * 2 < t.followed THEN 'rotated between slots'
        WHEN t.returned * 10 < t.followed - t.survived THEN 'rotated after a trip'
        ELSE 'persistent' END AS ids_are,
    CAST(e.slots AS BIGINT) AS slots_expected
FROM totals AS t
LEFT JOIN vehicle_expected AS e ON e.system_id = t.system_id
ORDER BY system_id
