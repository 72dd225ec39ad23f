"""Reports for DuckDB that read summaries of days instead of rows, with equal results.

The summaries have a list for each day of a station, which portable SQL cannot read.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bikecollect.archive.datasets import STATION_DAYS
from bikecollect.archive.query.duckdb_engine import translated
from bikecollect.archive.query.views import tables_in
from bikecollect.reports.engines.stations_asked import in_duckdb
from bikecollect.reports.registry import REPORTS, Report, Values

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class ReportByDay(Report):
    """A report that finds unknown docks in `station_days`, not in every hour."""

    @property
    def template(self) -> str:
        """The SQL with placeholders for parts, too."""
        text = super().template
        return text.replace("$dockless_of_asked", "$dockless_by_day")


VARIANTS: Mapping[str, Report] = {
    "episodes": Report("episodes_by_day", may_be_empty=True),
    "availability": ReportByDay("availability", REPORTS["availability"].places),
}
"""The variant from summaries of a report, by its name."""
HAS_VIEW = "SELECT 1 FROM duckdb_views() WHERE view_name = ?"
OVERLAPS = """
WITH days AS (
    SELECT system_id, date, MIN(slot) AS first_slot, MAX(slot) AS last_slot
    FROM slots GROUP BY system_id, date
), pairs AS (
    SELECT first_slot, LAG(last_slot) OVER (
        PARTITION BY system_id ORDER BY date) AS last_before
    FROM days
)
SELECT 1 FROM pairs WHERE first_slot <= last_before LIMIT 1
"""
"""Finds days of a system that overlap: its time zone was changed."""


def variant(report: Report, values: Values) -> Report | None:
    """Return the variant of *report* from summaries, None if there is none."""
    if values.rows or values.without_stale:
        return None
    return VARIANTS.get(report.name)


def tables(report: Report, values: Values) -> frozenset[str]:
    """Return the tables that *report*, a variant, reads; see `views.connected`."""
    return in_duckdb(tables_in(values.sql(report))) | {STATION_DAYS}


def is_possible(db: "DuckDBPyConnection") -> bool:
    """Return whether the history in *db* has what the variants require.

    All archived days have summaries of the newest format, and no days overlap.
    """
    with translated("the report failed"):
        if not db.execute(HAS_VIEW, [STATION_DAYS]).fetchall():
            return False
        return not db.execute(OVERLAPS).fetchall()
