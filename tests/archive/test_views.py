"""One view over open days and the archive, with types, of committed data only."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from in_process import bikecollect
from keeping import compacted, compactor, findings, replace_summaries, viewed
from small_disk import fill, mounted
from templates import copied
from world import NOON, World

from bikecollect.archive import datasets
from bikecollect.archive.query import open_rows
from bikecollect.archive.summaries import NEW_COLUMN
from bikecollect.core.slots import DAY

duckdb = pytest.importorskip("duckdb")
STATUS_ONLY = (datasets.STATUS,)
ROWS = (
    "SELECT CAST(date AS VARCHAR), slot, station_id, num_vehicles_available,"
    " is_renting, capacity, minute_of_day, hour_of_week FROM station_status"
    " ORDER BY slot, station_id"
)


@copied
def two_days(folder: Path) -> World:
    """Return a world with three slots on a Sunday, and two on the Monday after it."""
    world = World(folder / "city")
    for bikes in (1, 2, 0):
        world.fetch({"0002": bikes, "0001": 7}, after=300)
    world.clock.now += DAY
    for bikes in (4, 5):
        world.fetch({"0002": bikes}, after=300)
    return world


@copied
def archived(folder: Path) -> World:
    """Return that world with both days archived."""
    world = two_days(folder)
    world.clock.now += DAY
    compacted(world)
    return world


@pytest.fixture
def world(folder: Path) -> World:
    """Return the world whose two days are open."""
    return two_days(folder)


def test_open_days_have_types(world: World) -> None:
    """Ids are text, flags are booleans, times are seconds, with local time."""
    with viewed(world, tables=STATUS_ONLY) as db:
        rows = db.execute(ROWS).fetchall()

    first = ("2026-11-22", NOON + 300, "0001", 7, True, 10, 725, 156)
    assert rows[0] == first
    assert rows[-1][0::4] == ("2026-11-23", True)
    assert len(rows) == 8


def test_a_day_with_a_damaged_slot_is_incomplete_and_its_other_slots_are_used(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning says so, and names the remedy."""
    sheet = world.folder / "station_status/2026-11-22.csv"
    sheet.write_bytes(sheet.read_bytes().replace(b"0002", b"0003", 1))

    with viewed(world, tables=STATUS_ONLY) as db:
        rows = db.execute(ROWS).fetchall()

    assert len(rows) == 6
    text = f"city: 2026-11-22 is incomplete: {sheet}: the rows of 1 of 3 slots are "
    assert f"{text}damaged; run: bikecollect verify --repair; its" in caplog.text


@pytest.mark.parametrize(
    ("damage", "left"), [("UPDATE files SET header = header | 255", 8), ("", 6)]
)
def test_a_day_whose_first_line_is_damaged_is_not_left_out_silently(
    world: World, caplog: pytest.LogCaptureFixture, damage: str, left: int
) -> None:
    """A damaged checksum of that line, in the ledger, costs no row."""
    sheet = world.folder / "station_status/2026-11-23.csv"
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db:
        db.executescript(damage)
    if not damage:
        sheet.write_bytes(sheet.read_bytes().replace(b"_at,", b"#at,", 1))

    with viewed(world, tables=STATUS_ONLY) as db:
        rows = db.execute(ROWS).fetchall()

    lost = f"2026-11-23 cannot be read: {sheet}: the rows of 2 of 2 slots are"
    assert (len(rows), lost in caplog.text) == (left, left < 8)


def test_a_slot_whose_file_has_an_impossible_name_is_not_left_out_silently(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A byte of the ledger has changed: no path outside of the folder is opened."""
    with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as db:
        sql = "UPDATE blocks SET file = replace(file, '/', '|') WHERE slot = ?"
        db.execute(sql, (NOON + 600,))
        db.commit()

    with viewed(world, tables=STATUS_ONLY) as db:
        rows = db.execute(ROWS).fetchall()

    assert len(rows) == 6
    text = "city: 2026-11-22 is incomplete: the ledger has slots of it in a file with"
    assert f"{text} an impossible name: 'station_status|2026-11-22.csv'" in caplog.text


def test_a_full_disk_of_temporary_files_is_no_damage_of_a_day(
    world: World, config: Path, tmp_path: Path
) -> None:
    """The disk is named, and no result lacks the day as if its CSV were bad."""
    with (world.folder / "station_status/2026-11-23.csv").open("ab") as sheet:
        sheet.write(b"the beginning of a block")  # so the others are copied aside
    with mounted(tmp_path / "disk") as disk:
        fill(disk)
        sql = "SELECT count(*) FROM station_status"
        ended = bikecollect("--config", config, "query", sql, TMPDIR=str(disk))

    assert (ended.returncode, ended.stdout) == (74, "")
    assert f"cannot write {disk}/bikecollect-" in ended.stderr
    assert "set TMPDIR" in ended.stderr


def test_the_ledger_is_opened_as_often_for_six_open_days_as_for_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening it for each day takes seconds with a thousand systems."""
    world = World(tmp_path / "city")
    opened = list[str]()
    connect = sqlite3.connect

    def counting(path: str, **options: Any) -> sqlite3.Connection:
        opened.append(path)
        return connect(path, **options)  # type: ignore[no-any-return]

    monkeypatch.setattr(sqlite3, "connect", counting)
    counts = []
    for _ in range(2):
        for _ in range(3):
            world.fetch({"0001": 7}, after=DAY)
        opened.clear()
        with viewed(world, tables=STATUS_ONLY) as db:
            days = db.execute("SELECT DISTINCT date FROM station_status").fetchall()
        counts.append((len(days), len(opened)))

    (few, opened_for_few), (many, opened_for_many) = counts
    assert (few, many) == (3, 6)
    assert opened_for_many == opened_for_few


def test_a_slot_is_also_a_timestamp(world: World) -> None:
    """In open and archived days, in the requested zone."""
    sql = "SELECT CAST(MIN(slot_time) AS VARCHAR), COUNT(slot_time) FROM "
    tables = ("station_status", "slots", "runs")
    seen = []
    for prepare in (lambda: None, lambda: compacted(world)):
        prepare()
        with viewed(world, timezone="Asia/Taipei") as db:
            seen += [db.execute(sql + table).fetchall() for table in tables]

    assert {first for ((first, _),) in seen} == {"2026-11-22 12:05:00+08"}
    assert [count for ((_, count),) in seen[:3]] == [
        count for ((_, count),) in seen[3:]
    ]


def test_an_archived_day_gives_the_same_rows(world: World, tmp_path: Path) -> None:
    """The view does not differ between CSV and archive."""
    with viewed(world, tables=STATUS_ONLY) as db:
        before = db.execute(ROWS).fetchall()
    old = archived(tmp_path / "archived")

    with viewed(old, tables=STATUS_ONLY) as db:
        after = db.execute(ROWS).fetchall()

    assert len(compactor(old).archive.days()) == 2
    assert after == before


@pytest.mark.parametrize("dataset", ["coverage", "profile", "slots", "runs"])
def test_summaries_of_open_days_are_those_of_the_archive(
    world: World, tmp_path: Path, dataset: str
) -> None:
    """Each summary is one SQL text, for open days and for the archive."""
    names = ", ".join(("system_id", "date", *datasets.COLUMNS[dataset]))
    sql = f"SELECT {names} FROM {dataset} ORDER BY ALL"
    with viewed(world, tables=[dataset]) as db:
        before = db.execute(sql).fetchall()

    with viewed(archived(tmp_path / "archived"), tables=[dataset]) as db:
        after = db.execute(sql).fetchall()

    assert before
    assert after == before


SUMMARIES = ("coverage", "profile")


@pytest.mark.parametrize("also", [(), ("profile",), (datasets.STATUS,)])
def test_reports_see_when_a_station_had_rows_without_its_coverage(
    tmp_path: Path, also: tuple[str, ...]
) -> None:
    """Of two archived days and an open one: the slots that coverage has.

    Archived days with summaries of an earlier version are there once, too.
    """
    world = archived(tmp_path / "archived")
    world.fetch({"0002": 3}, after=300)
    world.fetch({"0002": 3})
    sql = "SELECT system_id, date, station_id, first_slot, last_slot FROM "
    with viewed(world, tables=["coverage"]) as db:
        expected = db.execute(f"{sql} coverage ORDER BY ALL").fetchall()

    with viewed(world, tables=[datasets.PRESENCE, *also]) as db:
        seen = db.execute(f"{sql} presence ORDER BY ALL").fetchall()
    lost = {name: f"* EXCLUDE ({column})" for name, column in NEW_COLUMN.items()}
    replace_summaries(world, lost)
    with viewed(world, tables=[datasets.PRESENCE, *also]) as db:
        old = db.execute(f"{sql} presence ORDER BY ALL").fetchall()

    assert len(expected) == 4
    assert seen == expected
    assert old == expected


@pytest.mark.parametrize("size", [0, 1 << 40])
@pytest.mark.parametrize("also", [(), (datasets.STATUS,)])
def test_open_days_are_summed_up_some_at_a_time(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    also: tuple[str, ...],
) -> None:
    """Day by day, or all in one query: the summaries and the rows are the same."""
    monkeypatch.setattr(open_rows, "BYTES_AT_ONCE", size)
    tables = [*SUMMARIES, *also]
    queries = [f"SELECT * FROM {table} ORDER BY ALL" for table in tables]
    with viewed(world, settled=tmp_path / "settled") as db:
        in_one_query = [db.execute(query).fetchall() for query in queries]

    with viewed(world, tables=tables) as db:
        some_at_a_time = [db.execute(query).fetchall() for query in queries]

    assert list(map(len, some_at_a_time)) == [3, 3, 8][: len(tables)]
    assert some_at_a_time == in_one_query


@pytest.mark.parametrize("also", [(), (datasets.STATUS,)])
def test_a_report_reads_each_daily_file_once(
    world: World, also: tuple[str, ...]
) -> None:
    """However often it names rows and summaries: the second time they are at hand."""
    with viewed(world, tables=(*SUMMARIES, *also)) as db:
        for path in world.folder.glob("station_status/*.csv"):
            path.unlink()
        counts = [
            db.execute(f"SELECT count(*) FROM {table}").fetchone()
            for table in (*SUMMARIES, *also)
        ]

    assert counts == [(3,), (3,), (8,)][: len(counts)]


def test_a_half_written_block_is_not_seen(world: World) -> None:
    """Rows after the last committed block do not count yet (faults 67, 88)."""
    with (world.folder / "station_status/2026-11-23.csv").open("a") as torn:
        torn.write("2026-11-23T12:25:00+08:00,2026-11-23T12:2")

    with viewed(world, tables=STATUS_ONLY) as db:
        (count,) = db.execute("SELECT count(*) FROM station_status").fetchall()

    assert count == (8,)


def test_a_late_slot_of_a_day_whose_csv_has_gone_is_seen(folder: Path) -> None:
    """Until the next compaction it is in a separate segment."""
    world = archived(folder)
    world.clock.now += 9 * DAY
    compacted(world)
    world.clock.now = NOON + 1500
    world.fetch({"0009": 1})

    with viewed(world) as db:
        rows = db.execute(ROWS).fetchall()
        (seen,) = db.execute(
            "SELECT max(slots) FROM coverage WHERE date = DATE '2026-11-22'"
        ).fetchall()

    assert len(rows) == 9
    assert rows[6][2] == "0009"
    assert seen == (3,)


def test_coverage_counts_gaps_and_changes_between_neighbours_only(
    folder: Path,
) -> None:
    """Changes over a gap are unknown, so they are not counted."""
    world = World(folder / "city")
    world.fetch({"a": 1, "b": 0})
    world.fetch({"a": 2, "b": 0}, after=300)
    world.fetch({"a": 3}, after=900)
    world.fetch({"a": 3, "b": 5}, after=300)

    with viewed(world) as db:
        rows = db.execute(
            "SELECT station_id, slots, expected, collected, gaps, longest_gap_s,"
            " changes, empty_slots FROM coverage ORDER BY station_id"
        ).fetchall()

    assert rows == [("a", 4, 6, 4, 1, 600, 1, 0), ("b", 3, 6, 4, 1, 900, 0, 2)]


def test_stations_have_their_versions(world: World) -> None:
    """Each version has the time from which and until which it is valid."""
    world.fetch({"0002": 4}, after=300, names={"0002": "New name"})

    with viewed(world, tables=["stations"]) as db:
        rows = db.execute(
            "SELECT name, valid_to - valid_from, capacity FROM stations"
            " WHERE station_id = '0002' ORDER BY valid_from"
        ).fetchall()

    assert rows == [("0002", DAY + 1500, 10), ("New name", None, 10)]


@pytest.mark.parametrize("torn", [b"", b"2026-11-22T12:05:00+08:00,000", b"valid_f"])
def test_a_torn_list_of_stations_hides_none(world: World, torn: bytes) -> None:
    """During a write, or after a kill, complete committed lines are read."""
    path = world.folder / "station_information.csv"
    path.write_bytes(path.read_bytes() + torn)

    with viewed(world, tables=["stations"]) as db:
        (count,) = db.execute("SELECT count(*) FROM stations").fetchall()

    assert count == (2,)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b",Old name,", b",Old nAme,"),
        (b",25.1,121.5,10,", b",25.7,121.5,10,"),
        (b"T12:05:00+08:00,a,", b"T12:05:00+08:00,c,"),
        (b"T12:15:00+08:00,a,", b"T12:35:00+08:00,a,"),
    ],
)
def test_a_changed_byte_in_the_list_of_stations_changes_no_answer(
    folder: Path, caplog: pytest.LogCaptureFixture, before: bytes, after: bytes
) -> None:
    """The ledger is used, and a warning says so; a longer list has more versions."""
    world = World(folder / "city")
    places = {"a": (25.1, 121.5, "North")}
    for name in ("Old name", "Old name", "New name"):
        world.fetch({"a": 1}, after=300, names={"a": name}, places=places)

    def stations() -> list[Any]:
        with viewed(world, tables=["stations"]) as db:
            return db.execute("FROM stations ORDER BY ALL").fetchall()

    path = world.folder / "station_information.csv"
    intact = stations()
    silent = caplog.text
    assert before in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(before, after, 1))

    assert stations() == intact
    assert " differ " not in silent
    assert "and the ledger differ in 1 version; the ledger is used" in caplog.text
    path.write_bytes(
        path.read_bytes() + b"2026-11-23T12:00:00+08:00,d,,,,,1,,,,,,,,true\n"
    )
    assert "d" in {row[1] for row in stations()}


def test_an_empty_list_of_stations_is_no_error(world: World) -> None:
    """The run was killed before the first byte."""
    (world.folder / "station_information.csv").write_bytes(b"")

    with viewed(world, tables=STATUS_ONLY) as db:
        rows = db.execute(ROWS).fetchall()

    assert len(rows) == 8


def test_a_daily_file_is_read_once_until_it_grows(world: World, tmp_path: Path) -> None:
    """The same rows as from the CSV; the cached copy is used or replaced."""
    settled = tmp_path / "settled"
    with viewed(world, tables=STATUS_ONLY) as db:
        expected = db.execute(ROWS).fetchall()
    for _ in range(2):
        with viewed(world, settled=settled, tables=STATUS_ONLY) as db:
            assert db.execute(ROWS).fetchall() == expected
    (first, newest) = sorted(settled.rglob("*.parquet"))
    stamps = first.stat().st_mtime_ns, newest.name

    world.fetch({"0002": 6}, after=300)
    with viewed(world, settled=settled, tables=STATUS_ONLY) as db:
        after = db.execute(ROWS).fetchall()

    assert after[:-1] == expected
    assert after[-1][3] == 6
    (again, grown) = sorted(settled.rglob("*.parquet"))
    assert (again.stat().st_mtime_ns, grown.name) == (stamps[0], grown.name)
    assert grown.name != stamps[1]


def test_a_folder_with_strange_letters_is_no_pattern(tmp_path: Path) -> None:
    """Brackets, stars and quotes in a path are ordinary characters (fault 114)."""
    world = World(tmp_path / "it's [a] *?" / "city")
    world.fetch({"a": 1})
    world.clock.now += DAY
    compacted(world)
    world.fetch({"a": 1})

    with viewed(world, tables=STATUS_ONLY) as db:
        assert len(db.execute(ROWS).fetchall()) == 2


def test_without_any_data_the_views_are_empty(folder: Path) -> None:
    """A new system has no rows, and no error."""
    with viewed(World(folder / "city"), tables=STATUS_ONLY) as db:
        assert db.execute(ROWS).fetchall() == []


def test_long_texts_of_old_files_are_read(folder: Path) -> None:
    """Ids and names of 200,000 letters, open and archived: no day is lost for them."""
    world = World(folder / "city")
    long = {"x" * 200_000: 3, "b": 1}
    world.fetch(long, names={"b": "n" * 200_000})
    with viewed(world) as db:
        before = db.execute(ROWS).fetchall()
        (name,) = db.execute("SELECT max(len(name)) FROM stations").fetchall()
    world.clock.now += DAY
    compacted(world)

    with viewed(world) as db:
        after = db.execute(ROWS).fetchall()

    assert [(len(row[2]), row[3]) for row in before] == [(1, 1), (200_000, 3)]
    assert after == before
    assert name == (200_000,)
    assert findings(world) == []


def test_an_unreadable_file_of_the_archive_costs_its_day_only(world: World) -> None:
    """Queries of other days succeed; one that needs it names the file, and the way."""
    world.clock.now += DAY
    world.fetch({"a": 1})
    world.clock.now += DAY
    compacted(world, csv_days=0)
    days = sorted(world.folder.parent.glob("archive/station_status/*/date=*"))
    (days[0] / "part.parquet").write_bytes(b"not Parquet")
    last = days[-1].name.removeprefix("date=")

    with viewed(world, tables=STATUS_ONLY) as db:
        rows = db.execute(
            f"SELECT count(*) FROM station_status WHERE date = DATE '{last}'"
        ).fetchall()
        with pytest.raises(
            duckdb.Error, match=r"cannot be read.*see: bikecollect verify"
        ):
            db.execute("SELECT count(*) FROM station_status").fetchall()

    assert rows == [(1,)]
