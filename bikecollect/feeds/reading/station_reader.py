"""Read a list of stations into a snapshot: one reader for all dialects."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any

from bikecollect.core.errors import PayloadError
from bikecollect.core.snapshot import (
    REPORTED_SHARE,
    Snapshot,
    StationInformation,
    StationStatus,
)
from bikecollect.feeds.reading import drift
from bikecollect.feeds.reading.aliases import WHICH, Aliases
from bikecollect.feeds.reading.fields import Dialect
from bikecollect.feeds.reading.json_payload import (
    MAX_BAD,
    Pace,
    excerpt,
    shape,
)
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.values import (
    DAMAGED,
    MAX_TEXT,
    SENTINELS,
    Counts,
    RawCounts,
    distinct,
    flag,
    identifier,
    is_cut,
    place,
    plain_flags,
    plain_texts,
    text,
)

BY_TYPE = ("by_name", "by_type")
RAW_COLUMNS = ("num_vehicles_available", *BY_TYPE)
COUNTS = (
    "num_vehicles_available",
    "num_ebikes_available",
    "num_docks_available",
    "num_vehicles_disabled",
    "num_docks_disabled",
)
FLAGS = ("is_installed", "is_renting", "is_returning", "is_virtual_station")
TEXTS = (
    "name",
    "short_name",
    "address",
    "region",
    "post_code",
    "name_en",
    "address_en",
    "region_en",
)


class StationReader:
    """Reads *stations*, a list of JSON objects in *dialect*."""

    def __init__(
        self, stations: Sequence[Any], dialect: Dialect, stamp: Stamps
    ) -> None:
        self._stations, self._dialect, self._stamp = stations, dialect, stamp
        self._objects = [item for item in stations if type(item) is dict]
        self._aliases = Aliases(dialect.table, self._objects)
        self._count, self._pace = Counts(), Pace()
        self._statuses: dict[str, StationStatus] = {}
        self._information: list[StationInformation] = []
        self._contradictory: list[str] = []
        self._kinds: dict[str, Mapping[str, int]] = {}
        self._kept: Mapping[str, Mapping[str, Any]] = {}
        self._cut = self._newest = self._updated = self._damaged = 0
        self._lost = self._twice = 0
        self._nameless: Mapping[str, str] = {}

    def snapshot(self) -> Snapshot:
        """Return all stations that can be read.

        ``last_updated`` is the newest stamp of the feed, else of any station. Raises
        PayloadError with the field names if a needed column has no known spelling, or
        is invalid at too many stations.
        """
        self._check_fields()
        bad = [item for item in self._stations if type(item) is not dict]
        duplicates = 0
        kept: dict[str, Mapping[str, Any]] = {}
        for station, station_id in zip(self._objects, self._ids(), strict=True):
            if station_id is None:
                bad.append(station)
            elif station_id in kept:
                duplicates += 1
                first, differ = kept[station_id], self._aliases.differ
                self._lost += differ(first, station, WHICH)
                self._twice += differ(first, station, COUNTS)
            else:
                kept[station_id] = station
        self._kept = kept
        self._add(kept)
        self._check_readable(bad)
        return Snapshot(
            statuses=tuple(self._statuses.values()),
            information=tuple(self._information),
            lists_all=True,
            last_updated=self._updated or self._newest or None,
            is_stamped=bool(self._updated),
            shape=shape(self._stations),
            dropped=len(bad),
            duplicates=duplicates,
            flags=self._flags(),
            findings=self._findings(),
            kinds=self._kinds,
            zone=self._stamp.used_zone,
        )

    def _ids(self) -> Sequence[str | None]:
        seconds = self._aliases.column(self._objects, "second_id")
        read = self._dialect.texts.get("station_id", identifier)
        ids = map(read, self._aliases.column(self._objects, "station_id"))
        return distinct(list(ids), seconds)

    def _add(self, kept: Mapping[str, Mapping[str, Any]]) -> None:
        """Read the stations *kept*, by id, by column: most share their fields."""
        if not kept:
            return
        ids = list(kept)
        column = partial(self._aliases.column, list(kept.values()))
        capacity = self._count.column("capacity", column("capacity"))
        raw = column("last_reported")
        self._stamp = self._stamp.of_reports(raw)
        reported = self._parse(self._stamp, raw)
        updated = self._parse(self._stamp, column("last_updated"))
        self._updated = max((stamp or 0 for stamp in updated), default=0)
        self._newest = max((stamp or 0 for stamp in reported), default=0)
        # Some dialects have one field for several flags.
        fields = {name: self._aliases.fields(name) for name in FLAGS}
        columns = {fields[name]: column(name) for name in FLAGS}
        flags = {paths: self._flag_column(values) for paths, values in columns.items()}
        installed, renting, returning, virtual = (flags[fields[name]] for name in FLAGS)
        vehicles, ebikes, *others = (
            self._count.column(name, column(name)) for name in COUNTS
        )
        by_type = any(self._aliases.fields(name) for name in BY_TYPE)
        if by_type or self._dialect.kinds:
            values = zip(*(column(name) for name in RAW_COLUMNS), strict=True)
            raw = [dict(zip(RAW_COLUMNS, row, strict=True)) for row in values]
            ebikes = self._by_type(ids, raw, vehicles, ebikes)
        else:
            self._contradictory += [
                f"{station_id}: {total} in all, {number} e-bikes"
                for station_id, total, number in zip(ids, vehicles, ebikes, strict=True)
                if total is not None and (number or 0) > total
            ]
        status = (vehicles, ebikes, *others, capacity, installed, renting, returning)
        rows = zip(ids, *status, reported, strict=True)
        self._statuses = {row[0]: StationStatus._make(row) for row in rows}
        read: dict[str, Sequence[Any]] = {"station_id": ids, "capacity": capacity}
        read["is_virtual_station"] = virtual
        self._describe(column, read)

    def _describe(
        self, column: Callable[[str], Sequence[Any]], read: Mapping[str, Sequence[Any]]
    ) -> None:
        """Read the names and places of the stations; other columns are *read*."""
        lat, lon = zip(*map(place, column("lat"), column("lon")), strict=True)
        texts = {name: self._texts(name, column(name)) for name in TEXTS}
        by_name = {**read, **texts, "lat": lat, "lon": lon}
        by_name["is_listed"] = [True] * len(lat)
        rows = zip(*(by_name[name] for name in StationInformation._fields), strict=True)
        self._information = list(map(StationInformation._make, rows))

    def _parse(
        self, parse: Callable[[Any], Any], values: Sequence[Any]
    ) -> Sequence[Any]:
        """Return *values* parsed by *parse*; None stays None."""
        if values.count(None) == len(values):
            return values
        parsed: list[Any] = []
        for part in self._pace(values):
            parsed += [None if value is None else parse(value) for value in part]
        return parsed

    def _flag_column(self, values: Sequence[Any]) -> Sequence[bool | None]:
        """Return *values* as flags."""
        parse = self._dialect.flag
        plain = plain_flags(values) if parse is flag else None
        return self._parse(parse, values) if plain is None else plain

    def _texts(self, name: str, values: Sequence[Any]) -> Sequence[str | None]:
        """Return *values* as texts of the column *name*; count cut and damaged ones."""
        parse = self._dialect.texts.get(name, text)
        plain = plain_texts(values) if parse is text else None
        if plain is not None:
            return plain
        parsed = self._parse(parse, values)
        texts = [text for text in parsed if text]
        self._cut += sum(map(is_cut, texts))
        self._damaged += sum(DAMAGED in text for text in texts)
        return parsed

    def _by_type(
        self,
        ids: Sequence[str],
        raw: Sequence[RawCounts],
        vehicles: Sequence[int | None],
        ebikes: Sequence[int | None],
    ) -> list[int | None]:
        """Return the e-bikes of each station; collect contradictions of *vehicles*."""
        numbers = []
        rows = list(zip(ids, raw, vehicles, ebikes, strict=True))
        for station_id, counts, total, named in chain.from_iterable(self._pace(rows)):
            number = self._dialect.ebikes(counts) if named is None else named
            if number in SENTINELS:
                number = self._count("num_ebikes_available", number)
            by_type = _contradicting(total, number, self._dialect.vehicles(counts))
            if by_type is not None:
                text = f"{station_id}: {total} in all, {by_type} by type"
                self._contradictory.append(text)
            numbers.append(number)
            if self._dialect.kinds and (kinds := self._dialect.kinds(counts, number)):
                self._kinds[station_id] = kinds
        return numbers

    def _check_fields(self) -> None:
        """Raise PayloadError if no station has a field for a needed column."""
        if self._stations and not self._objects:
            raise drift.no_objects(self._stations)
        for column in self._dialect.needed:
            if not self._aliases.fields(column):
                spellings = self._dialect.table[column]
                known = self._dialect.known_fields
                raise drift.missing_column(self._objects, column, spellings, known)

    def _check_readable(self, bad: Sequence[Any]) -> None:
        """Raise PayloadError if too many stations cannot be read: *bad* have no id."""
        total = len(self._stations)
        if bad:
            example = excerpt(bad[0])
            drift.check_bad(len(bad), total, example)
            self._nameless = drift.nameless(len(bad), total, "stations", example)
        for column in self._dialect.needed:
            number = self._count.unread[column]
            if number > total * MAX_BAD:
                field = " or ".join(self._aliases.fields(column))
                raise PayloadError(
                    f"{column} is not a number at {number} of {total} stations "
                    f"(in {field})",
                    cause="drift",
                    quote=f", such as {self._count.unread_example[column]}",
                )

    def _flags(self) -> tuple[str, ...]:
        flags = {
            "implausible": bool(self._count.implausible or self._count.unread),
            "contradictory": bool(self._contradictory),
            "cut": bool(self._cut),
        }
        return tuple(name for name, is_set in flags.items() if is_set)

    def _findings(self) -> dict[str, str]:
        """Return sentences to report once, by a key that is stable."""
        total, odd = len(self._statuses), self._contradictory
        fields = {name: self._aliases.fields(name) for name in (*COUNTS, "capacity")}
        findings = {**self._nameless, **self._empty(), **self._unread()}
        findings |= drift.rivals(fields, list(self._kept.values()))
        for column, number in self._count.implausible.items():
            if number >= total * REPORTED_SHARE:
                findings[f"implausible {column}"] = (
                    f"{column} is implausible at {number} of {total} stations, such as "
                    f"{self._count.example[column]}: it is left empty there"
                )
        if self._cut:
            findings["cut"] = (
                f"{self._cut} texts of stations are longer than {MAX_TEXT} bytes and "
                "were truncated"
            )
        if self._damaged:
            findings["damaged texts"] = (
                f"{self._damaged} texts of stations are not valid UTF-8: their damaged "
                f"characters are stored as {DAMAGED}"
            )
        if self._lost:
            text = "rows with the id of a station of another name or place"
            findings["shared ids"] = f"{text} are not stored: {self._lost}"
        if self._twice > len(self._stations) * MAX_BAD:
            text = f"{self._twice} of {len(self._stations)} rows repeat an earlier id"
            text += " with other counts: only the first row of each id is stored"
            findings["repeated ids"] = text
        if odd and len(odd) >= total * REPORTED_SHARE:
            findings["contradictory"] = (
                f"the total of vehicles is less than the e-bikes or the counts by type "
                f"at {len(odd)} of {total} stations, such as {odd[0]}: both are stored "
                "unchanged"
            )
        return findings

    def _empty(self) -> dict[str, str]:
        """Return a sentence for each needed count that is null at every station.

        Its key is that of a field that becomes null later.
        """
        columns = [name for name in self._dialect.needed if name in COUNTS]
        odd = {*self._count.implausible, *self._count.unread}
        return {
            f"null {field}": f"field {field} is null at every station"
            for name in columns
            for field in self._aliases.fields(name)[:1]
            if name not in odd and self._is_empty(name)
        }

    def _is_empty(self, column: str) -> bool:
        values = map(attrgetter(column), self._statuses.values())
        return bool(self._statuses) and all(value is None for value in values)

    def _unread(self) -> dict[str, str]:
        """Return a sentence for each column with values that cannot be read."""
        columns: dict[str, drift.Column] = {}
        raw = partial(self._aliases.column, list(self._kept.values()))
        stored = {*StationInformation._fields, *StationStatus._fields} - {"lon"}
        for name in filter(self._aliases.fields, self._dialect.table):
            if name not in stored or self._count.implausible[name]:
                continue
            rows: Sequence[Any] = tuple(self._statuses.values())
            if name in StationInformation._fields:
                rows = self._information
            values = list(map(attrgetter(name), rows))
            read = raw(name) if None in values else values
            if name == "lat" and read is not values:
                read = list(zip(read, raw("lon"), strict=True))
            of_lon = self._aliases.fields("lon")
            fields = self._aliases.fields(name)
            columns[name] = drift.Column(values, read, fields, of_lon)
        return drift.unread(columns)


def _contradicting(
    vehicles: int | None, ebikes: int | None, by_type: int | None
) -> int | None:
    """Return the count by type that contradicts the total *vehicles*, if any."""
    if vehicles is None:
        return None
    if ebikes is not None and ebikes > vehicles:
        return ebikes
    return by_type if by_type and not vehicles else None
