"""Mapped: any JSON feed, by a mapping of its fields in the settings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any

from bikecollect.core.errors import PayloadError, SettingsError
from bikecollect.core.payload import Documents, Getter, Memory, Payload
from bikecollect.core.snapshot import Snapshot, StationStatus
from bikecollect.core.text import suggestion
from bikecollect.feeds.paging import PagedList
from bikecollect.feeds.reading.aliases import top_names, with_ids
from bikecollect.feeds.reading.fields import COLUMNS, STAMP_FORMAT, Dialect, check_form
from bikecollect.feeds.reading.json_payload import (
    at,
    check_weight,
    decode,
    first_keys,
    nested,
    objects,
)
from bikecollect.feeds.reading.list_queries import total
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.station_reader import StationReader
from bikecollect.feeds.reading.values import text

if TYPE_CHECKING:
    from bikecollect.feeds.reading.renames import Renames

NEEDED = ("station_id", "num_vehicles_available")
KEYS = frozenset({"stations", "last_updated", STAMP_FORMAT, *COLUMNS})


class Mapped:
    """A feed at *url*, read by *mapping*; naive stamps are in *zone*.

    *mapping* has the dotted path of the ``stations`` (empty for the root), and for each
    column its path within a station. Its ``stamp_format`` is a strptime format for
    stamps that are neither ISO 8601 nor epoch seconds or milliseconds.
    """

    def __init__(self, url: str, zone: tzinfo, mapping: Mapping[str, str]) -> None:
        validate(mapping)
        self._url, self._zone, self._mapping = url, zone, mapping
        paths = {name: (mapping[name],) for name in COLUMNS if name in mapping}
        self._dialect = Dialect(paths, NEEDED, top_names(paths))

    def fetch(self, get: Getter, memory: Memory) -> Payload:
        """Get the list, with all pages if it is paged."""
        pages = PagedList(self._url, self._page, self._id, self._stations)
        return pages.fetch(get, memory)

    def read(self, documents: Documents) -> Snapshot:
        """Parse the pages by the mapping; raises PayloadError."""
        stamp = self._stamps(documents[0].fetched_at)
        updated = self._updated(documents[0].body, stamp)
        stations = self._all(documents)
        parsed = StationReader(stations, self._dialect, stamp).snapshot()
        return replace(
            parsed,
            last_updated=updated,
            is_stamped=True,
            total=total(documents[0]),
            findings={**parsed.findings, **self._unfilled(parsed)},
        )

    def _unfilled(self, parsed: Snapshot) -> dict[str, str]:
        """Return a finding for each optional column that no station of *parsed* has."""
        found = {}
        for column in self._dialect.table.keys() - {*NEEDED}:
            has_status = column in StationStatus._fields
            rows: Sequence[object] = (
                parsed.statuses if has_status else parsed.information
            )
            # A finding about lat is about both coordinates.
            name = "lat" if column == "lon" else column
            is_known = any(name in key.split() for key in parsed.findings)
            if not is_known and all(getattr(row, column) is None for row in rows):
                found[f"mapped {column}"] = (
                    f"no station has a value for mapping.{column} = "
                    f'"{self._mapping[column]}": the column is empty'
                )
        return found

    def renames(self, before: Documents, after: Documents) -> "Renames":
        """Guess which fields of *before* were renamed in *after*."""
        from bikecollect.feeds.reading import renames

        stamps = self._stamps()
        return renames.between(before, after, self._all, self._dialect, stamps)

    def _stamps(self, fetched_at: float = 0.0) -> Stamps:
        form = self._mapping.get(STAMP_FORMAT, "")
        return Stamps(self._zone, form, fetched_at=fetched_at)

    def _all(self, documents: Documents) -> list[Any]:
        """Return the stations of all pages."""
        if len(documents) == 1:
            return self._stations(documents[0].body)
        check_weight(page.body for page in documents)
        return [station for page in documents for station in self._page(page.body)]

    def _id(self, station: Any) -> str | None:
        return text(at(station, self._mapping["station_id"]))

    def _page(self, body: bytes) -> list[Any]:
        """Return the stations of a page, which may be empty: also null, as in Go."""
        value, path = decode(body), self._mapping.get("stations", "")
        stations = at(value, path)
        if stations is None:
            parent, _, key = path.rpartition(".")
            holder = at(value, parent) if path else {"": None}
            has_null = isinstance(holder, Mapping) and key in holder
            return [] if has_null else self._stations(body)
        return [] if stations in ([], {}) else self._stations(body)

    def _stations(self, body: bytes) -> list[Any]:
        path = self._mapping.get("stations", "")
        value = decode(body)
        stations = at(value, path)
        if stations is None:
            raise _no_list(value, path)
        if isinstance(stations, str) and stations.lstrip()[:1] in {"[", "{"}:
            stations = nested(stations)  # JSON in a text in JSON
        if isinstance(stations, Mapping):
            stations = with_ids(stations, [self._mapping["station_id"]])
        listed = objects(stations, f"the mapping's stations ({path or 'the root'})")
        return [_as_object(station) for station in listed]

    def _updated(self, body: bytes, stamp: Stamps) -> int | None:
        path = self._mapping.get("last_updated")
        return stamp(at(decode(body), path)) if path else None


def _no_list(value: Any, path: str) -> PayloadError:
    """Return the error that *value* has nothing at *path*; it says from where on.

    >>> str(_no_list({"a": [{"b": 1}]}, "a.b"))
    'mapping.stations = "a.b": a is a list, of which a position is needed, such as a.0'
    """
    steps, text = path.split("."), f'mapping.stations = "{path}"'
    prefixes = (".".join(steps[:length]) for length in range(len(steps), 0, -1))
    found = next((prefix for prefix in prefixes if at(value, prefix) is not None), "")
    inner = at(value, found)
    if isinstance(inner, list) and found:
        needed = f"{found} is a list, of which a position is needed, such as {found}.0"
        return PayloadError(f"{text}: {needed}")
    missing = path.removeprefix(found).removeprefix(".")
    place = found or "the response"
    quote = f" (it has: {first_keys(inner)})"
    return PayloadError(f"{text}: {place} has no {missing}", quote=quote)


def _as_object(station: Any) -> Any:
    """Return *station*, a row of values, as an object by their positions.

    >>> _as_object(["a", 3])
    {'0': 'a', '1': 3}
    """
    if not isinstance(station, list):
        return station
    return {str(position): value for position, value in enumerate(station)}


def validate(mapping: Mapping[str, str]) -> None:
    """Raise SettingsError if *mapping* has an unknown key or lacks a required one."""
    for check in checks(mapping):
        check()


def checks(mapping: Mapping[str, str]) -> Iterator[Callable[[], None]]:
    """Yield the checks of the keys of *mapping*, which raise SettingsError."""
    for key in mapping:
        yield partial(_check_key, key)
    yield partial(_check_needed, mapping)
    if STAMP_FORMAT in mapping:
        yield partial(check_form, mapping[STAMP_FORMAT], f"mapping.{STAMP_FORMAT}")


def _check_key(key: str) -> None:
    if key not in KEYS:
        hint = suggestion(key, KEYS)
        raise SettingsError(f'unknown column "{key}" in mapping{hint}')


def _check_needed(mapping: Mapping[str, str]) -> None:
    if missing := [f"mapping.{key}" for key in NEEDED if key not in mapping]:
        raise SettingsError(f"a mapped feed requires {' and '.join(missing)}")
