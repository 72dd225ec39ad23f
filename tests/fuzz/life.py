"""A collected system in a random life, and a plain model of what it must have."""

import json
import os
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import forking
import spoiled_command
from spoiled_command import IDS, KILLED

from bikecollect.storage.payload_store import slot_of

ODD: Sequence[tuple[Any, str]] = (
    *((None, ""), ("7", "7"), (7.0, "7"), (-3, ""), ("x", ""), (1e30, "")),
    *(([], ""), ({}, ""), (1 << 70, ""), ("", ""), (0, "0"), (False, "")),
)
"""Counts of vehicles in a payload, and the cells that they become."""
NAMES = ("num_bikes_available", "bikes", "free")
"""What the publisher calls the vehicles of a station, in turn."""
Rows = Mapping[str, str]
"""The vehicles of each station in a slot, as cells."""


class Given(NamedTuple):
    """An accepted payload: its *rows*, and the field that they were in.

    *is_sure* is set if it can be understood.
    """

    rows: Rows
    is_sure: bool
    name: str = "nothing"


@dataclass
class Publisher:
    """A GBFS feed; *renamed* is what it calls the vehicles of a station."""

    random: random.Random
    renamed: str = NAMES[0]
    status: bytes = b""
    given: Given = Given({}, False)
    code: int = 200

    def answer(self, kind: str, now: float) -> None:
        """Choose the answer to the next fetch."""
        self.code = self.random.choice((429, 503)) if kind == "down" else 200
        if kind == "down" or (kind == "stale" and self.status):
            pass
        elif kind == "garbage":
            self.status = self.random.choice(
                [b"", b"<html>", b"[]", b'{"data": {}}', self.status[:-9], b"\xff{}"]
            )
            self.given = Given({}, False)
        else:
            self._observe(kind, now)

    def _observe(self, kind: str, now: float) -> None:
        counts: dict[str, Any] = {i: self.random.randrange(40) for i in IDS}
        rows = {name.strip(): str(count) for name, count in counts.items()}
        if kind == "odd":
            name = self.random.choice(IDS)
            counts[name], rows[name.strip()] = self.random.choice(ODD)
        if kind == "short":
            for name in self.random.sample(IDS, self.random.randint(1, 5)):
                del counts[name], rows[name.strip()]
        stations = [
            {"station_id": i, self.renamed: n, "num_docks_available": 1}
            for i, n in counts.items()
        ]
        stamps = [now, now, now * 1000, now - 3 * 3_600, None, "soon", now + 7_200]
        stamp = self.random.choice(stamps) if kind == "odd" else now
        body: dict[str, Any] = {"last_updated": stamp, "data": {"stations": stations}}
        self.status = json.dumps(body).encode()
        self.given = Given(rows, True, self.renamed)


@dataclass
class Life:
    """A system in *root*: its settings, its clock, and what its slots must have.

    *given* has the payloads of each slot. Those that a failing disk let nobody keep,
    and that were committed from memory, are *loose*.
    """

    root: Path
    random: random.Random
    now: float
    zone: str
    interval: str = "1h"
    columns: Sequence[str] = ("occupancy",)
    fields: str = ""
    name: str = "city"
    csv_days: int = 7
    booted: float = 0.0
    given: dict[int, list[Given]] = field(default_factory=dict)
    loose: list[Given] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    is_damaged: bool = False
    backup: tuple[dict[int, list[Given]], str] | None = None

    def __post_init__(self) -> None:
        self.booted = self.booted or self.now - 9_000
        self.publisher = Publisher(self.random)
        for folder in ("home", "tmp", "data", "mirror"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self.write()

    @property
    def folder(self) -> Path:
        """The folder of the system."""
        return self.root / "data" / self.name

    @property
    def seconds(self) -> int:
        """The interval in seconds."""
        number, unit = self.interval[:-1], self.interval[-1]
        if unit == "n":
            number, unit = self.interval[:-3], "m"
        return int(number) * {"m": 60, "h": 3_600}[unit]

    @property
    def must(self) -> dict[int, list[Rows]]:
        """What each slot that must be there may have."""
        return {
            slot: [one.rows for one in given if one.rows]
            for slot, given in self.given.items()
            if any(one.is_sure for one in given)
        }

    def write(self) -> None:
        """Write the settings."""
        text = (
            f'data_dir = "data"\ninterval = "{self.interval}"\n'
            f"[keep]\npayload_days = 900\ncsv_days = {self.csv_days}\n"
            f'[archive]\nmirror = "file://{self.root}/mirror"\n'
            f'[systems.{self.name}]\nfeed = "gbfs"\nurl = "http://h/gbfs"\n'
            f'timezone = "{self.zone}"\ncolumns = {json.dumps(self.columns)}\n'
        )
        if self.fields:
            text += f'fields = {{num_vehicles_available = "{self.fields}"}}\n'
        (self.root / "b.toml").write_text(text, encoding="utf-8")

    def run(self, *command: object, codes: Sequence[int] = (0, 1)) -> str:
        """Run a command; return its output. It ends with one of *codes*."""
        code, text = spoiled_command.run(
            self.root,
            [*map(str, command)],
            **self._how,
            body=self.publisher.status,
            env=self._env,
        )
        shown = "\n".join(f"      {line[:200]}" for line in text.splitlines()[-16:])
        self.told.append(f"    $ {' '.join(map(str, command))} -> {code}\n{shown}")
        assert code in codes, f"{command} ends with {code}: {text[-2_000:]}"
        assert "Traceback" not in text, text
        return text

    @property
    def _how(self) -> dict[str, Any]:
        about = {"moment": self.now, "booted": self.booted}
        return about | {"status": self.publisher.code}

    @property
    def _env(self) -> dict[str, str]:
        return {
            "HOME": str(self.root / "home"),
            "XDG_STATE_HOME": str(self.root / "home/state"),
            "TMPDIR": str(self.root / "tmp"),
        }

    def begin(self, *command: str, at: int = 0, error: int = 0) -> "Begun":
        """Begin a command in a process, whose call *at* on our files goes wrong.

        It is killed there, or the call fails with *error*.
        """
        request = {**self._how, "root": str(self.root), "command": command}
        request |= {"at": at, "error": error}
        request["body"] = self.publisher.status.decode("latin-1")
        environment = {**os.environ, **self._env}
        fork = forking.server().fork(
            spoiled_command.__file__, [json.dumps(request)], environment
        )
        return Begun(self, f"{' '.join(command)}: {at}, {error}", fork)

    def payloads(self) -> Counter[str]:
        """Return the names of all payloads."""
        return Counter(p.name for p in self.folder.glob("payloads/**/*.zip"))

    def fetch(self, kind: str, at: int = 0, error: int = 0) -> None:
        """Fetch an answer of a *kind*; the call *at* goes wrong, if it is not 0."""
        self.publisher.answer(kind, self.now)
        before = self.payloads()
        if at:
            self.begin("fetch", at=at, error=error).end()
        else:
            text = self.run("fetch", "--format", "json", codes=(0, 65, 69, 75))
            (line,) = (line for line in text.splitlines() if line.startswith("{"))
            told = json.loads(line)
            is_known = self.publisher.given.name in {self.fields, NAMES[0]}
            if is_known and self.publisher.code == 200:
                is_late = told["cause"] == "clock"
                assert is_late or told["outcome"] in {"collected", "duplicate"}, line
        new = self.payloads() - before
        if at and not new:
            self.loose.append(self.publisher.given)
        for name in new:
            self.given.setdefault(int(slot_of(name)), []).append(self.publisher.given)


@dataclass
class Begun:
    """A command that was begun by a *life*."""

    life: Life
    shown: str
    fork: forking.Fork

    def end(self) -> int:
        """Return its exit code, which is not that of a bug."""
        code, *texts = self.fork.communicate()
        self.life.told.append(f"    ! {self.shown} -> {code}")
        assert code in {KILLED, 0, 1, 64, 65, 69, 74, 75, 78}, (self.shown, code, texts)
        return code
