"""A look at a system's folder: its past, what waits in it, and its disk."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.core.incidents import Incident
from bikecollect.core.slots import DAY, Slot, state_of
from bikecollect.reports.disk_usage import Disk, disk_of
from bikecollect.reports.health import Health, Past, judge
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.ledger_reader import History

MONTH = 31 * DAY


@dataclass(frozen=True)
class Standing:
    """How one system stands: its health, what waits, and its disk."""

    system_id: str
    folder: Path
    zone: ZoneInfo
    health: Health
    inbox: int
    outbox: int
    rejected: int
    disk: Disk


def survey(
    system: SystemFolder,
    *,
    now: float,
    noted: Sequence[Incident] = (),
) -> Standing:
    """Return how *system* stands at *now*; raises StorageError.

    *noted* are incidents as the alerts know them: also those that the ledger could
    not take.
    """
    folder, interval = system.path, system.interval
    history = History(system.system_id, folder)
    outcomes = history.outcomes(Slot(int(now) - DAY))
    past = Past(
        first=history.first(),
        blocks={s: state_of(f) for s, f in history.flags(Slot(int(now) - MONTH))},
        outcomes=[each for slot, each in outcomes if slot > now - DAY],
        last_run=next(iter(history.runs(limit=1)), None),
        newest=history.newest_block(),
        incidents=_open_incidents(history, noted),
    )
    slots = len([slot for slot in past.blocks if slot > now - DAY])
    return Standing(
        system_id=system.system_id,
        folder=folder,
        zone=system.zone,
        health=judge(past, now, interval, system.zone),
        inbox=_count(system.payloads / "inbox", ".zip"),
        outbox=_count(system.outbox, ".eml"),
        rejected=_count(system.payloads / "rejected", ".zip"),
        disk=disk_of(folder, slots, DAY // interval),
    )


def _open_incidents(history: History, noted: Sequence[Incident]) -> list[Incident]:
    known = {each.incident_id for each in noted}
    written = [i for i in history.incidents() if i.incident_id not in known]
    return [*(each for each in noted if each.is_open), *written]


def _count(folder: Path, suffix: str) -> int:
    with suppress(OSError), os.scandir(folder) as entries:
        return sum(each.name.endswith(suffix) for each in entries)
    return 0
