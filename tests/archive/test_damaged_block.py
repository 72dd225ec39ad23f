"""A damaged block without a kept payload does not block its day for ever."""

import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from in_process import bikecollect
from keeping import compacted, compactor, findings
from templates import copied
from world import World

from bikecollect.archive.archived_days import Archived
from bikecollect.archive.checks import lost_blocks
from bikecollect.archive.day_archive import Archive
from bikecollect.cli import cli
from bikecollect.core.blocks import Block
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import DAY, Slot
from bikecollect.storage.data_folder import MARKER
from bikecollect.storage.files import marker
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.repair.forget import forgotten

pytest.importorskip("duckdb")
CSV = "station_status/2026-11-22.csv"


@copied
def archived(folder: Path) -> World:
    """Return a world with three slots, archived with its CSV, without payloads."""
    world = World(folder / "city")
    for bikes in (1, 2, 3):
        world.fetch({"a": bikes, "b": 3}, after=300)
    for payload in world.folder.glob("payloads/kept/*/*.zip"):
        payload.unlink()
    world.clock.now += DAY
    compacted(world)
    return world


def damage(csv: Path) -> None:
    """Change a digit of the second block."""
    csv.write_bytes(csv.read_bytes().replace(b",a,2,", b",a,7,"))


def lose(csv: Path) -> None:
    """Remove the CSV and, in the archive, the file of the day's slots."""
    csv.unlink()
    (slots,) = csv.parents[2].glob("archive/slots/*/date=2026-11-22/part.parquet")
    slots.unlink()


@pytest.mark.parametrize("harm", [damage, Path.unlink, lose])
@pytest.mark.parametrize("command", ["compact", "forget", "verify --repair"])
def test_what_the_archive_has_is_not_lost(
    folder: Path, config: Path, harm: Callable[[Path], None], command: str
) -> None:
    """The rows of the archive stay, and in the end nothing remains to do."""
    world = archived(folder)
    harm(world.folder / CSV)
    what = ["2026-11-22"] if command == "forget" else []

    arguments = ["--config", str(config), *command.split(), "city", *what]
    CliRunner().invoke(cli, arguments, standalone_mode=False)
    world.clock.now += 9 * DAY
    steps = compacted(world)

    allowed = {"let go", "archived"} if harm is lose else {"let go"}
    assert {step.what for step in steps} <= allowed
    assert compactor(world).archive.certified("2026-11-22").summary[:2] == (6, 3)
    assert findings(world) == []


def test_a_day_that_is_lost_twice_is_restored_by_each_remedy(
    folder: Path, config: Path
) -> None:
    """Its CSV is gone and a byte of its archived rows: no command suggests `compact`.

    That cannot archive the day again, and ends with 74.
    """
    world = archived(folder)
    shutil.copytree(folder, copy := folder.parent / "copy")
    (world.folder / CSV).unlink()
    (part,) = folder.glob("archive/station_status/*/*/part.parquet")
    changed(part)

    def run(*arguments: str) -> Result:
        words = ["--config", str(config), *arguments]
        return CliRunner().invoke(cli, words, standalone_mode=False)

    found = [run("verify"), run("status", "--alert"), run("compact")]
    world.fetch({"a": 5, "b": 3}, after=300)
    found.append(run("status", "--alert"))
    run("backfill", "city", "--from", str(copy))

    assert [result.return_value for result in found] == [1, 1, 74, 1]
    for result in found:
        text = " ".join(result.output.split())
        assert "backfill city --from COPY; or accept the loss" in text
        assert not re.search(r"\bcompact city", text)
    assert run("status").output.count("damaged") == 0
    # The settings have a column that the archive lacks.
    again = run("verify").output.partition("archive its CSV again: ")[2]
    run(*again.partition("   (1 finding)")[0].split()[3:])
    assert findings(world) == []


@pytest.mark.parametrize("name", ["station_status/2026-11-12.csv", "statIon_status/2"])
def test_a_damaged_name_of_a_removed_file_is_corrected(
    folder: Path, config: Path, name: str
) -> None:
    """It is that of the blocks before and after; no file is called missing."""
    world = archived(folder)
    world.clock.now += 9 * DAY
    compacted(world)
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db:
        (slots,) = db.execute("SELECT min(slot) + 300 FROM blocks")
        db.execute(
            "UPDATE blocks SET file = ? || substr(file, ?) WHERE slot = ?",
            (name, len(name) + 1, *slots),
        )
        db.commit()

    before = findings(world)
    arguments = ["--config", str(config), "verify", "--repair", "city"]
    CliRunner().invoke(cli, arguments, standalone_mode=False)

    assert len(before) == 1
    assert before[0].endswith("is sound, but the ledger has a wrong file name of it")
    assert findings(world) == []


def test_a_day_that_cannot_be_read_keeps_no_other_from_its_repair(
    folder: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are damaged; one is named with the reason, the other is repaired."""
    world = archived(folder)
    world.fetch({"a": 2, "b": 3})
    for payload in world.folder.glob("payloads/kept/*/*.zip"):
        payload.unlink()
    world.clock.now += DAY
    compacted(world)
    for csv in (world.folder / "station_status").iterdir():
        damage(csv)
    saved = lost_blocks._saved

    def cannot(archive: Archive, day: Archived, blocks: Iterable[Block]) -> list[Slot]:
        if day.day == "2026-11-22":
            raise StorageError("out of memory")
        return saved(archive, day, blocks)

    monkeypatch.setattr(lost_blocks, "_saved", cannot)
    arguments = ["--config", str(config), "verify", "--repair", "city"]
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)

    assert "and none is taken from the archive: out of memory;" in result.stdout
    assert "have different rows" not in result.stdout
    assert not any("2026-11-23" in finding for finding in findings(world))


def test_a_repair_that_failed_names_what_remains_to_be_done(
    folder: Path, config: Path
) -> None:
    """Not itself; each command that it names works."""
    world = World(folder / "city")
    for bikes in (1, 2, 3):
        world.fetch({"a": bikes}, after=300)
    for payload in world.folder.glob("payloads/kept/*/*.zip"):
        payload.unlink()
    damage(world.folder / CSV)

    def run(*arguments: str) -> str:
        words = ["--config", str(config), *arguments]
        text = CliRunner().invoke(cli, words, standalone_mode=False).stdout
        return re.sub(r"\S*bikecollect --config \S+", "bikecollect", text)

    assert "\n  bikecollect verify --repair city " in run("verify")
    repaired = run("verify", "--repair", "city")
    (line, _), (_, todo) = (text.split("To do:") for text in (repaired, repaired))
    assert "1 of 3 slots (2026-11-22 12:10 (+08:00)) have no checksum" in line
    for text in (line, todo):
        assert "backfill city --from THE_COPY && " in text
        assert f"or accept the loss: bikecollect forget city {CSV}" in text
    assert todo.count("verify --repair city") == 1
    again = run("verify").partition("To do:")[2]
    status = run("status", "--alert")
    assert (again, status.count(todo.strip().partition(";")[0])) == (todo, 1)
    run("forget", "city", CSV)
    assert "all agree" in run("verify")


def changed(path: Path) -> None:
    """Change a byte of *path* like a failing disk: its size and time stay."""
    intact, info = path.read_bytes(), path.stat()
    path.write_bytes(intact[:40] + bytes([intact[40] ^ 1]) + intact[41:])
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def test_status_names_what_verify_found_until_it_is_replaced_or_sound(
    world: World, config: Path
) -> None:
    """So do days that are not looked at again, and a file that grows.

    A backup may have the very size and time of the damaged file.
    """
    (world.folder / MARKER).touch()
    for after in (DAY, DAY, 300):
        world.fetch({"a": 2, "b": 3}, after=after)
    compacted(world, csv_days=0)
    parts = world.folder.parent.glob("archive/station_status/*/*/part.parquet")
    day = max(parts)
    early, late = sorted((world.folder / "station_status").iterdir())
    intact = day.read_bytes()
    changed(day)
    late.write_bytes(late.read_bytes().replace(b",a,2,", b",a,7,", 1))

    def run(*arguments: str) -> str:
        words = ["--config", str(config), *arguments]
        return CliRunner().invoke(cli, words, standalone_mode=False).stdout

    def named() -> list[Path]:
        lines = [x for x in run("status", "--alert").splitlines() if "found; " in x]
        names = {f"{f.parent.name}/{f.name}": f for f in (day, early, late)}
        return [f for name, f in names.items() if any(name in x for x in lines)]

    before = named()
    run("verify")
    found = named()
    world.fetch({"a": 2, "b": 4}, after=300)
    grown = named()
    run("verify", "--since", late.stem)
    later = named()
    day.with_suffix(".new").write_bytes(intact)
    os.utime(day.with_suffix(".new"), ns=(0, day.stat().st_mtime_ns))
    day.with_suffix(".new").replace(day)
    replaced = named()
    early.write_bytes(early.read_bytes().replace(b",a,7,", b",a,2,"))
    run("verify", "city")

    assert before == []
    assert found == grown == later == [day, early, late]
    assert (replaced, named()) == ([early, late], [late])


@pytest.mark.parametrize("dataset", ["station_status", "coverage"])
def test_status_names_an_archived_file_of_another_size_once(
    world: World, config: Path, dataset: str
) -> None:
    """It sees that by itself, with the remedy; `verify` has found it, too."""
    (world.folder / MARKER).touch()
    world.fetch({"a": 2, "b": 3}, after=2 * DAY)
    world.clock.now += DAY
    compacted(world, csv_days=0)
    part = max(world.folder.parent.glob(f"archive/{dataset}/*/*/part.parquet"))
    part.write_bytes(part.read_bytes()[:-1])

    words = ["--config", str(config)]
    verify, status = (
        CliRunner().invoke(cli, [*words, *command], standalone_mode=False)
        for command in (["verify"], ["status", "--alert"])
    )

    assert f"{part}: sha256 mismatch" in verify.stdout
    assert "is missing or damaged in" in status.stdout
    assert "mismatch, as `verify` found" not in status.stdout


def test_verify_by_another_user_leaves_no_file_in_the_folder(
    world: World, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as root: the user that collects could neither read nor replace it."""
    monkeypatch.setattr(os, "geteuid", lambda: world.folder.stat().st_uid + 1)

    verify = CliRunner().invoke(
        cli, ["--config", str(config), "verify"], standalone_mode=False
    )

    assert "is damaged" in verify.stdout
    assert not (world.folder / "verify.state").exists()


def test_status_does_not_name_the_torn_end_that_a_run_has_removed(
    world: World, config: Path
) -> None:
    """A block that was half written before a power cut, then `verify`, then a run."""
    (world.folder / MARKER).touch()
    world.fetch({"a": 2, "b": 3}, after=DAY)
    with max((world.folder / "station_status").iterdir()).open("a") as file:
        file.write("2026,torn")
    words = ["--config", str(config)]
    verify = CliRunner().invoke(cli, [*words, "verify"], standalone_mode=False)

    world.fetch({"a": 2, "b": 4}, after=300)

    status = CliRunner().invoke(
        cli, [*words, "status", "--alert"], standalone_mode=False
    )
    assert "belong to no block" in verify.stdout
    assert "belong to no block" not in status.stdout


@pytest.mark.parametrize("text", ["", "{", "[[1, 2]]", '{"a": 1}', "[" * 99_999])
def test_a_record_that_cannot_be_read_or_written_changes_no_answer(
    world: World, config: Path, text: str
) -> None:
    """It is a folder here if there is no text, as nothing is for root.

    A text that is damaged is named until `verify` has written it anew.
    """
    path = world.folder / "verify.state"
    path.write_text(text) if text else path.mkdir()
    status, verify = (
        CliRunner().invoke(
            cli, ["--config", str(config), command, "city"], standalone_mode=False
        )
        for command in ("status", "verify")
    )

    assert (status.return_value or 0, verify.return_value) == (0, 1)
    assert "block in bytes 344 to 496 is damaged" in verify.stdout
    assert path.is_dir() or path.read_text().startswith('[["station_status/')
    named = "! verify.state is damaged: what `verify` found is not known; run:"
    assert (named in " ".join(status.stdout.split())) == bool(text)


def open_files(world: World, _: Path) -> None:
    """Bring files and ledger into agreement, as `backfill` does."""
    with world.locked_files().opened():
        pass


def repair(_: World, config: Path) -> None:
    """Call `verify --repair`."""
    words = ["--config", str(config), "verify", "--repair", "city"]
    CliRunner().invoke(cli, words, standalone_mode=False)


@pytest.mark.parametrize("command", [open_files, repair])
@pytest.mark.parametrize("change", [(b"\n", b"\r\n"), (b",a,2,", b",a,22,")])
def test_the_next_run_reports_the_damage_that_is_left(
    folder: Path,
    config: Path,
    command: Callable[[World, Path], None],
    change: tuple[bytes, bytes],
) -> None:
    """A file that another command has found changed, unless that has repaired it."""
    world = archived(folder)
    world.fetch({"a": 2, "b": 3})
    world.fetch({"a": 3, "b": 3}, after=300)
    for payload in world.folder.glob("payloads/kept/*/*.zip"):
        payload.unlink()
    csv = world.folder / "station_status/2026-11-23.csv"
    csv.write_bytes(csv.read_bytes().replace(*change))

    command(world, config)
    found = world.fetch({"a": 4, "b": 3}, after=300).notices

    is_repaired = command is repair and change[0] == b"\n"
    named = [csv.name in notice.text for notice in found]
    assert named == ([] if is_repaired else [True])


def test_a_history_that_was_begun_anew_is_a_finding_until_that_is_accepted(
    folder: Path, config: Path
) -> None:
    """Its own files agree, but all the earlier ones are gone.

    So for an older copy, which lacks only some: others are not concerned.
    """
    world = World(folder / "city")
    world.fetch({"a": 1})
    with (world.folder / MARKER).open("ab") as file:
        file.write(marker.mark(world.clock.now))
    with config.open("a", encoding="utf-8") as settings:
        settings.write('[archive]\nmirror = "s3://copy"\n')

    def run(*arguments: str) -> str:
        words = ["--config", str(config), *arguments]
        return CliRunner().invoke(cli, words, standalone_mode=False).stdout

    found = run("verify")
    assert f"city {MARKER}: {world.folder} was gone on 2026-11-22 12:" in found
    assert " backfill city --from s3://copy; or accept the loss: " in found
    assert " forget city earlier-data   (1 finding)" in found
    run("forget", "city", "earlier-data")
    assert MARKER not in run("verify")
    slot = Slot(int(world.clock.now))
    marker.note_older(world.folder / MARKER, slot, Slot(slot + 300))
    days = ("2026-11-21", "2026-11-22", "2026-11-23")
    spans = [("--since", day, "--until", day) for day in days]
    for command in ("export", "runs", "backfill-report"):
        every = [bikecollect("--config", config, command, *span) for span in spans]
        named = ["older copy, which lacks" in process.stderr for process in every]
        assert (named, every[1].returncode) == ([False, True, False], 74)
    assert f"city {MARKER}: {world.folder} was replaced by an older" in run("verify")
    run("forget", "city", "earlier-data")
    assert MARKER not in run("verify")


def test_a_lost_late_block_can_be_given_up(folder: Path, config: Path) -> None:
    """The archive does not have it: `compact`, the remedy of `verify`, says how."""
    world = archived(folder)
    world.clock.now -= DAY
    world.fetch({"a": 4, "b": 3}, after=300)
    for payload in world.folder.glob("payloads/kept/*/*.zip"):
        payload.unlink()
    (world.folder / CSV).unlink()
    world.clock.now += DAY

    (step,) = compacted(world)
    command = step.why.rpartition("the loss: bikecollect ")[2].split()
    CliRunner().invoke(cli, ["--config", str(config), *command], standalone_mode=False)

    assert findings(world) == []
    assert compacted(world) == []
    assert len(world.committed()) == 3


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return a world with three slots, the second one damaged, a day later."""
    world = World(folder / "city")
    for bikes in (1, 2, 3):
        world.fetch({"a": bikes, "b": 3}, after=300)
    path = world.folder / CSV
    path.write_bytes(path.read_bytes().replace(b",a,2,", b",a,7,"))
    for payload in world.folder.glob("payloads/kept/*/*.zip"):
        payload.unlink()
    world.clock.now += DAY
    world.uptime += DAY
    return world


def test_the_message_names_the_remedies(world: World) -> None:
    """The day is not archived, and the message says what to do (fault 62)."""
    (step,) = compacted(world)
    own = compactor(world)
    there = replace(own.archive, system=replace(own.system, mirror="s3://mine"))
    (mirrored,) = replace(own, archive=there).run()

    assert step.what == "failed"
    assert " fill what the mirror has: bikecollect backfill city " in mirrored.why
    assert step.why == (
        f"{CSV}: the block at byte 344 is damaged; run: bikecollect verify --repair "
        "city, then bikecollect backfill city; if neither has its rows, archive the "
        "day without it: bikecollect compact --skip-damaged city"
    )


def test_the_day_is_archived_without_its_damaged_block(
    world: World, config: Path
) -> None:
    """Two slots are archived; the CSV is kept aside, and nothing remains to do.

    The loss is accepted: it does not keep back a mirror whose copy is damaged, too.
    """
    damaged = (world.folder / CSV).read_bytes()
    with config.open("a", encoding="utf-8") as text:
        text.write("[keep]\ncsv_days = 36500\n")  # today is long after the day
    arguments = ["--config", str(config), "compact", "--skip-damaged"]
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    world.clock.now += 9 * DAY
    steps = compacted(world)

    assert result.return_value == 0, result.output
    assert [step.what for step in steps] == ["let go"]
    assert compactor(world).archive.certified("2026-11-22").summary[:2] == (4, 2)
    aside = world.folder / "payloads/rejected/2026-11-22.csv.1.changed"
    assert aside.read_bytes() == damaged
    accepted = forgotten(History("city", world.folder))
    assert [loss.day for loss in accepted] == ["2026-11-22"]
    assert compacted(world) == []
    assert findings(world) == []


def test_a_block_that_only_moved_is_archived(world: World, config: Path) -> None:
    """The third slot is in the file, although the second one is longer now.

    That is not blamed on the ledger.
    """
    path = world.folder / CSV
    path.write_bytes(path.read_bytes().replace(b",a,7,", b",a,777,"))
    assert not [text for text in findings(world) if "but the ledger has" in text]
    arguments = ["--config", str(config), "compact", "--skip-damaged"]
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)

    assert result.return_value == 0, result.output
    assert compactor(world).archive.certified("2026-11-22").summary[:2] == (4, 2)
    assert findings(world) == []


def test_bytes_of_no_block_do_not_keep_a_csv_for_ever(world: World) -> None:
    """The archive has all of the ledger's blocks; the file is kept aside (fault 62)."""
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db, db:
        db.execute("DELETE FROM blocks WHERE start = 344")
    db.close()
    world.clock.now += 9 * DAY
    steps = compacted(world)

    assert [step.what for step in steps] == ["archived", "let go"]
    assert len(list(world.folder.glob("payloads/rejected/*.changed"))) == 1
    assert compacted(world) == []
