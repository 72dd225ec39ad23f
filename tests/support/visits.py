"""Visits of pages in a real browser."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSERS = "chromium-headless-shell", "chromium", "google-chrome"
"""The first draws the same, and does without the windows: a tenth less CPU."""
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
SCREEN = {"width": 1200, "height": 900}
TIMEOUT = 120_000
"""Milliseconds after which a page hangs: many times what it takes on a busy machine."""
CLICKS = 3
"""How often a link is clicked at most within that time."""
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
PICTURES = os.environ.get("BIKECOLLECT_TEST_PICTURES", "")
"""The folder for a picture of each visit's end, to be looked at; empty for none."""
SMALL_PAGE = "/_stcore/health"
"""A page of the app's own server that has nothing to draw."""
PROBES = (SMALL_PAGE, "/_stcore/host-config")
"""Where Streamlit's own page asks for its server, below the page's name too."""
FLAGS = (
    "--no-sandbox",
    "--disable-quic",
    # A page lives for seconds: optimising its scripts takes longer than it saves.
    "--js-flags=--single-threaded,--no-opt,--no-maglev",
)
REVISIT = """path => new Promise((done, fail) => {
  const app = document.querySelector('[data-testid=stApp]');
  let begun = false;
  const look = () => {
    const idle = app.dataset.testScriptState === 'notRunning';
    begun ||= !idle;
    if (begun && idle) done();
  };
  new MutationObserver(look).observe(app, { attributes: true });
  // A browser that is busy for the length of a run does not draw its beginning.
  setTimeout(() => { begun = true; look(); }, 10000);
  setTimeout(() => fail(new Error(`not drawn: ${path}`)), 120000);
  history.pushState(null, '', path);
  dispatchEvent(new PopStateEvent('popstate'));
})"""
"""Goes to another address of an open app, as by the browser's Back."""
AXE = Path(__file__).parents[1] / "app/axe.min.js"
VIOLATIONS = """async () =>
  (await axe.run(document, {resultTypes: ['violations'], preload: false})).violations
  .map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(', ')}`)"""


@contextmanager
def browsing() -> Iterator[Any]:
    """Yield a real Chromium without a screen."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=TIMEOUT)  # by default five seconds
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


def new_context(browser: Any, **options: Any) -> Any:
    """Return a context of *browser* that is patient on a busy machine.

    Its pages do not move while they load: each picture of that is drawn in software.
    """
    context = browser.new_context(reduced_motion="reduce", **options)
    context.set_default_timeout(TIMEOUT)
    return context


def violations(page: Any) -> list[str]:
    """Return what axe finds on *page*; it is loaded into a page once."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    texts: list[str] = page.evaluate(VIOLATIONS)
    return texts


def follow(page: Any, link: str, address: str) -> None:
    """Click *link* until *page* is at *address*.

    A busy machine loses a click now and then, a few in a thousand: Streamlit draws the
    page anew meanwhile. A person clicks again.
    """
    from playwright.sync_api import TimeoutError as TimedOut

    for left in reversed(range(CLICKS)):
        page.get_by_role("link", name=link).click()
        try:
            page.wait_for_url(address, timeout=TIMEOUT / CLICKS)
            return
        except TimedOut:
            if not left:
                raise


class Visit:
    """A page, and all errors on it.

    It may make requests to the app at *address*, and to addresses that begin with
    *also*, which may be empty.
    """

    def __init__(self, page: Any, address: str, *, also: str = "") -> None:
        self.page = page
        self.address = address
        self._own = (address, *([also] if also else []), "data:", "blob:")
        self.wrong: list[str] = []
        self._listeners = {
            "console": self._console,
            "pageerror": lambda error: self.wrong.append(str(error)),
            "request": self._request,
        }
        for event, listener in self._listeners.items():
            page.on(event, listener)

    def open(self, path: str) -> "Visit":
        """Go to *path*, and wait until all is drawn."""
        self.page.goto(self.address + path)
        return self.settled()

    def go(self, path: str) -> "Visit":
        """Go to *path* in the open app, as by the browser's Back.

        Its scripts are not loaded again, which takes most of a visit's time. What the
        app remembers of the pages before, such as a station, it still knows.
        """
        if self.page.locator(IDLE).count() == 0:
            return self.open(path)
        self.page.evaluate(REVISIT, self.address + path)
        return self.settled()

    def settled(self) -> "Visit":
        """Wait until the page is drawn."""
        self.page.wait_for_selector("h1")
        self.page.wait_for_selector(IDLE, state="attached")
        return self

    def sees(self, text: str) -> None:
        """Wait for *text* to appear on the page."""
        self.page.get_by_text(re.compile(text)).first.wait_for()

    def map(self) -> Any:
        """Return the map's own element."""
        city = self.page.locator(".city").first
        city.locator("canvas").first.wait_for()
        return city

    def show_all(self) -> None:
        """Make the screen as high as the page."""
        main = "document.querySelector('[data-testid=stMainBlockContainer]')"
        height = self.page.evaluate(f"{main}.scrollHeight") + 80
        width = self.page.viewport_size["width"]
        self.page.set_viewport_size({"width": width, "height": height})

    def shot(self, name: str) -> None:
        """Take a picture of the page, if pictures are wanted."""
        if not PICTURES:
            return
        self.show_all()
        path = Path(PICTURES) / f"{re.sub('[^a-z0-9]+', '-', name)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path)

    def nothing_is_wrong(self) -> None:
        """Fail on an exception box, or an error in the console."""
        assert self.page.locator("[data-testid=stException]").count() == 0
        assert self.wrong == []

    def end(self, picture: str) -> None:
        """Take a *picture*, and leave the tab to the next visit; nothing may be wrong.

        The app stays open: for another page, such as about:blank, Chromium would start
        a new process, and compile Streamlit's scripts again for the next visit.
        """
        try:
            self.shot(picture)
            self.nothing_is_wrong()
        finally:
            for event, listener in self._listeners.items():
                self.page.remove_listener(event, listener)
            self.page.evaluate("sessionStorage.clear()")
            self.page.set_viewport_size(SCREEN)
            self.page.emulate_media(color_scheme="null")

    def _console(self, message: Any) -> None:
        known = any(probe in message.location["url"] for probe in PROBES)
        if message.type == "error" and not known:
            self.wrong.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(self._own):
            self.wrong.append(f"asked for {request.url}")
