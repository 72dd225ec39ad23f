"""Which findings of `verify` are remembered for `status`: changed contents of files.

It sees what is missing by itself; a payload that cannot be read is no damage of data.
Nor are bytes at the end of a file: the next run removes them, and appends to the file.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from bikecollect.archive.certificates import Finding
from bikecollect.archive.checks.csv_files import NO_BLOCK
from bikecollect.archive.checks.remedies import UNREADABLE
from bikecollect.archive.datasets import STATION_LAYOUT, VEHICLE_LAYOUT, part
from bikecollect.archive.parts import CANNOT_READ, OTHER_BYTES, is_day
from bikecollect.archive.verify import CHANGED
from bikecollect.storage.csv_store import is_segment
from bikecollect.storage.data_folder import INFORMATION, VEHICLES, SystemFolder
from bikecollect.storage.repair.found import (
    FoundDamage,
    found_damage,
    remember,
    state_of,
)

Range = tuple[str, str]
"""The first day, and the one after the last."""


def remember_findings(
    system: SystemFolder, results: Iterable[tuple[Finding, str]], days: Range
) -> None:
    """Remember the *results* on *system*, or its vehicles, with their remedies.

    What was found on other days than *days* stays remembered.
    """
    others = [
        damage
        for damage in found_damage(system.path)
        if is_day(damage.where) and not days[0] <= damage.where < days[1]
    ]
    remember(system.path, [*others, *_found(system, results)])


def _found(
    system: SystemFolder, results: Iterable[tuple[Finding, str]]
) -> Iterator[FoundDamage]:
    for (_, where, what), remedy in results:
        path = _damaged_file(system, where, what)
        with suppress(OSError):
            if path and os.access(path, os.R_OK):
                state = state_of(path)
                if not what.endswith(f" to {state.size} {NO_BLOCK}"):
                    yield FoundDamage(where, what, remedy, state)


def _damaged_file(system: SystemFolder, where: str, what: str) -> Path | None:
    """Return the file whose content is damaged by the finding, if any."""
    if where == INFORMATION or is_segment(where):
        return system.path / where
    if not is_day(where):
        return None
    if what.endswith(OTHER_BYTES):
        return Path(what.removesuffix(OTHER_BYTES))
    if what.startswith(CANNOT_READ):
        return Path(what.removeprefix(CANNOT_READ).rpartition(": ")[0])
    if what == CHANGED or what.startswith(UNREADABLE):
        is_vehicles = system.path.name == VEHICLES
        data = system.path.parents[1 if is_vehicles else 0]
        layout = VEHICLE_LAYOUT if is_vehicles else STATION_LAYOUT
        return part(data, layout.rows, system.system_id, where)
    return None
