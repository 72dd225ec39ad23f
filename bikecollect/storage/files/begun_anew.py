"""A folder that was begun anew because the earlier one was gone: a mark says so.

The mark is in the folder's marker: it stays until the earlier folder is back in its
place, with its own marker, or until the loss is accepted.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import tzinfo
from pathlib import Path

from bikecollect.core.incidents import EARLIER
from bikecollect.core.slots import Slot
from bikecollect.core.text import local_minute
from bikecollect.storage.files.durable import sync_folder, unwritten, write_file
from bikecollect.storage.files.regular_file import read_file

GONE = "is gone, with all data until now: was it removed, or is its disk not mounted?"
MOST = 10_000
_MARK = re.compile(rb"begun anew: ([0-9]{1,11})\n")


def gone(folders: Mapping[str, Path], known: Collection[str]) -> dict[str, str]:
    """Return a text for each system of *folders* that is *known* and does not exist.

    It is created again, because a slot is worth more than the place where it lies.
    """
    texts = {}
    for name, folder in folders.items():
        with suppress(OSError):  # reported by whoever creates it
            if str(folder) in known and not folder.exists():
                texts[name] = f"{folder} {GONE} {_remedy(name)}"
    return texts


def mark(now: float) -> bytes:
    """Return the lines in the marker of a folder that is begun anew at *now*."""
    return b"An earlier folder was gone, with its data.\nbegun anew: %d\n" % now


def since(marker: Path) -> Slot | None:
    """Return when the folder of *marker* was begun anew, None if it was not."""
    with suppress(OSError):
        if found := _MARK.search(read_file(marker, MOST)):
            return Slot(int(found[1]))
    return None


def loss(name: str, marker: Path, zone: tzinfo) -> str:
    """Return that the earlier data of the system *name* are gone, empty if not."""
    begun = since(marker)
    if begun is None:
        return ""
    when = local_minute(begun, zone)
    return (
        f"{marker.parent} was gone on {when}, with all data until then: was it "
        f"removed, or was its disk not mounted? {_remedy(name)}"
    )


def accept(marker: Path, text: bytes) -> None:
    """Write *text*, without a mark, to *marker*. Raises StorageError."""
    new = marker.with_suffix(".new")
    try:
        write_file(new, text)
        new.replace(marker)
        sync_folder(marker.parent)
    except OSError as error:
        raise unwritten(f"cannot write {marker}: {error}", error) from error


def is_restored(marker: Path, slots: Iterable[Slot]) -> bool:
    """Return whether *slots*, filled from another archive, are of the earlier data.

    Then these are there again, and what they lack is accounted for as gaps.
    """
    begun = since(marker)
    return begun is not None and any(slot < begun for slot in slots)


def _remedy(name: str) -> str:
    return (
        "A new one was begun. To go on with the earlier one: move the new one aside, "
        "put the earlier one in its place (from a backup), and run: bikecollect "
        f"backfill {name} --from THE_NEW_ONE; or accept the loss: bikecollect forget "
        f"{name} {EARLIER}"
    )
