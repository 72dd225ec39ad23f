"""A world for tests: real files, lock and ledger; a simulated feed and clock."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bikecollect.collect.commit import Committer
from bikecollect.collect.cycle import Cycle
from bikecollect.collect.fetching.fetcher import Fetcher
from bikecollect.collect.filling.locked_files import LockedFiles
from bikecollect.collect.reading.payload_reader import PayloadReader
from bikecollect.core.blocks import Block
from bikecollect.core.errors import BikecollectError, PayloadError
from bikecollect.core.payload import (
    Attempt,
    Check,
    Document,
    Documents,
    Getter,
    Memory,
    Payload,
)
from bikecollect.core.run import Run
from bikecollect.core.slots import slot_at
from bikecollect.core.snapshot import Snapshot, StationInformation, StationStatus
from bikecollect.feeds.reading.renames import Renames
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.csv_format import Derived, Format
from bikecollect.storage.csv_store import Store
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.lock import Lock
from bikecollect.storage.payload_store import Payloads
from bikecollect.storage.recovery import Recovery
from bikecollect.storage.run_notes import RunNotes

TAIPEI = ZoneInfo("Asia/Taipei")
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=TAIPEI).timestamp()
MINUTES = 60.0


def noon_of_last_month() -> float:
    """Return noon of the day 30 days ago, by the clock of this machine."""
    now = datetime.now(TAIPEI)
    noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
    return (noon - timedelta(days=30)).timestamp()


def status(station_id: str, bikes: int | None = 1) -> StationStatus:
    """Return a station with *bikes* vehicles, and no other values."""
    return silent(station_id)._replace(
        num_vehicles_available=bikes,
        num_docks_available=2,
        is_renting=True,
        is_returning=True,
    )


def silent(station_id: str) -> StationStatus:
    """Return a station without values."""
    return StationStatus(station_id, *[None] * (len(StationStatus._fields) - 1))


def body(stations: Mapping[str, int | None], **more: object) -> bytes:
    """Return a payload of the test feed: *stations* with their vehicles."""
    return json.dumps({"stations": stations, **more}).encode("utf-8")


@dataclass
class FakeFeed:
    """A feed that returns what the test sets; its dialect is `body`'s."""

    clock: "FakeClock"
    answer: bytes | BikecollectError = b"{}"
    bug: Exception | None = None
    reads: int = 0
    date: float | None = None

    def fetch(self, get: Getter, memory: Memory) -> Payload:
        """Return the answer as one document; raise it where it is an error."""
        if isinstance(self.answer, BikecollectError):
            raise self.answer
        document = Document(
            "status", self.answer, fetched_at=self.clock() + 2, date=self.date
        )
        return Payload((document,))

    def read(self, documents: Documents) -> Snapshot:
        """Return the snapshot of the body."""
        self.reads += 1
        if self.bug is not None:
            raise self.bug
        try:
            values = json.loads(documents[0].body)
            stations = values["stations"]
        except (ValueError, KeyError) as error:
            raise PayloadError("no stations here") from error
        return Snapshot(
            tuple(
                status(name, bikes)
                ._replace(
                    is_renting=name not in values.get("closed", []),
                    is_returning=name not in values.get("closed", []),
                    num_docks_available=values.get("docks", {}).get(name, 2),
                )
                ._replace(**values.get("flags", {}).get(name, {}))
                for name, bikes in stations.items()
            ),
            tuple(_information(name, values) for name in stations),
            lists_all=True,
            last_updated=values.get("last_updated"),
            shape=dict.fromkeys(values.get("fields", []), "int"),
        )

    def renames(self, before: Documents, after: Documents) -> Renames:
        """Return no renames."""
        return Renames()


def _information(name: str, values: dict[str, Any]) -> StationInformation:
    lat, lon, region = values.get("places", {}).get(name, (None, None, None))
    called = values.get("names", {}).get(name, name)
    return StationInformation(
        name,
        name=called,
        lat=lat,
        lon=lon,
        capacity=values.get("capacity", 10),
        region=region,
    )


@dataclass
class FakeClock:
    """A clock that shows the time that is set."""

    now: float = NOON

    def __call__(self) -> float:
        """Return the time, in epoch seconds."""
        return self.now


@dataclass
class FakeClient:
    """A client that is never used."""

    attempts: Sequence[Attempt] = ()
    public_host: str = ""
    closed: int = 0

    def __call__(
        self, name: str, url: str, *, check: Check | None = None, tries: int = 1
    ) -> Document:
        """Raise: the fake feed does not get anything."""
        raise AssertionError(name)

    def close(self) -> None:
        """Count the calls."""
        self.closed += 1


@dataclass
class World:
    """One system in *folder*, with all real parts but the feed and the clock."""

    folder: Path
    derived: tuple[Derived, ...] = ()
    clock: FakeClock = field(default_factory=FakeClock)
    uptime: float = 1_000.0
    runs: int = 0
    patience: float = 0.0

    def __post_init__(self) -> None:
        self.feed = FakeFeed(self.clock)
        self.payloads = Payloads(self.folder / "payloads")
        self.run_notes = RunNotes(self.folder / "payloads" / "inbox")
        self.store = Store(self.folder)
        self.ledger = Ledger(self.folder / "ledger.sqlite3")
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True)

    @property
    def system(self) -> SystemFolder:
        """The folder of this system, as commands see it."""
        return SystemFolder(self.folder.name, self.folder, TAIPEI, 300)

    def locked_files(self) -> LockedFiles:
        """Return the files of this system, as a fresh process would have them."""
        cycle = self.cycle()
        ledger = cycle.recovery.ledger
        return LockedFiles(cycle.lock, ledger, cycle.recovery, None, lambda: None)

    def cycle(self) -> Cycle:
        """Return a cycle as a fresh process would have it."""
        self.payloads = Payloads(self.folder / "payloads")
        self.run_notes = RunNotes(self.folder / "payloads" / "inbox")
        committer = Committer(
            reader=PayloadReader(
                feed=self.feed,
                format=Format(TAIPEI, self.derived),
                interval=300,
                store=self.store,
                ledger=self.ledger,
            ),
            zone=TAIPEI,
            payloads=self.payloads,
        )
        return Cycle(
            fetcher=Fetcher(self.feed, FakeClient(), self.ledger, self.clock),
            run_notes=self.run_notes,
            payloads=self.payloads,
            lock=Lock(self.folder / "lock", patience=self.patience),
            ledger=self.ledger,
            recovery=Recovery(self.payloads, self.store, self.ledger, TAIPEI),
            committer=committer,
            payload_days=7,
            clock=self.clock,
            newest_block=AlertLedger(self.folder / "ledger.sqlite3").newest_block,
        )

    def begin(self) -> Run:
        """Return a new run at the clock's time."""
        self.runs += 1
        return Run(
            run_id=f"{self.runs:08x}",
            system_id="city",
            slot=slot_at(self.clock(), 300),
            started=self.clock(),
            boot_id="boot",
            uptime=self.uptime,
        )

    def fetch(
        self,
        stations: Mapping[str, int | None] | None = None,
        *,
        after: float = 0.0,
        **more: object,
    ) -> Run:
        """Let *after* seconds pass, then run one cycle whose feed lists *stations*."""
        self.clock.now += after
        self.uptime += after
        if stations is not None:
            self.feed.answer = body(stations, **more)
        return self.cycle().run(self.begin())

    def lines(self, file: str = "station_status/2026-11-22.csv") -> list[str]:
        """Return the lines of *file*, without its header."""
        text = (self.folder / file).read_text(encoding="utf-8")
        return text.splitlines()[1:]

    def committed(self) -> list[Block]:
        """Return the ledger's blocks, in order."""
        self.ledger.open()
        try:
            blocks = [self.ledger.block(slot) for slot in sorted(self.ledger.slots())]
        finally:
            self.ledger.close()
        return [block for block in blocks if block is not None]

    def agrees(self) -> bool:
        """Return whether each block of the ledger has its bytes in the files."""
        return all(self.store.crc(b.span) == b.span.crc for b in self.committed())

    def inbox(self) -> list[str]:
        """Return the names of all files in the inbox."""
        return sorted(path.name for path in (self.folder / "payloads/inbox").iterdir())
