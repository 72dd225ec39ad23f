"""Two days of the demo's city, for the data app."""

import time
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.simulator import demo_month
from bikecollect.simulator.demo import ZONE

STATIONS = 40


def collect_two_days(folder: Path) -> Path:
    """Collect two days of a city in *folder*, the second until its last noon.

    The same hours have problems at whatever time the test runs: none after midnight.
    """
    noon = datetime.now(ZoneInfo(ZONE)).replace(hour=12, minute=0, second=0)
    past = noon if noon.timestamp() <= time.time() else noon - timedelta(days=1)
    demo_month.collect_days(
        folder, past.timestamp(), days=2, stations=STATIONS, seed=1, step=str
    )
    return folder
