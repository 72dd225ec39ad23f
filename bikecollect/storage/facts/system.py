"""A system's folder with its facts, from the settings and from its files."""

import os
from collections.abc import Sequence
from pathlib import Path

from bikecollect.core.timeline.facts import SystemFact, with_settings, zone_of
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.facts import facts_file


def system_folder(
    path: Path, *, timezone: str, interval: int, columns: Sequence[str], now: float
) -> SystemFolder:
    """Return the folder *path* of a system with these settings at the time *now*.

    Without a facts file, past facts are inferred from the ledger.
    """
    name = path.name
    recorded = facts_file.load(path)
    facts: Sequence[SystemFact] = recorded
    if not facts and os.path.isdir(path):  # noqa: PTH112 - False where it cannot be read
        from bikecollect.storage.facts import evidence  # only before the first facts

        facts = evidence.facts_of(
            name, path, SystemFact(0, timezone, interval, tuple(columns))
        )
    facts = with_settings(
        facts, now, timezone=timezone, interval=interval, columns=columns
    )
    zone, seconds = zone_of(facts), facts[-1].interval
    return SystemFolder(name, path, zone, seconds, tuple(facts), tuple(recorded))
