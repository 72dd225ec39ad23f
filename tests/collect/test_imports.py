"""Values of another archive are imported unchanged: flags, ids, times, gaps."""

import csv
import json
import re
import shutil
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from command import bikecollect
from world import NOON, TAIPEI, World

from bikecollect.collect.sources.tabular.times import RepeatedHours
from bikecollect.storage.data_folder import INFORMATION

MAPS = ("time=at", "station_id=id", "num_vehicles_available=bikes")
CSV = "station_status/2026-11-22.csv"
BEGIN = datetime(2026, 11, 22, 12, 0, tzinfo=TAIPEI)
YOUBIKE = [
    "sno",
    "act",
    "srcUpdateTime",
    "updateTime",
    "infoTime",
    "Quantity",
    "available_rent_bikes",
    "available_return_bikes",
    "collect_time",
]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with an empty folder."""
    created = World(tmp_path / "bikes" / "city")
    (created.folder / ".bikecollect").touch()
    return created


def run(
    world: World, *arguments: object, zone: str = "Asia/Taipei"
) -> tuple[int, str, str]:
    """Run ``backfill city``; return its exit code and output."""
    base = world.folder.parents[1]
    config = base / "bikecollect.toml"
    config.write_text(
        'data_dir = "bikes"\n[systems.city]\nfeed = "youbike"\n'
        f'url = "http://127.0.0.1/"\ntimezone = "{zone}"\ncolumns = []\n',
        encoding="utf-8",
    )
    process = bikecollect("--config", config, *arguments)
    return process.returncode, process.stdout, " ".join(process.stderr.split())


def fill(
    world: World, path: Path, *arguments: object, zone: str = "Asia/Taipei"
) -> tuple[int, str, str]:
    """Fill from the table at *path*, with the columns at, id and bikes."""
    maps = [part for name in MAPS for part in ("--map", name)]
    command = ("backfill", "city", "--from", path, *maps, *arguments)
    return run(world, *command, zone=zone)


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    """Write a table to *path*."""
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([header, *rows])
    return path


def counts(slot: int) -> dict[str, int]:
    """Return the vehicles of 30 stations in the slot with this number."""
    return {f"{n:04}": zlib.crc32(b"%d %d" % (n, slot)) % 17 for n in range(30)}


def flags(world: World) -> dict[str, str]:
    """Return the flags of each block, by local time."""
    blocks = world.committed()
    times = [datetime.fromtimestamp(block.slot, TAIPEI) for block in blocks]
    return {
        f"{time:%H:%M}": block.flags for time, block in zip(times, blocks, strict=True)
    }


def table(path: Path, slots: Sequence[int], shift: timedelta = timedelta(0)) -> Path:
    """Write the counts of *slots*, with local times that are *shift* off."""
    rows = [
        (f"{BEGIN + timedelta(minutes=5 * slot) + shift:%Y-%m-%d %H:%M:%S}", *item)
        for slot in slots
        for item in counts(slot).items()
    ]
    return write(path, ("at", "id", "bikes"), rows)


def test_the_flags_of_another_bikecollect_are_kept(
    world: World, tmp_path: Path
) -> None:
    """Stale, partial and late remain; unknown flags are dropped."""
    other = World(tmp_path / "copy" / "city")
    (other.folder / ".bikecollect").touch()
    for number in range(3):
        other.clock.now = NOON + number * 300
        other.fetch(counts(number), last_updated=int(NOON) + number)
    with closing(sqlite3.connect(other.folder / "ledger.sqlite3")) as db, db:
        sql = "UPDATE blocks SET flags = ? WHERE slot = ?"
        db.execute(sql, ("partial late <b>odd</b>", int(NOON) + 300))
        db.execute(sql, ("stale", int(NOON) + 600))
    db.close()

    code, _, _ = run(world, "backfill", "city", "--from", other.folder)

    assert code == 0
    assert flags(world) == {"12:00": "", "12:05": "partial late", "12:10": "stale"}


def test_an_archived_day_keeps_its_flags(world: World, tmp_path: Path) -> None:
    """The archive has the day's slots beside its rows."""
    pytest.importorskip("duckdb")
    other = World(tmp_path / "copy" / "bikes" / "city")
    (other.folder / ".bikecollect").touch()
    other.fetch(counts(0), last_updated=int(NOON))
    other.fetch(counts(1), after=300, last_updated=int(NOON))
    run(other, "compact")
    assert list(other.folder.parent.glob("archive/slots/*/*/part.parquet"))
    (other.folder / CSV).unlink(missing_ok=True)

    code, _, stderr = run(world, "backfill", "city", "--from", other.folder)

    assert code == 0, stderr
    assert flags(world) == {"12:00": "", "12:05": "stale"}


def test_another_city_without_a_common_id_is_refused(
    world: World, tmp_path: Path
) -> None:
    """Even if no slot is common; --force fills anyway."""
    world.fetch({"taipei-1": 1, "taipei-2": 2})
    rows = [("2026-11-20 12:00:00", f"oslo-{n}", 5) for n in range(20)]
    path = write(tmp_path / "b.csv", ("at", "id", "bikes"), rows)

    code, _, stderr = fill(world, path)
    forced, stdout, _ = fill(world, path, "--force")

    assert code == 78
    assert "has 20 stations, of which 0 are known here" in stderr
    assert (forced, "1 slot filled" in stdout) == (0, True)


def test_a_city_that_was_imported_is_known_by_its_rows(
    world: World, tmp_path: Path
) -> None:
    """An import has no list of stations; the ids of its rows are used."""
    fill(world, table(tmp_path / "a.csv", range(4)))
    rows = [("2026-11-22 12:05:00", f"oslo-{n}", 5) for n in range(20)]
    path = write(tmp_path / "b.csv", ("at", "id", "bikes"), rows)

    code, _, stderr = fill(world, path)

    assert code == 78
    assert "has 20 stations, of which 0 are known here" in stderr


@pytest.mark.parametrize("hours", [-1, 1, 8, 5.5, 24, 5.75, -8.75, 0.25])
def test_a_shift_of_the_times_is_named(
    world: World, tmp_path: Path, hours: float
) -> None:
    """The same values at other times: the message has the shift."""
    for number in range(36):
        world.clock.now = NOON + number * 300
        world.fetch(counts(number))
    path = table(tmp_path / "b.csv", range(10, 60), timedelta(hours=hours))

    code, _, stderr = fill(world, path)

    assert code == 78
    assert f"if its times are moved by {-hours:+g} h" in stderr
    assert "see --time-zone" in stderr


def test_archives_that_follow_each_other_are_not_shifted(
    world: World, tmp_path: Path
) -> None:
    """At night nothing changes for hours: equal counts prove no shift."""
    for number in range(12):
        world.clock.now = NOON + number * 300
        world.fetch(counts(0))
    rows = [
        (f"{BEGIN + timedelta(minutes=5 * slot):%Y-%m-%d %H:%M:%S}", *item)
        for slot in range(12, 24)
        for item in counts(0).items()
    ]
    path = write(tmp_path / "b.csv", ("at", "id", "bikes"), rows)

    code, stdout, _ = fill(world, path)

    assert code == 0
    assert "12 slots filled" in stdout


def test_values_that_come_again_an_hour_later_do_not_shift_what_agrees(
    world: World, tmp_path: Path
) -> None:
    """A shift is named only if it fits far better than the times as they are."""
    for number in (0, 6, 12, 18):
        world.clock.now = NOON + number * 300
        world.fetch(counts(number % 12))
    path = table(tmp_path / "b.csv", [0, 6, 30])

    code, stdout, _ = fill(world, path)

    assert code == 0
    assert "1 slot filled" in stdout


def youbike(
    begin: datetime,
    collected: datetime,
    *,
    suffix: str = "",
    source: timedelta = timedelta(0),
) -> list[list[object]]:
    """Return the rows of one poll of YouBike, at *begin* by the feed's times."""
    at = f"{begin:%Y-%m-%d %H:%M:%S}"
    old = f"{begin - source:%Y-%m-%d %H:%M:%S}"
    return [
        [
            f"50010100{n}{suffix}",
            f"1{suffix}",
            old,
            at,
            old,
            f"9{suffix}",
            f"{n}{suffix}",
            f"{9 - n}{suffix}",
            f"{collected:%Y-%m-%d %H:%M:%S}",
        ]
        for n in range(5)
    ]


def test_times_in_utc_are_recognised_by_the_report_times(
    world: World, tmp_path: Path
) -> None:
    """collect_time 04:01:27 and updateTime 12:00:52 mean UTC."""
    rows = youbike(
        BEGIN + timedelta(seconds=52),
        BEGIN.astimezone(UTC) + timedelta(seconds=87),
    )
    path = write(tmp_path / "utc.csv", YOUBIKE, rows)

    code, _, stderr = run(world, "backfill", "city", "--from", path)

    assert code == 0
    assert list(flags(world)) == ["12:00"]
    assert "times are taken as UTC" in stderr


def test_local_times_stay_local(world: World, tmp_path: Path) -> None:
    """collect_time 12:01:27 and updateTime 12:00:52 mean Taipei's time."""
    rows = youbike(BEGIN + timedelta(seconds=52), BEGIN + timedelta(seconds=87))
    path = write(tmp_path / "local.csv", YOUBIKE, rows)

    code, _, stderr = run(world, "backfill", "city", "--from", path)

    assert (code, stderr) == (0, "")
    assert list(flags(world)) == ["12:00"]


def test_an_unknown_zone_requires_the_option(world: World, tmp_path: Path) -> None:
    """The times are Vienna's; neither Taipei's zone nor UTC explains them."""
    rows = youbike(BEGIN, BEGIN - timedelta(hours=7, seconds=-60))
    path = write(tmp_path / "vienna.csv", YOUBIKE, rows)

    code, _, stderr = run(world, "backfill", "city", "--from", path)
    zone = ("--time-zone", "Europe/Vienna")
    named, _, _ = run(world, "backfill", "city", "--from", path, *zone)

    assert code == 78
    assert "give their zone with --time-zone" in stderr
    assert (named, list(flags(world))) == (0, ["12:00"])


def test_times_with_an_offset_need_no_proof(world: World, tmp_path: Path) -> None:
    """The reports are naive times of another zone; the polls have an offset."""
    rows = [
        (f"{BEGIN:%Y-%m-%dT%H:%M:%S}+08:00", f"{n:04}", n, "2026-11-22 20:00:00")
        for n in range(5)
    ]
    path = write(tmp_path / "offset.csv", ("at", "id", "bikes", "reported"), rows)

    code, _, _ = fill(world, path, "--map", "last_reported=reported")

    assert (code, list(flags(world))) == (0, ["12:00"])


def test_an_unknown_zone_is_a_usage_error(world: World, tmp_path: Path) -> None:
    """The error has the value, and a valid example."""
    path = table(tmp_path / "a.csv", range(2))

    code, _, stderr = fill(world, path, "--time-zone", "Asia/Taipeh")

    assert code == 64
    assert "--time-zone Asia/Taipeh: unknown time zone" in stderr


OSLO = ZoneInfo("Europe/Oslo")
NIGHT = datetime(2026, 10, 25, 1, 30, tzinfo=OSLO).timestamp()
"""Half an hour before the hour that occurs twice in Oslo."""


def night(stations: int = 3, minutes: int = 15) -> list[tuple[str, str, int]]:
    """Return local times, ids and counts of polls from 01:30 to 03:15, in order.

    The count is the number of quarter hours since 01:30.
    """
    moments = [NIGHT + 60 * minutes * poll for poll in range(165 // minutes + 1)]
    return [
        (
            f"{datetime.fromtimestamp(moment, OSLO):%Y-%m-%d %H:%M:%S}",
            f"s{station}",
            round(moment - NIGHT) // 900,
        )
        for moment in moments
        for station in range(stations)
    ]


def filled_at_night(
    world: World, path: Path, rows: Sequence[tuple[str, str, int]]
) -> tuple[set[tuple[int, int]], str]:
    """Fill from *rows* in the zone of Oslo; return quarter and count, and messages."""
    table_path = write(path / "a.csv", ("at", "id", "bikes"), rows)
    code, _, stderr = fill(world, table_path, "--time-zone", "Europe/Oslo")
    assert code == 0, stderr
    files = sorted((world.folder / "station_status").iterdir())
    found = [line.split(",") for f in files for line in f.read_text().splitlines()[1:]]
    assert len(found) == len({(cells[0], cells[2]) for cells in found})
    quarters = [datetime.fromisoformat(cells[0]).timestamp() for cells in found]
    return {
        (round(slot - NIGHT) // 900, int(cells[3]))
        for slot, cells in zip(quarters, found, strict=True)
    }, stderr


@pytest.mark.parametrize("order", ["polls", "stations"])
@pytest.mark.parametrize("minutes", [15, 30])
def test_the_order_of_rows_tells_the_passes_of_a_repeated_hour(
    world: World, tmp_path: Path, order: str, minutes: int
) -> None:
    """Also if the table is sorted by station."""
    rows = night(minutes=minutes)
    if order == "stations":
        rows.sort(key=lambda row: row[1])

    found, stderr = filled_at_night(world, tmp_path, rows)

    step = minutes // 15
    assert found == {(quarter, quarter) for quarter in range(0, 12, step)}
    assert "left out" not in stderr


def test_a_moment_is_near_a_repeated_hour_of_any_year() -> None:
    """A table of two years has two of them; reports beside them may be of either."""
    vienna = ZoneInfo("Europe/Vienna")
    hours = RepeatedHours(vienna)
    hours.note("2025-10-26 02:15:00", "a")
    hours.note("2026-10-25 02:15:00", "a")
    days = [(2025, 10, 25), (2026, 5, 1), (2026, 10, 25)]
    moments = [datetime(*day, 12, tzinfo=vienna).timestamp() for day in days]

    assert [hours.is_near(moment) for moment in moments] == [True, False, True]


@pytest.mark.parametrize(
    ("choose", "number"),
    [
        (lambda rows: [row for row in rows if not 2 <= row[2] < 6], 12),
        (lambda rows: sorted(rows, key=lambda row: (row[1], -row[2])), 24),
        (lambda rows: [row for row in reversed(rows) if not 2 <= row[2] < 6], 12),
        (
            lambda rows: sorted(
                (row for row in rows if not 2 <= row[2] < 6), key=lambda row: row[1]
            ),
            12,
        ),
        (
            lambda rows: [
                row for row in reversed(rows) if row[2] in {0, 1, 6, 8, 10, 11}
            ],
            6,
        ),
    ],
    ids=[
        "one pass",
        "newest first",
        "one pass, newest first",
        "by station",
        "two polls",
    ],
)
def test_rows_of_a_repeated_hour_are_left_out_if_it_cannot_be_told(
    world: World, tmp_path: Path, choose: Any, number: int
) -> None:
    """A line says how many, and what helps; the others are filled."""
    found, stderr = filled_at_night(world, tmp_path, choose(night()))

    assert found == {(quarter, quarter) for quarter in (0, 1, 10, 11)}
    assert f"{number} rows left out: times such as 2026-10-25 02:" in stderr
    assert "give times with an offset" in stderr


@pytest.mark.parametrize("is_by_station", [False, True])
def test_a_station_with_one_pass_of_a_repeated_hour_makes_its_slots_partial(
    world: World, tmp_path: Path, *, is_by_station: bool
) -> None:
    """In a table by station; in one by time, the other stations tell."""
    rows = [row for row in night() if row[1] != "s2" or not 2 <= row[2] < 6]
    if is_by_station:
        rows.sort(key=lambda row: row[1])

    found, stderr = filled_at_night(world, tmp_path, rows)

    assert found == {(quarter, quarter) for quarter in range(12)}
    assert ("4 rows left out" in stderr) == is_by_station
    sizes, all_flags = zip(*((b.rows, b.flags) for b in world.committed()), strict=True)
    second, lacking = (2, "partial") if is_by_station else (3, "")
    assert sizes == (3, 3, 2, 2, 2, 2, *[second] * 4, 3, 3)
    assert all_flags[2:10] == (lacking,) * 8


def test_reports_in_a_repeated_hour_belong_to_their_poll(
    world: World, tmp_path: Path
) -> None:
    """A report is of the second pass if it is not after its poll then."""
    rows = [(*row, row[0]) for row in night()]
    path = write(tmp_path / "a.csv", ("at", "id", "bikes", "seen"), rows)
    config = ("--map", "last_reported=seen", "--time-zone", "Europe/Oslo")

    fill(world, path, *config, zone="Europe/Oslo")

    lines = world.lines("station_status/2026-10-25.csv")
    assert len(lines) == 36
    assert {line.split(",")[0] == line.split(",")[12] for line in lines} == {True}


def test_a_gap_in_a_repeated_hour_is_shown_with_offsets(
    world: World, tmp_path: Path
) -> None:
    """In text and on the page: it would end before it begins."""
    polls = (*range(10), *range(20, 34))
    rows = [(f"{NIGHT + 300 * poll:.0f}", "s0", 1) for poll in polls]
    path = write(tmp_path / "a.csv", ("at", "id", "bikes"), rows)
    fill(world, path, zone="Europe/Oslo")
    until = ("--until", "2026-10-25T03:15")
    command = ("backfill-report", "city", *until)

    _, text, _ = run(world, *command, zone="Europe/Oslo")
    _, page, _ = run(world, *command, "--format", "html", zone="Europe/Oslo")

    assert "2026-10-25 02:20 (+02:00)  02:10 (+01:00)     10  not-coll" in text
    assert "2026-10-25 02:20 (+02:00)" in page
    assert "2026-10-25 02:10 (+01:00)" in page


def test_old_content_is_imported_as_stale(world: World, tmp_path: Path) -> None:
    """SrcUpdateTime is four days before updateTime and collect_time."""
    rows = youbike(BEGIN, BEGIN + timedelta(seconds=60), source=timedelta(days=4))
    path = write(tmp_path / "old.csv", YOUBIKE, rows)

    run(world, "backfill", "city", "--from", path)

    assert flags(world) == {"12:00": "stale"}


def test_ids_and_flags_that_became_floats_are_read(
    world: World, tmp_path: Path
) -> None:
    """500101001.0 and act 1.0, as pandas writes a column with a gap."""
    late = BEGIN + timedelta(minutes=10)
    rows = [
        *youbike(BEGIN, BEGIN + timedelta(seconds=60), suffix=".0"),
        *youbike(late, late + timedelta(seconds=60)),
    ]
    path = write(tmp_path / "float.csv", YOUBIKE, rows)

    run(world, "backfill", "city", "--from", path)

    cells = [line.split(",") for line in world.lines()]
    assert [(row[2], row[3], row[10]) for row in cells] == [
        (f"50010100{n}", str(n), "true") for n in range(5)
    ] * 2
    assert flags(world) == {"12:00": "", "12:10": ""}


def test_an_archive_of_changes_has_partial_slots(world: World, tmp_path: Path) -> None:
    """It has a row only where a station changed, so slots lack stations."""
    rows = [
        (f"{BEGIN + timedelta(minutes=5 * slot):%Y-%m-%d %H:%M:%S}", f"{n:04}", slot)
        for slot in range(12)
        for n in range(60)
        if (n + slot) % 6 == 0
    ]
    path = write(tmp_path / "changes.csv", ("at", "id", "bikes"), rows)

    code, _, stderr = fill(world, path)
    _, report, _ = run(world, "backfill-report", "city", "--format", "json")

    assert code == 0
    assert "a row only where a station has changed" in stderr
    assert set(flags(world).values()) == {"partial"}
    assert json.loads(report)["days"][0]["partial"] == 12


def test_a_station_that_is_twice_in_a_poll_is_flagged(
    world: World, tmp_path: Path
) -> None:
    """The first row is used; the slot has the flag dup."""
    rows = youbike(BEGIN, BEGIN + timedelta(seconds=60))
    path = write(tmp_path / "twice.csv", YOUBIKE, [*rows, rows[0]])

    run(world, "backfill", "city", "--from", path)

    assert flags(world) == {"12:00": "dup"}


def raw(path: Path, lines: Sequence[str], encoding: str = "utf-8") -> Path:
    """Write *lines* to *path*."""
    path.write_bytes("\n".join([*lines, ""]).encode(encoding))
    return path


def test_semicolons_and_decimal_commas_are_read(world: World, tmp_path: Path) -> None:
    """As spreadsheets of half of Europe write a table, with their dates."""
    path = raw(
        tmp_path / "a.csv",
        ["at;id;bikes", "22.11.2026 12:00;500101001,0;4,0", "22.11.2026 12:00;7;0"],
    )

    code, _, stderr = fill(world, path)

    text = (world.folder / CSV).read_text(encoding="utf-8")
    assert code == 0, stderr
    assert [line.split(",")[2:4] for line in text.splitlines()[1:]] == [
        ["500101001", "4"],
        ["7", "0"],
    ]
    assert text.splitlines()[1].startswith("2026-11-22T12:00:00+08:00,")


def leave_only(
    world: World,
    *command: object,
    odd: Mapping[str, int | None] | None = None,
    **more: Any,
) -> list[str]:
    """Collect two slots, write them by *command*, and lose them; return their lines.

    They have the counts *odd*, too, and the feed has *more*.
    """
    pytest.importorskip("duckdb")
    world.fetch({**counts(0), **(odd or {})}, **more)
    world.fetch({**counts(1), **(odd or {})}, after=300, **more)
    before = world.lines()
    run(world, *command)
    shutil.rmtree(world.folder)
    return before


def test_an_export_is_recognised_and_imported_unchanged(
    world: World, tmp_path: Path
) -> None:
    """Of days whose files are lost, the export may be the only copy.

    A row without a count was collected like that; so was the time of each response.
    """
    world.clock.now = NOON + 1
    command = ("export", "city", "-o", tmp_path / "a.csv")
    before = leave_only(world, *command, odd={"99": None})
    code, stdout, stderr = run(world, "backfill", "--from", tmp_path / "a.csv")

    assert (code, stderr) == (0, "")
    assert "unreadable" not in stdout
    assert world.lines() == before
    assert len(before) == 2 * len(counts(0)) + 2
    assert sum(line.split(",")[3] == "" for line in before) == 2
    assert {line.split(",")[1][11:19] for line in before} == {"12:00:03", "12:05:03"}
    assert set(flags(world).values()) == {""}


def test_the_flags_of_a_dataset_are_taken_over(world: World, tmp_path: Path) -> None:
    """From its list of slots; without it, a line says that they are lacking."""
    world.clock.now = NOON + 170
    command = ("publish", "-o", tmp_path / "set")
    before = leave_only(world, *command, last_updated=int(NOON))
    lacking = tmp_path / "lacking"
    lacking.mkdir()
    rows = (tmp_path / "set/data/station_status.csv").read_text(encoding="utf-8")
    cut = [",".join(line.split(",")[:1] + line.split(",")[2:]) for line in rows.split()]
    (lacking / "rows.csv").write_text("\n".join([*cut, ""]), encoding="utf-8")

    alone = run(world, "backfill", "--from", lacking, "--dry-run")
    code, stdout, stderr = run(world, "backfill", "--from", tmp_path / "set")

    assert (code, stderr) == (0, "")
    assert world.lines() == before
    assert flags(world) == {"12:00": "late", "12:05": "stale late"}
    assert [block.last_updated for block in world.committed()] == [NOON, NOON]
    assert "flags" not in stdout
    assert "when they were fetched, the flags of slots (" in " ".join(alone[1].split())


def test_a_list_of_slots_is_untrusted(world: World, tmp_path: Path) -> None:
    """Lines and words that no list has are not taken; alone, it has no rows."""
    leave_only(world, "publish", "-o", tmp_path / "set")
    listed = tmp_path / "set/data/slots.csv"
    lines = listed.read_text(encoding="utf-8").split("\n")
    first = lines[1].split(",")
    first[6] = "odd clock"
    torn = [lines[0], ",".join(first), "at noon,720,0,collected,,30,stale,,,,,", "2026"]
    listed.write_text("\n".join(torn), encoding="utf-8")

    refused = run(world, "backfill", "--from", listed)
    code, stdout, _ = run(world, "backfill", "--from", tmp_path / "set")

    assert (refused[0], "is a list of slots, without rows" in refused[2]) == (64, True)
    assert code == 0
    assert "2 rows or blocks of the other archive are unreadable" in stdout
    assert flags(world) == {"12:00": "clock", "12:05": ""}


def sources(world: World) -> set[str]:
    """Return the sources of the blocks, without the world's folder."""
    base = str(world.folder.parents[1])
    return {block.source.replace(base, "...") for block in world.committed()}


def test_of_a_published_dataset_only_the_rows_of_stations_are_read(
    world: World, tmp_path: Path
) -> None:
    """They are the source; the other tables are not unreadable rows."""
    before = leave_only(world, "publish", "--format", "both", "-o", tmp_path / "set")
    code, stdout, stderr = run(world, "backfill", "--from", tmp_path / "set")

    assert (code, stderr) == (0, "")
    assert "not taken over: why slots are missing there" in stdout
    assert "unreadable" not in stdout
    assert world.lines() == before
    assert sources(world) == {"backfill bikecollect .../set/data/station_status.csv"}


def test_the_versions_of_stations_of_an_export_are_taken_over(
    world: World, tmp_path: Path
) -> None:
    """From a list beside the rows; of rows alone it is said that they have no names."""
    folder, listed = tmp_path / "set", world.folder / INFORMATION
    rows, names = folder / "rows.csv", folder / "st.csv"
    folder.mkdir()
    before = leave_only(world, "export", "city", "-o", rows)
    header = "valid_from,valid_to,station_id,name,short_name,lat,lon,is_listed\n"
    line = "2026-11-22T12:05:00+08:00,,0007,Old Hall,,25.02,121.5,true\n"

    alone = run(world, "backfill", "--from", rows, "--dry-run")
    odd = "at noon,,0007,Odd Hall,,25.02,121.5,true\n"
    names.write_text(header + line + odd, encoding="utf-8")
    code, stdout, stderr = run(world, "backfill", "--from", folder)

    assert (
        "not taken over: names of new stations (a CSV of `export --what stations`, of "
        "one system, has them), the flags of slots (a CSV of `export --what slots`, of "
        "one system, has them) and why slots are missing there"
    ) in " ".join(alone[1].split())
    assert (code, stderr) == (0, "")
    assert "1 version of stations taken over: their names and places" in stdout
    assert "1 row or block of the other archive is unreadable" in stdout
    assert world.lines() == before
    refused = run(world, "backfill", "--from", names)
    assert (refused[0], "is a list of stations, without rows" in refused[2]) == (
        64,
        True,
    )
    assert listed.read_text(encoding="utf-8").splitlines()[1:] == [
        "2026-11-22T12:05:00+08:00,0007,Old Hall,,25.02,121.5,,,,,,,,,true"
    ]


def test_a_table_of_another_kind_is_left_out_and_named(
    world: World, tmp_path: Path
) -> None:
    """A list of stations beside the polls; of several files, the folder is the source.

    Of another's datapackage.json nothing is concluded.
    """
    folder = tmp_path / "polls"
    folder.mkdir()
    write(folder / "list.csv", ("id", "name"), [(f"{n:04}", "x") for n in range(30)])
    table(folder / "a.csv", [0])
    table(folder / "b.csv", [1])
    described = [{"path": "a.csv", "title": "bikes"}]
    package = {"name": "city-bikes", "resources": described}
    (folder / "datapackage.json").write_text(json.dumps(package))

    code, stdout, stderr = fill(world, folder)

    assert (code, "2 slots filled (60 rows)" in stdout) == (0, True)
    assert "unreadable" not in stdout
    assert "1 file of" in stderr
    assert "left out, without the columns at, id, bikes: list.csv" in stderr
    assert sources(world) == {"backfill mapped .../polls"}


def test_parquet_files_of_another_kind_are_left_out(
    world: World, tmp_path: Path
) -> None:
    """As in the folder of an archive, which has slots and runs, too."""
    duckdb = pytest.importorskip("duckdb")
    folder = tmp_path / "polls [1]"
    folder.mkdir()
    polls = table(tmp_path / "a.csv", [0])
    rows = f"FROM read_csv('{polls}', all_varchar = true)"
    duckdb.sql(rows).write_parquet(str(folder / "a.parquet"))
    duckdb.sql("SELECT 'x' AS id").write_parquet(str(folder / "b.parquet"))

    code, stdout, stderr = fill(world, folder)

    assert (code, "1 slot filled (30 rows)" in stdout) == (0, True)
    assert "unreadable" not in stdout
    assert "at, id, bikes: b.parquet" in stderr


@pytest.mark.parametrize("delimiter", [",", "\t", "|"])
def test_each_delimiter_is_found(world: World, tmp_path: Path, delimiter: str) -> None:
    """A name may contain another one, in quotes."""
    header = delimiter.join(("at", '"a;b;c;d"', "id", "bikes"))
    line = delimiter.join(("2026-11-22 12:00:00", '"x;y"', "0001", "4"))

    code, stdout, _ = fill(world, raw(tmp_path / "a.csv", [header, line]))

    assert (code, "1 slot filled (1 row)" in stdout) == (0, True)


def test_a_table_in_utf_16_is_reported(world: World, tmp_path: Path) -> None:
    """With the command that converts it."""
    lines = ["at,id,bikes", "2026-11-22 12:00:00,0001,4"]

    code, _, stderr = fill(world, raw(tmp_path / "a.csv", lines, "utf-16"))

    assert code == 74
    assert "its encoding is UTF-16; convert it to UTF-8 first" in stderr


def test_ids_with_an_exponent_are_restored_or_refused(
    world: World, tmp_path: Path
) -> None:
    """5.00101001e+08 still names its station; 5.001E+08 could be any of thousands."""
    lines = ["at,id,bikes"]
    lines += [f"2026-11-22 12:00:00,5.0010100{n}e+08,{n}" for n in range(1, 9)]

    code, _, _ = fill(world, raw(tmp_path / "a.csv", lines))
    rounded = [line.replace("0100", "").replace("12:00", "13:00") for line in lines]
    refused, _, stderr = fill(world, raw(tmp_path / "b.csv", rounded))

    text = (world.folder / CSV).read_text(encoding="utf-8")
    assert (code, refused) == (0, 78)
    assert text.splitlines()[1].split(",")[2] == "500101001"
    assert "8 of 8 rows" in stderr


def test_ids_without_their_leading_zeros_are_named(
    world: World, tmp_path: Path
) -> None:
    """0001 became 1 where it was read as a number: the same city, other ids."""
    world.fetch(counts(0))
    lines = ["at,id,bikes", *(f"2026-11-22 13:00:00,{n},3" for n in range(30))]

    code, _, stderr = fill(world, raw(tmp_path / "a.csv", lines))

    assert code == 78
    assert "29 are known here with leading zeros: write its ids as text" in stderr


def test_a_slot_of_which_rows_were_dropped_is_partial(
    world: World, tmp_path: Path
) -> None:
    """One station of six has no count."""
    lines = ["at,id,bikes", *(f"2026-11-22 12:00:00,{n},3" for n in range(5))]

    fill(world, raw(tmp_path / "a.csv", [*lines, "2026-11-22 12:00:00,5,"]))

    assert flags(world) == {"12:00": "partial"}


def test_times_that_are_always_hours_late_are_of_another_zone(
    world: World, tmp_path: Path
) -> None:
    """Tokyo's clock wrote them; behind a dead source the age would grow."""
    rows, dead = [], []
    for number in range(13):
        begin = BEGIN + timedelta(minutes=15 * number)
        rows += youbike(begin, begin + timedelta(hours=1, minutes=2))
        dead += youbike(BEGIN - timedelta(days=1), begin)
    tokyo = write(tmp_path / "tokyo.csv", YOUBIKE, rows)

    code, _, stderr = run(world, "backfill", "city", "--from", tokyo)
    zone = ("--time-zone", "Asia/Tokyo")
    named, _, _ = run(world, "backfill", "city", "--from", tokyo, *zone)
    old = write(tmp_path / "dead.csv", YOUBIKE, dead)
    forced = run(world, "backfill", "city", "--from", old, "--force")

    assert code == 78
    assert "are 1.0 h after the reports in the same rows" in stderr
    assert named == 0
    assert forced[0] == 0


def test_gaps_of_an_import_before_the_first_run_are_before_collecting(
    world: World, tmp_path: Path
) -> None:
    """Their cause is `not-collecting`, not a lost ledger."""
    world.clock.now = NOON + 3600
    world.fetch(counts(0))
    path = table(tmp_path / "early.csv", [0, 1, 4])
    fill(world, path)

    until = ("--until", "2026-11-22T13:00")
    _, report, _ = run(world, "backfill-report", "city", *until, "--format", "json")

    gaps = json.loads(report)["gaps"]
    assert [(gap["slots"], gap["cause"]) for gap in gaps] == [
        (2, "not-collecting"),
        (7, "not-collecting"),
    ]
    assert not re.search("lost", json.dumps(gaps))
