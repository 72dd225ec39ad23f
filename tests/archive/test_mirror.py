"""The archive has a copy in an object store: complete, verified, never deleted from."""

import hashlib
import json
import re
import time
from pathlib import Path

import pytest
from in_process import bikecollect
from json_shapes import documented
from keeping import archived_past_days, two_past_days
from mirrored import (
    CERTIFICATE,
    PART,
    City,
    local_files,
    mirrored,
    mirrored_city,
    renewed,
)
from s3server import BUCKET, SECRET, Fault, Proxy, S3Server, environment
from world import World

from bikecollect.archive.mirror.address import MirrorAddress
from bikecollect.archive.mirror.push import CONFLICT, MirrorPush
from bikecollect.archive.mirror.store import object_store
from bikecollect.cli.render.programs import archive_json
from bikecollect.core.errors import (
    MirrorDenied,
    MirrorError,
    MirrorUnavailable,
    SettingsError,
)

pytest.importorskip("duckdb")
pytest.importorskip("obstore")
pytest.importorskip("moto")


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world with a slot on each of two days long past."""
    return two_past_days(folder)


@pytest.fixture
def city(world: World, config: Path, s3_proxy: Proxy, tmp_path: Path) -> City:
    """Return the world with a mirror whose prefix no other test uses."""
    return mirrored_city(world.folder, config, s3_proxy, tmp_path)


@pytest.fixture
def archived(folder: Path, config: Path, s3_proxy: Proxy, tmp_path: Path) -> City:
    """Return the world with its days archived, and with such a mirror, still empty."""
    world = renewed(archived_past_days, folder)
    return mirrored_city(world.folder, config, s3_proxy, tmp_path)


@pytest.fixture
def pushed(archived: City) -> City:
    """Return the world with its days archived, in such a mirror."""
    return archived.pushed()


def test_compact_copies_the_archive(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file of every closed day is in the mirror, under the same path."""
    process = city.run("compact")

    assert (process.returncode, process.stderr) == (0, "")
    assert "city 2024-06-05: copied to the mirror, " in process.stdout
    assert mirrored(city, monkeypatch) == local_files(city)
    assert len(local_files(city)) == 13


def test_a_second_push_sends_nothing(pushed: City) -> None:
    """Files in the mirror are not sent again."""
    pushed.proxy.requests.clear()

    process = pushed.run("push")

    assert process.stdout == "Nothing to do: the mirror has every archived day.\n"
    assert pushed.proxy.puts() == []


def test_without_its_record_a_push_compares_and_sends_nothing(pushed: City) -> None:
    """After the loss of a record, files are downloaded but not uploaded again."""
    (record,) = (pushed.data / "archive" / ".mirror").rglob("*.json")
    record.unlink()
    pushed.proxy.requests.clear()

    process = pushed.run("push")

    assert (process.returncode, pushed.proxy.puts()) == (0, [])


def test_a_changed_object_is_replaced_and_kept(
    pushed: City, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mirror is repaired from here; the changed object is in `replaced/`."""
    s3_server.request("PUT", f"/{BUCKET}/{pushed.prefix}/{PART}", b"not Parquet")

    process = pushed.run("push", "--format", "json")

    kept = f"replaced/{PART}/{hashlib.sha256(b'not Parquet').hexdigest()}"
    objects = mirrored(pushed, monkeypatch)
    assert process.returncode == 0
    assert len(documented(process.stdout, archive_json.MIRROR_KEYS)) == 1
    assert objects.pop(kept) == hashlib.sha256(b"not Parquet").hexdigest()
    assert objects == local_files(pushed)


def test_a_deleted_object_is_sent_again(
    pushed: City, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of objects decides, not the record."""
    s3_server.request("DELETE", f"/{BUCKET}/{pushed.prefix}/{CERTIFICATE}")

    process = pushed.run("push")

    assert process.returncode == 0
    assert mirrored(pushed, monkeypatch) == local_files(pushed)


def test_a_damaged_certificate_in_the_mirror_is_replaced_and_kept(
    pushed: City, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of it was stored before a power cut there: the day is copied again."""
    half = b'{"date": '
    s3_server.request("PUT", f"/{BUCKET}/{pushed.prefix}/{CERTIFICATE}", half)
    found = pushed.run("verify", "--mirror")

    process = pushed.run("push")

    kept = f"replaced/{CERTIFICATE}/{hashlib.sha256(half).hexdigest()}"
    objects = mirrored(pushed, monkeypatch)
    assert (
        f"the certificate {pushed.address}/{CERTIFICATE} is invalid\n" in found.stdout
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert objects.pop(kept)
    assert objects == local_files(pushed)


@pytest.mark.parametrize(("later", "code"), [(60, 74), (-60, 0)])
def test_another_host_that_copies_the_same_rows_there_is_found(
    pushed: City, s3_server: S3Server, later: int, code: int
) -> None:
    """Its files would replace ours each night, and ours its: the newer ones stay."""
    values = json.loads((pushed.data / CERTIFICATE).read_text("utf-8"))
    theirs = json.dumps({**values, "made": values["made"] + later}).encode()
    s3_server.request("PUT", f"/{BUCKET}/{pushed.prefix}/{CERTIFICATE}", theirs)

    process = pushed.run("push")

    assert process.returncode == code
    assert ("give each its own prefix" in process.stderr) is (later > 0)


def test_a_damaged_certificate_here_does_not_keep_other_days_from_the_mirror(
    archived: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day is named, and the others are copied."""
    (archived.data / CERTIFICATE).write_bytes(b'{"rows": Infinity}')

    process = archived.run("push")
    found = archived.run("verify", "--mirror")

    later = CERTIFICATE.replace("06-05", "06-06")
    certificates = [
        path for path in mirrored(archived, monkeypatch) if "certif" in path
    ]
    assert process.returncode == 74
    assert "city 2024-06-05: not copied to the mirror: the cert" in process.stderr
    assert certificates == [later]
    assert f"city 2024-06-05: the certificate {CERTIFICATE} is invalid" in found.stdout
    assert "city 2024-06-05: is not in the mirror" in found.stdout


def test_a_day_with_fewer_slots_does_not_replace_a_fuller_one(
    pushed: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that starts again with half a day does not replace the complete one."""
    store = pushed.store(monkeypatch)
    values = json.loads(store.read(CERTIFICATE) or b"")
    values |= {"slots": 288, "sha256": "0" * 64}
    text = json.dumps(values).encode()
    store.write(CERTIFICATE, text, hashlib.sha256(text).hexdigest())

    process = pushed.run("push")

    assert process.returncode == 74
    assert (
        "city 2024-06-05: not copied to the mirror: the mirror has 288 slots of that "
        "day, this machine only 1" in process.stderr
    )
    assert store.read(CERTIFICATE) == text

    monkeypatch.setattr(object_store.ObjectStore, "list", lambda *_: iter(()))
    step, *_ = MirrorPush(store, pushed.data, "city", time.time).run()

    assert step.what == CONFLICT  # also if the list lags behind
    assert store.read(CERTIFICATE) == text


def test_a_damaged_file_is_not_copied(
    pushed: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is skipped; the other day is copied."""
    path = pushed.data / PART.replace("2024-06-05", "2024-06-06")
    store = pushed.store(monkeypatch)
    before = store.digest(PART.replace("2024-06-05", "2024-06-06"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    (record,) = (pushed.data / "archive" / ".mirror").rglob("*.json")
    record.unlink()
    certificate = pushed.data / CERTIFICATE.replace("06-05", "06-06")
    certificate.write_text(
        certificate.read_text().replace(before, "0" * 64), encoding="utf-8"
    )

    process = pushed.run("push")

    assert process.returncode == 74
    assert "sha256 mismatch; run: " in process.stderr
    assert store.digest(PART.replace("2024-06-05", "2024-06-06")) == before


def test_a_byte_changed_in_transit_is_noticed_and_sent_again(
    archived: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each object is read back: the copy is right in the end."""
    flips = iter([Fault(flip=True)])
    archived.proxy.fault = lambda method, path: (
        next(flips, None) if method == "PUT" and PART in path else None
    )

    process = archived.run("compact")

    assert process.returncode == 0
    assert mirrored(archived, monkeypatch) == local_files(archived)


def test_a_byte_that_changes_every_time_is_an_error(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day is incomplete there and has no certificate; the other day is complete."""
    city.proxy.fault = lambda method, path: (
        Fault(flip=True) if method == "PUT" and PART in path else None
    )

    process = city.run("compact")

    assert process.returncode == 74
    assert f"{PART}: sha256 mismatch after the upload" in process.stderr
    objects = mirrored(city, monkeypatch)
    assert CERTIFICATE not in objects
    assert CERTIFICATE.replace("06-05", "06-06") in objects


def test_server_errors_and_broken_bodies_are_tried_again(
    archived: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two 503 and a connection that breaks in a body only delay the copy."""
    faults = iter([Fault(status=503), Fault(cut=True), Fault(status=503)])
    archived.proxy.fault = lambda method, path: (
        next(faults, None) if method == "PUT" else None
    )

    process = archived.run("compact")

    assert (process.returncode, process.stderr) == (0, "")
    assert mirrored(archived, monkeypatch) == local_files(archived)


LARGE = bytes(range(256)) * 50_000
"""Content of an object of three pieces."""


def test_no_request_is_for_more_than_a_piece(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a minute: a slow line needs longer for a large file as a whole."""
    store = city.store(monkeypatch)
    city.proxy.requests.clear()

    store.write("large", LARGE, hashlib.sha256(LARGE).hexdigest())

    puts = [path for method, path in city.proxy.requests if method == "PUT"]
    gets = [path for method, path in city.proxy.requests if method == "GET"]
    assert ["partNumber" in path for path in puts] == [True, True, True]
    assert len(gets) == 4


def test_an_object_that_is_replaced_meanwhile_is_read_again(
    city: City, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read as a whole, not half of each."""
    store, newer = city.store(monkeypatch), LARGE[::-1]
    store.write("large", LARGE, hashlib.sha256(LARGE).hexdigest())
    count = iter(range(99))

    def replace(method: str, path: str) -> None:
        if method == "GET" and next(count) == 2:
            s3_server.request("PUT", f"/{BUCKET}/{city.prefix}/large", newer)

    city.proxy.fault = replace
    city.proxy.requests.clear()

    sha256 = store.digest("large")

    assert sha256 == hashlib.sha256(newer).hexdigest()


@pytest.mark.parametrize(
    ("mirror", "why"),
    [
        ("s3://key:secret@bikes/x", "must not contain credentials"),
        ("https://bikes.s3.amazonaws.com/x", "unknown kind of address"),
        ("s3:///x", "the name of the bucket is missing"),
        ("s3://bikes/../x", "invalid path"),
        ("s3://bikes/x?key=1", "must not contain credentials"),
        ("az://account", "the container is missing"),
        ("file://server/x", "use file:///FOLDER"),
        ("/srv/bikes", "unknown kind of address"),
    ],
)
def test_a_wrong_address_is_refused(mirror: str, why: str) -> None:
    """The error has the reason: it cannot work, or contains a secret."""
    with pytest.raises(SettingsError, match=why):
        MirrorAddress.parse(mirror)


def test_a_folder_can_be_the_mirror(world: World, config: Path, tmp_path: Path) -> None:
    """A disk of another machine, mounted here, is a mirror like any other."""
    with config.open("a", encoding="utf-8") as out:
        out.write(f'[archive]\nmirror = "file://{tmp_path}/nas/bikes"\n')

    process = bikecollect("--config", config, "compact")

    copy, original = (
        base / PART for base in (tmp_path / "nas/bikes", world.folder.parent)
    )
    assert process.returncode == 0
    assert copy.read_bytes() == original.read_bytes()


def test_push_without_a_mirror_says_what_to_set(world: World, config: Path) -> None:
    """The error names the setting."""
    process = bikecollect("--config", config, "push")

    assert process.returncode == 64
    assert 'add mirror = "s3://bucket/prefix" to [archive]' in process.stderr


def test_missing_credentials_are_named(archived: City) -> None:
    """Neither environment nor files have any: exit code 77, and what to do."""
    nowhere = f"{archived.proxy.url}/no-metadata"
    process = archived.run(
        "compact",
        AWS_ACCESS_KEY_ID="",
        AWS_SECRET_ACCESS_KEY="",
        AWS_METADATA_ENDPOINT=nowhere,
    )

    assert process.returncode == 77
    assert "set AWS_ACCESS_KEY_ID" in process.stderr


def test_rejected_credentials_are_reported_without_the_secret(archived: City) -> None:
    """Exit code 77; neither the key nor its id is printed."""
    archived.proxy.fault = lambda method, path: Fault(status=403)

    process = archived.run("-vv", "compact")

    assert process.returncode == 77
    assert "credentials rejected: HTTP 403" in process.stderr
    assert SECRET not in process.stdout + process.stderr
    assert "testing-key-id" not in process.stdout + process.stderr


def test_a_system_that_was_not_tried_quotes_no_file_of_another(archived: City) -> None:
    """After an error of the whole mirror, `status` names the reason only."""
    settings = archived.config.read_text(encoding="utf-8")
    table = re.findall(r"\[systems[.]city\][^\[]+", settings)[0].replace("city", "town")
    archived.config.write_text(f"{settings}\n{table}", encoding="utf-8")
    (archived.data / "town").mkdir()
    (archived.data / "town/.bikecollect").touch()
    archived.proxy.fault = lambda method, path: Fault(status=403)

    archived.run("push")
    process = archived.run("status", "town")

    text = " ".join(process.stdout.split())
    assert "not tried, because city could not be copied: credentials rejected" in text
    assert "station_status" not in text
    assert "system_id=city" not in text


def test_the_files_of_the_aws_tools_are_read(
    archived: City, tmp_path: Path, s3_proxy: Proxy
) -> None:
    """Keys and the address may be in ~/.aws, as for other programs."""
    credentials, settings = tmp_path / "credentials", tmp_path / "aws-config"
    credentials.write_text(
        f"[bikes]\naws_access_key_id = testing\naws_secret_access_key = {SECRET}\n",
        encoding="utf-8",
    )
    settings.write_text(
        f"[profile bikes]\nregion = eu-west-1\nendpoint_url = {s3_proxy.url}\n",
        encoding="utf-8",
    )
    process = archived.run(
        "compact",
        AWS_ENDPOINT_URL="",
        AWS_ACCESS_KEY_ID="",
        AWS_SECRET_ACCESS_KEY="",
        AWS_REGION="",
        AWS_PROFILE="bikes",
        AWS_SHARED_CREDENTIALS_FILE=str(credentials),
        AWS_CONFIG_FILE=str(settings),
    )

    assert (process.returncode, process.stderr) == (0, "")
    assert CERTIFICATE in s3_proxy.puts()[-8:] or s3_proxy.puts()


def test_a_bucket_that_does_not_exist_is_named(archived: City) -> None:
    """The message names it, and does not quote the server."""
    text = archived.config.read_text(encoding="utf-8")
    archived.config.write_text(text.replace(BUCKET + "/", "no-such/"), encoding="utf-8")

    process = archived.run("compact")

    assert process.returncode == 69
    assert process.stderr.count("the bucket `no-such` does not exist") == 1
    assert "<Error>" not in process.stderr


@pytest.mark.parametrize(
    ("status", "code", "kind", "why"),
    [
        (403, "RequestTimeTooSkewed", MirrorDenied, "machine's clock is wrong: HTTP"),
        (400, "ExpiredToken", MirrorDenied, "credentials rejected: HTTP 400"),
        (403, "QuotaExceeded", MirrorUnavailable, "the store is full: HTTP 403"),
        (404, "NoSuchBucket", MirrorUnavailable, "the bucket `bikes` does not exist"),
        (429, "TooManyRequests", MirrorUnavailable, "HTTP 429"),
        (301, "PermanentRedirect", MirrorUnavailable, "region; set AWS_REGION"),
        (0, "", MirrorUnavailable, "the connection failed: Connection refused"),
    ],
)
def test_an_error_of_the_whole_store_says_what_to_do(
    *,
    status: int,
    code: str,
    kind: type[MirrorError],
    why: str,
    s3_proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has the class of errors after which no other day or system is tried."""
    monkeypatch.setattr(object_store, "RETRIES", 0)
    s3_proxy.fault = lambda method, path: Fault(status=status, code=code)
    url = s3_proxy.url if status else "http://127.0.0.1:1"
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)
    store = object_store.ObjectStore(MirrorAddress.parse(f"s3://{BUCKET}/any"))

    with pytest.raises(kind, match=why):
        next(store.list("any"))
