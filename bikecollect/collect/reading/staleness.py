"""Decide whether a snapshot is stale, by the times at which its stations reported.

The same holds for vehicles; one that is out of service is like a closed station.

A republisher's stamp may advance although the source has stopped: the newest
`last_reported` of the stations then falls back, or becomes old. How old it usually is
differs between systems and is learned from the past. Stations that report only changes
are silent at night without being stale.

Without any `last_reported`, the content is compared: it is stale if it has not changed
for far longer than ever before.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Self

from bikecollect.collect.reading.jumps import has_jumped, is_usual_time
from bikecollect.core.payload import Payload
from bikecollect.core.slots import DAY, HOUR, Slot, from_iso
from bikecollect.core.snapshot import StationStatus, VehicleStatus, is_closed

if TYPE_CHECKING:
    from bikecollect.core.blocks import Block
    from bikecollect.storage.csv_store import Store
    from bikecollect.storage.ledger import Ledger

NOTE = "bikecollect.reports"
"""The ledger's note of the calibration."""
OLD = 900.0
"""Seconds by which the newest report may be older than usual."""
FALL = 60
"""Seconds by which the newest report may fall back, because servers differ a little."""
AHEAD = 120.0
"""Seconds by which a report may be ahead of our clock; later ones are errors."""
REGULAR = 0.8
"""Share of the stations reporting within an hour that report within `OLD` seconds, if
the system has a heartbeat."""
BEATS, FEW = 2, 20
"""BEATS slots in a row in which at least FEW stations report prove a heartbeat."""
PROVEN = DAY
"""Seconds of regular reports, with a night, that prove a heartbeat of fewer stations.
Any heartbeat ends with a pause of more than `OLD` seconds and one interval."""
LEARNED, SILENCES, MIN_SILENCE = 2 * DAY, 8, 2 * OLD
"""After LEARNED seconds, silence of SILENCES times the longest, at
least MIN_SILENCE, is stale. A system that never changed was silent for LEARNED."""
CLOSED = 0.5
"""Share of closed stations from which silence is no evidence."""
RISING, FALLING = 300.0, 30.0
"""Maximum seconds by which the usual age rises or falls at once, so that an outage does
not change it."""

Statuses = Sequence[StationStatus] | Sequence[VehicleStatus]


@dataclass(frozen=True, eq=False, repr=False)
class Reports:
    """The times at which the stations of a snapshot reported, *stamps* (epoch seconds).

    The *newest* is *age* seconds old. *recent* is the number of stations that reported
    within an hour before it; *is_regular* is set if nearly all of these did so within
    15 minutes. *is_open* is set unless half of the stations are closed.
    """

    newest: int
    age: float
    recent: int
    is_regular: bool
    is_open: bool
    stamps: Sequence[int]


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """What was learned about the reports of a system until *slot*, the last one read.

    *newest* is the latest report so far; at *slot* it was *last* seconds old. In the
    last *beats* slots with new reports, from the slot *regular* on without a pause,
    nearly all stations had reported; the newest report was usually at most *age*
    seconds old. *silence* is the longest time without any report since the slot
    *began*. *content* is the digest of the last content if that is compared, and
    *newest* the time at which it came. *outage* is the slot at which the last silence
    ended that was an outage.
    """

    slot: int
    newest: int
    began: int
    regular: int
    beats: int
    last: float
    age: float
    silence: int = 0
    content: int = 0
    outage: int = 0

    @classmethod
    def first(cls, reports: Reports, slot: Slot) -> Self:
        """Return the calibration by the first *reports* of a system, in *slot*."""
        beats, age = int(reports.is_regular), reports.age
        return cls(slot, reports.newest, slot, slot, beats, age, age)

    @classmethod
    def from_note(cls, note: str) -> Self | None:
        """Return the calibration in *note*, None if there is none."""
        try:
            values = json.loads(note)
            if all(type(value) in {int, float} for value in values.values()):
                return cls(**values)
        except (ValueError, TypeError, AttributeError):
            pass
        return None

    def to_note(self) -> str:
        """Return the note to store."""
        return json.dumps(vars(self))

    def limit(self, reports: Reports) -> float | None:
        """Return the maximum age of the newest of *reports*, None if unknown."""
        if not reports.is_open:
            return None
        many = self.beats >= BEATS and reports.recent >= FEW
        if many or (self.beats and self._beating() >= PROVEN):
            return OLD + self.age
        if self.slot - self.began >= LEARNED:
            return max(MIN_SILENCE, SILENCES * (self.silence or LEARNED))
        return None

    def _beating(self) -> float:
        """Return for how many seconds all reports were regular, until the newest."""
        silent = max(0.0, self.last - self.age)
        return self.slot - self.regular - silent

    def after(self, reports: Reports, slot: Slot, interval: int) -> Self:
        """Return the calibration after *reports* of *slot*."""
        if reports.newest <= self.newest:
            return replace(self, slot=slot, last=reports.age)
        gap = 0
        if slot - self.slot <= 2 * interval:  # later, stations may have reported twice
            following = min(stamp for stamp in reports.stamps if stamp > self.newest)
            gap = following - self.newest
        goes_on = self.beats and gap <= OLD + interval
        change = max(self.last, reports.age) - self.age
        return replace(
            self,
            slot=slot,
            newest=reports.newest,
            regular=self.regular if goes_on else slot,
            beats=(self.beats if goes_on else 0) + 1 if reports.is_regular else 0,
            last=reports.age,
            age=self.age + min(max(change, -FALLING), RISING),
            silence=max(self.silence, gap),
        )


def read_reports(statuses: Statuses, fetched_at: float) -> Reports | None:
    """Return the reports of *statuses*, fetched at *fetched_at*, None without any.

    A few reports that are ahead of our clock are treated as errors.
    """
    reported = [status.last_reported for status in statuses]
    stamps = _credible([stamp for stamp in reported if stamp is not None], fetched_at)
    if not stamps:
        return None
    newest = max(stamps)
    recent = sum(newest - stamp <= HOUR for stamp in stamps)
    prompt = sum(newest - stamp <= OLD for stamp in stamps)
    return Reports(
        newest,
        fetched_at - newest,
        recent,
        is_regular=prompt >= REGULAR * recent,
        is_open=is_open(statuses),
        stamps=stamps,
    )


def _credible(stamps: Sequence[int], fetched_at: float) -> Sequence[int]:
    """Return *stamps* without those ahead of *fetched_at*.

    If most are ahead, the feed's clock or time zone is wrong: all are kept.
    """
    past = [stamp for stamp in stamps if stamp <= fetched_at + AHEAD]
    return past if len(past) * 2 > len(stamps) else stamps


def is_open(statuses: Statuses) -> bool:
    """Return whether less than half of the stations are closed."""
    return sum(map(_is_shut, statuses)) < CLOSED * len(statuses)


def _is_shut(status: StationStatus | VehicleStatus) -> bool:
    """Return whether a station need not report, because it is closed or not renting.

    Some feeds publish ``is_renting = false`` for a station that is merely empty.
    """
    if isinstance(status, VehicleStatus):
        return status.is_disabled is True
    is_empty = status.num_vehicles_available == 0
    does_not_rent = status.is_renting is False and not is_empty
    flags = (status.is_installed, status.is_renting, status.is_returning)
    return does_not_rent or is_closed(flags)


def judge(
    payload: Payload,
    statuses: Statuses,
    note: str,
    interval: int,
    *,
    ledger: "Ledger",
    store: "Store",
) -> tuple[bool, str]:
    """Return whether *statuses* are stale by their reports, and the new note.

    *note* is the previous one; it is ignored if it is of a later slot.
    """
    slot = payload.slot
    is_newest = ledger.is_newest(slot)
    reports = read_reports(statuses, payload.fetched_at)
    if reports is None:
        if not is_newest or not is_open(statuses) or _may_return(note, slot):
            return False, note
        jumped = partial(has_jumped, statuses, slot, ledger, store)
        rows = _comparable(statuses)
        return judge_content(rows, payload, note, interval, jumped=jumped)
    known = Calibration.from_note(note) if is_newest else None
    if known is None or known.content or _is_corrected(known.newest, reports):
        new_note = Calibration.first(reports, slot).to_note() if is_newest else note
        return bool(_falls_back(statuses, reports, slot, ledger, store)), new_note
    limit = known.limit(reports)
    is_old = limit is not None and reports.age > limit
    if not is_old and reports.newest <= known.newest - FALL:
        falls_back = _falls_back(statuses, reports, slot, ledger, store)
        is_old = reports.age > OLD if falls_back is None else falls_back
    return is_old, known.after(reports, slot, interval).to_note()


def _may_return(note: str, slot: Slot) -> bool:
    """Return whether there were reports within a day before *slot*, by *note*."""
    known = Calibration.from_note(note)
    return known is not None and not known.content and slot - known.slot < DAY


def _comparable(statuses: Statuses) -> Iterable[Sequence[object]]:
    """Return what is compared: ids of vehicles may change in each response."""
    if isinstance(statuses[0], VehicleStatus):
        return (status[1:] for status in statuses)
    return statuses


def judge_content(
    rows: Iterable[Sequence[object]],
    payload: Payload,
    note: str,
    interval: int,
    *,
    jumped: Callable[[], bool] = lambda: False,
) -> tuple[bool, str]:
    """Return whether *rows* have stood still for too long, and the new note.

    They are those of the newest slot, in any order; a change of one counts as a report.
    An interruption is no evidence that nothing changed meanwhile. A stale time that
    ends with a jump (*jumped*) was an outage: such a silence is not usual, unless it
    ends at the same time of day again.
    """
    slot, known = payload.slot, Calibration.from_note(note)
    content = sum(zlib.crc32(repr(tuple(row)).encode()) for row in rows)
    since = int(payload.fetched_at)
    if known and known.content == content and slot - known.slot <= 2 * interval:
        since = known.newest
    age = payload.fetched_at - since
    reports = Reports(since, age, 0, is_regular=False, is_open=True, stamps=[since])
    if known is None or not known.content:
        first = Calibration.first(reports, slot)
        return False, replace(first, content=content).to_note()
    limit = known.limit(reports)
    after = replace(known.after(reports, slot, interval), content=content)
    was_stale = limit is not None and since - known.newest > limit
    if was_stale and after.silence > known.silence and jumped():
        is_usual = is_usual_time(known.outage, slot)
        silence = after.silence if is_usual else known.silence
        after = replace(after, silence=silence, outage=slot)
    return limit is not None and age > limit, after.to_note()


def _is_corrected(before: int, reports: Reports) -> bool:
    """Return whether *reports* are of now, but the newest *before* is in the future.

    The publisher has corrected its clock or its time zone: reports fall back then, and
    are not old.
    """
    is_of_now = -AHEAD <= reports.age <= OLD
    return is_of_now and before > reports.newest + reports.age + AHEAD


def _falls_back(
    statuses: Statuses,
    reports: Reports,
    slot: Slot,
    ledger: "Ledger",
    store: "Store",
) -> bool | None:
    """Return whether the reports are older than those of the last fresh block.

    None if its rows are gone. More stations must have an older report than a newer one:
    the newest report alone may be of a station that was removed, or whose clock was
    set.
    """
    block = ledger.fresh_block_before(slot)
    before = _block_reports(store, block, statuses[0]) if block else {}
    if block and not before:
        return None
    newest = max(before.values(), default=0)
    if newest - FALL < reports.newest or _is_corrected(newest, reports):
        return False
    older = newer = 0
    for status in statuses:
        earlier, now = before.get(status[0]), status.last_reported
        if earlier is not None and now is not None:
            older += now < earlier
            newer += now > earlier
    return older > newer


def _block_reports(
    store: "Store", block: "Block", like: StationStatus | VehicleStatus
) -> dict[str, int]:
    """Return the reports in *block* by id (epoch seconds), empty if gone.

    Its rows are of stations or of vehicles, *like* the given one.
    """
    from bikecollect.collect.reading.block_rows import cells_by_id  # rarely needed

    stamps = cells_by_id(store, block, like, "last_reported")
    try:
        reported = {i: from_iso(stamp) for i, stamp in stamps.items() if stamp}
    except ValueError:
        return {}
    credible = set(_credible(list(reported.values()), block.fetched_at))
    return {i: stamp for i, stamp in reported.items() if stamp in credible}
