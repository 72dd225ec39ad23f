"""Of two collectors, one may have stale slots where the other has fresh ones."""

from pathlib import Path

import pytest
from in_process import bikecollect
from keeping import compacted, findings
from world import NOON, World

from bikecollect.core.slots import DAY

REPEATED = {"here": {2, 3}, "there": {5}, "both": {6}}
"""The numbers of the slots in which each collector got the payload before again."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return our collector."""
    world = World(tmp_path / "bikes" / "city")
    (world.folder / ".bikecollect").touch()
    return world


@pytest.fixture
def other(tmp_path: Path) -> World:
    """Return another collector of the same city; both have collected eight slots."""
    return World(tmp_path / "elsewhere" / "city")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return settings of our system."""
    path = tmp_path / "bikecollect.toml"
    path.write_text(
        'data_dir = "bikes"\n[systems.city]\nfeed = "youbike"\n'
        'url = "http://127.0.0.1/"\ntimezone = "Asia/Taipei"\ncolumns = []\n',
        encoding="utf-8",
    )
    return path


def collect(world: World, repeated: set[int]) -> None:
    """Collect eight slots; in those *repeated* the payload is that of slot 1."""
    for number in range(8):
        shown = 1 if number in repeated else number
        world.clock.now = NOON + 300 * number
        stamp = int(NOON) + 300 * shown
        world.fetch({"0001": shown, "b": 9 - shown}, last_updated=stamp)


@pytest.fixture(autouse=True)
def _collected(world: World, other: World) -> None:
    collect(world, REPEATED["here"] | REPEATED["both"])
    collect(other, REPEATED["there"] | REPEATED["both"])


def vehicles(config: Path) -> list[str]:
    """Return the vehicles of station 0001 in each slot, by a query."""
    sql = (
        "SELECT num_vehicles_available FROM station_status"
        " WHERE station_id = '0001' ORDER BY slot"
    )
    query = bikecollect("--config", config, "query", sql, "--format", "csv")
    assert (query.returncode, query.stderr) == (0, "")
    return query.stdout.split()[1:]


def test_the_agreement_names_the_stale_slots_of_each(
    world: World, other: World, config: Path
) -> None:
    """Nothing is replaced without --prefer-fresh."""
    run = ("--config", config, "backfill", "city", "--from", other.folder)
    text = bikecollect(*run).stdout

    assert "nothing to fill" in text
    words = " ".join(text.split())
    assert (
        "2 slots stale only here (see --prefer-fresh): "
        "2026-11-22 12:10 (+08:00), 2026-11-22 12:15 (+08:00) "
        "1 slot stale only there: 2026-11-22 12:25 (+08:00)"
    ) in words
    assert vehicles(config) == ["0", "1", "1", "1", "4", "5", "1", "7"]


def test_fresh_blocks_replace_stale_ones_on_request(
    world: World, other: World, config: Path
) -> None:
    """Both collectors together have all but one slot; each block has its source."""
    run = ("--config", config, "backfill", "city", "--from", other.folder)
    dry = bikecollect(*run, "--prefer-fresh", "--dry-run").stdout
    text = bikecollect(*run, "--prefer-fresh").stdout
    again = bikecollect(*run, "--prefer-fresh").stdout

    assert "2 slots would be filled" in dry
    assert "2 slots filled (4 rows)" in text
    assert "nothing to fill" in again
    assert vehicles(config) == ["0", "1", "2", "3", "4", "5", "1", "7"]
    blocks = world.committed()
    assert [block.source == "fetch" for block in blocks] == [
        *(True, True, False, False),
        *(True, True, True, True),
    ]
    assert blocks[2].source == f"backfill bikecollect {other.folder}"
    assert [block.flags for block in blocks] == ["", "", "", "", "", "", "stale", ""]
    assert findings(world) == []


def test_replaced_blocks_are_archived(world: World, other: World, config: Path) -> None:
    """The archive has the fresh rows; the replaced ones are kept aside."""
    run = ("--config", config, "backfill", "city", "--from", other.folder)
    bikecollect(*run, "--prefer-fresh")
    world.clock.now += DAY
    steps = compacted(world, csv_days=0)

    assert [step.what for step in steps] == ["archived", "let go"]
    assert vehicles(config) == ["0", "1", "2", "3", "4", "5", "1", "7"]
    aside = world.folder / "payloads/rejected/2026-11-22.csv.1.changed"
    assert aside.read_bytes().count(b",0001,1,") == 4
    assert findings(world) == []


def test_prefer_fresh_alone_is_a_usage_error(config: Path) -> None:
    """It requires --from."""
    run = bikecollect("--config", config, "backfill", "--prefer-fresh")

    assert run.returncode == 64
    assert "--prefer-fresh requires --from" in run.stderr


@pytest.mark.parametrize("csv_days", [0, 7])
def test_stale_blocks_of_an_archived_day_stay(
    world: World, other: World, config: Path, csv_days: int
) -> None:
    """They are only named, whether or not the day's file is still there."""
    world.clock.now += DAY
    compacted(world, csv_days=csv_days)
    run = ("--config", config, "backfill", "city", "--from", other.folder)
    text = bikecollect(*run, "--prefer-fresh").stdout

    assert "nothing to fill" in text
    assert "2 slots stale only here" in " ".join(text.split())
    assert vehicles(config) == ["0", "1", "1", "1", "4", "5", "1", "7"]
    assert findings(world) == []
