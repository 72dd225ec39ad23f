"""Bounds the folder of rejected payloads, and the files set aside in it.

A publisher who changes a feed for months, or a disk that damages files daily, must not
fill the disk. What `backfill` may still need is not removed within its days.
"""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.slots import from_stamp
from bikecollect.core.text import size

REASON = ".reason.txt"
FEW = "(of such payloads the newest 32 MiB are kept)\n"
"""The end of the reason of a payload of which few are kept."""
LARGE, MOST_FEW = 4 * 1024 * 1024, 32 * 1024 * 1024
"""The size of a very large payload, and the room for payloads of which few are kept."""
MOST_PAYLOADS, PAYLOAD_BYTES = 20_000, 1024**3
"""Rejected payloads that are kept: those of 70 days of five-minute slots."""
MOST_OTHERS, OTHER_BYTES = 200, 256 * 1024 * 1024
"""Files that are kept of what was set aside: torn ends and changed daily files."""


class _RejectedFile(NamedTuple):
    """A file, and the time by which it is kept, in epoch seconds."""

    time: float
    name: str
    bytes: int


def thin_out(folder: Path, names: Iterable[str], reason: Callable[[str], str]) -> None:
    """Remove the oldest payloads of which few are kept, beyond `MOST_FEW` bytes.

    *names* are those of the payloads in *folder*, newest first.
    """
    room = MOST_FEW
    for name in names:
        with suppress(OSError):
            count = (folder / name).lstat().st_size
            if count > LARGE or reason(name).endswith(FEW):
                if room < count and room < MOST_FEW:  # the newest one stays
                    _remove(folder, name)
                room -= count


def bound(folder: Path, needed_since: float) -> str:
    """Remove the oldest files in *folder* beyond the limits; return a text for people.

    None of a time from *needed_since* on is removed. The text is empty if nothing was.
    """
    payloads, others = [], []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.name.endswith(".zip"):
                    count = entry.stat(follow_symlinks=False).st_size
                    payloads.append(_RejectedFile(_slot(entry.name), entry.name, count))
                elif not entry.name.endswith(f".zip{REASON}"):
                    stat = entry.stat(follow_symlinks=False)
                    others.append(
                        _RejectedFile(stat.st_mtime, entry.name, stat.st_size)
                    )
    removed = [
        *_beyond(payloads, MOST_PAYLOADS, PAYLOAD_BYTES, needed_since),
        *_beyond(others, MOST_OTHERS, OTHER_BYTES, needed_since),
    ]
    removed = [file for file in removed if _remove(folder, file.name)]
    if not removed:
        return ""
    total = size(sum(file.bytes for file in removed))
    return (
        f"{folder} is over its limits ({MOST_PAYLOADS:,} payloads, "
        f"{size(PAYLOAD_BYTES)}; {MOST_OTHERS} other files, {size(OTHER_BYTES)}): "
        f"the {len(removed)} oldest files were removed, {total}, the newest of them "
        f"{max(removed).name}"
    )


def _beyond(
    files: list[_RejectedFile], most: int, most_bytes: int, needed_since: float
) -> list[_RejectedFile]:
    """Return the oldest of *files* beyond the limits that are not needed."""
    kept = kept_bytes = 0
    beyond = []
    for file in sorted(files, reverse=True):
        kept, kept_bytes = kept + 1, kept_bytes + file.bytes
        if (kept > most or kept_bytes > most_bytes) and file.time < needed_since:
            beyond.append(file)
    return beyond


def _remove(folder: Path, name: str) -> bool:
    """Remove the file *name*, and then its reason; return whether that succeeded."""
    try:
        (folder / name).unlink()
    except OSError:
        return False
    with suppress(OSError):
        (folder / f"{name}{REASON}").unlink(missing_ok=True)
    return True


def _slot(name: str) -> float:
    """Return the slot of the payload *name*; of a foreign file the latest time."""
    try:
        return float(from_stamp(name.partition(".")[0]))
    except ValueError:
        return float("inf")  # not ours: never removed
