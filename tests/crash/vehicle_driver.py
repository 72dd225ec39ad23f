"""One run of a system with stations and vehicles, in a separate process."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent))

from driver import INTERVAL, main
from world import NOON

from bikecollect.core.payload import Check, Document
from bikecollect.core.process import Times
from bikecollect.core.run import Run
from bikecollect.core.slots import Slot
from bikecollect.setup.loader import parse
from bikecollect.simulator.demo import Time
from bikecollect.storage import data_folder
from bikecollect.wiring import collection

STATIONS, VEHICLES = 8, 12
NAMES = ("station_status", "station_information", "free_bike_status")


def stations(number: int) -> dict[str, str]:
    """Return the vehicles at each station in run *number*, as texts."""
    return {f"s{i:02}": str((number * 7 + i) % 50) for i in range(STATIONS)}


def vehicles(number: int) -> dict[str, str]:
    """Return the latitude of each vehicle in run *number*, as texts."""
    return {f"v{i:02}": f"25.{number}{i:02}1" for i in range(VEHICLES)}


class Publisher:
    """What run *number* gets, without a network."""

    public_host = ""

    def __init__(self, number: int, moment: float) -> None:
        self.attempts: list[Any] = []
        self._moment = moment
        status = [
            {"station_id": i, "num_bikes_available": int(n), "num_docks_available": 1}
            for i, n in stations(number).items()
        ]
        about = [
            {"station_id": i, "name": i, "lat": 25, "lon": 121} for i in stations(1)
        ]
        bikes = [
            {"bike_id": i, "lat": float(lat), "lon": 121.5}
            for i, lat in vehicles(number).items()
        ]
        self._documents: dict[str, Any] = {
            "gbfs": {
                "en": {"feeds": [{"name": n, "url": f"http://h/{n}"} for n in NAMES]}
            },
            "station_status": {"stations": status},
            "station_information": {"stations": about},
            "vehicle_status": {"bikes": bikes},
        }

    def __call__(
        self, name: str, url: str, *, check: Check | None = None, tries: int = 1
    ) -> Document:
        """Return the document called *name*."""
        body = {"last_updated": int(self._moment), "data": self._documents[name]}
        return Document(name, json.dumps(body).encode(), url, fetched_at=self._moment)

    def close(self) -> None:
        """Have nothing to close."""


def run(folder: Path, number: int, slot: int) -> Run:
    """Run cycle *number* in slot *slot* (counted from noon)."""
    settings = parse(
        {
            "data_dir": str(folder.parent),
            "systems": {
                "city": {
                    "feed": "gbfs",
                    "url": "http://h/gbfs",
                    "timezone": "Asia/Taipei",
                    "vehicles": True,
                }
            },
        }
    )
    # The harness's folders have names that no system may have.
    settings = replace(settings, systems={folder.name: settings.systems["city"]})
    clock = Time(NOON + slot * INTERVAL + 2)
    times = Times(clock, clock, clock)
    data_folder.prepare(folder)
    cycle = collection.cycle(settings, folder.name, times)
    fetcher = replace(cycle.fetcher, client=Publisher(number, clock.now))
    cycle = replace(cycle, fetcher=fetcher, reports=False)
    at = Slot(int(NOON + slot * INTERVAL))
    return cycle.run(Run(f"{number:08x}", folder.name, at, clock.now))


if __name__ == "__main__":
    main(lambda options: run(options.folder, options.number, options.slot))
