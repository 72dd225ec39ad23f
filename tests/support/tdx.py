"""The simulated city's documents in the format of TDX, version 2."""

import json
import time
from typing import Any

from bikecollect.simulator.city import OFFSET, City


def availability(city: City, moment: float) -> bytes:
    """Return the city's counts in the format of TDX, version 2."""
    return _encoded(
        [
            {
                "StationUID": f"SIM{state.place.station_id}",
                "StationID": state.place.station_id,
                "ServiceStatus": 1 if state.active else 0,
                "ServiceType": 2,
                "AvailableRentBikes": state.bikes,
                "AvailableReturnBikes": state.docks,
                "SrcUpdateTime": _stamp(state.reported),
                "UpdateTime": _stamp(moment - 30),
                "AvailableRentBikesDetail": {
                    "GeneralBikes": state.bikes - state.ebikes,
                    "ElectricBikes": state.ebikes,
                },
            }
            for state in city.at(moment)
        ]
    )


def stations(city: City, moment: float) -> bytes:
    """Return the city's stations in the format of TDX, version 2."""
    return _encoded(
        [
            {
                "StationUID": f"SIM{place.station_id}",
                "StationID": place.station_id,
                "AuthorityID": "SIM",
                "StationName": {"Zh_tw": place.name, "En": place.name_en},
                "StationPosition": {
                    "PositionLon": place.lon,
                    "PositionLat": place.lat,
                },
                "StationAddress": {"Zh_tw": place.name.partition("_")[2]},
                "BikesCapacity": place.capacity,
                "ServiceType": 2,
                "SrcUpdateTime": _stamp(moment - 60),
                "UpdateTime": _stamp(moment - 30),
            }
            for place in (state.place for state in city.at(moment))
        ]
    )


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8")


def _stamp(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+08:00", time.gmtime(moment + OFFSET))
