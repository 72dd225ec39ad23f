"""Vehicles as rows of a daily file: the only definition of that CSV format."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo

from bikecollect.core.slots import Slot, iso
from bikecollect.core.snapshot import VehicleStatus
from bikecollect.core.text import clean, csv_text
from bikecollect.storage.csv_format import FLAG_TEXTS, EncodedRows, Value

COLUMNS: Mapping[str, str] = {
    "slot": "start of the slot; ISO 8601 with the system's own offset",
    "fetched_at": "when the response was complete; ISO 8601 with offset",
    "vehicle_id": "the publisher's id, as text; many publishers rotate it",
    "lat": "degrees north, WGS 84, to six decimals",
    "lon": "degrees east, WGS 84, to six decimals",
    "type": "kind of the vehicle, the publisher's type if its kind is unknown",
    "is_reserved": "reserved for a user; true or false",
    "is_disabled": "out of service; true or false",
    "current_range_meters": "distance it can travel with its charge, in metres",
    "current_fuel_percent": "charge or fuel, from 0 to 1",
    "station_id": "the station at which it stands, if any",
    "last_reported": "when the vehicle last reported; ISO 8601 with offset",
}
HEADER = (",".join(COLUMNS) + "\n").encode("ascii")


def encode(
    slot: Slot, fetched_at: float, vehicles: Sequence[VehicleStatus], zone: tzinfo
) -> EncodedRows:
    """Return the rows of *slot*, one for each of *vehicles*, in their order.

    The same arguments always give the same bytes.
    """
    text = csv_text(_rows(slot, fetched_at, vehicles, zone))
    return EncodedRows(text.encode("utf-8"), len(vehicles))


def _rows(
    slot: Slot, fetched_at: float, vehicles: Iterable[VehicleStatus], zone: tzinfo
) -> Iterable[Sequence[Value]]:
    times: dict[int | None, str | None] = {None: None}
    head = (iso(slot, zone), iso(fetched_at, zone))
    for vehicle in vehicles:
        reported = vehicle.last_reported
        if reported not in times:
            times[reported] = iso(reported or 0, zone)
        yield (
            *head,
            clean(vehicle.vehicle_id),
            vehicle.lat,
            vehicle.lon,
            clean(vehicle.type) if vehicle.type else None,
            FLAG_TEXTS[vehicle.is_reserved],
            FLAG_TEXTS[vehicle.is_disabled],
            vehicle.current_range_meters,
            vehicle.current_fuel_percent,
            clean(vehicle.station_id) if vehicle.station_id else None,
            times[reported],
        )
