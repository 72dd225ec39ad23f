"""The demo's city: two days of it, for the data app, and a city that is over."""

import time
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.setup.settings import DEMO_MARKER
from bikecollect.simulator import demo_month
from bikecollect.simulator.demo import ZONE

STATIONS = 40
FRIDAY = 4


def collect_two_days(folder: Path) -> Path:
    """Collect two days of a city in *folder*, the second until its last noon.

    The same hours have problems at whatever time the test runs: none after midnight.
    The second day is a workday: on a weekend alone, no station lacks bikes or docks.
    """
    noon = datetime.now(ZoneInfo(ZONE)).replace(hour=12, minute=0, second=0)
    past = noon if noon.timestamp() <= time.time() else noon - timedelta(days=1)
    past -= timedelta(days=max(0, past.weekday() - FRIDAY))
    demo_month.collect_days(
        folder, past.timestamp(), days=2, stations=STATIONS, seed=1, step=str
    )
    return folder


def ended(config: Path) -> Path:
    """Let the systems of *config* be over, as a demo is; return *config*.

    No slot after the newest one is expected: a command, whose clock is real, would have
    all slots up to today, and take longer with every day.
    """
    (config.parent / DEMO_MARKER).touch()
    return config
