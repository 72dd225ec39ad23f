"""The stations to report on, as a query that works on every engine."""

from collections.abc import Sequence

from bikecollect.reports.engines.literals import quoted
from bikecollect.reports.registry import DISTRICT, STATION, Values
from bikecollect.reports.runner import ENDS, NOWHERE, SEEN


def asked_query(
    values: Values, among: str, by: str, stations: Sequence[str] = ()
) -> str:
    """Return the query for the stations of the systems *among*; see `runner.asked`."""
    since, until = values.since.isoformat(), values.until.isoformat()
    seen = SEEN.replace("$since", since).replace("$until", until)
    places = {
        STATION: "k.station_id",
        DISTRICT: f"COALESCE(NULLIF(r.region, ''), {quoted(NOWHERE)})",
    }
    chosen = f" AND k.station_id IN ({', '.join(map(quoted, stations))})"
    return (
        f"WITH seen AS ({seen}), ends AS ({ENDS}), listed AS ("
        "SELECT s.system_id AS system_id, s.station_id AS station_id,"
        " s.region AS region FROM stations AS s WHERE s.valid_to IS NULL"
        "), known AS (SELECT l.system_id AS system_id, l.station_id AS station_id"
        " FROM listed AS l UNION DISTINCT SELECT s.system_id AS system_id,"
        " s.station_id AS station_id FROM seen AS s WHERE s.is_in_range = 1)"
        " SELECT k.system_id AS system_id, k.station_id AS station_id,"
        f" {places.get(by, 'k.system_id')} AS place,"
        " CASE WHEN s.first_slot IS NULL THEN 1"
        " WHEN s.first_slot <= COALESCE(e.first_slot, s.first_slot) THEN 0"
        " ELSE s.first_slot END AS first_slot,"
        " CASE WHEN s.last_slot IS NULL THEN 0"
        " WHEN s.last_slot >= COALESCE(e.last_slot, s.last_slot) THEN 1099511627776"
        " ELSE s.last_slot END AS last_slot"
        " FROM known AS k"
        " LEFT JOIN seen AS s ON s.system_id = k.system_id"
        " AND s.station_id = k.station_id"
        " LEFT JOIN ends AS e ON e.system_id = k.system_id"
        " LEFT JOIN listed AS r ON r.system_id = k.system_id"
        " AND r.station_id = k.station_id"
        f" WHERE k.system_id IN {among}{chosen if stations else ''}"
    )
