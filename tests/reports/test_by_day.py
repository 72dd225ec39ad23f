"""Reports from the summaries of days have the rows of the portable text."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keeping import compacted, compactor, replace_summaries, viewed
from reported import engine_for
from world import NOON, World

from bikecollect.archive import summaries
from bikecollect.archive.datasets import part
from bikecollect.archive.query.views import tables_in
from bikecollect.cli import main
from bikecollect.core.slots import DAY
from bikecollect.reports.engines import by_day
from bikecollect.reports.engines.stations_asked import in_duckdb
from bikecollect.reports.registry import REPORTS, Values
from bikecollect.reports.runner import ASKED, Duck, ask

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

duckdb = pytest.importorskip("duckdb")
FIRST = date(2026, 10, 24)
ALL = Values(since=date(2000, 1, 1), until=date(2100, 1, 1), interval=300)
CLOSED = {"is_renting": False, "is_returning": False}
SYSTEMS, STATIONS = tuple(f"city{n}" for n in range(10, 20)), ("a", "b")
DAYS, SLOTS = 4, 5

rows = st.sampled_from(
    [
        None,  # the station has no row
        *((bikes, docks, True) for bikes in (None, 0, 0, 3) for docks in (None, 0, 3)),
        (0, 0, False),  # closed
    ]
)
slots = st.tuples(
    st.sampled_from(["collected", "collected", "stale", "missing", "absent"]),
    st.sampled_from([300, 300, 300, 900]),
    st.tuples(*[rows] * len(STATIONS)),
)
days = st.lists(slots, min_size=SLOTS, max_size=SLOTS)
histories = st.tuples(*[st.lists(days, min_size=DAYS, max_size=DAYS)] * len(SYSTEMS))
"""One for each system: planning a query costs more than these few rows take."""


@pytest.fixture(scope="module")
def db() -> Iterator["DuckDBPyConnection"]:
    """Yield a connection with the tables of the reports, empty, and the summaries."""
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(
            "CREATE TABLE slots (system_id VARCHAR, date DATE, slot BIGINT,"
            " hour_of_week SMALLINT, state VARCHAR, flags VARCHAR);"
            " CREATE TABLE station_status (system_id VARCHAR, date DATE, slot BIGINT,"
            " hour_of_week SMALLINT, station_id VARCHAR,"
            " num_vehicles_available INTEGER, num_docks_available INTEGER,"
            " capacity INTEGER, is_installed BOOLEAN, is_renting BOOLEAN,"
            " is_returning BOOLEAN, last_reported BIGINT)"
        )
        sources = ("station_status", "slots")
        for view, sql in (
            ("coverage", summaries.coverage(300, *sources)),
            ("profile", summaries.profile(*sources)),
            ("station_days", summaries.station_days(*sources)),
            ("presence", summaries.presence(*sources)),
        ):
            connection.execute(f"CREATE VIEW {view} AS {sql}")
        members = [
            (system, name, name, 0, 1 << 40)
            for system, name in product(SYSTEMS, STATIONS)
        ]
        Duck(connection).register("asked", ASKED, members)
        yield connection


def fill(db: "DuckDBPyConnection", *histories: list[list[Any]]) -> None:
    """Replace the slots and rows in *db* by *histories* of systems, days of slots."""
    lines: dict[str, list[str]] = {"slots": [], "station_status": []}
    for system, history in zip(SYSTEMS, histories, strict=False):
        for table, texts in zip(lines, values_of(system, history), strict=True):
            lines[table] += texts
    for table, texts in lines.items():
        db.execute(f"DELETE FROM {table}")
        if texts:
            db.execute(f"INSERT INTO {table} VALUES {', '.join(texts)}")


def values_of(system: str, history: list[list[Any]]) -> tuple[list[str], list[str]]:
    """Return the slots and the rows of *history* as SQL."""
    slots_, rows_ = [], []
    for number, day in enumerate(history):
        slot, name = number * DAY, str(FIRST + timedelta(days=number))
        for state, length, cells in day:
            slot += length
            if state == "absent":  # no slot of the grid
                continue
            flags = "stale" if state == "stale" else ""
            slots_.append(
                f"('{system}', DATE '{name}', {slot}, 0, '{state}', '{flags}')"
            )
            for station, row in zip(STATIONS, cells, strict=True):
                if row is not None and state != "missing":
                    bikes, docks, is_open = ("NULL" if v is None else v for v in row)
                    rows_.append(
                        f"('{system}', DATE '{name}', {slot}, 0, '{station}', {bikes},"
                        f" {docks}, 9, true, {is_open}, {is_open}, {slot})"
                    )
    return slots_, rows_


@settings(max_examples=8, deadline=None)
@given(
    histories=histories,
    least=st.integers(1, SLOTS + 2),
    since=st.integers(0, 1),
    until=st.integers(2, DAYS),
)
def test_any_history_has_equal_rows(
    db: "DuckDBPyConnection",
    histories: tuple[list[list[Any]], ...],
    least: int,
    since: int,
    until: int,
) -> None:
    """Gaps, closed stations, unknown counts, docks never above 0, edges of a range."""
    fill(db, *histories)
    values = replace(
        ALL,
        since=FIRST + timedelta(days=since),
        until=FIRST + timedelta(days=until),
        least=least,
    )

    for name in ("episodes", "availability"):
        from_rows = Duck(db).query(values.sql(REPORTS[name]))
        from_days = Duck(db).query(values.sql(by_day.VARIANTS[name]))

        assert from_days == from_rows


def test_an_episode_over_two_midnights_is_one(db: "DuckDBPyConnection") -> None:
    """Its length is that of its slots; the slots around it are seen."""
    seen, empty = ((3, 3, True), None), ((0, 3, True), None)
    day = [("collected", 300, empty)] * SLOTS
    ends = [("collected", 300, seen)]
    fill(db, [ends + day[1:], day, day[1:] + ends])

    columns, rows = Duck(db).query(ALL.sql(by_day.VARIANTS["episodes"]))

    (row,) = [dict(zip(columns, row, strict=True)) for row in rows]
    assert (row["what"], row["slots"], row["length_s"]) == ("empty", 13, 13 * 300)
    assert (row["begin_seen"], row["end_seen"]) == (1, 1)


def test_rows_of_a_slot_that_is_not_known_do_not_count(
    db: "DuckDBPyConnection",
) -> None:
    """They are of a block that is committed meanwhile: as in coverage."""
    fill(db, [[("collected", 300, ((1, 3, True), None))] * SLOTS])
    db.execute(f"DELETE FROM slots WHERE slot IN (300, {SLOTS * 300})")

    ends = "SELECT first_slot, last_slot FROM"
    (in_coverage,) = db.execute(f"{ends} coverage").fetchall()
    (in_presence,) = db.execute(f"{ends} presence").fetchall()

    assert in_presence == in_coverage == (600, (SLOTS - 1) * 300)


@pytest.mark.parametrize("name", REPORTS)
def test_coverage_is_summed_up_only_for_its_readers(name: str) -> None:
    """The others read when each station had rows from a lighter view."""
    sql = ALL.sql(REPORTS[name])
    needed = in_duckdb(tables_in(sql))

    assert ("coverage" in needed) == ("FROM coverage" in sql)
    assert ("presence" in needed) != ("coverage" in needed)


@pytest.fixture
def world(folder: Path) -> World:
    """Return two archived days and an open one; "a" is empty from day to day."""
    world = World(folder / "city")
    for day in range(3):
        world.clock.now = NOON + day * DAY
        for number in range(4):
            flags = {"b": CLOSED} if number % 2 else {}
            world.fetch({"a": number // 3, "b": 0}, after=300, flags=flags)
    world.clock.now += 3600
    compacted(world)
    return world


def from_rows(world: World, *ranges: Values) -> list[list[Any]]:
    """Return the rows of the report in each range, from the rows of stations."""
    with engine_for(world, REPORTS["episodes"], ALL) as engine:
        answers = [ask(engine, REPORTS["episodes"], values) for values in ranges]
    return [list(answer.rows) for answer in answers]


def from_days(world: World, *ranges: Values) -> list[list[Any]] | None:
    """Return the rows of the variant from summaries, None if it is not possible."""
    variant = by_day.VARIANTS["episodes"]
    with viewed(world, tables=by_day.tables(variant, ALL)) as db:
        if not by_day.is_possible(db):
            return None
        return [list(ask(Duck(db), variant, values).rows) for values in ranges]


def test_archived_and_open_days_have_equal_rows(world: World) -> None:
    """The open day is summed up for the report; the others by `compact`."""
    days = [date(2026, 11, day) for day in (22, 23, 24, 25)]
    ranges = [
        replace(ALL, since=days[first], until=days[end], least=least)
        for first, end, least in ((0, 3, 1), (0, 3, 3), (0, 1, 1), (1, 3, 2), (2, 3, 1))
    ]

    answers = from_days(world, *ranges)

    assert answers == from_rows(world, *ranges)
    assert answers
    assert all(answers)


def test_summaries_without_episodes_are_not_used(world: World) -> None:
    """Until `compact` has renewed those of all days, the rows are read."""
    expected = from_rows(world, ALL)
    replace_summaries(
        world,
        {
            "coverage": "* EXCLUDE (sum_docks, docks_known, episodes)",
            "profile": "*",
        },
    )

    assert from_days(world, ALL) is None
    next(iter(compactor(world).run()))
    assert from_days(world, ALL) is None
    compacted(world)
    assert from_days(world, ALL) == expected


def test_the_command_does_not_read_the_rows_of_archived_days(
    world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its output is the same after they were overwritten by zeros."""
    config = tmp_path / "bikecollect.toml"
    config.write_text(
        f'data_dir = "{world.folder.parent}"\n[systems.city]\nfeed = "youbike"\n'
        'timezone = "Asia/Taipei"\nurl = "http://127.0.0.1:9/"\n'
    )
    (world.folder / ".bikecollect").touch()
    command = ["--config", str(config), "report", "episodes", "--format", "csv"]

    assert main.run(command) == 0
    before = capfd.readouterr().out
    rows = part(world.folder.parent, "station_status", "city", "2026-11-22")
    rows.write_bytes(bytes(rows.stat().st_size))
    assert main.run(command) == 0

    assert capfd.readouterr().out == before
    (rows_,) = from_days(world, ALL) or [[]]
    assert before.count("\n") == 1 + len(rows_)


def test_days_that_overlap_are_read_from_their_rows(db: "DuckDBPyConnection") -> None:
    """After a change of the time zone slots of two days may alternate."""
    cells = ((0, 3, True), (0, 3, True))
    fill(db, [[("collected", 300, cells)] * 3] * 2)

    assert by_day.is_possible(db)
    db.execute(f"UPDATE slots SET slot = slot + {DAY} WHERE date = '{FIRST}'")
    assert not by_day.is_possible(db)


def test_the_columns_are_in_no_view_of_the_user(world: World) -> None:
    """`coverage` and `profile` have the columns that are documented."""
    with viewed(world) as db:
        for view in ("coverage", "profile"):
            described = db.execute(f"DESCRIBE {view}").fetchall()
            assert "episodes" not in {column for column, *_ in described}
        (known,) = db.execute("SELECT sum(docks_known) FROM profile").fetchall()
    assert known[0] > 0
