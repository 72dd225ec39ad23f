"""Renames: which new field most likely holds what a known one held before."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import islice
from typing import Any, NamedTuple

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Documents
from bikecollect.feeds.reading.aliases import UNSAID, Aliases, plain
from bikecollect.feeds.reading.fields import COLUMNS
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.station_reader import COUNTS, FLAGS, Dialect
from bikecollect.feeds.reading.values import count, number, text

READABLE = 0.8
"""Share of a field's values that a column must be able to read."""
CLOSE, ALIKE = 0.5, 0.6
"""Share of equal values, or likeness of the names, from which a guess is made."""
NUMBERS = frozenset({*COUNTS, "capacity"})
MOST_COMPARED, MOST_STRANGE, LONGEST_NAME = 1_000, 50, 100
"""Stations of a list, new fields, and letters of their names, that are looked at."""
MOST_WIDENED = 2
"""The counts of a new field may be so many times as large as those before."""


class Rename(NamedTuple):
    """*column* was read from *before*, and is *after* now.

    *same* of *stations* have the value that they had; *stations* is 0 where nothing
    is there to compare.
    """

    column: str
    before: str
    after: str
    same: int = 0
    stations: int = 0


@dataclass(frozen=True)
class Renames:
    """What was *found*, the columns that stay *unexplained*, and fields new to us."""

    found: tuple[Rename, ...] = ()
    unexplained: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()

    def __add__(self, other: "Renames") -> "Renames":
        return Renames(
            self.found + other.found,
            self.unexplained + other.unexplained,
            self.strange + other.strange,
        )


@dataclass(eq=False)
class _List:
    """One list of stations, by id, and its fields as the dialect reads them."""

    stations: Sequence[dict[str, Any]]
    aliases: Aliases
    by_id: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def has_ids(self) -> bool:
        """Whether the stations can be told apart by what is known as their id."""
        return bool(self.aliases.fields("station_id"))

    def keyed(self, *, by_id: bool) -> "_List":
        """Return this list by the stations' ids, or by their places in it."""
        said = self.aliases.said
        keys = (
            text(said(each, "station_id")) if by_id else None for each in self.stations
        )
        pairs = enumerate(zip(keys, self.stations, strict=True))
        found = {key or f"#{number}": each for number, (key, each) in pairs}
        return _List(self.stations, self.aliases, found)

    def values(self, name: str, parse: Callable[[Any], Any]) -> dict[str, Any]:
        """Return by station what *parse* reads in the field *name*, where it is."""
        paths = Aliases({"": (name,)}, self.stations)
        raw = {i: paths.said(each, "") for i, each in self.by_id.items()}
        return {i: parse(value) for i, value in raw.items() if value is not None}


def between(
    before: Documents,
    after: Documents,
    listed: Callable[[Documents], Sequence[Any]],
    dialect: Dialect,
    stamp: Stamps,
) -> Renames:
    """Return what `guess` finds in the lists that *listed* takes from two payloads."""

    def found(documents: Documents) -> Sequence[Any]:
        try:
            return listed(documents) if documents else ()
        except PayloadError:
            return ()

    return guess(found(before), found(after), dialect, stamp)


def guess(
    before: Sequence[Any], after: Sequence[Any], dialect: Dialect, stamp: Stamps
) -> Renames:
    """Return how fields of *before* were renamed in *after*, two lists of stations.

    A column is looked for when it was filled before and is empty now; without
    *before*, when the dialect cannot do without it. A new field that fits its type
    and range, and whose values or whose name are alike, is taken for it.
    """
    return _Comparison(_list(before, dialect), _list(after, dialect), dialect, stamp)()


def _list(stations: Sequence[Any], dialect: Dialect) -> _List:
    objects = [each for each in stations if type(each) is dict][:MOST_COMPARED]
    return _List(objects, Aliases(dialect.table, objects))


class _Comparison:
    """Two lists of stations, as one dialect reads them."""

    def __init__(self, old: _List, new: _List, dialect: Dialect, stamp: Stamps) -> None:
        by_id = old.has_ids and new.has_ids
        self._old, self._new = old.keyed(by_id=by_id), new.keyed(by_id=by_id)
        self._dialect, self._stamp = dialect, stamp

    def __call__(self) -> Renames:
        """Return what was renamed, each new field taken for one old field at most."""
        lost = dict(self._lost())
        strange = list(self._strange()) if lost else []
        by_field = _by_field(lost)
        scored = [
            pair
            for name, columns in by_field.items()
            for candidate in strange
            if (pair := self._scored(columns[0], name, candidate))
        ]
        taken: dict[str, Rename] = {}
        for _, rename in sorted(scored, key=lambda pair: -pair[0]):
            fields = {each.after for each in taken.values()}
            if rename.before not in taken and rename.after not in fields:
                taken[rename.before] = rename
        found = tuple(
            taken[name]._replace(column=column)
            for name, columns in by_field.items()
            if name in taken
            for column in columns
        )
        known = {each.column for each in found}
        return Renames(found, tuple(c for c in lost if c not in known), tuple(strange))

    def _lost(self) -> Iterator[tuple[str, str]]:
        """Yield each column that is empty now, and the field that it came from."""
        old, new, table = self._old, self._new, self._dialect.table
        for column in table if new.stations else ():
            now = new.aliases.fields(column)
            if not old.stations and column in self._dialect.needed and not now:
                yield column, table[column][0]
            name = self._filled(old, column) if column in COLUMNS else ""
            if name and not self._filled(new, column):
                yield column, name

    def _filled(self, listed: _List, column: str) -> str:
        """Return the field by which *column* is filled anywhere, empty for none."""
        parse = self._parser(column)
        for name in listed.aliases.fields(column):
            if any(each is not None for each in listed.values(name, parse).values()):
                return name
        return ""

    def _strange(self) -> Iterator[str]:
        """Yield the new fields that nobody reads."""
        known = set(_paths(self._old)) or self._dialect.ours
        aliases = self._new.aliases
        read = {name for c in self._dialect.table for name in aliases.fields(c)}
        new = (each for each in _paths(self._new) if each not in known | read)
        yield from islice((e for e in new if len(e) <= LONGEST_NAME), MOST_STRANGE)

    def _scored(
        self, column: str, name: str, candidate: str
    ) -> tuple[float, Rename] | None:
        """Return how well *candidate* fits *column*, None where it does not."""
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
        alike = _alike(candidate, names)
        if column in NUMBERS and _beyond(readable, list(before.values())):
            return None
        if share < CLOSE and alike < ALIKE:
            return None
        return 2 * share + alike, Rename(column, name, candidate, same, len(both))

    def _parser(self, column: str) -> Callable[[Any], Any]:
        """Return what reads the values of *column*."""
        if column in NUMBERS:
            return count
        if column in {"lat", "lon"}:
            return number
        if column in FLAGS:
            return self._dialect.flag
        if column == "last_reported":
            return self._stamp
        return self._dialect.texts.get(column, text)


def _by_field(lost: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the columns that each lost field filled."""
    found: dict[str, list[str]] = {}
    for column, name in lost.items():
        found.setdefault(name, []).append(column)
    return found


def _paths(listed: _List) -> dict[str, None]:
    """Return the fields that hold a value, those one level down too."""
    found: dict[str, None] = {}
    for station in listed.stations:
        for key, value in station.items():
            if isinstance(value, dict):
                found.update(dict.fromkeys(f"{key}.{inner}" for inner in value))
            elif value not in UNSAID and not isinstance(value, list):
                found[key] = None
    return found


def _beyond(after: Sequence[int], before: Sequence[int]) -> bool:
    """Return whether the counts *after* are of another size than those *before*."""
    return bool(before) and max(after) > MOST_WIDENED * max(before) + 10


def _alike(candidate: str, names: Sequence[str]) -> float:
    """Return how like *candidate* is to one of *names*: 1 where it begins with it.

    >>> _alike("sbi_quantity", ["sbi"]), _alike("sbi_quantity", ["quantity"])
    (1.0, 0.9)
    """
    last = candidate.rpartition(".")[2]
    first, *rest = last.casefold().split("_")
    return max(_likeness(plain(n.rpartition(".")[2]), last, first, rest) for n in names)


def _likeness(name: str, whole: str, first: str, rest: Sequence[str]) -> float:
    if name in {first, plain(whole)}:
        return 1.0
    if name in rest:
        return 0.9
    return SequenceMatcher(None, name, plain(whole)).ratio()
