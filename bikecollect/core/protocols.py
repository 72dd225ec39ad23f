"""What the main line asks of the disk, the ledger and the network."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from bikecollect.core.blocks import Committed, Extent, Span, Stations, Tail
from bikecollect.core.payload import Attempt, Getter, Memory, Payload
from bikecollect.core.run import Run
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationInformation


class Client(Getter, Protocol):
    """Gets documents and remembers how that went."""

    @property
    def attempts(self) -> Sequence[Attempt]:
        """All tries so far, in order."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class Lock(Protocol):
    """One writer per system."""

    def held(self) -> AbstractContextManager[None]:
        """Hold the lock; raises LockBusy."""
        ...


class Payloads(Protocol):
    """See `bikecollect.storage.payload_store.Payloads`."""

    def accept(self, payload: Payload) -> None: ...  # noqa: D102 - documented there
    def waiting(self) -> list[str]: ...  # noqa: D102
    def waiting_slots(self) -> Collection[Slot]: ...  # noqa: D102
    def open(self, name: str) -> Payload: ...  # noqa: D102
    def keep(self, name: str, day: str) -> None: ...  # noqa: D102
    def remove(self, name: str) -> None: ...  # noqa: D102
    def reject(self, name: str, reason: str) -> Path: ...  # noqa: D102
    def set_aside(self, name: str, data: bytes) -> Path: ...  # noqa: D102
    def prune(self, first_day: str) -> None: ...  # noqa: D102


class Store(Protocol):
    """See `bikecollect.storage.csv_store.Store`."""

    def sizes(self) -> dict[str, int]: ...  # noqa: D102 - documented there
    def crc(self, span: Span) -> int | None: ...  # noqa: D102
    def header(self, file: str) -> bytes: ...  # noqa: D102
    def segments(self, day: str) -> list[str]: ...  # noqa: D102
    def tail(  # noqa: D102
        self, file: str, end: int, waiting: Collection[Slot], known: Collection[Slot]
    ) -> Tail: ...
    def truncate(self, file: str, size: int) -> None: ...  # noqa: D102
    def append(self, file: str, end: int, header: bytes, text: bytes) -> Span: ...  # noqa: D102


class Ledger(Protocol):
    """See `bikecollect.storage.ledger.Ledger`."""

    def open(self) -> str: ...  # noqa: D102 - documented there
    def close(self) -> None: ...  # noqa: D102
    def recall(self) -> Memory: ...  # noqa: D102
    def notes(self) -> dict[str, str]: ...  # noqa: D102
    def remember(self, notes: Mapping[str, str]) -> None: ...  # noqa: D102
    def extents(self) -> dict[str, Extent]: ...  # noqa: D102
    def slots(self) -> set[Slot]: ...  # noqa: D102
    def block(self, slot: Slot) -> Committed | None: ...  # noqa: D102
    def before(self, slot: Slot) -> Committed | None: ...  # noqa: D102
    def usual_rows(self, slot: Slot) -> int | None: ...  # noqa: D102
    def stations(self, slot: Slot) -> dict[str, StationInformation]: ...  # noqa: D102
    def newest_stations(self) -> Slot: ...  # noqa: D102
    def absent(self) -> dict[str, int]: ...  # noqa: D102
    def commit(self, block: Committed, stations: Stations) -> None: ...  # noqa: D102
    def adopt(self, blocks: Iterable[Committed]) -> None: ...  # noqa: D102
    def adopt_stations(  # noqa: D102
        self, span: Span, versions: Mapping[Slot, Iterable[StationInformation]]
    ) -> None: ...
    def give_up(self, file: str) -> None: ...  # noqa: D102
    def has_run(self, run_id: str) -> bool: ...  # noqa: D102
    def record(self, runs: Iterable[Run]) -> None: ...  # noqa: D102
