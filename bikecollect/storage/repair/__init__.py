"""Repair of files that were changed by other programs."""

from collections.abc import Sequence
from typing import NamedTuple

from bikecollect.core.slots import Slot


class Repair(NamedTuple):
    """The repair of *file*: its blocks, and the slots of those that stay damaged.

    *why* is what kept it from a repair, empty if nothing else did than the damage.
    """

    file: str
    blocks: int
    damaged: Sequence[Slot]
    why: str = ""


SLOTS = "SELECT slot FROM main.blocks WHERE file = ?"
"""The slots with rows in a daily file."""


def remedy_of_missing(system_id: str, file: str, kept: int, slots: int) -> str:
    """Return how to get back *file*, which is missing, with its number of *slots*.

    *kept* of them have a kept payload, with all that the rows had; nothing else is
    needed if each has one.
    """
    fill = (
        f"fill it from the kept payloads of {kept} of {slots} slots: "
        f"bikecollect backfill {system_id}"
    )
    restore = "restore it from a backup and run bikecollect verify --repair, or"
    if not kept:
        return f"{restore} accept the loss: bikecollect forget {system_id} {file}"
    return fill if kept == slots else f"{restore} {fill}"
