"""The longer demo: the last days of a simulated city, up to now."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.core.process import Times
from bikecollect.core.slots import DAY, HOUR, Slot, day_of
from bikecollect.setup import settings_file
from bikecollect.setup.settings import Settings
from bikecollect.simulator.city import City, StationEvent
from bikecollect.simulator.demo import (
    YOUBIKE,
    ZONE,
    Time,
    check_disk,
    demo_settings,
    settings_text,
    state_in,
)
from bikecollect.simulator.quiet_slots import DayArchiver, StraightWriter
from bikecollect.simulator.server import LiveFeed, Outage
from bikecollect.simulator.syncs import without_syncs
from bikecollect.wiring.collection import collect
from bikecollect.wiring.history import compactor

INTERVAL = 600
"""Seconds of a slot: with five minutes a month would take twice as long."""
COMPACTED = 2 * HOUR
"""Seconds after midnight at which closed days are archived."""
AT_ONCE = 5
"""Days that are archived together; after a week an alert would report them."""
SLEEP = 5 * HOUR
"""Seconds for which the machine sleeps in one of the nights."""


def slots(days: int, now: float) -> range:
    """Return the slots of the last *days*; the newest has begun at *now*."""
    today = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(ZONE)).date()
    first = today - timedelta(days=days - 1)
    midnight = datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(ZONE))
    return range(int(midnight.timestamp()), int(now) + 1, INTERVAL)


def collect_days(
    folder: Path,
    now: float,
    *,
    days: int,
    stations: int,
    seed: int,
    step: Callable[[int], object],
) -> None:
    """Collect the last *days* of a city until *now*, and compact the closed ones.

    During them the feed is down for an hour, a field is renamed for half an hour, the
    machine sleeps for five hours, cron does not run for forty minutes; stations are
    moved, renamed, resized, closed, opened and removed. *step* is called at each slot
    with its number.
    """
    all_slots = slots(days, now)
    begin, end = all_slots[0], all_slots[-1]
    at = {name: begin + share * (end - begin) for name, share in WHEN.items()}
    time = Time(begin)
    outages = [
        Outage(at["outage"], at["outage"] + HOUR + INTERVAL, "outage"),
        Outage(at["renamed"], at["renamed"] + HOUR / 2, "renamed"),
    ]

    (folder / settings_file.FILE).write_text(
        settings_text([YOUBIKE], INTERVAL), encoding="utf-8"
    )
    city = City(stations, seed, _events(at, stations))
    feeds = LiveFeed(city, clock=time, outages=outages)
    with DayArchiver() as archiver, state_in(folder), without_syncs(), feeds as feed:
        settings = demo_settings(folder, feed, [YOUBIKE], INTERVAL)
        month = _Month(settings, city, time, at, begin)
        for number, slot in enumerate(all_slots, start=1):
            step(number)
            if (slot - begin) % DAY == COMPACTED and slot - begin > DAY:
                month.end_span()
                times = Times(partial(float, slot), time, time)
                day = day_of(Slot(slot - DAY), ZoneInfo(ZONE))
                archiver.add(settings, YOUBIKE, day, times)
                if archiver.waiting == AT_ONCE:
                    archiver.finish()
                    _compact(settings, slot)
            if not _is_off(slot, at):
                month.collect(slot, is_quiet=_is_quiet(slot, at, all_slots))
        month.end_span()
    with state_in(folder), without_syncs():
        _compact(settings, now)


class _Month:
    """Collects slots: those near events over HTTP, quiet ones directly."""

    def __init__(
        self,
        settings: Settings,
        city: City,
        time: Time,
        at: Mapping[str, float],
        begin: int,
    ) -> None:
        self._settings, self._city, self._time = settings, city, time
        self._at, self._begin = at, begin
        self._span = ExitStack()
        self._writer: StraightWriter | None = None

    def collect(self, slot: int, *, is_quiet: bool) -> None:
        """Collect *slot*; one that *is_quiet* is not near any event."""
        time = self._time
        time.now = slot + 2.0
        up = slot - self._begin + 3_600.0
        awake = up - (SLEEP if slot >= self._at["sleep"] else 0)
        if is_quiet:
            if self._writer is None:
                times = Times(time, time, time)
                writer = StraightWriter(self._settings, YOUBIKE, self._city, times)
                self._writer = self._span.enter_context(writer)
            self._writer.write(slot, time.now, up, awake)
            return
        self.end_span()
        runs = collect(
            self._settings,
            clock=time,
            stop=time,
            monotonic=time,
            uptime=partial(float, up),
            awake=partial(float, awake),
        )
        check_disk(runs)

    def end_span(self) -> None:
        """End a span of quiet slots, so that others may use the ledger."""
        self._span.close()
        self._writer = None


def _is_off(slot: int, at: Mapping[str, float]) -> bool:
    """Return whether nothing runs in *slot*."""
    is_asleep = at["sleep"] <= slot < at["sleep"] + SLEEP
    return is_asleep or at["cron"] <= slot < at["cron"] + HOUR * 2 / 3


def _is_quiet(slot: int, at: Mapping[str, float], slots: Sequence[int]) -> bool:
    """Return whether *slot* is far from all events and from both ends of *slots*."""
    ends = (slots[0] + 2 * INTERVAL, slots[-1] - HOUR)
    return ends[0] < slot < ends[1] and not any(
        begin - INTERVAL <= slot < begin + DURATIONS.get(name, 0) + BESIDE
        for name, begin in at.items()
    )


def _compact(settings: Settings, now: float) -> None:
    """Move the days that are closed at *now* to the archive."""
    time = Time(now)
    for _ in compactor(settings, YOUBIKE, Times(time, time, time)).run():
        pass


DURATIONS = {"outage": HOUR + INTERVAL, "renamed": HOUR / 2, "sleep": SLEEP}
BESIDE = 2 * HOUR
"""Seconds after an event in which each slot is collected over HTTP."""
WHEN = {
    "resized": 0.15,
    "outage": 0.25,
    "moved": 0.35,
    "sleep": 0.45,
    "opened": 0.5,
    "renamed": 0.62,
    "closed": 0.7,
    "cron": 0.81,
    "removed": 0.9,
}
"""The time of each event, as a share of the whole time."""


def _events(at: dict[str, float], stations: int) -> tuple[StationEvent, ...]:
    """Return the events of the first stations."""
    events = (
        StationEvent("moved", 0, at["moved"]),
        StationEvent("renamed", 1, at["renamed"]),
        StationEvent("resized", 2, at["resized"]),
        StationEvent("closed", 3, at["closed"], at["closed"] + 3 * DAY),
        StationEvent("absent", 4, 0.0, at["opened"]),
        StationEvent("absent", 5, at["removed"]),
    )
    return tuple(event for event in events if event.number < stations)
