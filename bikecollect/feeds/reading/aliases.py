"""Find the field of a station that holds a column, in any known spelling."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bikecollect.core.errors import PayloadError
from bikecollect.feeds.reading.json_payload import at, nested
from bikecollect.feeds.reading.values import count

Table = Mapping[str, Sequence[str]]
"""For each column the dotted paths of the fields that may hold it, best first."""
WHICH = ("name", "lat", "lon")
"""The columns that tell stations apart if their ids do not."""
EMPTY = (None, "")
WHOLE = ("data", "")
"""Paths at which a document's list may be, and otherwise an object with the list."""
BLANKS = " \t\r\n\ufeff\xa0"
"""Stripped from names: exports of spreadsheets have them."""
TYPE_KEYS, COUNT_KEYS = ("type", "name", "kind", "vehicle_type"), ("count", "quantity")
MAX_KEYS = 2_000
"""Distinct field names over all stations."""
MAX_DETAIL = 500
"""Longest text that is searched for a count of e-bikes."""
ELECTRIC = frozenset({"eyb", "eybquantity", "ebike", "ebikes", "electric"})
ELECTRIC |= {"electricbike", "electricbikes"}


def top_names(table: Table) -> frozenset[str]:
    """Return the outermost fields of all paths in *table*.

    >>> sorted(top_names({"name": ("name", "extra.title"), "lat": ("lat",)}))
    ['extra', 'lat', 'name']
    """
    return frozenset(
        path.partition(".")[0] for paths in table.values() for path in paths
    )


class Aliases:
    """The fields of *stations* that hold the columns of *table*.

    Stations of one list may spell a column differently: every spelling that occurs is
    tried for each station, and the first non-empty value is used. Case and underscores
    are ignored.
    """

    def __init__(self, table: Table, stations: Iterable[Mapping[str, Any]]) -> None:
        similar: dict[str, list[str]] = {}
        for key in distinct_keys(stations):
            similar.setdefault(plain(key), []).append(key)
        self._fields = {
            column: tuple(_occurring(names, similar)) for column, names in table.items()
        }

    def fields(self, column: str) -> tuple[str, ...]:
        """Return the paths of *column* that occur, in order of preference."""
        return self._fields.get(column, ())

    def value(self, station: Mapping[str, Any], column: str) -> Any:
        """Return the value of *column* in *station*, None if it is absent or empty."""
        for name in self._fields[column]:
            value = at(station, name) if "." in name else station.get(name)
            if value not in EMPTY:
                return value
        return None

    def differ(
        self, one: Mapping[str, Any], other: Mapping[str, Any], columns: Sequence[str]
    ) -> bool:
        """Return whether values of *columns* that *one* and *other* have differ."""
        columns = [column for column in columns if self.fields(column)]
        pairs = [(self.value(one, c), self.value(other, c)) for c in columns]
        return any(a != b for a, b in pairs if a is not None and b is not None)

    def column(self, stations: Sequence[Mapping[str, Any]], column: str) -> list[Any]:
        """Return the value of *column* for each of *stations*, None if absent."""
        fields = self.fields(column)
        if not fields:
            return [None] * len(stations)
        if "." in fields[0]:
            return [self.value(station, column) for station in stations]
        # The first field holds most values, which need no call per station.
        values = [station.get(fields[0]) for station in stations]
        if len(fields) > 1 and (None in values or "" in values):
            return [
                self.value(station, column) if value is None or value == "" else value
                for station, value in zip(stations, values, strict=True)
            ]
        if "" in values:
            return [None if value == "" else value for value in values]
        return values


def with_ids(objects: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    """Return *objects* as a list; if none has an id, its key is its id.

    *names* are the spellings of the id, of which the first is used. Keys that count the
    objects are no ids: PHP writes a list so from which entries were removed.

    >>> with_ids({"a7": {"bikes": 3}}, ["id"]), with_ids({"a7": {"ID": 7}}, ["id"])
    ([{'id': 'a7', 'bikes': 3}], [{'ID': 7}])
    >>> with_ids({"0": {"bikes": 3}, "2": {"bikes": 4}}, ["id"])
    [{'bikes': 3}, {'bikes': 4}]
    """
    listed = list(objects.values())
    items = [item for item in listed if type(item) is dict]
    aliases = Aliases({"id": names}, items)
    counts = "0" in objects or all(str(n) in objects for n in range(1, len(listed) + 1))
    if counts or any(aliases.value(item, "id") is not None for item in items):
        return listed
    return [
        {names[0]: key, **item} if type(item) is dict else item
        for key, item in objects.items()
    ]


def list_in(value: Any, paths: Iterable[str], names: Sequence[str]) -> list[Any] | None:
    """Return the list at the first of the dotted *paths* in *value* that has one.

    An object in its place is a list by id, see `with_ids`; not at `WHOLE`. None if
    there is none.
    """
    for path in paths:
        listed = at(value, path)
        if isinstance(listed, list):
            return listed
        if isinstance(listed, Mapping) and path not in WHOLE:
            return with_ids(listed, names)
    return None


def distinct_keys(stations: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Return the distinct keys of *stations*; raises PayloadError for too many."""
    keys: dict[str, None] = {}
    last: tuple[str, ...] = ()
    for station in stations:
        names = tuple(station)
        if names == last:
            continue  # most stations have the same fields
        last = names
        if len(station) <= MAX_KEYS:
            keys.update(dict.fromkeys(station))
        if max(len(keys), len(station)) > MAX_KEYS:
            text = f"the stations have more than {MAX_KEYS} different fields"
            raise PayloadError(text, cause="too-large")
    return keys


def plain(name: str) -> str:
    """Return *name* normalised for comparison: no blanks, underscores, hyphens or case.

    >>> plain("AvailableRentBikes") == plain("available_rent_bikes")
    True
    """
    bare = name.replace("_", "").replace("-", "").strip(BLANKS)
    return bare.casefold()


def _occurring(
    names: Sequence[str], similar: Mapping[str, Sequence[str]]
) -> Iterable[str]:
    """Yield the paths *names* as they occur, exact spellings before similar ones."""
    seen: set[str] = set()
    for name in names:
        root, dot, rest = name.partition(".")
        keys = similar.get(plain(root), ())
        for key in sorted(keys, key=lambda key: key != root):
            if (path := f"{key}{dot}{rest}") not in seen:
                seen.add(path)
                yield path
        if dot:  # or a field whose own name has dots
            yield from (key for key in similar.get(plain(name), ()) if key not in seen)


def electric(detail: Any) -> int | None:
    """Return the number of e-bikes in counts by type, None if they have none.

    *detail* is an object, an object as JSON text, a list of objects (each with one key,
    or with a type and a count), or a text with the counts of plain and of electric
    bikes, separated by a comma.

    >>> electric({"yb2": "5", "eyb": "2"}), electric('{"yb2": 5, "eyb": 2}')
    (2, 2)
    >>> electric("5,2"), electric("yb2:5, eyb:2"), electric([{"ebike": 2}])
    (2, 2, 2)
    >>> electric("7"), electric({"ICONIC": 3}), electric(None)
    (None, None, None)
    """
    if isinstance(detail, str):
        return _electric_text(detail.strip())
    if isinstance(detail, Mapping):
        values = [v for k, v in detail.items() if plain(str(k)) in ELECTRIC]
        if any(plain(str(detail.get(key))) in ELECTRIC for key in TYPE_KEYS):
            values += [detail.get(key) for key in COUNT_KEYS]
        return next((n for v in values if (n := count(v)) is not None), None)
    if isinstance(detail, list):
        maps = (item for item in detail if isinstance(item, Mapping))
        return next((n for item in maps if (n := electric(item)) is not None), None)
    return None


_ROW = r"\d{1,6}(?:\s*[,;/|\uff0c\u3001]\s*\d{1,6})+"
_NAMED = r"([A-Za-z_]\w*)\W+(\d{1,6})"


def _electric_text(text: str) -> int | None:
    if len(text) > MAX_DETAIL:
        return None  # the patterns below take quadratic time
    if re.fullmatch(_ROW, text):
        return count(re.split(r"\D+", text)[-1])
    if text[:1] in {"{", "["}:
        try:
            return electric(nested(text))
        except PayloadError:
            pass
    return electric(dict(re.findall(_NAMED, text)))
