"""The losses of a system before it is filled: which of them end with that."""

import logging
from collections.abc import Callable, Collection, Iterable

from bikecollect.alerts.signals import UNFETCHED
from bikecollect.alerts.system_state import SystemAlertState
from bikecollect.collect.filling.fillings import FILLED, Filling
from bikecollect.collect.sources import Source
from bikecollect.collect.sources.bikecollect_folder import FolderSource
from bikecollect.core.errors import Outcome
from bikecollect.core.incidents import Incident
from bikecollect.core.slots import Slot
from bikecollect.core.text import count_of
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.data_folder import MARKER, SystemFolder
from bikecollect.storage.files import marker
from bikecollect.storage.ledger_reader import History
from bikecollect.wiring.filling.lacking_slots import account

log = logging.getLogger(__name__)

FILLED_SLOTS = "SELECT slot FROM slot_blocks WHERE slot >= ? AND slot < ?"
BLOCKS = "SELECT slot FROM main.blocks WHERE slot >= ? AND slot < ?"
LOSING = {Outcome.REJECTED, Outcome.BUG, Outcome.OVERLOAD, Outcome.DISK}
REPORTED = {o.value for o in UNFETCHED | LOSING | {Outcome.SETTINGS}}
"""Outcomes of runs whose slots are lost by an incident of their own kind."""


class LossBefore:
    """What *system* has lost before it is filled; `end` says what is lost for good."""

    def __init__(self, system: SystemFolder) -> None:
        self._system = system
        self._history = History(system.system_id, system.path)
        self._is_new = self._history.ends() is None

    def end(
        self, fillings: Iterable[Filling], source: Source | None, now: float
    ) -> None:
        """Remove the mark of a loss if *fillings* of *source* are what was lost.

        What the earlier folder had, and *source* has not, is accounted for. A loss by
        an older copy also ends with its last missing slot, without a *source*.
        Incidents do not count the filled slots as lost any more.
        """
        ledger = AlertLedger(self._system.ledger)
        SystemAlertState.of(self._system).note_filled(self._still_lost, ledger)
        filled = [f for f in fillings if f.what == FILLED] if source else []
        ended = self._end_mark(self._system, "data", filled, self._missing)
        of_vehicles = [f for f in filled if f.is_vehicles]
        self._end_mark(
            self._system.vehicles, "vehicles", of_vehicles, self._missing_vehicles
        )
        if isinstance(source, FolderSource):
            aside = marker.lost_by(source.folder / MARKER)
            told = (ended and ended.told) or (aside and aside.told)
            account(self._system, source.folder, told, now, is_new=self._is_new)

    def _end_mark(
        self,
        part: SystemFolder,
        what: str,
        filled: Iterable[Filling],
        missing: Callable[[marker.Lost], Collection[Slot]],
    ) -> marker.Lost | None:
        """Remove the mark of the loss of a *part* if it has ended; return the loss.

        Slots of it were *filled*, or none of those that an older copy lacks is
        *missing*. *what* the part has is named in a line of the log.
        """
        path = part.path / MARKER
        lost = marker.lost_by(path)
        if lost is None:
            return None
        left = missing(lost) if lost.first else ()
        is_complete = lost.first and not left
        if not (is_complete or marker.is_restored(path, (f.slot for f in filled))):
            return None
        marker.accept(path)
        text = f"{what} from before the loss are here again"
        text += f"; still missing: {count_of(len(left), 'slot')}" if left else ""
        log.warning("%s: %s", self._system.system_id, text)
        return lost

    def _still_lost(self, incident: Incident) -> Incident:
        """Return *incident* with at most the slots that are still missing.

        Those that were missed have no run that another incident reports.
        """
        begin, end = incident.opened, Slot(incident.last + 1)
        filled = {slot for (slot,) in self._history.select(FILLED_SLOTS, begin, end)}
        missing = {*self._system.grid.between(begin, end)} - filled
        if incident.kind == "missed":
            rows = self._history.run_rows(("slot", "outcome"), begin, end)
            missing -= {slot for slot, outcome in rows if outcome in REPORTED}
        is_last_lost = incident.last_lost and incident.last in missing
        lost = min(incident.lost, len(missing))
        return incident._replace(lost=lost, last_lost=is_last_lost)

    def _missing(self, lost: marker.Lost) -> list[Slot]:
        """Return the slots of *lost* that have neither a block nor a run."""
        known = {run.slot for run in self._history.runs(lost.first, lost.end)}
        known |= _blocks(self._history, lost)
        slots = self._system.grid.between(lost.first, lost.end)
        return [slot for slot in slots if slot not in known]

    def _missing_vehicles(self, lost: marker.Lost) -> set[Slot]:
        """Return the slots of *lost* without vehicles: those of stations, if any."""
        vehicles = History(self._system.system_id, self._system.vehicles.path)
        slots = set(self._system.grid.between(lost.first, lost.end))
        return (_blocks(self._history, lost) or slots) - _blocks(vehicles, lost)


def _blocks(history: History, lost: marker.Lost) -> set[Slot]:
    """Return the slots of *lost* that have a block."""
    rows = history.select(BLOCKS, lost.first, lost.end)
    return {slot for (slot,) in rows}
