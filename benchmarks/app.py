"""What the data app costs on a simulated year, in a real browser.

Run: .venv/bin/python benchmarks/app.py FOLDER   (the year of history.py; made there)

Seconds from the address to the finished page, in Chromium, beside a plain page over ONE
day's CSV (plain_page.py): cold, each page the first of a fresh server; warm, once more.
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
from typing import Any

from history import _day
from playwright.sync_api import sync_playwright

PORT = 8611
TIMES = 3
PAGES = {
    "Now": "/",
    "Station, 28 days": "/station?station=990000100",
    "Station, a year": "/station?station=990000100&range=365+days",
    "City, week": "/city",
    "City, week of a year": "/city?range=365+days",
    "City, day (film)": "/city?view=Day",
    "City, areas of a year": "/city?view=Areas&range=365+days",
    "City, two periods": "/city?view=Compare",
    "City, rankings of a year": "/city?view=Rankings&range=365+days",
    "Collection": "/collection",
}
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
FLAGS = ("--server.headless=true", "--browser.gatherUsageStats=false")


def main() -> None:
    """Measure every page and print a table."""
    folder = Path(sys.argv[1])
    if not (folder / "bikecollect.toml").exists():
        folder.mkdir(parents=True, exist_ok=True)
        year = Path(__file__).parent / "year.py"
        subprocess.run([sys.executable, year, folder / "bikes"], check=True)
    ours = [sys.executable, "-m", "bikecollect", "--config"]
    ours += [str(folder / "bikecollect.toml"), "app", "--port", str(PORT)]
    page = str(Path(__file__).parent / "plain_page.py")
    plain = [sys.executable, "-m", "streamlit", "run", page, *FLAGS]
    plain += [f"--server.port={PORT}", "--server.address=127.0.0.1"]
    print("| page | cold s | warm s | most memory, MiB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as aside, sync_playwright() as play:
        csv = next((_day(Path(aside)) / "bikes/city/station_status").iterdir())
        chromium = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        _row(chromium, "plain page, ONE day", plain, "/", {"PLAIN_CSV": str(csv)})
        for name, path in PAGES.items():
            _row(chromium, name, ours, path, {})
        with _served(ours, {}) as server:
            for _ in range(2):
                for path in PAGES.values():
                    _timed(chromium, path)
            print(f"| all pages, twice, one server | | | {_most(server)} |")


def _row(
    chromium: Any, name: str, command: list[str], path: str, env: Mapping[str, str]
) -> None:
    """Print the medians for the page at *path*."""
    cold, warm, most = [], [], 0
    for _ in range(TIMES):
        with _served(command, env) as server:
            cold.append(_timed(chromium, path))
            warm.append(_timed(chromium, path))
            most = max(most, _most(server))
    first, then = statistics.median(cold), statistics.median(warm)
    print(f"| {name} | {first:.2f} | {then:.2f} | {most} |", flush=True)


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
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{PORT}/_stcore/health")
    begin = time.perf_counter()
    page.goto(f"http://127.0.0.1:{PORT}{path}")
    page.wait_for_selector("h1")
    page.wait_for_selector(IDLE, state="attached")
    spent = time.perf_counter() - begin
    context.close()
    return spent


def _most(pid: int) -> int:
    """Return the most memory that the process ever had resident, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(x.split()[1]) // 1024 for x in lines if x.startswith("VmHWM"))


if __name__ == "__main__":
    main()
