"""Recorded weeks with outages of each kind cut in: the report names each, no other."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from series import SERIES, Documents, Player, bay_wheels, vienna, youbike

from bikecollect.core.slots import Slot
from bikecollect.reports import evidence

pytestmark = pytest.mark.skipif(
    not SERIES.exists(), reason="the recorded series are not here"
)
CUTS = {
    "host-off": (20, 29, "host-off"),
    "asleep": (40, 46, "asleep"),
    "not-started": (60, 64, "not-started"),
    "killed": (75, 76, "killed"),
    "network": (90, 93, "network: connect"),
    "http-503": (110, 115, "http-503"),
    "http-404": (125, 126, "http-404"),
    "rate-limited": (135, 136, "rate-limited"),
    "credentials": (145, 147, "credentials"),
    "html": (160, 163, "rejected: not-json"),
    "renamed": (180, 184, "rejected: drift"),
    "disk": (200, 202, "disk"),
}
FEEDS = [
    pytest.param((youbike, "youbike", "Asia/Taipei", 900), id="youbike"),
    pytest.param((vienna, "gbfs", "Europe/Vienna", 600), id="vienna"),
    pytest.param((bay_wheels, "gbfs", "America/Los_Angeles", 900), id="bay-wheels"),
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", FEEDS)
def test_every_cut_gap_is_named_with_its_cause_and_no_other(
    kind: tuple[Callable[[], Mapping[float, Documents]], str, str, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twelve kinds; a lock that was held delays a slot, and loses nothing."""
    cuts = {n: name for name, (a, b, _) in CUTS.items() for n in range(a, b)}
    read, feed, timezone, interval = kind
    player = Player(read(), tmp_path, feed, timezone, interval, {**cuts, 220: "lock"})

    settings = player.play(monkeypatch)

    wanted = [
        (player.slots[a], player.slots[b - 1] + interval, b - a, cause)
        for a, b, cause in sorted(CUTS.values())
    ]
    end = Slot(int(player.clock.now))
    found = evidence.read_account(
        settings.system_folder("city"), until=end, now=player.clock.now
    )
    assert [(g.start, g.end, g.slots, g.cause) for g in found.gaps] == wanted
    assert found.total.expected == len(player.slots)
