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

COUNTS, REPORTED = StationStatus._fields[1 : CAPACITY + 1], "last_reported"


@dataclass(frozen=True)
class RowReader(Generic[Status]):
    """Reads the rows of *layout*: *read* returns the status, None without an id.

    A row has untrusted values by column, `last_reported` in epoch seconds.
    """

    layout: DatasetLayout
    read: Callable[[Plausible, Mapping[str, Any]], Status | None]


def flags_of(words: Any) -> tuple[str, ...]:
    """Return *words*, the flags in an untrusted ledger, each once.

    Unknown ones are dropped when the imported rows are read.
    """
    return tuple(dict.fromkeys(words.split())) if isinstance(words, str) else ()


def _station(judge: Plausible, row: Mapping[str, Any]) -> StationStatus | None:
    return judge.status(
        row.get("station_id"),
        [row.get(name) for name in COUNTS],
        [row.get(name) for name in FLAGS],
        row.get(REPORTED),
    )


def _vehicle(judge: Plausible, row: Mapping[str, Any]) -> VehicleStatus | None:
    return judge.vehicle(*(row.get(name) for name in VehicleStatus._fields))


STATION_ROWS = RowReader(STATION_LAYOUT, _station)
VEHICLE_ROWS = RowReader(VEHICLE_LAYOUT, _vehicle)
