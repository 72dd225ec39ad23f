"""The quality of a snapshot: flags for anomalies, and implausible numbers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bikecollect.collect.fetching.clock import clock_is_off
from bikecollect.collect.reading import staleness
from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Payload
from bikecollect.core.slots import DAY, HOUR, Slot, iso
from bikecollect.core.snapshot import (
    CAPACITY,
    REPORTED_SHARE,
    Snapshot,
    StationInformation,
    StationStatus,
    VehicleSnapshot,
    VehicleStatus,
)

if TYPE_CHECKING:
    from bikecollect.core.blocks import Block
    from bikecollect.storage.ledger import Ledger

AHEAD, ZONE = "ahead", "time zone"
"""The keys of findings about stamps: of the future, and read in a wrong zone."""
ZONE_NOTE = "bikecollect.zone"
"""The note about a doubt of the zone."""
BACK, OFTEN = "bikecollect.back", 6
"""The note about returns to older data, and how many of them are reported."""
GROWTH = "bikecollect.growth"
"""The note about a sudden growth of a system."""
STALE_AGE = 900.0
LATE = 150.0
FEW, MAX_GROWTH, PROBATION = 5_000, 10, 3_600
"""More than FEW stations that are MAX_GROWTH times the usual number are rejected for
PROBATION seconds."""
MAX_OF_CAPACITY, FEW_VEHICLES = 10, 50
"""The factor by which a count may exceed the capacity, and a number that is possible at
any station: a public rack has a capacity of one or two."""
MANY_ZERO, MANY_DOCKLESS = 5, 20
"""So many stations are not all empty at once: those without docks may be, if few."""
FEW_KNOWN = 0.1
"""Minimum share of known stations; with less, the ids count as changed."""


def flags(
    payload: Payload,
    snapshot: Snapshot | VehicleSnapshot,
    ledger: "Ledger | None",
    interval: int,
    since: int = 0,
) -> tuple[str, ...]:
    """Return the flags of the block of *snapshot*, words for what is unusual about it.

    *interval* is in seconds. Blocks before *since*, all without *ledger*, do not count.
    """
    before = ledger.block_before(payload.slot) if ledger else None
    rows = (ledger and ledger.usual_rows(payload.slot, since)) or 0
    usual = max(rows, snapshot.total or 0)
    incomplete = snapshot.incomplete or payload.incomplete or payload.beside
    raised = {
        "partial": bool(snapshot.dropped or incomplete),
        "dup": bool(snapshot.duplicates),
        "short": bool(usual and len(snapshot.statuses) * 2 < usual),
        "stale": "stale" in snapshot.flags
        or _is_stale(payload, snapshot, before, ledger),
        "clock": clock_is_off(payload),
        "late": payload.fetched_at - payload.slot > min(LATE, interval / 2),
    }
    words = (*(flag for flag, is_set in raised.items() if is_set), *snapshot.flags)
    return tuple(dict.fromkeys(words))


def check_growth(
    rows: int, usual: int | None, note: str, slot: int
) -> tuple[str, bool]:
    """Return the note about a growth, empty if there is none, and whether to reject it.

    More than ten times the *usual* number of stations is rejected until it has been
    reported for an hour. *note* is the previous one: first and latest slot of it.

    >>> check_growth(60_000, 1_500, "", 300)
    ('300 300', True)
    >>> check_growth(60_000, 1_500, "300 3600", 3_900)
    ('300 3900', False)
    >>> check_growth(60_000, 1_500, "0 300", 9_000)
    ('9000 9000', True)
    >>> check_growth(1_600, 1_500, "0 300", 600)
    ('', False)
    """
    if not usual or rows <= max(FEW, MAX_GROWTH * usual):
        return "", False
    first, last = map(int, note.split()) if note else (slot, slot)
    first = slot if slot - last > PROBATION else first
    return f"{first} {slot}", slot - first < PROBATION


def reject_growth(
    ledger: "Ledger",
    slot: Slot,
    rows: int,
    unit: str,
    *,
    notes: Mapping[str, str],
    source: str,
) -> None:
    """Raise PayloadError if there are far more *rows* than usual, in the first hour.

    *unit* is "stations" or "vehicles"; *notes* are those of *ledger*. They are accepted
    if *source* is a `backfill`.
    """
    usual, before = ledger.usual_rows(slot), notes.get(GROWTH, "")
    note, doubted = check_growth(rows, usual, before, slot)
    if note != before and ledger.is_newest(slot):
        ledger.remember({GROWTH: note})
    if doubted and not source.startswith("backfill"):
        raise PayloadError(
            f"{rows} {unit} instead of the usual {usual}: accepted once reported "
            "for an hour; `bikecollect backfill` commits them now",
            cause="growth",
        )


def _is_stale(
    payload: Payload,
    snapshot: Snapshot | VehicleSnapshot,
    before: "Block | None",
    ledger: "Ledger | None",
) -> bool:
    """Return whether the feed's stamp is old, unchanged, or earlier than before."""
    stamp = snapshot.last_updated
    if stamp is None or not snapshot.is_stamped:
        return False
    is_old = payload.fetched_at - stamp > STALE_AGE
    if ledger is None or before is None or before.last_updated is None:
        return is_old and not _has_news(payload, snapshot)
    is_near = payload.slot - before.slot < HOUR
    if is_near and before.last_updated == snapshot.other_stamp:
        return True  # the same text: it looks new after as long as the offset from UTC
    if before.last_updated == stamp:
        return is_old or payload.slot - before.slot >= max(snapshot.ttl or 0, 60)
    if is_old:
        return not _has_news(payload, snapshot)
    return before.last_updated > stamp and _is_behind(stamp, payload.slot, ledger)


def _has_news(payload: Payload, snapshot: Snapshot | VehicleSnapshot) -> bool:
    """Return whether a station has just reported, so that the feed's stamp is wrong."""
    if not isinstance(snapshot, Snapshot):
        return False
    reports = staleness.read_reports(snapshot.statuses, payload.fetched_at)
    return reports is not None and abs(reports.age) <= STALE_AGE


def _is_behind(stamp: int, slot: Slot, ledger: "Ledger") -> bool:
    """Return whether *stamp* is before that of the last block that is not stale."""
    fresh = ledger.fresh_block_before(slot)
    if fresh is None or fresh.last_updated is None:
        return False
    is_error = fresh.last_updated > fresh.fetched_at + staleness.AHEAD
    return not is_error and fresh.last_updated - stamp >= staleness.FALL


def back_findings(
    payload: Payload, snapshot: Snapshot, flags: Sequence[str], ledger: "Ledger"
) -> tuple[dict[str, str], dict[str, str]]:
    """Return a finding if the feed goes back to older data again and again.

    Each time at most a day after the last one. The second result is the note to store:
    how often that was, and the last slot of them. *flags* are those of the slot.
    """
    stamp = snapshot.last_updated
    if "stale" not in flags or stamp is None:
        return {}, {}
    before = ledger.block_before(payload.slot)
    goes_back = before is not None and (before.last_updated or 0) > stamp
    if not goes_back or not _is_behind(stamp, payload.slot, ledger):
        return {}, {}
    count, last = map(int, ledger.notes().get(BACK, "0 0").split())
    number = count + 1 if payload.slot - last <= DAY else 1
    note = {BACK: f"{number} {payload.slot}"}
    text = (
        f"{number} times the feed went back to older data, now to those of "
        f"{iso(stamp, UTC)}: one of its servers or caches is behind"
    )
    return {"back": text} if number >= OFTEN else {}, note


def drop_implausible(
    statuses: Sequence[StationStatus], known: Mapping[str, StationInformation]
) -> tuple[tuple[StationStatus, ...], list[str]]:
    """Return *statuses* without counts above ten times the station's capacity, and 50.

    The capacity is that of the status, else that of the station in *known*. The second
    result has a text for each station with such a count.
    """
    kept, odd = [], []
    for status in statuses:
        size = status.capacity
        if size is None and (station := known.get(status.station_id)):
            size = station.capacity
        most = max(size * MAX_OF_CAPACITY, FEW_VEHICLES) if size else None
        if most is not None and _largest(status) > most:
            odd.append(f"{status.station_id}: {_largest(status)} of {size}")
            kept.append(_within(status, most))
        else:
            kept.append(status)
    return tuple(kept), odd


def _largest(status: StationStatus) -> int:
    counts: tuple[Any, ...] = status[1:CAPACITY]
    return max(filter(None, counts), default=0)


def _within(status: StationStatus, most: int) -> StationStatus:
    blank: dict[str, Any] = {
        name: None
        for name, value in zip(status._fields, status, strict=True)
        if name.startswith("num_") and isinstance(value, int) and value > most
    }
    return status._replace(**blank)


def implausible_findings(odd: Sequence[str], total: int) -> dict[str, str]:
    """Return a finding if many of *total* stations are among the *odd* ones."""
    if not odd or len(odd) < total * REPORTED_SHARE:
        return {}
    return {
        "implausible capacity": (
            f"a count is more than {MAX_OF_CAPACITY} times the capacity at "
            f"{len(odd)} of {total} stations, such as {odd[0]}: those counts are empty"
        )
    }


def zero_findings(statuses: Sequence[StationStatus]) -> dict[str, str]:
    """Return a finding if no station has any vehicle or free dock, although it is open.

    Publishers write 0 for what they do not know.
    """
    number = len(statuses)
    counts = {(s.num_vehicles_available, s.num_docks_available) for s in statuses}
    many = MANY_ZERO if counts == {(0, 0)} else MANY_DOCKLESS
    is_zero = counts <= {(0, 0), (0, None)} and number >= many
    if not is_zero or not staleness.is_open(statuses):
        return {}
    text = f"all {number} stations have 0 vehicles"
    if counts == {(0, 0)}:
        text += " and 0 free docks"
    return {"all zero": f"{text}, although they are open: it is stored unchanged"}


def renumbering_findings(
    statuses: Sequence[StationStatus],
    known: Mapping[str, StationInformation],
    listed: Sequence[StationInformation],
) -> dict[str, str]:
    """Return a finding if hardly any station has an id that was *known* before.

    A system that grows, with the stations that it had, has not changed its ids. If
    none is known yet, they are compared with those *listed* now: other ids from the
    start are no change, and their finding has no text.
    """
    before = set(known) or {station.station_id for station in listed}
    same = sum(status.station_id in before for status in statuses)
    if not before or same >= min(len(statuses), len(before)) * FEW_KNOWN:
        return {}
    text = (
        f"only {same} of {len(statuses)} stations have an id that was known before: "
        "the publisher has changed its ids, or this is another feed"
    )
    return {"other ids": text if known else ""}


def ahead_findings(
    statuses: Sequence[StationStatus | VehicleStatus],
    payload: Payload,
    zone: ZoneInfo | None = None,
) -> dict[str, str]:
    """Return a finding if many of *statuses* have reported after *payload* was fetched.

    Local times that are published as UTC, for example; those without an offset were
    read in *zone*. A wrong clock of this machine is reported as such.
    """
    latest = payload.fetched_at + STALE_AGE
    stamps = [s.last_reported for s in statuses if s.last_reported is not None]
    ahead = [stamp for stamp in stamps if stamp > latest]
    if not ahead or len(ahead) < len(stamps) * REPORTED_SHARE or clock_is_off(payload):
        return {}
    return {
        AHEAD: (
            f"last_reported is in the future at {len(ahead)} of {len(statuses)} rows, "
            f"such as {iso(ahead[0], UTC)}, fetched at {iso(payload.fetched_at, UTC)}: "
            + (f"it is read in {zone}" if zone else "it is stored unchanged")
        )
    }


def zone_findings(
    payload: Payload,
    zone: ZoneInfo | None,
    notes: Mapping[str, str],
    interval: int,
    information: Iterable[StationInformation],
) -> tuple[dict[str, str], str]:
    """Return a finding if stamps without an offset were read in a wrong *zone*.

    The second result is the note to store. *notes* are those of the reports and of the
    zone; *information* has the places of the stations. *interval* is in seconds. If
    the publisher writes the stamps in another zone, the finding about stamps in the
    future is replaced.
    """
    reports = staleness.Calibration.from_note(notes[staleness.NOTE])
    if zone is None or reports is None or abs(reports.last) <= staleness.OLD:
        return {}, ""
    note = notes.get(ZONE_NOTE, "")
    if reports.content or reports.slot != payload.slot or clock_is_off(payload):
        return {}, note
    from bikecollect.collect.reading import zone_doubt  # rarely needed

    longitudes = [station.lon for station in information if station.lon is not None]
    doubted = zone_doubt.doubt_of_reports(zone, reports, interval, longitudes, note)
    if doubted is None:
        return {}, ""
    if doubted.is_publishers:
        return {AHEAD: str(doubted)}, ""
    return {ZONE: str(doubted)}, zone_doubt.note_of(zone, doubted.offset)


def stopped_findings(
    payload: Payload, snapshot: Snapshot, notes: Mapping[str, str]
) -> Iterator[str]:
    """Yield a text if the feed has stopped, while its time zone is in doubt.

    It is stale then, and its stamps are old in the zone that fits according to *notes*,
    too.
    """
    from bikecollect.collect.reading import zone_doubt  # rarely needed

    reports = staleness.Calibration.from_note(notes[staleness.NOTE])
    if snapshot.zone is None or reports is None:
        return
    stamp, ages = snapshot.last_updated, [reports.last]
    ages += [] if stamp is None else [payload.fetched_at - stamp]
    if not zone_doubt.is_new(snapshot.zone, notes[ZONE_NOTE], payload.slot, ages):
        yield "the feed responds, but its data do not become newer"
