"""Hostile answers: each loses at most its own slot, in real processes."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import bikecollect
from served import Answer, serving

ALIKE = 2**61 - 1
"""Numbers that differ by it have one hash in CPython."""
MIB = 1024 * 1024
GOOD = json.dumps(
    [{"sno": str(n), "sbi": 1, "bemp": 2, "tot": 20} for n in range(99)]
).encode()


class Feed:
    """A YouBike feed that gives what a test puts into *body*."""

    body = GOOD

    def __init__(self, folder: Path, url: str, dialect: str) -> None:
        self.place = folder / "data/city"
        self._settings = folder / "bikecollect.toml"
        self._settings.write_text(
            f'data_dir = "{folder / "data"}"\n[systems.city]\nfeed = "{dialect}"\n'
            f'url = "{url}"\ntimezone = "Asia/Taipei"\n',
            encoding="utf-8",
        )

    def fetch(
        self, body: bytes, *limits: tuple[int, int]
    ) -> subprocess.CompletedProcess[str]:
        """Fetch *body* in a separate process, within *limits* (of setrlimit)."""
        self.body = body
        state = str(self._settings.with_name("state"))
        if not limits:
            words = ("--config", self._settings, "fetch")
            return bikecollect(*words, XDG_STATE_HOME=state)

        def bound() -> None:
            for kind, most in limits:
                resource.setrlimit(kind, (most, most))

        command = [sys.executable, "-m", "bikecollect", "--config"]
        return subprocess.run(
            [*command, str(self._settings), "fetch"],
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=bound,
            env={**os.environ, "XDG_STATE_HOME": state},
        )

    def rejected(self) -> list[str]:
        """Return why payloads were rejected."""
        paths = sorted((self.place / "payloads/rejected").glob("*.reason.txt"))
        return [path.read_text(encoding="utf-8").strip() for path in paths]

    def written(self) -> int:
        """Return the bytes of the ledger and the log."""
        return sum(
            path.stat().st_size
            for name in ("ledger*", "*.log")
            for path in self.place.glob(name)
        )

    def rows(self) -> int:
        """Return how many rows there are in all."""
        files = (self.place / "station_status").glob("*.csv")
        return sum(len(path.read_bytes().splitlines()) - 1 for path in files)


@contextmanager
def feed(folder: Path, dialect: str = "youbike") -> Iterator[Feed]:
    """Serve a feed of *dialect*, with settings for it in *folder*."""
    feeds: list[Feed] = []
    with serving(lambda _: Answer(feeds[0].body)) as url:
        feeds.append(Feed(folder, url, dialect))
        yield feeds[0]


def test_stamps_that_hash_alike_are_read(tmp_path: Path) -> None:
    """60,000 of them made a dictionary quadratic, and the run was killed."""
    stations = [
        {"sno": str(n), "sbi": 1, "bemp": 1, "mday": 7 + n * ALIKE}
        for n in range(60_000)
    ]
    with feed(tmp_path) as youbike:
        process = youbike.fetch(
            json.dumps(stations).encode(), (resource.RLIMIT_CPU, 30)
        )

        told = [line.partition(" at ")[0] for line in process.stderr.splitlines()]
        prefix = "bikecollect: city: drift: last_reported"
        assert told == [f"{prefix} cannot be read", f"{prefix} is in the future"]
        assert process.returncode == 0
        assert youbike.rows() == 60_000


def test_too_many_stations_for_the_memory_are_a_rejected_payload(
    tmp_path: Path,
) -> None:
    """450,000 within 512 MiB: no run is killed, and the next one succeeds."""
    stations = [{"sno": str(n), "sbi": 1, "bemp": 1} for n in range(450_000)]
    body = json.dumps(stations).encode()
    with feed(tmp_path) as youbike:
        bad = youbike.fetch(body, (resource.RLIMIT_AS, 512 * MIB))
        good = youbike.fetch(GOOD, (resource.RLIMIT_AS, 512 * MIB))

        assert (bad.returncode, good.returncode) == (65, 0)
        assert youbike.rejected() == [
            "the feed has 450000 stations, more than 100000\n"
            "(of such payloads the newest 32 MiB are kept)",
        ]


def test_a_small_answer_does_not_become_gigabytes(tmp_path: Path) -> None:
    """32 MB of empty objects, of lists in lists, and of JSON in a text of JSON."""
    objects = b"[" + b"{}," * (10 * MIB) + b"{}]"
    lists = b"[" + b",".join([b"[" * 50 + b"]" * 50] * 300_000) + b"]"
    text = json.dumps(objects.decode()).encode()
    memory = (resource.RLIMIT_AS, 400 * MIB)
    with feed(tmp_path) as youbike:
        ended = [
            youbike.fetch(answer, memory).returncode for answer in (objects, lists)
        ]
        ended.append(youbike.fetch(text, memory).returncode)

        assert ended == [65, 65, 65]
        reasons = youbike.rejected()
        assert all("the response is too large" in reason for reason in reasons)


def test_one_station_of_endless_fields_is_a_rejected_payload(tmp_path: Path) -> None:
    """The fields are neither stored nor reported one by one."""
    fields = ",".join(f'"f{n}":1' for n in range(300_000))
    with feed(tmp_path) as youbike:
        process = youbike.fetch(f'[{{"sno":"1",{fields}}}]'.encode())

        assert process.returncode == 65
        assert len(process.stderr) < 1_000
        assert (youbike.place / "ledger.sqlite3").stat().st_size < 200_000


LONG = "x" * (10 * MIB)


@pytest.mark.parametrize(
    "gbfs",
    [
        {"data": {"en": {"feeds": [{"name": LONG, "url": "http://x.example"}]}}},
        {"data": {"feeds": [{"name": "station_status", "url": f"http://{LONG}"}]}},
        {"data": {"feeds": [{"name": "station_status", "url": f"/{LONG}"}]}},
        {"data": {LONG: 1}},
        {LONG: {LONG: 1}},
    ],
    ids=["a feed's name", "a host", "a path", "a language", "the top"],
)
def test_a_long_name_is_cut_in_ledger_and_log(tmp_path: Path, gbfs: object) -> None:
    """10 MB of it became 120 MB of ledger and 60 MB of log, in each slot."""
    with feed(tmp_path, "gbfs") as city:
        process = city.fetch(json.dumps(gbfs).encode())

        assert process.returncode != 0
        assert 0 < len(process.stderr) < 3_000
        assert city.written() < 150_000
