"""CityBikes: a network of the CityBikes API, version 2."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Documents, Fetched, Getter, Memory
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds.reading.fields import STAMP_FORMAT
from bikecollect.feeds.reading.json_payload import at, decode, objects
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.station_reader import Dialect, StationReader

if TYPE_CHECKING:
    from bikecollect.feeds.reading.renames import Renames
from bikecollect.feeds.reading.vehicle_types import bicycles

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "station_id": ("id",),
    # The id is a hash of the place: two stations at one place share it.
    "second_id": ("extra.uid",),
    "num_vehicles_available": ("free_bikes",),
    "num_ebikes_available": ("extra.ebikes",),
    "num_docks_available": ("empty_slots",),
    "capacity": ("extra.slots",),
    "is_renting": ("extra.renting",),
    "is_returning": ("extra.returning",),
    "last_reported": ("timestamp",),
    "name": ("name",),
    "lat": ("latitude",),
    "lon": ("longitude",),
    "address": ("extra.address",),
}
OURS = frozenset(
    name.partition(".")[0] for names in SPELLINGS.values() for name in names
)
DIALECT = Dialect(SPELLINGS, ("station_id", "num_vehicles_available"), OURS)


class CityBikes:
    """A network at *url*, such as ``https://api.citybik.es/v2/networks/ID``.

    *fields* name the fields of single columns; *kinds* says whether the kinds of
    vehicles are counted.
    """

    def __init__(
        self,
        url: str,
        fields: Mapping[str, str] | None = None,
        *,
        kinds: bool = False,
    ) -> None:
        self._url = url
        self._dialect = DIALECT.naming(fields or {})
        if kinds:
            self._dialect = replace(self._dialect, kinds=bicycles)
        self._form = (fields or {}).get(STAMP_FORMAT, "")

    def fetch(self, get: Getter, memory: Memory) -> Fetched:
        """Get the network."""
        return Fetched((get("network", self._url, check=_listed),))

    def read(self, documents: Documents) -> Snapshot:
        """Return what the network says; raises PayloadError."""
        stations = _listed(documents[0].body)
        return StationReader(stations, self._dialect, self._stamps()).snapshot()

    def renames(self, before: Documents, after: Documents) -> "Renames":
        """Return which fields of *before* have another name in *after*."""
        from bikecollect.feeds.reading import renames

        stamps = self._stamps()
        return renames.between(before, after, _stations, self._dialect, stamps)

    def _stamps(self) -> Stamps:
        return Stamps(UTC, self._form)


def _stations(documents: Documents) -> list[Any]:
    return _listed(documents[0].body)


def _listed(body: bytes) -> list[Any]:
    value = decode(body)
    stations = at(value, "network.stations")
    if stations is None:
        raise PayloadError("it has no network.stations: is it a CityBikes network?")
    return objects(stations, "network.stations")
