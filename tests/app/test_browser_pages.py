"""Every page of the data app in a real browser."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import bikecollect
from visits import CHROMIUM, Visit, violations

from bikecollect.simulator.demo import SETTINGS, YOUBIKE

api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("streamlit")
LOADED = (
    *("/", "/collection", "/station", "/station?range=7+days", "/station?range=All"),
    "/city",
)
"""The pages that are loaded."""
VIEWS = (
    *("/city?view=Day", "/city?view=Areas", "/city?view=Compare"),
    *("/city?view=Rankings", "/station?view=Typical+week"),
    "/station?view=Empty+or+full",
)
"""Views of these pages, to which a visitor goes in the open app."""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="the app is looked at with Chromium"),
    pytest.mark.filterwarnings("ignore"),
]


TEMPORARY = "bikecollect-"


@pytest.fixture(scope="module")
def files(data: Path) -> dict[Path, bytes]:
    """Return all files of *data* before the app was used."""
    return contents(data)


def contents(data: Path) -> dict[Path, bytes]:
    """Return all files of *data*, without SQLite's shared memory and what is temporary.

    `app_serving` puts what is temporary there too, and sees that it is removed.
    """
    return {
        path: path.read_bytes()
        for path in data.rglob("*")
        if path.is_file()
        and not path.name.endswith(("-shm", "-wal"))
        and not any(part.startswith(TEMPORARY) for part in path.parts)
    }


@pytest.fixture(scope="module")
def address(files: dict[Path, bytes], address: str) -> str:
    """Return the app's address; its *files* were read before the app started."""
    assert files
    return address


@pytest.fixture(scope="module", params=[*LOADED, *VIEWS])
def opened(tab: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Yield each of the pages and views, opened once for all claims about it."""
    visit = Visit(tab, address)
    path = request.param
    yield visit.go(path) if path in VIEWS else visit.open(path)
    visit.end(f"page {request.param}")


def test_every_page_opens_without_error_or_foreign_request(opened: Visit) -> None:
    """No exception, no error in the console, no request but to our server."""
    opened.sees("Newest data")

    assert opened.page.locator("[data-testid=stAlertContentError]").count() == 0
    drawn = opened.page.locator(
        "canvas, svg.marks, .plot svg, [data-testid=stDataFrame]"
    )
    nothing = opened.page.get_by_text(
        re.compile("Never for half an hour or more|No hour of the week was seen")
    )
    drawn.or_(nothing).first.wait_for()
    opened.nothing_is_wrong()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened: Visit, scheme: str) -> None:
    """No violation of accessibility on any page, in light and in dark."""
    opened.page.emulate_media(color_scheme=scheme)
    opened.settled().sees("Newest data")

    assert violations(opened.page) == []


def test_a_page_ends_with_the_source_and_the_licence(opened: Visit) -> None:
    """The simulated YouBike feed states none: the page says so."""
    source = opened.page.locator("p.source")

    api.expect(source).to_contain_text("Data: 127.0.0.1.")
    api.expect(source).to_contain_text("The licence of the data is unknown")


def test_the_app_wrote_nothing_to_the_data(
    opened: Visit, data: Path, files: dict[Path, bytes]
) -> None:
    """Every file is unchanged; only SQLite's shared memory is beside the ledger."""
    opened.sees("Newest data")

    assert contents(data) == files


def test_a_phone_needs_no_scrolling_aside(opened: Visit) -> None:
    """At 390 pixels nothing is wider than the screen."""
    opened.page.set_viewport_size({"width": 390, "height": 800})
    opened.settled().sees("Newest data")
    opened.show_all()
    opened.shot(f"phone {opened.page.url.removeprefix(opened.address)}")

    assert opened.page.evaluate("document.scrollingElement.scrollWidth") <= 390


def test_a_port_in_use_is_reported(data: Path) -> None:
    """No traceback, and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = bikecollect("--config", data / SETTINGS, "app", "--port", port)

    assert process.returncode == 64
    assert f"port {port}" in process.stderr
    assert "--port" in process.stderr


def test_an_unknown_system_is_an_error(data: Path) -> None:
    """Before anything is served."""
    process = bikecollect("--config", data / SETTINGS, "app", "--system", "nowhere")

    assert process.returncode
    assert "nowhere" in process.stderr
    assert YOUBIKE in process.stderr


def test_missing_streamlit_is_reported(data: Path, tmp_path: Path) -> None:
    """The error names the extra to install."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['streamlit'] = None\n"
    )

    process = bikecollect(
        "--config", data / SETTINGS, "app", PYTHONPATH=f"{tmp_path}:{Path.cwd()}"
    )

    assert "the data app requires Streamlit" in process.stderr
    assert "[app]" in process.stderr
    assert "Traceback" not in process.stderr
