"""The mirror may be a folder of another disk, with the faults of such disks."""

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from in_process import bikecollect
from keeping import archived_past_days, two_past_days
from mirrored import CERTIFICATE, PART
from world import World

from bikecollect.archive.archived_days import Archived
from bikecollect.archive.checks.known_causes import KnownCauses
from bikecollect.archive.mirror import push
from bikecollect.archive.mirror.address import MirrorAddress
from bikecollect.archive.mirror.record import MirrorRecord, live_address, record_path
from bikecollect.archive.mirror.returned import CopiedArchive, Returned
from bikecollect.archive.mirror.store.object_store import ObjectStore, StoredObject
from bikecollect.cli import cli
from bikecollect.core.errors import FeedUnavailable, MirrorError, StorageError
from bikecollect.core.process import Ending
from bikecollect.core.slots import DAY
from bikecollect.storage.data_folder import INFORMATION
from bikecollect.storage.files.regular_file import sha256_of

pytest.importorskip("duckdb")
pytest.importorskip("obstore")


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world with a slot on each of two archived days, long past."""
    return archived_past_days(folder)


@pytest.fixture
def nas(world: World, config: Path, tmp_path: Path) -> Path:
    """Return the folder that is the mirror of the world, and has its days."""
    assert world.folder
    place = tmp_path / "nas" / "bikes"
    with config.open("a", encoding="utf-8") as out:
        out.write(f'[archive]\nmirror = "file://{place}"\n')
    assert bikecollect("--config", config, "push").returncode == 0
    return place


def test_the_first_remedy_for_a_lost_day_is_the_mirror(
    nas: Path, config: Path, world: World
) -> None:
    """All commands name the same ones, in the same order; they get all slots."""
    data = world.folder.parent
    before = bikecollect("--config", config, "export", "city").stdout.splitlines()
    shutil.rmtree((data / PART).parent)
    whats = [("verify",), ("status", "--alert"), ("push",), ("compact",)]

    runs = [bikecollect("--config", config, *words) for words in whats]
    texts = [" ".join((run.stdout + run.stderr).split()) for run in runs]
    for text in texts:
        start, end = (
            text.index("restore it from the mirror"),
            text.index("; else restore"),
        )
        command = text[start:end].partition(": ")[2]
        assert command.endswith(f" backfill city --from file://{nas}")
    shown = bikecollect("--config", config, "doctor", "--offline", "city").stdout
    assert (
        f"-> restore it from the mirror:\n         {command}\n         else res"
        in shown
    )
    subprocess.run(["/bin/sh", "-c", command], check=True)

    after = bikecollect("--config", config, "export", "city").stdout.splitlines()
    # The settings lack the world's own column.
    assert [x.split(",")[:9] for x in after] == [x.split(",")[:9] for x in before]
    assert bikecollect("--config", config, "compact").returncode == 0
    assert "all agree" in bikecollect("--config", config, "verify").stdout


def files(archive: Path) -> dict[str, bytes]:
    """Return the content of the archive: its files, with their bytes."""
    kinds = ("*/*/*.json", "*/*/*/*.parquet")
    paths = [path for kind in kinds for path in archive.glob(f"[!.]{kind}")]
    return {str(path.relative_to(archive)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("by", ["mirror", "copy", "folder of the mirror"])
def test_what_is_lost_of_the_archive_is_put_back_byte_by_byte(
    nas: Path, config: Path, world: World, tmp_path: Path, by: str
) -> None:
    """A missing day, a changed byte, and all of it.

    Then its marker is asked for first: its disk may not be mounted.
    """
    archive = world.folder.parent / "archive"
    shutil.copytree(world.folder.parent, tmp_path / "copy")
    before = files(archive)
    origins = {"mirror": f"file://{nas}", "copy": tmp_path / "copy"}

    def fill(*words: str, code: int = 0) -> str:
        words = ("backfill", "city", "--from", str(origins.get(by, nas)), *words)
        process = bikecollect("--config", config, *words)
        assert process.returncode == code
        return " ".join((process.stdout + process.stderr).split())

    shutil.rmtree((archive.parent / PART).parent)
    changed = archive.parent / PART.replace("06-05", "06-06")
    changed.write_bytes(changed.read_bytes().replace(b"PAR1", b"PAR2"))
    assert "the lost files of 2 archived days (between 2024" in fill("--dry-run")
    assert files(archive) != before
    text = fill()
    assert text.startswith("city: 2 archived days put back ")
    assert "2 archived days (between 2024-06-05 and 2024-06-06) were put" in text
    assert files(archive) == before

    shutil.rmtree(archive)
    text = fill(code=78)
    assert text.startswith("bikecollect: 2 archived days of city ")
    fill_it = text.partition("to fill it from the mirror then: ")[2]
    assert fill_it.endswith(f"backfill city --from file://{nas}")
    archive.mkdir()
    (archive / ".bikecollect").touch()
    assert " were put back from " in fill()
    assert files(archive) == before
    assert "all agree" in bikecollect("--config", config, "verify", "--deep").stdout


def test_a_day_that_is_archived_again_meanwhile_is_not_put_back(
    nas: Path, config: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `compact` replaces it while `backfill` compares the files."""
    lost = world.folder.parent / PART
    shutil.rmtree(lost.parent)

    def change(_: CopiedArchive, archived: Archived) -> bool:
        path = world.folder / "ledger.sqlite3"
        with closing(sqlite3.connect(path)) as db, db:
            sql = "UPDATE archives SET made = made + 1 WHERE day = ?"
            db.execute(sql, (archived.day,))
        return False

    monkeypatch.setattr(CopiedArchive, "is_whole", change)
    words = ("--config", str(config), "backfill", "city", "--from", str(nas))
    result = CliRunner().invoke(cli, words)

    assert (result.exit_code, "put back" in result.output) == (0, False)
    assert not lost.exists()


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (1, "the lost files of 1 archived day (2024-06-05) were put back from"),
        (2, "city: 2 archived days put back"),
    ],
)
def test_an_interrupted_call_names_the_days_that_were_put_back(
    nas: Path,
    config: Path,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    *,
    days: int,
    text: str,
) -> None:
    """Before the others, or before slots are filled."""
    put_back, returned = CopiedArchive.put_back, list[str]()
    for day in ("2024-06-05", "2024-06-06"):
        (world.folder.parent / PART.replace("2024-06-05", day)).unlink()

    def interrupted(copy: CopiedArchive, archived: Archived) -> Returned | None:
        returned.append(archived.day)
        if len(returned) == days:
            os.kill(os.getpid(), signal.SIGINT)
        return put_back(copy, archived)

    monkeypatch.setattr(CopiedArchive, "put_back", interrupted)
    monkeypatch.setattr(Ending, "signum", 0)
    done = bikecollect("--config", config, "backfill", "city", "--from", nas)

    assert done.returncode == 130
    assert text in done.stdout + done.stderr
    assert "nothing to fill" not in done.stdout


def test_a_dry_run_takes_no_lock_to_say_what_is_lost(
    config: Path, world: World, tmp_path: Path
) -> None:
    """The disk may be mounted read-only, or be that of another user."""
    copy = tmp_path / "copy"
    shutil.copytree(world.folder.parent, copy)
    (world.folder.parent / PART).unlink()
    (world.folder / "lock").unlink()
    (world.folder / "lock").mkdir()

    words = ("backfill", "city", "--from", copy, "--dry-run")
    done = bikecollect("--config", config, *words)

    assert "the lost files of 1 archived day (2024-06-05) would be" in done.stderr
    assert done.returncode == 0


def test_a_copy_under_another_name_gives_its_rows_but_not_its_certificates(
    config: Path, world: World, tmp_path: Path
) -> None:
    """They name the other system; `compact` writes that of this one anew."""
    data, copy = world.folder.parent, tmp_path / "copy"
    shutil.copytree(data, copy)
    text = (copy / CERTIFICATE).read_text()
    assert '"system_id": "city"' in text
    (copy / CERTIFICATE).write_text(text.replace('"city"', '"town"'))
    (copy / "city/.bikecollect").touch()
    (copy / "city").rename(copy / "town")
    for path in list(copy.rglob("system_id=city")):
        path.rename(path.with_name("system_id=town"))
    intact = (data / PART).read_bytes()
    for lost in (PART, CERTIFICATE):
        (data / lost).unlink()

    done = bikecollect("--config", config, "backfill", "city", "--from", copy / "town")

    assert "were put back from" in done.stderr
    assert (data / PART).read_bytes() == intact
    assert not (data / CERTIFICATE).exists()
    assert bikecollect("--config", config, "compact").returncode == 0
    assert "all agree" in bikecollect("--config", config, "verify", "--deep").stdout


@pytest.mark.parametrize("live", [(), ("--live",)], ids=["archive", "live"])
def test_a_folder_of_another_system_is_not_copied(
    nas: Path, config: Path, world: World, live: tuple[str, ...]
) -> None:
    """The mirror would get its data under the wrong name."""
    shutil.rmtree(nas / "archive")
    before = sorted(nas.rglob("*"))
    with (world.folder / ".bikecollect").open("a") as file:
        file.write("system: other\n")

    process = bikecollect("--config", config, "push", *live)

    assert process.returncode == 74
    assert "has the data of another system, other" in process.stderr
    assert sorted(nas.rglob("*")) == before


def archived_otherwise(data: Path, copy: Path) -> None:
    """Make *copy* one of *data* in which a day has the same rows in other bytes."""
    duckdb = pytest.importorskip("duckdb")
    shutil.copytree(data, copy)
    part, new = copy / PART, copy / "new"
    duckdb.execute(f"COPY (FROM '{part}') TO '{new}' (FORMAT parquet)")
    new.rename(part)
    values = json.loads((copy / CERTIFICATE).read_text())
    found = {"bytes": part.stat().st_size, "sha256": sha256_of(part)}
    values["parts"]["station_status"] = found
    (copy / CERTIFICATE).write_text(json.dumps(values))


def open_then(_: Path, copy: Path) -> None:
    """Make *copy* one of before the days were archived."""
    two_past_days(copy)


@pytest.mark.parametrize("prepare", [archived_otherwise, open_then])
def test_another_state_of_a_lost_day_is_not_put_back_but_named(
    nas: Path,
    config: Path,
    world: World,
    tmp_path: Path,
    prepare: Callable[[Path, Path], None],
) -> None:
    """Nor its certificate. The command that takes it all the same fills its slots."""
    prepare(world.folder.parent, copy := tmp_path / "copy")
    (world.folder.parent / PART).unlink()
    own = world.folder.parent / CERTIFICATE
    aside = own.rename(tmp_path / "aside")

    words = ("--config", config, "backfill", "city", "--from", copy)
    process = bikecollect(*words)
    assert process.returncode == 74
    assert bikecollect(*words, "--since", "2024-06-06").returncode == 0
    assert not own.exists()
    aside.rename(own)

    told = f"{copy}/city has 1 archived day (2024-06-05), lost here, in another state; "
    assert told in process.stderr
    assert "not filled: 1 archived day (2024-06-05) is missing" in process.stdout
    assert not (world.folder.parent / PART).exists()
    command = process.stderr.partition("to take the rows: ")[2].splitlines()[0]
    done = subprocess.run(
        command.replace("bikecollect ", f"bikecollect --config {config} "),
        shell=True,
        check=False,
    )
    assert done.returncode == 0
    assert bikecollect("--config", config, "compact").returncode == 0
    assert "all agree" in bikecollect("--config", config, "verify").stdout


def test_a_day_that_is_neither_here_nor_in_the_mirror_is_named(
    nas: Path, config: Path, world: World
) -> None:
    """Not "the mirror has every archived day". One that the mirror has is no error."""
    archive = world.folder.parent / "archive"
    for path in archive.rglob("*2024-06-05*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    here = bikecollect("--config", config, "push")
    shutil.rmtree(nas / "archive")

    process = bikecollect("--config", config, "push")

    assert (here.returncode, "Nothing to do" in here.stdout) == (0, True)
    assert here.stderr.count("restore it from the mirror: ") == 1
    assert (process.returncode, "Nothing" in process.stdout) == (74, False)
    assert "city 2024-06-05: not copied to the mirror: " in process.stderr
    assert "neither there nor here; " in process.stderr
    assert " forget city 2024-06-05; then: " in process.stderr


def test_an_emptied_file_of_a_copy_has_no_rows_of_a_lost_day(
    config: Path, world: World, tmp_path: Path
) -> None:
    """`push --live` has emptied it; nothing is said to be there in another state."""
    copy = shutil.copytree(world.folder.parent, tmp_path / "copy")
    for place in (world.folder.parent, copy):
        (place / PART).unlink()
    (copy / "city/station_status/2024-06-05.csv").touch()

    process = bikecollect("--config", config, "backfill", "city", "--from", copy)

    assert (process.returncode, "in another state" in process.stderr) == (74, False)


@pytest.mark.parametrize("has_folder", [True, False])
def test_the_documented_copy_restores_the_archive(
    nas: Path, config: Path, world: World, *, has_folder: bool
) -> None:
    """Also where a `push` of an earlier version has made the folder: none is nested."""
    data = world.folder.parent
    shutil.rmtree(data / "archive")
    if has_folder:
        (data / "archive/.mirror").mkdir(parents=True)
    page = Path(__file__).parents[2] / "docs/how-to/mirror-the-archive.md"
    (line,) = [x for x in page.read_text().splitlines() if "cp -r" in x]
    command = line.removeprefix("# or, from a folder: ")
    command = command.replace("/mnt/nas/bikes", str(nas))

    subprocess.run(
        ["/bin/sh", "-c", command.replace("/srv/bikes", str(data))], check=True
    )

    assert (data / PART).read_bytes() == (nas / PART).read_bytes()
    assert not (data / "archive/archive").exists()


def test_the_doctor_does_not_create_the_folder(config: Path, tmp_path: Path) -> None:
    """It may be misspelt, or its disk not mounted."""
    place = tmp_path / "nass" / "bikes"
    with config.open("a", encoding="utf-8") as out:
        out.write(f'[archive]\nmirror = "file://{place}"\n')

    doctor = " ".join(bikecollect("--config", config, "doctor").stdout.split())

    assert f"note mirror: file://{place} does not exist yet" in doctor
    assert not place.parent.exists()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_disk_without_hard_links_keeps_what_is_replaced(
    nas: Path, config: Path
) -> None:
    """As on FAT: what a changed file had is kept aside by a copy."""
    (nas / PART).write_bytes(b"not Parquet")
    fault = ["-e", "trace=link,linkat", "-e", "inject=link,linkat:error=EPERM"]
    command = [sys.executable, "-m", "bikecollect", "--config", str(config), "push"]

    process = subprocess.run(
        ["strace", "-f", "-o", os.devnull, *fault, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    (kept,) = (nas / "replaced" / PART).iterdir()
    found = bikecollect("--config", config, "verify", "--mirror")
    assert (process.returncode, process.stderr) == (0, "")
    assert kept.read_bytes() == b"not Parquet"
    assert found.returncode == 0
    last = found.stdout.splitlines()[-1]  # of each day six files, and the stations
    assert last == "days 2, files 13, blocks 2, payloads 0: all agree"


def flip(path: Path) -> None:
    """Change a byte of *path* like a bad sector: size and time stay the same."""
    times, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_silent_damage_is_found_and_replaced_by_the_remedies(
    nas: Path, config: Path, world: World
) -> None:
    """The record of copies says that those files were verified."""
    certificate = world.folder.parent / CERTIFICATE
    conflict = certificate.with_name("2024-06-05.sync-conflict.json")
    conflict.write_bytes(b"of a program that copies folders: no day")
    bikecollect("--config", config, "push", "--live")
    names = PART, "city/station_information.csv", "live/city/ledger.sqlite3"
    for name in names:
        flip(nas / name)

    (nas / CERTIFICATE.replace("06-05", "06-06")).unlink()
    found = bikecollect("--config", config, "verify", "--mirror")
    waiting = bikecollect("--config", config, "status").stdout
    pushed = bikecollect("--config", config, "push")
    live = bikecollect("--config", config, "push", "--live")
    again = bikecollect("--config", config, "verify", "--mirror")

    lines = found.stdout.splitlines()
    assert [line for name in names for line in lines if f"{name}: sha256" in line] == [
        line for line in lines if "sha256 mismatch" in line
    ]
    assert "push city   (3 findings)" in found.stdout
    assert "Mirror       2 days waiting" in waiting
    assert "push --live city   (1 finding)" in found.stdout
    assert (pushed.returncode, live.returncode, again.returncode) == (0, 0, 0)
    assert len(list((nas / "replaced" / PART).iterdir())) == 1


def test_live_copies_that_are_not_what_was_sent_are_found(
    nas: Path, config: Path, world: World
) -> None:
    """Cut, replaced or removed by others; those of a push at work are sound."""
    world.clock.now += DAY
    world.fetch({"0001": 3, "0002": 5})
    bikecollect("--config", config, "push", "--live")
    live = nas / "live/city"
    (day,) = (live / "station_status").iterdir()
    record = record_path(world.folder.parent, "city", live_address(f"file://{nas}"))
    before = record.read_bytes()
    world.fetch({"0001": 4, "0002": 6}, after=300)
    bikecollect("--config", config, "push", "--live")
    world.fetch({"0001": 5, "0002": 7}, after=300)
    after = record.read_bytes()

    def check(known: bytes) -> tuple[int, list[str]]:
        record.write_bytes(known)
        process = bikecollect("--config", config, "verify", "--mirror")
        lines = process.stdout.splitlines()
        return process.returncode, [x for x in lines if x.startswith("city live/")]

    at_work, at_rest = check(before), check(after)
    day.write_bytes(day.read_bytes()[:-9])
    (live / "ledger.sqlite3").write_bytes(b"junk" * 999)
    (live / "station_information.csv").unlink()
    code, found = check(after)
    bikecollect("--config", config, "push", "--live")

    assert (at_work, at_rest) == ((0, []), (0, []))
    assert (code, [line.rpartition("/")[2] for line in found]) == (
        1,
        [
            "ledger.sqlite3: sha256 mismatch",
            f"{day.name}: sha256 mismatch",
            "station_information.csv is missing",
        ],
    )
    assert check(record.read_bytes()) == (0, [])


def test_a_push_keeps_what_a_verify_beside_it_found_damaged(
    nas: Path, world: World
) -> None:
    """Until a later `push` compares that file, or sends it again."""
    data, address = world.folder.parent, f"file://{nas}"
    active, beside = (MirrorRecord(data, "city", address) for _ in range(2))
    sent = StoredObject(PART, 9, "tag")
    active.add(sent, "sha")
    beside.doubt(PART)
    beside.save()

    active.save()

    later = MirrorRecord(data, "city", address)
    was_doubted = later.is_doubted(PART)
    later.add(sent, "sha")
    later.save()
    assert was_doubted
    assert MirrorRecord(data, "city", address).has(sent, "sha")


def test_the_error_of_a_folder_is_that_of_the_system(nas: Path, config: Path) -> None:
    """It is not cut, and does not name parts of the library."""
    shutil.rmtree(nas / "live", ignore_errors=True)
    (nas / "live").write_bytes(b"")

    process = bikecollect("--config", config, "push", "--live")

    assert process.returncode == 69
    assert process.stderr.endswith(": Not a directory\n")


def test_a_mount_point_without_its_disk_is_not_filled(
    nas: Path, config: Path, tmp_path: Path
) -> None:
    """Nothing is written into it; once the disk is there again, copying goes on."""
    nas.rename(tmp_path / "unmounted")

    pushed = bikecollect("--config", config, "push")
    live = bikecollect("--config", config, "push", "--live")
    doctor = bikecollect("--config", config, "doctor")
    filled = list(nas.rglob("*"))
    shutil.rmtree(nas, ignore_errors=True)
    (tmp_path / "unmounted").rename(nas)
    again = bikecollect("--config", config, "push")

    assert (pushed.returncode, live.returncode, filled) == (69, 69, [])
    assert (
        f"file://{nas} is empty, but files were copied to it: is its" in pushed.stderr
    )
    assert "BAD   mirror:" in doctor.stdout
    assert "-> mount its disk; to copy everything again, for instance" in doctor.stdout
    assert again.returncode == 0


def test_a_new_disk_gets_everything(nas: Path, config: Path) -> None:
    """By the command that the message names."""
    shutil.rmtree(nas)
    refused = bikecollect("--config", config, "push")
    (nas / "archive").mkdir(parents=True)

    process = bikecollect("--config", config, "push")

    assert f"mkdir -p {nas}/archive" in refused.stderr
    assert process.returncode == 0
    assert (nas / PART).is_file()


def test_the_data_folder_is_no_mirror_of_itself(world: World, config: Path) -> None:
    """There would be no copy, although `push` and `doctor` said so."""
    with config.open("a", encoding="utf-8") as out:
        out.write(f'[archive]\nmirror = "file://{world.folder.parent}"\n')

    process = bikecollect("--config", config, "push")
    doctor = bikecollect("--config", config, "doctor")

    assert process.returncode == 78
    assert "is the folder with the data itself" in process.stderr
    assert "BAD   mirror:" in doctor.stdout


def test_a_full_disk_here_is_not_an_error_of_the_mirror(nas: Path) -> None:
    """A file that does not fit is no damaged one, which `backfill` would skip."""
    store = ObjectStore(MirrorAddress.parse(f"file://{nas}"))

    with pytest.raises(StorageError, match="cannot write /dev/full: No") as caught:
        store.download(PART, Path("/dev/full"))

    assert not isinstance(caught.value, MirrorError)


def test_without_threads_for_the_library_it_is_not_used(
    nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would panic, or wait for ever; a limit of processes is the usual reason."""
    real, allowed = threading.Thread.start, iter([True] * 5)

    def start(thread: threading.Thread) -> None:
        if not next(allowed, False):
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)

    with pytest.raises(MirrorError, match="limit of processes"):
        ObjectStore(MirrorAddress("file", "", str(nas)[1:]))


@pytest.mark.parametrize(("own", "used"), [("", "1"), ("3", "3")])
def test_the_library_has_one_thread_unless_the_user_says_otherwise(
    nas: Path, monkeypatch: pytest.MonkeyPatch, own: str, used: str
) -> None:
    """It would start one per processor, which a limit of processes may not allow."""
    monkeypatch.setenv("TOKIO_WORKER_THREADS", own or "0")
    if not own:
        monkeypatch.delenv("TOKIO_WORKER_THREADS")

    ObjectStore(MirrorAddress("file", "", str(nas)[1:]))

    assert os.environ["TOKIO_WORKER_THREADS"] == used


def test_what_a_killed_push_left_beside_a_file_is_removed(tmp_path: Path) -> None:
    """Spark reads every file of a dataset's folder: its rows would count twice."""
    store = ObjectStore(MirrorAddress.parse(f"file://{tmp_path}"))
    (tmp_path / "day").mkdir()
    for name, age in (("#1", 301), ("#22", 301), ("#3", 0), ("#b", 301), (".old", 301)):
        left = tmp_path / f"day/part.parquet{name}"
        left.write_bytes(b"left")
        os.utime(left, (time.time() - age,) * 2)

    store.write("day/part.parquet", b"rows", hashlib.sha256(b"rows").hexdigest())

    assert sorted(path.name for path in (tmp_path / "day").iterdir()) == [
        *("part.parquet", "part.parquet#3", "part.parquet#b", "part.parquet.old"),
    ]


def test_a_reader_creates_no_folder(config: Path, world: World, tmp_path: Path) -> None:
    """A mistyped address, or a disk that is not mounted, is named."""
    assert world.folder
    address = f"file://{tmp_path}/typo"

    process = bikecollect("--config", config, "backfill", "city", "--from", address)

    assert process.returncode == 69
    assert f"{address} is not a folder: is its disk mounted?" in process.stderr
    assert not (tmp_path / "typo").exists()


def test_the_folder_of_a_mirror_may_be_given_without_its_kind(
    nas: Path, config: Path, world: World
) -> None:
    """It has CSV and Parquet files, but is not read as tables."""
    shutil.rmtree(world.folder)
    shutil.rmtree(world.folder.parent / "archive")

    process = bikecollect("--config", config, "backfill", "city", "--from", nas)

    assert process.stderr == ""
    assert "city: 2 slots filled" in process.stdout
    assert "  bikecollect file:///" in process.stdout


@pytest.mark.parametrize("has_data", [True, False])
def test_a_mirror_names_the_systems_that_it_has(
    nas: Path, config: Path, world: World, *, has_data: bool
) -> None:
    """The one to be filled has another name there, which it gets for the time being."""
    shutil.rmtree(world.folder.parent)
    settings = config.read_text("utf-8")
    config.write_text(settings.replace("[systems.city]", "[systems.town]"), "utf-8")
    if has_data:
        town = World(world.folder.parent / "town", clock=world.clock)
        town.fetch({"0001": 9, "0002": 1})
        (town.folder / ".bikecollect").touch()

    process = bikecollect("--config", config, "backfill", "town", "--from", nas)
    text = " ".join(process.stderr.split())
    if has_data:
        bikecollect("--config", config, "rename", "town", "city")
    else:
        config.write_text(settings, encoding="utf-8")
    steps = ("backfill", "city", "--from", nas), ("rename", "city", "town")
    codes = [bikecollect("--config", config, *step).returncode for step in steps]

    assert process.returncode == 64
    assert "no archived day of `town`, only of `city`; if it is one" in text
    how = "rename town city", "write [systems.city] in place of"
    assert how[not has_data] in text
    assert codes == [0, 0]


def test_a_copied_archive_keeps_the_causes_of_a_lost_machine(
    nas: Path, config: Path, world: World
) -> None:
    """The way of the page: the ledger is rebuilt from the archive, then filled."""
    assert world.folder
    sql = "SELECT system_id, slot, cause FROM slots ORDER BY ALL"
    query = ("--config", config, "query", "--mirror", sql, "--format", "csv")
    before, data = bikecollect(*query).stdout, world.folder.parent
    shutil.rmtree(world.folder)
    shutil.rmtree(data / "archive")

    shutil.copytree(nas / "archive", data / "archive")
    bikecollect("--config", config, "backfill", "city", "--from", f"file://{nas}")
    process = bikecollect("--config", config, "compact")

    report = ("backfill-report", "city", "--since", "2024-06-05")
    shown = bikecollect("--config", config, *report).stdout
    assert (process.returncode, process.stderr) == (0, "")
    assert bikecollect(*query).stdout == before
    assert not (nas / "replaced").exists()
    assert "collection had not started" not in shown


def test_runs_of_the_open_day_are_taken_over_beside_a_copied_archive(
    nas: Path, config: Path, world: World
) -> None:
    """Those of its days are in the ledger then: they are not the new machine's."""
    assert world.folder
    data = world.folder.parent
    world.feed.answer = FeedUnavailable("no such host", cause="dns")
    world.fetch(after=DAY)
    world.fetch({"0002": 4}, after=300)
    bikecollect("--config", config, "push", "--live")
    shutil.rmtree(world.folder)
    shutil.rmtree(data / "archive")

    shutil.copytree(nas / "archive", data / "archive")
    fill = ("--config", config, "backfill", "city", "--from", f"file://{nas}")
    process, again = bikecollect(*fill), bikecollect(*fill)

    sql = "SELECT cause FROM slots WHERE cause LIKE 'network%'"
    shown = bikecollect("--config", config, "query", sql, "--format", "csv")
    assert "  2 runs taken over: causes of missing slots" in process.stdout
    assert "taken over" not in again.stdout
    assert shown.stdout == "cause\nnetwork: dns\n"


def test_a_list_of_stations_that_was_replaced_in_the_mirror_is_restored(
    nas: Path, config: Path, world: World
) -> None:
    """The new machine has fetched and pushed before its history was filled.

    A damaged copy that was replaced is none of the lost machine: its ids may be wrong.
    """
    path = world.folder / INFORMATION
    before = path.read_bytes().splitlines()
    shutil.rmtree(world.folder)
    shutil.rmtree(world.folder.parent / "archive")
    (world.folder / ".bikecollect").parent.mkdir(parents=True)
    (world.folder / ".bikecollect").touch()
    world.fetch({"0002": 4, "0003": 1}, after=DAY, names={"0002": "new"})
    new = path.read_bytes().splitlines()
    bikecollect("--config", config, "compact")
    pushed = (nas / "city" / INFORMATION).read_bytes().splitlines()
    damaged = (nas / "city" / INFORMATION).read_bytes().replace(b",0003,", b",0007,", 1)
    (nas / "replaced/city" / INFORMATION / "damaged").write_bytes(damaged)

    bikecollect("--config", config, "backfill", "city", "--from", f"file://{nas}")

    assert (pushed, len(before)) == (new, 3)
    assert sorted(path.read_bytes().splitlines()) == sorted([*before, *new[1:]])


@pytest.fixture
def outage(world: World, nas: Path, config: Path) -> Path:
    """Return the mirror of a machine, lost since, with an outage on its last day."""
    assert world.folder
    world.feed.answer = FeedUnavailable("no such host", cause="dns")
    world.fetch(after=300)
    world.fetch({"0002": 4}, after=300)
    assert bikecollect("--config", config, "compact").returncode == 0
    shutil.rmtree(world.folder)
    shutil.rmtree(world.folder.parent / "archive")
    shutil.rmtree(nas / "replaced")
    return nas


def test_runs_that_cannot_be_read_are_reported_once(
    outage: Path, config: Path, tmp_path: Path
) -> None:
    """They are read twice if there are runs here already."""
    fill = ("--config", config, "backfill", "city", "--from")
    bikecollect(*fill, f"file://{outage}")
    copy = shutil.copytree(outage, tmp_path / "copy")
    shutil.rmtree(copy / "archive/runs")

    process = bikecollect(*fill, f"file://{copy}")

    assert process.stderr.count("not all runs of ") == 1
    assert "  1 row or block of the other archive is unreadable" in process.stdout


def test_a_day_that_cannot_be_compared_does_not_replace_the_one_in_the_mirror(
    outage: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as without memory or room for it: the next `push` compares again."""
    copy = shutil.copytree(outage, tmp_path / "copy")
    shutil.rmtree(copy / "archive/runs")
    bikecollect("--config", config, "backfill", "city", "--from", f"file://{copy}")

    def fails(*_: object) -> KnownCauses:
        raise StorageError("no memory left")

    monkeypatch.setattr(push, "known_causes", fails)
    words = ["--config", str(config), "compact"]
    result = CliRunner().invoke(cli, words, standalone_mode=False)

    assert result.return_value == 74
    assert "city 2024-06-06: not copied to the mirror: no memory left" in result.output
    assert not (outage / "replaced").exists()


def test_a_day_that_knows_fewer_causes_does_not_replace_the_richer_one(
    outage: Path, config: Path, tmp_path: Path
) -> None:
    """It was filled from a copy without runs; the message has the remedy."""
    sql = "SELECT cause FROM slots WHERE cause LIKE 'network%'"
    query = ("--config", config, "query", sql, "--format", "csv")
    fill = ("--config", config, "backfill", "city", "--from")
    compact = ("--config", config, "compact", "--csv-days", "0")
    before = bikecollect(*query, "--mirror").stdout
    copy = shutil.copytree(outage, tmp_path / "copy")
    shutil.rmtree(copy / "archive/runs")
    bikecollect(*fill, f"file://{copy}")

    poorer = bikecollect(*compact)
    after = bikecollect(*query, "--mirror").stdout
    was_replaced = (outage / "replaced").exists()
    taken = bikecollect(*fill, f"file://{outage}")
    richer = bikecollect(*compact)

    assert (before, after) == ("cause\nnetwork: dns\n", before)
    assert (poorer.returncode, was_replaced) == (74, False)
    assert "city 2024-06-06: not copied to the mirror: the mirror h" in poorer.stderr
    assert f" backfill city --from file://{outage}, then: " in poorer.stderr
    assert "copies to the same address, give each its own prefix" in poorer.stderr
    assert "  4 runs taken over: causes of missing slots" in taken.stdout
    assert "city 2024-06-06: replaced in the mirror" in richer.stdout
    assert (richer.returncode, richer.stderr) == (0, "")
    assert bikecollect(*query).stdout == before
    assert bikecollect("--config", config, "verify").returncode == 0


def cut(text: bytes) -> bytes:
    """Return *text* without its second half."""
    return text[: len(text) // 2]


@pytest.mark.parametrize(
    "harm",
    [
        cut,
        lambda text: text.replace(b",0001,3,", b",0001,7,"),
        lambda text: text.replace(b",0001,3,", b",0001,33,"),
        lambda text: text.replace(b"slot,", b"Slot,", 1),
    ],
    ids=["cut", "changed", "longer", "header"],
)
def test_rows_that_are_damaged_here_replace_no_sound_ones(
    nas: Path, config: Path, world: World, harm: Callable[[bytes], bytes]
) -> None:
    """Later slots are sent; the remedies, word by word, bring the sound rows back."""

    def run(command: str) -> Result:
        words = ["--config", str(config), *command.split()]
        return CliRunner().invoke(cli, words, standalone_mode=False)

    world.fetch({"0001": 3, "0002": 5}, after=DAY)
    world.fetch({"0001": 4, "0002": 6}, after=300)
    run("push --live")
    csv = max(world.folder.glob("station_status/*.csv"))
    intact = csv.read_bytes()
    csv.write_bytes(harm(intact))
    world.fetch({"0001": 8, "0002": 9}, after=300)
    for payload in world.folder.glob("payloads/kept/*/*.zip"):
        payload.unlink()

    pushed, again = run("push --live"), run("push --live")

    copies = sorted((nas / "live/city/station_status").glob(f"{csv.stem}*.csv"))
    assert [result.return_value for result in (pushed, again)] == [74, 74]
    assert f"damaged rows in station_status/{csv.name}; " in pushed.output
    assert pushed.output.endswith(" verify --repair city\n")
    assert max(copies).read_bytes().startswith(intact)
    assert any(b",0001,8," in copy.read_bytes() for copy in copies)
    assert run("verify --mirror").return_value == 0
    repaired = run("verify --repair city").output
    todo = "&&".join(set(re.findall("mirror has: (.*?);", repaired)))
    for command in filter(str.strip, re.split(r"\S*bikecollect --config \S+|&&", todo)):
        run(command)
    assert "all agree" in run("verify").output
    assert run("push --live").return_value == 0
    assert len(world.committed()) == 5


def test_a_damaged_ledger_does_not_replace_the_sound_one(
    nas: Path, config: Path, world: World
) -> None:
    """The next run, which would not see the damage, rebuilds it; then it is copied."""

    def push() -> object:
        words = ["--config", str(config), "push", "--live"]
        return CliRunner().invoke(cli, words, standalone_mode=False).return_value

    world.fetch({"0001": 3, "0002": 5}, after=DAY)
    there, ledger = nas / "live/city/ledger.sqlite3", world.folder / "ledger.sqlite3"
    with closing(sqlite3.connect(ledger)) as db:
        sql = "SELECT rootpage FROM sqlite_master WHERE name = 'incidents_by_slot'"
        ((page,),) = db.execute(sql)
    results, sound = [push()], there.read_bytes()
    intact = ledger.read_bytes()
    at = (page - 1) * 4096
    ledger.write_bytes(intact[:at] + b"x" * 64 + intact[at + 64 :])

    results.append(push())
    left = there.read_bytes()
    run = world.fetch({"0001": 4, "0002": 6}, after=300)
    results.append(push())

    assert (results, left == sound) == ([0, 74, 0], True)
    assert "ledger" in [notice.kind for notice in run.notices]


def test_rows_that_move_during_a_push_are_not_damaged(
    nas: Path, config: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger was copied before a repair, the file after it."""
    assert nas.exists()

    def run(*words: str) -> Result:
        words = ("--config", str(config), *words)
        return CliRunner().invoke(cli, words, standalone_mode=False)

    for _ in range(2):
        world.fetch({"0001": 3, "0002": 5}, after=DAY // 2)
    csv = max(world.folder.glob("station_status/*.csv"))
    csv.write_bytes(csv.read_bytes().replace(b",0001,3,", b",0001,33,", 1))
    copied, item = shutil.copyfile, f"station_status/{csv.name}"
    for payload in world.folder.glob("payloads/kept/*/*.zip"):
        payload.unlink()

    def after_repair(source: Path, target: Path) -> None:
        if source == csv:
            run("forget", "city", item)
        copied(source, target)

    monkeypatch.setattr(shutil, "copyfile", after_repair)

    assert run("push", "--live").return_value == 0


def test_a_bad_sector_keeps_nothing_else_from_the_mirror(
    nas: Path, config: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows behind it are sent, and the ledger; those in it stay in the mirror."""
    words = ["--config", str(config), "push", "--live"]
    world.fetch({"0001": 3, "0002": 5}, after=DAY)
    CliRunner().invoke(cli, words, standalone_mode=False)
    world.fetch({"0001": 4, "0002": 6}, after=300)
    csv = max(world.folder.glob("station_status/*.csv"))
    copied, copy = shutil.copyfile, nas / "live/city/station_status" / csv.name
    before = (copy.parents[1] / "ledger.sqlite3").read_bytes()

    def failing(source: Path, target: Path) -> None:
        copied(source, target)
        if source == csv:
            os.truncate(target, 200)
            raise OSError(errno.EIO, "Input/output error", str(csv))

    monkeypatch.setattr(shutil, "copyfile", failing)
    result = CliRunner().invoke(cli, words, standalone_mode=False)

    assert result.return_value == 74
    assert f"damaged rows in station_status/{csv.name}; " in result.output
    assert copy.read_bytes() == csv.read_bytes()
    assert (copy.parents[1] / "ledger.sqlite3").read_bytes() != before
