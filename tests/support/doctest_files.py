"""Which files are searched for doctests: each of the workers collects all files."""

from collections.abc import Generator
from pathlib import Path

import pytest
from _pytest.doctest import DoctestModule

TESTS = Path(__file__).resolve().parents[1]
Collectors = list[pytest.Collector]


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path) -> Generator[None, Collectors, Collectors]:
    """Look for doctests only in modules of the program that have an example."""
    collectors = yield
    return [
        item
        for item in collectors
        if not isinstance(item, DoctestModule) or _has_examples(file_path)
    ]


def _has_examples(file: Path) -> bool:
    return TESTS not in file.parents and b">>> " in file.read_bytes()
