"""Read the rows of a committed block again, by the names of their columns."""

import csv
from typing import TYPE_CHECKING

from bikecollect.archive.datasets import KEY, STATION_LAYOUT, VEHICLE_LAYOUT
from bikecollect.archive.day_csv import cells
from bikecollect.core.errors import StorageError
from bikecollect.core.snapshot import StationStatus, VehicleStatus

if TYPE_CHECKING:
    from bikecollect.core.blocks import Block
    from bikecollect.storage.csv_store import Store


def cells_by_id(
    store: "Store", block: "Block", like: StationStatus | VehicleStatus, column: str
) -> dict[str, str]:
    """Return the cells of *column* in *block* by id, empty if its rows are gone.

    Its rows are of stations or of vehicles, *like* the given one.
    """
    is_vehicle = isinstance(like, VehicleStatus)
    layout = VEHICLE_LAYOUT if is_vehicle else STATION_LAYOUT
    index = layout.columns.index(column)
    try:
        rows = list(cells(store.text(block.span)))
        return {row[KEY]: row[index] for row in rows}
    except (StorageError, ValueError, IndexError, csv.Error):
        return {}
