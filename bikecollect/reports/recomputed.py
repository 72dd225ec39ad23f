"""Report SQL that reads rows instead of summaries, and can skip stale slots."""

import re
from collections.abc import Iterator

from bikecollect.archive import summaries
from bikecollect.core.slots import stale_sql

SOURCE = re.compile(
    r"\b(FROM|JOIN)"
    r" (slots|station_status|coverage|profile|vehicle_slots|vehicle_status) AS\b"
)
ALL_SLOTS = "SELECT s.* FROM {slots} AS s WHERE {range}"
FRESH_SLOTS = """SELECT s.system_id AS system_id, s.date AS date, s.slot AS slot,
        s.minute_of_day AS minute_of_day, s.hour_of_week AS hour_of_week,
        CASE WHEN {stale} THEN 'missing' ELSE s.state END AS state,
        CASE WHEN {stale} THEN 'stale' ELSE s.cause END AS cause,
        CASE WHEN {stale} THEN '' ELSE s.flags END AS flags
    FROM {slots} AS s
    WHERE {range}"""
ALL_ROWS = "SELECT s.* FROM {rows} AS s WHERE {range}"
FRESH_ROWS = """SELECT r.*
    FROM {rows} AS r
    JOIN {slots} AS s ON s.system_id = r.system_id AND s.date = r.date
        AND s.slot = r.slot
    WHERE NOT ({stale}) AND {range}"""
STALE = f"s.flags IS NOT NULL AND {stale_sql('s')}"


def from_rows(
    text: str, since: str, until: str, interval: int, *, without_stale: bool
) -> str:
    """Return the SQL *text* of a report, changed to compute summaries from rows.

    The summaries are defined in a WITH clause, with names that begin with ``counted_``,
    for the days from *since* to before *until*; *interval* is in seconds. If
    *without_stale*, stale slots count as missing, with the cause `stale`.
    """
    sources = {source for _, source in SOURCE.findall(text)}
    between = f"s.date >= DATE '{since}' AND s.date < DATE '{until}'"
    templates = (FRESH_SLOTS, FRESH_ROWS) if without_stale else (ALL_SLOTS, ALL_ROWS)
    tables = dict(_tables(sources, between, *templates))
    own = {"rows": "counted_station_status", "slots": "counted_slots"}
    if "coverage" in sources:
        tables["coverage"] = summaries.coverage(interval, **own)
    if "profile" in sources:
        tables["profile"] = summaries.profile(**own)
    if not tables:
        return text
    defined = ", ".join(
        f"counted_{name} AS (\n    {sql.strip()}\n)" for name, sql in tables.items()
    )
    renamed = SOURCE.sub(r"\1 counted_\2 AS", text)
    return renamed.replace("\nWITH ", f"\nWITH {defined}, ", 1)


def _tables(
    sources: set[str], between: str, slots_sql: str, rows_sql: str
) -> Iterator[tuple[str, str]]:
    """Yield the slots and rows that a report with *sources* needs, with their SQL."""
    kinds = (
        ("slots", "station_status", {"coverage", "profile"}),
        ("vehicle_slots", "vehicle_status", set[str]()),
    )
    for slots, rows, summed in kinds:
        if sources.isdisjoint({slots, rows} | summed):
            continue
        yield slots, slots_sql.format(slots=slots, range=between, stale=STALE)
        if not sources.isdisjoint({rows} | summed):
            names = {"rows": rows, "slots": slots}
            yield rows, rows_sql.format(**names, range=between, stale=STALE)
