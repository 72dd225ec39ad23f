"""What a click inside the data app costs, beside an empty page of Streamlit.

Run: .venv/bin/python benchmarks/app_clicks.py CONFIG   (settings of any data)

Seconds from the click until the page is drawn, in a real Chromium, and the CPU seconds
of the server and of the browser meanwhile: the first time, and the median of the next
three. The last column is all CPU time beside that of the empty page in the same run:
it holds on a busy machine, too.
"""

import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from app import IDLE, PORT, _most, _script, _served
from playwright.sync_api import sync_playwright

TIMES = 3
TICK = os.sysconf("SC_CLK_TCK")
DRAWN = """() => {
  const app = document.querySelector('[data-testid=stApp]');
  if (app?.getAttribute('data-test-script-state') !== 'notRunning') return false;
  if (!document.querySelector('h1')) return false;
  const charts = [...document.querySelectorAll('[data-testid=stVegaLiteChart]')];
  if (!charts.every((chart) => chart.querySelector('canvas, svg'))) return false;
  const maps = [...document.querySelectorAll('*')].filter((e) => e.shadowRoot)
    .map((e) => e.shadowRoot.querySelector('.city')).filter(Boolean);
  return maps.every((map) => map.dataset.drawn === 'yes');
}"""
WATCH = """() => {
  const app = document.querySelector('[data-testid=stApp]');
  window.hasRun = false;
  window.watcher?.disconnect();
  window.watcher = new MutationObserver(() => {
    window.hasRun ||= app.getAttribute('data-test-script-state') !== 'notRunning';
  });
  window.watcher.observe(app, { attributes: true });
}"""
CLICKS = {
    "Station": "link",
    "Typical week": "radio",
    "Empty or full": "radio",
    "City": "link",
    "Day": "radio",
    "Areas": "radio",
    "Compare": "radio",
    "Rankings": "radio",
    "Collection": "link",
    "Live": "link",
}
"""What is clicked, in this order, and its role."""


class Cost(NamedTuple):
    """Seconds, and CPU seconds of the server and of the browser."""

    wall: float
    server: float
    browser: float


def main() -> None:
    """Measure every click and print a table."""
    ours = [sys.executable, "-m", "bikecollect", "--config", sys.argv[1]]
    ours += ["app", "--port", str(PORT)]
    with sync_playwright() as play:
        program = shutil.which("chromium") or shutil.which("chromium-headless-shell")
        chromium = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        context = chromium.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        browser = _chromium(os.getpid())
        print("| click | first s | then s | server CPU | browser CPU | beside empty |")
        print("|---|---|---|---|---|---|")
        with _served(_script("empty_page.py"), {}) as server:
            empty = [_load(page, server, browser) for _ in range(TIMES + 1)]
        usual = _row("an empty page of Streamlit, loaded", empty, None)
        with _served(ours, {}) as server:
            costs: dict[str, list[Cost]] = {"first page, loaded": []}
            for _ in range(TIMES + 1):
                costs["first page, loaded"].append(_load(page, server, browser))
                for name, role in CLICKS.items():
                    cost = _click(page, role, name, server, browser)
                    costs.setdefault(name, []).append(cost)
            for name, measured in costs.items():
                _row(name, measured, usual)
            print(f"| most memory, MiB | {_most(server)} | | | | |")


def _row(name: str, costs: list[Cost], empty: Cost | None) -> Cost:
    """Print a line of the table; return the medians of all but the first."""
    later = Cost(*(statistics.median(cost[i] for cost in costs[1:]) for i in range(3)))
    cpu = later.server + later.browser
    ratio = cpu / (empty.server + empty.browser) if empty else 1
    seconds = (costs[0].wall, *later, ratio)
    print(f"| {name} | {' | '.join(f'{value:.2f}' for value in seconds)} |", flush=True)
    return later


def _load(page: Any, server: int, browser: int) -> Cost:
    return _measured(
        lambda: page.goto(f"http://127.0.0.1:{PORT}/"), page, server, browser
    )


def _click(page: Any, role: str, name: str, server: int, browser: int) -> Cost:
    def act() -> None:
        page.get_by_role(role, name=name, exact=True).first.click()
        page.wait_for_function("() => window.hasRun", polling=10)

    page.evaluate(WATCH)
    return _measured(act, page, server, browser)


def _measured(act: Callable[[], Any], page: Any, server: int, browser: int) -> Cost:
    before, began = (_cpu(server), _cpu(browser)), time.perf_counter()
    act()
    page.wait_for_selector(IDLE, state="attached")
    page.wait_for_function(DRAWN, polling=20)
    wall = time.perf_counter() - began
    cost = Cost(wall, _cpu(server) - before[0], _cpu(browser) - before[1])
    time.sleep(0.5)  # charts fade in: not a part of the next click
    return cost


def _children(pid: int) -> list[int]:
    children = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        children += [int(child) for child in (task / "children").read_text().split()]
    return children


def _chromium(pid: int) -> int:
    """Return the only child of the driver that *pid* has started."""
    (driver,) = _children(pid)
    return _children(driver)[0]


def _cpu(pid: int) -> float:
    """Return the CPU seconds of *pid* and of all below it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        below = sum(_cpu(child) for child in _children(pid))
    except OSError:
        return 0.0  # it has ended
    return (int(fields[11]) + int(fields[12])) / TICK + below


if __name__ == "__main__":
    main()
