"""Two collectors with other outages make one whole; archived, it comes back."""

import csv
import hashlib
import json
from pathlib import Path

import pytest
from command import bikecollect
from series import SERIES, Player, youbike

pytestmark = pytest.mark.skipif(
    not SERIES.exists(), reason="the recorded series are not here"
)
INTERVAL = 900


def lines(folder: Path) -> list[list[str]]:
    """Return all rows of the system in *folder*, sorted by slot and station."""
    rows = []
    for path in sorted((folder / "city/station_status").iterdir()):
        with path.open(encoding="utf-8", newline="") as opened:
            rows += list(csv.reader(opened))[1:]
    return sorted(rows, key=lambda row: (row[0], row[2]))


@pytest.mark.slow
def test_a_merged_and_archived_series_is_the_full_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Backfill, compact, verify, export: three days, value for value."""
    snapshots = youbike()
    cuts = {
        "one": dict.fromkeys(range(10, 40), "host-off"),
        "two": {**dict.fromkeys(range(60, 75), "http-503"), 90: "html"},
        "full": {},
    }
    for name, cut in cuts.items():
        player = Player(
            snapshots, tmp_path / name, "youbike", "Asia/Taipei", INTERVAL, cut
        )
        player.play(monkeypatch)
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
    days = {row[0][:10] for row in wanted}
    assert len(wanted) > 450_000
    assert merged == wanted
    assert [json.loads(each)["what"] for each in compacted.stdout.splitlines()] == [
        *["archived"] * len(days),
        *["let go"] * len(days),
    ]
    assert not list((tmp_path / "one/city/station_status").iterdir())
    assert verified.returncode == 0, verified.stdout
    assert list(csv.reader(exported.stdout.splitlines()))[1:] == wanted
    head, *rows = exported.stdout.splitlines(keepends=True)
    first = json.loads(verified.stdout.splitlines()[0])
    day = head + "".join(row for row in rows if row.startswith(first["date"]))
    assert hashlib.sha256(day.encode()).hexdigest() == first["sha256"]
