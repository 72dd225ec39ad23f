"""Disk usage of a system, its daily growth, and when the disk will be full."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bikecollect.archive.datasets import PART
from bikecollect.core.slots import DAY
from bikecollect.core.text import count_of, length
from bikecollect.storage.data_folder import ARCHIVE, STATUS
from bikecollect.storage.files.entries import paths_in

RECENT_DAYS = 7
MANY_DAYS = 5_000
"""Days from which no number is given in a forecast: it is beyond any plan."""


@dataclass(frozen=True)
class Disk:
    """Bytes *used* by a system, *free* on its disk, added *daily* (None: unknown)."""

    used: int
    free: int
    daily: float | None

    @property
    def days_left(self) -> float | None:
        """Days until the disk is full at this growth; None if that is unknown."""
        return self.free / self.daily if self.daily else None

    @property
    def time_left(self) -> str:
        """The time until then for people, empty if it is unknown.

        >>> Disk(0, 200, 7.0).time_left, Disk(0, 1, 24.0).time_left
        ('29 days', '1 h 0 min')
        """
        days = self.days_left
        if days is None:
            return ""
        if days < 1:
            return length(days * DAY)
        return count_of(round(days), "day") if days < MANY_DAYS else "many years"


def disk_of(
    folder: Path, slots: int, slots_a_day: int, imported: tuple[str, str] = ("", "")
) -> Disk:
    """Return the disk usage of the system in *folder*.

    *slots* is the number of slots collected in the last 24 hours, *slots_a_day* that of
    a complete day. The days from the first to before the second of *imported* were
    imported, and say nothing about the growth.
    """
    archived = _archived(folder)
    used = sum(_sizes(folder)) + sum(archived.values())
    free = shutil.disk_usage(_existing(folder)).free
    begin, end = imported
    sizes = _days(folder / STATUS).items()
    days = {day: size for day, size in sizes if not begin <= day < end}
    # The newest day is still growing, so closed days are used if there are any.
    closed = [days[name] for name in sorted(days)[:-1]][-RECENT_DAYS:]
    if closed:
        return Disk(used, free, sum(closed) / len(closed))
    if archived and not days:
        own = [day for day in sorted(archived) if not begin <= _date(day) < end]
        newest = [archived[day] for day in (own or sorted(archived))[-RECENT_DAYS:]]
        return Disk(used, free, sum(newest) / len(newest))
    today = sum(days.values())
    return Disk(used, free, today / slots * slots_a_day if slots and today else None)


def _date(key: str) -> str:
    return key.removeprefix("date=")


def _days(folder: Path) -> dict[str, int]:
    """Return the bytes of each day's CSV, all segments together."""
    sizes: dict[str, int] = {}
    for path in paths_in(folder):
        day, dot, rest = path.name.partition(".")
        if dot and rest.endswith("csv"):
            with suppress(OSError):
                sizes[day] = sizes.get(day, 0) + path.stat().st_size
    return sizes


def _archived(folder: Path) -> dict[str, int]:
    """Return the bytes of each archived day of the system in *folder*."""
    sizes: dict[str, int] = {}
    for dataset in paths_in(folder.parent / ARCHIVE):
        for day in paths_in(dataset / f"system_id={folder.name}"):
            with suppress(OSError):
                size = os.stat(f"{day}/{PART}").st_size  # noqa: PTH116 - half the time, for thousands of days
                sizes[day.name] = sizes.get(day.name, 0) + size
    return sizes


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)


def _sizes(folder: Path) -> Iterator[int]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    yield from _sizes(Path(entry.path))
                else:
                    yield entry.stat(follow_symlinks=False).st_size
