"""Account for slots that even the archive a system was filled from does not have."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bikecollect.alerts.system_state import SystemAlertState
from bikecollect.archive.datasets import STATION_LAYOUT
from bikecollect.collect.sources.foreign_days import certified_days
from bikecollect.core import process
from bikecollect.core.causes import Cause
from bikecollect.core.incidents import Incident
from bikecollect.core.slots import Slot, bounds
from bikecollect.core.text import count_of, local_minute
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.ledger_reader import History

log = logging.getLogger(__name__)

NEWEST = (
    "SELECT max(slot) FROM (SELECT max(slot) AS slot FROM blocks WHERE slot < ?"
    " UNION ALL SELECT max(slot) FROM runs WHERE slot < ?)"
)
"""The last slot before one that has a block or a run."""


def account(
    system: SystemFolder, copy: Path, told: Slot | None, now: float, *, is_new: bool
) -> None:
    """Record the cause of the slots that *copy*, which has filled *system*, lacks.

    People were *told* of slots until then. If that is unknown, *copy* is that of
    another machine, or of this one before its state was lost, too: then only a system
    that *is_new* lacks slots until *now* because of that.
    """
    if told is not None:
        _account_before_loss(system, _slots_after(system, copy, Slot(told + 1)))
    elif is_new:
        lost = _slots_after(system, copy, system.grid.floor(now))
        _record(system, lost, Cause.UNKNOWN)


def _account_before_loss(system: SystemFolder, lost: Sequence[Slot]) -> None:
    """Record, log and report the slots that people were told of before the loss."""
    if lost:
        known = ", collected or accounted for before the loss"
        log.warning("%s: %s%s", system.system_id, _text(system, lost), known)
        SystemAlertState.of(system).note_lost(len(lost))
        _record(system, lost, Cause.OLDER_FOLDER, known)


def _record(
    system: SystemFolder, lost: Sequence[Slot], cause: Cause, more: str = ""
) -> None:
    """Write the *lost* slots to the ledger, with their *cause*, as one incident."""
    if not lost:
        return
    first, last = lost[0], lost[-1]
    incident = Incident(process.run_id(), "damage", first, last, last)
    incident = incident._replace(
        slots=len(lost),
        told=1,
        causes={cause.value: len(lost)},
        text=_text(system, lost) + more,
    )
    AlertLedger(system.ledger).save([incident])


def _text(system: SystemFolder, lost: Sequence[Slot]) -> str:
    since, until = (local_minute(slot, system.zone) for slot in (lost[0], lost[-1]))
    slots = count_of(len(lost), "slot")
    return f"the archive that it was filled from lacks {slots} from {since} to {until}"


def _slots_after(system: SystemFolder, copy: Path, end: Slot) -> list[Slot]:
    """Return the slots from the last one of *copy* to before *end*.

    Those of an archived day are accounted for there.
    """
    history = History(system.system_id, system.path)
    ((last,),) = history.select(NEWEST, end, end) or [(None,)]
    if last is None:
        return []
    days = set[str]()
    with suppress(OSError):
        days = certified_days(copy, STATION_LAYOUT)
    ends = [bounds(day, system.zone)[1] for day in days]
    return [*system.grid.between(max([last + 1, *ends]), end)]
