"""The disk: what a system takes of it, and how long there is room for more."""

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bikecollect.archive.datasets import PART
from bikecollect.storage.data_folder import ARCHIVE, STATUS

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


def disk_of(folder: Path, slots: int, slots_a_day: int) -> Disk:
    """Return the disk of the system in *folder*, that got *slots* today.

    A whole day has *slots_a_day*.
    """
    archived = _archived(folder)
    used = sum(_sizes(folder)) + sum(archived.values())
    free = shutil.disk_usage(_existing(folder)).free
    days = _days(folder / STATUS)
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
