"""Filters: which stations' rows are written; payloads and the list of stations stay."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bikecollect.core.errors import PayloadError, SettingsError
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import Snapshot, StationInformation

NOTE = "bikecollect.only"
"""The note of the filter in use, and of the slot since when."""
KEYS = ("region", "station_id")
EAST, NORTH = 180.0, 90.0
Known = Mapping[str, StationInformation]


@dataclass(frozen=True)
class Only:
    """Keeps stations of some *regions*, some *ids*, or within *bbox*; empty keeps all.

    *bbox* is west, south, east and north in degrees. What is not known of a station
    (its region, its place) is no reason to leave it out.
    """

    regions: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    bbox: tuple[float, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.regions or self.ids or self.bbox)

    def keeps(self, station_id: str, about: StationInformation | None) -> bool:
        """Return whether the rows of the station, of which *about* is known, are kept.

        >>> about = StationInformation("a", region="Banqiao", lat=25.0, lon=121.5)
        >>> Only(frozenset({"banqiao"})).keeps("a", about)
        True
        >>> Only(bbox=(120, 24, 121, 26)).keeps("a", about)
        False
        """
        if self.ids and station_id not in self.ids:
            return False
        if about is None:
            return True
        named = {each.casefold() for each in (about.region, about.region_en) if each}
        if self.regions and named and named.isdisjoint(self.regions):
            return False
        if not self.bbox or about.lat is None or about.lon is None:
            return True
        west, south, east, north = self.bbox
        return west <= about.lon <= east and south <= about.lat <= north

    def applied(self, snapshot: Snapshot, known: Known) -> Snapshot:
        """Return *snapshot* with the statuses that are kept, by what is *known*.

        Raises PayloadError where none are: it waits for other settings.
        """
        if not self:
            return snapshot
        statuses = tuple(
            each
            for each in snapshot.statuses
            if self.keeps(each.station_id, known.get(each.station_id))
        )
        if not statuses:
            raise PayloadError(
                "only and bbox of the settings keep none of "
                f"{len(snapshot.statuses)} stations",
                cause="filter",
            )
        # What the publisher says there are in all is no measure of what is kept.
        return replace(snapshot, statuses=statuses, total=None)

    def since(self, note: str, slot: Slot) -> tuple[Slot, str]:
        """Return the first slot with this filter, and the note; *note* is the last."""
        mine = "|".join((*sorted(self.regions), *sorted(self.ids), str(self.bbox)))
        mine = mine if self else ""
        first, _, before = note.partition(" ")
        if before == mine:
            return Slot(int(first or 0)), note
        return slot, f"{slot} {mine}"


def from_settings(
    only: Mapping[str, Sequence[str]], bbox: Sequence[float], place: str = ""
) -> Only:
    """Return the filter that the settings at *place* name; raises SettingsError."""
    for key, values in only.items():
        if key not in KEYS:
            known = " or ".join(KEYS)
            raise SettingsError(f'{place}only: unknown key "{key}"; give {known}')
        if not all(isinstance(each, str) for each in values):
            raise SettingsError(f"{place}only.{key} must be a list of texts")
    if bbox and not _is_box(bbox):
        raise SettingsError(
            f"{place}bbox must be [west, south, east, north] in degrees, such as "
            "[121.4, 24.9, 121.6, 25.1]"
        )
    regions = frozenset(each.casefold() for each in only.get("region", ()))
    return Only(regions, frozenset(only.get("station_id", ())), tuple(bbox))


def _is_box(bbox: Sequence[float]) -> bool:
    if len(bbox) != 4:  # noqa: PLR2004 - see the message
        return False
    west, south, east, north = bbox
    return -EAST <= west < east <= EAST and -NORTH <= south < north <= NORTH
