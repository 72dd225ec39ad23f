"""The time zones and intervals that the certificates of archived days state."""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.core.slots import DAY, bounds
from bikecollect.core.timeline.facts import SystemFact
from bikecollect.storage.data_folder import ARCHIVE, CERTIFICATES
from bikecollect.storage.files.regular_file import read_file

MAX_BYTES = 1_048_576


def certified(folder: Path, name: str) -> Iterator[SystemFact]:
    """Yield the facts of the system *name* by the archive beside its *folder*.

    They have the interval at the end of a day: of two intervals, the shorter one holds
    on the day of a change.
    """
    place = folder.parent / ARCHIVE / CERTIFICATES / f"system_id={name}"
    paths: list[Path] = []
    with suppress(OSError):
        paths = sorted(place.glob("*.json"))
    days = [(path.stem, *values) for path in paths if (values := _values(path))]
    for day, zone, interval in days[:1]:
        yield SystemFact(int(bounds(day, ZoneInfo(zone))[0]), zone, interval)
    for (_, zone, interval), (day, new_zone, new_interval) in pairwise(days):
        begin, end = map(int, bounds(day, ZoneInfo(new_zone)))
        if new_zone != zone:
            yield SystemFact(begin, new_zone, min(interval, new_interval))
        if new_interval != interval:
            yield SystemFact(
                end if new_interval > interval else begin, new_zone, new_interval
            )


def _values(path: Path) -> tuple[str, int] | None:
    """Return zone and interval in the certificate at *path*, which is untrusted."""
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        date.fromisoformat(path.stem)
        values = json.loads(read_file(path, MAX_BYTES))
        zone, interval = values["timezone"], values["interval_s"]
        if type(interval) is int and interval > 0 and DAY % interval == 0:
            return ZoneInfo(zone).key, interval
    return None
