"""What a 25-line script loses: it and bikecollect meet the same faults, side by side.

`python benchmarks/losses.py` serves each fault on loopback, runs both programs as whole
processes on a folder of their own, and prints the stations that each has of the slot.
"""

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bikecollect.simulator import dialects
from bikecollect.simulator.city import City

STATIONS = 1_600
KILLS = 20
SCRIPT = Path(__file__).with_name("baseline_script.py")
BODY = dialects.youbike(City(STATIONS), time.time())
LENGTH = len(BODY)
Respond = Callable[[int], tuple[int, bytes, int]]
"""Returns the status, the body and the Content-Length of the request so many."""


def good(_: int) -> tuple[int, bytes, int]:
    """Answer with the list of stations."""
    return 200, BODY, LENGTH


def first(status: int, body: bytes, length: int) -> Respond:
    """Answer the first request so, and all others with the list."""
    return lambda n: (status, body, length) if n == 1 else good(n)


def changed(change: Callable[[list[dict[str, object]]], object]) -> Respond:
    """Answer with a list that *change* has changed."""
    stations = json.loads(BODY)
    change(stations)
    body = json.dumps(stations).encode()
    return lambda _: (200, body, len(body))


def rename(stations: list[dict[str, object]]) -> None:
    """Rename a field, as YouBike did."""
    for station in stations:
        station["bikes_to_rent"] = station.pop("available_rent_bikes")


def blank(stations: list[dict[str, object]]) -> None:
    """Take the counts from a station in the middle."""
    del stations[STATIONS // 2]["available_rent_bikes"]


HTML = b"<html>Please log in to this network</html>"
FAULTS: dict[str, Respond] = {
    "none": good,
    "one 503, then the list": first(503, b"", 0),
    "the connection breaks halfway, once": first(200, BODY[: LENGTH // 2], LENGTH),
    "a login page with status 200, once": first(200, HTML, len(HTML)),
    "one station without counts": changed(blank),
    "a field has a new name": changed(rename),
}


@contextmanager
def serving(respond: Respond) -> Iterator[str]:
    """Serve *respond* on loopback; yield the address."""
    requests: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(1)
            status, body, length = respond(len(requests))
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def commands(folder: Path, url: str) -> dict[str, tuple[list[str], Path]]:
    """Return the command of each program, and the folder of its daily files."""
    ours, theirs = folder / "ours", folder / "script"
    theirs.mkdir()
    config = folder / "bikes.toml"
    config.write_text(
        f'data_dir = "{ours}"\n[systems.city]\nfeed = "youbike"\nurl = "{url}"\n'
        'timezone = "Asia/Taipei"\n'
    )
    fetch = [sys.executable, "-m", "bikecollect", "--config", str(config), "fetch"]
    script = [sys.executable, str(SCRIPT), url, str(theirs)]
    return {
        "script": (script, theirs),
        "bikecollect": (fetch, ours / "city/station_status"),
    }


def start(command: list[str]) -> "subprocess.Popen[bytes]":
    """Start *command* without its output."""
    quiet = subprocess.DEVNULL
    env = {**os.environ, "XDG_STATE_HOME": str(Path(command[-1]).parent / ".state")}
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, env=env)


def rows(folder: Path) -> list[list[str]]:
    """Return the rows of all daily files in *folder*, without the headers."""
    files = sorted(folder.glob("*.csv"))
    return [
        row
        for path in files
        for row in list(csv.reader(path.open(encoding="utf-8", newline="")))[1:]
    ]


def losses() -> None:
    """Print, for each fault, how many stations of the slot each program has."""
    for fault, respond in FAULTS.items():
        with tempfile.TemporaryDirectory() as name, serving(respond) as url:
            counts = {}
            for program, (command, folder) in commands(Path(name), url).items():
                code = start(command).wait()
                counts[program] = f"{len(rows(folder))} rows, exit {code}"
        print(f"{fault}: {counts}", flush=True)


def two_at_once() -> None:
    """Print how many rows a slot has after two runs that started together."""
    with tempfile.TemporaryDirectory() as name, serving(good) as url:
        counts = {}
        for program, (command, folder) in commands(Path(name), url).items():
            for process in [start(command), start(command)]:
                process.wait()
            counts[program] = f"{len(rows(folder))} rows"
    print(f"two runs at once: {counts}", flush=True)


def kills() -> None:
    """Kill each program as it begins to write, and run it again as cron would.

    The script's next run is for another slot; so is ours, but it commits the payload
    of the killed one.
    """
    for program in ("script", "bikecollect"):
        parts = 0
        for _ in range(KILLS):
            with tempfile.TemporaryDirectory() as name, serving(good) as url:
                command, folder = commands(Path(name), url)[program]
                process = start(command)
                wait_for_rows(folder, process)
                process.send_signal(signal.SIGKILL)
                process.wait()
                if program == "bikecollect":
                    start(command).wait()
                parts += has_a_part(folder)
        print(f"{program}: a part of the city after a kill: {parts} of {KILLS}")


def wait_for_rows(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the first byte of a daily file is there, or the end of *process*."""
    while process.poll() is None:
        if any(path.stat().st_size for path in folder.glob("*.csv")):
            return


def has_a_part(folder: Path) -> bool:
    """Return whether a slot has only some of its rows, or a row is broken."""
    lines = rows(folder)
    slots = Counter(row[0] for row in lines)
    is_whole = all(count == STATIONS for count in slots.values())
    return len({len(row) for row in lines}) > 1 or not is_whole


if __name__ == "__main__":
    losses()
    two_at_once()
    kills()
