"""A list of stations to statuses and information: one reader for every dialect."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any

from bikecollect.core.errors import PayloadError
from bikecollect.core.snapshot import Snapshot, StationInformation, StationStatus
from bikecollect.feeds.reading.aliases import Aliases, Table
from bikecollect.feeds.reading.fields import STAMP_FORMAT
from bikecollect.feeds.reading.json_payload import (
    MOST_BAD,
    Pace,
    excerpt,
    missing,
    shape,
    too_many_bad,
)
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.values import (
    LONGEST,
    Counts,
    cut,
    flag,
    identifier,
    place,
    text,
)

BY_TYPE = ("by_name", "by_type")
SAID = ("num_vehicles_available", *BY_TYPE)
Said = Mapping[str, Any]
"""What one station says of each column of `SAID`, as it came."""
COUNTS = (
    *("num_vehicles_available", "num_ebikes_available", "num_docks_available"),
    *("num_vehicles_disabled", "num_docks_disabled"),
)
FLAGS = ("is_installed", "is_renting", "is_returning", "is_virtual_station")
TEXTS = (
    *("name", "short_name", "address", "region", "post_code"),
    *("name_en", "address_en", "region_en"),
)
MOST_TOLD = 0.05
"""Share of the stations from which on people are told of what is odd with them."""


@dataclass(frozen=True)
class Dialect:
    """How one kind of feed writes a station.

    *table* has the spellings of each column; without the *needed* ones a list says
    nothing. *ours* are all fields that the dialect is known to have. *flag* and
    *texts* read what is written otherwise than elsewhere. *ebikes* and *vehicles*
    count what a station says by type (`BY_TYPE`), None where it does not; *kinds*
    counts the kinds of vehicles, where that is wanted.
    """

    table: Table
    needed: Sequence[str]
    ours: frozenset[str]
    flag: Callable[[Any], bool | None] = flag
    texts: Mapping[str, Callable[[Any], str | None]] = field(default_factory=dict)
    ebikes: Callable[[Said], int | None] = lambda _: None
    vehicles: Callable[[Said], int | None] = lambda _: None
    kinds: Callable[[Said, int | None], Mapping[str, int]] | None = None

    def naming(self, fields: Mapping[str, str]) -> "Dialect":
        """Return this dialect with the *fields* that a user names for some columns.

        They are asked first; what the dialect knows is asked where they say nothing.
        """
        named = {
            column: (name, *self.table.get(column, ()))
            for column, name in fields.items()
            if column != STAMP_FORMAT
        }
        return replace(self, table={**self.table, **named})


class StationReader:
    """Reads *stations*, a list of JSON objects, as *dialect* writes them."""

    def __init__(
        self, stations: Sequence[Any], dialect: Dialect, stamp: Stamps
    ) -> None:
        self._stations, self._dialect, self._stamp = stations, dialect, stamp
        self._objects = [each for each in stations if type(each) is dict]
        self._aliases = Aliases(dialect.table, self._objects)
        self._count, self._pace = Counts(), Pace()
        self._statuses: dict[str, StationStatus] = {}
        self._information: list[StationInformation] = []
        self._contradictory: list[str] = []
        self._kinds: dict[str, Mapping[str, int]] = {}
        self._cut = self._newest = 0

    def snapshot(self) -> Snapshot:
        """Return all stations that can be read.

        ``last_updated`` is the newest stamp of any station. Raises PayloadError
        naming the fields where a needed column has no known spelling, or cannot be
        read at too many stations.
        """
        self._check_fields()
        dropped = len(self._stations) - len(self._objects)
        duplicates = 0
        kept: dict[str, Mapping[str, Any]] = {}
        for each, station_id in zip(self._objects, self._ids(), strict=True):
            if station_id is None:
                dropped += 1
            elif station_id in kept:
                duplicates += 1
            else:
                kept[station_id] = each
        self._add(kept)
        self._check_readable(dropped)
        return Snapshot(
            statuses=tuple(self._statuses.values()),
            information=tuple(self._information),
            lists_all=True,
            last_updated=self._newest or None,
            shape=shape(self._stations),
            dropped=dropped,
            duplicates=duplicates,
            flags=self._flags(),
            findings=self._findings(),
            kinds=self._kinds,
        )

    def _ids(self) -> Sequence[str | None]:
        seconds = self._aliases.column(self._objects, "second_id")
        read = self._dialect.texts.get("station_id", identifier)
        ids = map(read, self._aliases.column(self._objects, "station_id"))
        return distinct(list(ids), seconds)

    def _add(self, kept: Mapping[str, Mapping[str, Any]]) -> None:
        """Read the stations *kept*, by id: column by column, as most say it alike."""
        if not kept:
            return
        ids = list(kept)
        column = partial(self._aliases.column, list(kept.values()))
        capacity = self._count.column("capacity", column("capacity"))
        reported = self._read(self._stamp, column("last_reported"))
        updated = self._read(self._stamp, column("last_updated"))
        self._newest = max((each or 0 for each in (*reported, *updated)), default=0)
        flags = [self._read(self._dialect.flag, column(name)) for name in FLAGS]
        installed, renting, returning, virtual = flags
        vehicles, ebikes, *others = (
            self._count.column(name, column(name)) for name in COUNTS
        )
        by_type = any(self._aliases.fields(name) for name in BY_TYPE)
        if by_type or self._dialect.kinds:
            types = zip(*(column(name) for name in SAID), strict=True)
            said = [dict(zip(SAID, each, strict=True)) for each in types]
            ebikes = self._by_type(ids, said, vehicles, ebikes)
        status = (vehicles, ebikes, *others, capacity, installed, renting, returning)
        rows = zip(ids, *status, reported, strict=True)
        self._statuses = {row[0]: StationStatus(*row) for row in rows}
        texts = [
            self._read(self._dialect.texts.get(name, text), column(name))
            for name in TEXTS
        ]
        self._cut = sum(map(cut, chain.from_iterable(texts)))
        places = zip(column("lat"), column("lon"), strict=True)
        lat, lon = zip(*(place(*each) for each in places), strict=True)
        about = dict(zip(TEXTS, texts, strict=True))
        about |= {"station_id": ids, "lat": lat, "lon": lon, "capacity": capacity}
        about["is_virtual_station"] = virtual
        columns = (about[name] for name in StationInformation._fields[:-1])
        rows = zip(*columns, strict=True)
        self._information = [StationInformation(*row) for row in rows]

    def _read(self, read: Callable[[Any], Any], values: Sequence[Any]) -> Sequence[Any]:
        """Return *values* as *read* finds them; None is nothing to be read."""
        found: list[Any] = []
        for part in self._pace(values):
            found += [None if value is None else read(value) for value in part]
        return found

    def _by_type(
        self,
        ids: Sequence[str],
        said: Sequence[Said],
        vehicles: Sequence[int | None],
        ebikes: Sequence[int | None],
    ) -> list[int | None]:
        """Return the e-bikes of each station; note what contradicts *vehicles*."""
        found = []
        every = list(zip(ids, said, vehicles, ebikes, strict=True))
        for station_id, each, total, named in chain.from_iterable(self._pace(every)):
            number = self._dialect.ebikes(each) if named is None else named
            by_type = _contradicting(total, number, self._dialect.vehicles(each))
            if by_type is not None:
                words = f"{station_id}: {total} in all, {by_type} by type"
                self._contradictory.append(words)
            found.append(number)
            if self._dialect.kinds and (kinds := self._dialect.kinds(each, number)):
                self._kinds[station_id] = kinds
        return found

    def _check_fields(self) -> None:
        """Raise PayloadError where no station has a field for a needed column."""
        for column in self._dialect.needed:
            if not self._aliases.fields(column):
                known = self._dialect.table[column]
                raise missing(self._objects, column, known, self._dialect.ours)

    def _check_readable(self, dropped: int) -> None:
        """Raise PayloadError where too many stations cannot be read."""
        total = len(self._stations)
        if dropped:
            bad = (each for each in self._stations if not _has_id(each, self._aliases))
            too_many_bad(dropped, total, excerpt(next(bad, None)))
        for column in self._dialect.needed:
            number = self._count.unread[column]
            if number > total * MOST_BAD:
                field = " or ".join(self._aliases.fields(column))
                raise PayloadError(
                    f"{number} of {total} stations say a {column} that is no number "
                    f"(in {field})",
                    cause="drift",
                    quote=f", such as {self._count.example[column]}",
                )

    def _flags(self) -> tuple[str, ...]:
        found = {
            "implausible": bool(self._count.implausible),
            "contradictory": bool(self._contradictory),
            "cut": bool(self._cut),
        }
        return tuple(flag for flag, there in found.items() if there)

    def _findings(self) -> dict[str, str]:
        """Return what people should know once, a sentence each, by a stable key."""
        total, odd = len(self._statuses), self._contradictory
        found = dict(self._unread())
        for column, number in self._count.implausible.items():
            if number >= total * MOST_TOLD:
                found[f"implausible {column}"] = (
                    f"{column} is no possible number at {number} of {total} stations, "
                    f"such as {self._count.example[column]}: it is left empty there"
                )
        if self._cut:
            found["cut"] = (
                f"{self._cut} texts of stations are longer than {LONGEST} bytes: "
                "the rest is left out"
            )
        if odd and len(odd) >= total * MOST_TOLD:
            found["contradictory"] = (
                f"the vehicles in all and those by type disagree at {len(odd)} of "
                f"{total} stations, such as {odd[0]}: both are kept as they came"
            )
        return found

    def _unread(self) -> Iterator[tuple[str, str]]:
        """Yield a sentence for each column that is said somewhere and read nowhere."""
        read: set[str] = set()
        empty = []
        for column in self._dialect.table:
            here: Sequence[Any] = tuple(self._statuses.values())
            if column in StationInformation._fields:
                here = self._information
            elif column not in StationStatus._fields:
                continue
            if any(getattr(each, column) is not None for each in here):
                read.update(self._aliases.fields(column))
            elif not self._count.implausible[column]:
                empty.append(column)
        for column in empty:
            fields = self._aliases.fields(column)
            said = (self._aliases.said(each, column) for each in self._objects)
            found = next((value for value in said if value is not None), None)
            if found is not None and read.isdisjoint(fields):
                read.update(fields)
                names, value = " or ".join(fields), excerpt(found)
                words = f"{names} is there and cannot be read, such as {value}"
                yield f"unread {column}", f"{column} is empty at every station: {words}"


def _contradicting(
    vehicles: int | None, ebikes: int | None, by_type: int | None
) -> int | None:
    """Return the number of vehicles that a total of *vehicles* cannot hold, if any."""
    if vehicles is None:
        return None
    if ebikes is not None and ebikes > vehicles:
        return ebikes
    return by_type if by_type and not vehicles else None


def distinct(ids: Sequence[str | None], seconds: Sequence[Any]) -> Sequence[str | None]:
    """Return *ids*, those of several stations made distinct by their *seconds*.

    Where a publisher gives one id to several stations, and a second key tells them
    apart (``second_id`` of the table), each of these has both: ``id:second``.

    >>> distinct(["1", "a", "1", "a"], [None, 7, None, 7])
    ['1', 'a', '1', 'a']
    >>> distinct(["a", "a", None], [7, 8, 9])
    ['a:7', 'a:8', None]
    """
    double = {each for each, number in Counter(ids).items() if number > 1}
    if not double:
        return ids
    keys = [
        identifier(each) if i in double else None
        for i, each in zip(ids, seconds, strict=True)
    ]
    apart: dict[str | None, set[str]] = {each: set() for each in double}
    for station_id, key in zip(ids, keys, strict=True):
        if key:
            apart[station_id].add(key)
    return [
        f"{i}:{key}" if i and key and len(apart[i]) > 1 else i
        for i, key in zip(ids, keys, strict=True)
    ]


def _has_id(station: Any, aliases: Aliases) -> bool:
    if not isinstance(station, dict):
        return False
    return identifier(aliases.said(station, "station_id")) is not None
