"""Recorded weeks with outages of each kind cut in: the report names each, no other."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from series import CUTS, SERIES, Documents, Player, bay_wheels, check_gaps, vienna

pytestmark = pytest.mark.skipif(
    not SERIES.exists(), reason="the recorded series are not here"
)
INTERVAL = 1_800
"""Seconds: a whole week in a third of its snapshots."""
FEEDS = [
    pytest.param((bay_wheels, "America/Los_Angeles"), id="bay-wheels"),
    pytest.param((vienna, "Europe/Vienna"), id="vienna"),
]


@pytest.mark.slow
@pytest.mark.parametrize("city", FEEDS)
def test_every_cut_gap_is_named_with_its_cause_and_no_other(
    city: tuple[Callable[[], Mapping[float, Documents]], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twelve kinds; a held lock delays a slot, and loses nothing."""
    read, timezone = city
    player = Player(read(), tmp_path, "gbfs", timezone, INTERVAL, CUTS)

    settings = player.play(monkeypatch)

    check_gaps(player, settings)
