"""Worlds with a history that many tests begin with: collected once, then copied."""

import os
import shutil
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from world import FakeClock, World

Build = Callable[[Path], World]
"""A function that collects, and perhaps archives, a history in a folder."""


def copied(build: Build) -> Build:
    """Decorate *build*: it is called once in a process, and its files are copied.

    Each copy has its own clock, which shows the same time.
    """

    @wraps(build)
    def copy(*folder: Path, **named_folder: Path) -> World:
        (target,) = (*folder, *named_folder.values())
        template, built = _template(build)
        shutil.copytree(template, target, symlinks=True, dirs_exist_ok=True)
        world = World(
            target / built.folder.relative_to(template),
            built.derived,
            FakeClock(built.clock.now),
            built.uptime,
            built.runs,
            built.patience,
        )
        world.feed.answer, world.feed.date = built.feed.answer, built.feed.date
        world.feed.reads = built.feed.reads
        return world

    return copy


@cache
def _template(build: Build) -> tuple[Path, World]:
    """Return the folder of a template, and what *build* made in it."""
    folder = Path(mkdtemp(dir=_templates().name))
    return folder, build(folder)


@cache
def _templates() -> "TemporaryDirectory[str]":
    """Return the folder of all templates, which is removed when the process ends.

    It is where the tests' own folders are: on a disk, the syncs of a history that is
    collected take most of the time.
    """
    place = os.environ.get("PYTEST_DEBUG_TEMPROOT")
    return TemporaryDirectory(prefix="bikecollect-tests-", dir=place)
