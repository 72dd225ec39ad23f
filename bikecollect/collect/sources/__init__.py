"""Other archives, from which missing slots can be filled: one module per kind."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationStatus


class Foreign(NamedTuple):
    """A snapshot of another archive, for *slot*; *fetched_at* in epoch seconds."""

    slot: Slot
    fetched_at: float
    statuses: tuple[StationStatus, ...]


class Source(Protocol):
    """An archive of others; *label* names it in the ledger."""

    @property
    def label(self) -> str:
        """What it is, and where."""
        ...

    @property
    def bad(self) -> int:
        """How many rows or blocks could not be read so far."""
        ...

    @property
    def odd(self) -> int:
        """How many values cannot be, and were left empty so far."""
        ...

    def snapshots(self) -> Iterator[Foreign]:
        """Yield its snapshots, each slot once, the oldest first.

        Raises StorageError where it cannot be read, SettingsError where it is not
        what it was said to be.
        """
        ...
