"""Pages of the data app, run by Streamlit's own AppTest."""

import sys
import time
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from bikecollect.app.queries.service import DataService

PAGES = ("now", "station", "city", "collection", "systems")
POLL = 0.01
"""Seconds between two looks at whether a page is drawn."""


def show_data_of(service: DataService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all pages, and what they share, show the data of *service*."""
    for page in PAGES:
        import_module(f"bikecollect.app.pages.{page}")
    for name, module in [*sys.modules.items()]:
        if name.startswith("bikecollect.app.") and hasattr(module, "data_service"):
            monkeypatch.setattr(module, "data_service", lambda: service)


def run_lightly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each run of an AppTest do little but draw the page.

    Streamlit searches the installed packages for components once a process: to read
    their metadata again would take longer than to draw the page. And it does not look
    a thousand times a second whether the page is drawn.
    """
    manifests = _component_manifests()
    scanner = import_module("streamlit.components.v2.manifest_scanner")
    monkeypatch.setattr(scanner, "scan_component_manifests", lambda: manifests)
    runner = import_module("streamlit.testing.v1.local_script_runner")
    clock = SimpleNamespace(time=time.time, sleep=lambda _: time.sleep(POLL))
    monkeypatch.setattr(runner, "time", clock)


@cache
def _component_manifests() -> Any:
    scanner = import_module("streamlit.components.v2.manifest_scanner")
    return scanner.scan_component_manifests()


def page_script(name: str) -> None:
    """Be the script of the page *name*: Streamlit reads this function's text."""
    import importlib  # the script has nothing else

    importlib.import_module(f"bikecollect.app.pages.{name}").page()


def said(app: Any) -> str:
    """Return all small print of a page."""
    return "\n".join(caption.value for caption in app.caption)
