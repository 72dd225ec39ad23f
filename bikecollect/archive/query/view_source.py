"""The source of views: systems, the tables needed, the treatment of lost days."""

import logging
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bikecollect.archive import datasets
from bikecollect.archive.datasets import VEHICLE_LAYOUT, DatasetLayout
from bikecollect.archive.query.duckdb_engine import UNREADABLE
from bikecollect.archive.query.open_days import Loss
from bikecollect.core.slots import Slot, bounds
from bikecollect.storage.data_folder import SystemFolder

log = logging.getLogger(__name__)

CSV, ARCHIVE = "csv", "archive"
"""The places where a day may be lost."""
ARCHIVED, ANY = frozenset({ARCHIVE}), frozenset({ARCHIVE, CSV})
TABLES = frozenset({*datasets.COLUMNS, "stations"})
SUMMED = frozenset({"profile", "coverage"})
"""Tables that are computed from rows for open days."""
FROM_ROWS = SUMMED | {datasets.PRESENCE}
"""The same with a view for reports that has a part of their columns."""
OnSkip = Callable[[str, str, Loss], None]
"""Called with a system, a day that is skipped, and the reason."""


def warn(system_id: str, day: str, loss: Loss) -> None:
    """Log that *day*, or a part of it, is skipped."""
    if loss.is_part:
        text = "%s: %s is incomplete: %s; its other slots are used"
        log.warning(text, system_id, day, loss.why)
        return
    log.warning("%s: %s %s %s; skipped", system_id, day, UNREADABLE, loss.why)


@dataclass(frozen=True)
class ViewedSystem:
    """A system whose history is viewed.

    *days* are its days so far; *day_slots* returns the slots between two, with the
    columns of the dataset `slots`.
    """

    system: SystemFolder
    days: Sequence[str]
    day_slots: Callable[[Slot, Slot], Sequence[Sequence[Any]]]

    @property
    def system_id(self) -> str:
        """The name of the system."""
        return self.system.system_id

    def bounds(self, day: str) -> tuple[Slot, Slot]:
        """Return the first slot of *day*, and the one after its last."""
        return bounds(day, self.system.zone)

    def folder(self, layout: DatasetLayout) -> Path:
        """Return the folder of the rows of *layout*."""
        is_vehicles = layout is VEHICLE_LAYOUT
        return self.system.vehicles.path if is_vehicles else self.system.path


@dataclass(frozen=True)
class ViewSource:
    """The source of the views, see `views.connected`.

    The bytes of archived days before *compared_since* are not read, see `check_parts`.
    """

    data: Path
    systems: Sequence[ViewedSystem]
    settled: Path | None = None
    fails_on: Container[str] = ARCHIVED
    tables: Container[str] = TABLES
    on_skip: OnSkip = warn
    compared_since: str = ""


def needed(layout: DatasetLayout, tables: Container[str]) -> tuple[str, ...]:
    """Return the datasets of *layout* that *tables* need.

    Summaries also need the rows and slots from which they are computed: of stations.

    >>> needed(VEHICLE_LAYOUT, {"coverage"}), needed(VEHICLE_LAYOUT, TABLES)
    ((), ('vehicle_status', 'vehicle_slots'))
    """
    is_summed = any(table in tables for table in FROM_ROWS)
    stations = datasets.STATION_LAYOUT
    sources = {*SUMMED, stations.rows, stations.slots} if is_summed else set()
    return tuple(n for n in layout.datasets if n in tables or n in sources)
