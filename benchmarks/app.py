"""What the data app costs on a simulated year, in a real browser.

Run: .venv/bin/python benchmarks/app.py FOLDER   (the year of history.py; made there)

Seconds from the address to the finished page, its charts drawn, in a Chromium that has
been there before (it has Streamlit's scripts), beside an empty page of Streamlit
(empty_page.py) and a plain one over ONE day's CSV (plain_page.py): cold, the first page
of a fresh server; warm, once more. "Ours" is what is left when the empty page's warm
seconds are taken off.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from history import _day
from playwright.sync_api import sync_playwright

PORT = 8611
TIMES = 3
STATION = "/station?station=990000100"
PAGES = {
    "Now": "/",
    "Station, past of 28 days": STATION,
    "Station, past of a year": f"{STATION}&range=365+days",
    "Station, typical week, 28 days": f"{STATION}&view=Typical+week",
    "Station, typical week, a year": f"{STATION}&view=Typical+week&range=365+days",
    "Station, empty or full, 28 days": f"{STATION}&view=Empty+or+full",
    "Station, empty or full, a year": f"{STATION}&view=Empty+or+full&range=365+days",
    "City, week of 28 days": "/city",
    "City, week of a year": "/city?range=365+days",
    "City, day (film)": "/city?view=Day",
    "City, areas of a year": "/city?view=Areas&range=365+days",
    "City, two periods": "/city?view=Compare",
    "City, rankings of a year": "/city?view=Rankings&range=365+days",
    "Collection": "/collection",
}
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
DRAWN = """[...document.querySelectorAll('[data-testid=stVegaLiteChart]')]
    .every(each => each.querySelector('canvas, svg'))"""
FLAGS = ("--server.headless=true", "--browser.gatherUsageStats=false")


class Times(NamedTuple):
    """Seconds of a page, *cold* and *warm*, and the *most* memory in MiB."""

    cold: float
    warm: float
    most: int


def main() -> None:
    """Measure every page and print a table."""
    folder = Path(sys.argv[1])
    if not (folder / "bikecollect.toml").exists():
        folder.mkdir(parents=True, exist_ok=True)
        year = Path(__file__).parent / "year.py"
        subprocess.run([sys.executable, year, folder / "bikes"], check=True)
    ours = [sys.executable, "-m", "bikecollect", "--config"]
    ours += [str(folder / "bikecollect.toml"), "app", "--port", str(PORT)]
    print("| page | cold s | warm s | ours, cold | ours, warm | most memory, MiB |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as aside, sync_playwright() as play:
        csv = next((_day(Path(aside)) / "bikes/city/station_status").iterdir())
        program = shutil.which("chromium") or shutil.which("chromium-headless-shell")
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        chromium = browser.new_context()
        _measured(chromium, _script("empty_page.py"), "/", {})  # fills the cache
        empty = _measured(chromium, _script("empty_page.py"), "/", {})
        _row("an empty page of Streamlit", empty, empty)
        plain = _measured(
            chromium, _script("plain_page.py"), "/", {"PLAIN_CSV": str(csv)}
        )
        _row("a plain page, ONE day", plain, empty)
        for name, path in PAGES.items():
            _row(name, _measured(chromium, ours, path, {}), empty)
        with _served(ours, {}) as server:
            for _ in range(2):
                for path in PAGES.values():
                    _timed(chromium, path)
            print(f"| all pages, twice, one server | | | | | {_most(server)} |")


def _script(name: str) -> list[str]:
    """Return the command that serves a page of this folder."""
    page = str(Path(__file__).parent / name)
    flags = [*FLAGS, f"--server.port={PORT}", "--server.address=127.0.0.1"]
    return [sys.executable, "-m", "streamlit", "run", page, *flags]


def _row(name: str, page: Times, empty: Times) -> None:
    """Print a line of the table."""
    times = [page.cold, page.warm, page.cold - empty.warm, page.warm - empty.warm]
    seconds = " | ".join(f"{max(0, seconds_spent):.2f}" for seconds_spent in times)
    print(f"| {name} | {seconds} | {page.most} |", flush=True)


def _measured(
    chromium: Any, command: list[str], path: str, env: Mapping[str, str]
) -> Times:
    """Return the medians for the page at *path*."""
    cold, warm, most = [], [], 0
    for _ in range(TIMES):
        with _served(command, env) as server:
            cold.append(_timed(chromium, path))
            warm.append(_timed(chromium, path))
            most = max(most, _most(server))
    return Times(statistics.median(cold), statistics.median(warm), most)


@contextmanager
def _served(command: list[str], env: Mapping[str, str]) -> Iterator[int]:
    """Yield the process id of a server that answers."""
    with subprocess.Popen(
        command, env=os.environ | env, stdout=subprocess.DEVNULL
    ) as server:
        address = f"http://127.0.0.1:{PORT}/_stcore/health"
        asked = ["curl", "-sf", "-o", "/dev/null", address]
        while subprocess.run(asked, check=False).returncode:
            time.sleep(0.1)
        yield server.pid
        server.terminate()


def _timed(chromium: Any, path: str) -> float:
    """Return the seconds until the page at *path* is drawn."""
    page = chromium.new_page()
    begin = time.perf_counter()
    page.goto(f"http://127.0.0.1:{PORT}{path}")
    page.wait_for_selector("h1")
    page.wait_for_selector(IDLE, state="attached")
    page.wait_for_function(DRAWN)
    spent = time.perf_counter() - begin
    page.close()
    return spent


def _most(pid: int) -> int:
    """Return the most memory that the process ever had resident, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(x.split()[1]) // 1024 for x in lines if x.startswith("VmHWM"))


if __name__ == "__main__":
    main()
