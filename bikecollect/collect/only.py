"""Filter the stations that get rows; payloads and the station list are unfiltered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bikecollect.core.errors import PayloadError, SettingsError
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import Snapshot, StationInformation
from bikecollect.core.text import quote_hint

NOTE = "bikecollect.only"
"""The note of the filter in use, and of the first slot with it."""
KEYS = ("region", "station_id")
EAST, NORTH = 180.0, 90.0
SIDES = ("west", "south", "east", "north")
Known = Mapping[str, StationInformation]


@dataclass(frozen=True, eq=False, repr=False)
class Only:
    """Keeps stations of some *regions*, some *ids*, or within *bbox*; empty keeps all.

    *bbox* is west, south, east and north in degrees. A station of unknown region or
    location is kept.
    """

    regions: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    bbox: tuple[float, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.regions or self.ids or self.bbox)

    def keeps(self, station_id: str, station: StationInformation | None) -> bool:
        """Return whether the rows of *station_id*, known as *station*, are kept.

        >>> station = StationInformation("a", region="Banqiao", lat=25.0, lon=121.5)
        >>> Only(frozenset({"banqiao"})).keeps("a", station)
        True
        >>> Only(bbox=(120, 24, 121, 26)).keeps("a", station)
        False
        """
        if self.ids and station_id not in self.ids:
            return False
        if station is None:
            return True
        names = {
            name.casefold() for name in (station.region, station.region_en) if name
        }
        if self.regions and names and names.isdisjoint(self.regions):
            return False
        return self.has_place(station.lat, station.lon)

    def has_place(self, lat: float | None, lon: float | None) -> bool:
        """Return whether *lat*, *lon* is within *bbox*, or unknown."""
        if not self.bbox or lat is None or lon is None:
            return True
        west, south, east, north = self.bbox
        return west <= lon <= east and south <= lat <= north

    def filter(self, snapshot: Snapshot, known: Known) -> Snapshot:
        """Return *snapshot* with only the statuses to keep; *known* are the stations.

        Raises PayloadError if none is left, so that the payload can be committed when
        the settings were corrected.
        """
        if not self:
            return snapshot
        statuses = tuple(
            status
            for status in snapshot.statuses
            if self.keeps(status.station_id, known.get(status.station_id))
        )
        if not statuses:
            raise PayloadError(
                "the settings `only` and `bbox` keep none of "
                f"{len(snapshot.statuses)} stations",
                cause="filter",
            )
        # The publisher's total counts all stations, not those that are kept.
        return replace(snapshot, statuses=statuses, total=None)

    def since(self, note: str, slot: Slot) -> tuple[Slot, str]:
        """Return the first slot with this filter, and the new note.

        *note* is the previous one.
        """
        text = "|".join((*sorted(self.regions), *sorted(self.ids), str(self.bbox)))
        text = text if self else ""
        first, _, before = note.partition(" ")
        if before == text:
            return Slot(int(first or 0)), note
        return slot, f"{slot} {text}"


def filtered_since(notes: Mapping[str, str]) -> int:
    """Return the first slot with the filter that *notes* name, 0 if it always held."""
    return int(notes[NOTE].partition(" ")[0] or 0)


def from_settings(
    only: Mapping[str, Sequence[str]], bbox: Sequence[float], place: str = ""
) -> Only:
    """Return the filter of the settings at *place*; raises SettingsError."""
    for key, values in only.items():
        if key not in KEYS:
            known = " or ".join(KEYS)
            raise SettingsError(f'{place}only: unknown key "{key}"; give {known}')
        for value in values:
            if not isinstance(value, str):
                words = f"must be a list of strings, not {value!r}{quote_hint(value)}"
                raise SettingsError(f"{place}only.{key} {words}")
    if bbox and not _is_box(bbox):
        raise SettingsError(
            f"{place}bbox must be [west, south, east, north] in degrees, such as "
            "[121.4, 24.9, 121.6, 25.1]"
        )
    regions = frozenset(region.casefold() for region in only.get("region", ()))
    return Only(regions, frozenset(only.get("station_id", ())), tuple(bbox))


def _is_box(bbox: Sequence[float]) -> bool:
    if len(bbox) != len(SIDES):
        return False
    west, south, east, north = bbox
    return -EAST <= west < east <= EAST and -NORTH <= south < north <= NORTH
