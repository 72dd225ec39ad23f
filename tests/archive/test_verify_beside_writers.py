"""Verifying or reading during writes reports no false damage."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from keeping import compacted, verifier
from templates import copied
from world import World

from bikecollect.archive.certificates import Certificate, Finding
from bikecollect.archive.verify import Verifier
from bikecollect.core.slots import DAY
from bikecollect.storage.csv_store import Store
from bikecollect.storage.ledger_reader import History

pytest.importorskip("duckdb")
CSV = "station_status/2026-11-22.csv"


@dataclass
class BusyStore(Store):
    """A store that calls *meanwhile* when a file is first read."""

    folder: Path
    meanwhile: Callable[[], object]

    def __post_init__(self) -> None:
        super().__init__(self.folder)

    def header(self, file: str) -> bytes:
        """Return the first line, after calling *meanwhile*."""
        self._work()
        return super().header(file)

    def _work(self) -> None:
        work, self.meanwhile = self.meanwhile, lambda: None
        work()


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return a world with two slots on each of two days."""
    world = World(folder / "city")
    for after in (0, 300, DAY, 300):
        world.fetch({"a": 1, "b": 2}, after=after)
    world.clock.now += DAY
    return world


def verified(verifier: Verifier) -> tuple[list[str], list[str]]:
    """Return the findings, and the certified days with where their rows were."""
    results = list(verifier.run())
    findings = [f"{r.where}: {r.what}" for r in results if isinstance(r, Finding)]
    days = [f"{r.date} {r.where}" for r in results if isinstance(r, Certificate)]
    return findings, days


def beside(world: World, meanwhile: Callable[[], object]) -> Verifier:
    """Return a verifier during whose first pass *meanwhile* is called."""
    base = verifier(world)
    store = BusyStore(world.folder, meanwhile)
    return Verifier(
        base.system, base.archive, store, base.history, base.lock, base.counts
    )


def test_a_commit_in_progress_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader without the lock may come between the CSV and the ledger."""
    path = world.folder / CSV
    committed = path.read_bytes()
    path.write_bytes(committed + b"2026-11-22T12:10:00+08:00,x")
    monkeypatch.setattr(os, "access", lambda *_: False)
    reader = verifier(world)
    waited: list[float] = []

    def end_commit(seconds: float) -> None:
        waited.append(seconds)
        path.write_bytes(committed)

    object.__setattr__(reader, "sleep", end_commit)

    assert verified(reader) == ([], ["2026-11-22 csv", "2026-11-23 csv"])
    assert waited == [0.3]


def test_bytes_that_remain_are_reported_to_a_reader(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes of a killed run are no commit in progress."""
    with (world.folder / CSV).open("ab") as file:
        file.write(b"2026-11-22T12:10:00+08:00,x")
    monkeypatch.setattr(os, "access", lambda *_: False)
    reader = verifier(world)
    object.__setattr__(reader, "sleep", lambda _: None)

    assert verified(reader)[0] == [f"{CSV}: bytes 496 to 523 belong to no block"]


def test_a_compaction_meanwhile_is_no_finding(world: World) -> None:
    """Days are archived, and their CSV removed, after the files were listed."""
    busy = beside(world, lambda: compacted(world, csv_days=0))

    findings, days = verified(busy)

    assert findings == []
    assert sorted(day.partition(" ")[0] for day in days) == ["2026-11-22", "2026-11-23"]
    assert list((world.folder / "station_status").iterdir()) == []


def test_a_day_that_is_archived_again_is_no_finding(world: World) -> None:
    """Its certificate and its files are newer than the ledger that was read."""
    compacted(world, csv_days=9)
    world.clock.now -= 2 * DAY
    world.fetch({"a": 3, "b": 4}, after=300)
    world.clock.now += 2 * DAY
    busy = beside(world, lambda: compacted(world, csv_days=9))

    findings, days = verified(busy)

    assert findings == []
    assert len(days) == 2


def test_damage_is_found_beside_writers(world: World) -> None:
    """It is still there in the second pass, and counted once."""
    path = world.folder / CSV
    path.write_bytes(path.read_bytes().replace(b"true,true", b"true,trux", 1))
    busy = beside(world, lambda: world.fetch({"a": 1, "b": 2}))

    findings, _ = verified(busy)

    assert len(findings) == 1
    assert "is damaged" in findings[0]


def test_a_session_reads_one_snapshot_of_the_ledger(world: World) -> None:
    """A commit between two queries of `status` does not make them differ."""
    history = History("city", world.folder)
    with history.session():
        before = history.newest_block()
        world.fetch({"a": 5, "b": 6})

        assert history.newest_block() == before
        assert len(history.runs()) == 4

    assert len(history.runs()) == 5
