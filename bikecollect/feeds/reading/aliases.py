"""Aliases: which field of a station holds which column, however it is spelt."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bikecollect.core.errors import PayloadError
from bikecollect.feeds.reading.json_payload import at, nested
from bikecollect.feeds.reading.values import count

Table = Mapping[str, Sequence[str]]
"""For each column the fields that may hold it, as dotted paths, the likeliest first."""
UNSAID = (None, "")
MOST_KEYS = 2_000
"""Different fields of all stations together."""
LONGEST = 500
"""Letters of a text in which the e-bikes are looked for."""
ELECTRIC = frozenset({"eyb", "eybquantity", "ebike", "ebikes", "electric"})
ELECTRIC |= {"electricbike", "electricbikes"}


class Aliases:
    """The fields by which *stations* hold the columns of *table*.

    Stations of one list may spell a column differently: each is asked for all
    spellings that occur, and the first that says something counts. Case and
    underscores are no difference.
    """

    def __init__(self, table: Table, stations: Iterable[Mapping[str, Any]]) -> None:
        similar: dict[str, list[str]] = {}
        for key in _distinct_keys(stations):
            similar.setdefault(plain(key), []).append(key)
        self._fields = {
            column: tuple(_occurring(names, similar)) for column, names in table.items()
        }

    def fields(self, column: str) -> tuple[str, ...]:
        """Return the paths of *column* that occur, in the order in which they count."""
        return self._fields.get(column, ())

    def said(self, station: Mapping[str, Any], column: str) -> Any:
        """Return what *station* says of *column*, None where it says nothing."""
        for name in self._fields[column]:
            value = at(station, name) if "." in name else station.get(name)
            if value not in UNSAID:
                return value
        return None

    def column(self, stations: Sequence[Mapping[str, Any]], column: str) -> list[Any]:
        """Return what each of *stations* says of *column*, None where nothing."""
        fields = self.fields(column)
        if not fields:
            return [None] * len(stations)
        if len(fields) > 1 or "." in fields[0]:
            return [self.said(each, column) for each in stations]
        # Most columns have one field: no call for each station.
        values = [each.get(fields[0]) for each in stations]
        return [None if value == "" else value for value in values]

    def lacking(
        self, column: str, stations: Sequence[Mapping[str, Any]]
    ) -> Sequence[Mapping[str, Any]]:
        """Return those of *stations* that have no field at all for *column*."""
        roots = {name.partition(".")[0] for name in self._fields[column]}
        return [each for each in stations if roots.isdisjoint(each)]


def _distinct_keys(stations: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Return the keys of *stations*; raises PayloadError for endless ones."""
    keys: dict[str, None] = {}
    for each in stations:
        if len(each) <= MOST_KEYS:
            keys.update(dict.fromkeys(each))
        if max(len(keys), len(each)) > MOST_KEYS:
            text = f"the stations have more than {MOST_KEYS} different fields"
            raise PayloadError(text, cause="too-large")
    return keys


def plain(name: str) -> str:
    """Return *name* without what two spellings of it may differ in.

    >>> plain("AvailableRentBikes") == plain("available_rent_bikes")
    True
    """
    return name.replace("_", "").replace("-", "").casefold()


def _occurring(
    names: Sequence[str], similar: Mapping[str, Sequence[str]]
) -> Iterable[str]:
    """Yield the paths *names* as they occur: the exact spelling before similar ones."""
    seen: set[str] = set()
    for name in names:
        root, dot, rest = name.partition(".")
        keys = similar.get(plain(root), ())
        for key in sorted(keys, key=lambda each: each != root):
            if (path := f"{key}{dot}{rest}") not in seen:
                seen.add(path)
                yield path


def electric(detail: Any) -> int | None:
    """Return the e-bikes in a count by type, in each form that is seen.

    An object, such an object as text, a list of one-key objects, or the counts of
    plain and electric bikes in a row. None where it does not name them.

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
        named = (v for k, v in detail.items() if plain(str(k)) in ELECTRIC)
        return next((n for v in named if (n := count(v)) is not None), None)
    if isinstance(detail, list):
        maps = (each for each in detail if isinstance(each, Mapping))
        return next((n for each in maps if (n := electric(each)) is not None), None)
    return None


_ROW = re.compile(r"\d{1,6}(?:\s*[,;/|]\s*\d{1,6})+")
_NAMED = re.compile(r"([A-Za-z_]\w*)\W+(\d{1,6})")


def _electric_text(text: str) -> int | None:
    if len(text) > LONGEST:
        return None  # the patterns below backtrack
    if _ROW.fullmatch(text):
        return count(re.split(r"\D+", text)[-1])
    if text[:1] in {"{", "["}:
        try:
            return electric(nested(text))
        except PayloadError:
            pass
    return electric(dict(_NAMED.findall(text)))
