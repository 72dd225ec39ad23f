"""Check values of another archive; implausible ones are skipped and counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from bikecollect.core.slots import DAY, Slot
from bikecollect.core.snapshot import StationStatus, VehicleStatus
from bikecollect.feeds.imported import vehicle_rows
from bikecollect.feeds.reading import values
from bikecollect.feeds.reading.stamps import FIRST_STAMP, LAST_STAMP, Stamps

MAX_STATIONS = 100_000
"""Maximum stations of a snapshot; the largest feeds have a quarter of that."""


@dataclass
class Plausible:
    """Checks values of another archive up to *now*, the latest possible time.

    *bad* counts the rows or blocks, *odd* the values that were skipped so far.
    """

    now: float
    bad: int = 0
    odd: int = 0
    _stamps: Stamps = field(default_factory=lambda: Stamps(UTC), init=False, repr=False)

    def is_time(self, moment: float) -> bool:
        """Return whether *moment* is a possible time of a snapshot."""
        return FIRST_STAMP <= moment <= self.now

    def stamp(self, moment: Any) -> int | None:
        """Return *moment*, a feed's stamp in epoch seconds, None if impossible."""
        if not isinstance(moment, int) or not FIRST_STAMP <= moment <= LAST_STAMP:
            return None
        return moment

    def fetched(self, moment: float | None, slot: Slot) -> float:
        """Return *moment*, when *slot* was fetched; the slot itself if impossible."""
        if moment is not None and slot - 3_600 <= moment <= slot + DAY:
            return moment
        self.odd += moment is not None
        return float(slot)

    def status(
        self,
        station_id: Any,
        counts: Sequence[Any],
        flags: Sequence[Any],
        reported: float | None,
    ) -> StationStatus | None:
        """Return the status of a station in a row, None without a station id."""
        name = values.identifier(station_id)
        if name is None:
            self.bad += 1
            return None
        return StationStatus._make(
            [
                name,
                *(self._counted(values.count(cell), cell) for cell in counts),
                *(self._counted(values.flag(cell), cell) for cell in flags),
                self._reported(reported),
            ]
        )

    def vehicle(self, *values: Any) -> VehicleStatus | None:
        """Return *values*, a row of vehicles, as far as valid; None without an id."""
        row = VehicleStatus(*values)
        status = vehicle_rows.status(row, self._stamps)
        if status is None:
            self.bad += 1
            return None
        cells = zip(status, row, strict=True)
        self.odd += sum(
            value is None and cell not in {None, ""} for value, cell in cells
        )
        return status

    def _counted(self, value: Any, cell: Any) -> Any:
        """Return *value*, parsed from *cell*; count *cell* if it is invalid."""
        self.odd += value is None and cell not in {None, ""}
        return value

    def _reported(self, moment: float | None) -> int | None:
        if moment is None:
            return None
        if FIRST_STAMP <= moment <= LAST_STAMP:
            return int(moment)
        self.odd += 1
        return None
