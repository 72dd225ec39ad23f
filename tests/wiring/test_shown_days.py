"""The days that the views of a system have."""

from functools import partial
from pathlib import Path

import pytest
import trail
from world import NOON, World

from bikecollect.core.slots import DAY
from bikecollect.setup.loader import load
from bikecollect.wiring import history


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a system of one slot."""
    world = World(tmp_path / "city")
    world.fetch({"a": 1})
    return world


def test_a_month_of_missing_slots_is_shown_after_the_last_run(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not all slots since a collector that stopped years ago."""
    monkeypatch.setattr(history, "TRAIL_DAYS", trail.TRAIL_DAYS)
    settings = load(str(config))

    after_a_day, much_later = (
        history.shown(settings, "city", partial(float, now)).days
        for now in (NOON + DAY, NOON + 500 * DAY)
    )

    assert after_a_day == ["2026-11-22", "2026-11-23"]
    assert (len(much_later), much_later[-1]) == (32, "2026-12-23")
