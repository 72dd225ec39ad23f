-- Collected and missing slots of each day, by cause.
-- cause: why slots are missing; empty for collected slots
-- slots: slots with this state and cause; expected: slots of the whole day
-- share: slots / expected
-- reads: slots (summaries)
WITH days AS (
    SELECT s.system_id AS system_id, s.date AS date, COUNT(*) AS expected
    FROM slots AS s
    WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
    GROUP BY s.system_id, s.date
)
SELECT s.system_id AS system_id, CAST(s.date AS VARCHAR(10)) AS date,
    s.state AS state, s.cause AS cause, CAST(COUNT(*) AS BIGINT) AS slots,
    CAST(d.expected AS BIGINT) AS expected,
    CAST(COUNT(*) AS DOUBLE) / CAST(d.expected AS DOUBLE) AS share
FROM slots AS s
JOIN days AS d ON d.system_id = s.system_id AND d.date = s.date
WHERE s.date >= DATE '$since' AND s.date < DATE '$until'
GROUP BY s.system_id, s.date, s.state, s.cause, d.expected
ORDER BY system_id, date, state, cause
