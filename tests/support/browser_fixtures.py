"""Fixtures of a module: a real browser, and two days of a city in the app."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from appserver import app_serving
from demo_city import collect_two_days
from visits import SCREEN, browsing, new_context

from bikecollect.setup import settings_file


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Yield a real Chromium without a screen."""
    pytest.importorskip("playwright.sync_api")
    with browsing() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two days of a city."""
    return collect_two_days(tmp_path_factory.mktemp("app"))


@pytest.fixture(scope="module")
def address(data: Path) -> Iterator[str]:
    """Yield the address at which ``bikecollect app`` serves *data*."""
    with app_serving(data / settings_file.FILE) as base:
        yield base


# A new tab would compile Streamlit's pages again: two seconds of CPU.
@pytest.fixture(scope="module")
def tab(browser: Any) -> Iterator[Any]:
    """Yield the tab of all visits."""
    context = new_context(browser, viewport=SCREEN)
    yield context.new_page()
    context.close()
