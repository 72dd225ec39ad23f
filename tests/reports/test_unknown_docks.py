"""Docks that a feed does not know are unknown, and no station is full of them."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from string import Template
from typing import Any

import pytest
from keeping import viewed
from reported import read_report
from templates import copied
from world import TAIPEI, World

from bikecollect.app.queries.films.day_film import film
from bikecollect.app.queries.films.packing import UNSEEN
from bikecollect.reports.parts.fragments import parts
from bikecollect.reports.registry import REPORTS, Values

duckdb = pytest.importorskip("duckdb")
DAY = date(2026, 11, 22)
ONE_DAY = Values(since=DAY, until=DAY + timedelta(days=1), interval=300)
TWO_DAYS = Values(since=DAY, until=DAY + timedelta(days=2), interval=300)


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return four slots: "known" is full once, "unknown" has 0 docks in all of them."""
    world = World(folder / "city")
    for docks, bikes in ((3, 1), (0, 9), (5, 2), (3, 4)):
        world.fetch(
            {"known": bikes, "unknown": bikes},
            after=300,
            docks={"known": docks, "unknown": 0},
        )
    return world


def answered(
    world: World, name: str, values: Values = ONE_DAY, **more: Any
) -> list[dict[str, Any]]:
    """Return the rows of the report *name* about *world*."""
    return read_report(world, REPORTS[name], values, **more)


def by_station(rows: list[dict[str, Any]], column: str) -> dict[str, list[Any]]:
    """Return the values of *column* of each station, in the order of *rows*."""
    values: dict[str, list[Any]] = {}
    for row in rows:
        values.setdefault(row["station_id"], []).append(row[column])
    return values


def test_a_station_that_never_had_a_dock_is_not_full(world: World) -> None:
    """Only the station whose docks are known counts, in its one full slot."""
    rows = [row for row in answered(world, "scarcity") if row["state"] == "collected"]
    episodes = answered(world, "episodes")

    assert [row["full_stations"] for row in rows] == [0, 1, 0, 0]
    assert [row["docks"] for row in rows] == [3, 0, 5, 3]
    assert {row["station_id"] for row in episodes if row["what"] == "full"} == {"known"}


def test_unknown_docks_are_empty_in_every_report(world: World) -> None:
    """Snapshot, history, rankings, chances, days, hours, typical day: no figure."""
    snapshot = by_station(answered(world, "snapshot"), "num_docks_available")
    seen = [row for row in answered(world, "history") if row["state"] == "collected"]
    history = by_station(seen, "num_docks_available")
    rankings = answered(world, "reliability")
    reliability = by_station(rankings, "share_with_dock")
    full = by_station(rankings, "share_full")

    assert snapshot == {"known": [3], "unknown": [None]}
    assert history == {"known": [3, 0, 5, 3], "unknown": [None] * 4}
    assert reliability == {"known": [0.75], "unknown": [None]}
    assert full == {"known": [0.25], "unknown": [None]}
    noon = replace(ONE_DAY, first_hour=156, minute=5)
    chance = by_station(answered(world, "chance", noon), "share_with_dock")
    assert chance == {"known": [1], "unknown": [None]}
    for report, column in (
        ("days", "mean_docks"),
        ("hours", "mean_docks"),
        ("typical", "mid_docks"),
    ):
        values = by_station(answered(world, report), column)
        assert any(value is not None for value in values["known"]), report
        assert {*values["unknown"]} == {None}, report


def test_unknown_docks_do_not_lower_the_share_of_a_district(world: World) -> None:
    """Three slots of four had a known dock, from summaries and from rows."""
    for values in (ONE_DAY, replace(ONE_DAY, rows=True)):
        rows = answered(world, "availability", values, by="system")
        shares = [row["share_with_dock"] for row in rows if row["slots_seen"]]
        assert shares == [0.75]


def test_the_film_of_the_day_has_no_unknown_docks(world: World) -> None:
    """The map of the app draws no full station either."""
    with viewed(world) as db:
        rows = film(db, ONE_DAY, TAIPEI).answer().rows

    docks = {
        station: {row[3] for row in rows if row[1] == station}
        for station in ("known", "unknown")
    }
    assert docks == {"known": {0, 3, 5}, "unknown": {None}}
    assert UNSEEN not in docks["unknown"]


@pytest.mark.parametrize("interval", [300, 43_200])
def test_a_station_that_is_full_since_midnight_stays_full(
    world: World, interval: int
) -> None:
    """A day that has just begun is judged together with the day before.

    So it is if today's interval is a longer one.
    """
    values = replace(TWO_DAYS, interval=interval)
    world.fetch(
        {"known": 9, "unknown": 9}, after=43_200, docks={"known": 0, "unknown": 0}
    )

    rows = answered(world, "scarcity", values)
    (last,) = [row for row in rows if row["state"] == "collected"][-1:]
    snapshot = by_station(answered(world, "snapshot", values), "num_docks_available")

    assert last["full_stations"] == 1
    assert snapshot == {"known": [0], "unknown": [None]}


@pytest.mark.parametrize(
    ("known", "docks_before", "is_unknown"),
    [(11, 5, False), (12, 5, True), (11, 0, True), (1, None, True)],
)
def test_zeros_are_docks_for_less_than_twelve_hours(
    known: int, docks_before: int | None, *, is_unknown: bool
) -> None:
    """On a day of 24 slots; then the day before decides, as the sentence says."""
    sql = Template(parts()["dockless"]).substitute(
        eve=DAY, until=DAY + timedelta(days=2), interval=3_600
    )
    db = duckdb.connect()
    db.execute(
        "CREATE TABLE slots AS SELECT 'city' AS system_id, slot * 3600 AS slot,"
        f" DATE '{DAY}' + CAST(slot // 24 AS INTEGER) AS date FROM range(48) AS r(slot)"
    )
    db.execute(
        "CREATE TABLE profile AS SELECT 'city' AS system_id, 'a' AS station_id, *"
        f" FROM (VALUES (DATE '{DAY}', CAST(? AS INTEGER), 24),"
        f" (DATE '{DAY}' + 1, 0, ?)) AS p(date, sum_docks, docks_known)",
        [docks_before, known],
    )

    found = db.execute(
        f"WITH {sql} SELECT COUNT(*) FROM dockless WHERE date > DATE '{DAY}'"
    ).fetchall()

    assert found == [(is_unknown,)]


def test_the_day_before_is_the_same_in_every_range(world: World) -> None:
    """It is read for a range that begins later, and from rows; a gap is not skipped."""
    for after, docks in ((43_200, 0), (86_400, 5), (2 * 86_400, 0)):
        world.fetch({"known": 9}, after=after, docks={"known": docks})

    for since, fresh in ((0, False), (1, True)):
        values = replace(
            ONE_DAY,
            since=DAY + timedelta(days=since),
            until=DAY + timedelta(days=5),
            without_stale=fresh,
        )
        rows = answered(world, "history", values)
        seen = [row for row in rows if row["state"] == "collected"]
        docks_told = by_station(seen, "num_docks_available")["known"]
        assert docks_told[-3:] == [0, 5, None], (since, fresh)
    whole = replace(ONE_DAY, until=DAY + timedelta(days=5))
    full = by_station(answered(world, "reliability", whole), "share_full")
    assert full["known"] == [pytest.approx(2 / 6)]  # not in the slot without docks
