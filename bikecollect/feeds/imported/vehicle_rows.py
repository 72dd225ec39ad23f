"""Vehicles imported from another archive, as a document in a payload of any system."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any

from bikecollect.core.errors import PayloadError
from bikecollect.core.snapshot import VehicleSnapshot, VehicleStatus
from bikecollect.feeds.imported import station_rows
from bikecollect.feeds.imported.station_rows import FLAGS, ROWS, UPDATED
from bikecollect.feeds.reading.json_payload import decode
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.values import flag, identifier, number, place, text
from bikecollect.feeds.reading.vehicle_reader import (
    DECIMALS,
    FARTHEST,
    FUEL_DECIMALS,
)

DOCUMENT = "imported_vehicles"
KEPT_FLAGS = (*station_rows.KEPT_FLAGS, "no-stations")
"""What another archive may report of a slot's vehicles; other words are dropped."""


def write(
    statuses: Iterable[VehicleStatus],
    flags: Sequence[str] = (),
    last_updated: int | None = None,
) -> bytes:
    """Return the document that holds *statuses*, with the flags of their slot.

    >>> read(write([], ["no-stations"], 1_800_000_000)).flags
    ('no-stations',)
    """
    rows = [list(status) for status in statuses]
    document = {ROWS: rows, FLAGS: list(flags), UPDATED: last_updated}
    return json.dumps(document, ensure_ascii=False).encode()


def read(body: bytes) -> VehicleSnapshot:
    """Parse the output of `write`; raises PayloadError for anything else.

    A value that is invalid in its column is left empty, and a row without an id is
    dropped.
    """
    try:
        stamps = Stamps(UTC)
        document = decode(body)
        parsed = [status(VehicleStatus(*row), stamps) for row in document[ROWS]]
        flags = [word for word in document.get(FLAGS, ()) if word in KEPT_FLAGS]
        updated = stamps(document.get(UPDATED))
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise PayloadError(
            f"not imported vehicles: {error}", cause="damaged"
        ) from error
    statuses, dropped, duplicates = station_rows.first_of_each(parsed)
    return VehicleSnapshot(
        statuses,
        last_updated=updated,
        flags=tuple(flags),
        dropped=dropped,
        duplicates=duplicates,
    )


def status(row: VehicleStatus, stamps: Stamps) -> VehicleStatus | None:
    """Return the untrusted *row* with its valid values only, None without an id.

    >>> row = VehicleStatus("a", 95, 0, "car", "true", 2, -1, "0.5", None, "x")
    >>> status(row, Stamps(UTC))[1:]
    (None, None, 'car', True, None, None, 0.5, None, None)
    """
    value: Any = row.vehicle_id
    vehicle_id = identifier(value) if isinstance(value, str) else None
    if vehicle_id is None:
        return None
    lat, lon = place(row.lat, row.lon)
    metres, share = number(row.current_range_meters), number(row.current_fuel_percent)
    is_range = metres is not None and 0 <= metres <= FARTHEST
    is_share = share is not None and 0 <= share <= 1
    return VehicleStatus(
        vehicle_id,
        None if lat is None else round(lat, DECIMALS),
        None if lon is None else round(lon, DECIMALS),
        text(row.type),
        flag(row.is_reserved),
        flag(row.is_disabled),
        round(metres or 0) if is_range else None,
        round(share or 0.0, FUEL_DECIMALS) if is_share else None,
        identifier(row.station_id),
        stamps(row.last_reported),
    )
