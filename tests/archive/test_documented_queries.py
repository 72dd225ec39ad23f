"""The examples of the docs read our files, unchanged."""

import csv
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
from in_process import bikecollect
from keeping import compacted
from quiet_settings import write_settings
from templates import copied
from world import World

from bikecollect.core.slots import DAY
from bikecollect.storage.csv_format import derived

duckdb = pytest.importorskip("duckdb")
PAGE = Path(__file__).parents[2] / "docs/how-to/query-the-history.md"
LINES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
QUERIES = re.findall(r'bikecollect query "(.*?)"', PAGE.read_text("utf-8"), re.DOTALL)


def read(code: str, folder: Path) -> list[str]:
    """Return the ids of the stations in the frame that *code* of the docs makes."""
    for word, value in (
        ("DATA", str(folder)),
        ("SYSTEM", "city"),
        ("DAY", "2026-11-22"),
    ):
        code = code.replace(word, value)
    names: dict[str, Any] = {}
    exec(code, names)
    frame = names["frame"]
    frame = frame.df() if hasattr(frame, "df") else frame
    slots = [*(frame["slot_time"] if "slot_time" in frame else frame["slot"])]
    assert {slot.year for slot in slots} == {2026}
    return sorted(frame["station_id"])


@copied
def closed_and_open_day(folder: Path) -> World:
    """Return a world with an archived day, and one that is open."""
    world = World(folder / "city")
    world.fetch({"0001": 3, "NA": 0})
    world.clock.now += DAY
    compacted(world)
    world.fetch({"0001": 4, "NA": 1})
    return world


@copied
def two_closed_days(folder: Path) -> World:
    """Return a world with two archived days, with occupancy."""
    world = World(folder / "city", derived=(derived("occupancy"),))
    for _ in range(2):
        world.fetch({"0001": 3, "0002": 0}, capacity=9)
        world.clock.now += DAY
        compacted(world)
    return world


@pytest.mark.parametrize("sql", QUERIES, ids=len)
def test_a_query_of_the_docs_does_not_mix_systems(sql: str, tmp_path: Path) -> None:
    """Each row is of one system: their stations have nothing to do with each other."""
    for name, bikes in (("city", 1), ("town", 3)):
        world = World(tmp_path / "data" / name)
        (world.folder / ".bikecollect").touch()
        world.clock.now += 6 * 3_600  # at six in the evening
        world.fetch({"a": bikes})
    config = write_settings(tmp_path / "x.toml", tmp_path / "data", "city", "town")

    process = bikecollect("--config", config, "query", "--format", "csv", sql)
    rows = list(csv.DictReader(process.stdout.splitlines()))

    assert [(row["system_id"], float(row["vehicles"])) for row in rows] == [
        ("city", 1),
        ("town", 3),
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("code", LINES, ids=lambda text: text.split()[1])
def test_a_one_liner_of_the_docs_reads_all_rows(code: str, folder: Path) -> None:
    """Ids are text, in each program; with open days, their rows too."""
    closed_and_open_day(folder)
    expected = ["0001", "NA"] * (2 if ".csv" in code else 1)

    assert read(code, folder) == sorted(expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("code", LINES, ids=lambda text: text.split()[1])
def test_days_of_the_form_before_are_read_beside_new_ones(
    code: str, folder: Path, *, is_first: bool
) -> None:
    """A day with `occupancy`, before or after one that leaves it out."""
    two_closed_days(folder)
    parts = sorted((folder / "archive/station_status").glob("*/*/part.parquet"))
    with_occupancy(parts[0 if is_first else 1])

    assert read(code, folder) == sorted(["0001", "0002"] * 2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "code",
    [code for code in LINES if ".csv" in code and "archive" in code],
    ids=lambda text: text.split()[3],
)
def test_a_one_liner_reads_an_archive_without_any_csv(code: str, folder: Path) -> None:
    """A system that is over has none: its days are all archived."""
    two_closed_days(folder)
    for path in (folder / "city/station_status").glob("*.csv"):
        path.unlink()

    assert read(code, folder) == sorted(["0001", "0002"] * 2)


def with_occupancy(part: Path) -> None:
    """Rewrite *part* as the version before wrote it."""
    other = part.with_suffix(".old")
    duckdb.sql(
        "COPY (SELECT * EXCLUDE (occupancy_is_derived), 0.5 AS occupancy"
        f" FROM read_parquet('{part}', hive_partitioning = false))"
        f" TO '{other}' (FORMAT parquet)"
    )
    other.replace(part)


def test_the_tutorial_reads_a_day_on_which_summer_time_ends(tmp_path: Path) -> None:
    """Its slots have two offsets, and "NA" is the id of a station."""
    tutorial = PAGE.parents[1] / "tutorial.md"
    (code,) = re.findall(r"```python\n(.*?) *```", tutorial.read_text(), re.DOTALL)
    path = tmp_path / "2026-10-25.csv"
    lines = [f"2026-10-25T02:00:00+0{offset}:00,NA,{offset}" for offset in (2, 1)]
    header = "slot,station_id,num_vehicles_available"
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    names: dict[str, Any] = {}

    exec(
        textwrap.dedent(code)
        .replace("2026-11-24.csv", str(path))
        .replace("Asia/Taipei", "Europe/Oslo")
        .replace("from matplotlib import pyplot", "")
        .replace(".plot()", "")
        .replace("pyplot.show()", ""),
        names,
    )

    day = names["day"]
    assert [slot.hour for slot in day["slot"]] == [2, 2]
    assert len(set(day["slot"])) == 2
    assert [*day["station_id"]] == ["NA", "NA"]
