"""Missing slots are filled by the path of a fetch, and nothing is overwritten."""

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from in_process import bikecollect
from keeping import findings
from served import Answer, serving
from templates import copied
from waiting import PATIENCE, wait_until
from world import NOON, TAIPEI, World

from bikecollect.cli.render.backfill import summary
from bikecollect.collect.filling.foreign_stations import Versions
from bikecollect.collect.filling.imports import BATCH
from bikecollect.collect.filling.taken_stations import TakenStations, missing_versions
from bikecollect.collect.reading.trial import PayloadTrial
from bikecollect.collect.sources.agreement import Agreement
from bikecollect.collect.sources.bikecollect_folder import FolderSource
from bikecollect.core.errors import FeedUnavailable, PayloadError
from bikecollect.core.payload import Documents
from bikecollect.core.process import Stop, Times
from bikecollect.core.slots import DAY, Slot
from bikecollect.core.snapshot import Snapshot, StationInformation
from bikecollect.core.timeline.grid import Grid
from bikecollect.feeds.youbike import YouBike
from bikecollect.setup import loader
from bikecollect.storage.csv_format import COLUMNS
from bikecollect.storage.csv_store import Store
from bikecollect.storage.data_folder import INFORMATION
from bikecollect.storage.ledger_reader import BEGINNING, END
from bikecollect.storage.payload_store import slot_of
from bikecollect.wiring import backfilling

CSV = "station_status/2026-11-22.csv"


def toml(folder: Path, url: str = "http://127.0.0.1/") -> Path:
    """Return settings of the system "city" in *folder*."""
    path = folder / "bikecollect.toml"
    path.write_text(
        f'data_dir = "bikes"\n[systems.city]\nfeed = "youbike"\nurl = "{url}"\n'
        'timezone = "Asia/Taipei"\ncolumns = []\n',
        encoding="utf-8",
    )
    return path


def youbike(stations: dict[str, int]) -> bytes:
    """Return a payload of YouBike's."""
    rows = [
        f'{{"sno": "{name}", "sna": "x", "Quantity": 9, "available_rent_bikes": {n}, '
        f'"available_return_bikes": 2, "act": "1", "latitude": 25, "longitude": 121,'
        f' "sarea": "a", "ar": "b", "infoTime": "2026-11-22 12:00:00"}}'
        for name, n in stations.items()
    ]
    return f"[{','.join(rows)}]".encode()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world of one day with a feed in YouBike's dialect."""
    world = World(tmp_path / "bikes" / "city")
    (world.folder / ".bikecollect").touch()
    return world


def fill(world: World, *arguments: object) -> str:
    """Run ``backfill``; return its output."""
    config = toml(world.folder.parents[1])
    process = bikecollect("--config", config, "backfill", "city", *arguments)
    assert process.returncode in {0, 65}, process.stderr
    return process.stdout


def refuse(world: World) -> None:
    """Make the payloads of the feed impossible to understand."""
    world.feed.bug = None

    def read(documents: Documents) -> Snapshot:
        raise PayloadError("renamed", cause="drift")

    world.feed.read = read  # type: ignore[method-assign]


def test_rejected_payloads_are_filled_when_they_are_understood(world: World) -> None:
    """After an upgrade or a new mapping; their reasons are removed."""
    world.fetch({"a": 1})
    world.feed.answer = youbike({"a": 2, "b": 3})
    refuse(world)
    world.fetch(after=300)

    text = fill(world)

    assert "1 slot filled" in text
    assert [line.split(",")[2:4] for line in world.lines()][1:] == [
        ["a", "2"],
        ["b", "3"],
    ]
    assert "with a block already" not in text  # it is kept now: counted once
    assert not list((world.folder / "payloads/rejected").iterdir())
    assert [block.source for block in world.committed()] == [
        "fetch",
        "backfill rejected",
    ]


def test_a_rejected_payload_without_its_reason_is_filled(world: World) -> None:
    """A person has deleted the text beside it."""
    world.feed.answer = youbike({"a": 2})
    refuse(world)
    world.fetch()
    (reason,) = (world.folder / "payloads/rejected").glob("*.reason.txt")
    reason.unlink()

    assert "1 slot filled" in fill(world)


def test_a_payload_that_is_still_not_understood_stays_rejected(world: World) -> None:
    """Exit code 65, and the payload is not moved."""
    world.feed.answer = b'{"stations": []}'
    refuse(world)
    world.fetch()

    config = toml(world.folder.parents[1])
    process = bikecollect("--config", config, "backfill")

    assert process.returncode == 65
    assert "1 slot not understood" in process.stdout
    assert len(list((world.folder / "payloads/rejected").glob("*.zip"))) == 1


def test_a_payload_of_the_inbox_is_tried_once(world: World) -> None:
    """It is rejected then, and is not one of those that were rejected before."""
    world.feed.answer = b'{"stations": []}'
    refuse(world)
    world.fetch()
    (rejected,) = (world.folder / "payloads/rejected").glob("*.zip")
    rejected.rename(world.folder / "payloads/inbox" / rejected.name)

    text = fill(world)

    assert "city: 1 slot not understood\n" in text
    assert rejected.is_file()


def files(world: World) -> dict[Path, bytes]:
    """Return the files of *world*, but for those that a reader of a WAL makes."""
    there = (path for path in world.folder.rglob("*") if path.is_file())
    return {p: p.read_bytes() for p in there if p.name[-4:] not in {"-shm", "-wal"}}


def test_a_waiting_payload_of_a_filled_slot_is_left_to_the_next_fetch(
    world: World,
) -> None:
    """It was left by a killed run, after its commit: backfill has nothing to do."""
    world.fetch({"a": 1})
    (kept,) = (world.folder / "payloads/kept").glob("*/*.zip")
    kept.rename(world.folder / "payloads/inbox" / kept.name)

    text = fill(world)

    assert "already" not in text
    assert world.inbox() == [kept.name]


def test_a_dry_run_writes_nothing(world: World) -> None:
    """It prints what would be filled."""
    world.feed.answer = youbike({"a": 2})
    refuse(world)
    world.fetch()
    before = files(world)

    text = fill(world, "--dry-run")

    assert "1 slot would be filled" in text
    assert files(world) == before


def test_a_dry_run_counts_slots_not_payloads(world: World) -> None:
    """Of two payloads of a slot, the second finds the block of the first."""
    world.feed.answer = youbike({"a": 2})
    refuse(world)
    world.fetch()
    world.fetch(after=60)
    world.fetch(after=300)

    texts = fill(world, "--dry-run"), fill(world)

    assert "2 slots would be filled" in texts[0]
    assert "2 slots filled" in texts[1]
    for text in texts:
        assert "1 payload with a block already" in text


def test_only_payloads_that_were_read_can_be_filled(world: World) -> None:
    """One that a new version can read, and an error page that none can."""
    refuse(world)
    for answer in (youbike({"a": 2}), b"<html>an error</html>"):
        world.feed.answer = answer
        world.fetch()
        world.clock.now += 300
    config = toml(world.folder.parents[1])
    before = files(world)
    until = ("--until", "2026-11-22T12:10")

    tried = bikecollect("--config", config, "backfill", "city", "--dry-run")
    report = bikecollect("--config", config, "backfill-report", *until)

    assert tried.returncode == 65
    assert "1 slot would be filled, 1 slot not understood" in tried.stdout
    left = "1 payload not understood, kept: exit code 65; nothing else failed"
    assert left in tried.stdout
    assert "1 can be filled from kept payloads" in report.stdout
    assert "kept: 1 payload that this version" in report.stdout
    assert files(world) == before


def test_a_damaged_block_is_filled_from_its_kept_payload(world: World) -> None:
    """Into a new segment: the damaged file is unchanged, and reported.

    Payloads of later runs in that slot, which were duplicates, are not taken.
    """
    world.feed.read = YouBike("", TAIPEI).read  # type: ignore[method-assign]
    for bikes, after in ((1, 300), (2, 300), (7, 0), (8, 0), (9, 0), (3, 300)):
        world.feed.answer = youbike({"a": bikes})
        world.fetch(after=after)
    path = world.folder / CSV
    data = path.read_bytes().replace(b",a,2,", b",a,9,")
    path.write_bytes(data)

    text = fill(world)

    assert "1 slot filled" in text
    assert path.read_bytes() == data
    segment = (world.folder / "station_status/2026-11-22.2.csv").read_text()
    assert ",a,2," in segment
    assert world.agrees()


def test_rows_removed_before_the_ledger_was_lost_are_filled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The adopted block has no checksum; its kept payload has one station more.

    The first one never had more than one: its payload is read by one `backfill` only.
    """
    world.feed.read = YouBike("", TAIPEI).read  # type: ignore[method-assign]
    for bikes in (1, 2, 3):
        world.feed.answer = youbike({"a": bikes} | ({"b": 7} if bikes > 1 else {}))
        world.fetch(after=300)
    path = world.folder / CSV
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    for file in world.folder.glob("ledger*"):
        file.unlink()
    world.fetch(after=300)

    texts = fill(world, "--dry-run"), fill(world)

    assert "1 slot" in texts[0]
    assert "1 slot filled (2 rows)" in texts[1]
    settings = loader.load(str(toml(world.folder.parents[1])))
    times = Times(time.time, time.monotonic, Stop())
    span = (BEGINNING, END)
    filler = backfilling.backfiller(settings, "city", times, span=span, dry=False)
    monkeypatch.setattr(PayloadTrial, "rows", lambda trial, path: 9)
    assert filler.blocks.find_shortened() == set()
    assert "nothing to fill" in fill(world)
    assert [block.rows for block in world.committed()] == [1, 2, 2, 2]
    assert world.agrees()
    assert "is marked as damaged" in findings(world)[0]


def test_kept_payloads_newer_than_a_restored_copy_are_filled(world: World) -> None:
    """A backup was restored over newer files: nothing of either is lost."""
    world.feed.read = YouBike("", TAIPEI).read  # type: ignore[method-assign]
    older = world.folder.parents[1] / "yesterday"
    for bikes in (1, 2, 3, 4):
        world.feed.answer = youbike({"a": bikes})
        world.fetch(after=300)
        if bikes == 2:
            shutil.copytree(world.folder, older)
    shutil.copytree(older, world.folder, dirs_exist_ok=True)
    world.fetch(after=300)

    text = fill(world)

    assert "2 slots filled" in text
    assert sorted(line.split(",")[3] for line in world.lines()) == list("12344")
    assert findings(world) == []


@pytest.fixture
def other(tmp_path: Path) -> World:
    """Return another collector of the same city, elsewhere."""
    return World(tmp_path / "elsewhere" / "city")


def both(world: World, other: World) -> None:
    """Let both collect seven slots: the first misses 2, 3; the second 5."""
    for number in range(7):
        stations = {"0001": number, "b": 9 - number}
        for collector, gaps in ((world, {2, 3}), (other, {5})):
            collector.clock.now = NOON + 300 * number
            if number not in gaps:
                collector.fetch(stations)


def test_two_collectors_with_different_outages_are_merged(
    world: World, other: World
) -> None:
    """Values are equal; each filled block has its source."""
    both(world, other)

    text = fill(world, "--from", other.folder.parent)

    assert "2 slots filled" in text
    assert "agreement with ours: 100 % of 16 values in 4 common slots" in text
    differing = [Agreement(slots, values=100, equal=85) for slots in (11, 12)]
    texts = [summary("city", [], agreement, TAIPEI) for agreement in differing]
    assert ["! low agreement" in text for text in texts] == [False, True]
    rows = sorted(line.split(",") for line in world.lines())
    assert [(row[2], row[3]) for row in rows] == [
        (name, str(n if name == "0001" else 9 - n))
        for n in range(7)
        for name in ("0001", "b")
    ]
    sources = {block.source for block in world.committed()}
    assert sources == {"fetch", f"backfill bikecollect {other.folder}"}
    assert "nothing to fill" in fill(world, "--from", other.folder)


@pytest.mark.parametrize(("beside", "causes"), [(0, {"network"}), (2, {"not-started"})])
def test_runs_of_the_machine_between_are_taken_over(
    world: World, other: World, beside: int, causes: set[str]
) -> None:
    """A backup was restored, then filled: the network failed in between.

    If *other* also ran beside us, a slot is missing here for our own reasons.
    """
    other.runs = 100
    for number in range(9):
        world.clock.now = other.clock.now = NOON + 300 * number
        if number not in range(3, 7):
            world.fetch({"a": number})
        if number in range(3 - beside, 7):
            is_lost = number in {4, 5}
            other.feed.answer = FeedUnavailable("no such host", cause="dns")
            other.fetch(None if is_lost else {"a": number})

    fill(world, "--from", other.folder)
    again = fill(world, "--from", other.folder)

    report = bikecollect(
        *("--config", toml(world.folder.parents[1]), "backfill-report", "city"),
        *("--since", "2026-11-22", "--until", "2026-11-22T12:45:00+08:00"),
        *("--format", "json"),
    )
    gaps = json.loads(report.stdout)["gaps"]
    assert {gap["cause"].partition(":")[0] for gap in gaps} == causes
    assert sum(gap["slots"] for gap in gaps) == 2
    assert "taken over" not in again


def renaming(collector: World) -> bytes:
    """Let *collector* see a name, another one, and a station less; return its list."""
    collector.fetch({"a": 1, "gone": 2}, names={"a": "=1+1"})
    collector.fetch({"a": 2, "gone": 2}, after=300, names={"a": '"Zoo, north"'})
    collector.fetch({"a": 3}, after=300, names={"a": '"Zoo, north"'})
    collector.fetch({"a": 4}, after=DAY, names={"a": '"Zoo, north"'})
    return (collector.folder / INFORMATION).read_bytes()


def test_the_list_of_stations_is_restored(world: World, other: World) -> None:
    """With earlier names and stations that left; a second call changes nothing."""
    before, path = renaming(other), world.folder / INFORMATION
    (world.folder / ".bikecollect").touch()
    config = toml(world.folder.parents[1])

    text = fill(world, "--from", other.folder)
    again = fill(world, "--from", other.folder)

    assert before.count(b",gone,") == 2
    assert "4 versions of stations taken over: their names and places" in text
    assert "taken over" not in again
    assert path.read_bytes() == before
    assert not list(world.folder.glob("payloads/rejected/*"))
    assert bikecollect("--config", config, "verify").returncode == 0


def test_a_list_that_was_begun_is_completed(world: World, other: World) -> None:
    """`fetch` has begun a new list; then a kill hits between ledger and list."""
    before, path = renaming(other).splitlines(), world.folder / INFORMATION
    world.clock.now = other.clock.now
    world.fetch({"a": 5, "new": 1}, after=300, names={"a": "Zoo"})
    new, files = path.read_bytes(), world.locked_files()
    source = FolderSource(other.folder, Grid.of(300), world.clock.now)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "replace", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            TakenStations().take(source, files)

    killed, text = path.read_bytes(), fill(world, "--from", other.folder)

    assert killed == new
    assert "of stations taken over" not in text
    assert path.read_bytes().splitlines() == [*before, *new.splitlines()[1:]]
    assert not list(world.folder.glob("payloads/rejected/*"))


@pytest.mark.parametrize(
    ("ours", "theirs", "own", "new"),
    [
        ({}, {1: "x", 3: "y"}, [1, 3], {1: "x", 3: "y"}),
        ({4: "y"}, {1: "x", 3: "y"}, [4], {1: "x", 3: "y"}),
        ({4: "y"}, {1: "x", 5: "z"}, [4, 5], {1: "x"}),
        ({1: "x"}, {2: "y"}, [1, 2, 3], {}),
        ({1: "x"}, {3: "y"}, [1, 2], {3: "y"}),
        ({1: "x"}, {3: "x", 4: "y", 5: "y", 6: "x"}, [1, 2], {4: "y", 6: "x"}),
        ({1: "x", 5: "y"}, {3: "y"}, [1, 5], {3: "y"}),
        ({1: "x"}, {2: "y"}, [1, 4], {2: "y", 4: "x"}),
        ({1: "x"}, {2: "y", 3: "x"}, [1, 4], {2: "y", 3: "x"}),
        ({1: "x", 4: "z"}, {2: "y"}, [1, 3, 4], {2: "y", 3: "x"}),
    ],
)
def test_a_list_holds_in_the_slots_of_its_payloads(
    ours: dict[int, str], theirs: dict[int, str], own: list[int], new: dict[int, str]
) -> None:
    """In our own slots the other list is no evidence, in the others ours is none."""

    def listed(names: dict[int, str]) -> Versions:
        known = {Slot(n): StationInformation("a", name) for n, name in names.items()}
        return {"a": known} if known else {}

    found = missing_versions(listed(ours), listed(theirs), list(map(Slot, own)))

    assert found == {n: [StationInformation("a", name)] for n, name in new.items()}
    merged = listed({**ours, **new})
    assert missing_versions(merged, listed(theirs), list(map(Slot, own))) == {}


def test_a_ledger_of_a_newer_version_is_refused_before_anything_is_written(
    world: World, other: World
) -> None:
    """What the other program stores there is unknown; all folders stay unchanged."""
    other.fetch({"a": 1})
    with closing(sqlite3.connect(other.folder / "ledger.sqlite3")) as db:
        db.execute("PRAGMA user_version = 99")
    config = toml(world.folder.parents[1])
    before = files(world)

    process = bikecollect(
        "--config", config, "backfill", "city", "--from", other.folder
    )

    assert process.returncode == 78
    assert f"the ledger {other.folder}/ledger.sqlite3 was written by" in process.stderr
    assert files(world) == before


def test_another_city_is_refused(world: World, other: World) -> None:
    """If few values agree, it is another city or another time zone."""
    both(world, other)
    path = other.folder / CSV
    rows = [line.split(",") for line in path.read_text().splitlines()]
    text = "".join(
        ",".join([*r[:3], r[3] if r[3][0] == "n" else "77", *r[4:]]) + "\n"
        for r in rows
    )
    path.write_text(text.replace(",,2,", ",,8,"))
    (other.folder / "ledger.sqlite3").unlink()
    config = toml(world.folder.parents[1])

    process = bikecollect("--config", config, "backfill", "--from", other.folder)

    assert process.returncode == 78
    assert "most likely another city" in process.stderr
    assert len(world.committed()) == 5


def test_the_layout_of_the_public_archive_is_known_by_its_header(world: World) -> None:
    """sno,total,available_rent_bikes,available_return_bikes,infoTime: local time."""
    world.fetch({"0001": 3})
    table = world.folder.parents[1] / "archive.csv"
    with table.open("w", newline="") as out:
        names = "sno,total,available_rent_bikes,available_return_bikes,infoTime"
        csv.writer(out).writerows(
            [
                names.split(","),
                ["0001", 20, 4, 16, "2026-11-22 12:05:40"],
                ["0002", 10, 1, 9, "2026-11-22 12:07:00"],
                ["0001", 20, 5, 15, "2026-11-22 12:06:00"],
                ["0001", 20, 3, 17, "2026-11-22 12:00:05"],
            ]
        )

    text = fill(world, "--from", table)

    assert "1 slot filled" in text
    assert "taipei-archive" in text
    rows = [line.split(",") for line in world.lines()[1:]]
    assert [(r[0], r[2], r[3], r[5], r[8]) for r in rows] == [
        ("2026-11-22T12:05:00+08:00", "0001", "4", "16", "20"),
        ("2026-11-22T12:05:00+08:00", "0002", "1", "9", "10"),
    ]


def test_another_table_is_mapped(world: World) -> None:
    """Epoch times, in Parquet, with columns named on the command line."""
    duckdb = pytest.importorskip("duckdb")
    world.fetch({"x": 1})
    table = world.folder.parents[1] / "mine.parquet"
    duckdb.sql(f"SELECT 'x' AS who, {int(NOON) + 610} AS at, 7 AS n").write_parquet(
        str(table)
    )

    maps = ("station_id=who", "time=at", "num_vehicles_available=n")
    fill(
        world,
        "--from",
        table,
        *(part for mapping in maps for part in ("--map", mapping)),
    )

    (row,) = (line.split(",") for line in world.lines()[1:])
    assert row[:4] == [
        "2026-11-22T12:10:00+08:00",
        "2026-11-22T12:10:10+08:00",
        "x",
        "7",
    ]
    assert world.committed()[-1].flags == ""  # no row is missing


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--from", "nowhere"], "no such file"),
        (["--from", "odd.csv"], "has an unknown layout"),
        (["--from", "odd.csv", "--map", "station_id=zzz"], 'unknown column "zzz"'),
        (["--from", "odd.csv", "--map", "station_id=a"], "--map time=... is missing"),
        (["--from", "bikes"], "the folder to be filled"),
        (["--from", "theirs"], "with town, not with city; if one of them is the same"),
        (["--from", "theirs"], "--from theirs/town"),
    ],
)
def test_a_wrong_source_is_named(
    world: World, arguments: list[str], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What, where, and what to do; nothing is written."""
    world.fetch({"x": 1})
    monkeypatch.chdir(world.folder.parents[1])
    Path("odd.csv").write_text("a,b\n1,2\n")
    Path("theirs/archive/certificates").mkdir(parents=True)
    Path("theirs/town").mkdir()
    Path("theirs/town/.bikecollect").touch()

    process = bikecollect("--config", toml(Path.cwd()), "backfill", *arguments)

    assert process.returncode == 64
    assert what in process.stderr


@copied
def sixty_slots(folder: Path) -> World:
    """Return another collector of the same city, with five hours."""
    other = World(folder / "city")
    for number in range(60):
        other.fetch({"0001": number % 9, "b": 9}, after=300 * (number > 0))
    return other


@pytest.mark.parametrize("seconds", [0.35, 0.5, 0.7, 1.0])
def test_a_killed_backfill_is_healed_and_resumed(
    world: World, tmp_path: Path, seconds: float
) -> None:
    """After a SIGKILL the next fetch recovers, and a second call continues."""
    world.fetch({"0001": 0, "b": 9})
    other = sixty_slots(tmp_path / "elsewhere")
    config = toml(world.folder.parents[1])
    command = [sys.executable, "-m", "bikecollect", "--config", str(config)]
    child = subprocess.Popen([*command, "backfill", "--from", str(other.folder)])
    time.sleep(seconds)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    fetched = world.fetch({"0001": 1, "b": 9}, after=300 * 100)
    left = list((world.folder / "payloads/inbox").glob("*.zip"))
    agreed = world.agrees()

    fill(world, "--from", other.folder)

    assert fetched.exit_code == 0
    assert left == []
    assert agreed
    assert world.agrees()
    assert len(world.committed()) == 61
    assert len(world.lines()) == 122
    assert findings(world) == []


def test_an_interrupted_backfill_says_so_and_continues_later(
    world: World, other: World
) -> None:
    """SIGTERM ends it after the current slot; nothing is lost or doubled."""
    for number in range(120):
        other.fetch({"0001": number % 9}, after=300 * (number > 0))
    world.clock.now = NOON + 40 * DAY
    world.fetch({"0001": 1})
    config = toml(world.folder.parents[1])
    command = [sys.executable, "-m", "bikecollect", "--config", str(config)]
    child = subprocess.Popen(
        [*command, "backfill", "--from", str(other.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: (world.folder / CSV).exists() or child.poll() is not None, CSV)
    child.terminate()
    child.communicate(timeout=PATIENCE)
    before = len(world.committed())

    fill(world, "--from", other.folder)

    assert child.returncode == 143
    assert before < 121
    assert len(world.committed()) == 121


def test_a_fetch_gets_the_lock_during_a_long_backfill(
    world: World, other: World
) -> None:
    """The lock is released where it pauses, after each batch."""
    for number in range(BATCH + 3):
        other.fetch({"0001": number % 9}, after=300 * (number > 0))
    fetches: list[tuple[int, int]] = []
    with serving(lambda _: Answer(youbike({"0001": 3}))) as url:
        config = toml(world.folder.parents[1], url)

        def breathe() -> None:
            if not fetches:
                code = bikecollect("--config", config, "fetch").returncode
                fetches.append((code, len(world.committed())))

        times = Times(time.time, time.monotonic, Stop())
        filler = backfilling.backfiller(
            loader.load(str(config)), "city", times, span=(BEGINNING, END), dry=False
        )
        source = FolderSource(other.folder, Grid.of(300), time.time())
        files = replace(filler.files, breathe=breathe)
        fillings = replace(filler, files=files).fill_from_source(source)
        assert len([f for f in fillings if f.what == "filled"]) == BATCH + 3

    assert fetches == [(0, BATCH + 1)]
    assert len(world.committed()) == BATCH + 3 + 1


def test_a_fetch_keeps_the_payload_that_a_backfill_is_writing(world: World) -> None:
    """Without the lock it removes nothing; with it, what a killed backfill left."""
    half_written = world.folder / "payloads/inbox/20261122T053500Z.3183eec5.zip.tmp"
    half_written.parent.mkdir(parents=True)
    half_written.touch()
    kept = []

    def answer(_: object) -> Answer:
        kept.append(half_written.exists())  # a fetch asks before it takes the lock
        return Answer(youbike({"0001": 3}))

    with serving(answer) as url:
        config = toml(world.folder.parents[1], url)
        process = bikecollect("--config", config, "fetch")

    assert (process.returncode, process.stderr) == (0, "")
    assert kept == [True]
    assert not half_written.exists()


def test_payloads_that_are_moved_meanwhile_do_not_end_a_backfill(world: World) -> None:
    """A fetch prunes one; another backfill was killed after it moved the next one."""
    world.feed.answer = youbike({"0001": 2})
    refuse(world)
    for _ in range(BATCH + 3):
        world.fetch(after=300)
    *_, pruned, moved, last = sorted((world.folder / "payloads/rejected").glob("*.zip"))
    settings = loader.load(str(toml(world.folder.parents[1])))
    times = Times(time.time, time.monotonic, Stop())
    span = (BEGINNING, END)
    filler = backfilling.backfiller(settings, "city", times, span=span, dry=False)
    fillings = filler.fill_from_payloads()
    next(fillings)

    pruned.unlink()
    moved.rename(world.folder / "payloads/inbox" / moved.name)
    filled = {filling.slot for filling in fillings if filling.what == "filled"}

    assert {slot_of(moved.name), slot_of(last.name)} < filled
    assert slot_of(pruned.name) not in filled
    assert world.inbox() == []


def imported(world: World, table: Path, *arguments: object) -> list[list[str]]:
    """Fill from *table*; return slot, station and vehicles of the filled rows."""
    fill(world, "--from", table, *arguments)
    (path,) = (world.folder / "station_status").glob("*.csv")
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))[1:]
    return [[row[0], row[2], row[3]] for row in rows]


def test_the_times_of_citybikes_are_utc(world: World, tmp_path: Path) -> None:
    """Its exports have SQLite's CURRENT_TIMESTAMP: UTC without an offset."""
    table = tmp_path / "export.csv"
    table.write_text(
        "tag,id,nuid,name,latitude,longitude,bikes,free,extra,timestamp\n"
        "city,a,1,x,25,121,4,6,{},2026-11-22 04:05:10\n"
    )

    assert imported(world, table) == [["2026-11-22T12:05:00+08:00", "a", "4"]]


def test_a_table_of_several_networks_is_refused(world: World, tmp_path: Path) -> None:
    """Stations of other cities would be added to this one's files."""
    table = tmp_path / "world.csv"
    table.write_text(
        "tag,id,bikes,free,timestamp\none,a,4,6,2026-11-22 04:05:10\n"
        "two,b,4,6,2026-11-22 04:05:10\n"
    )

    process = bikecollect("--config", toml(tmp_path), "backfill", "--from", table)

    assert process.returncode == 64
    assert "several systems (one, two" in process.stderr


def test_a_bad_table_is_refused_before_anything_is_filled(
    world: World, tmp_path: Path
) -> None:
    """Over a fifth of bad rows means a wrong layout; the first one is named."""
    table = tmp_path / "odd.csv"
    rows = [f"a,{n if n < 40 else 'oops'},{int(NOON) + 300 * n}" for n in range(60)]
    table.write_text("\n".join(["who,n,at", *rows, ""]))
    maps = ("station_id=who", "time=at", "num_vehicles_available=n")
    options = [part for mapping in maps for part in ("--map", mapping)]

    process = bikecollect(
        "--config", toml(tmp_path), "backfill", "--from", table, *options
    )

    assert process.returncode == 78
    assert "20 of 60 rows" in process.stderr
    assert "oops" in process.stderr
    assert not (world.folder / "station_status").exists()


def test_of_several_polls_in_a_slot_the_earliest_complete_one_is_used(
    world: World, tmp_path: Path
) -> None:
    """Never a mixture of two; pandas' 7.0 is a count."""
    table = tmp_path / "polls.csv"
    polls = ((10, "ab", 1), (70, "abcd", 2), (130, "abcd", 3))
    rows = [f"{i},{n}.0,{int(NOON) + at}" for at, ids, n in polls for i in ids]
    table.write_text("\n".join(["who,n,at", *rows, ""]))
    maps = ("station_id=who", "time=at", "num_vehicles_available=n")

    problem = imported(world, table, *(p for m in maps for p in ("--map", m)))

    assert problem == [["2026-11-22T12:00:00+08:00", i, "2"] for i in "abcd"]


def test_blocks_of_another_interval_are_moved_to_our_grid(
    world: World, other: World
) -> None:
    """Its blocks at 12:00 and 12:05 are one slot of ten minutes: the first is used."""
    for bikes in (1, 2, 3):
        other.fetch({"a": bikes}, after=300 * (bikes > 1))
    config = toml(world.folder.parents[1])
    config.write_text('interval = "10min"\n' + config.read_text())

    process = bikecollect("--config", config, "backfill", "--from", other.folder)

    assert process.returncode == 0, process.stderr
    assert [line.split(",")[3] for line in world.lines()] == ["1", "3"]
    assert {block.slot % 600 for block in world.committed()} == {0}


def test_of_two_blocks_in_a_slot_of_ours_the_first_with_rows_is_used(
    world: World, other: World
) -> None:
    """The only row of that at 12:00 has a damaged id."""
    for bikes in (1, 2):
        other.fetch({"a": bikes}, after=300 * (bikes > 1))
    path = other.folder / CSV
    path.write_bytes(path.read_bytes().replace(b",a,1,", b",,1,"))
    (other.folder / "ledger.sqlite3").unlink()
    config = toml(world.folder.parents[1])
    config.write_text('interval = "10min"\n' + config.read_text())

    process = bikecollect("--config", config, "backfill", "--from", other.folder)

    assert process.returncode == 0, process.stderr
    assert [line.split(",")[2:4] for line in world.lines()] == [["a", "2"]]


def test_a_torn_group_of_a_folder_without_ledger_is_skipped(
    world: World, other: World
) -> None:
    """The number of its rows is unknown."""
    for bikes in (1, 2):
        other.fetch({"a": bikes, "b": 5}, after=300 * (bikes > 1))
    (other.folder / "ledger.sqlite3").unlink()
    path = other.folder / CSV
    path.write_bytes(path.read_bytes()[:-9])

    fill(world, "--from", other.folder)

    assert [line.split(",")[2:4] for line in world.lines()] == [["a", "1"], ["b", "5"]]


def test_a_damaged_block_is_recorded_until_it_is_replaced(
    world: World,
) -> None:
    """A payload that is not understood does not replace even a damaged block."""
    world.fetch({"a": 1})
    world.fetch({"a": 2}, after=300)
    path = world.folder / CSV
    path.write_bytes(path.read_bytes().replace(b",a,1,", b",a,9,"))

    text = fill(world)

    assert "1 slot not understood" in text
    assert len(world.committed()) == 2


def test_a_payload_of_a_wrong_clock_stays_rejected(world: World) -> None:
    """Its slot is not the one in which it was fetched."""
    world.feed.answer = youbike({"a": 2})
    refuse(world)
    world.fetch()
    (reason,) = (world.folder / "payloads/rejected").glob("*.reason.txt")
    reason.write_text("the clock of this machine was set back, or wrong before\n")

    text = fill(world)

    assert "1 rejected because of a wrong clock" in text
    assert world.committed() == []


def test_a_folder_that_is_not_mounted_is_not_filled(world: World, other: World) -> None:
    """The mount point remains empty: 78, like a fetch."""
    world.fetch({"a": 1})
    other.fetch({"a": 1}, after=300)
    fill(world)  # the folder is known from now on
    world.folder.rename(world.folder.with_name("disk"))
    world.folder.mkdir()
    config = toml(world.folder.parents[1])

    process = bikecollect("--config", config, "backfill", "--from", other.folder)

    assert process.returncode == 78
    assert list(world.folder.iterdir()) == []


def test_a_line_separator_in_an_id_is_no_end_of_a_line(tmp_path: Path) -> None:
    """Older files can contain ids that are rejected today."""
    row = "2026-11-22T12:00:00+08:00,2026-11-22T12:00:02+08:00,a\u2028b,1,,2,,,,,true,"
    store = Store(tmp_path)
    header = f"{','.join(COLUMNS)}\n".encode()
    store.append("station_status/2026-11-22.csv", 0, header, f"{row},\n".encode())

    (snapshot,) = FolderSource(tmp_path, Grid.of(300), NOON + DAY).snapshots()

    assert [station.station_id for station in snapshot.statuses] == ["a b"]


@pytest.mark.parametrize(
    ("kept", "remedies"),
    [
        (2, "fill it from the kept payloads of 2 of 2 slots: bikecollect backfill"),
        (1, "--repair city, or fill it from the kept payloads of 1 of 2 slots: "),
        (0, "--repair city, or accept the loss: bikecollect forget city station_"),
    ],
)
def test_a_removed_file_has_the_same_remedy_everywhere(
    world: World, kept: int, remedies: str
) -> None:
    """In `status` before and after the next run, in that run, and in `verify`.

    Coverage is in doubt until the rows are back, also in `backfill-report`.
    """
    config = toml(world.folder.parents[1])
    world.feed.read = YouBike("", TAIPEI).read  # type: ignore[method-assign]
    for bikes in (1, 2):
        world.feed.answer = youbike({"a": bikes})
        world.fetch(after=300)
    (world.folder / CSV).unlink()
    for path in sorted(world.folder.glob("payloads/kept/*/*.zip"))[kept:]:
        path.unlink()

    def told(command: str) -> str:
        process = bikecollect("--config", config, command)
        text = process.stdout + process.stderr
        return " ".join(text.replace(program, "bikecollect").split())

    program = f"{Path(sys.executable).parent}/bikecollect --config {config}"
    before, checked = told("status"), told("verify")
    report = told("backfill-report")
    world.feed.answer = youbike({"a": 9})
    (notice,) = world.fetch(after=300).notices
    after = told("status")
    fill(world)

    assert remedies in before
    assert remedies in checked
    for text in (before, after, checked, report):
        assert "is missing: it was removed, with 2 slots" in text
    assert f"coverage is in doubt: {CSV} is missing" in report
    assert remedies in report
    assert remedies in notice.text
    assert remedies in after
    assert "in doubt: files are missing" in before
    assert ("in doubt" in told("status")) == (kept < 2)
    assert ("all agree" in told("verify")) == (kept == 2)
