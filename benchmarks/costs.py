"""What collecting costs: traffic, disk, memory and processor, measured by slot.

Run: .venv/bin/python benchmarks/costs.py [SYSTEMS] [STATIONS] [SLOTS]

SYSTEMS simulated YouBike cities, served on loopback with gzip, are collected for SLOTS
slots by the real client, files and ledger, with a clock that waits for nothing. One
more call is a separate process, for its memory. Two cities are collected for a whole
day, which is then archived. A month has 30 days of 288 slots.
"""

import json
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from unittest.mock import patch

from fetch import measured

from bikecollect.core.process import Stop, Times
from bikecollect.setup.loader import parse
from bikecollect.setup.settings import Settings
from bikecollect.simulator import server
from bikecollect.simulator.city import City
from bikecollect.simulator.demo import Time
from bikecollect.simulator.syncs import without_syncs
from bikecollect.wiring.collection import collect
from bikecollect.wiring.history import compactor

INTERVAL, DAY, MONTH = 300, 86_400, 30 * 288
ZONE = "Asia/Taipei"
sent: Counter[str] = Counter()
send = vars(server)["_send"]
"""What a server sends is counted."""


def counting(
    request: BaseHTTPRequestHandler, status: int, body: bytes, kind: str
) -> None:
    """Answer, and count the bytes that go over the wire, headers included."""
    before = request.wfile.write

    def write(data: bytes) -> int:
        sent["bytes"] += len(data)
        return before(data)

    request.wfile.write = write  # type: ignore[assignment, method-assign]
    send(request, status, body, kind)
    request.wfile.write = before  # type: ignore[method-assign]


def settings_of(folder: Path, url: str, systems: int) -> tuple[Settings, Path]:
    """Return settings of *systems* cities at *url*, and the file that has them."""
    tables = {
        f"city{n}": {
            "feed": "youbike",
            "url": f"{url}/city/{n}/youbike.json",
            "timezone": ZONE,
        }
        for n in range(systems)
    }
    lines = [f'data_dir = "{folder}"']
    for name, table in tables.items():
        lines += [f"[systems.{name}]", *(f'{k} = "{v}"' for k, v in table.items())]
    path = folder / "bikecollect.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o600)
    return parse({"data_dir": str(folder), "systems": tables}), path


def size(folder: Path, pattern: str) -> int:
    """Return the bytes of all files in *folder* that match *pattern*."""
    return sum(path.stat().st_size for path in folder.glob(pattern) if path.is_file())


def collect_slots(settings: Settings, clock: Time, begin: float, slots: int) -> None:
    """Collect *slots* from *begin* on."""
    for n in range(slots):
        clock.now = begin + n * INTERVAL + 2.0
        runs = collect(settings, clock=clock, stop=clock, monotonic=clock)
        assert all(run.rows for run in runs), runs


def measure(systems: int, stations: int, slots: int) -> dict[str, float]:
    """Return the figures of one month of *systems* with *stations* each."""
    today = int(time.time()) // DAY * DAY - 8 * 3600
    clock = Time(today - 3 * DAY)
    with (
        tempfile.TemporaryDirectory() as temporary,
        without_syncs(),
        server.LiveFeed(City(stations), clock=clock) as feed,
    ):
        os.environ["XDG_STATE_HOME"] = f"{temporary}/state"
        folder = Path(temporary) / "data"
        folder.mkdir()
        settings, path = settings_of(folder, feed.url, systems)
        collect_slots(settings, clock, clock.now, slots)
        traffic = sent["bytes"] / slots
        csv = size(folder, "*/station_status/*.csv") / slots
        payloads = size(folder, "*/payloads/kept/*/*.zip") / slots
        ledger = size(folder, "*/ledger.sqlite3") / systems

        few = Path(temporary) / "few"
        few.mkdir()
        two, _ = settings_of(few, feed.url, 2)
        collect_slots(two, clock, float(today - 2 * DAY), 288)
        times = Times(lambda: float(today), time.monotonic, Stop())
        for name in two.systems:
            for _ in compactor(two, name, times, csv_days=0).run():
                pass
        archive = size(few, "archive/**/*.parquet") / 2

        clock.now = time.time()
        program = [sys.executable, "-m", "bikecollect", "--config", str(path)]
        call = measured([*program, "fetch"])
    weekly = 7 * 288
    return {
        "traffic, MB a month": traffic * MONTH / 1e6,
        "CSV of a week, MB": csv * weekly / 1e6,
        "payloads of a week, MB": payloads * weekly / 1e6,
        "ledger after these slots, MB": ledger * systems / 1e6,
        "archive, MB a month": archive * systems * 30 / 1e6,
        "memory of a call, MiB": call.mib,
        "processor of a call, s": call.cpu,
    }


def main(systems: int = 100, stations: int = 300, slots: int = 12) -> None:
    """Print what *systems* cities cost."""
    logging.disable(logging.CRITICAL)
    with patch.object(server, "_send", counting):
        figures = measure(systems, stations, slots)
    print(f"{datetime.now(UTC):%Y-%m-%d}: {systems} systems of {stations} stations")
    for name, value in figures.items():
        print(f"  {name:52} {value:10,.1f}")
    print(json.dumps({"systems": systems, "stations": stations, **figures}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
