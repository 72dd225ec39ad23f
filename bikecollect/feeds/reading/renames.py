"""Guess which new field of a feed holds the values of a known field that is gone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import islice
from typing import Any, NamedTuple

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Documents
from bikecollect.feeds.reading.aliases import EMPTY, Aliases, plain
from bikecollect.feeds.reading.fields import COLUMNS, Dialect
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.station_reader import COUNTS, FLAGS
from bikecollect.feeds.reading.values import count, degrees, text

READABLE = 0.8
"""Share of a new field's values that must be valid for the column."""
CLOSE, SIMILAR = 0.5, 0.6
"""Least share of equal values, or similarity of names, for a guess."""
NUMBERS = frozenset({*COUNTS, "capacity"})
MAX_COMPARED, MAX_UNKNOWN, MAX_NAME = 1_000, 50, 100
"""Stations of a list, new fields, and characters of their names, that are compared."""
MAX_GROWTH = 2
"""Maximum ratio of the counts in a new field to those in the old one."""


class Rename(NamedTuple):
    """A guess that *column*, read from the field *before*, is now in *after*.

    *same* of *stations* have an unchanged value; *stations* is 0 if there is nothing
    to compare.
    """

    column: str
    before: str
    after: str
    same: int = 0
    stations: int = 0


@dataclass(frozen=True)
class Renames:
    """The probable *renames*, the *unexplained* columns, and the unknown fields."""

    renames: tuple[Rename, ...] = ()
    unexplained: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def __add__(self, other: "Renames") -> "Renames":
        return Renames(
            self.renames + other.renames,
            self.unexplained + other.unexplained,
            self.unknown + other.unknown,
        )


@dataclass(eq=False)
class _StationList:
    """A list of stations, by id, with the fields that the dialect knows."""

    stations: Sequence[dict[str, Any]]
    aliases: Aliases
    by_id: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def has_ids(self) -> bool:
        """Whether the stations have a known id field."""
        return bool(self.aliases.fields("station_id"))

    def keyed(self, *, by_id: bool) -> "_StationList":
        """Return this list keyed by the stations' ids, or by position."""
        value = self.aliases.value
        stations = {
            (text(value(station, "station_id")) if by_id else None)
            or f"#{number}": station
            for number, station in enumerate(self.stations)
        }
        return _StationList(self.stations, self.aliases, stations)

    def values(self, name: str, parse: Callable[[Any], Any]) -> dict[str, Any]:
        """Return the values of the field *name*, parsed by *parse*, by station."""
        paths = Aliases({"": (name,)}, self.stations)
        raw = {i: paths.value(station, "") for i, station in self.by_id.items()}
        return {i: parse(value) for i, value in raw.items() if value is not None}


def between(
    before: Documents,
    after: Documents,
    list_stations: Callable[[Documents], Sequence[Any]],
    dialect: Dialect,
    stamp: Stamps,
) -> Renames:
    """Return the renames between two payloads, whose stations *list_stations* gives."""

    def stations(documents: Documents) -> Sequence[Any]:
        try:
            return list_stations(documents) if documents else ()
        except PayloadError:
            return ()

    return guess(stations(before), stations(after), dialect, stamp)


def guess(
    before: Sequence[Any], after: Sequence[Any], dialect: Dialect, stamp: Stamps
) -> Renames:
    """Return how fields of *before* were renamed in *after*, two lists of stations.

    A column is lost if it was filled in *before* and is empty in *after*; if *before*
    is empty, the columns that the dialect requires are lost. A new field is accepted
    for it if type and range fit, and its values or its name are similar.
    """
    return _Comparison(_list(before, dialect), _list(after, dialect), dialect, stamp)()


def _list(stations: Sequence[Any], dialect: Dialect) -> _StationList:
    objects = [item for item in stations if type(item) is dict][:MAX_COMPARED]
    return _StationList(objects, Aliases(dialect.table, objects))


class _Comparison:
    """The comparison of two lists of stations of one dialect."""

    def __init__(
        self, old: _StationList, new: _StationList, dialect: Dialect, stamp: Stamps
    ) -> None:
        by_id = old.has_ids and new.has_ids
        self._old, self._new = old.keyed(by_id=by_id), new.keyed(by_id=by_id)
        self._dialect, self._stamp = dialect, stamp

    def __call__(self) -> Renames:
        """Return the renames; a new field replaces at most one old field."""
        lost = dict(self._lost())
        unknown = list(self._unknown()) if lost else []
        by_field = _by_field(lost)
        scored = [
            pair
            for name, columns in by_field.items()
            for candidate in unknown
            if (pair := self._scored(columns[0], name, candidate))
        ]
        taken: dict[str, Rename] = {}
        for _, rename in sorted(scored, key=lambda pair: -pair[0]):
            fields = {other.after for other in taken.values()}
            if rename.before not in taken and rename.after not in fields:
                taken[rename.before] = rename
        renames = tuple(
            taken[name]._replace(column=column)
            for name, columns in by_field.items()
            if name in taken
            for column in columns
        )
        explained = {rename.column for rename in renames}
        unexplained = tuple(column for column in lost if column not in explained)
        return Renames(renames, unexplained, tuple(unknown))

    def _lost(self) -> Iterator[tuple[str, str]]:
        """Yield each column that is empty now, and the field that held it."""
        old, new, table = self._old, self._new, self._dialect.table
        for column in table if new.stations else ():
            now = new.aliases.fields(column)
            if not old.stations and column in self._dialect.needed and not now:
                yield column, table[column][0]
            name = self._filled(old, column) if column in COLUMNS else ""
            if name and not self._filled(new, column):
                yield column, name

    def _filled(self, stations: _StationList, column: str) -> str:
        """Return a field with valid values of *column*, empty for none."""
        parse = self._parser(column)
        for name in stations.aliases.fields(column):
            values = stations.values(name, parse).values()
            if any(value is not None for value in values):
                return name
        return ""

    def _unknown(self) -> Iterator[str]:
        """Yield the new fields that the dialect does not know."""
        known = set(_paths(self._old)) or self._dialect.known_fields
        aliases = self._new.aliases
        read = {name for c in self._dialect.table for name in aliases.fields(c)}
        new = (path for path in _paths(self._new) if path not in known | read)
        short = (path for path in new if len(path) <= MAX_NAME)
        yield from islice(short, MAX_UNKNOWN)

    def _scored(
        self, column: str, name: str, candidate: str
    ) -> tuple[float, Rename] | None:
        """Return the score of *candidate* for *column*, None if it does not fit."""
        parse = self._parser(column)
        after = self._new.values(candidate, parse)
        readable = [value for value in after.values() if value is not None]
        if not readable or len(readable) < len(after) * READABLE:
            return None
        values = self._old.values(name, parse)
        before = {i: value for i, value in values.items() if value is not None}
        both = [i for i in before if i in after]
        same = sum(before[i] == after[i] for i in both)
        share = same / len(both) if both else 0.0
        names = (name, column, *self._dialect.table[column])
        similarity = _similarity(candidate, names)
        if column in NUMBERS and _outgrown(readable, list(before.values())):
            return None
        if share < CLOSE and similarity < SIMILAR:
            return None
        return 2 * share + similarity, Rename(column, name, candidate, same, len(both))

    def _parser(self, column: str) -> Callable[[Any], Any]:
        """Return the function that parses the values of *column*."""
        if column in NUMBERS:
            return count
        if column in {"lat", "lon"}:
            return degrees
        if column in FLAGS:
            return self._dialect.flag
        if column == "last_reported":
            return self._stamp
        return self._dialect.texts.get(column, text)


def _by_field(lost: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the lost columns by the field that held them."""
    columns: dict[str, list[str]] = {}
    for column, name in lost.items():
        columns.setdefault(name, []).append(column)
    return columns


def _paths(stations: _StationList) -> dict[str, None]:
    """Return the paths of the fields that hold a value, down to the second level."""
    paths: dict[str, None] = {}
    for station in stations.stations:
        for key, value in station.items():
            if isinstance(value, dict):
                paths.update(dict.fromkeys(f"{key}.{inner}" for inner in value))
            elif value not in EMPTY and not isinstance(value, list):
                paths[key] = None
    return paths


def _outgrown(after: Sequence[int], before: Sequence[int]) -> bool:
    """Return whether the counts *after* are far larger than those *before*."""
    return bool(before) and max(after) > MAX_GROWTH * max(before) + 10


def _similarity(candidate: str, names: Sequence[str]) -> float:
    """Return the similarity of *candidate* to the best of *names*, 1 for its prefix.

    >>> _similarity("sbi_quantity", ["sbi"])
    1.0
    >>> _similarity("sbi_quantity", ["quantity"])
    0.9
    """
    last = candidate.rpartition(".")[2]
    first, *rest = last.casefold().split("_")
    return max(
        _name_ratio(plain(n.rpartition(".")[2]), last, first, rest) for n in names
    )


def _name_ratio(name: str, candidate: str, first: str, rest: Sequence[str]) -> float:
    if name in {first, plain(candidate)}:
        return 1.0
    if name in rest:
        return 0.9
    return SequenceMatcher(None, name, plain(candidate)).ratio()
