"""Recorded weeks with outages of each kind cut in: the report names each, no other."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from series import CUTS, SERIES, Documents, Player, bay_wheels, check_gaps, vienna

pytestmark = pytest.mark.skipif(
    not SERIES.exists(), reason="the recorded series are not here"
)
FEEDS = [
    pytest.param((bay_wheels, "America/Los_Angeles", 900), id="bay-wheels"),
    pytest.param((vienna, "Europe/Vienna", 600), id="vienna"),
]


@pytest.mark.slow
@pytest.mark.parametrize("city", FEEDS)
def test_every_cut_gap_is_named_with_its_cause_and_no_other(
    city: tuple[Callable[[], Mapping[float, Documents]], str, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twelve kinds; a held lock delays a slot, and loses nothing."""
    read, timezone, interval = city
    player = Player(read(), tmp_path, "gbfs", timezone, interval, CUTS)

    settings = player.play(monkeypatch)

    check_gaps(player, settings)
