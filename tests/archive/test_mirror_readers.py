"""The mirror can be read: verified, queried, exported, and used to fill another."""

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import pytest
from keeping import archived_past_days
from mirrored import CERTIFICATE, PART, City, mirrored_city
from s3server import BUCKET, Proxy, S3Server, environment
from world import World

from bikecollect.archive.mirror.address import MirrorAddress
from bikecollect.archive.mirror.push import MirrorPush
from bikecollect.archive.mirror.store.object_store import ObjectStore

pytest.importorskip("duckdb")
pytest.importorskip("obstore")
pytest.importorskip("moto")


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world with a slot on each of two archived days, long past."""
    return archived_past_days(folder)


@pytest.fixture(scope="module")
def prefix(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the prefix of a mirror with the two days, which no test changes."""
    name, data = "readers", tmp_path_factory.mktemp("pushed")
    archived_past_days(data)
    with pytest.MonkeyPatch.context() as patched:
        for variable, value in environment(s3_server.url).items():
            patched.setenv(variable, value)
        store = ObjectStore(MirrorAddress.parse(f"s3://{BUCKET}/{name}"))
        steps = [*MirrorPush(store, data, "city", time.time).run()]
    assert [step.what for step in steps] == ["copied", "copied"]
    return name


@pytest.fixture
def reader(world: World, config: Path, s3_proxy: Proxy, prefix: str) -> City:
    """Return the world with that mirror."""
    return City(world.folder, config, s3_proxy, prefix)


@pytest.fixture
def city(world: World, config: Path, s3_proxy: Proxy, tmp_path: Path) -> City:
    """Return the world with a mirror of its own that has its two days."""
    return mirrored_city(world.folder, config, s3_proxy, tmp_path).pushed()


def test_verify_reads_every_file_of_the_mirror(reader: City) -> None:
    """Each day gets the certificate that it has here."""
    here = reader.run("verify", "--format", "json")

    there = reader.run("verify", "--mirror", "--format", "json")

    expected = here.stdout.replace('"where": "archive"', '"where": "mirror"')
    assert (there.returncode, there.stdout) == (0, expected)
    assert there.stdout.count("mirror") == 2
    # of each day: its five datasets and the certificate
    last = reader.run("verify", "--mirror").stdout.splitlines()[-1]
    assert last == "days 2, files 12, blocks 2, payloads 0: all agree"


def test_verify_finds_a_changed_object(city: City, s3_server: S3Server) -> None:
    """A byte that changed in the mirror is a finding with its remedy."""
    data = bytearray((city.data / PART).read_bytes())
    data[len(data) // 2] ^= 1
    s3_server.request("PUT", f"/{BUCKET}/{city.prefix}/{PART}", bytes(data))

    process = city.run("verify", "--mirror")

    assert process.returncode == 1
    assert f"city 2024-06-05: {city.address}/{PART}: sha256 mismatch" in process.stdout
    assert "push city" in process.stdout


def test_verify_finds_days_that_the_mirror_lacks(
    city: City, s3_server: S3Server
) -> None:
    """A day without its certificate there is not in the mirror."""
    s3_server.request("DELETE", f"/{BUCKET}/{city.prefix}/{CERTIFICATE}")

    process = city.run("verify", "--mirror")

    assert process.returncode == 1
    assert "city 2024-06-05: is not in the mirror" in process.stdout


def test_a_query_of_the_mirror_needs_no_local_data(reader: City) -> None:
    """Rows, slots, runs and stations are those of the collecting machine."""
    sql = (
        "SELECT date, station_id, num_vehicles_available AS bikes, name"
        " FROM station_status JOIN stations USING (system_id, station_id)"
        " ORDER BY date, station_id"
    )
    here = reader.run("query", sql, "--format", "csv")
    shutil.rmtree(reader.data)

    there = reader.run("query", sql, "--mirror", "--format", "csv")

    assert (there.returncode, there.stdout) == (0, here.stdout)
    assert there.stdout.count("\n") == 4


def test_the_local_copy_is_downloaded_once(reader: City) -> None:
    """A second query only lists the objects."""
    sql = "SELECT count(*) AS n FROM coverage"
    reader.run("query", sql, "--mirror", "--format", "csv")
    reader.proxy.requests.clear()

    process = reader.run("query", sql, "--mirror", "--format", "csv")

    gets = [path for method, path in reader.proxy.requests if "list-type" not in path]
    assert process.stdout == "n\n3\n"
    assert [path for path in gets if "part.parquet" in path] == []


def test_a_local_copy_with_a_changed_byte_is_downloaded_again(reader: City) -> None:
    """Its size is unchanged; no other file is read again."""
    words = ("query", "FROM station_status ORDER BY ALL", "--mirror")
    intact = reader.run(*words).stdout
    copies = reader.data.parent.glob(f"cache/bikecollect/mirror/*/{PART}")
    for path in copies:
        content = path.read_bytes()
        path.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    reader.proxy.requests.clear()

    process = reader.run(*words)

    parts = [path for _, path in reader.proxy.requests if "part.parquet" in path]
    assert (process.returncode, process.stdout) == (0, intact)
    assert [path for path in parts if PART not in path] == []
    assert parts


def test_an_export_of_the_mirror_is_the_export_of_the_archive(
    city: City, s3_server: S3Server
) -> None:
    """The same bytes, without any local data, and amid the replacement of a day."""
    here, content = city.run("export"), (city.data / PART).read_bytes()
    aside = f"replaced/{PART}/{hashlib.sha256(content).hexdigest()}"
    for path, data in ((aside, content), (PART, b"the new rows")):
        s3_server.request("PUT", f"/{BUCKET}/{city.prefix}/{path}", data)
    shutil.rmtree(city.data)

    there = city.run("export", "--mirror")

    assert (there.returncode, there.stdout) == (0, here.stdout)
    assert here.stdout.startswith("slot,fetched_at,station_id")


def test_a_changed_object_is_not_shown(city: City, s3_server: S3Server) -> None:
    """A query of a damaged mirror is an error, not a figure."""
    data = bytearray((city.data / PART).read_bytes())
    data[len(data) // 2] ^= 1
    s3_server.request("PUT", f"/{BUCKET}/{city.prefix}/{PART}", bytes(data))

    process = city.run("query", "FROM station_status", "--mirror")

    assert process.returncode == 74
    assert f"{PART}: sha256 mismatch" in process.stderr
    assert process.stdout == ""


def test_an_empty_machine_is_filled_from_the_mirror(reader: City) -> None:
    """`backfill --from` the mirror restores every archived slot."""
    before = reader.run("export")
    shutil.rmtree(reader.data)

    process = reader.run("backfill", "city", "--from", reader.address)

    after = reader.run("export")
    assert process.returncode == 0
    assert columns(after.stdout) == columns(before.stdout)
    assert columns(after.stdout)


def columns(text: str) -> list[list[str]]:
    """Return slot, station and number of vehicles of each row of an export."""
    rows = [line.split(",") for line in text.splitlines()]
    return [[row[0], row[2], row[3]] for row in rows]


def test_damaged_and_foreign_objects_do_not_keep_other_days_from_being_filled(
    city: City, s3_server: S3Server
) -> None:
    """They are named, and all other days are restored."""
    place = f"/{BUCKET}/{city.prefix}"
    folder = CERTIFICATE.rpartition("/")[0]
    s3_server.request("PUT", f"{place}/{folder}/2024-06-01.json", b"{}")
    s3_server.request("PUT", f"{place}/{folder}/notes.json", b"{}")
    s3_server.request("PUT", f"{place}/{PART}", b"not the rows")
    shutil.rmtree(city.data)

    process = city.run("backfill", "city", "--from", city.address)

    assert process.returncode == 0
    assert "1 slot filled" in process.stdout
    assert "unreadable" in process.stdout
    assert f"{city.address}/{PART}: sha256 mismatch" in process.stderr
    assert "2024-06-01.json is invalid; run: " in process.stderr
    assert "verify --mirror" in process.stderr


def test_the_source_of_filled_slots_is_the_address(reader: City) -> None:
    """The ledger names the mirror, not the folder of its local copy."""
    shutil.rmtree(reader.data)
    reader.run("backfill", "city", "--from", reader.address)

    process = reader.run(
        "query",
        "SELECT DISTINCT source FROM slots WHERE source <> ''",
        "--format",
        "csv",
    )

    assert reader.address in process.stdout


def test_a_hostile_certificate_names_no_other_file(
    city: City, s3_server: S3Server
) -> None:
    """The mirror is untrusted: only files of the day itself are read."""
    values = json.loads((city.data / CERTIFICATE).read_text(encoding="utf-8"))
    values["date"] = "../../../etc"
    text = json.dumps(values).encode()
    s3_server.request("PUT", f"/{BUCKET}/{city.prefix}/{CERTIFICATE}", text)

    process = city.run("query", "FROM station_status", "--mirror")

    assert process.returncode == 74
    assert "2024-06-05.json is invalid" in process.stderr


def test_a_mirror_without_the_system_is_named(reader: City) -> None:
    """A wrong prefix is not an empty success."""
    process = reader.run("backfill", "city", "--from", f"s3://{BUCKET}/nowhere")

    assert process.returncode == 64
    assert "has no archived day of `city`" in process.stderr

    text = reader.config.read_text("utf-8")
    of_other = text[text.index("[systems.city]") : text.index("[archive]")]
    more = of_other.replace("city", "other", 1)
    reader.config.write_text(f"{text}\n{more}", encoding="utf-8")
    sql, message = "SELECT count(*) FROM slots", f"{reader.address} has no archived day"
    for words in (["export", "other"], ["query", sql, "--system", "other"]):
        alone = reader.run(*words, "--mirror")
        assert (alone.returncode, alone.stdout) == (64, "")
        assert f"{message} of `other`; to copy some: " in alone.stderr
    both = reader.run("query", sql, "--mirror")
    assert (both.returncode, f"{message} of `other`\n" in both.stderr) == (0, True)


def test_local_copies_are_private(reader: City) -> None:
    """Other users of the machine cannot read them."""
    reader.run("query", "FROM coverage", "--mirror")

    (folder,) = (reader.data.parent / "cache" / "bikecollect" / "mirror").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert hashlib.sha256((folder / CERTIFICATE).read_bytes()).hexdigest()


def test_two_readers_at_once_leave_each_other_their_files(reader: City) -> None:
    """A file that another command downloads stays; one that was left over does not."""
    reader.run("query", "FROM station_status", "--mirror")
    (folder,) = (reader.data.parent / "cache" / "bikecollect" / "mirror").iterdir()
    part = folder / PART
    fresh, old = (part.with_name(f"{part.name}.{pid}.new") for pid in (7, 8))
    fresh.touch()
    old.touch()
    os.utime(old, (time.time() - 9_000,) * 2)

    process = reader.run("query", "FROM station_status", "--mirror")

    assert process.returncode == 0
    assert (fresh.exists(), old.exists()) == (True, False)
