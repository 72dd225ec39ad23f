"""`report --sql --engine` prints SQL that gives the same rows elsewhere."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from in_process import bikecollect
from keeping import viewed
from three_days import VALUES, WITHOUT_ROWS, three_days, tidy
from world import World

from bikecollect.reports.engines.engine_sql import ENGINES
from bikecollect.reports.registry import REPORTS, Report
from bikecollect.reports.runner import ASKED, Duck, asked
from bikecollect.storage.data_folder import INFORMATION

duckdb = pytest.importorskip("duckdb")
pytestmark = pytest.mark.slow
RUN_IN_CHDB = """
import json, sys
from chdb.session import Session
answers = {}
session = Session()
# Compiling an expression costs more than these few rows take.
session.query("SET max_threads = 1, compile_expressions = 0")
session.query("SET compile_aggregate_expressions = 0, compile_sort_description = 0")
for name, script in json.load(sys.stdin).items():
    session.query(f"CREATE DATABASE report_{name}")
    session.query(f"USE report_{name}")
    *statements, last = script.split(";\\n\\n")
    try:
        for statement in statements:
            session.query(statement)
        text = str(session.query(last, "JSONCompact"))
        answer = json.loads(text)
        answers[name] = [[c["name"] for c in answer["meta"]], answer["data"]]
    except Exception as error:
        answers[name] = [str(error), []]
    session.query("DROP TEMPORARY TABLE IF EXISTS asked")
session.close()
print(json.dumps(answers))
"""
ENDS_OF_DAYS = (
    "SELECT c.station_id, CAST(c.date AS VARCHAR) AS day, c.first_vehicles,"
    " c.last_vehicles FROM {} AS c ORDER BY station_id, day"
)
STATIONS_ONLY = {
    name: report for name, report in REPORTS.items() if "vehicle" not in name
}
"""The reports that this world has data for."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return three archived days."""
    return three_days(tmp_path_factory.mktemp("scripts"))


def script(world: World, name: str, engine: str, *more: str) -> str:
    """Return what the command prints for the report *name* and *engine*."""
    config = world.folder.parents[1] / "bikecollect.toml"
    config.write_text(
        f'data_dir = "{world.folder.parent}"\n[systems.city]\nfeed = "youbike"\n'
        'timezone = "Asia/Taipei"\nurl = "http://127.0.0.1/"\n',
        encoding="utf-8",
    )
    process = bikecollect(
        *("--config", config, "report", name, "--sql", "--engine", engine),
        *("--since", "2026-11-01", "--until", "2026-12-30", "--at", "Sun 12:20"),
        *more,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def unlisted(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return the three days without a list of stations, as another archive gives."""
    world = three_days(tmp_path_factory.mktemp("unlisted"))
    (world.folder / INFORMATION).unlink()
    return world


@pytest.fixture(scope="module")
def of_duckdb(world: World) -> dict[str, Any]:
    """Return columns and rows of all reports, by DuckDB with our own views."""
    with viewed(world) as db:
        return {name: answer(Duck(db), r) for name, r in STATIONS_ONLY.items()}


def answer(duck: Duck, report: Report) -> tuple[list[str], Sequence[Sequence[Any]]]:
    """Return the columns and the rows of *report*."""
    duck.register("asked", ASKED, asked(duck, VALUES, place_of(report)))
    return duck.query(VALUES.sql(report))


def place_of(report: Report) -> str:
    """Return the grouping of *report* in these tests."""
    return "station" if "station" in report.places else "system"


@pytest.fixture(scope="module")
def of_clickhouse(world: World, unlisted: World) -> dict[str, Any]:
    """Return columns and rows of all reports, by one process of ClickHouse."""
    pytest.importorskip("chdb")
    by = ("--by", "station")
    scripts = {
        name: script(
            world, name, "clickhouse", *(by if "station" in report.places else ())
        )
        for name, report in STATIONS_ONLY.items()
    }
    counted = script(world, "reliability", "clickhouse", "--without-stale")
    summaries, _, _ = counted.rpartition("SELECT a.system_id")
    scripts["unlisted"] = script(unlisted, "stations", "clickhouse")
    scripts["ends"] = summaries + ENDS_OF_DAYS.format("counted_coverage")
    process = subprocess.run(
        [sys.executable, "-c", RUN_IN_CHDB],
        input=json.dumps(scripts),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    answers: dict[str, Any] = json.loads(process.stdout)
    return answers


def plain(rows: Any) -> Any:
    """Return *rows* as JSON has them: days as text, large integers as numbers."""
    return json.loads(json.dumps([list(row) for row in rows], default=str))


def numbers(rows: Any) -> Any:
    """Return *rows* of ClickHouse, whose JSON has large integers as text."""
    return [
        [int(v) if isinstance(v, str) and v.lstrip("-").isdigit() else v for v in row]
        for row in rows
    ]


@pytest.mark.parametrize("report", STATIONS_ONLY.values(), ids=lambda r: r.name)
def test_clickhouse_gives_the_same(
    of_clickhouse: dict[str, Any], of_duckdb: dict[str, Any], report: Report
) -> None:
    """The printed SQL runs in ClickHouse as it is, with equal columns and rows."""
    columns, expected = of_duckdb[report.name]

    names, rows = of_clickhouse[report.name]

    assert names == columns
    assert tidy(numbers(rows)) == tidy(numbers(plain(expected)))
    assert rows or report.name in WITHOUT_ROWS


def test_clickhouse_counts_rows_as_summaries_do(
    of_clickhouse: dict[str, Any], world: World
) -> None:
    """Without stale slots: also the first and last number of a day, for midnights."""
    with viewed(world) as db:
        expected = db.execute(ENDS_OF_DAYS.format("coverage")).fetchall()

    assert of_clickhouse["ends"][1] == plain(expected)
    assert len(expected) == 11


@pytest.mark.parametrize("report", STATIONS_ONLY.values(), ids=lambda r: r.name)
def test_plain_duckdb_gives_the_same(
    world: World, of_duckdb: dict[str, Any], report: Report
) -> None:
    """The printed SQL needs nothing of bikecollect."""
    by = place_of(report)
    columns, expected = of_duckdb[report.name]
    text = (
        script(world, report.name, "duckdb", "--by", by)
        if by == "station"
        else (script(world, report.name, "duckdb"))
    )

    with duckdb.connect() as db:
        cursor = db.execute(text)
        names, rows = [column[0] for column in cursor.description], cursor.fetchall()

    assert names == columns
    assert tidy(rows) == tidy(expected)


def test_an_archive_without_a_list_of_stations_has_reports(
    unlisted: World, of_duckdb: dict[str, Any], of_clickhouse: dict[str, Any]
) -> None:
    """The figures are the same; only names and places of the stations are unknown."""
    answers = []
    for text in (script(unlisted, name, "duckdb") for name in ("hours", "stations")):
        with duckdb.connect() as db:
            answers.append(db.execute(text).fetchall())

    assert tidy(answers[0]) == tidy(of_duckdb["hours"][1])
    known = {name: [None] * 7 for name in ("0001", "0002", "late", "x,y")}
    assert {row[1]: [*row[2:]] for row in answers[1]} == known
    assert {row[1]: row[2:] for row in of_clickhouse["unlisted"][1]} == known


@pytest.mark.parametrize("engine", ENGINES)
def test_each_engine_has_a_script(world: World, engine: str) -> None:
    """It creates the views that the report reads, over the archive that is named."""
    text = script(
        world, "availability", engine, "--archive", "s3://bucket/bikes/archive"
    )

    assert "s3://bucket/bikes/archive/coverage" in text
    assert re.search(r"^CREATE .*(VIEW|TABLE) asked .*AS WITH seen", text, re.MULTILINE)
    assert "$" not in text.replace('"$path"', "")


def test_the_command_refuses_what_it_cannot_run(world: World, tmp_path: Path) -> None:
    """ClickHouse, Trino and BigQuery are servers: only their SQL is printed."""
    process = bikecollect("report", "availability", "--engine", "trino")

    assert process.returncode == 64
    assert "--engine trino only prints the SQL: add --sql" in process.stderr
