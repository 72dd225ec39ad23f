"""Three recorded days of Taipei: gaps are named, filled from another, and archived."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from in_process import bikecollect
from json_shapes import documented
from series import CUTS, OUTAGES, SERIES, Player, check_gaps, youbike
from world import TAIPEI

from bikecollect.cli.render.programs import archive_json
from bikecollect.setup.settings import Settings

pytestmark = [
    pytest.mark.skipif(not SERIES.exists(), reason="the recorded series are not here"),
    pytest.mark.slow,
]
INTERVAL = 900
OTHER_CUTS = {**dict.fromkeys(range(65, 75), "http-503"), 95: "html"}
"""The outages of the second collector; it ends before the first does."""
OTHER_END = 206


@dataclass
class Collectors:
    """Two collectors of the series, in "one" and "two" of *folder*."""

    folder: Path
    player: Player
    settings: Settings

    def expected(self) -> list[str]:
        """Return the rows of all slots, from the recorded snapshots."""
        return [
            line
            for slot in self.player.slots
            for line in sorted(rows_of(slot, self.player.documents_at(slot + 2.0)["/"]))
        ]


def rows_of(slot: int, body: bytes) -> Iterator[str]:
    """Return the expected rows of a daily file for the payload *body*."""
    begin = datetime.fromtimestamp(slot, TAIPEI)
    moments = f"{begin.isoformat()},{(begin + timedelta(seconds=2)).isoformat()}"
    for station in json.loads(body):
        bikes, docks = station["available_rent_bikes"], station["Quantity"]
        is_open = "true" if station["act"] == "1" else "false"
        reported = station["infoTime"].replace(" ", "T")
        occupancy = round(bikes / docks, 4) if docks else ""
        yield (
            f"{moments},{station['sno']},{bikes},,"
            f"{station['available_return_bikes']},,,{docks},,{is_open},{is_open},"
            f"{reported}+08:00,{occupancy}"
        )


@pytest.fixture(scope="module")
def collectors(tmp_path_factory: pytest.TempPathFactory) -> Collectors:
    """Play the series twice with different outages; what comes before them, once."""
    folder = tmp_path_factory.mktemp("taipei")
    snapshots = youbike()
    one, two = (
        Player(snapshots, folder / name, "youbike", "Asia/Taipei", INTERVAL, cuts)
        for name, cuts in (("one", CUTS), ("two", OTHER_CUTS))
    )
    first = min(CUTS)
    with pytest.MonkeyPatch.context() as patch:
        one.play(patch, 0, first)
        shutil.copytree(one.folder, two.folder)
        two.play(patch, first, OTHER_END)
        settings = one.play(patch, first)
    return Collectors(folder, one, settings)


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


def test_every_cut_gap_is_named_with_its_cause_and_no_other(
    collectors: Collectors,
) -> None:
    """Twelve kinds; a held lock delays a slot, and loses nothing."""
    check_gaps(collectors.player, collectors.settings)


def test_a_merged_and_archived_series_is_complete(
    collectors: Collectors, tmp_path: Path
) -> None:
    """Backfill, compact, verify, export: three days, value for value."""
    for name in ("one", "two"):
        shutil.copytree(collectors.folder / name, tmp_path / name)
    config = tmp_path / "bikecollect.toml"
    config.write_text(
        'data_dir = "one"\ninterval = "15min"\n[systems.city]\nfeed = "youbike"\n'
        'url = "http://127.0.0.1/"\ntimezone = "Asia/Taipei"\n'
    )
    command = ("--config", config)
    expected = collectors.expected()

    filled = bikecollect(*command, "backfill", "--from", tmp_path / "two")
    merged = lines(tmp_path / "one")
    compacted = bikecollect(*command, "compact", "--format", "json")
    verified = bikecollect(*command, "verify", "--deep", "--format", "json")
    exported = bikecollect(*command, "export")

    assert sum(b - a for a, b, _ in OUTAGES.values()) == 41
    assert "41 slots filled" in filled.stdout
    assert "agreement with ours: 100 %" in filled.stdout
    days = {line[:10] for line in expected}
    assert len(expected) > 450_000
    assert merged == expected
    steps = documented(compacted.stdout, archive_json.STEP_KEYS)
    assert [step["what"] for step in steps] == [
        *["archived"] * len(days),
        *["let go"] * len(days),
    ]
    assert not list((tmp_path / "one/city/station_status").iterdir())
    assert verified.returncode == 0, verified.stdout
    assert exported.stdout.split("\n")[1:-1] == expected
    head, *rows = exported.stdout.splitlines(keepends=True)
    first = json.loads(verified.stdout.splitlines()[0])
    day = head + "".join(row for row in rows if row.startswith(first["date"]))
    assert hashlib.sha256(day.encode()).hexdigest() == first["sha256"]
