"""The exact meaning of figures in reports: days, lives, silence, old summaries."""

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from keeping import compacted, compactor, findings, replace_summaries, viewed
from reported import read_report, read_reports
from templates import copied
from world import NOON, World

from bikecollect.archive import summaries
from bikecollect.archive.encoding import csv_cells
from bikecollect.archive.parts import list_parts
from bikecollect.cli import main
from bikecollect.core.slots import DAY, Slot, iso
from bikecollect.core.timeline.utc_offsets import steps
from bikecollect.reports import runner
from bikecollect.reports.registry import REPORTS, Values, wilson
from bikecollect.reports.runner import BatchedAnswer, Duck, ask

duckdb = pytest.importorskip("duckdb")
VALUES = Values(since=date(2000, 1, 1), until=date(2100, 1, 1), interval=300)
SUMMED = ("availability", "reliability", "days", "hours")
"""The reports that read summaries."""
Summed = dict[str, list[dict[str, Any]]]
"""The rows of these, by name."""
CLOSED = {"is_renting": False, "is_returning": False}


def rows_of(world: World, name: str, **more: Any) -> list[dict[str, Any]]:
    """Return the rows of the report *name* on *world*."""
    return read_report(world, REPORTS[name], replace(VALUES, **more))


def in_slots(
    rows: list[tuple[int, int, int, int]], interval: int, name: str, **more: Any
) -> list[dict[str, Any]]:
    """Return the report *name* on (day, slot, local minute of the week, vehicles).

    Days are those of June 2025; the only station is "s".
    """
    answer = None
    with duckdb.connect() as db:
        db.execute(
            "CREATE TABLE slots AS SELECT 'city' AS system_id,"
            " CAST(unnest(?) AS DATE) AS date, unnest(?) AS slot,"
            " unnest(?) AS hour_of_week, unnest(?) AS minute_of_day,"
            " 'collected' AS state, '' AS cause, '' AS flags",
            [
                [f"2025-06-{day:02}" for day, *_ in rows],
                [slot for _, slot, _, _ in rows],
                [minute // 60 for *_, minute, _ in rows],
                [minute % 1440 for *_, minute, _ in rows],
            ],
        )
        db.execute(
            "CREATE TABLE station_status AS SELECT s.*, 's' AS station_id,"
            " v.vehicles AS num_vehicles_available, 5 AS num_docks_available,"
            " true AS is_installed, true AS is_renting, true AS is_returning"
            " FROM slots AS s JOIN (SELECT unnest(?) AS slot, unnest(?) AS vehicles)"
            " AS v ON v.slot = s.slot",
            [[row[1] for row in rows], [row[3] for row in rows]],
        )
        db.execute(
            "CREATE TABLE profile AS SELECT system_id, station_id, date,"
            " SUM(num_docks_available) AS sum_docks, COUNT(*) AS docks_known"
            " FROM station_status GROUP BY ALL"
        )
        values = replace(VALUES, interval=interval, **more)
        duck = Duck(db)
        duck.register(
            "asked",
            {
                "system_id": "VARCHAR",
                "station_id": "VARCHAR",
                "place": "VARCHAR",
                "first_slot": "BIGINT",
                "last_slot": "BIGINT",
            },
            [("city", "s", "s", 0, 1 << 40)],
        )
        columns, answer = duck.query(values.sql(REPORTS[name]))
    return [dict(zip(columns, row, strict=True)) for row in answer]


def test_slots_of_half_a_minute_count_each_day_once() -> None:
    """Three Mondays with six slots around 08:30 are three days, not six."""
    rows = [
        (day, day * DAY + second, 510 + (second - 510 * 60) // 60, 3)
        for day in (2, 9, 16)
        for second in range(509 * 60, 512 * 60, 30)
    ]

    (row,) = in_slots(rows, 30, "chance", minute=510)

    assert (row["days_expected"], row["days_seen"]) == (3, 3)
    assert row["with_vehicle"] == 3


def test_a_repeated_hour_counts_as_one_day() -> None:
    """02:20 occurs twice on the day of the clock change; the first is used."""
    sunday = 6 * 1440
    rows = [
        (1, DAY + minute * 60, sunday + (minute if minute < 180 else minute - 60), seen)
        for minute, seen in ((135, 9), (140, 1), (195, 9), (200, 0))
    ]

    (row,) = in_slots(rows, 300, "chance", minute=140, first_hour=144)

    assert (row["days_expected"], row["days_seen"], row["with_vehicle"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("at", "vehicles"),
    [(8 * 60 + 30, 1), (13 * 60 + 29, 1), (13 * 60 + 30, 2), (2 * 60, 0)],
)
def test_slots_of_eight_hours_off_the_hour_have_a_chance(
    at: int, vehicles: int
) -> None:
    """In Kolkata they begin at 05:30, 13:30, 21:30: the current one is used.

    That of Monday 02:00 began on Sunday.
    """
    sunday, monday = 6 * 1440, 0
    rows = [
        (1, 8 * 3600 * 1, sunday + 13 * 60 + 30, 5),
        (1, 8 * 3600 * 2, sunday + 21 * 60 + 30, 0),
        (2, 8 * 3600 * 3, monday + 5 * 60 + 30, 1),
        (2, 8 * 3600 * 4, monday + 13 * 60 + 30, 2),
        (2, 8 * 3600 * 5, monday + 21 * 60 + 30, 0),
    ]

    (row,) = in_slots(rows, 8 * 3600, "chance", minute=at)

    assert (row["days_expected"], row["days_seen"]) == (1, 1)
    assert row["with_vehicle"] == (1 if vehicles else 0)


def test_an_interval_that_changed_does_not_rescale_the_past() -> None:
    """Two slots of 300 s, then two of 1,800 s: an episode over both has 4,200 s."""
    rows = [
        (1, 2 * DAY - 600, 7 * 1440 - 10, 0),
        (1, 2 * DAY - 300, 7 * 1440 - 5, 0),
        (2, 2 * DAY, 0, 0),
        (2, 2 * DAY + 1800, 30, 0),
        (2, 2 * DAY + 3600, 60, 1),
    ]

    (row,) = in_slots(rows, 1800, "episodes")

    assert (row["slots"], row["length_s"]) == (4, 300 + 300 + 1800 + 1800)


def test_an_interval_that_changed_at_noon_does_not_rescale_the_morning() -> None:
    """Four slots of 1,800 s, then four of 300 s on the same day, in both orders."""
    slow = [1800 * n for n in range(4)]
    fast = [1800 * 4 + 300 * n for n in range(5)]
    rows = [(2, slot, slot // 60, int(slot == fast[-1])) for slot in slow + fast]
    last = 300 * 4 + 1800 * 5
    turned = [300 * n for n in range(4)] + [300 * 4 + 1800 * n for n in range(6)]
    rows_turned = [(2, slot, slot // 60, int(slot == last)) for slot in turned]

    (row,) = in_slots(rows, 300, "episodes")
    (row_turned,) = in_slots(rows_turned, 1800, "episodes")

    assert (row["slots"], row["length_s"]) == (8, 4 * 1800 + 4 * 300)
    assert (row_turned["slots"], row_turned["length_s"]) == (9, 4 * 300 + 5 * 1800)


@pytest.mark.parametrize(("at", "begin"), [(59, 30), (74, 60), (75, 75)])
def test_a_changed_interval_leaves_no_time_of_the_day_without_a_slot(
    at: int, begin: int
) -> None:
    """00:30 to 00:59 is one slot, as before; from 01:00 on they have 15 minutes."""
    begins = (0, 30, 60, 75, 90)
    rows = [(2, DAY + minute * 60, minute, 1) for minute in begins]

    (row,) = in_slots(rows, 900, "chance", minute=at)

    assert row["last_seen"] == DAY + begin * 60


@pytest.mark.parametrize("length", [25_200, 32_400])
def test_a_slot_over_a_clock_change_has_its_own_length(length: int) -> None:
    """Slots of eight hours: the first of the day has seven or nine."""
    ends = (0, length, length + 28_800, length + 57_600)
    rows = [(2, slot, slot // 60, n) for n, slot in enumerate(ends[:3])]
    rows.append((3, ends[3], 1440, 1))

    (row,) = in_slots(rows, 28_800, "episodes")

    assert (row["slots"], row["length_s"]) == (1, length)


def test_a_gap_that_no_slot_lists_lengthens_no_episode() -> None:
    """Imported slots: five minutes each, an hour between the second and the third."""
    rows = [(2, slot, slot // 60, 0) for slot in (0, 300, 3_900, 4_200)]

    (row,) = in_slots(rows, 300, "episodes")

    assert (row["slots"], row["length_s"]) == (4, 1_200)


def test_a_station_is_expected_from_its_first_slot_to_its_last(folder: Path) -> None:
    """It was added in the second slot, removed after the third."""
    world = World(folder / "city")
    world.fetch({"b": 1})
    world.fetch({"a": 1, "b": 1}, after=300)
    world.fetch({"a": 1, "b": 1}, after=600)
    world.fetch({"b": 1}, after=300)

    rows = rows_of(world, "reliability")

    basis = {r["station_id"]: (r["slots_seen"], r["slots_expected"]) for r in rows}
    assert basis == {"a": (2, 3), "b": (4, 5)}
    assert rows == rows_of(world, "reliability", rows=True)
    (hour,) = rows_of(world, "availability")
    assert (hour["slots_seen"], hour["slots_expected"]) == (6, 8)
    assert {(r["station_id"], r["slots_expected"]) for r in rows_of(world, "days")} == {
        ("a", 3),
        ("b", 5),
    }


def test_a_range_does_not_shorten_the_life_of_a_station(folder: Path) -> None:
    """It existed the day before and the day after: its own gap is a gap."""
    world = World(folder / "city")
    world.fetch({"a": 1, "b": 1})
    world.clock.now = NOON + DAY
    world.fetch({"b": 1})
    world.fetch({"a": 1, "b": 1}, after=300)
    world.fetch({"b": 1}, after=300)
    world.clock.now = NOON + 2 * DAY
    world.fetch({"a": 1, "b": 1})
    the_day = {"since": date(2026, 11, 23), "until": date(2026, 11, 24)}

    rows = rows_of(world, "reliability", **the_day)

    basis = {r["station_id"]: r["slots_expected"] for r in rows}
    assert basis == {"a": 288, "b": 288}


def test_a_station_that_never_reported_is_silent(folder: Path) -> None:
    """Others have a time; this one has none, and another has an old one."""
    world = World(folder / "city")
    world.clock.now = NOON + 600
    flags = {
        "never": {"last_reported": None},
        "old": {"last_reported": NOON - 7200},
        "new": {"last_reported": NOON},
    }
    for _ in range(2):
        world.fetch(dict.fromkeys(flags, 1), after=300, flags=flags)

    rows = rows_of(world, "reliability")

    silent = {r["station_id"]: r["share_silent"] for r in rows}
    assert silent == {"never": 1, "old": 1, "new": 0}
    assert rows == rows_of(world, "reliability", rows=True)


def test_a_feed_without_times_has_no_silence(folder: Path) -> None:
    """Whether its stations report is unknown: empty, not 0."""
    world = World(folder / "city")
    world.fetch({"a": 1}, flags={"a": {"last_reported": None}})

    (row,) = rows_of(world, "reliability")

    assert row["share_silent"] is None


def test_changes_of_each_system_are_those_of_its_own_days(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Noon of 22 November in Taipei is 21 November in New York."""
    systems = {"east": "Asia/Taipei", "west": "America/New_York"}
    config = tmp_path / "bikecollect.toml"
    config.write_text(
        f'data_dir = "{tmp_path}/bikes"\n'
        + "".join(
            f'[systems.{name}]\nfeed = "youbike"\nurl = "http://127.0.0.1/"\n'
            f'timezone = "{zone}"\n'
            for name, zone in systems.items()
        )
    )
    day = ("--since", "2026-11-21", "--until", "2026-11-21")
    main.run(["--config", str(config), "report", "changes", "--sql", *day])

    with duckdb.connect() as db:
        db.execute(
            "CREATE TABLE asked AS SELECT unnest(['east', 'west']) AS system_id,"
            " 's' AS station_id; CREATE TABLE stations AS SELECT system_id, station_id,"
            " unnest([?, ?]) AS valid_from, unnest(['Old', 'New']) AS name,"
            " 5 AS capacity, 25.0 AS lat, 121.0 AS lon, true AS is_listed FROM asked",
            [int(NOON) - 9 * DAY, int(NOON)],
        )
        changes = db.execute(capsys.readouterr().out).fetchall()

    assert [row[:4] for row in changes] == [("west", NOON, "s", "renamed")]


OLD = {
    "coverage": (
        "station_id, slots, expected, collected, first_slot, last_slot, gaps,"
        " longest_gap_s, known, 99 AS empty_slots, 99 AS full_slots, changes,"
        " capacity_min, capacity_max, 99 AS silent, 99 AS inactive"
    ),
    "profile": (
        "station_id, hour_of_week, slots, known, docks_known, 99 AS with_vehicle,"
        " 99 AS with_dock, sum_vehicles, sum_docks, min_vehicles, max_vehicles,"
        " sum_capacity, capacity_known"
    ),
}
"""What version 1 held; where its rule was another, a figure that must not be used."""


@copied
def history(folder: Path) -> World:
    """Return two archived days and an open one; "a" is closed now and then."""
    world = World(folder / "city")
    for day in range(3):
        world.clock.now = NOON + day * DAY
        for number in range(4):
            flags = {"a": CLOSED} if number % 2 else {}
            world.fetch({"a": number, "b": 1}, after=300, flags=flags)
    world.clock.now += 3600
    compacted(world)
    return world


@pytest.fixture
def archived(folder: Path) -> World:
    """Return a copy of `history`."""
    return history(folder)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Summed:
    """Return what is `summed` of `history`."""
    return summed(history(tmp_path_factory.mktemp("history")))


def summed(world: World) -> Summed:
    """Return the rows of the reports that read summaries, by name."""
    rows = read_reports(world, [(REPORTS[name], VALUES, "") for name in SUMMED])
    return dict(zip(SUMMED, rows, strict=True))


def test_summaries_of_the_version_before_are_recomputed(
    archived: World, reports: Summed
) -> None:
    """Reports read the rows of those days; `compact` then renews the summaries."""
    replace_summaries(archived, OLD)

    assert summed(archived) == reports

    steps = [(step.day, step.what) for step in compacted(archived)]
    assert steps == [("2026-11-23", "summed up"), ("2026-11-22", "summed up")]
    assert compacted(archived) == []
    assert findings(archived, deep=True) == []
    assert summed(archived) == reports
    data = archived.folder.parent
    for name, parts in list_parts(data, "city", tuple(summaries.NEW_COLUMN)).items():
        rows = f"read_parquet('{parts['2026-11-22'].path}')"
        columns = [row[0] for row in duckdb.sql(f"DESCRIBE FROM {rows}").fetchall()]
        assert summaries.NEW_COLUMN[name] in columns


def test_summaries_renewed_in_part_are_read(archived: World, reports: Summed) -> None:
    """A killed compact has renewed the newest day only."""
    replace_summaries(archived, OLD)

    step = next(iter(compactor(archived).run()))

    assert (step.day, step.what) == ("2026-11-23", "summed up")
    assert summed(archived) == reports


def test_a_chance_of_one_day_is_uncertain() -> None:
    """One day seen leaves a wide interval, however many slots it had."""
    low, high = wilson(1, 1) or (0, 0)

    assert low < 0.3
    assert high == 1


@pytest.mark.parametrize(
    ("name", "most", "parts"), [("typical", 8, 3), ("hours", 1, 2), ("hours", 2, 1)]
)
def test_a_heavy_report_is_computed_for_some_stations_at_a_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int, parts: int
) -> None:
    """All hours, or a quartile's values, are held in memory; the result is equal."""
    world = World(folder / "city")
    for number in range(4):
        world.fetch(dict.fromkeys("abcde", number), after=300)
    full = rows_of(world, name)
    monkeypatch.setattr(runner, "VALUES_AT_ONCE", most)
    queries = []

    class Counting(Duck):
        def stream(self, sql: str) -> BatchedAnswer:
            queries.append(sql)
            return super().stream(sql)

    with viewed(world) as db:
        answer = ask(Counting(db), REPORTS[name], VALUES)

    assert [dict(zip(answer.columns, row, strict=True)) for row in answer.rows] == full
    assert len(queries) == parts


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Australia/Lord_Howe"])
def test_times_of_a_century_need_a_branch_for_each_offset_only(zone: str) -> None:
    """DuckDB plans 150 changes of a clock as fast as one; the text is Python's."""
    century = ZoneInfo(zone)
    sql = csv_cells.iso_text(century, 1_000_000_000, 4_102_444_800)
    changes = [since for since, _ in steps(century, 1_600_000_000, 1_800_000_000)]
    moments = [moment + step for moment in changes for step in (-1, 0, 1)]

    texts = duckdb.execute(
        f"SELECT {sql.format('t')} FROM (SELECT CAST(unnest(?) AS BIGINT) AS t)",
        [moments],
    ).fetchall()

    assert [text for (text,) in texts] == [iso(Slot(m), century) for m in moments]
    assert sql.count("strftime") == 2


@pytest.mark.parametrize("zone", ["Europe/Vienna", "Asia/Taipei"])
def test_times_of_all_ages_are_written_with_few_offsets(zone: str) -> None:
    """Of a station that reports the years 1 to 9999: as Python writes them."""
    zone_info = ZoneInfo(zone)
    moments = [-62_135_500_000, -9_000_000_000, 0, 1_752_000_000, 1_795_276_800]
    moments += [9_000_000_000, 253_402_200_000]
    table = "(SELECT unnest(?) AS t, NULL AS u) AS times"

    with duckdb.connect() as db:
        sql = csv_cells.text_of_times(db, zone_info, ["t", "u"], table, [moments])
        texts = db.execute(f"SELECT {sql.format('t')} FROM {table}", [moments])

        assert [text for (text,) in texts.fetchall()] == [
            datetime.fromtimestamp(moment, zone_info).isoformat() for moment in moments
        ]
    assert sql.count("BETWEEN") < 20


@pytest.mark.parametrize("value", ["NULL", "'nan'::DOUBLE", "'inf'::DOUBLE"])
def test_times_that_are_none_are_written_as_nothing(value: str) -> None:
    """Also where a zone had a local mean time, with seconds, in the year 1."""
    table = f"(SELECT {value} AS t) AS times"

    with duckdb.connect() as db:
        sql = csv_cells.text_of_times(db, ZoneInfo("Europe/Vienna"), ["t"], table)

        written = sql.format("TRY_CAST(t AS BIGINT)")
        assert db.execute(f"SELECT {written} FROM {table}").fetchone() == (None,)
