"""The files of a system under its lock, in agreement with the ledger."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bikecollect.collect.filling.fillings import Filling
from bikecollect.core.errors import Interrupted
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.lock import Lock
from bikecollect.storage.recovery import Recovery
from bikecollect.storage.runs.left_notices import leave

if TYPE_CHECKING:
    from bikecollect.collect.vehicles import VehicleCommitter


@dataclass(frozen=True, eq=False, repr=False)
class LockedFiles:
    """The files of a system and its *ledger*, for one writer at a time.

    *recovery* brings both into agreement, *vehicles* the second dataset if it is
    collected; *breathe* pauses without the *lock*.
    """

    lock: Lock
    ledger: Ledger
    recovery: Recovery
    vehicles: "VehicleCommitter | None"
    breathe: Callable[[], None]

    @contextmanager
    def opened(self) -> Iterator[Ledger]:
        """Hold the lock during the context, with the ledger open."""
        with self.lock.held(), closing(self.ledger):
            self.ledger.open()
            self.recovery.recover_beside_runs()
            yield self.ledger

    def fillings(self, work: Callable[[], Iterator[Filling]]) -> Iterator[Filling]:
        """Do *work* under the lock; yield its fillings without it.

        If it is interrupted, yield the fillings so far, then raise Interrupted.
        """
        fillings: list[Filling] = []
        interruption: Interrupted | None = None
        with self.opened():
            try:
                if self.vehicles:
                    notices = self.vehicles.open(self.ledger.notes())
                    leave(self.vehicles.ledger, notices)
                for filling in work():
                    fillings.append(filling)  # noqa: PERF402 - kept if interrupted
            except Interrupted as error:
                interruption = error
            finally:
                if self.vehicles:
                    self.vehicles.close()
        yield from fillings
        if interruption:
            raise interruption
        self.breathe()  # a waiting fetch can take the lock
