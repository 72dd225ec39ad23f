"""The list of stations: what a snapshot says of them, beside what is known."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bikecollect.core.slots import DAY, Slot
from bikecollect.core.snapshot import Snapshot, StationInformation

if TYPE_CHECKING:
    from bikecollect.storage.ledger import Ledger

MANY, MOST_LISTS = 500, 3
"""Stations that change at once, and how often a day as many as the list has may: what
is another list in each slot would fill the disk."""
OWN = "bikecollect.information"
"""The note that says: this system has a list of stations of its own."""
VANISHED = "bikecollect.vanished"
"""The note of fields that vanished: by field and first slot, the stations."""
MOST_TOLD = 0.05
"""Share of the stations from which on people are told."""
MOST_LISTED = 120_000
"""Stations that are on the list at a time; a snapshot holds 100,000 at most."""
FIELDS = StationInformation._fields[1:-1]
Known = Mapping[str, StationInformation]


class Settled(NamedTuple):
    """The *information* that holds from now on, and what to remember and to tell.

    *lists_all* says that a station that is not among them has left.
    """

    information: tuple[StationInformation, ...]
    lists_all: bool = False
    notes: Mapping[str, str] = {}
    findings: Mapping[str, str] = {}


def ids(snapshot: Snapshot) -> set[str]:
    """Return the stations that *snapshot* speaks of."""
    about = (snapshot.statuses, snapshot.information)
    return {each.station_id for stations in about for each in stations}


def settled(
    snapshot: Snapshot, known: Known, notes: Mapping[str, str], slot: Slot
) -> Settled:
    """Return what *snapshot* says of the stations, in *slot*, beside what is *known*.

    A list of its own counts more than what a status says beside the counts: that only
    fills gaps. A field that vanishes keeps its last value for a day.
    """
    return _bounded(_settled(snapshot, known, notes, slot), known)


def _settled(
    snapshot: Snapshot, known: Known, notes: Mapping[str, str], slot: Slot
) -> Settled:
    if snapshot.secondary and notes.get(OWN):
        pairs = ((each, known.get(each.station_id)) for each in snapshot.information)
        filled = tuple(_filled(each, before) for each, before in pairs)
        return _expired(Settled(filled), known, notes, slot)
    if not snapshot.information:
        return _expired(Settled(()), known, notes, slot)
    vanished = _Vanished(notes.get(VANISHED, ""), slot)
    kept = tuple(
        vanished.kept(each, known.get(each.station_id)) for each in snapshot.information
    )
    told = vanished.findings(len(kept))
    remembered = {VANISHED: vanished.note()}
    remembered |= {} if snapshot.secondary else {OWN: "yes"}
    return Settled(kept, snapshot.lists_all, remembered, told)


def _bounded(stations: Settled, known: Known) -> Settled:
    """Return *stations* without those that are new beyond what the list may hold.

    Each run costs what the list holds: it must not grow by whatever a feed makes up.
    """
    room = MOST_LISTED - sum(each.is_listed for each in known.values())
    new = sum(each.station_id not in known for each in stations.information)
    if new <= room:
        return stations
    kept = []
    for each in stations.information:
        if each.station_id not in known:
            room -= 1
        if room >= 0 or each.station_id in known:
            kept.append(each)
    text = (
        f"more than {MOST_LISTED} stations within a day: {new} new ones have rows, but "
        "not all of them are put on the list"
    )
    findings = {**stations.findings, "many stations": text}
    return stations._replace(information=tuple(kept), findings=findings)


def _filled(
    station: StationInformation, before: StationInformation | None
) -> StationInformation:
    """Return what is known *before*, with its gaps filled from *station*."""
    if before is None:
        return station
    gaps: dict[str, Any] = {
        name: value
        for name, value in zip(FIELDS, station[1:-1], strict=True)
        if value is not None and getattr(before, name) is None
    }
    return before._replace(**gaps)


def _expired(
    stations: Settled, known: Known, notes: Mapping[str, str], slot: Slot
) -> Settled:
    """Return *stations* without the values that were kept for a day.

    For a snapshot that brings no list of its own: an unchanged list comes no more.
    """
    note = notes.get(VANISHED, "")
    if not note:
        return stations
    vanished = _Vanished(note, slot)
    here = {each.station_id: each for each in stations.information}
    for station_id, names in vanished.over().items():
        if before := here.get(station_id) or known.get(station_id):
            blank: dict[str, Any] = dict.fromkeys(names)
            here[station_id] = before._replace(**blank)
    return stations._replace(
        information=tuple(here.values()), notes={VANISHED: vanished.note()}
    )


class Changes(NamedTuple):
    """The new *versions* of stations, and since when which are *absent* from the list.

    None for the latter: there is no word on that. *trouble* is for people.
    """

    versions: Sequence[StationInformation] = ()
    absent: Mapping[str, int] | None = None
    trouble: str = ""


def changed(
    snapshot: Snapshot,
    known: Known,
    flags: Collection[str],
    slot: Slot,
    ledger: "Ledger",
) -> Changes:
    """Return what the list of *snapshot*, in *slot*, says that is not *known*."""
    if not snapshot.information or slot < ledger.newest_stations():
        return Changes()
    versions = [
        each for each in snapshot.information if known.get(each.station_id) != each
    ]
    most = MOST_LISTS * len(snapshot.information)
    if len(versions) > MANY and ledger.versions_since(Slot(slot - DAY)) >= most:
        text = f"{len(versions)} stations are others again: their list is not written"
        return Changes(trouble=text)
    absent = None
    if snapshot.lists_all and not {"partial", "short"} & set(flags):
        absent, left = _absent(slot, snapshot, known, ledger.absent())
        versions += left
    return Changes(versions, absent)


def _absent(
    slot: Slot, snapshot: Snapshot, known: Known, before: Mapping[str, int]
) -> tuple[dict[str, int] | None, list[StationInformation]]:
    """Return who is missing since when, and who has been for a whole day.

    Stations vanish from a list for a poll and return: only a day's absence is
    written down as having left.
    """
    listed = {each.station_id for each in snapshot.information}
    missing = {i for i, each in known.items() if each.is_listed} - listed
    if not missing and not before:
        return None, []
    since = {each: before.get(each, slot) for each in sorted(missing)}
    left = [i for i, first in since.items() if slot - first >= DAY]
    for each in left:
        del since[each]
    return since, [known[i]._replace(is_listed=False) for i in left]


class _Vanished:
    """Which fields of which stations have vanished, and since when."""

    def __init__(self, note: str, slot: Slot) -> None:
        self._slot = slot
        self._before: dict[str, dict[str, int]] = {
            name: {i: int(since) for since, ids in by_slot.items() for i in ids}
            for name, by_slot in json.loads(note or "{}").items()
        }
        self._now: dict[str, dict[str, int]] = {}

    def kept(
        self, station: StationInformation, before: StationInformation | None
    ) -> StationInformation:
        """Return *station* with what has vanished of *before* for less than a day."""
        if before is None or station == before:
            return station
        values: dict[str, Any] = {}
        for name, value, old in zip(FIELDS, station[1:], before[1:], strict=False):
            if value is not None or old is None:
                continue
            since = self._since(name, station.station_id)
            if self._slot - since < DAY:
                self._now.setdefault(name, {})[station.station_id] = since
                values[name] = old
        return station._replace(**values) if values else station

    def over(self) -> dict[str, list[str]]:
        """Return by station the fields whose day is over; keep the others in mind."""
        found: dict[str, list[str]] = {}
        for name, stations in self._before.items():
            for station_id, since in stations.items():
                if self._slot - since >= DAY:
                    found.setdefault(station_id, []).append(name)
                else:
                    self._now.setdefault(name, {})[station_id] = since
        return found

    def note(self) -> str:
        """Return what to remember, empty for nothing."""
        by_slot: dict[str, dict[str, list[str]]] = {}
        for name, stations in self._now.items():
            for station_id, since in stations.items():
                slots = by_slot.setdefault(name, {})
                slots.setdefault(str(since), []).append(station_id)
        return json.dumps(by_slot, sort_keys=True) if by_slot else ""

    def findings(self, total: int) -> dict[str, str]:
        """Return a sentence for each field that has vanished at many stations."""
        return {
            f"vanished {name}": (
                f"{name} has vanished from what is said of {len(stations)} of {total} "
                f"stations, such as {next(iter(stations))}: its last value is kept "
                "for a day"
            )
            for name, stations in self._now.items()
            if len(stations) >= total * MOST_TOLD
        }

    def _since(self, name: str, station_id: str) -> int:
        return self._before.get(name, {}).get(station_id, self._slot)
