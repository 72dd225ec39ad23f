"""Find the field of a station that holds a column, in any known spelling."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bikecollect.core.errors import PayloadError
from bikecollect.feeds.reading.json_payload import at, decode, nested
from bikecollect.feeds.reading.stamps import UPDATED
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
LISTS = frozenset({"data", "stations", "vehicles", "bikes"})
"""The parts of a GBFS document that may be a text of JSON."""
_PARTS = """data stations vehicles bikes feeds versions regions vehicle_types
last_updated ttl version"""
DEPTH, MAX_PARTS = 3, 40
"""Levels of objects around a document, and of those in it whose parts may be in other
spellings; and the maximum parts of one: an object with more has stations by id."""
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


def gbfs_document(body: bytes) -> Any:
    """Return the GBFS document in *body*, see `unwrapped`; raises PayloadError."""
    return unwrapped(decode(body))


def unwrapped(value: Any) -> Any:
    """Return the GBFS document in *value*, with its parts in their usual spelling.

    Gateways put it into another object, into a list, or into a text of JSON. *value* is
    returned as it is if it has no document.

    >>> unwrapped({"code": 0, "result": '{"Data": {"Stations": []}, "TTL": 60}'})
    {'data': {'stations': []}, 'ttl': 60}
    >>> unwrapped({"data": {"en": {"feeds": []}}}), unwrapped({"error": "x"})
    ({'data': {'en': {'feeds': []}}}, {'error': 'x'})
    """
    return _named(_inner(value, DEPTH) or value, DEPTH)


def _inner(value: Any, depth: int) -> Any:
    """Return the document in *value*, or itself if it is one, None for neither."""
    if isinstance(value, str):
        value = _from_text(value)
    if isinstance(value, list):
        is_around = depth and len(value) == 1 and _is_around(value[0])
        return _inner(value[0], depth - 1) if is_around else None
    if not isinstance(value, Mapping) or len(value) > MAX_PARTS:
        return None
    if not any(plain(key) in OF_DOCUMENT and _is_part(value[key]) for key in value):
        inner = (_inner(item, depth - 1) for item in value.values() if depth)
        found = [document for document in inner if document is not None]
        return next((d for d in found if _has_list(d, DEPTH)), next(iter(found), None))
    data = _data_of(value)
    is_around = {"data", "ttl"} <= data.keys() and ENTRIES.isdisjoint(data)
    return _inner(data, depth - 1) if depth and is_around else value


def _data_of(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of *value* by plain name, empty if they are no object."""
    parts = {plain(key): value[key] for key in sorted(value)}  # `data` after `Data`
    data = parts.get("data")
    return {plain(k): item for k, item in data.items()} if type(data) is dict else {}


def _is_part(item: Any) -> bool:
    """Return whether *item* may be the list of a document, or have it."""
    is_text = isinstance(item, str) and _from_text(item) is not None
    return is_text or isinstance(item, list | Mapping)


def _has_list(value: Any, depth: int) -> bool:
    """Return whether *value* has a list of a document: others have only data."""
    if isinstance(value, str):
        value = _from_text(value)
    if not depth or not isinstance(value, Mapping) or len(value) > MAX_PARTS:
        return False
    is_list = any(plain(key) in ENTRIES and _is_part(value[key]) for key in value)
    return is_list or any(_has_list(item, depth - 1) for item in value.values())


def _is_around(item: Any) -> bool:
    """Return whether *item*, alone in a list, is a document and no station."""
    if not isinstance(item, Mapping):
        return isinstance(item, str)
    keys = set(map(plain, item))
    is_document = not keys.isdisjoint({"data", "ttl", "lastupdated"})
    return is_document and IDS.isdisjoint(keys | _data_of(item).keys())


def _from_text(text: str) -> Any:
    """Return the JSON in *text*, None if there is none."""
    if text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        return nested(text)
    except PayloadError:
        return None


def _named(value: Any, depth: int) -> Any:
    """Return the object *value* with the usual names of the parts of a document."""
    if not depth or not isinstance(value, Mapping) or len(value) > MAX_PARTS:
        return value
    parts = ((_usual(key, value), item) for key, item in value.items())
    return {
        name: item if name in ENTRIES else _named(item, depth - 1)
        for name, item in ((name, _part(name, item)) for name, item in parts)
    }


def _usual(key: str, value: Mapping[str, Any]) -> str:
    """Return the usual spelling of *key*, unless *value* has another field of it."""
    name = PARTS.get(plain(key), key)
    return key if key in UPDATED or name in value else name


def _part(name: str, item: Any) -> Any:
    """Return *item*, the part *name* of a document, which may be a text of JSON."""
    is_text = isinstance(item, str) and name in LISTS
    return _from_text(item) or item if is_text else item


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


PARTS = {plain(name): name for name in _PARTS.split()}
"""The parts of a document whose spelling may differ, by how names are compared."""
IDS = frozenset({"stationid", "bikeid", "vehicleid", "vehicletypeid", "regionid", "id"})
"""Fields of entries: a list with an entry is the list itself, nothing around one."""
ENTRIES = frozenset(PARTS) - {"data", "lastupdated", "ttl", "version"}
ENTRIES |= {name for key, name in PARTS.items() if key in ENTRIES}
"""The lists of documents, as they are spelt and compared; keys in them may be ids."""
OF_DOCUMENT = ENTRIES | {"data"}
"""The parts of a document by which it is recognised inside another object."""


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
