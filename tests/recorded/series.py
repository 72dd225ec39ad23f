"""Recorded series of whole cities, played over loopback HTTP with outages cut in."""

import gc
import json
import resource
import sys
import tarfile
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from served import Answer, serving
from trouble_day import die

from bikecollect.core import process
from bikecollect.core.slots import Slot
from bikecollect.reports import evidence
from bikecollect.setup.loader import parse
from bikecollect.setup.settings import Settings
from bikecollect.simulator.demo import Time
from bikecollect.storage.lock import Lock
from bikecollect.wiring.collection import collect

DATA = Path(__file__).parents[2].parent / "shared" / "data"
SERIES = DATA / "g_timeseries"
KINDS = {
    **dict.fromkeys(("latitude", "longitude"), float),
    **dict.fromkeys(
        ("Quantity", "available_rent_bikes", "available_return_bikes"), int
    ),
}
"""Fields of the feed that are not texts."""
API = 18
"""Columns of the recorded CSV that are the feed's own keys."""
Documents = Mapping[str, bytes]
"""The bodies of one moment, by the path they are served at."""
OUTAGES = {
    "host-off": (20, 29, "host-off"),
    "asleep": (40, 46, "asleep"),
    "not-started": (60, 64, "not-started"),
    "killed": (75, 76, "killed"),
    "network": (90, 93, "network: connect"),
    "http-503": (110, 115, "http-503"),
    "http-404": (125, 126, "http-404"),
    "rate-limited": (135, 136, "rate-limited"),
    "credentials": (145, 147, "credentials"),
    "html": (160, 163, "rejected: not-json"),
    "renamed": (180, 184, "rejected: drift"),
    "disk": (200, 202, "disk"),
}
"""Twelve kinds of outages: the first slot, the end, and the cause in the report."""
CUTS = {slot: kind for kind, (a, b, _) in OUTAGES.items() for slot in range(a, b)} | {
    220: "lock"
}
"""The outages by slot; a lock that is held delays a slot, and loses nothing."""


def youbike() -> dict[float, Documents]:
    """Return three days of Taipei, by the moment of each snapshot."""
    snapshots: dict[float, Documents] = {}
    for path in sorted(SERIES.glob("youbike2_taipei*")):
        for name, data in _members(path):
            stamp = name.partition("bike_data_2")[2].removesuffix(".csv")
            at = datetime.strptime(f"2{stamp}", "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
            snapshots[at.timestamp()] = {"/": _as_json(data)}
    return snapshots


def vienna() -> dict[float, Documents]:
    """Return a week of Vienna."""
    snapshots: dict[float, Documents] = {}
    (path,) = SERIES.glob("vienna*")
    members = dict(_members(path))
    stations = members.pop("station_information.json")
    for name, data in members.items():
        stamp = name.partition("api_dump_")[2].removesuffix(".json")
        at = datetime.strptime(stamp, "%Y-%m-%d_%H-%M-%S").replace(tzinfo=UTC)
        snapshots[at.timestamp()] = _gbfs(data, stations)
    return snapshots


def bay_wheels() -> dict[float, Documents]:
    """Return a week of the San Francisco Bay Area."""
    snapshots: dict[float, Documents] = {}
    stations = b""
    for path in sorted(SERIES.glob("baywheels*")):
        for name, data in _members(path):
            stamp, _, kind = name.partition("/")
            if kind == "station_information.json":
                stations = data
            if kind == "station_status.json":
                at = datetime.strptime(stamp[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
                snapshots[at.timestamp()] = _gbfs(data, stations)
    return snapshots


def _gbfs(status: bytes, stations: bytes) -> Documents:
    return {"/station_status.json": status, "/station_information.json": stations}


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as series:
        for member in series:
            file = series.extractfile(member)
            if file is not None:
                yield member.name, file.read()


def _as_json(data: bytes) -> bytes:
    """Return the JSON that the feed had, of which *data* is the recorder's CSV.

    No cell is quoted: each line is split at its commas, in half the time of `csv`.
    """
    header, *rows = map(_cells, data.decode("utf-8-sig").rstrip("\n").split("\n"))
    assert {*map(len, rows)} == {len(header)}
    assert b'"' not in data
    for name, kind in KINDS.items():
        column = header.index(name)
        for row in rows:
            row[column] = kind(row[column])
    names = header[:API]
    stations = [dict(zip(names, row, strict=False)) for row in rows]
    return json.dumps(stations, ensure_ascii=False).encode("utf-8")


def _cells(line: str) -> list[Any]:
    return list(line.split(","))


@dataclass
class Player:
    """Plays *snapshots* into *folder*, a slot every *interval* seconds.

    *cuts* names the trouble of slots, by their number.
    """

    snapshots: Mapping[float, Documents]
    folder: Path
    feed: str
    timezone: str
    interval: int
    cuts: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.moments = sorted(self.snapshots)
        first = -(-self.moments[0] // self.interval) * self.interval
        self.slots = [int(first) + n * self.interval for n in range(self._many(first))]
        self.clock = Time(first)
        self.boot, self.slept, self.booted = 0, 0.0, first - 86_400.0
        self.trouble = ""

    def _many(self, first: float) -> int:
        return int((self.moments[-1] - first) // self.interval) + 1

    @contextmanager
    def served(self) -> Iterator[Settings]:
        """Serve the snapshots; yield the settings that collect them."""
        with serving(self._answer) as url:
            path = "/gbfs.json" if self.feed == "gbfs" else "/"
            self.root = url
            system = {"feed": self.feed, "url": url + path, "timezone": self.timezone}
            yield parse(
                {
                    "data_dir": str(self.folder),
                    "interval": f"{self.interval}s",
                    "systems": {"city": system},
                }
            )

    def play(
        self, patch: pytest.MonkeyPatch, first: int = 0, most: int | None = None
    ) -> Settings:
        """Play all slots, or those from number *first* to *most*; return the settings.

        Without the collector of cycles, as the program's own process is.
        """
        patch.setattr(process, "boot_id", lambda: f"boot-{self.boot}")
        with self.served() as settings, _no_cycles_collected():
            for number in range(len(self.slots))[first:most]:
                slot = self.slots[number]
                self.clock.now = slot + 2.0
                self.trouble = self.cuts.get(number, "")
                if self.trouble not in {"host-off", "asleep", "not-started"}:
                    self._recover(number)
                    self._run(settings)
        self.clock.now = self.slots[:most][-1] + self.interval
        return settings

    def _recover(self, number: int) -> None:
        """Let the machine recover from the trouble it was in."""
        before = self.cuts.get(number - 1, "")
        if before == "host-off":
            self.boot += 1
            self.booted = self.clock.now - 30
        if before == "asleep":
            lost = 0
            while self.cuts.get(number - 1 - lost) == "asleep":
                lost += 1
            self.slept += lost * self.interval

    def _run(self, settings: Settings) -> None:
        if self.trouble == "killed":
            die(lambda: self._collect(settings))
        elif self.trouble == "disk":
            with _full_disk():
                self._collect(settings)
        elif self.trouble == "lock":
            with Lock(self.folder / "city" / "lock").held():
                self._collect(settings)
        else:
            self._collect(settings)

    def _collect(self, settings: Settings) -> None:
        collect(
            settings,
            clock=self.clock,
            stop=self.clock,
            monotonic=self.clock,
            uptime=lambda: self.clock.now - self.booted,
            awake=lambda: self.clock.now - self.booted - self.slept,
        )

    def documents_at(self, moment: float) -> Documents:
        """Return the documents at *moment*: the snapshot before it, or the first."""
        last = bisect_right(self.moments, moment) - 1
        return self.snapshots[self.moments[max(0, last)]]

    def _answer(self, path: str) -> Answer:
        if self.trouble == "network":
            raise ConnectionResetError
        if self.trouble.startswith("http-"):
            status = int(self.trouble[5:])
            return Answer(b"down", status, {"Retry-After": "1"})
        if self.trouble == "rate-limited":
            return Answer(b"", 429, {"Retry-After": str(self.interval - 100)})
        if self.trouble == "credentials":
            return Answer(b"no", 401)
        if self.trouble == "html":
            return Answer(b"<html><body>Back soon</body></html>")
        if path == "/gbfs.json":
            names = ("station_status", "station_information")
            feeds = [{"name": n, "url": f"{self.root}/{n}.json"} for n in names]
            listed = {"data": {"en": {"feeds": feeds}}, "version": "2.3", "ttl": 60}
            return Answer(json.dumps(listed).encode())
        body = self.documents_at(self.clock.now)[path]
        if self.trouble == "renamed":
            body = body.replace(b"available_rent_bikes", b"rentable")
            body = body.replace(b"num_bikes_available", b"rentable")
        return Answer(body)


def check_gaps(player: Player, settings: Settings) -> None:
    """Assert that the report names each of `OUTAGES` with its cause, and no other."""
    expected = [
        (player.slots[a], player.slots[b - 1] + player.interval, b - a, cause)
        for a, b, cause in sorted(OUTAGES.values())
    ]
    end = Slot(int(player.clock.now))
    account = evidence.read_account(
        settings.system_folder("city"), until=end, now=player.clock.now
    )
    assert [(g.start, g.end, g.slots, g.cause) for g in account.gaps] == expected
    assert account.total.expected == len(player.slots)


@contextmanager
def _no_cycles_collected() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _full_disk() -> Iterator[None]:
    """Let every write after the first 5,000 bytes of a file fail.

    No module is compiled meanwhile: Python would keep a part of it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = False
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
