"""The two kinds of rows of another bikecollect: of stations, and of vehicles."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

from bikecollect.archive.datasets import (
    STATION_LAYOUT,
    VEHICLE_LAYOUT,
    DatasetLayout,
)
from bikecollect.collect.sources import Status
from bikecollect.collect.sources.plausible import Plausible
from bikecollect.core.snapshot import (
    CAPACITY,
    FLAGS,
    StationStatus,
    VehicleStatus,
)
from bikecollect.feeds.imported import station_rows, vehicle_rows

COUNTS, REPORTED = StationStatus._fields[1 : CAPACITY + 1], "last_reported"


@dataclass(frozen=True)
class RowReader(Generic[Status]):
    """Reads the rows of *layout*: *read* returns the status, None without an id.

    A row has untrusted values by column, `last_reported` in epoch seconds.
    *kept_flags* are the words that are taken from the flags of a block.
    """

    layout: DatasetLayout
    read: Callable[[Plausible, Mapping[str, Any]], Status | None]
    kept_flags: tuple[str, ...]

    def flags(self, words: Any) -> tuple[str, ...]:
        """Return the known *words*, the flags in an untrusted ledger."""
        listed = words.split() if isinstance(words, str) else ()
        return tuple(dict.fromkeys(word for word in listed if word in self.kept_flags))


def _station(judge: Plausible, row: Mapping[str, Any]) -> StationStatus | None:
    return judge.status(
        row.get("station_id"),
        [row.get(name) for name in COUNTS],
        [row.get(name) for name in FLAGS],
        row.get(REPORTED),
    )


def _vehicle(judge: Plausible, row: Mapping[str, Any]) -> VehicleStatus | None:
    return judge.vehicle(*(row.get(name) for name in VehicleStatus._fields))


STATION_ROWS = RowReader(STATION_LAYOUT, _station, station_rows.KEPT_FLAGS)
VEHICLE_ROWS = RowReader(VEHICLE_LAYOUT, _vehicle, vehicle_rows.KEPT_FLAGS)
