"""A call with so many systems that it has two processes; one is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

from served import Answer, serving
from waiting import PATIENCE, is_running, wait_until

from bikecollect.core.errors import Outcome
from bikecollect.storage.ledger_reader import History

BODY = json.dumps(
    [
        {
            "sno": "500101001",
            "sna": "YouBike2.0_a",
            "act": "1",
            "lat": 25.0,
            "lng": 121.5,
            "Quantity": 10,
            "available_rent_bikes": 3,
            "available_return_bikes": 7,
            "infoTime": "2026-11-22 12:00:00",
        }
    ]
).encode()
EACH = 66
"""Systems of each of the two hosts."""


def fetch(config: Path) -> "subprocess.Popen[str]":
    """Start `fetch`."""
    command = [sys.executable, "-m", "bikecollect", "--config", str(config)]
    return subprocess.Popen(
        [*command, "fetch", "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcomes(text: str) -> dict[str, str]:
    """Return the outcome of each system by its name."""
    runs = [json.loads(line) for line in text.splitlines()]
    return {run["system"]: run["outcome"] for run in runs}


class Half:
    """A feed for two hosts; half of the first host's systems wait for `go`."""

    def __init__(self) -> None:
        self.seen, self.go = Counter[str](), threading.Event()

    def answer(self, path: str) -> Answer:
        """Answer /HOST/NUMBER."""
        host = path.split("/")[1]
        self.seen[host] += 1
        if host == "first" and self.seen[host] > EACH // 2:
            self.go.wait(120)
        return Answer(BODY)

    def wait(self) -> None:
        """Return once half of the first host's systems were answered."""
        wait_until(lambda: self.seen["first"] > EACH // 2, "half of the requests")


def settings(folder: Path, url: str) -> Path:
    """Write settings with EACH systems of two hosts, and return their path."""
    port = url.rpartition(":")[2]
    hosts = {"first": "127.0.0.1", "second": "localhost"}
    tables = [
        f'[systems.{host}{n}]\nfeed = "youbike"\ntimezone = "Asia/Taipei"\n'
        f'url = "http://{address}:{port}/{host}/{n}"\n'
        for host, address in hosts.items()
        for n in range(EACH)
    ]
    config = folder / "bikecollect.toml"
    config.write_text(f'data_dir = "data"\n{"".join(tables)}[collect]\nworkers = 2\n')
    config.chmod(0o600)
    return config


def workers(process: "subprocess.Popen[str]") -> list[int]:
    """Return the processes that *process* has started, oldest first."""
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            _state, parent, *_ = stat.read_text("utf-8").rpartition(")")[2].split()
            if int(parent) == process.pid:
                children.append(int(stat.parent.name))
    return sorted(children)


def must_be_complete(config: Path) -> None:
    """Fetch again: each system has its slots once, and nothing fails."""
    with fetch(config) as process:
        text, errors = process.communicate(timeout=PATIENCE)
    ended = outcomes(text)
    assert (process.returncode, len(ended)) == (0, 2 * EACH), errors
    assert set(ended.values()) <= {"collected", "duplicate"}
    for name in ended:
        history = History(name, config.parent / "data" / name)
        slots = [slot for (slot,) in history.select("SELECT slot FROM blocks")]
        assert len(slots) == len(set(slots)) >= 1


def test_a_killed_process_leaves_its_systems_to_the_next_call(tmp_path: Path) -> None:
    """The other process' systems are collected, and nothing is lost or doubled."""
    half = Half()
    with serving(half.answer) as url:
        config = settings(tmp_path, url)
        with fetch(config) as process:
            half.wait()
            first, _second = workers(process)
            os.kill(first, signal.SIGKILL)
            text, errors = process.communicate(timeout=PATIENCE)
        half.go.set()
        assert process.returncode == 70
        ended = outcomes(text)
        killed = [name for name, outcome in ended.items() if outcome == "killed"]
        assert set(ended.values()) == {"killed", "collected"}
        assert all(name.startswith("first") for name in killed)
        assert len(ended) == 2 * EACH
        assert EACH // 3 < len(killed) <= EACH // 2 + 8
        assert "first65: killed (killed): its worker process was killed" in errors
        must_be_complete(config)
    # Those that had begun; a few may have ended just before they could say so.
    recorded = [History(name, tmp_path / "data" / name).runs() for name in killed]
    assert any(r.outcome is Outcome.KILLED for runs in recorded for r in runs)


def test_a_call_that_is_killed_leaves_processes_that_finish(tmp_path: Path) -> None:
    """They end by themselves, and the next call reports their runs."""
    half = Half()
    with serving(half.answer) as url:
        config = settings(tmp_path, url)
        with fetch(config) as process:
            half.wait()
            left = workers(process)
            process.kill()
            process.wait()
            half.go.set()
        wait_until(lambda: not any(map(is_running, left)), "the processes' end")
        notes = list(tmp_path.glob("data/*/payloads/inbox/*"))
        assert len(notes) == 2 * EACH
        must_be_complete(config)
    assert list(tmp_path.glob("data/*/payloads/inbox/*")) == []
