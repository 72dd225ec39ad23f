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
