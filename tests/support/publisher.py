"""A publisher whose documents a test sets, and a system that collects them."""

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from served import Answer, serving

from bikecollect.core.run import Run
from bikecollect.setup.loader import parse
from bikecollect.setup.settings import Settings
from bikecollect.simulator.demo import Time
from bikecollect.wiring.collection import collect

BEGIN = 1_795_276_800.0
"""Midnight in Taipei, 2026-11-22."""
MISSING = Answer(b"not found", 404)


@dataclass
class Publisher:
    """What is served at each path, and one system, called city, that collects it.

    A document is JSON, an Answer, or a function of the query that returns one. In its
    texts ``BASE`` is the server's address, and ``NOW`` as a number's place the present
    moment.
    """

    folder: Path
    base: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    documents: dict[str, object] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    clock: Time = field(default_factory=lambda: Time(BEGIN))
    interval: int = 300
    path: str = "/gbfs.json"
    top: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The settings of the system, as they are at the moment."""
        system = {"feed": "gbfs", "url": self.base + self.path, **self.more}
        system = {"timezone": "Asia/Taipei", **system}
        top = {"data_dir": str(self.folder), "interval": f"{self.interval}s"}
        return parse({**top, **self.top, "systems": {"city": system}})

    def answer(self, path: str) -> Answer:
        """Return the response for *path*, with its query or without."""
        self.asked.append(path)
        document = self.documents.get(path, self.documents.get(path.partition("?")[0]))
        if callable(document):
            document = document(dict(parse_qsl(urlsplit(path).query)))
        if document is None:
            return MISSING
        if isinstance(document, Answer):
            return document
        text = json.dumps(document).replace("BASE", self.base)
        return Answer(text.replace('"NOW"', str(int(self.clock.now))).encode())

    def fetch(self, *, after: float | None = None) -> Run:
        """Run one slot, *after* some seconds: the next one where nothing is said."""
        step = self.interval if after is None else after
        self.clock.now = (self.clock.now + step) // self.interval * self.interval + 2
        self.asked.clear()
        (run,) = collect(
            self.settings,
            clock=self.clock,
            stop=self.clock,
            monotonic=self.clock,
            uptime=lambda: self.clock.now - BEGIN + 900_000,
            awake=lambda: self.clock.now - BEGIN + 900_000,
        )
        return run

    def rows(self) -> list[dict[str, str]]:
        """Return the rows of the newest slot, as texts by column."""
        rows = self.all_rows()
        newest = max(row["slot"] for row in rows)
        return [row for row in rows if row["slot"] == newest]

    def all_rows(self) -> list[dict[str, str]]:
        """Return the rows of all slots, as texts by column."""
        files = sorted((self.folder / "city/station_status").glob("*.csv"))
        return [row for file in files for row in _read(file)]

    def stations(self) -> list[dict[str, str]]:
        """Return the versions of stations, oldest first."""
        file = self.folder / "city/station_information.csv"
        return _read(file) if file.exists() else []


@contextmanager
def publishing(
    folder: Path, *, interval: int = 300, path: str = "/gbfs.json", **more: object
) -> Iterator[Publisher]:
    """Serve a publisher whose system has the settings *more*; yield it."""
    publisher = Publisher(folder, more=more, interval=interval, path=path)
    with serving(publisher.answer, clock=publisher.clock) as base:
        publisher.base = base
        yield publisher


def _read(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
