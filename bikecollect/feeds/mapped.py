"""Mapped: any JSON feed, by a mapping of its fields in the settings."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from bikecollect.core.errors import PayloadError, SettingsError
from bikecollect.core.payload import Documents, Fetched, Getter, Memory
from bikecollect.core.snapshot import Snapshot, StationInformation, StationStatus
from bikecollect.feeds.json_payload import at, decode, objects, shape, too_many_bad
from bikecollect.feeds.stamps import Stamps
from bikecollect.feeds.values import count, flag, place, text

COUNTS = tuple(each for each in StationStatus._fields if each.startswith("num_"))
FLAGS = tuple(each for each in StationStatus._fields if each.startswith("is_"))
TEXTS = (
    *("name", "short_name", "address", "region", "post_code"),
    *("name_en", "address_en", "region_en"),
)
KEYS = frozenset(
    {"stations", "last_updated", "stamp_format"}
    | set(StationStatus._fields)
    | set(StationInformation._fields) - {"is_listed"}
)


class Mapped:
    """A feed at *url*, read by *mapping*; naive stamps are in *zone*.

    *mapping* has the dotted path of the ``stations`` (empty for the root), and
    within a station the path of each column. ``stamp_format`` is strptime's, for
    stamps that are neither ISO 8601 nor epoch seconds or milliseconds.
    """

    def __init__(self, url: str, zone: tzinfo, mapping: Mapping[str, str]) -> None:
        validate(mapping)
        self._url, self._zone, self._mapping = url, zone, mapping

    def fetch(self, get: Getter, memory: Memory) -> Fetched:
        """Get the feed."""
        return Fetched((get("feed", self._url, check=self._stations),))

    def read(self, documents: Documents) -> Snapshot:
        """Return what the feed says by the mapping; raises PayloadError."""
        stations = self._stations(documents[0].body)
        stamp = Stamps(self._zone, self._mapping.get("stamp_format", ""))
        statuses: dict[str, StationStatus] = {}
        information: list[StationInformation] = []
        dropped = duplicates = 0
        for station in stations:
            status = self._status(station, stamp)
            if status is None:
                dropped += 1
            elif status.station_id in statuses:
                duplicates += 1
            else:
                statuses[status.station_id] = status
                information.append(self._information(station, status))
        too_many_bad(dropped, len(stations), repr(stations[0]))
        return Snapshot(
            statuses=tuple(statuses.values()),
            information=tuple(information),
            lists_all=True,
            last_updated=self._updated(documents[0].body, stamp),
            shape=shape(stations),
            dropped=dropped,
            duplicates=duplicates,
        )

    def _stations(self, body: bytes) -> list[Any]:
        path = self._mapping.get("stations", "")
        found = at(decode(body), path)
        if found is None:
            raise PayloadError(f"there is nothing at the mapping's stations: {path}")
        return objects(found, f"the mapping's stations ({path or 'the root'})")

    def _updated(self, body: bytes, stamp: Stamps) -> int | None:
        path = self._mapping.get("last_updated")
        return stamp(at(decode(body), path)) if path else None

    def _said(self, station: Any, column: str) -> Any:
        path = self._mapping.get(column)
        return at(station, path) if path else None

    def _status(self, station: Any, stamp: Stamps) -> StationStatus | None:
        station_id = text(self._said(station, "station_id"))
        if station_id is None:
            return None
        counts: dict[str, Any] = {
            each: count(self._said(station, each)) for each in COUNTS
        }
        if all(each is None for each in counts.values()):
            return None
        flags: dict[str, Any] = {
            each: flag(self._said(station, each)) for each in FLAGS
        }
        return StationStatus(
            station_id=station_id,
            capacity=count(self._said(station, "capacity")),
            last_reported=stamp(self._said(station, "last_reported")),
            **counts,
            **flags,
        )

    def _information(self, station: Any, status: StationStatus) -> StationInformation:
        lat, lon = place(self._said(station, "lat"), self._said(station, "lon"))
        texts: dict[str, Any] = {
            each: text(self._said(station, each)) for each in TEXTS
        }
        return StationInformation(
            status.station_id,
            lat=lat,
            lon=lon,
            capacity=status.capacity,
            is_virtual_station=flag(self._said(station, "is_virtual_station")),
            **texts,
        )


def validate(mapping: Mapping[str, str]) -> None:
    """Raise SettingsError where *mapping* has an unknown key or lacks a needed one."""
    import difflib  # noqa: PLC0415 - only when a mapped feed is set up

    for key in mapping:
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, 1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise SettingsError(f"mapping.{key} is no column{hint}")
    for key in ("station_id", "num_vehicles_available"):
        if key not in mapping:
            raise SettingsError(f"a mapped feed needs mapping.{key}")
    if "stamp_format" in mapping:
        _check_form(mapping["stamp_format"])


def _check_form(form: str) -> None:
    """Raise SettingsError where strptime cannot read what strftime writes by *form*."""
    sample = datetime(2026, 11, 22, 10, 5, tzinfo=UTC)
    try:
        datetime.strptime(sample.strftime(form), form)  # noqa: DTZ007 - only tried
    except (ValueError, re.error) as error:
        raise SettingsError(f'mapping.stamp_format = "{form}": {error}') from error
