"""Repair of files that were changed by other programs."""

from collections.abc import Sequence
from typing import NamedTuple

from bikecollect.core.slots import Slot


class Repair(NamedTuple):
    """The repair of *file*: its blocks, and the slots of those that stay damaged."""

    file: str
    blocks: int
    damaged: Sequence[Slot]
