"""The usual number of bikes: the mean of a station at an hour of the week."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from bikecollect.app.queries.films.packing import UNSEEN, packed, unseen
from bikecollect.archive.query.duckdb_engine import translated

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAYS = 28
"""Number of days before the film from which usual counts are computed."""
MIN_DAYS = 2
"""Minimum days with an hour of the week; with fewer its usual count is unknown."""
HOURS = 24
MEANS = """
SELECT CAST(s.place - 1 AS INTEGER) AS station, CAST(h.place - 1 AS INTEGER) AS hour,
    CAST(COUNT(*) AS INTEGER) AS days,
    CAST(SUM(p.sum_vehicles) AS DOUBLE) / CAST(SUM(p.known) AS DOUBLE) AS mean
FROM profile AS p
JOIN UNNEST($stations) WITH ORDINALITY AS s(station_id, place)
    ON s.station_id = p.station_id
JOIN UNNEST($hours) WITH ORDINALITY AS h(hour_of_week, place)
    ON h.hour_of_week = p.hour_of_week
WHERE p.date >= $since AND p.date < $until AND p.known > 0
GROUP BY s.place, h.place
HAVING COUNT(*) >= $least
"""


@dataclass(frozen=True)
class Usual:
    """The usual numbers of bikes in the *hours* of the week (0: Monday 00:00).

    *slot_hours* has the hour of the week of each slot of the film. *vehicles* are means
    rounded to whole bikes, *days* the number of days in each; both are packed, station
    by station, and are `UNSEEN` with fewer than `MIN_DAYS` days.
    """

    hours: list[int] = field(default_factory=list)
    slot_hours: list[int] = field(default_factory=list)
    vehicles: str = ""
    days: str = ""


def usual_of(
    db: "DuckDBPyConnection",
    stations: Sequence[str],
    slots: Sequence[int],
    zone: tzinfo,
) -> Usual:
    """Return the usual counts for *slots*, from the `DAYS` before the first one's day.

    *stations* are ids, in order. Raises StorageError.
    """
    import numpy as np  # comes with the extra `app`

    if not stations or not slots:
        return Usual()
    slot_hours = [_hour_of_week(slot, zone) for slot in slots]
    hours = sorted(set(slot_hours))
    until = datetime.fromtimestamp(slots[0], zone).date()
    values = {
        "stations": list(stations),
        "hours": hours,
        "since": until - timedelta(days=DAYS),
        "until": until,
        "least": MIN_DAYS,
    }
    with translated(f"cannot read the days before {until}"):
        means = db.execute(MEANS, values).fetchnumpy()
    vehicles, days = (unseen((len(stations), len(hours))) for _ in range(2))
    at = means["station"], means["hour"]
    vehicles[at] = np.rint(means["mean"]).clip(0, UNSEEN - 1)
    days[at] = means["days"]
    return Usual(hours, slot_hours, packed(vehicles), packed(days))


def _hour_of_week(slot: int, zone: tzinfo) -> int:
    """Return the local hour of the week in which *slot* begins."""
    local = datetime.fromtimestamp(slot, zone)
    return local.weekday() * HOURS + local.hour
