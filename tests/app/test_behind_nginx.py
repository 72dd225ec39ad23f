"""The public app and the shared pages behind a real nginx, in a real browser."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from appserver import app_serving
from in_process import bikecollect
from nginx import NGINX, nginx_serving
from visits import CHROMIUM, follow, new_context
from world import World

pytest.importorskip("playwright.sync_api")
pytest.importorskip("streamlit")
PLACES = {"a": [25.0, 121.5, "East"], "b": [25.01, 121.5, "West"]}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="pages are opened by Chromium"),
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the settings of a system whose newest slot has just begun."""
    folder = tmp_path_factory.mktemp("nginx")
    world = World(folder / "data/harbour")
    now = time.time() // 300 * 300
    for age in (600, 300):
        world.clock.now = now - age
        world.fetch({"a": 3, "b": 0}, places=PLACES)
    path = folder / "bikecollect.toml"
    path.write_text(
        'data_dir = "data"\n[systems.harbour]\nfeed = "youbike"\n'
        'url = "http://127.0.0.1:9/"\ntimezone = "Asia/Taipei"\n',
        encoding="utf-8",
    )
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def address(config: Path) -> Iterator[str]:
    """Yield the address of nginx, with the public app at /bikes, the pages at /map."""
    pages = config.parent / "pages"
    process = bikecollect("--config", config, "share", "--live", "-o", pages)
    assert process.returncode == 0, process.stderr
    folder = config.parent / "server"
    folder.mkdir()
    with (
        app_serving(config, "--public", base_path="/bikes") as app,
        nginx_serving(folder, app.removesuffix("/bikes"), pages) as base,
    ):
        yield base


@pytest.fixture
def blog(config: Path, address: str) -> str:
    """Return the address of another site that frames the app."""
    assert address
    return (config.parent / "server/other").read_text("utf-8")


@pytest.fixture(scope="module")
def context(browser: Any) -> Iterator[Any]:
    """Yield a context of a real Chromium."""
    context = new_context(browser)
    yield context
    context.close()


@pytest.fixture(scope="module")
def tab(context: Any) -> Any:
    """Return the tab of all tests: a new one would compile the app's scripts again."""
    return context.new_page()


@pytest.fixture
def page(tab: Any, address: str) -> Iterator[Any]:
    """Yield a page that makes requests to nginx only."""
    strange: list[str] = []

    def note(request: Any) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            strange.append(request.url)

    tab.on("request", note)
    yield tab
    tab.remove_listener("request", note)
    assert strange == []


def test_the_app_works_below_its_path(page: Any, address: str) -> None:
    """Map, navigation, a reload of another page: all below /bikes."""
    page.goto(f"{address}/bikes/")
    page.locator(".city[data-drawn]").wait_for()

    follow(page, "Collection", f"{address}/bikes/collection*")

    page.get_by_role("heading", name="Gaps and their causes").wait_for()
    page.reload()
    page.get_by_role("heading", name="Gaps and their causes").wait_for()


def test_a_public_app_shows_nothing_of_the_machine(
    page: Any, address: str, config: Path
) -> None:
    """No path, disk, run or incident; coverage and causes are public."""
    page.goto(f"{address}/bikes/collection")
    page.get_by_role("heading", name="Gaps and their causes").wait_for()

    text = page.locator("body").inner_text()
    assert "Coverage day by day" in text
    for secret in (str(config.parent), "Incidents", "Runs of the last", "Disk"):
        assert secret.casefold() not in text.casefold()


def test_an_embedded_page_is_the_figure_alone(tab: Any, blog: str) -> None:
    """In a frame of another site: no title, no search, no table."""
    tab.goto(blog)
    frame = tab.frame_locator("iframe")

    frame.locator(".city[data-drawn]").wait_for()

    assert frame.get_by_role("heading", name="Live").is_hidden()
    assert frame.get_by_role("link", name="Collection").is_hidden()
    assert frame.get_by_label("Search by name or id").count() == 0
    assert frame.locator("[data-testid=stDataFrame]").count() == 0


def test_only_a_public_page_may_be_framed_by_others(context: Any, address: str) -> None:
    """Its headers allow it; a private app is framed by its own pages only."""
    headers = context.request.get(f"{address}/bikes/").headers

    assert "frame-ancestors *" in headers["content-security-policy"]
    assert "x-frame-options" not in headers


def test_a_live_page_behind_nginx_is_compressed_and_cached(
    page: Any, address: str
) -> None:
    """An unchanged film is answered with 304."""
    page.goto(f"{address}/map/index.html")
    page.locator(".city[data-drawn]").wait_for()

    first = page.request.get(f"{address}/map/film.json")
    again = page.request.get(
        f"{address}/map/film.json", headers={"If-None-Match": first.headers["etag"]}
    )

    assert (first.status, again.status) == (200, 304)
    assert re.search(r"\d\d:\d\d", page.locator(".film output").inner_text())
