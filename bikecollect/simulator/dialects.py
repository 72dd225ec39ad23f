"""The city's documents in the formats of YouBike and GBFS."""

import json
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from bikecollect.simulator.city import AREAS, OFFSET, City, StationState
from bikecollect.simulator.scooters import TYPE, scooters

RENAMED = "rentable"
"""A name that no collector knows, to simulate a renamed field."""


def youbike(city: City, moment: float, *, renamed: bool = False) -> bytes:
    """Return the city in the format of YouBike's third generation.

    If *renamed*, the field of the bikes has another name, as in three real changes.
    """
    stations = [_youbike(state, moment) for state in city.at(moment)]
    if renamed:
        for station in stations:
            station[RENAMED] = station.pop("available_rent_bikes")
    return _compact(stations)


def gbfs(
    city: City, moment: float, base: str, *, renamed: bool = False
) -> dict[str, bytes]:
    """Return the documents of a GBFS 2.3 system under *base*, by file name."""
    names = ("system_information", "station_information", "station_status")
    more = (*sorted(_LASTING), "free_bike_status")
    feeds = [{"name": n, "url": f"{base}/{n}.json"} for n in (*names, *more)]
    states = city.at(moment)
    documents = {
        "gbfs": {"en": {"feeds": feeds}},
        "system_information": {
            "system_id": "simport",
            "language": "en",
            "name": "Simport Bikes",
            "timezone": "Asia/Taipei",
            "operator": "Port of Simport",
            "license_id": "CC0-1.0",
            "license_url": "https://creativecommons.org/publicdomain/zero/1.0/",
        },
        "station_information": {"stations": [_information(state) for state in states]},
        "station_status": {"stations": _statuses(states, renamed=renamed)},
        "vehicle_types": {"vehicle_types": _TYPES},
        "system_regions": {"regions": _REGIONS},
    }
    return {
        name: _compact(_enveloped(data, moment, 3600 if name in _LASTING else 60))
        for name, data in documents.items()
    }


_LASTING = frozenset({"system_regions", "vehicle_types"})
"""The documents that hardly ever change."""
_REGIONS = [
    {"region_id": str(number), "name": name_en}
    for number, (_, name_en) in enumerate(AREAS, 1)
]
_TYPES = [
    {"vehicle_type_id": "1", "form_factor": "bicycle", "propulsion_type": "human"},
    {
        "vehicle_type_id": "2",
        "form_factor": "bicycle",
        "propulsion_type": "electric_assist",
        "max_range_meters": 60_000,
    },
    TYPE,
]


def free_bikes(city: City, moment: float) -> bytes:
    """Return the scooters of the city as ``free_bike_status`` of GBFS 2.3."""
    return _compact(_enveloped({"bikes": list(scooters(city, moment))}, moment, 60))


def scooters_only(base: str, moment: float) -> bytes:
    """Return the gbfs.json of a system that has scooters and no stations."""
    names = ("vehicle_types", "free_bike_status")
    feeds = [{"name": name, "url": f"{base}/{name}.json"} for name in names]
    return _compact(_enveloped({"en": {"feeds": feeds}}, moment, 60))


def _youbike(state: StationState, moment: float) -> dict[str, Any]:
    place, area = state.place, AREAS[state.place.area]
    stamp = _local(state.reported)
    return {
        "sno": place.station_id,
        "sna": place.name,
        "sarea": area[0],
        "mday": stamp,
        "ar": place.name.partition("_")[2],
        "sareaen": area[1],
        "snaen": place.name_en,
        "aren": place.name_en.partition("_")[2].replace(",", "\uff0c"),
        "act": "1" if state.active else "0",
        "srcUpdateTime": _local(moment - 60),
        "updateTime": _local(moment - 30),
        "infoTime": stamp,
        "infoDate": stamp[:10],
        "Quantity": place.capacity,
        "available_rent_bikes": state.bikes,
        "latitude": place.lat,
        "longitude": place.lon,
        "available_return_bikes": state.docks,
    }


def _statuses(states: Iterable[StationState], *, renamed: bool) -> list[dict[str, Any]]:
    bikes = RENAMED if renamed else "num_bikes_available"
    return [
        {
            "station_id": state.place.station_id,
            bikes: state.bikes,
            "vehicle_types_available": [
                {"vehicle_type_id": "1", "count": state.bikes - state.ebikes},
                {"vehicle_type_id": "2", "count": state.ebikes},
            ],
            "num_docks_available": state.docks,
            "is_installed": True,
            "is_renting": state.active,
            "is_returning": state.active,
            "last_reported": state.reported,
        }
        for state in states
    ]


def _information(state: StationState) -> dict[str, Any]:
    place = state.place
    return {
        "station_id": place.station_id,
        "name": place.name_en,
        "lat": place.lat,
        "lon": place.lon,
        "capacity": place.capacity,
        "region_id": str(place.area + 1),
    }


def _enveloped(data: Any, moment: float, ttl: int) -> dict[str, Any]:
    return {
        "last_updated": int(moment) - 20,
        "ttl": ttl,
        "version": "2.3",
        "data": data,
    }


def _compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


@lru_cache(maxsize=4_096)
def _local(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment + OFFSET))
