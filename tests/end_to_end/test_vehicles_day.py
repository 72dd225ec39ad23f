"""A simulated day of scooters: collected, compacted, verified, exported, queried."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from in_process import bikecollect

from bikecollect.core.errors import Outcome
from bikecollect.setup.loader import parse
from bikecollect.simulator.city import City
from bikecollect.simulator.demo import Time
from bikecollect.simulator.server import LiveFeed
from bikecollect.wiring.collection import collect

BEGIN = 1_795_276_800.0
"""Midnight in Taipei, 2026-11-22."""
DAY = ("--since", "2026-11-22", "--until", "2026-11-23")


@dataclass(frozen=True)
class Collected:
    """A day of two systems: scooters and stations, and scooters alone."""

    folder: Path

    def run(self, *arguments: str) -> str:
        """Return what the command prints."""
        config = self.folder / "bikecollect.toml"
        process = bikecollect("--config", config, *arguments)
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    """Return 24 hours in slots of an hour, and a little of the next day."""
    folder, clock = tmp_path_factory.mktemp("scooters"), Time(BEGIN)
    with LiveFeed(City(stations=12), clock=clock) as feed:
        common = {"feed": "gbfs", "timezone": "Asia/Taipei", "vehicles": True}
        systems = {
            "both": {**common, "url": feed.gbfs_url},
            "alone": {**common, "url": f"{feed.url}/gbfs/scooters.json"},
        }
        text = f'data_dir = "{folder}"\ninterval = "1h"\n'
        for name, system in systems.items():
            lines = (f"{key} = {json.dumps(value)}\n" for key, value in system.items())
            text += f"[systems.{name}]\n{''.join(lines)}"
        (folder / "bikecollect.toml").write_text(text)
        settings = parse(
            {"data_dir": str(folder), "interval": "1h", "systems": systems}
        )
        for hour in range(26):
            clock.now = BEGIN + hour * 3_600 + 2
            for run in collect(
                settings,
                clock=clock,
                stop=clock,
                monotonic=clock,
                uptime=lambda: clock.now - BEGIN + 900_000,
                awake=lambda: clock.now - BEGIN + 900_000,
            ):
                assert run.outcome is Outcome.COLLECTED
    return Collected(folder)


def test_the_day_is_processed_by_all_commands(day: Collected) -> None:
    """The export is the same before and after; verify has no finding."""
    before = {
        name: day.run("export", "--what", "vehicle_status", name, *DAY)
        for name in ("both", "alone")
    }
    day.run("compact", "--csv-days", "0")
    verified = day.run("verify", "--deep")
    after = {
        name: day.run("export", "--what", "vehicle_status", name, *DAY)
        for name in ("both", "alone")
    }

    assert after == before
    assert before["both"].count("\n") > 24 * 12
    assert not (day.folder / "both/vehicles/vehicle_status/2026-11-22.csv").exists()
    assert "both/vehicles" in verified
    assert "alone/vehicles" in verified


def test_both_systems_have_full_coverage(day: Collected) -> None:
    """A system without stations has no gap because of that."""
    lines = day.run("backfill-report", "--format", "json", *DAY).splitlines()
    reports = {report["system"]: report for report in map(json.loads, lines)}

    first = {name: report["days"][0] for name, report in reports.items()}
    assert first["both"]["collected"] == first["alone"]["collected"] == 24
    assert first["alone"]["missing"] == 0


def test_the_day_is_reported_and_queried(day: Collected) -> None:
    """Scooters keep their ids; they stand for hours."""
    ids = json.loads(day.run("report", "vehicle_ids", "alone", "--format", "json"))
    grid = day.run("report", "vehicle_grid", "both", *DAY, "--format", "json")
    sql = "SELECT type, count(*) > 100 AS many FROM vehicle_status GROUP BY type"
    queried = day.run("query", sql, "--format", "jsonl")

    assert ids["ids_are"] == "persistent"
    assert grid.count("\n") > 24
    assert json.loads(queried.splitlines()[0]) == {"type": "scooter", "many": True}


def test_a_slot_shows_its_block_of_vehicles(day: Collected) -> None:
    """Beside that of the stations, or alone."""
    slot, file = "2026-11-22T10:00", "vehicles/vehicle_status/2026-11-22.csv"
    both, alone = (day.run("runs", "show", name, slot) for name in ("both", "alone"))

    for text in (both, alone):
        assert re.search(rf"\nVehicles: \d+ rows in {file}, source: fetch", text)
    assert "Block: 12 rows in station_status/" in both
    assert "Block" not in alone
