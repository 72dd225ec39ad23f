"""The time zones and intervals that the certificates of archived days state."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bikecollect.core.slots import DAY, Slot, bounds
from bikecollect.core.timeline.facts import SystemFact
from bikecollect.storage.data_folder import ARCHIVE, CERTIFICATES
from bikecollect.storage.files.entries import paths_in
from bikecollect.storage.files.regular_file import read_file
from bikecollect.storage.ledger_schema import ARCHIVED_DAYS, file_day

MAX_BYTES = 1_048_576
FILED = f"SELECT DISTINCT {file_day()} FROM blocks"


def certified(folder: Path, name: str) -> Iterator[SystemFact]:
    """Yield the facts of the system *name* by the archive beside its *folder*.

    They have the interval at the end of a day: of two intervals, the shorter one holds
    on the day of a change.
    """
    paths = _certificates(folder, name)
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


def days_lost(folder: Path, select: Callable[..., list[Any]]) -> dict[str, Slot]:
    """Return the days with slots that only the archive has, with the end of each.

    The ledger of the system in *folder*, which *select* reads, was lost, and `compact`
    has not restored them yet. *select* raises StorageError.
    """
    paths = {path.stem: path for path in _certificates(folder, folder.name)}
    lost = set(paths)
    for sql in (ARCHIVED_DAYS, FILED):  # nearly always the first one has all
        lost -= {day for (day,) in select(sql)} if lost else set()
    found = {day: _end_with_slots(paths[day]) for day in sorted(lost)}
    return {day: end for day, end in found.items() if end is not None}


def _certificates(folder: Path, name: str) -> list[Path]:
    """Return the certificates of the system *name*, in the order of their days."""
    place = folder.parent / ARCHIVE / CERTIFICATES / f"system_id={name}"
    return sorted(path for path in paths_in(place) if path.name.endswith(".json"))


def _end_with_slots(path: Path) -> Slot | None:
    """Return the end of the day of the certificate *path*, None if it has no slots.

    It is untrusted.
    """
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        date.fromisoformat(path.stem)
        values = json.loads(read_file(path, MAX_BYTES))
        if values["slots"] > 0:
            return bounds(path.stem, ZoneInfo(values["timezone"]))[1]
    return None


def _values(path: Path) -> tuple[str, int] | None:
    """Return zone and interval in the certificate at *path*, which is untrusted."""
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        date.fromisoformat(path.stem)
        values = json.loads(read_file(path, MAX_BYTES))
        zone, interval = values["timezone"], values["interval_s"]
        if type(interval) is int and interval > 0 and DAY % interval == 0:
            return ZoneInfo(zone).key, interval
    return None
