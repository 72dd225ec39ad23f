"""Files of an earlier version with own columns whose names are in use now."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from keeping import compacted, findings, viewed
from world import TAIPEI, World

from bikecollect.archive import datasets
from bikecollect.archive.query import own_columns
from bikecollect.collect import derived_columns
from bikecollect.core.slots import DAY
from bikecollect.reports.export import Exporter, ExportRequest
from bikecollect.storage.csv_format import Derived

duckdb = pytest.importorskip("duckdb")
NAMES = ["Slot", "slot", "minute_of_day", "system_id", "filename", "place"]


def city_with(folder: Path, name: str) -> World:
    """Return a world with two days whose rows have an own column *name*."""
    world = World(folder / "city", derived=(Derived((name,), lambda _: {name: "x"}),))
    world.fetch({"a": 1, "b": 2}, after=300)
    world.fetch({"a": 2, "b": 2}, after=300)
    world.clock.now += DAY
    world.fetch({"a": 4}, after=300)
    return world


def exported(db: Any) -> str:
    """Return the sha256 of the export of the first day, by the views of *db*."""
    request = ExportRequest(
        datasets.STATUS, {"city": TAIPEI}, "2026-11-22", "2026-11-23"
    )
    text = "".join(Exporter(db, request).csv())
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@pytest.mark.parametrize("name", NAMES)
def test_a_day_with_an_own_column_is_read_archived_and_exported(
    folder: Path, name: str
) -> None:
    """The export has the certified digest, and the rows are unchanged."""
    world = city_with(folder, name)
    sql = "SELECT count(*), sum(capacity), min(slot) > 0 FROM station_status"
    with viewed(world, tables=[datasets.STATUS]) as db:
        before = db.execute(sql).fetchall()
        sheet = exported(db)

    (step, *_) = compacted(world, csv_days=0)

    with viewed(world) as db:
        assert db.execute(sql).fetchall() == before == [(5, 50, True)]
        assert db.execute("SELECT sum(changes) FROM coverage").fetchall() == [(1,)]
        assert exported(db) == sheet
    certificate = world.folder.parent / "archive/certificates/system_id=city"
    certified = (certificate / "2026-11-22.json").read_text(encoding="utf-8")
    assert step.why == ""
    assert f'"sha256": "{sheet}"' in certified
    assert findings(world, deep=True) == []


def test_its_name_in_sql_ends_in_own(folder: Path) -> None:
    """In open days and in the archive alike."""
    world = city_with(folder, "Slot")
    sql = "SELECT DISTINCT Slot_own FROM station_status"

    with viewed(world, tables=[datasets.STATUS]) as db:
        open_days = db.execute(sql).fetchall()
    compacted(world, csv_days=0)

    with viewed(world, tables=[datasets.STATUS]) as db:
        assert db.execute(sql).fetchall() == open_days == [("x",)]


def test_a_day_that_an_earlier_version_archived_can_be_queried(folder: Path) -> None:
    """Its Parquet has the column under the reserved name."""
    world = city_with(folder, "date")
    compacted(world, csv_days=0)
    part = datasets.part(world.folder.parent, datasets.STATUS, "city", "2026-11-22")
    old = part.with_name("old.parquet")
    duckdb.sql(
        f"COPY (SELECT * EXCLUDE (date_own), date_own AS date FROM"
        f" read_parquet('{part}', hive_partitioning = false)) TO '{old}'"
    )
    old.rename(part)

    with viewed(world, tables=[datasets.STATUS]) as db:
        rows = db.execute(
            "SELECT DISTINCT CAST(date AS TEXT), date_own FROM"
            " station_status ORDER BY 1"
        ).fetchall()

    assert rows == [("2026-11-22", "x"), ("2026-11-23", "x")]


def test_the_settings_refuse_every_name_that_sql_cannot_have() -> None:
    """Names that are renamed on reading are rejected now."""
    assert own_columns.RESERVED <= derived_columns.RESERVED
