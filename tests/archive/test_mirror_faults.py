"""Copying to the mirror survives kills and server failures, and reports them."""

import json
import os
import signal
import threading
from pathlib import Path

import forking
import lasting_requests
import pytest
from command import begun
from keeping import archived_past_days, two_past_days
from mirrored import City, local_files, mirrored, mirrored_city, renewed
from s3server import SECRET, Fault, Proxy, S3Server, environment, faulty
from waiting import wait_until
from world import World

pytest.importorskip("duckdb")
pytest.importorskip("obstore")
pytest.importorskip("moto")


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world with a slot on each of two days long past."""
    return two_past_days(folder)


@pytest.fixture
def archived(folder: Path, config: Path, s3_proxy: Proxy, tmp_path: Path) -> City:
    """Return the world with its days archived, and with an empty mirror."""
    world = renewed(archived_past_days, folder)
    return mirrored_city(world.folder, config, s3_proxy, tmp_path)


@pytest.fixture
def pushed(archived: City) -> City:
    """Return the world with its days archived, in a mirror."""
    return archived.pushed()


@pytest.mark.parametrize(
    ("command", "signum"),
    [
        ("push", signal.SIGTERM),
        ("compact", signal.SIGINT),
        ("verify --mirror", signal.SIGINT),
    ],
)
def test_a_signal_ends_the_wait_for_a_silent_store(
    pushed: City, command: str, signum: signal.Signals
) -> None:
    """Its requests, of which four are sent at a time, last for an hour here."""
    method = "GET" if command == "verify --mirror" else "PUT"
    if method == "PUT":
        without_mirror(pushed)
    reached, released = threading.Event(), threading.Event()

    def fault(sent: str, path: str) -> Fault | None:
        if sent != method or not path.endswith(".parquet"):
            return None
        reached.set()
        return Fault(hold=released)

    pushed.proxy.fault = fault
    words = ["--config", str(pushed.config), *command.split()]
    env = {**os.environ, **environment(pushed.proxy.url)}
    process = forking.server().fork(lasting_requests.__file__, words, env)
    try:
        wait_until(reached.is_set, "a file is sent or requested")
        os.kill(process.pid, signum)
        ended, _, _ = process.communicate()
    finally:
        released.set()

    assert ended == {signal.SIGINT: 130, signal.SIGTERM: 143}[signum]


def killed_at(city: City, number: int) -> None:
    """Kill `push` during upload *number*."""
    reached, released = threading.Event(), threading.Event()
    uploads: list[str] = []

    def fault(method: str, path: str) -> Fault | None:
        if method != "PUT":
            return None
        uploads.append(path)
        if len(uploads) < number:
            return None
        reached.set()
        return Fault(hold=released)

    city.proxy.fault = fault
    process = begun("--config", city.config, "push", **environment(city.proxy.url))
    try:
        wait_until(reached.is_set, "push begins an upload")
    finally:
        code = process.kill()
        released.set()
        city.proxy.fault = lambda _method, _path: None
    assert code == -signal.SIGKILL


@pytest.mark.parametrize("number", [1, 6, 9])
def test_a_killed_push_is_continued(
    pushed: City, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL in the first file, in a certificate, in the second day."""
    without_mirror(pushed)
    killed_at(pushed, number)
    pushed.proxy.requests.clear()

    process = pushed.run("push")

    assert (process.returncode, process.stderr) == (0, "")
    assert mirrored(pushed, monkeypatch) == local_files(pushed)
    sent = pushed.proxy.puts()
    assert len(sent) == len(set(sent))


def without_mirror(city: City) -> None:
    """Give *city* a mirror with another, empty prefix."""
    text = city.config.read_text(encoding="utf-8")
    city.address += "-anew"
    city.prefix += "-anew"
    new = text.replace('/history"', '/history-anew"')
    city.config.write_text(new, encoding="utf-8")


def test_a_finished_day_is_not_sent_again_after_a_kill(pushed: City) -> None:
    """The kill is in the second day: the first has its certificate."""
    without_mirror(pushed)
    killed_at(pushed, 9)
    pushed.proxy.requests.clear()

    pushed.run("push")

    assert [path for path in pushed.proxy.puts() if "2024-06-05" in path] == []


def test_a_mirror_that_lost_its_data_is_filled_again(
    world: World, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed and restarts empty: the next push sends everything."""
    s3_server = S3Server()
    s3_server.start()
    with faulty(s3_server) as s3_proxy:
        city = mirrored_city(world.folder, config, s3_proxy, tmp_path)

        def stop(method: str, path: str) -> Fault | None:
            if method == "PUT" and "2024-06-06" in path:
                s3_server.stop()
            return None

        s3_proxy.fault = stop
        failed = city.run("compact")
        s3_proxy.fault = lambda _method, _path: None
        s3_server.start()
        process = city.run("push")
        objects = mirrored(city, monkeypatch)
    s3_server.stop()

    assert failed.returncode == 69
    assert "cannot " in failed.stderr
    assert "2024-06-06 archived" not in failed.stderr
    assert (process.returncode, process.stderr) == (0, "")
    assert objects == local_files(city)


def test_a_failure_and_its_end_are_reported_once(archived: City) -> None:
    """The command of [tell] is called at the start of the incident and at its end."""
    told = archived.data.parent / "told"
    script = archived.data.parent / "tell.sh"
    script.write_text(f"#!/bin/sh\ncat >> {told}\n", encoding="utf-8")
    script.chmod(0o755)
    with archived.config.open("a", encoding="utf-8") as out:
        out.write(f'[tell]\ncommand = ["{script}"]\n')
    archived.proxy.fault = lambda _method, _path: Fault(status=403)
    archived.run("compact")
    archived.run("push")
    while_broken = told.read_text(encoding="utf-8")
    archived.proxy.fault = lambda _method, _path: None

    archived.run("push")

    text = told.read_text(encoding="utf-8").removeprefix(while_broken)
    assert while_broken.count("mirror behind since") == 1
    assert "credentials rejected: HTTP 403" in while_broken
    assert "resolved: mirror behind" in text
    assert SECRET not in while_broken + text


def test_no_secret_is_in_any_file(archived: City) -> None:
    """Logs, ledgers and records have neither the key nor its id."""
    archived.proxy.fault = lambda _method, path: (
        Fault(status=400) if "06-06" in path else None
    )
    archived.run("-vv", "compact")

    files = [path for path in archived.data.parent.rglob("*") if path.is_file()]
    texts = b"".join(path.read_bytes() for path in files)
    assert SECRET.encode() not in texts
    assert b"testing-key-id" not in texts


def test_two_concurrent_pushes_are_safe(
    pushed: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both may send a file; the result is right."""
    without_mirror(pushed)
    env = environment(pushed.proxy.url)

    processes = [begun("--config", pushed.config, "push", **env) for _ in range(2)]
    ends = [process.communicate() for process in processes]

    assert [(code, stderr) for code, _, stderr in ends] == [(0, ""), (0, "")]
    objects = mirrored(pushed, monkeypatch)
    assert {path: s for path, s in objects.items() if "replaced/" not in path} == (
        local_files(pushed)
    )


def test_the_record_has_the_state_of_the_mirror(archived: City) -> None:
    """For `status`: the last day of the unbroken copy, and the waiting days."""
    archived.proxy.fault = lambda method, path: (
        Fault(flip=True) if method == "PUT" and "2024-06-06/part" in path else None
    )

    archived.run("compact")

    (record,) = (archived.data / "archive" / ".mirror").rglob("*.json")
    values = json.loads(record.read_text(encoding="utf-8"))
    assert (values["last_day"], values["waiting"]) == ("2024-06-05", 1)
