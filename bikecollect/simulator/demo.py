"""The demo: a simulated day, collected by the real collector."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bikecollect.core.blocks import Block
from bikecollect.core.causes import SeenRun
from bikecollect.core.errors import Outcome, StorageError
from bikecollect.core.process import Stop
from bikecollect.core.run import Run
from bikecollect.core.slots import DAY, HOUR
from bikecollect.core.timeline.grid import Grid
from bikecollect.reports.coverage import Evidence, Gap, gaps, judge
from bikecollect.setup import settings_file
from bikecollect.setup.loader import parse
from bikecollect.setup.settings import DEMO_URL, Settings
from bikecollect.simulator.city import City
from bikecollect.simulator.server import LiveFeed, Outage
from bikecollect.simulator.syncs import without_syncs
from bikecollect.wiring.collection import collect

if TYPE_CHECKING:
    from multiprocessing.pool import Pool

ZONE = "Asia/Taipei"
INTERVAL = 300
STATE_HOME, STATE = "XDG_STATE_HOME", ".state"
"""The variable for the folder of state, and that folder of a demo."""
YOUBIKE, GBFS = "simport-youbike", "simport-gbfs"


class Time(Stop):
    """The time of the simulated day; waiting advances it without sleeping."""

    def __init__(self, now: float) -> None:
        super().__init__()
        self.now = now

    def __call__(self) -> float:
        """Return the simulated time in epoch seconds."""
        return self.now

    def wait(self, seconds: float) -> bool:
        """Advance the time by *seconds*; return whether a stop was requested."""
        self.now += seconds
        return super().wait(0)


@contextmanager
def state_in(folder: Path) -> Iterator[None]:
    """Keep state, such as incidents, in *folder* during the context.

    Incidents of a simulated feed must not be mixed with the user's own.
    """
    before = os.environ.get(STATE_HOME)
    os.environ[STATE_HOME] = str(folder / STATE)
    try:
        yield
    finally:
        del os.environ[STATE_HOME]
        if before is not None:
            os.environ[STATE_HOME] = before


@dataclass(frozen=True)
class DemoResult:
    """The result of the demo: all *runs* by system, and their gaps."""

    day: str
    runs: Mapping[str, list[Run]]

    def gaps(self, system_id: str) -> list[Gap]:
        """Return the gaps of one system, oldest first."""
        runs = self.runs[system_id]
        seen = [
            SeenRun(r.slot, r.started, r.outcome.value, r.cause)
            for r in runs
            if r.outcome
        ]
        blocks = {r.slot: Block(r.slot, rows=r.rows) for r in runs if r.rows}
        first, last = runs[0].slot, runs[-1].slot
        evidence = Evidence(first, seen, blocks)
        grid = Grid.of(INTERVAL)
        return gaps(judge(evidence, grid, first, grid.next(last)), grid)


def second_process() -> "Pool":
    """Return a pool of one process, which leaves Ctrl-C to this one."""
    return get_context("fork").Pool(1, _serve_only)


def _serve_only() -> None:
    """Let this process end when the one that began it ends it, and not before."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def collect_a_day(
    folder: Path, *, stations: int, seed: int, step: Callable[[int], object]
) -> DemoResult:
    """Collect yesterday from a simulated city into *folder*.

    The feed is down from 08:00 to 09:05, and has a renamed field from 14:00 to 14:30.
    *step* is called after each slot with the number of slots so far.
    """
    zone = ZoneInfo(ZONE)
    day = (datetime.now(UTC).astimezone(zone) - timedelta(days=1)).date()
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
    (folder / settings_file.FILE).write_text(settings_text(FEEDS), encoding="utf-8")
    city = City(stations, seed)
    with state_in(folder), without_syncs(), second_process() as process:
        # The two systems do not share anything, so each gets its own processor.
        others = process.apply_async(_collect, (folder, GBFS, city, midnight))
        runs = {YOUBIKE: _collect(folder, YOUBIKE, city, midnight, step)}
        runs[GBFS] = others.get()
    return DemoResult(day.isoformat(), runs)


def _collect(
    folder: Path,
    system_id: str,
    city: City,
    midnight: float,
    step: Callable[[int], object] = lambda _: None,
) -> list[Run]:
    """Collect the day that begins at *midnight* from one system; return its runs."""
    time = Time(midnight)
    outages = [
        Outage(midnight + 8 * HOUR, midnight + 9 * HOUR + 300, "outage"),
        Outage(midnight + 14 * HOUR, midnight + 14.5 * HOUR, "renamed"),
    ]
    runs: list[Run] = []
    with LiveFeed(city, clock=time, outages=outages) as feed:
        settings = demo_settings(folder, feed, FEEDS)
        for number, slot in enumerate(_slots(midnight), start=1):
            time.now = slot + 2.0
            runs += collect(
                settings, [system_id], clock=time, stop=time, monotonic=time
            )
            check_disk(runs[-1:])
            step(number)
    return runs


def check_disk(runs: Iterable[Run]) -> None:
    """Raise StorageError if the disk failed in one of *runs*: it will in the others."""
    for run in runs:
        if run.outcome is Outcome.DISK:
            raise StorageError(run.error)


def _slots(midnight: float) -> Iterator[int]:
    yield from range(int(midnight), int(midnight) + DAY, INTERVAL)


FEEDS = {YOUBIKE: "youbike", GBFS: "gbfs"}


def settings_text(systems: Iterable[str], interval: int = INTERVAL) -> str:
    """Return the settings with which other commands find the demo's data."""
    tables = (
        f'[systems.{name}]\nfeed = "{FEEDS[name]}"\nurl = "{DEMO_URL}"\n'
        f'timezone = "{ZONE}"\n'
        for name in systems
    )
    head = f'data_dir = "."\ninterval = "{interval // 60}min"\n\n'
    return head + "\n".join(tables)


def demo_settings(
    folder: Path, feed: LiveFeed, systems: Iterable[str], interval: int = INTERVAL
) -> Settings:
    """Return the settings that collect *systems* of *feed* into *folder*."""
    urls = {YOUBIKE: feed.youbike_url, GBFS: feed.gbfs_url}
    tables = {
        name: {"feed": FEEDS[name], "url": urls[name], "timezone": ZONE}
        for name in systems
    }
    minutes = f"{interval // 60}min"
    return parse({"data_dir": str(folder), "interval": minutes, "systems": tables})
