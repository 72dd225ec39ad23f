"""The marker of a system's folder: whose data it has, and if it was begun anew.

It names the system, so that folders that were exchanged or copied are not mixed up.
Markers of earlier versions have no name: the next run adds it. A folder whose earlier
one was gone has a mark, until the earlier one is back in its place, with its own
marker, or until the loss is accepted.

The marker also names the parts of its folder that have had data (`PARTS`), so that the
loss of one is known, or that of all but the marker. The folder of vehicles has a marker
only when it was begun anew.
"""

import logging
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.core.slots import Slot
from bikecollect.storage.files.durable import (
    make_folder,
    sync_folder,
    unwritten,
    write_file,
)
from bikecollect.storage.files.entries import (
    PARTS,
    STATIONS,
    VEHICLES,
    has_days,
    has_part,
    is_own,
)
from bikecollect.storage.files.regular_file import read_file
from bikecollect.storage.files.trusted_files import quoted

MARK = b"This folder holds the data of one system; see bikecollect.\n"
ALL_GONE = b"So were those of all other systems.\n"
EMPTIED = b"Its ledger and its daily files were lost.\n"
MARKER = ".bikecollect"
"""The name of the marker."""
STOPPED = "stopped"
"""A line by which a person says that the system is not collected any more."""
MOST = 10_000
MOST_OF_ALERTS = 1_000_000
_MARK = re.compile(rb"begun anew: ([0-9]{1,11})\n")
_OLDER = re.compile(rb"^lacks slots: ([0-9]{1,11}) to ([0-9]{1,11})$", re.MULTILINE)
_TOLD = re.compile(rb"told until: ([0-9]{1,11})\n")
_SEEN = re.compile(rb'"seen": ([0-9]{1,11})\b')
_HOLDS = re.compile(rb"^holds: (\w+)[ \t\r]*$", re.MULTILINE)
_STOPPED = re.compile(rb"^%s[ \t\r]*$" % STOPPED.encode(), re.MULTILINE)
log = logging.getLogger(__name__)
_NAME = re.compile(rb"^system:[ \t]*([!-~]+)[ \t\r]*$", re.MULTILINE)


class Lost(NamedTuple):
    """The slots from *first* to before *end* are lost: an older copy was put back.

    If *first* is 0, all until then: the folder was gone, or *was_emptied*; people were
    *told* of slots until then, if that is known. If *is_place_gone*, so were the
    folders of all other systems.
    """

    first: Slot
    end: Slot
    was_emptied: bool = False
    told: Slot | None = None
    is_place_gone: bool = False


def text_of(name: str) -> bytes:
    """Return the text of the marker in the folder of the system *name*."""
    return MARK + _line(name)


def name_in(marker: Path, text: bytes | None = None) -> str:
    """Return the name of the system in *marker*, empty if it has none.

    *text* is that of the marker if it was read before; so below.
    """
    names = _NAME.findall(text or _text(marker) or b"")
    return names[-1].decode() if names else ""


def check_name(marker: Path, text: bytes | None = None) -> bool:
    """Return whether *marker* names its system; raises SettingsError for another one.

    It has the name of its folder. The last name counts: a person can append one.
    """
    folder, other = marker.parent, name_in(marker, text)
    if not other:
        return False
    if other != folder.name:
        raise SettingsError(
            f"{folder} has the data of another system, {other}, as its file "
            f"{marker.name} says: were folders exchanged or copied? Put each in its "
            f"place; or, if {folder.name} is the new name of {other}, or that file was "
            f"damaged: echo 'system: {folder.name}' >> {quoted(marker)}",
            cause="folder",
        )
    return True


def update(marker: Path, now: float) -> bool:
    """Check and write the name in *marker*, and the parts that have data or lost them.

    Return whether it said that its system was stopped. Raises SettingsError if it names
    another system.
    """
    text = _text(marker)
    is_named = check_name(marker, text)
    with suppress(StorageError):  # the next run does it
        if not is_named:
            write_name(marker)
            text = _text(marker)
        _write_parts(marker, text, now)
    return is_stopped(marker, text)


def _write_parts(marker: Path, text: bytes | None, now: float) -> None:
    """Note in *marker* which parts have data; mark those that are begun anew."""
    if text is None or not is_own(marker):  # another user could not read a new one
        return
    folder, held = marker.parent, _parts_in(text)
    lost = lost_parts(folder, text)
    if STATIONS in lost:
        _replace(marker, text_of(folder.name) + EMPTIED + mark(now))
        return
    if VEHICLES in lost:
        with suppress(OSError):  # then its marker cannot be written
            make_folder(folder / VEHICLES)
        _replace(folder / VEHICLES / MARKER, MARK + mark(now))
    new = {part for part in PARTS if part not in held and has_days(folder, part)}
    if new or lost:
        parts = sorted({*held, *new} - lost)
        lines = b"".join(b"holds: %b\n" % part.encode() for part in parts)
        _replace(marker, _without(text, _HOLDS) + lines)


def lost_parts(folder: Path, text: bytes | None = None) -> set[str]:
    """Return the parts that *folder* has had, by its marker, and has no more.

    Such a part has neither its ledger nor daily files. An empty folder of daily files
    is none if all its days are archived.
    """
    parts = _parts_in(text or _text(folder / MARKER) or b"")
    return {part for part in parts if not has_part(folder, part)}


def _parts_in(text: bytes) -> set[str]:
    return {part.decode() for part in _HOLDS.findall(text)} & set(PARTS)


def write_name(marker: Path) -> None:
    """Write the name of its folder to *marker*, in place of an earlier one.

    Raises StorageError. One that cannot be read is left as it is.
    """
    text = _text(marker)
    if text is not None:
        left = _without(text, _NAME, _STOPPED) or MARK
        _replace(marker, left + _line(marker.parent.name))


def is_stopped(marker: Path, text: bytes | None = None) -> bool:
    """Return whether *marker* says that its system is not collected any more."""
    return bool(_STOPPED.search(text or _text(marker) or b""))


def go_on(marker: Path) -> None:
    """Remove the line from *marker* that says that its system was stopped.

    Where it stays, because the disk is full or fails, the next run tries again.
    """
    text = _text(marker)
    if text is None or not is_stopped(marker, text):
        return
    with suppress(StorageError):
        _replace(marker, _without(text, _STOPPED))
        log.warning(
            "%s is collected again: the line `%s` was removed from %s",
            marker.parent.name,
            STOPPED,
            marker,
        )


def mark(now: float, told: Slot | None = None, *, is_place_gone: bool = False) -> bytes:
    """Return the lines in the marker of a folder that is begun anew at *now*.

    *told* is the last slot that people were told about the earlier folder, if known;
    for *is_place_gone* see `Lost`.
    """
    more = ALL_GONE if is_place_gone else b""
    text = b"An earlier folder was gone, with its data.\n%bbegun anew: %d\n"
    text %= more, now
    return text if told is None else text + b"told until: %d\n" % told


def last_told(alerts: Path) -> Slot | None:
    """Return the last slot in *alerts*, the user's copy of the state of the alerts."""
    return _slot(_SEEN, _text(alerts, MOST_OF_ALERTS))


def note_older(marker: Path, first: Slot, last: Slot) -> None:
    """Note in *marker* that an older copy of its folder was put back.

    It lacks the slots from *first* to *last*. Raises StorageError. The folder of
    vehicles may have no marker yet.
    """
    text = _without(_text(marker) or MARK)
    lines = b"An older copy of it was put back.\nlacks slots: %d to %d\n"
    _replace(marker, text + lines % (first, last))


def lost_by(marker: Path) -> Lost | None:
    """Return what is lost of the folder of *marker*, as it says; None if nothing."""
    text = _text(marker) or b""
    if (begun := _slot(_MARK, text)) is not None:
        told = _slot(_TOLD, text)
        return Lost(Slot(0), begun, EMPTIED in text, told, ALL_GONE in text)
    if spans := _OLDER.findall(text):  # of several older copies
        first, last = min(int(a) for a, _ in spans), max(int(b) for _, b in spans)
        return Lost(Slot(first), Slot(last + 1))
    return None


def accept(marker: Path) -> None:
    """Remove the mark from *marker*; raises StorageError.

    That of vehicles has nothing else, and is removed.
    """
    if name_in(marker):
        _replace(marker, text_of(marker.parent.name))
        return
    try:
        marker.unlink(missing_ok=True)
    except OSError as error:
        raise unwritten(f"cannot remove {marker}: {error}", error) from error


def is_restored(marker: Path, slots: Iterable[Slot]) -> bool:
    """Return whether *slots*, filled from another archive, are of the earlier data.

    Then these are there again, and what they lack is accounted for as gaps.
    """
    lost = lost_by(marker)
    return lost is not None and any(lost.first <= slot < lost.end for slot in slots)


def _line(name: str) -> bytes:
    return b"system: %b\n" % name.encode()


def _text(marker: Path, most: int = MOST) -> bytes | None:
    """Return the text of *marker*, None if it cannot be read."""
    with suppress(OSError):
        return read_file(marker, most)
    return None


def _slot(line: re.Pattern[bytes], text: bytes | None) -> Slot | None:
    found = line.search(text or b"")
    return Slot(int(found[1])) if found else None


def _without(text: bytes, *patterns: re.Pattern[bytes]) -> bytes:
    """Return *text* without the lines that match one of *patterns*."""
    lines = (x for x in text.splitlines() if not any(p.match(x) for p in patterns))
    return b"".join(line + b"\n" for line in lines)


def _replace(marker: Path, text: bytes) -> None:
    new = marker.with_suffix(".new")
    try:
        write_file(new, text)
        new.replace(marker)
        sync_folder(marker.parent)
    except OSError as error:
        raise unwritten(f"cannot write {marker}: {error}", error) from error
