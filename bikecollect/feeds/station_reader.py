"""A list of stations to statuses and information: one reader for every dialect."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bikecollect.core.errors import PayloadError
from bikecollect.core.snapshot import Snapshot, StationInformation, StationStatus
from bikecollect.feeds.aliases import Aliases, Table
from bikecollect.feeds.fields import STAMP_FORMAT
from bikecollect.feeds.json_payload import MOST_BAD, missing, shape, too_many_bad
from bikecollect.feeds.stamps import Stamps
from bikecollect.feeds.values import Counts, flag, place, text

Said = Mapping[str, Any]
"""What one station says of each column, as it came."""
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
    count what a station says by type, None where it does not.
    """

    table: Table
    needed: Sequence[str]
    ours: frozenset[str]
    flag: Callable[[Any], bool | None] = flag
    texts: Mapping[str, Callable[[Any], str | None]] = field(default_factory=dict)
    ebikes: Callable[[Said], int | None] = lambda _: None
    vehicles: Callable[[Said], int | None] = lambda _: None

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
        self._count = Counts()
        self._statuses: dict[str, StationStatus] = {}
        self._information: list[StationInformation] = []
        self._contradictory: list[str] = []
        self._newest = 0

    def snapshot(self) -> Snapshot:
        """Return all stations that can be read.

        ``last_updated`` is the newest stamp of any station. Raises PayloadError
        naming the fields where a needed column has no known spelling, or cannot be
        read at too many stations.
        """
        self._check_fields()
        said = [self._aliases.values(each) for each in self._objects]
        dropped = len(self._stations) - len(said)
        duplicates = 0
        read_id = self._dialect.texts.get("station_id", text)
        for each, station_id in zip(said, distinct(said, read_id), strict=True):
            if station_id is None:
                dropped += 1
            elif station_id in self._statuses:
                duplicates += 1
            else:
                self._add(station_id, each)
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
        )

    def _add(self, station_id: str, said: Said) -> None:
        status = self._status(station_id, said)
        self._statuses[station_id] = status
        self._information.append(self._about(station_id, said, status.capacity))
        updated = self._stamp(said.get("last_updated")) or 0
        self._newest = max(self._newest, status.last_reported or 0, updated)

    def _status(self, station_id: str, said: Said) -> StationStatus:
        get, counted, flag = said.get, self._count, self._dialect.flag
        vehicles, ebikes, docks, vehicles_out, docks_out = (
            counted(name, get(name)) for name in COUNTS
        )
        ebikes = self._dialect.ebikes(said) if ebikes is None else ebikes
        by_type = _contradicting(vehicles, ebikes, self._dialect.vehicles(said))
        if by_type is not None:
            words = f"{station_id}: {vehicles} in all, {by_type} by type"
            self._contradictory.append(words)
        return StationStatus(
            station_id,
            vehicles,
            ebikes,
            docks,
            vehicles_out,
            docks_out,
            counted("capacity", get("capacity")),
            flag(get("is_installed")),
            flag(get("is_renting")),
            flag(get("is_returning")),
            self._stamp(get("last_reported")),
        )

    def _about(
        self, station_id: str, said: Said, capacity: int | None
    ) -> StationInformation:
        lat, lon = place(said.get("lat"), said.get("lon"))
        texts = self._dialect.texts
        read: dict[str, Any] = {
            each: texts.get(each, text)(said.get(each)) for each in TEXTS
        }
        virtual = self._dialect.flag(said.get("is_virtual_station"))
        return StationInformation(
            station_id,
            lat=lat,
            lon=lon,
            capacity=capacity,
            is_virtual_station=virtual,
            **read,
        )

    def _check_fields(self) -> None:
        """Raise PayloadError where no station has a field for a needed column."""
        for column in self._dialect.needed:
            if not self._aliases.fields(column):
                known = self._dialect.table[column]
                raise missing(self._objects, column, known, self._dialect.ours)

    def _check_readable(self, dropped: int) -> None:
        """Raise PayloadError where too many stations cannot be read."""
        total = len(self._stations)
        without = (each for each in self._stations if not _has_id(each, self._aliases))
        too_many_bad(dropped, total, repr(next(without, None)))
        for column in self._dialect.needed:
            number = self._count.unread[column]
            if number > total * MOST_BAD:
                field = " or ".join(self._aliases.fields(column))
                raise PayloadError(
                    f"{number} of {total} stations say a {column} that is no number, "
                    f"such as {self._count.example[column]} (in {field})",
                    cause="drift",
                )

    def _flags(self) -> tuple[str, ...]:
        found = {
            "implausible": bool(self._count.implausible),
            "contradictory": bool(self._contradictory),
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
            example = next((value for value in said if value is not None), None)
            if example is not None and read.isdisjoint(fields):
                read.update(fields)
                names, value = " or ".join(fields), repr(example)[:60]
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


def distinct(
    said: Sequence[Said], read: Callable[[Any], str | None] = text
) -> list[str | None]:
    """Return the id of each station as *read* finds it, None for none.

    Where a publisher gives one id to several stations, and a second key tells them
    apart (``second_id`` of the table), each of these has both: ``id:second``.

    >>> distinct([{"station_id": 1}, {"station_id": "a", "second_id": 7}] * 2)
    ['1', 'a', '1', 'a']
    >>> distinct([{"station_id": "a", "second_id": n} for n in (7, 8)])
    ['a:7', 'a:8']
    """
    ids = [read(each.get("station_id")) for each in said]
    double = {each for each, number in Counter(ids).items() if number > 1}
    seconds: dict[str | None, set[str]] = {each: set() for each in double}
    for station_id, each in zip(ids, said, strict=True):
        if station_id in double and (second := text(each.get("second_id"))):
            seconds[station_id].add(second)
    apart = {each for each, keys in seconds.items() if each and len(keys) > 1}
    return [
        f"{i}:{second}" if i in apart and (second := text(each.get("second_id"))) else i
        for i, each in zip(ids, said, strict=True)
    ]


def _has_id(station: Any, aliases: Aliases) -> bool:
    return isinstance(station, dict) and aliases.said(station, "station_id") is not None
