"""The app's data is consistent, and one damaged file does not break all pages."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from keeping import data_service, days, slot_rows
from world import World

from bikecollect.archive.query import views
from bikecollect.archive.query.view_source import ViewedSystem
from bikecollect.core.slots import Slot
from bikecollect.reports.registry import REPORTS, Values
from bikecollect.reports.runner import Duck, ask

pytest.importorskip("duckdb")
DAY = date(2026, 11, 22)
TWO_DAYS = Values(since=DAY, until=DAY + timedelta(days=2), interval=300)


@contextmanager
def viewed_while(world: World, event: Any) -> Iterator[Any]:
    """Yield the views of *world*; *event* happens while its slots are read."""

    def slots(begin: Slot, end: Slot) -> Sequence[Sequence[Any]]:
        event("before")
        rows = slot_rows(world, begin, end)
        event("after")
        return rows

    shown = ViewedSystem(
        system=world.system,
        days=days(world),
        day_slots=slots,
    )
    with views.connected(world.folder.parent, [shown], fails_on=()) as db:
        yield db


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_commit_while_reading_never_empties_the_newest_slot(
    folder: Path, moment: str
) -> None:
    """All stations have counts, of the new slot or of the one before."""
    world = World(folder / "city")
    for bikes in (3, 4):
        world.fetch({"a": bikes, "b": bikes}, after=300)

    def commit(now: str) -> None:
        if now == moment:
            world.fetch({"a": 5, "b": 5}, after=300)

    with viewed_while(world, commit) as db:
        answer = ask(Duck(db), REPORTS["snapshot"], TWO_DAYS)

    counts = answer.columns.index("num_vehicles_available")
    assert [row[counts] for row in answer.rows] == {
        "before": [5, 5],
        "after": [4, 4],
    }[moment]


@pytest.fixture
def damaged(folder: Path) -> World:
    """Return two days, the first with a line that was damaged right after its fetch."""
    world = World(folder / "city")
    for _ in range(3):
        world.fetch({"a": 1}, after=300)
    sheet = world.folder / "station_status/2026-11-22.csv"
    lines = sheet.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b",", b'"', 1)
    sheet.write_bytes(b"\n".join(lines))
    os.utime(sheet, (world.clock.now + 60,) * 2)
    world.fetch({"a": 2}, after=86_400)
    return world


def test_a_damaged_daily_file_is_skipped_and_named(
    damaged: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The other day is shown; the file and the remedy are named.

    A report says that its other slots are used: the day is not skipped.
    """
    service = data_service(damaged)

    rows = service.ask("city", "snapshot", DAY, DAY + timedelta(days=2)).rows
    skipped = service.skipped("city")
    service.close()

    assert [row[8] for row in rows] == [2]
    sheet = damaged.folder / "station_status/2026-11-22.csv"
    assert skipped == [
        f"2026-11-22: {sheet}: the rows of 1 of 3 slots are damaged; run: "
        "bikecollect verify --repair"
    ]
    with viewed_while(damaged, str):
        text = f"city: 2026-11-22 is incomplete: {sheet}: the rows of 1 of 3 slots are "
    assert text in caplog.text
