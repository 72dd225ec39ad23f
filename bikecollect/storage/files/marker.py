"""The marker of a system's folder: whose data it has, and if it was begun anew.

It names the system, so that folders that were exchanged or copied are not mixed up.
Markers of earlier versions have no name: the next run adds it. A folder whose earlier
one was gone has a mark, until the earlier one is back in its place, with its own
marker, or until the loss is accepted.
"""

import logging
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import tzinfo
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.core.incidents import EARLIER
from bikecollect.core.slots import Slot
from bikecollect.core.text import local_minute
from bikecollect.storage.files.durable import sync_folder, unwritten, write_file
from bikecollect.storage.files.entries import folders_with
from bikecollect.storage.files.regular_file import read_file
from bikecollect.storage.files.trusted_files import quoted

MARK = b"This folder holds the data of one system; see bikecollect.\n"
GONE = "is gone, with all data until now: was it removed, or is its disk not mounted?"
MARKER = ".bikecollect"
"""The name of the marker."""
STOPPED = "stopped"
"""A line by which a person says that the system is not collected any more."""
DATA = (
    "station_information.csv",
    "station_status/*",
    "vehicles/vehicle_status/*",
    "payloads/*/*",
)
"""What a folder has once a feed has replied."""
MOST = 10_000
SHOWN = 3
_MARK = re.compile(rb"begun anew: ([0-9]{1,11})\n")
_STOPPED = re.compile(rb"^%s[ \t\r]*$" % STOPPED.encode(), re.MULTILINE)
log = logging.getLogger(__name__)
_NAME = re.compile(rb"^system:[ \t]*([!-~]+)[ \t\r]*$", re.MULTILINE)


class EarlierLoss(NamedTuple):
    """The earlier data are gone *since* a slot; *text* says so, with the remedies."""

    since: Slot
    text: str


def text_of(name: str) -> bytes:
    """Return the text of the marker in the folder of the system *name*."""
    return MARK + _line(name)


def check_name(marker: Path) -> bool:
    """Return whether *marker* names its system; raises SettingsError for another one.

    It has the name of its folder. The last name counts: a person can append one.
    """
    folder, names = marker.parent, _NAME.findall(_text(marker) or b"")
    if not names:
        return False
    other = names[-1].decode()
    if other != folder.name:
        raise SettingsError(
            f"{folder} has the data of another system, {other}, as its file "
            f"{marker.name} says: were folders exchanged or copied? Put each in its "
            f"place; or, if {folder.name} is the new name of {other}: echo 'system: "
            f"{folder.name}' >> {quoted(marker)}",
            cause="folder",
        )
    return True


def write_name(marker: Path) -> None:
    """Write the name of its folder to *marker*, in place of an earlier one.

    Raises StorageError. One that cannot be read is left as it is.
    """
    text = _text(marker)
    if text is not None:
        old = text.splitlines()
        lines = [x for x in old if not (_NAME.match(x) or _STOPPED.match(x))]
        lines = lines or [MARK.strip()]
        name = _line(marker.parent.name)
        _replace(marker, b"".join(line + b"\n" for line in lines) + name)


def is_stopped(marker: Path) -> bool:
    """Return whether *marker* says that its system is not collected any more."""
    return bool(_STOPPED.search(_text(marker) or b""))


def go_on(marker: Path) -> None:
    """Remove the line from *marker* that says that its system was stopped.

    Where it stays, because the disk is full or fails, the next run tries again.
    """
    text = _text(marker) or b""
    if not _STOPPED.search(text):
        return
    lines = [line for line in text.splitlines() if not _STOPPED.match(line)]
    with suppress(StorageError):
        _replace(marker, b"".join(line + b"\n" for line in lines))
        log.warning(
            "%s is collected again: its data are not marked as %s any more",
            marker.parent.name,
            STOPPED,
        )


def unowned(data: Path, names: Collection[str]) -> list[Path]:
    """Return the folders of systems in *data* that are of none of *names*.

    Such a system was stopped, or has another name in the settings now. The folder of
    one of *names* that was moved aside is not returned, nor one without any data, nor
    one whose marker has a line that says that it was stopped.
    """
    folders = sorted(f for f in folders_with(MARKER, data) if f.name not in names)
    left = [f for f in folders if not is_stopped(f / MARKER)]
    found = ((f, _NAME.findall(_text(f / MARKER) or b"")) for f in left)
    others = (f for f, named in found if not named or named[-1].decode() not in names)
    return [folder for folder in others if _has_data(folder)]


def _has_data(folder: Path) -> bool:
    """Return whether a system's *folder* or the archive beside it has data of it."""
    days = (f / f"system_id={folder.name}" for f in folder.parent.glob("archive/*"))
    return any(any(folder.glob(name)) for name in DATA) or any(d.exists() for d in days)


def gone(
    folders: Mapping[str, Path], known: Collection[str], mirror: str
) -> dict[str, str]:
    """Return a text for each system of *folders* that is *known* and does not exist.

    It is created again, because a slot is worth more than the place where it lies. If
    all of several are gone, their place is the cause: one text says so. Their data may
    be in the *mirror*, if there is one.
    """
    texts: dict[str, str] = {}
    for name, folder in folders.items():
        with suppress(OSError):  # reported by whoever creates it
            if str(folder) in known and not folder.exists():
                texts[name] = f"{folder} {GONE} {_remedy(name, mirror)}"
    places = {folders[name].parent for name in texts}
    if len(texts) > 1 and len(places) == 1 and not folders_with(MARKER, *places):
        first, *others = texts
        texts = {name: f"{folders[name]} is gone, too: see {first}" for name in others}
        texts[first] = _all_gone(places.pop(), [first, *others], mirror)
    return texts


def _all_gone(place: Path, names: Sequence[str], mirror: str) -> str:
    more = " ..." if names[SHOWN:] else ""
    return (
        f"{place} has none of the folders of {len(names)} systems, with all data until "
        "now: was it moved or emptied, is its disk not mounted, or is data_dir another "
        "one than before? New ones were begun. To go on with the earlier ones: move "
        "the new ones aside, put the earlier ones in their place, and run for each "
        "system: bikecollect backfill NAME --from THE_NEW_ONE"
        f"{_copied('NAME', mirror)}; or accept the loss: "
        f"bikecollect forget {' '.join(names[:SHOWN])}{more} {EARLIER}"
    )


def mark(now: float) -> bytes:
    """Return the lines in the marker of a folder that is begun anew at *now*."""
    return b"An earlier folder was gone, with its data.\nbegun anew: %d\n" % now


def since(marker: Path) -> Slot | None:
    """Return when the folder of *marker* was begun anew, None if it was not."""
    found = _MARK.search(_text(marker) or b"")
    return Slot(int(found[1])) if found else None


def loss(name: str, marker: Path, zone: tzinfo, mirror: str) -> EarlierLoss | None:
    """Return the loss of all earlier data of the system *name*, None if none.

    They may be in the *mirror*, if there is one.
    """
    begun = since(marker)
    if begun is None:
        return None
    when = local_minute(begun, zone)
    return EarlierLoss(
        begun,
        f"{marker.parent} was gone on {when}, with all data until then: was it "
        f"removed, or was its disk not mounted? {_remedy(name, mirror)}",
    )


def accept(marker: Path) -> None:
    """Remove the mark from *marker*. Raises StorageError."""
    _replace(marker, text_of(marker.parent.name))


def is_restored(marker: Path, slots: Iterable[Slot]) -> bool:
    """Return whether *slots*, filled from another archive, are of the earlier data.

    Then these are there again, and what they lack is accounted for as gaps.
    """
    begun = since(marker)
    return begun is not None and any(slot < begun for slot in slots)


def missing(name: str, folder: Path, mirror: str) -> str:
    """Return that *folder*, of the system *name*, is gone, and no new one is begun yet.

    Its data may be in the *mirror*, if there is one.
    """
    return (
        f"{folder} {GONE} Mount its disk, or put it back (from a backup)"
        f"{_copied(name, mirror)}; the next fetch begins a new one"
    )


def restore(name: str, mirror: str) -> str:
    """Return what to do about the loss of all earlier data of *name*, as one line."""
    return (
        f"put the earlier folder in its place (from a backup){_copied(name, mirror)}; "
        f"or accept the loss: bikecollect forget {name} {EARLIER}"
    )


def _copied(name: str, mirror: str) -> str:
    """Return how to fill the folder of *name* from the *mirror*, empty without one."""
    fill = f"bikecollect backfill {name} --from {quoted(mirror)}"
    return f"; or fill it from the mirror: {fill}" if mirror else ""


def _remedy(name: str, mirror: str) -> str:
    return (
        "A new one was begun. To go on with the earlier one: move the new one aside, "
        "put the earlier one in its place (from a backup), and run: "
        f"bikecollect backfill {name} --from THE_NEW_ONE{_copied(name, mirror)}; or "
        f"accept the loss: bikecollect forget {name} {EARLIER}"
    )


def _line(name: str) -> bytes:
    return b"system: %b\n" % name.encode()


def _text(marker: Path) -> bytes | None:
    """Return the text of *marker*, None if it cannot be read."""
    with suppress(OSError):
        return read_file(marker, MOST)
    return None


def _replace(marker: Path, text: bytes) -> None:
    new = marker.with_suffix(".new")
    try:
        write_file(new, text)
        new.replace(marker)
        sync_folder(marker.parent)
    except OSError as error:
        raise unwritten(f"cannot write {marker}: {error}", error) from error
