"""Read a payload into the rows of a block, using the ledger of the system."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from bikecollect.collect import only, quality, station_list
from bikecollect.collect.fetching.clock import clock_is_off
from bikecollect.collect.only import Only
from bikecollect.collect.reading import positions, staleness
from bikecollect.core.logs import Stopwatch
from bikecollect.core.payload import Payload
from bikecollect.core.slots import iso
from bikecollect.core.snapshot import Snapshot, StationInformation, StationStatus
from bikecollect.feeds import Feed
from bikecollect.feeds.imported import station_rows
from bikecollect.storage.csv_format import EncodedRows, Format

if TYPE_CHECKING:
    from bikecollect.storage.csv_store import Store
    from bikecollect.storage.ledger import Ledger


FEW, AT_LEAST = 10, 3
"""Stations of which one should have a name and a place, and new ones at once that may
be known ones with other ids."""
MANY, AT_ONCE = 20, 60
"""At least MANY stations that report within AT_ONCE seconds do not report themselves.
"""


class Understood(NamedTuple):
    """The result of reading a payload: the stations *known* before, rows, new notes."""

    snapshot: Snapshot
    known: Mapping[str, StationInformation]
    block: EncodedRows
    notes: Mapping[str, str]


@dataclass(frozen=True, eq=False, repr=False)
class PayloadReader:
    """Reads payloads of *feed*; it changes only a note in the ledger."""

    feed: Feed
    format: Format
    interval: int
    store: "Store"
    ledger: "Ledger"
    watch: Stopwatch = field(default_factory=Stopwatch)
    only: Only = Only()

    def read(self, payload: Payload, source: str) -> Understood:
        """Return the content of *payload*; raises PayloadError."""
        with self.watch("read"):
            snapshot = self._parse(payload)
        with self.watch("rows"):
            return self._with_known(payload, snapshot, source)

    def _parse(self, payload: Payload) -> Snapshot:
        rows = payload.body(station_rows.DOCUMENT)
        if rows is not None:
            return station_rows.read(rows)
        return self.feed.read(payload.documents)

    def _with_known(
        self, payload: Payload, snapshot: Snapshot, source: str
    ) -> Understood:
        """Return *snapshot* as rows, merged with what the ledger knows."""
        slot = payload.slot
        known = self.ledger.stations(slot, station_list.ids(snapshot))
        notes = self.ledger.notes()
        quality.reject_growth(
            self.ledger,
            slot,
            len(snapshot.statuses),
            "stations",
            notes=notes,
            source=source,
        )
        merged = station_list.merge(snapshot, known, notes, slot)
        stations = {**known, **{s.station_id: s for s in merged.information}}
        snapshot = self._checked(payload, snapshot, merged, known)
        snapshot, reports = self._judged(payload, snapshot, notes)
        snapshot, zone_note = self._with_doubts(
            payload, snapshot, {**notes, **reports}, stations
        )
        silent = notes.get(station_list.SILENT, "")
        new_notes = {
            **merged.notes,
            only.NOTE: self.only.since(notes.get(only.NOTE, ""), slot)[1],
            station_list.SILENT: station_list.silent_note(
                snapshot, stations, silent, slot
            ),
            **reports,
            quality.ZONE_NOTE: zone_note,
        }
        snapshot = self.only.filter(snapshot, stations)
        block = self.format.block(
            slot, payload.fetched_at, snapshot.statuses, stations, snapshot.kinds
        )
        return Understood(snapshot, known, block, new_notes)

    def _judged(
        self, payload: Payload, snapshot: Snapshot, notes: Mapping[str, str]
    ) -> tuple[Snapshot, dict[str, str]]:
        """Return *snapshot*, flagged if it is stale, and the new notes about that."""
        statuses = snapshot.statuses
        judge = partial(staleness.judge, ledger=self.ledger, store=self.store)
        note = notes.get(staleness.NOTE, "")
        is_stale, reports = judge(payload, statuses, note, self.interval)
        new_notes = {staleness.NOTE: reports}
        if _is_uniform(statuses):
            # Needed for such feeds only.
            from bikecollect.collect.reading import uniform

            still = partial(uniform.judge, ledger=self.ledger, store=self.store)
            stands_still, content = still(payload, statuses, notes, self.interval)
            is_stale, new_notes = is_stale or stands_still, {**new_notes, **content}
        flags = _with(snapshot.flags, "stale" if is_stale else "")
        return replace(snapshot, flags=flags), new_notes

    def _with_doubts(
        self,
        payload: Payload,
        snapshot: Snapshot,
        notes: Mapping[str, str],
        stations: Mapping[str, StationInformation],
    ) -> tuple[Snapshot, str]:
        """Return *snapshot* with doubts of its stamps, and the new note on them."""
        of_zone, note = quality.zone_findings(
            payload, snapshot.zone, notes, self.interval, stations.values()
        )
        findings = {**snapshot.findings, **of_zone}
        if not of_zone:
            findings = {**_ahead(snapshot, payload), **findings}
        if snapshot.zone is None:
            findings |= _late(payload, notes, self.interval)
        findings |= self._late_stamp(snapshot, payload)
        if quality.ZONE in of_zone:
            findings.pop(quality.AHEAD, None)
        return replace(snapshot, findings=findings), note

    def _late_stamp(self, snapshot: Snapshot, payload: Payload) -> dict[str, str]:
        """Return a finding if the feed's own stamp is whole hours old, and yet moves.

        Only that of a feed whose stations report no time, which would tell more.
        """
        stamp = snapshot.last_updated
        if stamp is None or not snapshot.is_stamped or _has_reports(snapshot):
            return {}
        age = payload.fetched_at - stamp
        if age <= staleness.OLD or clock_is_off(payload):
            return {}
        before = self.ledger.block_before(payload.slot)
        if before is None or before.last_updated is None:
            return {}
        apart = payload.slot - before.slot
        if abs(stamp - before.last_updated - apart) > apart / 2:
            return {}
        from bikecollect.collect.reading import zone_doubt  # rarely needed

        doubted = zone_doubt.doubt(ZoneInfo("UTC"), age, payload.fetched_at, [])
        if doubted is None:
            return {}
        text = (
            f"the feed's own stamp is about {zone_doubt.span(-doubted.shift)} old, "
            "although it moves from slot to slot: the publisher's clock or time zone "
            "is wrong, or it lags"
        )
        if snapshot.zone is not None:
            text += f', or timezone = "{snapshot.zone}" is wrong'
        return {"late stamp": text}

    def _checked(
        self,
        payload: Payload,
        snapshot: Snapshot,
        merged: station_list.MergedStations,
        known: Mapping[str, StationInformation],
    ) -> Snapshot:
        """Return *snapshot* with the *merged* stations, without implausible counts."""
        new = {station.station_id: station for station in merged.information}
        statuses, odd = quality.drop_implausible(snapshot.statuses, {**known, **new})
        return replace(
            snapshot,
            statuses=statuses,
            information=merged.information,
            lists_all=merged.lists_all,
            flags=_with(snapshot.flags, "implausible" if odd else ""),
            findings={
                **payload.findings,
                **snapshot.findings,
                **merged.findings,
                **quality.implausible_findings(odd, len(statuses)),
                **quality.zero_findings(statuses),
                **quality.renumbering_findings(statuses, known, snapshot.information),
                **quality.ahead_findings(statuses, payload, snapshot.zone),
                **self._of_places(merged.information, known),
                **_respelt(statuses, known, snapshot.information),
                **({} if known else _nameless(snapshot)),
            },
        )

    def _of_places(
        self,
        stations: Sequence[StationInformation],
        known: Mapping[str, StationInformation],
    ) -> dict[str, str]:
        """Return findings about the places of *stations*, and *known* ones before."""
        if known or not stations:
            return positions.findings(stations, known)
        from bikecollect.collect.reading import zone_places  # for the first list only

        return zone_places.first_findings(stations, str(self.format.zone))


def _respelt(
    statuses: Sequence[StationStatus],
    known: Mapping[str, StationInformation],
    listed: Sequence[StationInformation],
) -> dict[str, str]:
    """Return a finding if stations have *known* ids in another spelling.

    If none is known yet, the ids are compared with those *listed*: other ones from the
    start are no change, and their finding has no text.
    """
    ids = [status.station_id for status in statuses]
    before = known.keys() or {station.station_id for station in listed}
    if not before or sum(i not in before for i in ids) < AT_LEAST:
        return {}
    from bikecollect.collect.reading import respelt_ids  # rarely needed

    stations = {station.station_id: station for station in listed}
    found = respelt_ids.respelt_findings(ids, known or stations, stations)
    return found if known else dict.fromkeys(found, "")


def _nameless(snapshot: Snapshot) -> dict[str, str]:
    """Return a finding if no station on a list of its own has a name or a place."""
    if not snapshot.is_listed_apart or len(snapshot.information) < FEW:
        return {}
    told = {word for key in snapshot.findings for word in key.split()}
    lacking = [
        name
        for column, name in {"name": "a name", "lat": "a place (lat, lon)"}.items()
        if column not in told
        and all(getattr(s, column) is None for s in snapshot.information)
    ]
    text = f"no station on the list of stations has {' or '.join(lacking)}: "
    text += "the publisher leaves it out, or names it differently"
    return {"nameless": text} if lacking else {}


def _ahead(snapshot: Snapshot, payload: Payload) -> dict[str, str]:
    """Return a finding if the feed's own stamp is in the future.

    Old data are not noticed by it then. A wrong clock of this machine is reported as
    such.
    """
    stamp, fetched_at = snapshot.last_updated, payload.fetched_at
    is_ahead = stamp is not None and stamp > fetched_at + quality.STALE_AGE
    if not (is_ahead and snapshot.is_stamped):
        return {}
    if quality.AHEAD in snapshot.findings or clock_is_off(payload):
        return {}
    text = f"the feed's own stamp is in the future, {iso(stamp or 0, UTC)}, fetched at "
    text += f"{iso(fetched_at, UTC)}: "
    has_reports = _has_reports(snapshot)
    known = "only the reports of its stations tell its age"
    text += known if has_reports else "it is not known how old its data are"
    if snapshot.zone is not None and not has_reports:
        text += (
            f'; it has no offset from UTC: timezone = "{snapshot.zone}" may be wrong'
        )
    return {"stamp ahead": text}


def _has_reports(snapshot: Snapshot) -> bool:
    return any(status.last_reported for status in snapshot.statuses)


def _late(payload: Payload, notes: Mapping[str, str], interval: int) -> dict[str, str]:
    """Return a finding if stations report all the time, always whole hours late.

    Their stamps have an offset or are numbers, so that no time zone of ours is wrong.
    *notes* have the calibration of the reports.
    """
    reports = staleness.Calibration.from_note(notes[staleness.NOTE])
    if reports is None or reports.content or reports.last <= staleness.OLD:
        return {}
    if reports.slot != payload.slot or clock_is_off(payload):
        return {}
    from bikecollect.collect.reading import zone_doubt  # rarely needed

    utc = ZoneInfo("UTC")
    doubted = zone_doubt.doubt_of_reports(utc, reports, interval, [])
    if doubted is None:
        return {}
    text = (
        f"last_reported is about {zone_doubt.span(-doubted.shift)} old in each slot, "
    )
    text += "although stations report all the time: the publisher's clock or time zone "
    return {"late reports": f"{text}is wrong, or it lags; it is stored unchanged"}


def _is_uniform(statuses: Sequence[StationStatus]) -> bool:
    """Return whether many stations have all reported at once: it is the feed's time."""
    if len(statuses) < MANY:
        return False
    stamps = {status.last_reported for status in statuses}
    times = [stamp for stamp in stamps if stamp is not None]
    return len(times) == len(stamps) and max(times) - min(times) <= AT_ONCE


def _with(flags: tuple[str, ...], flag: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*flags, flag))) if flag else flags
