"""CityBikes: a network of the CityBikes API, version 2."""

from datetime import UTC
from typing import Any

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Documents, Fetched, Getter, Memory
from bikecollect.core.snapshot import Snapshot, StationInformation, StationStatus
from bikecollect.feeds.json_payload import at, decode, objects, shape, too_many_bad
from bikecollect.feeds.stamps import Stamps
from bikecollect.feeds.values import count, flag, place, text


class CityBikes:
    """A network at *url*, such as ``https://api.citybik.es/v2/networks/ID``."""

    def __init__(self, url: str) -> None:
        self._url = url

    def fetch(self, get: Getter, memory: Memory) -> Fetched:
        """Get the network."""
        return Fetched((get("network", self._url, check=_listed),))

    def read(self, documents: Documents) -> Snapshot:
        """Return what the network says; raises PayloadError."""
        stations = _listed(documents[0].body)
        stamp = Stamps(UTC)
        statuses: dict[str, StationStatus] = {}
        information: list[StationInformation] = []
        dropped = duplicates = 0
        for station in stations:
            status = _status(station, stamp)
            if status is None:
                dropped += 1
            elif status.station_id in statuses:
                duplicates += 1
            else:
                statuses[status.station_id] = status
                information.append(_information(station, status))
        too_many_bad(dropped, len(stations), repr(stations[0]))
        stamps = [s.last_reported for s in statuses.values() if s.last_reported]
        return Snapshot(
            statuses=tuple(statuses.values()),
            information=tuple(information),
            lists_all=True,
            last_updated=max(stamps, default=None),
            shape=shape(stations),
            dropped=dropped,
            duplicates=duplicates,
        )


def _listed(body: bytes) -> list[Any]:
    value = decode(body)
    stations = at(value, "network.stations")
    if stations is None:
        raise PayloadError("it has no network.stations: is it a CityBikes network?")
    return objects(stations, "network.stations")


def _status(station: Any, stamp: Stamps) -> StationStatus | None:
    if not isinstance(station, dict) or text(station.get("id")) is None:
        return None
    extra = station.get("extra")
    extra = extra if isinstance(extra, dict) else {}
    vehicles = count(station.get("free_bikes"))
    if vehicles is None:
        return None
    return StationStatus(
        text(station.get("id")) or "",
        vehicles,
        count(extra.get("ebikes")),
        count(station.get("empty_slots")),
        None,
        None,
        count(extra.get("slots")),
        None,
        flag(extra.get("renting")),
        flag(extra.get("returning")),
        stamp(station.get("timestamp")),
    )


def _information(station: dict[str, Any], status: StationStatus) -> StationInformation:
    lat, lon = place(station.get("latitude"), station.get("longitude"))
    extra = station.get("extra")
    address = extra.get("address") if isinstance(extra, dict) else None
    return StationInformation(
        status.station_id,
        name=text(station.get("name")),
        lat=lat,
        lon=lon,
        capacity=status.capacity,
        address=text(address),
    )
