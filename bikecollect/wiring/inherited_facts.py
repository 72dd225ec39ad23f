"""Time zone and interval of another archive, for the time before our first slot.

A machine that was lost may have collected with other settings than today's: its slots
keep their interval and their days.
"""

from dataclasses import replace
from pathlib import Path

from bikecollect.core.timeline.facts import inherited, zone_of
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.facts import facts_file
from bikecollect.storage.facts.certified import certified
from bikecollect.storage.ledger_reader import History


def with_facts_of(
    folder: Path | None, system: SystemFolder, now: float
) -> SystemFolder:
    """Return *system* with the facts of the system in *folder* before its first slot.

    Unchanged without a folder, or if the ledger of a system with own facts was lost.
    """
    ends = History(system.system_id, system.path).ends()
    if folder is None or (ends is None and len(system.facts) > 1):
        return system
    theirs = facts_file.load(folder) or list(certified(folder, system.system_id))
    begin = ends[0] if ends else system.grid.floor(now)
    facts = inherited(system.facts, theirs, begin)
    return replace(system, zone=zone_of(facts), facts=tuple(facts))
