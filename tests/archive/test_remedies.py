"""The remedies printed by `verify` work."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from in_process import bikecollect
from json_shapes import documented
from keeping import compacted, findings
from quiet_settings import write_settings
from world import World

from bikecollect.archive.certificates import Finding
from bikecollect.archive.checks.remedies import remedy
from bikecollect.cli.render.programs import archive_json
from bikecollect.core.slots import DAY
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.repair.damage import find_damage


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a system with a closed day of fifty stations."""
    world = World(tmp_path / "data" / "city")
    world.fetch({f"s{number}": number % 9 for number in range(50)})
    world.clock.now += 2 * DAY
    (world.folder / ".bikecollect").touch()
    config = tmp_path / "bikecollect.toml"
    write_settings(config, tmp_path / "data", "city", "town")
    return world


def run(world: World, *words: str) -> list[str]:
    """Run a command; return the lines that it prints."""
    config = str(world.folder.parents[1] / "bikecollect.toml")
    return bikecollect("--config", config, *words).stdout.splitlines()


def change_ledger(world: World, sql: str) -> None:
    """Change the ledger as no run does."""
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db, db:
        db.execute(sql)


def test_a_deleted_ledger_is_one_finding(world: World) -> None:
    """Not one per line of the list of stations."""
    for file in world.folder.glob("ledger.sqlite3*"):
        file.unlink()

    lines = run(world, "verify")

    assert lines[0] == "city ledger.sqlite3: is missing"
    assert lines[1] == "To do:"
    assert "fetch city   (1 finding)" in lines[2]


def test_many_findings_with_the_same_remedy_are_three_lines_and_a_number(
    world: World,
) -> None:
    """The command repairs all; JSON has each finding."""
    change_ledger(world, "UPDATE stations SET name = 'other'")

    lines = run(world, "verify")
    printed = run(world, "verify", "--format", "json")
    *findings, day = sorted(printed, key=lambda line: "remedy" not in line)
    documented(day, archive_json.CERTIFICATE_KEYS)
    run(world, "rebuild", "stations")

    shown = [line for line in lines if line.startswith("city station_information")]
    assert len(shown) == 3
    assert any("rebuild stations city   (51 findings)" in line for line in lines)
    assert len(documented("\n".join(findings), archive_json.FINDING_KEYS)) == 51
    assert run(world, "verify")[-1].endswith("all agree")


def test_a_damaged_checksum_in_the_ledger_is_not_blamed_on_the_payload(
    world: World,
) -> None:
    """They differ in one digit; the remedy corrects the ledger."""
    change_ledger(world, "UPDATE blocks SET sha256 = 'x' || substr(sha256, 2)")

    lines = run(world, "verify")
    run(world, "verify", "--repair")

    wrong = ".zip: is sound, but the ledger has a wrong sha256 of it"
    assert any(line.endswith(wrong) for line in lines)
    assert any("verify --repair city   (1 finding)" in line for line in lines)
    assert run(world, "verify")[-1].endswith("all agree")


def test_a_lost_day_whose_csv_exists_is_rebuilt_by_the_remedy(
    world: World,
) -> None:
    """`verify` names it, and succeeds afterwards."""
    compacted(world)
    (part,) = world.folder.parent.glob("archive/station_status/*/*/part.parquet")
    part.write_bytes(b"x" * part.stat().st_size)

    lines = run(world, "verify")
    run(world, "compact")

    assert any("compact city   (1 finding)" in line for line in lines)
    assert run(world, "verify")[-1].endswith("all agree")


def test_the_csv_of_an_archived_day_is_done_without_by_the_remedy(world: World) -> None:
    """The mail, `status` and `verify` name the same command."""
    compacted(world)
    (csv,) = world.folder.glob("station_status/*.csv")
    csv.unlink()

    notice, *_ = world.fetch({"a": 1}).notices
    system = world.system
    (damage,) = find_damage(system, History("city", world.folder))
    lines = run(world, "verify")
    run(world, "compact")

    end = "; its day is archived; run: bikecollect compact city"
    assert notice.kind == "archived-missing"
    assert notice.text.endswith(end)
    assert damage.endswith(end)
    assert any("compact city   (1 finding)" in line for line in lines)
    assert run(world, "verify")[-1].endswith("all agree")


def test_a_lost_day_is_forgotten_although_slots_came_later(world: World) -> None:
    """Their CSV lacks the rows that were only in the archive."""
    compacted(world, csv_days=0)
    (part,) = world.folder.parent.glob("archive/station_status/*/*/part.parquet")
    part.unlink()
    (world.folder / "station_status/2026-11-22.2.csv").touch()

    lines = run(world, "verify")
    run(world, "forget", "city", "2026-11-22")
    run(world, "backfill", "city")

    assert any("the kept payloads of 1 of 1 slots: " in line for line in lines)
    assert any("forget city 2026-11-22; then: " in line for line in lines)
    assert run(world, "verify")[-1].endswith("all agree")


@pytest.mark.parametrize(
    "wrong", ["rows = rows + 8", "sha256 = 'x' || sha256", "day = replace(day, 6, ':')"]
)
def test_an_archived_day_that_is_damaged_in_the_ledger_is_corrected_by_the_remedy(
    world: World, wrong: str
) -> None:
    """Its rows are those of its certificate."""
    compacted(world, csv_days=0)
    change_ledger(world, f"UPDATE archives SET {wrong}")

    lines = run(world, "verify")
    run(world, "compact")

    history = History("city", world.folder)
    assert any("compact city   (1 finding)" in line for line in lines)
    assert find_damage(world.system, history) == []
    assert findings(world, deep=True) == []


@pytest.mark.parametrize(
    ("wrong", "command"),
    [
        ("slot = slot + 300", "verify --repair"),
        ("flags = 'stale'", "verify --repair"),
        ("rows = rows + 8", "verify --repair"),
        ("rows = rows + 8", "compact"),
    ],
)
def test_an_archived_block_that_is_damaged_in_the_ledger_is_corrected(
    world: World, wrong: str, command: str
) -> None:
    """Only the archive has its rows, and the slots of its day."""
    compacted(world, csv_days=0)
    history = History("city", world.folder)
    known = "SELECT slot, rows, flags, sha256, run_id, fetched_at FROM blocks"
    before = history.select(known)
    change_ledger(world, f"UPDATE blocks SET {wrong}")

    lines = run(world, "verify")
    run(world, *command.split())

    assert "city 2026-11-22: the ledger has other slots of it than the archive" in lines
    assert any("verify --repair city   (1 finding)" in line for line in lines)
    assert history.select(known) == before
    assert run(world, "verify")[-1].endswith("all agree")


@pytest.mark.parametrize("dataset", ["slots", "runs"])
def test_lost_slots_or_runs_of_a_day_are_rebuilt_by_the_remedy(
    world: World, dataset: str
) -> None:
    """The ledger has them; the rows, whose CSV was removed, stay the same."""
    compacted(world, csv_days=0)
    archive = world.folder.parent / "archive"
    (part,) = archive.glob(f"{dataset}/*/*/part.parquet")
    (rows,) = archive.glob("station_status/*/*/part.parquet")
    before = part.read_bytes(), rows.read_bytes()
    part.write_bytes(b"x" * part.stat().st_size)

    lines = findings(world)
    compacted(world, csv_days=0)

    assert len(lines) == 1
    assert remedy(Finding("city", "2026-11-22", lines[0]), has_csv=False) == (
        "bikecollect compact city"
    )
    assert (part.read_bytes(), rows.read_bytes()) == before
    assert findings(world) == []


@pytest.mark.parametrize(
    ("where", "what", "has_csv", "todo"),
    [
        ("ledger.sqlite3", "is missing", False, "bikecollect fetch city"),
        (
            "station_status/2026-11-22.csv",
            "ends at byte 3, the ledger says 9",
            True,
            "bikecollect verify --repair city",
        ),
        (
            "station_status/2026-11-22.csv",
            "is missing",
            False,
            "restore station_status/2026-11-22.csv from a backup",
        ),
        (
            "2026-11-22",
            "/a/part.parquet: sha256 mismatch",
            True,
            "bikecollect compact city",
        ),
        (
            "2026-11-22",
            "/a/part.parquet: sha256 mismatch",
            False,
            "restore the archive's 2026-11-22 from a backup: bikecollect backfill city "
            "--from COPY; or accept the loss: bikecollect forget city 2026-11-22",
        ),
        (
            "2026-11-22",
            "cannot read /a/part.parquet: Permission denied",
            False,
            "check the rights of that file, and the disk (dmesg); else restore the "
            "archive's 2026-11-22 from a backup",
        ),
        (
            "2026-11-22",
            "/a/profile/system_id=city/x is missing",
            False,
            "bikecollect compact city",
        ),
        (
            "2026-11-22",
            "/a/profile/system_id=city/x: sha256 mismatch",
            True,
            "remove /a/profile/system_id=city/x, then: bikecollect compact city",
        ),
        (
            "2026-11-22",
            "is in the archive, but not in the ledger",
            False,
            "bikecollect compact city",
        ),
        (
            "payloads/kept/x.zip",
            "cannot be read: File is not a zip file",
            False,
            "restore these payloads, or delete them: only backfill reads them",
        ),
    ],
)
def test_each_kind_of_finding_has_a_remedy(
    where: str, what: str, *, has_csv: bool, todo: str
) -> None:
    """The command, or where the data can come from."""
    assert remedy(Finding("city", where, what), has_csv=has_csv) == todo
