"""A look at a system's folder: its past, what waits in it, and its disk."""

import glob
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.archive.datasets import ARCHIVE, PART
from bikecollect.core.incidents import Incident
from bikecollect.core.slots import DAY, Slot
from bikecollect.reports.health import Health, Past, flagged, judge
from bikecollect.storage.ledger_reader import History

MONTH = 31 * DAY
RECENT_DAYS = 7


@dataclass(frozen=True)
class Disk:
    """Bytes *used* by a system and *free* on its disk; growth *daily*, None unknown."""

    used: int
    free: int
    daily: float | None

    @property
    def days_left(self) -> float | None:
        """After how many days the disk is full at this growth."""
        return self.free / self.daily if self.daily else None


@dataclass(frozen=True)
class Standing:
    """How one system stands: its health, what waits, and its disk."""

    system_id: str
    folder: Path
    zone: ZoneInfo
    health: Health
    inbox: int
    outbox: int
    rejected: int
    disk: Disk


def survey(
    system_id: str,
    folder: Path,
    zone: ZoneInfo,
    *,
    interval: int,
    now: float,
    noted: Sequence[Incident] = (),
) -> Standing:
    """Return how the system in *folder* stands at *now*; raises StorageError.

    *noted* are incidents as the alerts know them: also those that the ledger could
    not take.
    """
    history = History(system_id, folder)
    outcomes = history.outcomes(Slot(int(now) - MONTH))
    past = Past(
        first=history.first(),
        filled=set(history.filled(Slot(int(now) - MONTH))),
        flagged=flagged(outcomes),
        outcomes=[each for slot, each, _ in outcomes if slot > now - DAY],
        last_run=next(iter(history.runs(limit=1)), None),
        newest=history.newest_block(),
        incidents=_open_incidents(history, noted),
    )
    slots = len([slot for slot in past.filled if slot > now - DAY])
    return Standing(
        system_id=system_id,
        folder=folder,
        zone=zone,
        health=judge(past, now, interval, zone),
        inbox=_count(folder / "payloads" / "inbox", ".zip"),
        outbox=_count(folder / "outbox", ".eml"),
        rejected=_count(folder / "payloads" / "rejected", ".zip"),
        disk=_disk(folder, slots, DAY // interval),
    )


def _open_incidents(history: History, noted: Sequence[Incident]) -> list[Incident]:
    known = {each.incident_id for each in noted}
    written = [i for i in history.incidents() if i.incident_id not in known]
    return [*(each for each in noted if each.is_open), *written]


def _disk(folder: Path, slots: int, slots_a_day: int) -> Disk:
    archived = _archived(folder)
    used = sum(_sizes(folder)) + sum(archived.values())
    free = shutil.disk_usage(_existing(folder)).free
    days = _days(folder / "station_status")
    # The newest day is still growing: closed days tell more, where there are any.
    closed = [days[name] for name in sorted(days)[:-1]][-RECENT_DAYS:]
    if closed:
        return Disk(used, free, sum(closed) / len(closed))
    if archived and not days:
        newest = [archived[day] for day in sorted(archived)[-RECENT_DAYS:]]
        return Disk(used, free, sum(newest) / len(newest))
    today = sum(days.values())
    return Disk(used, free, today / slots * slots_a_day if slots and today else None)


def _days(folder: Path) -> dict[str, int]:
    """Return the bytes of each day's CSV, all its segments together."""
    found: dict[str, int] = {}
    with suppress(OSError), os.scandir(folder) as entries:
        for each in entries:
            day, dot, rest = each.name.partition(".")
            if dot and rest.endswith("csv"):
                with suppress(OSError):
                    found[day] = found.get(day, 0) + each.stat().st_size
    return found


def _archived(folder: Path) -> dict[str, int]:
    """Return the bytes of each day in the archive of the system in *folder*."""
    found: dict[str, int] = {}
    pattern = f"*/system_id={glob.escape(folder.name)}/date=*/{PART}"
    for each in (folder.parent / ARCHIVE).glob(pattern):
        day = each.parent.name
        with suppress(OSError):
            found[day] = found.get(day, 0) + each.stat().st_size
    return found


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)


def _sizes(folder: Path) -> Iterator[int]:
    with suppress(OSError), os.scandir(folder) as entries:
        for each in entries:
            with suppress(OSError):
                if each.is_dir(follow_symlinks=False):
                    yield from _sizes(Path(each.path))
                else:
                    yield each.stat(follow_symlinks=False).st_size


def _count(folder: Path, suffix: str) -> int:
    with suppress(OSError), os.scandir(folder) as entries:
        return sum(each.name.endswith(suffix) for each in entries)
    return 0
