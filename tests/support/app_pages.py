"""Pages of the data app, run by Streamlit's own AppTest."""

from functools import cache
from importlib import import_module
from typing import Any

import pytest


def scan_packages_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Streamlit search the installed packages for components once a process.

    Each run of an AppTest would read the metadata of all packages again, which takes
    longer than to draw the page.
    """
    manifests = _component_manifests()
    scanner = import_module("streamlit.components.v2.manifest_scanner")
    monkeypatch.setattr(scanner, "scan_component_manifests", lambda: manifests)


@cache
def _component_manifests() -> Any:
    scanner = import_module("streamlit.components.v2.manifest_scanner")
    return scanner.scan_component_manifests()
