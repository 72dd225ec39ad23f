"""Takes the pictures of the data app that the pages show: make pictures.

Needs Chromium, the app's simulated month (`make app`) served at the address that is
given, and a font that has the simulated names' letters.
"""

import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTH = 1000
YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
WORKDAY = YESTERDAY - timedelta(days=max(0, YESTERDAY.weekday() - 4))
"""The newest complete day with commuters: stations become empty and full."""
PICTURES = {
    "now": "/",
    "station": "/station?station=990000003",
    "week": f"/station?station=990000090&view=Typical+week&day={WORKDAY}",
    "day": f"/city?view=Day&day={WORKDAY}&at=09:30",
    "collection": "/collection",
}
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
MAIN = "document.querySelector('[data-testid=stMainBlockContainer]')"
WITHOUT_PATHS = """() => {
  for (const code of document.querySelectorAll('code')) {
    code.textContent = code.textContent
      .replace(/[^ ]*bikecollect --config [^ ]+/, 'bikecollect');
  }
}"""
"""Shortens the commands on a page: no paths of this machine."""
TIMEOUT = 120_000
FADED_IN = 1500
"""Milliseconds until charts stand still."""


def main() -> None:
    """Take all pictures from the app at the address in the first argument."""
    folder = Path(__file__).parent / "images"
    with sync_playwright() as play:
        program = shutil.which("chromium") or shutil.which("chromium-headless-shell")
        chromium = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": WIDTH, "height": 800})
        page.set_default_timeout(TIMEOUT)
        for name, path in PICTURES.items():
            page.goto(sys.argv[1] + path)
            page.wait_for_selector("h1")
            page.wait_for_selector(IDLE, state="attached")
            page.wait_for_timeout(FADED_IN)
            height = page.evaluate(f"{MAIN}.scrollHeight")
            page.set_viewport_size({"width": WIDTH, "height": height})
            page.wait_for_timeout(FADED_IN)
            page.evaluate(WITHOUT_PATHS)
            page.screenshot(path=folder / f"{name}.png")


if __name__ == "__main__":
    main()
