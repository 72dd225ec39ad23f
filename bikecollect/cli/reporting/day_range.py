"""The days of a report, as its options give them."""

import time
from collections.abc import Iterator, Sequence
from datetime import date

from bikecollect.cli.timeparse import days, warn_of_times, weekly
from bikecollect.core.slots import bounds
from bikecollect.reports.registry import Values
from bikecollect.setup.settings import Settings
from bikecollect.wiring import history


def values_in(
    settings: Settings,
    ids: Sequence[str],
    since: str | None,
    until: str | None,
    at: str | None,
) -> Values:
    """Return the values for the days of the options, in the zone of the first system.

    Raises UsageError for a day or a time that cannot be read.
    """
    zone = history.zone(settings, ids[0])
    warn_of_times(since, until)
    first, end = days(since, until, zone, time.time())
    first = first if since else "2000-01-01"
    end = end if until else "2100-01-01"
    weekday, minute = weekly(at) if at else (0, 0)
    end_hour = (weekday + 1) * 24 if at else Values.end_hour
    return Values(
        since=date.fromisoformat(first),
        until=date.fromisoformat(end),
        interval=settings.seconds,
        begin=bounds(first, zone)[0],
        end=bounds(end, zone)[0],
        minute=minute,
        first_hour=weekday * 24,
        end_hour=end_hour,
    )


def spans(
    settings: Settings, ids: Sequence[str], values: Values
) -> Iterator[tuple[str, int, int]]:
    """Yield the beginning and the end of the range in the zone of each system."""
    for name in ids:
        zone = history.zone(settings, name)
        begin, _ = bounds(values.since.isoformat(), zone)
        end, _ = bounds(values.until.isoformat(), zone)
        yield name, begin, end
