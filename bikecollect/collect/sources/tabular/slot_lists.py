"""The slots beside the rows of an export or a dataset: their flags and stamps."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bikecollect.collect.sources.plausible import Plausible
from bikecollect.collect.sources.tabular.list_rows import list_rows, time_of
from bikecollect.core.slots import Slot

MAX_BYTES = 1 << 30
MAX_SLOTS = 2_000_000
"""Most slots that are read: twenty years of five minutes."""
NEEDED = ("slot", "rows", "flags", "last_updated")
log = logging.getLogger(__name__)


class SlotNotes(NamedTuple):
    """What is known of a slot beside its rows: *flags*, and the feed's stamp."""

    flags: tuple[str, ...] = ()
    last_updated: int | None = None


def slot_notes(
    folder: Path, names: Sequence[str], judge: Plausible
) -> dict[Slot, SlotNotes]:
    """Return the notes of the slots in the lists *names* below *folder*.

    Invalid lines are counted by *judge*; an invalid list is reported, and left out.
    """
    notes: dict[Slot, SlotNotes] = {}
    for name in names:
        try:
            notes |= _read(folder, name, judge)
        except OSError as error:
            log.warning("the flags of the slots are not taken over: %s", error)
            judge.bad += 1
    return notes


def _read(folder: Path, name: str, judge: Plausible) -> dict[Slot, SlotNotes]:
    """Return the notes of the slots in the list *name* that have rows."""
    notes: dict[Slot, SlotNotes] = {}
    words: dict[str, tuple[str, ...]] = {}
    rows = list_rows(folder, name, "slots", judge, needed=NEEDED, most=MAX_BYTES)
    for row in rows:
        if row["rows"] in {"", "0"}:
            continue
        slot, text = time_of(row["slot"]), row["flags"]
        if slot is None or not judge.is_time(slot):
            judge.bad += 1
            continue
        if len(notes) == MAX_SLOTS:
            raise OSError(f"{name} has more than {MAX_SLOTS:,} slots")
        flags = words.setdefault(text, tuple(text.split()))
        notes[slot] = SlotNotes(flags, judge.stamp(time_of(row["last_updated"])))
    return notes
