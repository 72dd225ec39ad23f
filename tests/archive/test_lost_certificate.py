"""The certificate of an archived day is lost, damaged or of an earlier state."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from keeping import compacted, compactor, findings, viewed
from quiet_settings import write_settings
from templates import copied
from world import NOON, World

from bikecollect.archive import datasets
from bikecollect.cli import cli
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import DAY

pytest.importorskip("duckdb")

Change = Callable[[Path], object]


def older(certificate: Path) -> None:
    """Give *certificate* other rows, as one that was restored from a backup."""
    values = json.loads(certificate.read_text(encoding="utf-8"))
    values |= {"rows": 3, "slots": 1, "sha256": "0" * 64}
    certificate.write_text(json.dumps(values), encoding="utf-8")


CHANGES = pytest.mark.parametrize(
    "change",
    [Path.unlink, lambda path: path.write_bytes(b"{"), older],
    ids=["lost", "damaged", "older"],
)


@copied
def archived(folder: Path) -> World:
    """Return a world with three slots of a day, which is archived."""
    world = World(folder / "city")
    for bikes in (1, 2, 0):
        world.fetch({"a": bikes, "b": 3}, after=300)
    world.clock.now += DAY
    compacted(world)
    return world


@copied
def let_go(folder: Path) -> World:
    """Return such a world whose day is only in the archive."""
    world = archived(folder)
    world.clock.now += 8 * DAY
    compacted(world)
    return world


def certificate(world: World) -> Path:
    """Return the certificate of its day."""
    place = world.folder.parent / "archive" / "certificates" / "system_id=city"
    return place / "2026-11-22.json"


def rows(world: World) -> list[tuple[int, int]]:
    """Return the rows and the slots of the day, as readers see them."""
    sql = "SELECT count(*), count(DISTINCT slot) FROM station_status"
    with viewed(world, tables=["station_status"]) as db:
        return db.execute(f"{sql} WHERE date = '2026-11-22'").fetchall()


@CHANGES
def test_the_day_is_archived_again_from_its_csv(folder: Path, change: Change) -> None:
    """While its CSV is there; until then `verify` names the certificate."""
    world = archived(folder)
    change(certificate(world))
    before = findings(world)

    steps = compacted(world)

    assert len(before) == 1
    assert [step.what for step in steps] == ["archived"]
    assert findings(world) == []


@CHANGES
def test_it_is_written_again_from_the_archive(folder: Path, change: Change) -> None:
    """The rows have the sha256 that the ledger knows."""
    world = let_go(folder)
    text = certificate(world).read_bytes()
    change(certificate(world))

    compacted(world)

    assert certificate(world).read_bytes() == text
    assert findings(world) == []
    assert rows(world) == [(6, 3)]


@pytest.mark.parametrize("lost", [("coverage",), ("coverage", "runs", "slots")])
def test_it_is_written_again_with_the_other_files(
    folder: Path, lost: Sequence[str]
) -> None:
    """All but the rows are in the ledger, or are sums of the rows."""
    world = let_go(folder)
    certificate(world).unlink()
    for dataset in lost:
        datasets.part(world.folder.parent, dataset, "city", "2026-11-22").unlink()

    compacted(world)

    assert findings(world) == []
    assert rows(world) == [(6, 3)]


def test_it_is_not_written_for_other_rows(folder: Path) -> None:
    """Without its certificate, a damaged file stays a finding."""
    world = let_go(folder)
    (part,) = (world.folder.parent / "archive" / "station_status").rglob("*.parquet")
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    certificate(world).unlink()

    compacted(world)

    assert not certificate(world).exists()
    assert len(findings(world)) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timezone", "Asia/Taipej"),
        ("timezone", "../passwd"),
        ("timezone", 7),
        ("date", "2026-11-23"),
        ("rows", "6"),
        ("slots", None),
        ("made", 1e300),
        ("parts", {}),
        ("parts", []),
        ("parts", {"station_status": 7}),
        ("parts", {"station_status": {"bytes": 7}}),
        ("parts", {"station_status": {"bytes": float("inf"), "sha256": ""}}),
    ],
)
def test_damaged_values_are_a_damaged_certificate(
    folder: Path, name: str, value: object
) -> None:
    """None of them reaches the ledger."""
    world = let_go(folder)
    values = json.loads(certificate(world).read_bytes())
    certificate(world).write_text(json.dumps({**values, name: value}))

    with pytest.raises(StorageError, match="cannot read"):
        compactor(world).archive.certified("2026-11-22")


def lose(world: World, *names: str, day: str = "2026-11-22") -> None:
    """Remove files of the *day*, called after their datasets, and the ledger."""
    for dataset in names:
        datasets.part(world.folder.parent, dataset, "city", day).unlink()
    for path in world.folder.glob("ledger*"):
        path.unlink()
    world.fetch({"a": 6, "b": 4})


@pytest.mark.parametrize("lost", [(), ("slots", "runs"), ("slots", "coverage")])
def test_with_a_lost_ledger_the_day_is_restored(
    folder: Path, lost: Sequence[str]
) -> None:
    """By its other files, of which the rows are enough."""
    world = let_go(folder)
    conflict = certificate(world).with_name("2026-11-22.sync-conflict-20261124.json")
    conflict.write_bytes(b"of a program that copies folders")
    if "runs" not in lost:
        text = certificate(world).read_bytes()
        certificate(world).write_bytes(text.replace(b"Taipei", b"Taipej"))
    lose(world, *lost)

    compacted(world)

    assert findings(world) == []
    assert rows(world) == [(6, 3)]
    assert compacted(world) == []


def test_with_a_lost_ledger_a_lost_day_does_not_keep_others_from_it(
    folder: Path,
) -> None:
    """It is reported, and what is left of it stays; a later day is archived.

    An earlier day is restored: the ledger has the days on both sides of the lost one.
    The remedy that is named gives it up.
    """
    world = archived(folder)
    world.fetch({"a": 5, "b": 4})
    world.clock.now += DAY
    compacted(world, csv_days=0)
    lose(world, "slots", "station_status", day="2026-11-23")
    world.clock.now += DAY
    certified = certificate(world).with_name("2026-11-23.json")
    before = certified.read_bytes()

    steps = compacted(world)

    assert steps[0].day == "2026-11-23"
    remedy = steps[0].why.partition("or accept the loss: bikecollect ")[2]
    assert {step.what for step in steps[1:]} == {"restored", "archived"}
    assert steps[-1].day == "2026-11-24"
    assert certified.read_bytes() == before
    config = folder.parent / "bikecollect.toml"
    write_settings(config, world.folder.parent, "city", "town")
    arguments = ["--config", str(config), *remedy.split()]
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert "2026-11-23: forgotten" in result.stdout
    assert {step.what for step in compacted(world)} == {"archived"}
    assert findings(world) == []


def test_with_a_lost_ledger_a_day_with_its_csv_is_archived_again(folder: Path) -> None:
    """If its files of slots or runs are lost, too: no other day has to wait."""
    world = archived(folder)
    lose(world, "slots", "runs")

    compacted(world)

    assert findings(world) == []
    assert rows(world) == [(6, 3)]


def restored_over_newer(folder: Path, *, csv_days: int) -> World:
    """Return a world with a day of four slots in the archive, and an older ledger.

    The folder of the system was restored from a backup, which has three of them.
    """
    world = World(folder / "city")
    for bikes in (1, 2, 0):
        world.fetch({"a": bikes, "b": 3}, after=300)
    world.clock.now += DAY
    compacted(world, csv_days)
    backup = folder / "backup"
    shutil.copytree(world.folder, backup)
    now, world.clock.now = world.clock.now, NOON + 1200
    world.fetch({"a": 5, "b": 4})
    world.clock.now = now
    compacted(world, csv_days)
    shutil.rmtree(world.folder)
    backup.rename(world.folder)
    world.clock.now = now
    return world


@pytest.mark.parametrize("csv_days", [0, 7])
def test_a_newer_archive_is_adopted_by_an_older_ledger(
    folder: Path, csv_days: int
) -> None:
    """The slot that the ledger lacks is not removed from the archive."""
    world = restored_over_newer(folder.parent, csv_days=csv_days)
    before = findings(world)

    compacted(world, csv_days)

    assert before == [
        "2026-11-22: certificate and ledger differ: the files are those of the "
        "certificate"
    ]
    assert findings(world) == []
    assert rows(world) == [(8, 4)]


def archived_alone(folder: Path, *, bikes: int, days: int) -> World:
    """Return a world with a slot of a day, which is archived *days* later."""
    world = World(folder / "city")
    world.fetch({"a": bikes, "b": 3}, after=300)
    world.clock.now += days * DAY
    compacted(world, 0)
    return world


def test_an_older_archive_with_the_same_slots_is_not_adopted(tmp_path: Path) -> None:
    """The ledger is left as the proof that other rows were there, in another copy."""
    older = archived_alone(tmp_path / "older", bikes=1, days=1)
    world = archived_alone(tmp_path / "newer", bikes=2, days=2)
    archive = world.folder.parent / "archive"
    shutil.rmtree(archive)
    shutil.copytree(older.folder.parent / "archive", archive)

    compacted(world, 0)

    assert findings(world) == [
        "2026-11-22: certificate and ledger differ: the files are those of the "
        "certificate"
    ]


def test_a_day_that_agrees_with_its_certificate_alone_is_not_forgotten(
    folder: Path,
) -> None:
    """A ledger from a backup knows the day's earlier files: no rows are lost."""
    world = let_go(folder)
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db, db:
        ((text,),) = db.execute("SELECT parts FROM archives")
        parts = json.loads(text)
        parts["station_status"]["sha256"] = "0" * 64
        db.execute("UPDATE archives SET parts = ?", [json.dumps(parts)])
    db.close()
    config = folder.parent / "bikecollect.toml"
    write_settings(config, world.folder.parent, "city", "town")
    words = ["--config", str(config), "forget", "city", "2026-11-22"]
    result = CliRunner().invoke(cli, words, standalone_mode=False)

    assert "its rows can be read" in str(result.exception)
    assert certificate(world).exists()
