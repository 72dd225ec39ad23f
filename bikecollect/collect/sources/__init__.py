"""Other archives from which missing slots can be filled."""

from collections.abc import Iterator
from typing import Generic, NamedTuple, Protocol, TypeVar

from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationStatus, VehicleStatus

Status = TypeVar("Status", StationStatus, VehicleStatus)


class ForeignBlock(NamedTuple, Generic[Status]):
    """The rows of *slot* in another archive; times are in epoch seconds.

    *flags* and *last_updated* are as in a `Snapshot`, empty if the archive has none.
    """

    slot: Slot
    fetched_at: float
    statuses: tuple[Status, ...]
    flags: tuple[str, ...] = ()
    last_updated: int | None = None


ForeignSnapshot = ForeignBlock[StationStatus]
ForeignVehicles = ForeignBlock[VehicleStatus]


class Source(Protocol):
    """An archive of another collector; *label* names it in the ledger."""

    @property
    def label(self) -> str:
        """Kind and path of the archive."""
        ...

    @property
    def has_flags(self) -> bool:
        """Whether the flags of its snapshots are known, such as ``stale``."""
        ...

    @property
    def bad(self) -> int:
        """Number of rows or blocks that could not be read so far."""
        ...

    @property
    def odd(self) -> int:
        """Number of implausible values that were left empty so far."""
        ...

    def snapshots(self) -> Iterator[ForeignSnapshot]:
        """Yield the snapshots, each slot once, oldest first.

        Raises StorageError if the archive cannot be read, SettingsError if its layout
        is not the declared one.
        """
        ...

    def vehicles(self) -> Iterator[ForeignVehicles]:
        """Yield the vehicles, if it has any, each slot once, oldest first.

        Raises StorageError if the archive cannot be read.
        """
        ...
