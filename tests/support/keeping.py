"""The compactor and the views of a world, for tests."""

import base64
import json
import zlib
from array import array
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from templates import copied
from world import TAIPEI, World

from bikecollect.app.queries.service import DataService
from bikecollect.archive.certificates import Finding
from bikecollect.archive.compact import Compactor, Step
from bikecollect.archive.day_archive import Archive
from bikecollect.archive.parts import list_parts
from bikecollect.archive.query import views
from bikecollect.archive.query.view_source import TABLES, ViewedSystem
from bikecollect.archive.verify import VerifiedCounts, Verifier
from bikecollect.core.slots import DAY, Slot, local_days, state_of
from bikecollect.setup import loader
from bikecollect.storage.csv_store import Store
from bikecollect.storage.files.regular_file import sha256_of
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.lock import Lock
from bikecollect.storage.recovery import Recovery

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def slot_rows(world: World, begin: Slot, end: Slot) -> list[tuple[Any, ...]]:
    """Return a row for each slot between the first and the last that has a block."""
    history = History(world.folder.name, world.folder)
    sql = (
        "SELECT slot, rows, flags, source, fetched_at, last_updated, sha256, run_id"
        " FROM blocks ORDER BY slot"
    )
    blocks = {row[0]: row for row in history.select(sql)}
    table: list[tuple[Any, ...]] = []
    first = max(begin, min(blocks, default=end))
    last = min(end, max(blocks, default=begin) + 300)
    for slot in range(first, last, 300):
        minute = (slot + 28_800) % 86_400 // 60
        week = ((slot + 28_800) // 86_400 + 3) % 7 * 24 + minute // 60
        if slot in blocks:
            _, rows, flags, source, at, updated, digest, run_id = blocks[slot]
            more = (flags, source, int(at), updated, digest, run_id)
            state = state_of(flags).value
            table.append((slot, minute, week, state, "", rows, *more))
        else:
            empty = ("", "", None, None, "", "")
            table.append((slot, minute, week, "missing", "unknown", 0, *empty))
    return table


def days(world: World) -> list[str]:
    """Return the days from the first block to the last."""
    history = History(world.folder.name, world.folder)
    slots = [slot for (slot,) in history.select("SELECT slot FROM blocks")]
    first, last = min(slots, default=Slot(0)), max(slots, default=Slot(-1))
    return [day for day, *_ in local_days(first, Slot(last + 1), TAIPEI)]


def compactor(world: World, csv_days: int = 7) -> Compactor:
    """Return a compactor of *world*, as a fresh process would have it."""
    ledger, store = Ledger(world.folder / "ledger.sqlite3"), Store(world.folder)
    return Compactor(
        system=world.system,
        archive=Archive(world.folder.parent, world.system, world.clock),
        store=store,
        ledger=ledger,
        recovery=Recovery(world.payloads, store, ledger, TAIPEI),
        payloads=world.payloads,
        lock=Lock(world.folder / "lock", patience=0),
        slot_rows=lambda begin, end: slot_rows(world, begin, end),
        csv_days=csv_days,
        clock=world.clock,
        breathe=lambda: None,
    )


def compacted(world: World, csv_days: int = 7) -> list[Step]:
    """Compact all days that are due."""
    return list(compactor(world, csv_days).run())


@contextmanager
def viewed(
    world: World,
    settled: Path | None = None,
    timezone: str = "UTC",
    tables: Container[str] = TABLES,
) -> Iterator["DuckDBPyConnection"]:
    """Yield a connection that has the views of *world*; see `views.connected`."""
    shown = ViewedSystem(
        system=world.system,
        days=days(world),
        day_slots=lambda begin, end: slot_rows(world, begin, end),
    )
    folder = world.folder.parent
    with views.connected(
        folder, [shown], settled=settled, timezone=timezone, tables=tables
    ) as db:
        yield db


def data_service(world: World) -> DataService:
    """Return the data service of *world*, with its clock."""
    settings = loader.parse(
        {
            "data_dir": str(world.folder.parent),
            "systems": {
                "city": {
                    "feed": "youbike",
                    "url": "http://127.0.0.1/",
                    "timezone": "Asia/Taipei",
                }
            },
        }
    )
    return DataService(settings, world.clock)


def verifier(world: World, *, deep: bool = False) -> Verifier:
    """Return a verifier of *world*."""
    return Verifier(
        system=world.system,
        archive=Archive(world.folder.parent, world.system, world.clock),
        store=Store(world.folder),
        history=History(world.folder.name, world.folder),
        lock=Lock(world.folder / "lock", patience=0),
        counts=VerifiedCounts(),
        deep=deep,
    )


def findings(world: World, *, deep: bool = False) -> list[str]:
    """Return the findings on *world*, as "where: what"."""
    results = verifier(world, deep=deep).run()
    return [f"{f.where}: {f.what}" for f in results if isinstance(f, Finding)]


@copied
def two_past_days(folder: Path) -> World:
    """Return a world in *folder* with a slot on each of two days long past."""
    world = World(folder / "city")
    (world.folder / ".bikecollect").touch()
    world.clock.now -= 900 * DAY
    world.fetch({"0002": 1, "0001": 7})
    world.fetch({"0002": 4}, after=DAY)
    return world


@copied
def archived_past_days(folder: Path) -> World:
    """Return the world of `two_past_days` with both days archived, without CSV."""
    world = two_past_days(folder)
    now = world.clock.now
    world.clock.now += 2 * DAY
    compacted(world, 0)
    world.clock.now = now
    return world


def unpacked(text: str) -> list[int]:
    """Return the numbers of 16 bits that a browser unpacks from *text*."""
    numbers = array("H")
    numbers.frombytes(zlib.decompress(base64.b64decode(text)))
    return list(numbers)


def replace_summaries(world: World, columns: Mapping[str, str]) -> None:
    """Give all archived days summaries of an earlier format, with *columns* (SQL)."""
    duckdb = pytest.importorskip("duckdb")
    data = world.folder.parent
    folder = data / "archive/certificates/system_id=city"
    for certificate in sorted(folder.glob("*.json")):
        values = json.loads(certificate.read_text())
        for name, parts in list_parts(data, "city", tuple(columns)).items():
            path = parts[certificate.stem].path
            rows = f"read_parquet('{path}', hive_partitioning = false)"
            duckdb.sql(
                f"CREATE OR REPLACE TABLE t AS SELECT {columns[name]} FROM {rows}"
            )
            duckdb.sql(f"COPY t TO '{path}' (FORMAT parquet)")
            values["parts"][name] = {
                "bytes": path.stat().st_size,
                "sha256": sha256_of(path),
            }
        certificate.write_text(json.dumps(values))
        world.ledger.open()
        with world.ledger.transaction() as db:
            parts_ = json.dumps(values["parts"]), certificate.stem
            db.execute("UPDATE archives SET parts = ? WHERE day = ?", parts_)
        world.ledger.close()
