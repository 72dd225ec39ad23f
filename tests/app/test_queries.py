"""The queries of the data app, from reports, archive and ledger."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from keeping import archived_past_days, compacted, data_service, unpacked
from world import NOON, World

from bikecollect.app.queries import chart_rows, collection
from bikecollect.app.queries.comparison import compared
from bikecollect.app.queries.coverage_days import days_of
from bikecollect.app.queries.films.packing import UNSEEN
from bikecollect.app.queries.service import DataService
from bikecollect.app.queries.stations import MapStation, chosen, nearest, places
from bikecollect.cli.sharing import folder as pages_folder
from bikecollect.core.errors import Outcome, UsageError
from bikecollect.core.incidents import Incident
from bikecollect.core.run import Result
from bikecollect.core.slots import Slot
from bikecollect.core.timeline.grid import Grid, Period
from bikecollect.reports.coverage import Evidence, account
from bikecollect.reports.runner import Answer
from bikecollect.reports.status_facts import facts
from bikecollect.setup.settings import DEMO_MARKER, DEMO_URL

pytest.importorskip("duckdb")
DAY = date(2026, 11, 22)
NEXT = DAY + timedelta(days=1)
START = Slot(int(NOON))


@pytest.fixture
def world(folder: Path) -> World:
    """Return slots of half an hour, one of them missing, one with a silent count."""
    world = World(folder / "city")
    for bikes in ({"a": 0, "b": 3}, {"a": 2}, None, {"a": 1, "b": 70_000}):
        world.clock.now += 300
        if bikes is not None:
            world.fetch(dict(bikes), capacity=50_000)
    return world


@pytest.fixture
def held(world: World) -> Iterator[DataService]:
    """Yield the data service of *world*, shortly after its last slot."""
    service = data_service(world)
    yield service
    service.close()


def test_a_film_has_each_station_in_each_expected_slot(held: DataService) -> None:
    """What was not seen is marked, and never drawn as zero."""
    film = held.film("city", DAY)

    width = len(film.slots)
    row = unpacked(film.vehicles)
    at = film.slots.index(int(NOON) + 300)
    assert [station[0] for station in film.stations] == ["a", "b"]
    assert row[at : at + 4] == [0, 2, UNSEEN, 1]
    assert row[width + at : width + at + 4] == [3, UNSEEN, UNSEEN, UNSEEN]
    assert film.states[at] == "collected"
    assert film.states[at + 2] not in {"", "collected"}


def test_a_film_says_when_a_station_was_closed(world: World, held: DataService) -> None:
    """Slot by slot: a closed station is neither empty nor full, as in `scarcity`."""
    world.fetch({"a": 0, "b": 0}, after=300, closed=["b"], docks={"b": 0})
    world.fetch({"a": 0, "b": 0}, after=300, docks={"b": 0})

    film = held.film("city", DAY)

    width = len(film.slots)
    closed = unpacked(film.closed)
    assert list(closed[width - 2 : width]) == [0, 0]
    assert list(closed[-2:]) == [1, 0]
    scarce = held.ask("city", "scarcity", DAY, NEXT)
    assert [
        row[scarce.columns.index("empty_stations")] for row in scarce.rows[-2:]
    ] == [
        1,
        2,
    ]


@pytest.mark.parametrize("days", [0, 3, 60])
def test_a_demo_that_is_over_is_not_late(
    held: DataService, world: World, days: int
) -> None:
    """As in `status`: of a simulated city no more data are expected.

    Its coverage, and the strip of 24 hours, are those of its last days, however long
    ago they were.
    """
    complete = held.standing("city").health.coverage
    assert held.settings.systems["city"].url == DEMO_URL
    file = world.folder / "bikecollect.toml"
    held.settings = replace(held.settings, folder=file.parent, source=str(file))
    world.clock.now += days * 86_400 + 7_200
    before = held.standing("city").health
    (world.folder / DEMO_MARKER).touch()
    standing = held.standing("city")
    after = standing.health
    shown = {fact.title: fact.text for fact in facts(standing)}

    assert (before.late, before.is_over) == (True, False)
    assert (after.late, after.is_over) == (False, True)
    assert before.coverage["30d"] != complete["30d"]
    assert after.coverage == complete
    assert shown["Coverage"].startswith("2026-11-22 75.0 %, 7 days ")
    assert [state.value for _, state in after.strip[-3:]] == [
        "collected",
        "missing",
        "collected",
    ]
    assert after.runs == len(held.runs("city", after.strip[0][0])) == 3


def test_an_incident_ends_with_its_last_slot_as_in_its_mail() -> None:
    """It is closed by the second good slot, or two hours after a relapse."""
    first = Incident("0000000a", "fetch", opened=START, last=Slot(START + 600))

    closed = first._replace(closed=Slot(START + 1200))
    grid = Grid((Period(0, 300), Period(START + 3_600, 1_800)))

    assert collection.incidents([first], grid).rows[0][2] is None
    assert collection.incidents([closed], grid).rows[0][2] == START + 900
    newer = closed._replace(opened=Slot(START + 1))
    rows = collection.incidents([closed, first, newer], grid).rows
    assert [row[2] is None for row in rows] == [True, False, False]  # the open one


def test_a_demo_that_is_over_ends_everywhere_with_its_last_slot(
    held: DataService, world: World
) -> None:
    """`backfill-report` and `report coverage` count no later slots, as `status`."""
    file = world.folder / "bikecollect.toml"
    (world.folder / DEMO_MARKER).touch()
    settings = replace(held.settings, folder=file.parent, source=str(file))
    world.clock.now += 3 * 86_400

    with closing(DataService(settings, world.clock)) as over:
        coverage = over.standing("city").health.coverage["30d"]
        account = over.account("city", DAY, DAY + timedelta(days=9))
        reported = over.ask("city", "coverage", DAY, DAY + timedelta(days=9))

    assert account.total == coverage
    assert {row[1] for row in reported.rows} == {"2026-11-22"}
    assert sum(row[4] for row in reported.rows) == coverage.expected

    # `forget` of all its days: they are lost, and no later slots are missing.
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db, db:
        db.execute("DELETE FROM blocks")
    with closing(DataService(settings, world.clock)) as lost:
        coverage = lost.standing("city").health.coverage["30d"]
        lost_account = lost.account("city", DAY, DAY + timedelta(days=9))
    assert coverage == lost_account.total
    assert (coverage.expected, coverage.collected) == (account.total.expected, 0)


def test_a_films_data_have_a_row_for_what_was_seen(held: DataService) -> None:
    """Station by station; docks too, also where the vehicles are unknown."""
    film = held.film("city", DAY)

    rows = [(slot - int(NOON), *more) for slot, *more in film.answer().rows]

    assert rows == [
        (300, "a", 0, 2),
        (600, "a", 2, 2),
        (1200, "a", 1, 2),
        (300, "b", 3, 2),
        (1200, "b", None, 2),
    ]
    assert film.collected == 3
    # Seconds if a slot has some, the offset in the hour that occurs twice.
    winter = 1_792_893_600  # 03:00, when summer time has ended for an hour
    twice, seconds = ([winter - 3_600, winter], [winter, winter + 30])
    oslo = ZoneInfo("Europe/Oslo")
    assert replace(film, slots=twice).labels(oslo) == ["02:00 (+01:00)", "03:00"]
    assert replace(film, slots=seconds).labels(oslo) == ["03:00:00", "03:00:30"]


def test_the_service_reads_new_commits(world: World, held: DataService) -> None:
    """The connection is closed when the ledger has changed."""
    before = places(held.ask("city", "snapshot", DAY, NEXT).rows)

    world.clock.now += 300
    world.fetch({"a": 9, "b": 9})
    after = places(held.ask("city", "snapshot", DAY, NEXT).rows)

    assert {station.vehicles for station in before} == {1, 70_000}
    assert {station.vehicles for station in after} == {9}


def test_settings_changed_as_a_query_begins_are_used_by_the_next(
    held: DataService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection with the settings from before is not that of the new ones."""
    other = replace(held.settings, data_dir=str(held.settings.data / "empty"))
    state = held.state

    def state_after_the_change(name: str) -> tuple[object, ...]:
        if held.settings is not other:
            held.use(other)
        return state(name)

    monkeypatch.setattr(held, "state", state_after_the_change)
    held.texts("city")

    assert held.texts("city") == {}


def test_the_service_continues_when_files_are_archived(
    world: World, held: DataService
) -> None:
    """A CSV that compact has removed is read from the archive.

    An archived file that is removed is missing at once, and named at the next look.
    """
    first = held.ask("city", "hours", DAY, NEXT, stations=["a"])
    world.clock.now += 86_400
    world.fetch({"a": 1, "b": 1})
    compacted(world, csv_days=0)
    assert not list(world.folder.glob("station_status/2026-11-22*"))

    again = held.ask("city", "hours", DAY, NEXT, stations=["a"])

    seen = [row[4] for row in again.rows if row[4]]
    assert seen == [row[4] for row in first.rows if row[4]] == [3]

    before = held.state("city")
    (file,) = world.folder.parent.glob("archive/station_status/*/date=2026-11-22/*")
    file.unlink()
    (row, _) = held.ask("city", "snapshot", DAY, NEXT).rows
    assert (row[3:6], held.state("city") != before) == ((None, None, None), True)
    (lost,) = held.skipped("city")
    assert lost.startswith(f"2026-11-22: {file} is missing")
    assert "restore it from a backup" in lost


def test_a_failed_query_does_not_affect_the_next(held: DataService) -> None:
    """An unknown station is an error, and the connection is usable."""
    with pytest.raises(UsageError, match="unknown station nowhere"):
        held.ask("city", "typical", DAY, NEXT, stations=["nowhere"])

    assert held.ask("city", "typical", DAY, NEXT, stations=["a"]).rows


def test_a_live_map_reads_the_archived_rows_of_its_days_only(
    folder: Path, tmp_path: Path
) -> None:
    """Every five minutes; those of a year would be read from the disk each time."""
    world = archived_past_days(folder)
    world.fetch({"0001": 2}, after=9 * 86_400)
    oldest = min(folder.glob("archive/station_status/*/*/part.parquet"))
    oldest.write_bytes(bytes([oldest.read_bytes()[0] ^ 1]) + oldest.read_bytes()[1:])
    (tmp_path / "coverage.html").touch()  # the other pages are written once an hour

    with closing(data_service(world)) as service:
        of_all_days = service.skipped("city")
        pages_folder.write_live(service, "city", tmp_path)
        of_the_map = service.skipped("city")
        service.needs_only(date.fromisoformat(of_all_days[0][:10]))
        of_that_day = service.skipped("city")

    assert (len(of_all_days), of_the_map, of_that_day) == (1, [], of_all_days)


def test_queries_change_no_file(world: World, held: DataService) -> None:
    """All bytes and names are the same, except SQLite's own shared memory."""

    def all_of_it() -> dict[Path, bytes]:
        return {
            path: path.read_bytes()
            for path in world.folder.parent.rglob("*")
            if path.is_file() and not path.name.endswith(("-shm", "-wal"))
        }

    before = all_of_it()
    held.film("city", DAY)
    held.standing("city")
    held.account("city", DAY, NEXT)
    held.runs("city", START)
    held.incidents("city")
    held.close()

    assert all_of_it() == before


def test_an_empty_system_has_no_data(folder: Path) -> None:
    """No days, no runs; no file is created."""
    held = data_service(World(folder / "city"))

    assert held.days("city") is None
    assert held.runs("city", START) == []
    assert held.unarchived("city") == 0


def place(station_id: str, lat: float = 0.0, **more: object) -> MapStation:
    """Return a place with some values."""
    values = {
        "system_id": "city",
        "station_id": station_id,
        "lat": lat,
        "lon": 0.0,
        "slot": 0,
        "vehicles": 1,
        "docks": 1,
    }
    return MapStation(**{**dict.fromkeys(MapStation._fields), **values, **more})  # type: ignore[arg-type]


def test_stations_are_filtered() -> None:
    """By a search, by areas, and by minimum counts."""
    some = [
        place("A1", name="Old Mill", region="East", vehicles=0),
        place("a2", name="New Mill", region="West", docks=None),
    ]

    def ids(**what: object) -> list[str]:
        return [station.station_id for station in chosen(some, **what)]  # type: ignore[arg-type]

    assert ids(matches={"A1"}) == ["A1"]
    assert ids(matches=set()) == []
    assert ids(regions=["West"]) == ["a2"]
    assert ids(vehicles=1) == ["a2"]
    assert ids(docks=1) == ["A1"]


def test_the_nearest_come_first_with_their_distance() -> None:
    """A thousandth of a degree of latitude is 111 m; unknown places are skipped."""
    some = [place("far", 0.002), place("near", 0.001), place("lost", lat=None)]  # type: ignore[arg-type]

    distances = nearest(some, 0.0, 0.0)

    assert [(round(metres), station.station_id) for metres, station in distances] == [
        (111, "near"),
        (222, "far"),
    ]


def test_periods_are_compared_only_where_both_have_data() -> None:
    """Otherwise there is no difference."""
    columns = [
        *("system_id", "place", "hour_of_week"),
        *("slots_seen", "slots_expected", "mean_vehicles"),
    ]
    first = Answer(columns, [("c", "c", 0, 6, 12, 2.0), ("c", "c", 1, 0, 12, None)])
    second = Answer(columns, [("c", "c", 0, 12, 12, 5.0), ("c", "c", 1, 3, 12, 1.0)])

    pairs = compared(first, second, "mean_vehicles")

    at = pairs.columns.index("difference")
    assert [row[at] for row in pairs.rows] == [3.0, None]
    assert pairs.rows[0][-4:] == (6, 12, 12, 12)


def test_a_typical_day_and_a_day_are_one_table() -> None:
    """By the minute; cells without data are empty."""
    names = [f"{band}_vehicles" for band in ("low", "mid", "high")]
    typical = Answer(
        ["weekday", "minute", *names, "days_seen", "days_expected"],
        [(6, 0, 1.0, 2.0, 3.0, 4, 5), (0, 0, 9.0, 9.0, 9.0, 1, 1)],
    )
    history = Answer(["minute_of_day", "num_vehicles_available"], [(0, 7), (5, None)])

    chart = chart_rows.overlaid(typical, history, DAY, "vehicles")

    assert chart.rows == [
        ("2026-11-22 00:00", 1.0, 2.0, 3.0, 4, 5, 7, True),
        ("2026-11-22 00:05", None, None, None, None, None, None, True),
    ]


def test_missing_and_closed_times_are_shaded() -> None:
    """A slot to its end, an hour and a day by the clock."""
    slots = Answer(
        ["slot", "state", "cause", "seen", "is_renting", "is_returning"],
        [
            (300, "collected", "", 1, False, False),
            (600, "missing", "disk", None, None, None),
        ],
    )
    more = ["date", "slots_seen", "day_slots", "day_closed"]
    days = Answer(more, [("2026-11-22", 0, 0, 0), ("2026-11-23", 9, 10, 5)])

    assert [row[-4:] for row in chart_rows.slots(slots, 300, "seen").rows] == [
        (600, False, "collected", True),
        (900, True, "disk", False),
    ]
    assert [row[-4:] for row in chart_rows.days(days).rows] == [
        ("2026-11-22", "2026-11-22 23:59:59", True, False),
        ("2026-11-23", "2026-11-23 23:59:59", False, True),
    ]


def test_missing_hours_are_those_of_the_intervals_of_their_time() -> None:
    """Two slots of half an hour and six of ten minutes are two hours."""
    grid = Grid((Period(0, 1_800), Period(3_600, 600)))
    evidence = Evidence(first=Slot(0))

    over = account("city", evidence, UTC, grid, since=Slot(0), until=Slot(7_200))

    assert [row[1:3] for row in collection.causes(over).rows] == [(8, 2.0)]


def test_slots_are_shaded_by_the_interval_of_their_time() -> None:
    """Five minutes before noon, ten after; a day without slots lengthens none."""
    begins = (0, 300, 600, 900, 1_500, 2_100, 90_000, 90_600)
    columns = ["slot", "state", "cause", "seen"]
    slots = Answer(columns, [(begin, "missing", "disk", None) for begin in begins])

    rows = chart_rows.slots(slots, 3_600, "seen").rows

    lengths = [row[-4] - row[0] for row in rows]
    assert lengths == [300, 300, 300, 600, 600, 600, 600, 600]


@pytest.mark.parametrize(
    ("outcome", "flags", "kind"),
    [
        (Outcome.COLLECTED, (), "good"),
        (Outcome.COLLECTED, ("stale",), "partial or stale"),
        (Outcome.COLLECTED, ("late",), "good"),
        (Outcome.DUPLICATE, (), "skipped"),
        (Outcome.UNAVAILABLE, (), "failed"),
    ],
)
def test_a_run_ends_in_one_of_four_kinds(
    world: World, outcome: Outcome, flags: tuple[str, ...], kind: str
) -> None:
    """As the bars are coloured."""
    run = replace(world.begin(), result=Result(outcome, flags=flags))

    assert collection.kind(run) == kind


def test_a_day_of_the_calendar_names_its_worst_cause() -> None:
    """Counts and causes are those of the report."""
    columns = ["system_id", "date", "state", "cause", "slots", "expected", "share"]
    rows = [
        ("c", "2026-11-22", "collected", "", 200, 288, 0.7),
        ("c", "2026-11-22", "missing", "asleep", 80, 288, 0.3),
        ("c", "2026-11-22", "missing", "disk", 8, 288, 0.0),
        ("c", "2026-11-23", "collected", "", 288, 288, 1.0),
    ]

    days = days_of(Answer(columns, rows))

    assert [day[:6] for day in days] == [
        ("2026-11-22", 288, 200, 88, "asleep", "50 to 90 %"),
        ("2026-11-23", 288, 288, 0, "", "complete"),
    ]
    assert [(day.weekday, day.week, day.share) for day in days] == [
        ("Sun", "2026-11-16", "69.4 %"),
        ("Mon", "2026-11-23", "100 %"),
    ]


def test_a_day_that_lacks_one_of_many_slots_is_not_shown_as_complete() -> None:
    """Only a complete day has 100 %, however many slots it has."""
    columns = ["system_id", "date", "state", "cause", "slots", "expected", "share"]
    states = [("collected", "", 17_279), ("missing", "dns", 1)]
    rows = [("c", "2026-11-22", *state, 17_280, 0.5) for state in states]

    (day,) = days_of(Answer(columns, rows))

    assert (day.share, day.level) == ("99.9 %", "99 to 100 %")
