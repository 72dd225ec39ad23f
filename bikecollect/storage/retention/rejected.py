"""Limit the folder of rejected payloads and of files set aside.

A feed that is not understood for months, or files that are damaged daily, must not
fill the disk. Payloads that `backfill` may still need are not removed.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.slots import from_stamp
from bikecollect.core.text import size
from bikecollect.storage.files.entries import paths_in

REASON = ".reason.txt"
FEW = "(of such payloads the newest 32 MiB are kept)\n"
"""Ends the reason of a payload of a kind of which few are kept."""
LARGE, MAX_FEW = 4 * 1024 * 1024, 32 * 1024 * 1024
"""Bytes of a very large payload, and for all payloads of which few are kept."""
MAX_PAYLOADS, PAYLOAD_BYTES = 20_000, 1024**3
"""Maximum rejected payloads (70 days of five-minute slots), and their bytes."""
MAX_OTHERS, OTHER_BYTES = 200, 256 * 1024 * 1024
"""Maximum other files (torn ends, changed daily files), and their bytes."""


class _RejectedFile(NamedTuple):
    """A file; its *time* (epoch seconds) is the slot of a payload, else its mtime."""

    time: float
    name: str
    bytes: int


def thin_out(folder: Path, names: Iterable[str], reason: Callable[[str], str]) -> None:
    """Remove the oldest payloads of which few are kept, beyond `MAX_FEW` bytes.

    *names* are the payloads in *folder*, newest first; *reason* returns the reason of
    one.
    """
    room = MAX_FEW
    for name in names:
        with suppress(OSError):
            count = (folder / name).lstat().st_size
            if count > LARGE or reason(name).endswith(FEW):
                if room < count and room < MAX_FEW:  # the newest one is kept
                    _remove(folder, name)
                room -= count


def bound(folder: Path, needed_since: float) -> str:
    """Remove the oldest files in *folder* beyond the limits; return a text for people.

    Files from *needed_since* (epoch seconds) on are kept. The text is empty if nothing
    was removed.
    """
    payloads, others = [], []
    for path in paths_in(folder):
        if path.name.endswith(f".zip{REASON}"):
            continue
        with suppress(OSError):
            info = path.lstat()
            if path.name.endswith(".zip"):
                payloads.append(
                    _RejectedFile(_slot(path.name), path.name, info.st_size)
                )
            else:
                others.append(_RejectedFile(info.st_mtime, path.name, info.st_size))
    removed = [
        *_beyond(payloads, MAX_PAYLOADS, PAYLOAD_BYTES, needed_since),
        *_beyond(others, MAX_OTHERS, OTHER_BYTES, needed_since),
    ]
    removed = [file for file in removed if _remove(folder, file.name)]
    if not removed:
        return ""
    total = size(sum(file.bytes for file in removed))
    return (
        f"{folder} is over its limits ({MAX_PAYLOADS:,} payloads, "
        f"{size(PAYLOAD_BYTES)}; {MAX_OTHERS} other files, {size(OTHER_BYTES)}): "
        f"the {len(removed)} oldest files were removed, {total}, the newest of them "
        f"{max(removed).name}"
    )


def _beyond(
    files: list[_RejectedFile], most: int, most_bytes: int, needed_since: float
) -> list[_RejectedFile]:
    """Return the oldest of *files*, beyond the limits and before *needed_since*."""
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
    """Return the slot of the payload *name*, infinity if it has none."""
    try:
        return float(from_stamp(name.partition(".")[0]))
    except ValueError:
        return float("inf")  # not a payload of ours: never removed
