"""Mapped: any JSON feed, by a mapping of its fields in the settings."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from bikecollect.core.errors import PayloadError, SettingsError
from bikecollect.core.payload import Documents, Fetched, Getter, Memory
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds.paging import List
from bikecollect.feeds.reading.fields import COLUMNS, STAMP_FORMAT, check_form
from bikecollect.feeds.reading.json_payload import at, bounded, decode, objects
from bikecollect.feeds.reading.list_queries import total
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.station_reader import Dialect, StationReader
from bikecollect.feeds.reading.values import text

if TYPE_CHECKING:
    from bikecollect.feeds.reading.renames import Renames

NEEDED = ("station_id", "num_vehicles_available")
KEYS = frozenset({"stations", "last_updated", STAMP_FORMAT, *COLUMNS})


class Mapped:
    """A feed at *url*, read by *mapping*; naive stamps are in *zone*.

    *mapping* has the dotted path of the ``stations`` (empty for the root), and
    within a station the path of each column. ``stamp_format`` is strptime's, for
    stamps that are neither ISO 8601 nor epoch seconds or milliseconds.
    """

    def __init__(self, url: str, zone: tzinfo, mapping: Mapping[str, str]) -> None:
        validate(mapping)
        self._url, self._zone, self._mapping = url, zone, mapping
        paths = {name: (mapping[name],) for name in COLUMNS if name in mapping}
        ours = frozenset(path.partition(".")[0] for (path,) in paths.values())
        self._dialect = Dialect(paths, NEEDED, ours)

    def fetch(self, get: Getter, memory: Memory) -> Fetched:
        """Get the feed."""
        found = List(self._url, self._page, self._id, self._stations)
        return found.fetch(get, memory)

    def read(self, documents: Documents) -> Snapshot:
        """Return what the feed says by the mapping; raises PayloadError."""
        stamp = self._stamps()
        updated = self._updated(documents[0].body, stamp)
        stations = self._all(documents)
        read = StationReader(stations, self._dialect, stamp).snapshot()
        return replace(read, last_updated=updated, total=total(documents[0]))

    def renames(self, before: Documents, after: Documents) -> "Renames":
        """Return which fields of *before* have another name in *after*."""
        from bikecollect.feeds.reading import renames

        stamps = self._stamps()
        return renames.between(before, after, self._all, self._dialect, stamps)

    def _stamps(self) -> Stamps:
        return Stamps(self._zone, self._mapping.get(STAMP_FORMAT, ""))

    def _all(self, documents: Documents) -> list[Any]:
        """Return the stations of all pages."""
        if len(documents) == 1:
            return self._stations(documents[0].body)
        bounded(each.body for each in documents)
        return [station for each in documents for station in self._page(each.body)]

    def _id(self, station: Any) -> str | None:
        return text(at(station, self._mapping["station_id"]))

    def _page(self, body: bytes) -> list[Any]:
        """Return the stations of a page, which may have none."""
        found = at(decode(body), self._mapping.get("stations", ""))
        return found if isinstance(found, list) and not found else self._stations(body)

    def _stations(self, body: bytes) -> list[Any]:
        path = self._mapping.get("stations", "")
        found = at(decode(body), path)
        if found is None:
            raise PayloadError(f"there is nothing at the mapping's stations: {path}")
        return objects(found, f"the mapping's stations ({path or 'the root'})")

    def _updated(self, body: bytes, stamp: Stamps) -> int | None:
        path = self._mapping.get("last_updated")
        return stamp(at(decode(body), path)) if path else None


def validate(mapping: Mapping[str, str]) -> None:
    """Raise SettingsError where *mapping* has an unknown key or lacks a needed one."""
    import difflib  # only when a mapped feed is set up

    for key in mapping:
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, 1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise SettingsError(f"mapping.{key} is no column{hint}")
    for key in NEEDED:
        if key not in mapping:
            raise SettingsError(f"a mapped feed needs mapping.{key}")
    if STAMP_FORMAT in mapping:
        check_form(mapping[STAMP_FORMAT], f"mapping.{STAMP_FORMAT}")
