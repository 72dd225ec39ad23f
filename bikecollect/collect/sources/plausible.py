"""What is believed of another archive's values; the others are left out, counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bikecollect.core.slots import DAY, Slot
from bikecollect.core.snapshot import StationStatus
from bikecollect.feeds.reading import values
from bikecollect.feeds.reading.stamps import FIRST_STAMP, LAST_STAMP

MOST_STATIONS = 100_000
"""Stations of a snapshot; the largest feeds have a quarter of that."""


@dataclass
class Plausible:
    """Judges what is read up to *now* (epoch seconds), the last moment that can be.

    *bad* rows or blocks and *odd* values were left out so far.
    """

    now: float
    bad: int = 0
    odd: int = 0

    def is_time(self, moment: float) -> bool:
        """Tell whether a snapshot may be of *moment*."""
        return FIRST_STAMP <= moment <= self.now

    def fetched(self, moment: float | None, slot: Slot) -> float:
        """Return *moment*, at which *slot* was fetched; the slot where that is none."""
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
        """Return what a row says of a station, None where it names none."""
        name = values.identifier(station_id)
        if name is None:
            self.bad += 1
            return None
        return StationStatus._make(
            [
                name,
                *(self._known(values.count(each), each) for each in counts),
                *(self._known(values.flag(each), each) for each in flags),
                self._reported(reported),
            ]
        )

    def _known(self, found: Any, said: Any) -> Any:
        self.odd += found is None and said not in {None, ""}
        return found

    def _reported(self, moment: float | None) -> int | None:
        if moment is None:
            return None
        if FIRST_STAMP <= moment <= LAST_STAMP:
            return int(moment)
        self.odd += 1
        return None
