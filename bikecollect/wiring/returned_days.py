"""Put lost files of archived days back from the archive of a copy or a mirror."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from zoneinfo import ZoneInfo

from bikecollect.archive.archived_days import Archived
from bikecollect.archive.archived_days import archived_days as by_day
from bikecollect.archive.datasets import LAYOUTS, VEHICLE_LAYOUT
from bikecollect.archive.mirror.returned import CopiedArchive, Returned
from bikecollect.collect.sources.bikecollect_folder import FolderSource
from bikecollect.core.process import Times
from bikecollect.core.slots import Slot, bounds
from bikecollect.core.text import count_of
from bikecollect.setup.settings import Settings
from bikecollect.storage.data_folder import ARCHIVE, SystemFolder
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.lock import Breather
from bikecollect.storage.repair.lost_days import archived_days, is_mounted
from bikecollect.wiring.history import system_lock

log = logging.getLogger(__name__)
DAYS = "SELECT * FROM archives WHERE day GLOB ? ORDER BY day"


def return_days(
    settings: Settings,
    name: str,
    source: object,
    times: Times,
    span: tuple[Slot, Slot],
    *,
    dry: bool,
) -> int:
    """Put the lost files of archived days in *span* back from *source*; log which.

    Return the number of days. The source must be a folder, or a mirror. Nothing is done
    if the archive's disk may not be mounted. Raises StorageError.
    """
    system, days = settings.system_folder(name), set[str]()
    known = archived_days(system)
    is_there = known and is_mounted(system, settings.data / ARCHIVE, known)
    if not (isinstance(source, FolderSource) and is_there):
        return 0
    for layout in LAYOUTS:
        own = system.vehicles if layout is VEHICLE_LAYOUT else system
        copy = CopiedArchive(
            settings.data,
            name,
            source.folder.parent,
            (source.folder.name, name),
            layout,
            dry,
        )
        results = list[Returned]()
        kind = " of vehicles" if layout is VEHICLE_LAYOUT else ""
        try:
            results.extend(_put_back(copy, system, own, span, times))
        finally:  # also if it is interrupted
            _log(name, source, results, kind, dry=dry)
        days.update(result.day for result in results if result.files)
    return len(days)


def _put_back(
    copy: CopiedArchive,
    system: SystemFolder,
    own: SystemFolder,
    span: tuple[Slot, Slot],
    times: Times,
) -> Iterator[Returned]:
    """Yield the days with lost files, after putting these back if that is possible."""
    if not own.ledger.exists():
        return
    lock, breathe = system_lock(system, times), Breather(times.stop, times.monotonic)

    def known(pattern: str) -> dict[str, Archived]:
        return by_day(History(own.system_id, own.path).select(DAYS, pattern))

    for day, archived in known("*").items():
        breathe()
        begin, end = bounds(day, ZoneInfo(archived.timezone))
        if not (begin < span[1] and end > span[0]) or copy.is_whole(archived):
            continue
        with nullcontext() if copy.dry else lock.held():
            # A `compact` may have archived it again meanwhile.
            if known(day).get(day) == archived and (r := copy.put_back(archived)):
                yield r


def _log(
    name: str,
    source: FolderSource,
    results: Sequence[Returned],
    kind: str,
    *,
    dry: bool,
) -> None:
    origin = source.address or source.folder
    if found := [result.day for result in results if result.files]:
        what = "would be" if dry else "were"
        text = "%s: the lost files of %s %s put back from %s, byte by byte"
        log.warning(text, name, _days(found, kind), what, origin)
    if others := [result.day for result in results if result.differs]:
        text = (
            "%s: %s has %s, lost here, in another state; to take the rows: "
            "bikecollect forget %s %s && bikecollect backfill %s --from %s"
        )
        log.warning(
            text, name, origin, _days(others, kind), name, others[0], name, origin
        )


def _days(days: Sequence[str], kind: str) -> str:
    span = days[0] if len(days) == 1 else f"between {days[0]} and {days[-1]}"
    return f"{count_of(len(days), 'archived day')}{kind} ({span})"
