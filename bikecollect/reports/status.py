"""Status of a system, read from its folder: health, waiting files, disk usage."""

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bikecollect.core.incidents import Incident
from bikecollect.core.run import Run
from bikecollect.core.slots import DAY, Slot, VehicleSlots, bounds, day_of, state_of
from bikecollect.reports.coverage import last_of
from bikecollect.reports.disk_usage import Disk, disk_of
from bikecollect.reports.health import WINDOWS, Health, Past, judge
from bikecollect.storage.data_folder import SystemFolder, spare_outbox_path
from bikecollect.storage.files.known_folders import is_known
from bikecollect.storage.ledger_reader import END, History
from bikecollect.storage.repair.damage import find_damage, lacks_ledger, loss_of
from bikecollect.storage.runs.noted import running_runs
from bikecollect.storage.runs.vehicle_slots import vehicle_slots

if TYPE_CHECKING:
    from bikecollect.archive.mirror.waiting import MirrorStanding

TWO_DAYS = 2 * DAY


@dataclass(frozen=True)
class Standing:
    """Status of one system.

    *inbox*, *outbox* and *rejected* are numbers of files, *slots* is the number of
    slots collected in the last 24 hours. *imported* has the first day of an import and
    the day of the first run. *scheduled* says whether a schedule that starts runs was
    found, None if that was not checked. *running* are the runs that have not ended,
    newest first.
    """

    system_id: str
    folder: Path
    zone: ZoneInfo
    health: Health
    inbox: int
    outbox: int
    rejected: int
    slots: int
    slots_a_day: int
    imported: tuple[str, str] = ("", "")
    scheduled: bool | None = None
    running: Sequence[Run] = ()

    @cached_property
    def disk(self) -> Disk:
        """The disk usage, measured on first access: `--alert` does not need it.

        It does not grow if no more data are expected.
        """
        disk = disk_of(self.folder, self.slots, self.slots_a_day, self.imported)
        return replace(disk, daily=None) if self.health.is_over else disk


def survey(
    system: SystemFolder,
    *,
    now: float,
    noted: Sequence[Incident] = (),
    seen: Slot | None = None,
    scheduled: bool | None = None,
    windows: Mapping[str, int] = WINDOWS,
    configured: float = math.inf,
    mirror: str = "",
) -> Standing:
    """Return the status of *system* at *now*; raises StorageError.

    Coverage is counted in *windows*, see `health`: none for `--alert`. *noted* are the
    incidents in the alert state, which also has those that could not be written to the
    ledger; *seen* is the latest slot in that state. *configured* is when the settings
    were written, from which a system without any run becomes late. *mirror* is the
    mirror's address.
    """
    history = History(system.system_id, system.path)
    with history.session():
        ends = history.ends()
        past = _past(system, history, ends, now, windows)
        incidents = _open_incidents(history, noted)
        ended = _ended_incidents(history, noted, Slot(int(now) - DAY))
    past = replace(
        past,
        incidents=incidents,
        ended=ended,
        configured=configured,
        mirror=_mirror(system, mirror),
        seen=seen or Slot(0),
    )
    imported = _imported(ends, past.first, system.zone)
    outboxes = system.outbox, spare_outbox_path(system.system_id, str(system.path))
    return Standing(
        system_id=system.system_id,
        folder=system.path,
        zone=system.zone,
        health=judge(past, now, system.grid, system.zone, windows),
        inbox=_count(system.inbox, ".zip"),
        outbox=sum(_count(place, ".eml") for place in outboxes),
        rejected=_count(system.rejected, ".zip"),
        slots=_collected_today(system, past, imported[1], now),
        slots_a_day=DAY // system.interval,
        imported=imported,
        scheduled=scheduled,
        running=running_runs(system.path),
    )


def _past(
    system: SystemFolder,
    history: History,
    ends: tuple[Slot, Slot] | None,
    now: float,
    windows: Mapping[str, int],
) -> Past:
    """Return what the folder of *system* and its *history* say of the past.

    The history is between its *ends*.
    """
    is_over, soon = system.is_over, _soon(system, now)
    final = last_of(ends, is_over=is_over)
    last = min({int(now), *final})
    begin = Slot(last - (max(windows.values(), default=0) + 1) * DAY)
    outcomes = history.outcomes(Slot(last - DAY))
    damage = damage_of(system, history)
    return Past(
        first=history.first(),
        blocks={s: state_of(f) for s, f in history.flags(Slot(last - TWO_DAYS))},
        older=history.slots(begin) if windows else frozenset(),
        outcomes=[outcome for slot, outcome in outcomes if last - DAY < slot < soon],
        last_run=next(iter(history.runs(until=soon, limit=1)), None),
        newest=history.newest_block(soon),
        damage=damage,
        is_known=is_known(system.path),
        is_over=is_over,
        is_demo=system.is_demo,
        final=final,
        is_lost=lacks_ledger(system),
        gone=_gone(system, damage),
        vehicles=vehicle_slots(system, begin) if windows else VehicleSlots(),
    )


def _soon(system: SystemFolder, now: float) -> Slot:
    """Return the slot from which on slots were written while the clock was ahead.

    They prove nothing.
    """
    return Slot(int(now) + system.interval)


def _imported(
    ends: tuple[Slot, Slot] | None, first: Slot | None, zone: ZoneInfo
) -> tuple[str, str]:
    """Return the first day of a history between its *ends*, and that of its runs."""
    begin = ends[0] if ends else Slot(0)
    return day_of(begin, zone), day_of(first or Slot(0), zone)


def _collected_today(
    system: SystemFolder, past: Past, first_day: str, now: float
) -> int:
    """Return the number of slots of the last 24 hours, from *first_day* on."""
    since = max(Slot(int(now) - DAY + 1), bounds(first_day, system.zone)[0])
    return sum(since <= slot < _soon(system, now) for slot in past.blocks)


def _mirror(system: SystemFolder, address: str) -> "MirrorStanding | None":
    if not address:
        return None
    from bikecollect.archive.mirror.waiting import mirror_standing  # only with a mirror

    return mirror_standing(system.path.parent, system.system_id, address)


def _gone(system: SystemFolder, damage: Sequence[str]) -> str:
    """Return in a few words what *damage* begins with, if data are lost."""
    loss = loss_of(system) if damage else None
    if loss is None or loss.text != damage[0]:
        return ""
    if loss.first:
        return "an older copy was put back"
    return "its folder is gone" if loss.since == END else "all earlier data are gone"


def _open_incidents(history: History, noted: Sequence[Incident]) -> list[Incident]:
    known = {incident.incident_id for incident in noted}
    in_ledger = [i for i in history.incidents() if i.incident_id not in known]
    return [*(incident for incident in noted if incident.is_open), *in_ledger]


def _ended_incidents(
    history: History, noted: Sequence[Incident], since: Slot
) -> list[Incident]:
    """Return the incidents that ended at *since* or later, the latest first."""
    every = {i.incident_id: i for i in (*history.incidents(since), *noted)}
    ended = [(i.closed, i) for i in every.values() if i.closed is not None and i.told]
    latest = sorted(ended, key=lambda pair: pair[0], reverse=True)
    return [incident for closed, incident in latest if closed >= since]


def damage_of(system: SystemFolder, history: History) -> list[str]:
    """Return a message for everything of *system* damaged, missing or unreadable."""
    try:
        return find_damage(system, history)
    except OSError as error:
        return [f"cannot read {error.filename or system.path}: {error.strerror}"]


def _count(folder: Path, suffix: str) -> int:
    with suppress(OSError), os.scandir(folder) as entries:
        return sum(entry.name.endswith(suffix) for entry in entries)
    return 0
