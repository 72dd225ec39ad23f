"""The stations to report on: what is read for them; a query for every engine."""

from collections.abc import Container, Sequence

from bikecollect.archive.datasets import PRESENCE
from bikecollect.reports.engines.literals import quoted
from bikecollect.reports.registry import DISTRICT, STATION, Values

SEEN = (
    "SELECT c.system_id AS system_id, c.station_id AS station_id,"
    " MIN(c.first_slot) AS first_slot, MAX(c.last_slot) AS last_slot,"
    " MAX(CASE WHEN c.date >= DATE '$since' AND c.date < DATE '$until'"
    " THEN 1 ELSE 0 END) AS is_in_range"
    " FROM $presence AS c GROUP BY c.system_id, c.station_id"
)
ENDS = (
    "SELECT s.system_id AS system_id, MIN(s.slot) AS first_slot,"
    " MAX(s.slot) AS last_slot FROM slots AS s WHERE s.state <> 'missing'"
    " GROUP BY s.system_id"
)
COVERAGE = "coverage"
ALWAYS_READ = frozenset({"stations", "slots"})
"""The tables that every report reads, besides those in its SQL and of `presence`."""
NOWHERE = "(no district)"


def presence(tables: Container[str]) -> str:
    """Return the table in DuckDB that tells when each station had rows.

    It is that of coverage if this is in *tables*, which a report reads.
    """
    return COVERAGE if COVERAGE in tables else PRESENCE


def in_duckdb(tables: frozenset[str], *, asked: bool = True) -> frozenset[str]:
    """Return the tables that DuckDB needs for a report whose SQL reads *tables*.

    *asked* tells whether the stations to report on must be known.
    """
    return tables | ALWAYS_READ | ({presence(tables)} if asked else frozenset())


def seen_query(values: Values, presence: str) -> str:
    """Return the query for when each station had rows, from the table *presence*."""
    since, until = values.since.isoformat(), values.until.isoformat()
    sql = SEEN.replace("$since", since).replace("$until", until)
    return sql.replace("$presence", presence)


def asked_query(
    values: Values, among: str, by: str, stations: Sequence[str] = ()
) -> str:
    """Return the query for the stations of the systems *among*; see `runner.asked`."""
    seen = seen_query(values, COVERAGE)
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
