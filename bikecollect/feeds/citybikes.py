"""CityBikes: a network of the CityBikes API, version 2."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Documents, Getter, Memory, Payload
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds.reading.aliases import top_names, with_ids
from bikecollect.feeds.reading.fields import STAMP_FORMAT, Dialect
from bikecollect.feeds.reading.json_payload import at, decode, first_keys, objects
from bikecollect.feeds.reading.stamps import Stamps, of_feed
from bikecollect.feeds.reading.station_reader import StationReader
from bikecollect.feeds.reading.values import text

if TYPE_CHECKING:
    from bikecollect.feeds.reading.renames import Renames

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "station_id": ("id",),
    # The id is a hash of the coordinates: two stations at one place share it.
    "second_id": ("extra.uid",),
    "num_vehicles_available": ("free_bikes",),
    "num_ebikes_available": ("extra.ebikes",),
    "num_docks_available": ("empty_slots",),
    "capacity": ("extra.slots",),
    # CityBikes derives online from the source's own word, the status, if it has both.
    "is_renting": ("extra.renting", "extra.online", "extra.status"),
    "is_returning": ("extra.returning", "extra.online", "extra.status"),
    # The timestamp is that of CityBikes: it moves even if the source stands still.
    "last_reported": ("extra.last_updated", "extra.last_update", "timestamp"),
    "last_updated": ("timestamp",),
    "name": ("name",),
    "lat": ("latitude",),
    "lon": ("longitude",),
    "address": ("extra.address",),
}
KNOWN_FIELDS = top_names(SPELLINGS)
DIALECT = Dialect(SPELLINGS, ("station_id", "num_vehicles_available"), KNOWN_FIELDS)


class CityBikes:
    """A network at *url*, such as ``https://api.citybik.es/v2/networks/ID``.

    *fields* are the user's fields for single columns. If *kinds*, vehicles are counted
    by kind. Reports of the source may have no offset: they are in UTC or in *zone*.
    """

    def __init__(
        self,
        url: str,
        fields: Mapping[str, str] = {},
        *,
        zone: tzinfo = UTC,
        kinds: bool = False,
    ) -> None:
        self._url, self._zone = url, zone
        self._dialect = DIALECT.with_fields(fields, kinds=kinds)
        self._form = fields.get(STAMP_FORMAT, "")

    def fetch(self, get: Getter, memory: Memory) -> Payload:
        """Get the network."""
        return Payload((get("network", self._url, check=_list_stations),))

    def read(self, documents: Documents) -> Snapshot:
        """Parse the network; raises PayloadError."""
        stations = _list_stations(documents[0].body)
        stamps = of_feed(None, self._zone, documents[0].fetched_at, self._form)
        return StationReader(stations, self._dialect, stamps).snapshot()

    def renames(self, before: Documents, after: Documents) -> "Renames":
        """Guess which fields of *before* were renamed in *after*."""
        from bikecollect.feeds.reading import renames

        stamps = Stamps(UTC, self._form)
        return renames.between(before, after, _stations, self._dialect, stamps)


def _stations(documents: Documents) -> list[Any]:
    return _list_stations(documents[0].body)


def check_network(value: Any) -> None:
    """Raise PayloadError if *value* is the list of all networks, not one of them."""
    if isinstance(at(value, "networks"), list):
        first = text(at(value, "networks.0.id")) or "ID"
        raise PayloadError(
            "the response is CityBikes' list of all networks: url must be that of one, "
            "with its id at the end",
            quote=f", such as /v2/networks/{first[:50]}",
        )


def _list_stations(body: bytes) -> list[Any]:
    value = decode(body)
    stations = at(value, "network.stations")
    if stations is None:
        check_network(value)
        problem = "the response has no network.stations: is it a CityBikes network?"
        raise PayloadError(problem, quote=f" (it has: {first_keys(value)})")
    if isinstance(stations, Mapping):
        stations = with_ids(stations, SPELLINGS["station_id"])
    return objects(stations, "network.stations")
