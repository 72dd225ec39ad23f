"""`push --live` copies the open day: if the machine is lost, only later slots are."""

import errno
import hashlib
import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from json_shapes import documented
from keeping import archived_past_days, two_past_days
from mirrored import CERTIFICATE, City, mirrored_city, renewed
from s3server import BUCKET, Fault, Proxy, S3Server
from world import TAIPEI, World

from bikecollect.archive.mirror.live.live_download import LiveDownload
from bikecollect.cli.render.programs import archive_json
from bikecollect.collect.fetching.fetcher import MACHINE
from bikecollect.collect.sources import foreign_ledger
from bikecollect.core.errors import StorageError
from bikecollect.core.incidents import Incident
from bikecollect.core.slots import DAY, Slot
from bikecollect.setup.loader import load
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.data_folder import INFORMATION, LEDGER, MARKER
from bikecollect.storage.files.marker import mark, text_of
from bikecollect.storage.ledger_reader import History
from bikecollect.wiring.mirror import mirror_source

pytest.importorskip("duckdb")
pytest.importorskip("obstore")
pytest.importorskip("moto")


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world with a slot on each of two archived days, long past."""
    return archived_past_days(folder)


@pytest.fixture
def city(world: World, config: Path, s3_proxy: Proxy, tmp_path: Path) -> City:
    """Return the world with its past days in the mirror, and two slots of today."""
    city = mirrored_city(world.folder, config, s3_proxy, tmp_path).pushed()
    fetch_twice(world)
    return city


@pytest.fixture
def live(world: World, config: Path, s3_proxy: Proxy, tmp_path: Path) -> City:
    """Return `city` with nothing in the mirror: only today's slots matter."""
    fetch_twice(world)
    return mirrored_city(world.folder, config, s3_proxy, tmp_path)


@pytest.fixture
def unarchived(world: World) -> World:
    """Return a world with two past days that are not archived yet."""
    return renewed(two_past_days, world.folder.parent)


@pytest.fixture
def unarchived_city(
    unarchived: World, config: Path, s3_proxy: Proxy, tmp_path: Path
) -> City:
    """Return `unarchived` with nothing in the mirror."""
    return mirrored_city(unarchived.folder, config, s3_proxy, tmp_path)


def fetch_twice(world: World) -> None:
    """Collect two slots of today."""
    world.clock.now = time.time() - 900
    world.fetch({"0001": 3, "0002": 5})
    world.fetch({"0001": 4, "0002": 6}, after=300)


def rows(city: City) -> list[list[str]]:
    """Return slot, station and number of vehicles of all rows, open days included."""
    lines = city.run("export").stdout.splitlines()
    return [line.split(",")[:4:2] + line.split(",")[3:4] for line in lines[1:]]


def versions(city: City) -> list[str]:
    """Return the lines of the list of stations; its header is the last one."""
    return sorted((city.folder / INFORMATION).read_text("utf-8").splitlines())


def live_objects(city: City, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Return the sizes of the live copies in the mirror, by path."""
    listed = city.store(monkeypatch).list("live")
    return {stored.path: stored.size for stored in listed}


def test_a_new_machine_gets_all_slots_back(city: City) -> None:
    """The data folder is lost; the mirror fills closed days and the open one."""
    pushed = city.run("push", "--live")
    before, stations = rows(city), versions(city)
    shutil.rmtree(city.data)

    process = city.run("backfill", "city", "--from", city.address)

    assert versions(city) == stations
    assert (pushed.returncode, pushed.stderr) == (0, "")
    assert pushed.stdout.startswith("city: open days copied to the mirror, ")
    assert (process.returncode, len(before)) == (0, 7)
    assert rows(city) == before


def test_a_new_machine_knows_why_slots_without_a_run_are_missing(
    live: City, world: World
) -> None:
    """The disk was full, and their runs could not be recorded."""
    world.clock.now = time.time() - 4_000
    first, last = (world.fetch({"0001": 1}, after=after).slot for after in (0, 1_500))
    slots = (Slot(first + 300), Slot(last - 300))
    incident = Incident("disk-1", "disk", *slots, last, slots=4, lost=4, told=1)
    AlertLedger(live.folder / LEDGER).save([incident])
    assert live.run("push", "--live").returncode == 0
    before = lost_by_disk(live)
    shutil.rmtree(live.data)

    process = live.run("backfill", "city", "--from", live.address)

    assert process.returncode == 0
    assert lost_by_disk(live) == before == 4


def lost_by_disk(city: City) -> int:
    """Return how many slots are missing because of the disk."""
    report = city.run("backfill-report", "--format", "json").stdout
    return sum(g["slots"] for g in json.loads(report)["gaps"] if g["cause"] == "disk")


def test_days_are_restored_without_any_archive(
    unarchived: World, unarchived_city: City
) -> None:
    """Nothing was compacted yet: the live copy is all there is."""
    city = unarchived_city
    unarchived.clock.now = time.time() - 900
    unarchived.fetch({"0001": 3})
    city.run("push", "--live")
    before = rows(city)
    shutil.rmtree(city.data)

    process = city.run("backfill", "city", "--from", city.address)

    assert process.returncode == 0
    assert (rows(city), len(before)) == (before, 4)


def test_archived_days_whose_csv_is_kept_are_not_called_unreadable(
    unarchived_city: City,
) -> None:
    """Their daily files are not copied, as the archive there has their rows."""
    city = unarchived_city
    city.run("compact", "--csv-days", "9999")
    city.run("push", "--live")
    before = rows(city)
    shutil.rmtree(city.data)

    process = city.run("backfill", "city", "--from", city.address)

    assert (process.returncode, len(before)) == (0, 3)
    assert "unreadable" not in process.stdout
    assert rows(city) == before


def test_late_slots_of_an_archived_day_are_restored(city: City, world: World) -> None:
    """They are in a daily file only: backfill wrote them after the day was archived."""
    archived = json.loads((city.data / CERTIFICATE).read_text("utf-8"))["slots"]
    world.clock.now = datetime(2024, 6, 5, 20, tzinfo=TAIPEI).timestamp()
    world.fetch({"0001": 9, "0002": 1})
    city.run("push", "--live")
    before = rows(city)
    shutil.rmtree(city.data)

    process = city.run("backfill", "city", "--from", city.address)

    assert (process.returncode, archived, len(before)) == (0, 1, 9)
    assert rows(city) == before
    assert city.run("push", "--live").returncode == 0


def test_two_calls_at_once_leave_each_other_their_files(live: City) -> None:
    """A file that another call downloads stays; one that was left over does not."""
    live.run("push", "--live")
    live.run("backfill", "city", "--dry-run", "--from", live.address)
    (copied,) = (live.data.parent / "cache").rglob("city/station_status")
    fresh, old = copied / "2024-06-01.csv.7.new", copied.parent / "facts.json.8.new"
    fresh.touch()
    old.touch()
    os.utime(old, (time.time() - 9_000,) * 2)

    process = live.run("backfill", "city", "--dry-run", "--from", live.address)

    assert process.returncode == 0
    assert (fresh.exists(), old.exists()) == (True, False)


def test_a_download_that_breaks_off_leaves_no_file(
    live: City, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a full disk each try would leave another one, named after its process."""
    live.run("push", "--live")
    store = live.store(monkeypatch)

    def breaks_off(path: str, target: Path) -> str:
        target.write_bytes(b"half")
        raise StorageError(f"cannot write {target} of {path}: no space")

    monkeypatch.setattr(store, "download", breaks_off)
    with pytest.raises(StorageError, match="no space"):
        LiveDownload(store, tmp_path / "copy", "city", vehicles=False).run()

    assert [*(tmp_path / "copy").rglob("*.new")] == []


def test_a_full_disk_here_is_no_damage_of_the_ledger_there(
    live: City, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its slots would be filled from the daily files, which do not flag stale ones."""
    live.run("push", "--live")
    live.store(monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))

    def is_full(*_: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(foreign_ledger, "_copy_ledger", is_full)

    with pytest.raises(StorageError, match="No space left"):
        mirror_source(load(str(live.config)), live.address, "city", time.time())


def test_each_call_replaces_the_copy(
    city: City, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later slot arrives in the same objects; nothing is kept aside."""
    city.run("push", "--live")
    first = live_objects(city, monkeypatch)
    world.fetch({"0001": 7, "0002": 8}, after=300)
    city.run("push", "--live")
    before = rows(city)
    second = live_objects(city, monkeypatch)
    aside = list(city.store(monkeypatch).list("replaced"))
    shutil.rmtree(city.data)

    city.run("backfill", "city", "--from", city.address)

    assert set(second) >= set(first)
    assert aside == []
    assert (rows(city), len(before)) == (before, 9)


def test_without_a_change_no_daily_file_is_sent(city: City) -> None:
    """Only what has changed is sent."""
    city.run("push", "--live")
    city.proxy.requests.clear()

    city.run("push", "--live")

    assert city.proxy.puts() == []


def test_a_push_that_fails_before_the_ledger_leaves_a_usable_copy(
    city: City, world: World
) -> None:
    """The daily files are newer than the ledger: its blocks are restored."""
    city.run("push", "--live")
    before = rows(city)
    world.fetch({"0001": 7, "0002": 8}, after=300)
    city.proxy.fault = lambda method, path: (
        Fault(status=400) if method == "PUT" and "ledger" in path else None
    )
    failed = city.run("push", "--live")
    city.proxy.fault = lambda _method, _path: None
    shutil.rmtree(city.data)

    process = city.run("backfill", "city", "--from", city.address)

    assert failed.returncode == 74
    assert process.returncode == 0
    assert rows(city) == before


def test_the_ledger_is_sent_after_the_daily_files(live: City, world: World) -> None:
    """A push that fails at a daily file has not replaced the ledger."""
    live.run("push", "--live")
    world.fetch({"0001": 7, "0002": 8}, after=300)
    live.proxy.requests.clear()
    live.proxy.fault = lambda method, path: (
        Fault(status=400) if method == "PUT" and "station_status" in path else None
    )

    process = live.run("push", "--live")

    assert process.returncode == 74
    assert not [path for path in live.proxy.puts() if "ledger" in path]


def test_the_ledger_is_copied_while_it_is_written(
    live: City, world: World, tmp_path: Path
) -> None:
    """A write-ahead log and an open transaction do not tear the copy."""
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as writer, writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM blocks")
        process = live.run("push", "--live")
        writer.rollback()
    writer.close()
    copy = tmp_path / "copy.sqlite3"

    city_path = "live/city/ledger.sqlite3"
    with pytest.MonkeyPatch.context() as patch:
        live.store(patch).download(city_path, copy)

    db = sqlite3.connect(copy)
    checked = db.execute("PRAGMA integrity_check").fetchall()
    count = db.execute("SELECT count(*) FROM blocks").fetchall()
    db.close()
    assert process.returncode == 0
    assert (checked, count) == ([("ok",)], [(4,)])


def refused_until_filled(
    city: City, monkeypatch: pytest.MonkeyPatch, objects: dict[str, int]
) -> str:
    """Push beside the *objects* of a lost folder, which stay; return the error.

    After its rows are filled from the mirror the copy goes on.
    """
    early = city.run("push", "--live")
    unchanged = live_objects(city, monkeypatch)
    city.run("backfill", "city", "--from", city.address)
    after = city.run("push", "--live")

    assert (early.returncode, unchanged) == (74, objects)
    assert (after.returncode, after.stderr) == (0, "")
    return early.stderr


def test_a_new_machine_does_not_replace_the_copy_of_the_lost_one(
    city: City, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cron line comes before its backfill: an error that says what to run.

    Of a machine that collects beside it, it would fill the same slots for ever.
    """
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db, db:
        db.execute("INSERT INTO memory VALUES (?, ?)", (MACHINE, "\x1bbonn"))
    city.run("push", "--live")
    before, objects = rows(city), live_objects(city, monkeypatch)
    shutil.rmtree(city.data)
    new = World(world.folder)
    (new.folder / ".bikecollect").touch()
    new.clock.now = time.time()
    new.fetch({"0001": 9})

    error = refused_until_filled(city, monkeypatch, objects)

    assert "is of another machine, \\x1bbonn (this is " in error
    assert "), and has 2 slots that are missing here; if \\x1bbonn still" in error
    assert "its own in [archive]; else run: " in error
    assert [row for row in rows(city) if row in before] == before


def begun_anew(city: City, days: int) -> World:
    """Lose the system's folder, not its archive; collect a slot some *days* before."""
    shutil.rmtree(city.folder)
    new = World(city.folder)
    (city.folder / MARKER).write_bytes(text_of("city") + mark(time.time()))
    new.clock.now = time.time() - days * DAY
    new.fetch({"0001": 9})
    return new


@pytest.mark.parametrize("days", [0, 3])
def test_a_folder_begun_anew_does_not_replace_the_copy_of_the_lost_one(
    city: City, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """This machine made that copy, and now it is the only one.

    The daily file here is shorter than the one there, or there is none of that day.
    """
    city.run("push", "--live")
    before, objects = rows(city), live_objects(city, monkeypatch)
    begun_anew(city, days)

    error = refused_until_filled(city, monkeypatch, objects)

    assert "has 2 slots that are missing here" in error
    assert f" backfill city --from {city.address}; " in error
    assert [row for row in rows(city) if row in before] == before


def test_slots_that_an_archived_day_lacks_are_not_emptied(
    unarchived: World,
    unarchived_city: City,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An older folder was put back, and then its day archived, and sent."""
    city = unarchived_city
    shutil.copytree(city.folder, tmp_path / "older")
    unarchived.fetch({"0001": 7}, after=300)
    city.run("push", "--live")
    before, objects = rows(city), live_objects(city, monkeypatch)
    shutil.rmtree(city.folder)
    shutil.copytree(tmp_path / "older", city.folder)
    city.run("compact", "--csv-days", "0")

    error = refused_until_filled(city, monkeypatch, objects)
    city.run("compact", "--csv-days", "0")
    city.run("push", "--live")

    assert "has 1 slot that is missing here; run: " in error
    assert rows(city) == before
    assert sum(live_objects(city, monkeypatch).values()) < sum(objects.values())


def test_the_copy_of_a_lost_ledger_is_kept_aside(
    live: City, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new one has the same slots, but nothing else of what it was: it shrinks.

    Its runs are taken over again; a ledger there with a wrong sha256 is skipped.
    """
    runs = [run.run_id for run in History("city", live.folder).runs()]
    with closing(sqlite3.connect(live.folder / "ledger.sqlite3")) as db, db:
        db.execute("INSERT INTO memory VALUES ('of runs', ?)", ("x" * 99_999,))
    live.run("push", "--live")
    path = "live/city/ledger.sqlite3"
    store = live.store(monkeypatch)
    sha256 = store.digest(path)
    for file in live.folder.glob("ledger.sqlite3*"):
        file.unlink()
    world.fetch({"0001": 7, "0002": 8}, after=300)

    process = live.run("push", "--live")

    assert (process.returncode, process.stderr) == (0, "")
    assert store.digest(f"replaced/{path}/{sha256}") == sha256
    left = [run.run_id for run in History("city", live.folder).runs()]
    damaged = hashlib.sha256(b"damaged").hexdigest()
    store.write(f"replaced/{path}/{'0' * 64}", b"damaged", damaged)
    filled = live.run("backfill", "city", "--from", live.address)
    assert (filled.returncode, filled.stderr) == (0, "")
    known = [run.run_id for run in History("city", live.folder).runs()]
    assert (len(left), set(known)) == (1, {*left, *runs})


def test_a_copy_whose_loss_was_accepted_is_kept_aside(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `forget` the copy goes on; later losses are not accepted by it."""
    city.run("push", "--live")
    objects = live_objects(city, monkeypatch)
    new = begun_anew(city, 0)
    refused = city.run("push", "--live")
    city.run("forget", "city", "earlier-data", "--reason", "a test")

    process = city.run("push", "--live")
    new.fetch({"0001": 8}, after=300)
    again = city.run("push", "--live")

    aside = list(city.store(monkeypatch).list("replaced/live"))
    kept = {item.path.removeprefix("replaced/")[:-65]: item.size for item in aside}
    assert refused.returncode == 74
    assert (process.returncode, again.returncode, process.stderr) == (0, 0, "")
    assert {path: kept.get(path) for path in objects if path.endswith(".csv")} == {
        path: size for path, size in objects.items() if path.endswith(".csv")
    }


@pytest.mark.parametrize("damaged", [b"", b"SQLite format 3, and then nothing"])
def test_a_damaged_copy_of_the_ledger_is_replaced(
    live: City, s3_server: S3Server, damaged: bytes
) -> None:
    """Its slots are those of the daily files beside it, and all of them are here."""
    live.run("push", "--live")
    ledger = f"{live.prefix}/live/city/ledger.sqlite3"
    s3_server.request("PUT", f"/{BUCKET}/{ledger}", damaged)

    process = live.run("push", "--live")
    after = live.run("push", "--live")

    assert process.returncode == 0
    assert f"{live.address}/live/city/ledger.sqlite3 is damaged; " in process.stderr
    assert (after.returncode, after.stderr) == (0, "")


def test_without_the_copy_of_the_ledger_all_slots_are_restored(
    city: City, s3_server: S3Server
) -> None:
    """The daily files are read without it; until then they are not replaced."""
    city.run("push", "--live")
    before = rows(city)
    ledger = f"{city.prefix}/live/city/ledger.sqlite3"
    s3_server.request("PUT", f"/{BUCKET}/{ledger}", b"not a ledger")
    shutil.rmtree(city.data)
    city.folder.mkdir(parents=True)
    (city.folder / ".bikecollect").touch()

    early = city.run("push", "--live")
    process = city.run("backfill", "city", "--from", city.address)
    after = city.run("push", "--live")

    assert early.returncode == 74
    assert "the live copy in the mirror has 2 slots that are missing" in early.stderr
    assert process.returncode == 0
    assert "is damaged; its daily files are read without it" in process.stderr
    assert rows(city) == before
    assert after.returncode == 0


def test_a_day_that_was_archived_is_emptied_there(
    unarchived_city: City, s3_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive in the mirror has it; the live copy does not grow for ever.

    Unless the mirror lacks the day: it was restored from an older backup.
    """
    city = unarchived_city
    city.run("push", "--live")
    full = live_objects(city, monkeypatch)
    city.run("compact")
    before = rows(city)
    certificate = Path(CERTIFICATE).name
    s3_proxy.fault = lambda method, path: (
        Fault(status=404) if method == "HEAD" and path.endswith(certificate) else None
    )
    city.run("push", "--live")
    older = live_objects(city, monkeypatch)
    s3_proxy.fault = lambda _method, _path: None

    city.run("push", "--live")

    sizes = live_objects(city, monkeypatch)
    shutil.rmtree(city.data)
    city.run("backfill", "city", "--from", city.address)
    path = "live/city/station_status/2024-06-05.csv"
    assert full[path] == older[path] > 0
    assert sizes[path] == 0
    assert rows(city) == before


def test_a_failure_is_reported_and_recorded(live: City) -> None:
    """Exit code 77 as for `push`; JSON has the reason."""
    live.proxy.fault = lambda _method, _path: Fault(status=403)

    process = live.run("push", "--live", "--format", "json")

    (values,) = documented(process.stdout, archive_json.MIRROR_KEYS)
    assert process.returncode == 77
    assert (values["system"], values["what"]) == ("city", "mirror failed")
    assert "credentials rejected: HTTP 403" in values["why"]
