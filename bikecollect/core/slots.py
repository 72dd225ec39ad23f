"""Slots: the grid of times at which a snapshot is due."""

import re
import time as _time
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import NamedTuple, NewType

Slot = NewType("Slot", int)
"""A place on the interval's grid: the epoch second at which it begins."""

MINUTE, HOUR, DAY = 60, 3_600, 86_400
EARLIEST = Slot(946_684_800)
"""2000-01-01: earlier slots are errors."""
LATEST = Slot(4_102_444_800)
"""2100-01-01: later slots are errors."""
CLOCK_FLOOR = Slot(1_577_836_800)
"""2020-01-01: a clock that shows an earlier time is wrong."""
GRACE = 10.0
"""Seconds by which a run may start early and still belong to the next slot."""

_STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")


class SlotState(StrEnum):
    """The state of a slot."""

    COLLECTED = "collected"
    STALE = "stale"
    PARTIAL = "partial"
    MISSING = "missing"
    DUE = "not over yet"
    BEFORE = "before the first run"


class VehicleSlots(NamedTuple):
    """The *filled* slots with vehicles, expected from the *first* to the *last* one."""

    first: Slot = Slot(0)
    last: Slot = Slot(-1)
    filled: AbstractSet[Slot] = frozenset()

    def expected_of(self, slots: Iterable[Slot]) -> list[Slot]:
        """Return those of *slots* in which vehicles are expected."""
        return [slot for slot in slots if self.first <= slot <= self.last]


THIN = frozenset({"partial", "short"})
"""The flags of a block that lacks stations."""


def state_of(flags: str) -> SlotState:
    """Return the state of a slot whose block has *flags*.

    >>> [state_of(flags).value for flags in ("late", "stale late", "short stale")]
    ['collected', 'stale', 'partial']
    """
    if not flags:
        return SlotState.COLLECTED
    words = set(flags.split())
    if words & THIN:
        return SlotState.PARTIAL
    return SlotState.STALE if "stale" in words else SlotState.COLLECTED


def has_flag_sql(flags: str, flag: str) -> str:
    """Return in SQL whether the words in the column *flags* include *flag*.

    >>> has_flag_sql("flags", "stale")
    "' ' || flags || ' ' LIKE '% stale %'"
    """
    return f"' ' || {flags} || ' ' LIKE '% {flag} %'"


def stale_sql(alias: str) -> str:
    """Return in portable SQL whether the slot of a row has stale content.

    *alias* is that of a table with the flags of slots.

    >>> stale_sql("s")
    "s.flags LIKE '%stale%'"
    """
    return f"{alias}.flags LIKE '%stale%'"


def slot_at(now: float, interval: int) -> Slot:
    """Return the slot in which a run that starts at *now* belongs.

    Both are in seconds. A scheduler may fire a moment early: the last ten seconds of a
    slot (a thirtieth of it if that is less) count as the next one.

    >>> slot_at(1_000_000_199.0, 300)
    1000000200
    >>> slot_at(1_000_000_189.0, 300)
    999999900
    """
    early = min(GRACE, interval / 30)
    return Slot(int((now + early) // interval) * interval)


def iso(moment: float, zone: tzinfo) -> str:
    """Return *moment* (epoch seconds) as ISO 8601 to the second, with offset.

    A number outside the range of dates (from a damaged file) is returned unchanged.

    >>> from datetime import UTC
    >>> iso(0, UTC), iso(1 << 60, UTC)
    ('1970-01-01T00:00:00+00:00', '1152921504606846976')
    """
    try:
        return datetime.fromtimestamp(int(moment), zone).isoformat()
    except (ValueError, OverflowError, OSError):
        return str(moment)


def occurs_twice(moment: float, zone: tzinfo) -> bool:
    """Return whether clocks in *zone* show the time of *moment* twice.

    >>> from zoneinfo import ZoneInfo
    >>> oslo = ZoneInfo("Europe/Oslo")
    >>> [occurs_twice(1_792_886_400 + n, oslo) for n in (-1, 0, 7200)]
    [False, True, False]
    """
    try:
        local = datetime.fromtimestamp(int(moment), zone)
    except (ValueError, OverflowError, OSError):
        return False
    return local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()


class IsoTexts(dict[int | None, str]):
    """The texts of `iso` in *zone* by moment, empty for None; minutes are cached.

    >>> from datetime import UTC
    >>> texts = IsoTexts(UTC)
    >>> texts[61], texts[119], texts[None]
    ('1970-01-01T00:01:01+00:00', '1970-01-01T00:01:59+00:00', '')
    """

    def __init__(self, zone: tzinfo) -> None:
        super().__init__({None: ""})
        self._zone = zone
        self._minutes: dict[int, str] = {}

    def __missing__(self, moment: int) -> str:
        """Return the text of *moment*, and keep it."""
        seconds = moment % MINUTE
        begin = moment - seconds
        minute = self._minutes.get(begin)
        if minute is None:
            minute = self._minutes[begin] = iso(begin, self._zone)
        if minute[16:20] in {":00+", ":00-"}:
            text = f"{minute[:17]}{seconds:02}{minute[19:]}"
        else:  # no date, or the offset of an old local time, which has seconds
            text = iso(moment, self._zone)
        self[moment] = text
        return text


def day_of(slot: Slot, zone: tzinfo) -> str:
    """Return the local day of *slot*, by which its file is named.

    >>> from datetime import UTC
    >>> day_of(Slot(86_399), UTC)
    '1970-01-01'
    """
    return datetime.fromtimestamp(slot, zone).strftime("%Y-%m-%d")


def bounds(day: str, zone: tzinfo) -> tuple[Slot, Slot]:
    """Return the first slot of the local *day*, and the first slot after it.

    >>> from datetime import UTC
    >>> begin, end = bounds("1970-01-01", UTC)
    >>> begin, end
    (0, 86400)
    """
    begin = datetime.fromisoformat(day).replace(tzinfo=zone)
    end = begin + timedelta(days=1)  # the next local midnight: 23 to 25 hours later
    return Slot(int(begin.timestamp())), Slot(int(end.timestamp()))


def stamp(slot: Slot) -> str:
    """Return *slot* in the form used in file names, which sorts by time.

    >>> stamp(Slot(0))
    '19700101T000000Z'
    """
    try:
        return _time.strftime("%Y%m%dT%H%M%SZ", _time.gmtime(slot))
    except (ValueError, OverflowError, OSError):
        return str(slot)


def from_stamp(text: str) -> Slot:
    """Return the slot of which *text* is the `stamp`; raises ValueError for others.

    >>> from_stamp("19700101T000500Z")
    300
    """
    if not _STAMP.fullmatch(text):
        raise ValueError(f"not a slot of the form YYYYMMDDTHHMMSSZ: {text!r}")
    return Slot(int(datetime.fromisoformat(text).timestamp()))


def from_iso(text: str) -> Slot:
    """Return the slot written as *text* in a CSV; raises ValueError for other text.

    >>> from_iso("1970-01-01T08:05:00+08:00")
    300
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"slot without UTC offset: {text!r}")
    return Slot(int(moment.timestamp()))


def grid(since: Slot, until: Slot, interval: int) -> range:
    """Return the slots of the grid from *since* to before *until*.

    >>> list(grid(Slot(10), Slot(700), 300))
    [300, 600]
    """
    return range(-(-since // interval) * interval, until, interval)


def local_days(
    since: Slot, until: Slot, zone: tzinfo
) -> Iterator[tuple[str, Slot, Slot]]:
    """Yield each local day from *since* to *until*: its name, begin and end."""
    if until <= since:
        return
    day = datetime.fromisoformat(day_of(since, zone))
    while True:
        name = day.strftime("%Y-%m-%d")
        begin, end = bounds(name, zone)
        if begin >= until:
            return
        yield name, begin, end
        day += timedelta(days=1)
