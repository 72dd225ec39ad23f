"""What is usual at an hour of the week: the mean of the days before."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from keeping import compacted, data_service, unpacked
from world import NOON, World

from bikecollect.app.queries.films.packing import UNSEEN
from bikecollect.app.queries.service import DataService

pytest.importorskip("duckdb")
DAY = date(2026, 11, 22)
WEEK = 7 * 86_400
SUNDAY_NOON = 6 * 24 + 12


@pytest.fixture
def world(folder: Path) -> World:
    """Return four Sunday noons of a station, and two of another."""
    world = World(folder / "city")
    for weeks, bikes in (
        (5, {"a": 60}),
        (3, {"a": 2}),
        (2, {"a": 4, "b": 9}),
        (1, {"a": 7}),
        (0, {"a": 1, "b": 8}),
    ):
        world.clock.now = NOON - weeks * WEEK
        world.fetch(bikes)
    return world


@pytest.fixture
def service(world: World) -> Iterator[DataService]:
    """Yield the data service of *world*, shortly after its last slot."""
    service = data_service(world)
    yield service
    service.close()


def at_noon(service: DataService) -> tuple[list[int], list[int]]:
    """Return the usual bikes of the stations on Sunday noon, and the days behind."""
    usual = service.film("city", DAY).usual
    column, width = usual.hours.index(SUNDAY_NOON), len(usual.hours)
    return unpacked(usual.vehicles)[column::width], unpacked(usual.days)[column::width]


def test_the_usual_number_is_the_mean_of_the_same_hour_of_earlier_weeks(
    service: DataService,
) -> None:
    """Of 28 days, rounded, without the day itself; one day is not usual yet."""
    vehicles, days = at_noon(service)

    assert vehicles == [4, UNSEEN]
    assert days == [3, UNSEEN]


def test_archived_days_give_the_same_usual_numbers(
    world: World, service: DataService
) -> None:
    """Open days are summed up, archived ones have their summaries.

    Here the first is before the 28 days, and the second among them.
    """
    before = at_noon(service)

    world.clock.now = NOON - 3 * WEEK + 86_400
    compacted(world)
    world.clock.now = NOON

    assert at_noon(service) == before


def test_each_slot_of_a_film_has_its_hour_of_the_week(service: DataService) -> None:
    """A film of the last 24 hours has those of two days."""
    usual = service.last_hours("city").usual

    assert usual.slot_hours[0] == SUNDAY_NOON - 24
    assert usual.slot_hours[-1] == SUNDAY_NOON
    assert usual.hours == list(range(SUNDAY_NOON - 24, SUNDAY_NOON + 1))


def test_without_earlier_weeks_nothing_is_usual(folder: Path) -> None:
    """A station that was seen on one day has no usual number, and no error."""
    world = World(folder / "city")
    world.fetch({"a": 1})
    service = data_service(world)

    vehicles, days = at_noon(service)

    assert (vehicles, days) == ([UNSEEN], [UNSEEN])
    service.close()


def test_numpy_starts_no_threads() -> None:
    """Where a limit of processes did not allow them, `share` ended with 130."""
    code = (
        "import os; from bikecollect.app.queries.films.packing import unseen;"
        "unseen((1, 1)); print(len(os.listdir('/proc/self/task')))"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS")}
    words = [sys.executable, "-c", code]
    process = subprocess.run(words, env=env, check=True, capture_output=True)

    assert process.stdout == b"1\n"
