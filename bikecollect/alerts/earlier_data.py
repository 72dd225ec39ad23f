"""Signals that earlier data are elsewhere, or are those of an older copy."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from bikecollect.alerts import signals
from bikecollect.core.errors import StorageError
from bikecollect.core.incidents import ELSEWHERE, Incident, Signal
from bikecollect.core.slots import DAY, HOUR, Slot
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.data_folder import MARKER, SystemFolder
from bikecollect.storage.files import known_folders, losses, marker
from bikecollect.storage.repair.new_history import RECENT, text_of


def of_new_history(
    system: SystemFolder,
    slot: Slot,
    namesakes: Iterable[Path],
    ledger: AlertLedger,
    incidents: Iterable[Incident],
) -> Signal | None:
    """Return the signal if the data of *system* were in one of *namesakes* until now.

    It is given in the first day, unless one of *incidents* was about that, and after an
    hour without a run there: both may be collected, and that is meant.
    """
    was_told = any(ELSEWHERE in incident.causes for incident in incidents)
    if was_told or not ledger.begins_with(Slot(slot - DAY)):
        return None
    other = known_folders.latest(namesakes)
    if other is None or not HOUR <= slot - other.until <= RECENT:
        return None
    last = system.grid.floor(other.until)
    if not ledger.begins_with(last):
        return None
    since = system.grid.next(last)
    text = text_of(system, other)
    return Signal(ELSEWHERE, text, over=True, since=since, until=slot)


class OlderCopy(NamedTuple):
    """An older copy of the folder of *system*; *ledger* has the slots that it has."""

    system: SystemFolder
    ledger: AlertLedger

    def note(self, told: tuple[Slot, Slot], slot: Slot) -> Signal | None:
        """Note in the marker that an older copy of the folder was put back, if one was.

        *told* are the last slots that were reported of the copy and of the folder
        before it. What is here of the last one is not older, except from the run of
        *slot*. Returns a signal if the marker cannot be written.
        """
        end = Slot(min(told[1] + 1, slot))
        if not self.ledger.usable():
            return None
        begin = max([told[0], *self._known(told[0], end)]) + 1
        lost = [*self.system.grid.between(begin, end)]
        if not lost:
            return None
        path = self.system.path / MARKER
        try:
            marker.note_older(path, lost[0], lost[-1])
        except StorageError:
            own = self.system.zone, self.system.mirror
            span = marker.Lost(lost[0], Slot(lost[-1] + 1))
            loss = losses.of_older(self.system.system_id, path.parent, span, *own)
            signal = signals.of_older_copy(loss)
            return signal._replace(lost=len(lost), over=True)
        return None

    def counted(
        self,
        signal: Signal,
        observed: Mapping[str, Signal | None],
        incidents: Iterable[Incident],
    ) -> dict[str, Signal | None]:
        """Return *signal* with the slots that it lost, unless *incidents* have them.

        That kept payloads have some of these is no news then, if it was *observed*.
        """
        first, end = signal.since or Slot(0), Slot((signal.until or 0) + 1)
        is_told = any(signals.is_older(i) and i.opened == first for i in incidents)
        lost = signal._replace(lost=0 if is_told else self._missing(first, end))
        damage = observed.get("damage")
        is_known = damage is not None and damage.cause == "older-copy"
        return {"lost": lost, "damage": None} if is_known else {"lost": lost}

    def recounted(self, incidents: Iterable[Incident]) -> tuple[Incident, ...]:
        """Return *incidents*; one of an older copy has the slots that are still lost.

        It ends: some were filled meanwhile, or the newer folder is back.
        """
        return tuple(
            i._replace(lost=self._missing(i.opened, Slot(i.last + 1)))
            if signals.is_older(i)
            else i
            for i in incidents
        )

    def _missing(self, first: Slot, end: Slot) -> int:
        """Return how many slots from *first* to before *end* are not known here."""
        slots = set(self.system.grid.between(first, end))
        return len(slots - self._known(Slot(first - 1), end))

    def _known(self, first: Slot, end: Slot) -> set[Slot]:
        """Return the slots after *first*, before *end*, that have a block or a run."""
        filled, runs = self.ledger.between(first, end)
        return {*filled, *(r.slot for r in runs if first < r.slot < end)}
