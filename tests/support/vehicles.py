"""Documents of systems with vehicles, as GBFS writes them."""

from collections.abc import Sequence
from typing import Any

from publisher import Publisher

TYPES = [
    {"vehicle_type_id": "s", "form_factor": "scooter", "propulsion_type": "electric"},
    {"vehicle_type_id": "b", "form_factor": "bicycle", "propulsion_type": "human"},
]


def vehicle(vehicle_id: Any = "v1", **more: Any) -> dict[str, Any]:
    """Return a vehicle of GBFS 2.3 with the fields *more*."""
    usual = {"bike_id": vehicle_id, "lat": 25.03, "lon": 121.56, "vehicle_type_id": "s"}
    return {**usual, "is_reserved": False, "is_disabled": False, **more}


def station(station_id: str = "1") -> dict[str, Any]:
    """Return the status of a station."""
    return {
        "station_id": station_id,
        "num_bikes_available": 3,
        "num_docks_available": 4,
    }


def publish(
    city: Publisher,
    vehicles: Any,
    *,
    stations: Sequence[Any] = (),
    version: str = "2.3",
) -> None:
    """Let *city* publish *vehicles*, and *stations* if there are any."""
    new = version >= "3"
    name = "vehicle_status" if new else "free_bike_status"
    key = "vehicles" if new else "bikes"
    names = [name, "vehicle_types"]
    names += ["station_status", "station_information"] if stations else []
    feeds = [{"name": feed, "url": f"BASE/{feed}.json"} for feed in names]
    listing = {"feeds": feeds} if new else {"en": {"feeds": feeds}}
    documents = {
        "gbfs": listing,
        name: {key: vehicles},
        "vehicle_types": {"vehicle_types": TYPES},
        "station_status": {"stations": list(stations)},
        "station_information": {
            "stations": [
                {"station_id": s["station_id"], "name": "A", "lat": 25, "lon": 121}
                for s in stations
            ]
        },
    }
    head = {"last_updated": "NOW", "ttl": 60, "version": version}
    for document, data in documents.items():
        if document in {"gbfs", *names}:
            city.documents[f"/{document}.json"] = {**head, "data": data}
