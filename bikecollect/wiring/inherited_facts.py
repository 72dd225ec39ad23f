"""Time zone and interval of another archive, for the time before our first slot.

A machine that was lost may have collected with other settings than today's: its slots
keep their interval and their days.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.archive.datasets import STATION_LAYOUT
from bikecollect.archive.parts import is_day
from bikecollect.core.slots import DAY, bounds
from bikecollect.core.timeline.facts import SystemFact, inherited, zone_of
from bikecollect.storage.data_folder import ARCHIVE, SystemFolder
from bikecollect.storage.facts import facts_file
from bikecollect.storage.files.regular_file import read_file
from bikecollect.storage.ledger_reader import History

MAX_BYTES = 1_048_576


def with_facts_of(
    folder: Path | None, system: SystemFolder, now: float
) -> SystemFolder:
    """Return *system* with the facts of the system in *folder* before its first slot.

    Unchanged without a folder, or if the ledger of a system with own facts was lost.
    """
    ends = History(system.system_id, system.path).ends()
    if folder is None or (ends is None and len(system.facts) > 1):
        return system
    theirs = facts_file.load(folder) or list(_certified(folder, system.system_id))
    begin = ends[0] if ends else system.grid.floor(now)
    facts = inherited(system.facts, theirs, begin)
    return replace(system, zone=zone_of(facts), facts=tuple(facts))


def _certified(folder: Path, name: str) -> Iterator[SystemFact]:
    """Yield the facts that the certificates of the archive beside *folder* show.

    They have the interval at the end of a day: of two intervals, the shorter one holds
    on the day of a change.
    """
    place = folder.parent / ARCHIVE / STATION_LAYOUT.certificates / f"system_id={name}"
    days = [
        (path.stem, *values)
        for path in sorted(place.glob("*.json"))
        if is_day(path.stem) and (values := _values(path))
    ]
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
        values = json.loads(read_file(path, MAX_BYTES))
        zone, interval = values["timezone"], values["interval_s"]
        if type(interval) is int and interval > 0 and DAY % interval == 0:
            return ZoneInfo(zone).key, interval
    return None
