"""A history of two days with odd values, and the commands that must read it."""

from collections.abc import Sequence
from pathlib import Path

from templates import copied
from world import NOON, World

from bikecollect.cli import main
from bikecollect.cli.printing import Screen
from bikecollect.core.slots import DAY
from bikecollect.reports.registry import REPORTS

SLOT = int(NOON) + 600
COMMANDS = (
    "status",
    "status --format json",
    "status --format prometheus",
    "runs",
    "runs --format json",
    "runs show 2026-11-22T12:10",
    "backfill-report",
    "backfill-report --format json",
    "backfill-report --stations",
    *(f"report {name}" for name in REPORTS if name != "chance"),
    "export",
    "export --names --format jsonl",
    "export --what slots",
    "export --what runs",
    "export --what coverage",
    "export -o out.parquet",
    "verify --deep",
    "backfill",
)
NO_VEHICLES = {f"report {name}": 64 for name in REPORTS if name.startswith("vehicle")}
"""The reports on vehicles say that this history has none."""
FEW = (
    *("status --format json", "runs", "backfill-report", "report availability"),
    *("report episodes", "export", "export --what slots", "export -o out.parquet"),
    *("verify --deep", "backfill"),
)
"""Those that look at all kinds of data, for where there are many oddities."""


@copied
def two_days(folder: Path) -> World:
    """Return a world of two closed days with three slots each."""
    return closed_days(folder, 2)


def closed_days(folder: Path, number: int) -> World:
    """Return a world of *number* such days, the last one is 2026-11-23."""
    world = World(folder / "city")
    (world.folder / ".bikecollect").touch()
    world.clock.now -= (number - 2) * DAY
    for _ in range(number):
        for bikes in (0, 1, 2):
            world.fetch({"a": bikes, "b": 5}, after=300)
        world.clock.now += DAY - 900
    return world


def codes(world: World, tmp_path: Path, lines: Sequence[str]) -> dict[str, int]:
    """Run the command *lines*; return those whose exit code is neither 0 nor 1."""
    config = tmp_path / "bikecollect.toml"
    config.write_text(
        f'data_dir = "{world.folder.parent}"\n[systems.city]\nfeed = "youbike"\n'
        'timezone = "Asia/Taipei"\nurl = "http://127.0.0.1:9/"\n',
        encoding="utf-8",
    )
    results = {
        line: main.run(["--config", str(config), *line.split()]) for line in lines
    }
    Screen.lost = None
    return {line: code for line, code in results.items() if code not in {0, 1}}
