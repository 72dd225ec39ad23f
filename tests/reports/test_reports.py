"""Reports are based on collected slots only."""

import json
import re
from dataclasses import replace
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from command import on_terminal
from demo_city import ended
from in_process import bikecollect
from keeping import compacted
from quiet_settings import write_settings
from reported import engine_for, read_report, read_reports
from templates import copied
from world import NOON, TAIPEI, World

from bikecollect.cli.publishing.readme import METHODS
from bikecollect.cli.render import reports as render
from bikecollect.cli.render.reports import answer
from bikecollect.core.errors import FeedUnavailable, UsageError
from bikecollect.core.slots import DAY
from bikecollect.reports.registry import NUMBERS, REPORTS, Values, wilson
from bikecollect.reports.runner import BatchedAnswer, ask

duckdb = pytest.importorskip("duckdb")
DAYS = ("--until", "2026-11-22")
"""The world's only day: a command, whose clock is real, would show those behind too."""
VALUES = Values(since=date(2000, 1, 1), until=date(2100, 1, 1), interval=300)
FROM_ROWS = replace(VALUES, rows=True)
OTHERS = ("since", "until", "eve", "without", "closed", "begin_of_v", "end_of_v")
"""The placeholders that the reference explains, beside the numbers."""
FORBIDDEN = (
    r"//|QUALIFY|FILTER|GROUP BY ALL|QUANTILE|MEDIAN|ARG_M|EXTRACT|DATE_|EPOCH"
    r"|STRFTIME|INTERVAL '|::|TIMESTAMP|EXCLUDE|\bNOW\b|ASOF|\bLIST\b"
)


def answered(world: World, name: str, **more: Any) -> list[dict[str, Any]]:
    """Return what the report *name* says of *world*."""
    values = more.pop("values", VALUES)
    return read_report(world, REPORTS[name], values, **more)


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return a Sunday noon with a gap; "0001" has 4, 0, 0, -, 0, 2 vehicles."""
    world = World(folder / "city")
    for bikes in (4, 0, 0):
        world.fetch({"0001": bikes, "b": 1}, after=300)
    for bikes in (0, 2):
        world.fetch({"0001": bikes}, after=600 if bikes == 0 else 300)
    return world


@pytest.fixture
def config(config: Path) -> Path:
    """Return the settings of *world*'s city, which is over."""
    return ended(config)


@pytest.mark.parametrize("name", REPORTS)
def test_each_column_of_a_report_is_explained(world: World, name: str) -> None:
    """In its own notes, or on the page of reports for all of them."""
    with engine_for(world, REPORTS[name], VALUES) as engine:
        columns = ask(engine, REPORTS[name], VALUES).columns
    page = Path(__file__).parents[2] / "docs/reference/reports.md"
    common = page.read_text("utf-8").partition("[[[cog")[0]
    words = re.findall(r"\w+", f"{common} {' '.join(REPORTS[name].notes)}")
    prefixes = {word for word in words if word.endswith("_")}

    known = {*words, *(c for c in columns if f"{c.partition('_')[0]}_" in prefixes)}
    assert set(columns) - known == set()


@pytest.mark.parametrize("name", REPORTS)
def test_the_sql_is_portable(name: str) -> None:
    """No date function, and no words of one engine (facts of other engines' SQL)."""
    report = REPORTS[name]
    sql = replace(VALUES, without_stale=True).sql(report)
    code = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))

    assert re.findall(FORBIDDEN, code, re.IGNORECASE) == []
    assert report.title.endswith(".") or report.title.endswith("?")


@pytest.mark.parametrize("name", sorted(REPORTS.keys() - {"stations"}))
def test_a_report_is_of_the_days_that_were_asked_for(name: str) -> None:
    """Its SQL without their placeholders would ignore --since and --until."""
    other = replace(VALUES, since=date(2020, 1, 1), until=date(2020, 1, 2))
    other = replace(other, begin=1_577_836_800, end=1_577_923_200)

    assert other.sql(REPORTS[name]) != VALUES.sql(REPORTS[name])


@pytest.mark.parametrize("name", REPORTS)
def test_shared_parts_are_written_once(name: str) -> None:
    """No report repeats the rules of expected slots and of unknown docks."""
    folder = files("bikecollect.reports")
    text = folder.joinpath(f"{name}.sql").read_text(encoding="utf-8")

    assert "JOIN dockless" not in text
    assert "SELECT DISTINCT a.system_id AS system_id, a.first_slot" not in text
    assert re.findall(r"\$(?!\w+)", REPORTS[name].text) == []
    assert set(re.findall(r"\$(\w+)", REPORTS[name].text)) <= {*NUMBERS, *OTHERS}


ON_DOCKS = r"dockless|\$scarce"
RULE_OF_DOCKS = (
    "Docks that were never above 0 over a day are unknown on that day, unless they "
    "were known for less than 12 hours of it and above 0 on the day before."
)


@pytest.mark.parametrize("name", [*REPORTS, "episodes_by_day", "parts/dockless"])
def test_the_rule_of_unknown_docks_has_one_wording(name: str) -> None:
    """It stands in each report that leaves out unknown docks, and in no other."""
    text = files("bikecollect.reports").joinpath(f"{name}.sql").read_text("utf-8")
    comments = [line[3:] for line in text.splitlines() if line.startswith("-- ")]

    assert (RULE_OF_DOCKS in " ".join(comments)) is bool(re.search(ON_DOCKS, text))
    assert RULE_OF_DOCKS in " ".join(METHODS.split())


def test_means_and_shares_are_of_slots_that_were_seen(world: World) -> None:
    """Six expected, five seen: the gap is only in the basis."""
    (row,) = answered(world, "availability", by="station", stations=["0001"])

    assert (row["slots_seen"], row["slots_expected"]) == (5, 6)
    assert row["mean_vehicles"] == pytest.approx(6 / 5)
    assert row["share_with_vehicle"] == pytest.approx(2 / 5)
    assert row["hour_of_week"] == 156


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("name", "form"), [("r.csv", "csv"), ("r.jsonl", "json"), ("r", "csv")]
)
def test_a_file_has_what_is_printed(
    config: Path, tmp_path: Path, name: str, form: str
) -> None:
    """In the format that its name says."""
    arguments = ("--config", config, "report", "availability", "--by", "station")
    printed = bikecollect(*arguments, "--format", form)
    process = bikecollect(*arguments, "-o", tmp_path / name)

    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
    assert (tmp_path / name).read_text("utf-8") == printed.stdout
    assert printed.stdout.count("\n") > 1


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", ["availability", "stations", "snapshot", "episodes"])
def test_a_report_as_parquet_has_the_values_of_json(
    config: Path, tmp_path: Path, name: str
) -> None:
    """With types, in the same order; times are epoch seconds."""
    path = tmp_path / "r.parquet"
    arguments = ("--config", config, "report", name, "--limit", "2")
    printed = bikecollect(*arguments, "--format", "json").stdout
    process = bikecollect(*arguments, "-o", path)

    rows = duckdb.read_parquet(str(path))
    times = render.TIMES.intersection(rows.columns)
    records = [json.loads(line) for line in printed.splitlines()]
    for record in records:
        record.update({time: seconds_of(record[time]) for time in times})
    assert process.returncode == 0
    assert [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()] == (
        records
    )


def seconds_of(text: str | None) -> int | None:
    """Return the epoch seconds of an ISO 8601 time."""
    return None if text is None else int(datetime.fromisoformat(text).timestamp())


def test_a_report_from_summaries_equals_that_from_rows(world: World) -> None:
    """Value for value, by station and by system, from the archive too."""
    world.clock.now += DAY
    world.fetch({"0001": 3, "c": 2})
    report, groupings = REPORTS["availability"], ("station", "system", "district")
    for _ in range(2):
        of_summaries = read_reports(world, [(report, VALUES, by) for by in groupings])
        of_rows = read_reports(world, [(report, FROM_ROWS, by) for by in groupings])
        assert of_summaries == of_rows
        assert all(of_summaries)
        world.clock.now += DAY
        compacted(world)


def test_an_episode_ends_where_a_slot_was_not_seen(world: World) -> None:
    """Empty, a gap, empty: two episodes, and their ends at the gap are uncertain."""
    episodes = answered(world, "episodes", stations=["0001"])

    assert [
        (r["what"], r["first_slot"] - NOON, r["slots"], r["begin_seen"], r["end_seen"])
        for r in episodes
    ] == [("empty", 600, 2, 1, 0), ("empty", 1500, 1, 0, 1)]
    assert episodes[0]["length_s"] == 600


def test_an_episode_over_midnight_is_one(folder: Path) -> None:
    """Also when one of the days is archived."""
    world = World(folder / "city")
    world.clock.now = NOON + 43_200 - 600
    for _ in range(4):
        world.fetch({"a": 0}, after=300)
    world.clock.now += 6 * 3600
    compacted(world)

    (episode,) = answered(world, "episodes")

    assert episode["slots"] == 4


def test_an_episode_at_a_stations_own_gap_is_uncertain(
    folder: Path,
) -> None:
    """The system was collected, the station was missing."""
    world = World(folder / "city")
    for stations in ({"a": 0, "b": 1}, {"b": 1}, {"a": 0, "b": 1}, {"a": 1, "b": 1}):
        world.fetch(stations, after=300)

    episodes = answered(world, "episodes")

    assert [(r["slots"], r["begin_seen"], r["end_seen"]) for r in episodes] == [
        (1, 0, 0),
        (1, 0, 1),
    ]


def test_reliability_has_the_worst_station_first(world: World) -> None:
    """With the share of slots as its basis; "b" was there in three only."""
    first, second = answered(world, "reliability")

    assert (first["station_id"], first["slots_seen"]) == ("0001", 5)
    assert first["share_with_vehicle"] == pytest.approx(2 / 5)
    assert (second["slots_seen"], second["slots_expected"]) == (3, 3)


def test_a_chance_has_its_number_of_days(folder: Path) -> None:
    """Four Sundays expected, three seen, two with a vehicle."""
    world = World(folder / "city")
    for week, bikes in enumerate((3, 0, None, 1)):
        world.clock.now = NOON + week * 7 * DAY
        if bikes is not None:
            world.fetch({"a": bikes})
    values = Values(VALUES.since, VALUES.until, 300, minute=720, first_hour=144)

    (estimate,) = answered(world, "chance", values=values)

    assert (estimate["days_expected"], estimate["days_seen"]) == (4, 3)
    assert estimate["with_vehicle"] == 2
    assert (estimate["low"], estimate["high"]) == wilson(2, 3)
    assert estimate["last_seen"] == NOON + 21 * DAY


def test_a_basis_of_nothing_gives_no_figure(world: World) -> None:
    """Empty, never 0."""
    values = Values(VALUES.since, VALUES.until, 300, minute=740, first_hour=144)

    (estimate,) = answered(world, "chance", values=values, stations=["b"])

    assert estimate["days_seen"] == 0
    assert estimate["share_with_vehicle"] is None
    assert estimate["low"] is None


def test_changes_name_what_happened_to_stations(world: World) -> None:
    """Added and renamed; those of the first slot are not "added"."""
    world.fetch({"0001": 1, "new": 1}, after=300, names={"0001": "Other"})

    changes = answered(world, "changes", values=Values(VALUES.since, VALUES.until, 300))

    assert [(r["station_id"], r["what"], r["old"], r["new"]) for r in changes] == [
        ("0001", "renamed", "0001", "Other"),
        ("new", "added", "", "new"),
    ]


def test_neighbours_are_compared_in_the_slots_without_vehicles(folder: Path) -> None:
    """While "s" is empty its neighbour has one in two of three slots seen.

    Between them is the line at which longitudes change their sign.
    """
    world = World(folder / "city")
    places = {"n": (0, -179.9995, None), "s": (0, 179.9995, None)}
    for mine, other in ((0, 1), (0, 0), (0, 2), (0, None), (3, 0)):
        seen = {"s": mine} | ({} if other is None else {"n": other})
        world.fetch(seen, after=300, places=places)
    with (world.folder / "station_information.csv").open("a") as listed:
        listed.write("2026-11-22T12:00:00+08:00,far,far,,1,180,10,,,,,,,,true\n")

    (neighbour,) = answered(world, "neighbours", stations=["s"])

    assert (neighbour["what"], neighbour["neighbour"]) == ("empty", "n")
    assert round(neighbour["metres"]) == 111
    assert (neighbour["slots"], neighbour["slots_seen"]) == (4, 3)
    assert neighbour["share"] == pytest.approx(2 / 3)


def test_a_typical_day_has_its_spread_and_its_days(folder: Path) -> None:
    """Quartiles of two Sundays' quarter of an hour, and the number of days."""
    world = World(folder / "city")
    for week in (0, 7):
        world.clock.now = NOON + week * 86_400
        for bikes in (1, 3) if week else (5, 7):
            world.fetch({"s": bikes}, after=300)

    rows = answered(world, "typical", stations=["s"])

    noon = next(r for r in rows if r["weekday"] == 6 and r["minute"] == 720)
    assert (noon["days_seen"], noon["days_expected"]) == (2, 2)
    assert (noon["low_vehicles"], noon["mid_vehicles"]) == (2.5, 4.0)
    assert (noon["high_vehicles"], noon["mean_vehicles"]) == (5.5, 4.0)
    monday = next(r for r in rows if r["weekday"] == 0 and r["minute"] == 720)
    assert (monday["days_seen"], monday["mid_vehicles"]) == (0, None)


def test_a_stations_history_has_its_gaps(world: World) -> None:
    """A missing slot has its state and no counts; so has one without the station."""
    rows = answered(world, "history", stations=["b"])

    counts = [(r["state"], r["num_vehicles_available"]) for r in rows]
    assert counts == [
        *[("collected", 1)] * 3,
        ("missing", None),
        *[("collected", None)] * 2,
    ]


def test_an_hour_has_its_least_and_most(world: World) -> None:
    """Five slots seen, of six expected."""
    (row,) = answered(world, "hours", stations=["0001"])

    assert (row["date"], row["hour"]) == ("2026-11-22", 12)
    assert (row["slots_seen"], row["slots_expected"]) == (5, 6)
    assert (row["min_vehicles"], row["max_vehicles"]) == (0, 4)
    assert row["mean_vehicles"] == pytest.approx(6 / 5)


def test_a_slot_counts_its_empty_stations(world: World) -> None:
    """Of the stations in it; a missing slot counts nothing."""
    rows = answered(world, "scarcity", by="system")

    assert [(r["stations"], r["empty_stations"]) for r in rows] == [
        *((2, 0), (2, 1), (2, 1)),
        (None, None),
        *((1, 1), (1, 0)),
    ]


def test_a_snapshot_is_of_the_newest_slot_collected(world: World) -> None:
    """A listed station that it lacks has no counts."""
    rows = answered(world, "snapshot")

    assert [(r["station_id"], r["num_vehicles_available"]) for r in rows] == [
        ("0001", 2),
        ("b", None),
    ]
    assert {r["slot"] for r in rows} == {int(world.clock.now) // 300 * 300}


VERSIONS = [
    # place, name, capacity, listed -> next
    ("25.000,121.5", "A", 10, "true", "25.001,121.5", "A", 10, "true", ["moved"]),
    ("0,180.0000", "A", 10, "true", "0,-179.99999", "A", 10, "true", []),
    ("25.000,121.5", "A", 10, "true", "25.0001,121.5", "A", 12, "true", ["resized"]),
    ("25.000,121.5", "A", 10, "true", "25.1,121.5", "B", 10, "true", ["reused"]),
    (
        "25.000,121.5",
        "A",
        10,
        "true",
        "25.001,121.5",
        "B",
        10,
        "true",
        ["moved", "renamed"],
    ),
    ("25.000,121.5", "A", 10, "true", "25.000,121.5", "A", 10, "false", ["removed"]),
    ("25.000,121.5", "A", 10, "false", "25.000,121.5", "A", 10, "true", ["returned"]),
]


@pytest.mark.parametrize("case", VERSIONS)
def test_each_change_has_its_word(folder: Path, case: tuple[Any, ...]) -> None:
    """Moves under 20 m are ignored; an id far away with another name is reused.

    Of a move, the positions before and after are given.
    """
    world = World(folder / "city")
    world.fetch({"x": 1})
    place, name, capacity, listed, place2, name2, capacity2, listed2, expected = case
    path = world.folder / "station_information.csv"
    head = path.read_text().splitlines()[0]
    rows = [
        f"2026-11-22T12:00:00+08:00,s,{name},,{place},{capacity},,,,,,,,{listed}",
        f"2026-11-23T12:00:00+08:00,s,{name2},,{place2},{capacity2},,,,,,,,{listed2}",
    ]
    path.write_text("\n".join([head, *rows, ""]))

    changes = [r for r in answered(world, "changes") if r["station_id"] == "s"]

    assert [change["what"] for change in changes] == expected
    if expected[:1] == ["moved"]:
        both = changes[0]["old"], changes[0]["new"]
        assert both == ("25.00000, 121.50000", "25.00100, 121.50000")


@pytest.mark.parametrize(
    ("name", "code", "warns"),
    [("vehicles", 64, False), ("coverage", 74, True), ("hours", 74, True)],
)
def test_only_reports_on_vehicles_do_not_read_the_rows_of_stations(
    world: World, config: Path, name: str, *, code: int, warns: bool
) -> None:
    """They do not take that time; the coverage of damaged rows is in doubt."""
    sheet = world.folder / "station_status/2026-11-22.csv"
    sheet.write_bytes(sheet.read_bytes().replace(b",0001,", b",0002,", 1))

    process = bikecollect("--config", config, "report", name, *DAYS)

    assert process.returncode == code
    assert ("is incomplete" in process.stderr) == warns


def test_coverage_counts_states_and_causes(world: World) -> None:
    """Missing slots by cause, and the collected ones."""
    rows = answered(world, "coverage")

    assert [(r["state"], r["cause"], r["slots"], r["expected"]) for r in rows] == [
        ("collected", "", 5, 6),
        ("missing", "unknown", 1, 6),
    ]


def test_removed_stations_are_still_listed(folder: Path) -> None:
    """With their newest name, and the date of their removal."""
    world = World(folder / "city")
    world.fetch({"a": 1, "b": 1}, names={"a": "Mill"})
    for after in (300, DAY):
        world.fetch({"a": 1}, after=after, names={"a": "Mill"})

    rows = answered(world, "stations")

    assert [(r["station_id"], r["name"], r["until"]) for r in rows] == [
        ("a", "Mill", None),
        ("b", "b", NOON + 300),
    ]
    assert {row["since"] for row in rows} == {NOON}


def test_days_are_the_hours_summed_up(world: World) -> None:
    """Minimum, mean and maximum of what was seen, and its basis."""
    world.fetch({"0001": 7}, after=300, closed=["0001"])

    (row,) = answered(world, "days", stations=["0001"])

    assert (row["min_vehicles"], row["max_vehicles"]) == (0, 7)
    assert row["mean_vehicles"] == pytest.approx(13 / 6)
    assert (row["slots_seen"], row["slots_expected"]) == (6, 7)
    assert (row["day_slots"], row["day_closed"]) == (6, 1)
    assert (row["capacity_min"], row["capacity_max"]) == (10, 10)


def test_hours_say_how_much_of_their_day_a_station_was_closed(world: World) -> None:
    """Closure is from the day's summaries, the counts are of the hour."""
    world.fetch({"0001": 7}, after=300, closed=["0001"])

    (row,) = answered(world, "hours", stations=["0001"])

    assert (row["day_slots"], row["day_closed"]) == (6, 1)


def test_a_typical_day_may_be_of_one_weekday(world: World) -> None:
    """The same figures as among all weekdays."""
    world.fetch({"0001": 9}, after=DAY)
    sunday = replace(VALUES, first_hour=144, end_hour=168)
    everything = answered(world, "typical", stations=["0001"])

    rows = answered(world, "typical", stations=["0001"], values=sunday)

    assert rows == [row for row in everything if row["weekday"] == 6]
    assert {row["weekday"] for row in everything} == {0, 6}


def test_changes_are_those_between_adjacent_slots(folder: Path) -> None:
    """Across midnight too, from summaries and rows; not across a gap."""
    world = World(folder / "city")
    world.clock.now = NOON + 12 * 3600 - 600
    for bikes in (1, 2, 3, 4):  # 23:50 to 00:05: a change in each pair
        world.fetch({"a": bikes})
        world.clock.now += 300
    world.clock.now += 300  # 00:10 is missing
    world.fetch({"a": 5})
    world.fetch({"a": 6}, after=300)

    (row,) = answered(world, "reliability")

    assert row["changes"] == 4
    assert [row] == answered(world, "reliability", values=FROM_ROWS)


def test_an_unsupported_option_of_a_report_is_an_error(world: World) -> None:
    """A place for which it has no figures, and an unknown station."""
    with pytest.raises(UsageError, match="cannot be grouped by district"):
        answered(world, "reliability", by="district")
    with pytest.raises(UsageError, match="unknown station zzz"):
        answered(world, "reliability", stations=["zzz"])


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        ([], 0, "reliability"),
        (["nonsense"], 64, "unknown report"),
        (["chance"], 64, "--at"),
        (["chance", "--at", "Foo 1:2"], 64, "invalid time of the week"),
        (["typical", "--at", "Sat 12:05", *DAYS], 64, "no slot on Sat in that range"),
        (["hours", "--at", "Sat 12:05"], 0, "`hours` does not use --at"),
        (["hours", "--least", 2], 0, "`hours` does not use --least"),
        (["coverage", "--station", "b"], 0, "`coverage` does not use --station"),
        (["availability", "--names"], 0, "of each system does not use --names"),
        (["availability", "--sql"], 0, "DATE '2000-01-01'"),
        (["availability", *DAYS], 0, "Sun 12"),
        (["availability", *DAYS, "--format", "csv"], 0, "city,city,156"),
        (["episodes", "--least", 99], 0, "No rows"),
        (["chance", "--at", "Sun 12:05", "--format", "json"], 0, '"days_seen": 1'),
        (["changes", "--since", "2026-11-22"], 0, "No rows"),
    ],
)
def test_the_command_prints_each_format(
    config: Path, arguments: list[str], code: int, what: str
) -> None:
    """Text of 80 columns, CSV, JSON, and errors that say what to do."""
    process = bikecollect("--config", config, "report", *arguments)

    assert process.returncode == code
    assert what in process.stdout + process.stderr
    assert "Traceback" not in process.stderr
    text = "" if {"--sql", "--format"} & set(arguments) else process.stdout
    assert all(len(line) <= 80 for line in text.splitlines())


def _reported(config: Path, *arguments: object) -> str:
    """Return the output of `report` with *arguments*."""
    process = bikecollect("--config", config, "report", *arguments, *DAYS)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.parametrize(
    ("report", "column"),
    [
        ("snapshot", "slot"),
        ("history", "slot"),
        ("scarcity", "slot"),
        ("episodes", "first_slot"),
        ("stations", "since"),
    ],
)
def test_programs_get_times_with_their_offset(
    world: World, config: Path, report: str, column: str
) -> None:
    """CSV and JSON have ISO 8601, as the reference says."""
    lines = _reported(config, report, "--format", "csv").splitlines()
    cell = lines[1].split(",")[lines[0].split(",").index(column)]
    record = json.loads(_reported(config, report, "--format", "json").splitlines()[0])

    assert re.fullmatch(r"2026-11-22T\d\d:\d\d:00\+08:00", cell)
    assert record[column] == cell


def test_csv_has_booleans_as_the_daily_files_have_them(
    world: World, config: Path
) -> None:
    """In lower case, which every CSV reader accepts."""
    lines = _reported(config, "snapshot", "--format", "csv").splitlines()

    assert ",true," in lines[1]
    assert "True" not in lines[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("availability",), ["Sun 12:00", "times: Asia/Taipei"]),
        (("history",), ["2026-11-22 12:10"]),
        (("snapshot",), ["Slot 2026-11-22 12:30", "yes"]),
        (("typical",), ["Sun", "12:15"]),
        (("hours",), ["12:00"]),
        (("reliability",), ["dock: least reliable first."]),
        (("chance", "--at", "Sun 12:05"), ["95 % interval", " to "]),
    ],
)
def test_the_text_has_local_times_weekdays_and_intervals(
    world: World, config: Path, arguments: tuple[str, ...], words: list[str]
) -> None:
    """No epoch seconds, no number of a weekday, all digits of positions."""
    text = _reported(config, *arguments)

    assert [word for word in words if word not in text] == []
    assert not re.search(r"\b1\d{9}\b", text)


def test_the_text_names_each_zone_of_its_times(world: World, config: Path) -> None:
    """The setting was changed: earlier times are those of the zone before."""
    fact = {"interval": 300, "columns": [], "local": True}
    zones = ((0, "Asia/Singapore"), (int(NOON), "Asia/Taipei"))
    facts = [{"since": since, "timezone": zone, **fact} for since, zone in zones]
    (world.folder / "facts.json").write_text(json.dumps({"facts": facts}))

    assert "times: Asia/Singapore, then Asia/Taipei\n" in _reported(config, "history")


def test_positions_are_in_full() -> None:
    """Six digits are a tenth of a metre; four would be eleven."""
    rows = [("city", 25.0326, 121.5654321)]
    result = BatchedAnswer(["system_id", "lat", "lon"], iter([rows]))
    zones = {"city": ZoneInfo("Asia/Taipei")}

    (text,) = answer(REPORTS["stations"], result, zones, "text", None)

    assert "25.032600  121.565432" in text


def test_a_column_without_room_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of stations: their ids are shown, too."""
    monkeypatch.setattr(render, "terminal_columns", lambda: 32)
    columns = ["system_id", "station_id", "name", "capacity", "num_vehicles_available"]
    rows = [
        ("city", "990000001", "Town Hall", 9, 4),
        ("city", "990000002", "Quay", 9, 5),
    ]

    result = BatchedAnswer(columns, iter([rows]))
    (text,) = answer(REPORTS["snapshot"], result, {"city": TAIPEI}, "text", None)

    assert "station   capacity vehicles\n990000001        9        4\n" in text
    assert "No room for: name; see --format csv\n" in text


def test_slots_of_one_minute_are_told_apart() -> None:
    """Not taken for one, whose time stands above the table."""
    rows = [("city", "a", int(NOON) + second) for second in (0, 30)]
    result = BatchedAnswer(["system_id", "station_id", "slot"], iter([rows]))

    (text,) = answer(REPORTS["snapshot"], result, {"city": TAIPEI}, "text", None)

    assert "Station a\n\nslot\n2026-11-22 12:00\n2026-11-22 12:00:30\n" in text


CITY = "simport-youbike"
WIDE = {
    "system_id": CITY,
    "place": "990000001",
    "station_id": "990000001",
    "name": "No. 33, Belfry Street",
    "region": "Bamboo District",
    "state": "missing",
    "cause": "rejected: drift",
    "date": "2026-11-23",
    "what": "resized",
    "hour": 8,
    "minute": 510,
    "weekday": 0,
    "is_renting": True,
    "until": None,
    "lat": -48.894759,
    "lon": -123.317280,
}
"""Usual values of columns; those of others are times or counts."""


@pytest.mark.parametrize(
    ("report", "columns"),
    [
        (
            "availability",
            "place name stations hour share_seen mean_vehicles mean_docks"
            " share_with_vehicle share_with_dock share_inactive",
        ),
        (
            "chance",
            "place name slots_expected slots_seen share_with_vehicle share_with_dock"
            " last_seen low high",
        ),
        ("changes", "station_id name since what metres"),
        (
            "days",
            "station_id name date slots_seen slots_expected min_vehicles mean_vehicles"
            " max_vehicles mean_docks capacity_max",
        ),
        ("history", "name slot state cause vehicles docks is_renting"),
        (
            "scarcity",
            "place slot state cause stations empty_stations full_stations"
            " closed_stations vehicles docks",
        ),
        ("stations", "station_id name region lat lon capacity since until"),
        (
            "typical",
            "name weekday minute days_seen days_expected low_vehicles mid_vehicles"
            " high_vehicles low_docks mid_docks high_docks",
        ),
    ],
)
def test_a_report_is_a_table_of_eighty_columns(
    monkeypatch: pytest.MonkeyPatch, report: str, columns: str
) -> None:
    """What all rows share is above it; columns become narrower."""
    monkeypatch.setattr(render, "terminal_columns", lambda: 80)
    names = ["system_id", *columns.split()]
    row = [WIDE.get(name, NOON if name in render.TIMES else 0.5) for name in names]
    other = [f"{cell}2" if cell == "990000001" else cell for cell in row]
    result, zones = BatchedAnswer(names, iter([[row, other]])), {CITY: TAIPEI}

    (text,) = answer(REPORTS[report], result, zones, "text", None)

    table = text.split("\n\n")[1].splitlines()
    assert max(map(len, table)) <= 80
    assert len(table) in {3, 4}, "at most two lines of names"


def test_names_of_stations_are_added_on_request(world: World, config: Path) -> None:
    """After the id, in text and for programs."""
    text = _reported(config, "reliability", "--names")
    csv = _reported(config, "reliability", "--names", "--format", "csv")
    by_station = ("availability", "--by", "station", "--names", "--format", "csv")
    by_system = ("availability", "--names", "--format", "csv")

    assert re.search(r"station +name", text)
    assert csv.startswith("system_id,station_id,name,slots_seen")
    assert _reported(config, *by_station).startswith("system_id,place,name,hour")
    assert _reported(config, *by_system).startswith("system_id,place,hour")
    assert "name" not in _reported(config, "reliability")


def test_a_terminal_shows_names(world: World, config: Path) -> None:
    """Ids mean nothing to readers."""
    shown = on_terminal("--config", config, "report", "reliability", *DAYS)

    assert re.search(r"station +name", shown)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("availability", "--since", "2020-01-01", "--until", "2020-01-03"), "no data"),
        (("changes", "--since", "2020-01-01", "--until", "2020-01-03"), "no data"),
        (("chance", "--at", "Mon 08:30", *DAYS), "no slot on Mon in that range, only"),
        (("vehicles", *DAYS), "no data for `vehicles`"),
        (("vehicle_grid", *DAYS), "\n  vehicles are collected only with `vehicles"),
        (("snapshott",), 'did you mean "snapshot"?'),
    ],
)
@pytest.mark.parametrize("form", ["text", "csv", "json"])
def test_a_report_on_nothing_is_an_error(
    world: World, config: Path, arguments: tuple[str, ...], message: str, form: str
) -> None:
    """An empty table would look like an answer."""
    process = bikecollect("--config", config, "report", *arguments, "--format", form)

    assert (process.returncode, process.stdout) == (64, "")
    assert message in process.stderr


@pytest.mark.parametrize(
    ("name", "at", "message"),
    [
        ("chance", "Sun 08:30", "no slot at that time of the week in that range"),
        ("typical", "Mon 08:30", "no slot on Mon in that range, only on Sun"),
    ],
)
def test_a_report_on_a_time_of_the_week_names_the_days_there_are(
    world: World, config: Path, name: str, at: str, message: str
) -> None:
    """Where it is the day that is lacking, and not the time."""
    process = bikecollect("--config", config, "report", name, "--at", at, *DAYS)

    assert process.returncode == 64
    assert f"{message}; see: " in process.stderr


@pytest.mark.parametrize(
    ("systems", "message"),
    [(("new",), "no data yet"), (("new", "city"), "no data in that range")],
)
def test_a_system_without_data_has_none_yet(
    world: World, tmp_path: Path, systems: tuple[str, ...], message: str
) -> None:
    """Of several, the message is of the one with the most."""
    data, days = world.folder.parent, ("--since", "2020-01-01", "--until", "2020-01-01")
    config = write_settings(tmp_path / "x.toml", data, *systems)

    process = bikecollect("--config", config, "report", "hours", *days)

    assert process.returncode == 64
    assert f"bikecollect: {message}; see: " in process.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "chance", "--at", "Mon 08:30"),
        ("report", "history"),
        ("export",),
    ],
    ids=" ".join,
)
def test_a_station_is_not_unknown_where_nothing_was_collected(
    folder: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """It may be the right id: it is said that there are no data yet."""
    world, words = World(folder / "city"), (*arguments, "--station", "0001")
    config = write_settings(tmp_path / "x.toml", folder, "city")

    before = bikecollect("--config", config, *words)
    world.feed.answer = FeedUnavailable("no answer in 30 s")
    world.fetch()
    after = bikecollect("--config", config, *words)

    assert (before.returncode, after.returncode) == (64, 64)
    kind = "no rows" if "export" in arguments else "no data yet"
    assert f"bikecollect: {kind}" in before.stderr
    kind = "no rows" if "export" in arguments else "no slot has been collected yet, so"
    assert f"bikecollect: {kind}" in after.stderr
    assert "unknown station" not in before.stderr + after.stderr


def test_a_report_may_find_nothing(world: World, config: Path) -> None:
    """No change in the list of stations is an answer, and on what it rests."""
    told = _reported(config, "changes")

    assert "No rows: nothing matches.\n" in told
    assert told.endswith(
        "  2026-11-22: 5 of 6 expected slots were collected (83.3 %)\n"
    )
