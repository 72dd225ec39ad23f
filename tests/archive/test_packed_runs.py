"""Runs of days archived long ago are packed, and all reports remain the same."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from keeping import compacted, findings, viewed
from world import NOON, World

from bikecollect.archive.archived_days import AROUND, FOLLOWING
from bikecollect.core.errors import FeedUnavailable, StorageError
from bikecollect.core.run import Notice
from bikecollect.core.slots import DAY, Slot
from bikecollect.reports import evidence
from bikecollect.reports.coverage import Account
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.ledger_schema import STEPS
from bikecollect.storage.runs import packed, packer

pytest.importorskip("duckdb")
SLOT = Slot(int(NOON))
NEXT_DAY = NOON + DAY


@pytest.fixture
def world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world with a day of all kinds of gaps, and a good slot a day later."""
    monkeypatch.setattr(packed, "RECENT", 0)
    world = World(folder / "city")
    world.fetch({"a": 1, "b": 2})
    world.feed.answer = FeedUnavailable("no answer in 30 s", http_status=503)
    world.fetch(after=300)
    world.feed.answer = b"nonsense"
    world.fetch(after=300)
    world.fetch({"a": 1, "b": 3}, after=900)  # two slots without a run
    world.clock.now += 300
    killed = world.begin()
    world.ledger.open()
    world.ledger.record([killed.noticed(Notice("lock", "x"))])
    world.ledger.close()
    world.clock.now += 300
    world.uptime = 30.0  # after a reboot
    world.fetch({"a": 1, "b": 3}, after=600)
    world.clock.now, world.uptime = NEXT_DAY, DAY
    world.fetch({"a": 4, "b": 3})
    world.clock.now = NEXT_DAY + DAY
    return world


def account(world: World, since: float = NOON, until: float = NEXT_DAY) -> Account:
    """Return the report on a span of the past."""
    begin, end = Slot(int(since)), Slot(int(until))
    now = world.clock.now
    return evidence.read_account(world.system, begin, end, now=now)


def rows(world: World, sql: str) -> list[Any]:
    """Return what the ledger has."""
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db:
        return db.execute(sql).fetchall()


def spoil(world: World) -> None:
    """Flip bytes in the packed day."""
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db, db:
        db.execute("UPDATE packed_runs SET account = x'789c0000'")


def test_the_runs_of_an_archived_day_are_packed(world: World) -> None:
    """One row replaces those of the day; newer runs are unchanged."""
    compacted(world)

    assert rows(world, "SELECT day, first, last, runs FROM packed_runs") == [
        ("2026-11-22", SLOT, SLOT + 2700, 6)
    ]
    assert rows(world, "SELECT slot FROM runs") == [(SLOT + DAY,)]


def test_the_report_on_a_packed_day_is_unchanged(world: World) -> None:
    """The same slots have the same states and causes."""
    spans = [(NOON, NEXT_DAY), (NOON + 600, NOON + 1200), (NOON + 3600, NEXT_DAY + 600)]
    before = [account(world, *span) for span in spans]
    causes = dict(before[0].causes)

    compacted(world)

    assert [account(world, *span) for span in spans] == before
    assert causes == {
        "not-started": 282,
        "killed": 1,
        "network: network": 1,
        "rejected: shape": 1,
    }
    assert rows(world, "SELECT count(*) FROM packed_runs") == [(1,)]


def test_every_value_of_a_packed_run_is_read_back(world: World) -> None:
    """With its notices, flags, seconds and error, by range, outcome, number and id."""
    history = History("city", world.folder)
    before, first = history.runs(), history.first()
    failed = history.runs(outcomes=["unavailable"])

    compacted(world)

    assert rows(world, "SELECT count(*) FROM runs") == [(1,)]
    assert history.runs() == before
    assert history.runs(limit=3) == before[:3]
    assert history.runs(Slot(SLOT + 300), Slot(SLOT + 600)) == before[-2:-1]
    assert history.runs(outcomes=["unavailable"]) == failed
    assert [history.run(run.run_id) for run in before] == [[run] for run in before]
    assert history.outcomes(SLOT)[0] == (SLOT, "collected")
    assert history.first() == first


def test_a_late_run_of_a_packed_day_is_packed_with_it(world: World) -> None:
    """A late slot is archived again, with all runs of its day."""
    compacted(world)
    world.clock.now = NOON + 300
    late = world.fetch({"a": 9, "b": 9})
    world.clock.now = NEXT_DAY + DAY

    (step,) = compacted(world)

    assert (step.day, step.what, step.slots) == ("2026-11-22", "archived", 4)
    assert rows(world, "SELECT runs FROM packed_runs") == [(7,)]
    assert History("city", world.folder).run(late.run_id)[0].rows == 2
    assert findings(world, deep=True) == []


def test_runs_of_the_last_five_weeks_stay_after_a_long_outage(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The five weeks are counted from the newest run, not from today."""
    monkeypatch.setattr(packed, "RECENT", 35 * DAY)
    world.clock.now = NEXT_DAY + 2 * DAY

    compacted(world)

    assert rows(world, "SELECT count(*) FROM runs") == [(7,)]
    assert rows(world, "SELECT count(*) FROM packed_runs") == [(0,)]


def test_packed_runs_of_a_day_that_the_archive_lost_are_queried(world: World) -> None:
    """Its CSV is there: the day is open again, with all its runs."""
    compacted(world, csv_days=99)
    for path in world.folder.parent.glob("archive/**/date=2026-11-22/*.parquet"):
        path.unlink()

    with viewed(world) as db:
        rows = db.execute("SELECT outcome, count(*) FROM runs GROUP BY 1 ORDER BY 1")
        assert rows.fetchall() == [
            ("collected", 4),
            ("killed", 1),
            ("rejected", 1),
            ("unavailable", 1),
        ]


def test_damaged_packed_runs_are_named_and_taken_from_the_archive(world: World) -> None:
    """No report is silently wrong; the next compaction restores the causes."""
    before = account(world)
    compacted(world)
    spoil(world)

    with pytest.raises(StorageError, match="packed runs of 2026-11-22 are damaged"):
        account(world)
    assert findings(world) == [
        "ledger.sqlite3: the packed runs of 2026-11-22 are damaged; "
        "run: bikecollect compact"
    ]
    compacted(world)

    assert account(world) == before
    assert findings(world) == []


def test_a_lost_ledger_has_the_causes_of_packed_days_again(world: World) -> None:
    """They come from the archive, and are packed again."""
    before = account(world)
    compacted(world)
    (world.folder / "ledger.sqlite3").unlink()

    compacted(world)

    assert rows(world, "SELECT runs FROM packed_runs") == [(6,)]
    assert account(world).gaps == before.gaps


def test_a_ledger_of_the_previous_version_is_read_in_place(world: World) -> None:
    """Without a copy in memory, which could be large."""
    before = account(world)
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db, db:
        db.execute("DROP TABLE packed_runs")
        db.execute("PRAGMA user_version = 3")

    assert account(world) == before
    compacted(world)

    assert rows(world, "PRAGMA user_version") == [(len(STEPS),)]
    assert account(world) == before


def test_the_ledger_shrinks_when_most_of_it_is_unused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A little unused space is kept."""
    sql = "INSERT INTO memory VALUES ('x', hex(zeroblob(1000000)))"
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db, db:
        db.execute(sql)
        db.execute("DELETE FROM memory WHERE key = 'x'")
    size = (world.folder / "ledger.sqlite3").stat().st_size

    compacted(world)
    kept = (world.folder / "ledger.sqlite3").stat().st_size
    monkeypatch.setattr(packer, "MAX_FREE", 500_000)
    compacted(world)

    assert kept >= size > 2_000_000
    assert (world.folder / "ledger.sqlite3").stat().st_size < 300_000
    assert findings(world, deep=True) == []


def _answer(query: str, *values: int) -> tuple[list[tuple[int | None, ...]], int]:
    """Return the rows of *query* to a ledger of 5,000 slots, and how long it ran.

    That is the number of times that SQLite made 100 instructions.
    """
    run = (
        "?1, ?1, ?1, 0, '', '', 0, 0, 0, 0, 0, '', '', '', 0, '', 0, '', '', '', '', 0"
    )
    block = "?1, '', 0, 0, 0, 1, '', 0, 0, '', 0, '', 'fetch', ''"
    slots = [(SLOT + number * 300,) for number in range(5_000)]
    pieces = list[None]()
    with closing(sqlite3.connect(":memory:")) as db:
        for step in STEPS:
            db.executescript(step)
        db.executemany(f"INSERT INTO runs VALUES ({run})", slots)
        db.executemany(f"INSERT INTO blocks VALUES ({block})", slots)
        db.set_progress_handler(lambda: pieces.append(None), 100)
        return db.execute(query, values).fetchall(), len(pieces)


def test_the_run_after_a_day_is_found_without_reading_earlier_ones() -> None:
    """`compact` asks this for each archived day, while it holds the lock."""
    end = SLOT + 4_990 * 300

    found, pieces = _answer(FOLLOWING, end, end, end)

    assert found == [(end,)]
    assert pieces < 10


def test_the_runs_around_new_ones_are_found_without_reading_the_others() -> None:
    """`backfill --from` asks this for each batch of runs that it takes over."""
    first, last = SLOT + 2_000 * 300, SLOT + 3_000 * 300

    found, pieces = _answer(AROUND, first, first, last, last)

    assert found == [(first - 300, last + 300)]
    assert pieces < 10


def test_no_run_is_around_the_first_and_the_last() -> None:
    """Then the days of the new runs alone are archived again."""
    first, last = SLOT, SLOT + 4_999 * 300

    found, _ = _answer(AROUND, first, first, last, last)

    assert found == [(None, None)]
