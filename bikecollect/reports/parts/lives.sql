-- First and last slot of the stations in question, once where they are the same.
-- reads: asked
lives AS (
    SELECT DISTINCT a.system_id AS system_id, a.first_slot AS first_slot,
        a.last_slot AS last_slot
    FROM asked AS a
)
