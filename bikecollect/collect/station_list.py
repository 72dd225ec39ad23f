"""The station list: merge the information of a snapshot into the known stations."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from bikecollect.collect.reading.vanished_fields import FIELDS, VanishedFields
from bikecollect.core.slots import DAY, Slot
from bikecollect.core.snapshot import Snapshot, StationInformation

if TYPE_CHECKING:
    from bikecollect.storage.ledger import Ledger

MANY, MAX_LISTS = 500, 3
"""The stations of a list, or MANY if it has fewer, may change MAX_LISTS times a day: a
list that differs in every slot would fill the disk."""
OWN = "bikecollect.information"
"""The note of a system that publishes a separate station list."""
VANISHED = "bikecollect.vanished"
"""The note of vanished fields: stations by field and by the first slot without it."""
SILENT = "bikecollect.silent"
"""The note of listed stations without a row: ids by the first slot without a row."""
MAX_SILENT = 500
"""Maximum stations in that note; if there are more, rows are no evidence."""
MAX_LISTED = 120_000
"""Maximum stations on the list; a snapshot has at most 100,000."""
Known = Mapping[str, StationInformation]


class MergedStations(NamedTuple):
    """The *information* valid from now on, the notes to store, and findings.

    *lists_all* is set if a station that is not listed has left the system.
    """

    information: tuple[StationInformation, ...]
    lists_all: bool = False
    notes: Mapping[str, str] = {}
    findings: Mapping[str, str] = {}


def ids(snapshot: Snapshot) -> set[str]:
    """Return the ids of all stations in *snapshot*."""
    statuses = {status.station_id for status in snapshot.statuses}
    return statuses | {station.station_id for station in snapshot.information}


def merge(
    snapshot: Snapshot, known: Known, notes: Mapping[str, str], slot: Slot
) -> MergedStations:
    """Merge the stations of *snapshot*, in *slot*, with the *known* ones.

    A separate station list takes precedence over information beside the counts, which
    only fills gaps. A field that vanishes keeps its last value for a day.
    """
    return _limited(_merged(snapshot, known, notes, slot), known)


def _merged(
    snapshot: Snapshot, known: Known, notes: Mapping[str, str], slot: Slot
) -> MergedStations:
    if snapshot.secondary and notes.get(OWN):
        filled = tuple(
            _fill_gaps(station, known.get(station.station_id))
            for station in snapshot.information
        )
        return _expired(MergedStations(filled), known, notes, slot)
    if not snapshot.information:
        return _expired(MergedStations(()), known, notes, slot)
    vanished = VanishedFields(notes.get(VANISHED, ""), slot)
    stations = tuple(
        [
            station
            if (before := known.get(station.station_id)) == station
            else vanished.restore(station, before)
            for station in snapshot.information
        ]
    )
    findings = vanished.findings(len(stations))
    new_notes = {VANISHED: vanished.note()}
    new_notes |= {} if snapshot.secondary else {OWN: "yes"}
    return MergedStations(stations, snapshot.lists_all, new_notes, findings)


def _limited(stations: MergedStations, known: Known) -> MergedStations:
    """Return *stations* without new ones that exceed `MAX_LISTED`.

    The cost of a run grows with the list, so its length must be limited.
    """
    if len(known) + len(stations.information) <= MAX_LISTED:
        return stations
    room = MAX_LISTED - sum(station.is_listed for station in known.values())
    new = sum(station.station_id not in known for station in stations.information)
    if new <= room:
        return stations
    kept = []
    for station in stations.information:
        is_known = station.station_id in known
        room -= not is_known
        if room >= 0 or is_known:
            kept.append(station)
    text = (
        f"more than {MAX_LISTED} stations within a day: {new} new ones have rows, but "
        "not all of them are added to the station list"
    )
    findings = {**stations.findings, "many stations": text}
    return stations._replace(information=tuple(kept), findings=findings)


def _fill_gaps(
    station: StationInformation, before: StationInformation | None
) -> StationInformation:
    """Return *before* with its empty fields filled from *station*."""
    if before is None:
        return station
    gaps: dict[str, Any] = {
        name: value
        for name, value in zip(FIELDS, station[1:-1], strict=True)
        if value is not None and getattr(before, name) is None
    }
    return before._replace(**gaps)


def _expired(
    stations: MergedStations, known: Known, notes: Mapping[str, str], slot: Slot
) -> MergedStations:
    """Return *stations* without vanished values that were kept for a day.

    It is used for a snapshot without a station list, which may just be unchanged.
    """
    note = notes.get(VANISHED, "")
    if not note:
        return stations
    vanished = VanishedFields(note, slot)
    merged = {station.station_id: station for station in stations.information}
    for station_id, names in vanished.take_expired().items():
        if before := merged.get(station_id) or known.get(station_id):
            blank: dict[str, Any] = dict.fromkeys(names)
            merged[station_id] = before._replace(**blank)
    return stations._replace(
        information=tuple(merged.values()), notes={VANISHED: vanished.note()}
    )


class Changes(NamedTuple):
    """New *versions* of stations, and the slots since which some are *absent*.

    *absent* is None if that is unknown or as before. *left* maps a slot to the last
    versions of the stations that left in it. *trouble* is a text for people, empty if
    there is none; *findings* are as in a snapshot.
    """

    versions: Sequence[StationInformation] = ()
    absent: Mapping[str, int] | None = None
    left: Mapping[Slot, Sequence[StationInformation]] = {}
    trouble: str = ""
    findings: Mapping[str, str] = {}


def find_changes(
    snapshot: Snapshot,
    known: Known,
    slot: Slot,
    *,
    notes: Mapping[str, str],
    ledger: "Ledger",
    is_partial: bool,
) -> Changes:
    """Return how the station list of *snapshot*, in *slot*, differs from *known*.

    *notes* has the `silent_note` of the slot. If the payload has no list, it is
    unchanged and still lacks the same stations. No station is absent from a list that
    *is_partial*, nor newly absent if as many rows have no id.
    """
    if _is_old(snapshot):
        snapshot, is_partial = _unknown(snapshot, known), True
    if slot < ledger.newest_stations():
        return Changes(_dated_back(snapshot, known, slot, ledger))
    versions = [
        station
        for station in snapshot.information
        if known.get(station.station_id) != station
    ]
    most = MAX_LISTS * max(len(snapshot.information), MANY)
    findings: dict[str, str] = {}
    if versions and len(ledger.versions_since(Slot(slot - DAY))) >= most:
        if len(versions) > MANY:
            number = len(versions)
            text = f"{number} stations changed again: the station list is not written"
            return Changes(trouble=text)
        changed = [v for v in versions if _is_listed(v.station_id, known)]
        findings = _restless(changed, known, most)
        versions = [v for v in versions if not _is_listed(v.station_id, known)]
    if is_partial:
        return Changes(versions, findings=findings)
    before = ledger.absent()
    missing = _missing(snapshot, known, before)
    if not missing and not before:
        return Changes(versions, findings=findings)
    silent = _silent_since(notes.get(SILENT, ""))
    since = {
        station_id: before.get(station_id) or _first_without(silent, station_id, slot)
        for station_id in sorted(missing)
    }
    new = {version.station_id for version in versions}
    absent, left = _departed(since, known, slot, new, ledger)
    new_absent = absent if absent != before else None
    return Changes(versions, new_absent, left, findings=findings)


def _missing(snapshot: Snapshot, known: Known, before: Collection[str]) -> set[str]:
    """Return the stations that the list of *snapshot* lacks; *before* if it has none.

    A station may be missing only because its row has no id.
    """
    if not snapshot.lists_all:
        return set(before)
    listed = {station.station_id for station in snapshot.information}
    missing = {i for i, station in known.items() if station.is_listed} - listed
    new = missing.difference(before)
    if not snapshot.is_listed_apart and len(new) <= snapshot.dropped:
        return missing - new
    return missing


def _is_listed(station_id: str, known: Known) -> bool:
    """Return whether a station is *known* and has not left."""
    station = known.get(station_id)
    return station is not None and station.is_listed


def _restless(
    versions: Sequence[StationInformation], known: Known, most: int
) -> dict[str, str]:
    """Return a finding about *versions* of known stations that are too many."""
    changes = Counter(
        name
        for station in versions
        for name, old, new in zip(
            FIELDS, known[station.station_id][1:], station[1:], strict=False
        )
        if old != new
    )
    if not changes:
        return {}
    ((name, _),) = changes.most_common(1)
    text = (
        f"the station list has changed {most} times within a day, mostly in {name}: "
        "until it changes less, only stations that come and leave are written to it"
    )
    return {"restless list": text}


def _dated_back(
    snapshot: Snapshot, known: Known, slot: Slot, ledger: "Ledger"
) -> list[StationInformation]:
    """Return the versions that begin at *slot*, if it is filled after later slots.

    If every payload has a list, the next block must have another version of the
    station: otherwise it changed back in between.
    """
    later, following = ledger.later_versions(slot), ledger.next_block(slot)
    versions = []
    for station in snapshot.information:
        since, is_older = later.get(station.station_id, (None, True))
        is_next = since is not None and (snapshot.is_listed_apart or since == following)
        if is_next and not (is_older and known.get(station.station_id) == station):
            versions.append(station)
    return versions


def _is_old(snapshot: Snapshot) -> bool:
    """Return whether the list is old content, with which stations would change back.

    A list in a separate document may be fresh although the status is stale.
    """
    is_stale = "stale" in snapshot.flags
    return is_stale and bool(snapshot.information) and not snapshot.is_listed_apart


def _unknown(snapshot: Snapshot, known: Known) -> Snapshot:
    """Return *snapshot* with the information of stations that are not *known*.

    Their rows would have no name and no place, and there is nothing to change back.
    """
    new = (s for s in snapshot.information if s.station_id not in known)
    return replace(snapshot, information=tuple(new))


def _departed(
    since: Mapping[str, int],
    known: Known,
    slot: Slot,
    changed: Collection[str],
    ledger: "Ledger",
) -> tuple[dict[str, int], dict[Slot, list[StationInformation]]]:
    """Return the stations that are only absent, and those that have left.

    Stations may vanish from a list for one poll: only after a day is a station recorded
    as having left, from the first slot without it that is after its last version. Those
    that are *changed* in this slot stay for another one.
    """
    absent = {i: t for i, t in since.items() if slot - t < DAY or i in changed}
    gone = {i: t for i, t in since.items() if i not in absent and _is_listed(i, known)}
    oldest = min(gone.values(), default=slot)
    newest = dict(ledger.versions_since(Slot(oldest - 1))) if gone else {}
    left: dict[Slot, list[StationInformation]] = {}
    for station_id, first in gone.items():
        last = newest.get(station_id, 0)
        after = first if last < first else ledger.next_block(Slot(last)) or slot
        station = known[station_id]._replace(is_listed=False)
        left.setdefault(Slot(after), []).append(station)
    return absent, dict(sorted(left.items()))


def silent_note(snapshot: Snapshot, known: Known, note: str, slot: Slot) -> str:
    """Return the note of listed stations without a row, by their first such slot.

    A list may be fetched only once a day, but rows end at the slot at which a station
    left. *note* is the previous one.
    """
    reported = {status.station_id for status in snapshot.statuses}
    silent = [i for i, s in known.items() if s.is_listed and i not in reported]
    if len(silent) > MAX_SILENT:
        return ""
    before = _silent_since(note)
    since: dict[str, list[str]] = {}
    for station_id in sorted(silent):
        since.setdefault(str(before.get(station_id, slot)), []).append(station_id)
    return json.dumps(since, sort_keys=True) if since else ""


def _silent_since(note: str) -> dict[str, int]:
    """Return by station id the first slot without a row, from *note*."""
    by_slot: dict[str, list[str]] = json.loads(note or "{}")
    return {i: int(since) for since, ids in by_slot.items() for i in ids}


def _first_without(silent: Mapping[str, int], station_id: str, slot: Slot) -> int:
    """Return the first slot without a station that is not in the list of *slot*.

    If a station was listed for months without any row, the list decides.
    """
    since = silent.get(station_id, slot)
    return since if slot - since < DAY else slot
