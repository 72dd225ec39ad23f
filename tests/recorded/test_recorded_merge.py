"""Two collectors with other outages make one whole; archived, it comes back."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from command import bikecollect
from series import SERIES, Player, youbike

pytestmark = pytest.mark.skipif(
    not SERIES.exists(), reason="the recorded series are not here"
)
INTERVAL = 900


def lines(folder: Path) -> list[str]:
    """Return all rows of the system in *folder*, sorted by slot and station."""
    rows = []
    for path in sorted((folder / "city/station_status").iterdir()):
        rows += path.read_text(encoding="utf-8").split("\n")[1:-1]
    return sorted(rows, key=by_slot_and_station)


def by_slot_and_station(line: str) -> tuple[str, str]:
    """Return the first and the third cell of *line*."""
    slot, _, station, _ = line.split(",", 3)
    return slot, station


CUTS = {
    "one": dict.fromkeys(range(10, 40), "host-off"),
    "two": {**dict.fromkeys(range(60, 75), "http-503"), 90: "html"},
    "full": {},
}
"""Each folder's trouble, by the numbers of its slots."""


def play_series(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Play the series with each of `CUTS`; what comes before a cut is played once."""
    snapshots = youbike()
    full, *others = (
        Player(snapshots, folder / name, "youbike", "Asia/Taipei", INTERVAL, CUTS[name])
        for name in ("full", "one", "two")
    )
    played = 0
    for other in others:
        first = min(other.cuts)
        full.play(patch, played, first)
        played = first
        shutil.copytree(full.folder, other.folder)
        other.play(patch, first)
    full.play(patch, played)


@pytest.mark.slow
def test_a_merged_and_archived_series_is_the_full_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Backfill, compact, verify, export: three days, value for value."""
    play_series(tmp_path, monkeypatch)
    config = tmp_path / "bikecollect.toml"
    config.write_text(
        'data_dir = "one"\ninterval = "15min"\n[systems.city]\nfeed = "youbike"\n'
        'url = "http://127.0.0.1/"\ntimezone = "Asia/Taipei"\n'
    )
    command = ("--config", config)
    wanted = lines(tmp_path / "full")

    filled = bikecollect(*command, "backfill", "--from", tmp_path / "two")
    merged = lines(tmp_path / "one")
    compacted = bikecollect(*command, "compact", "--format", "json")
    verified = bikecollect(*command, "verify", "--deep", "--format", "json")
    exported = bikecollect(*command, "export")

    assert "30 slots filled" in filled.stdout
    assert "agreement with ours: 100 %" in filled.stdout
    days = {line[:10] for line in wanted}
    assert len(wanted) > 450_000
    assert merged == wanted
    assert [json.loads(each)["what"] for each in compacted.stdout.splitlines()] == [
        *["archived"] * len(days),
        *["let go"] * len(days),
    ]
    assert not list((tmp_path / "one/city/station_status").iterdir())
    assert verified.returncode == 0, verified.stdout
    assert exported.stdout.split("\n")[1:-1] == wanted
    head, *rows = exported.stdout.splitlines(keepends=True)
    first = json.loads(verified.stdout.splitlines()[0])
    day = head + "".join(row for row in rows if row.startswith(first["date"]))
    assert hashlib.sha256(day.encode()).hexdigest() == first["sha256"]
