"""A report's rows are read, and printed, in parts."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from demo_city import ended
from in_process import bikecollect
from keeping import viewed
from templates import copied
from world import TAIPEI, World

from bikecollect.archive.query import views
from bikecollect.archive.query.view_source import ViewedSystem
from bikecollect.cli import cli
from bikecollect.cli.render import reports as render
from bikecollect.reports import runner
from bikecollect.reports.engines import merged_rows
from bikecollect.reports.registry import REPORTS, Rows, Values

pytest.importorskip("duckdb")
VALUES = Values(
    since=date(2000, 1, 1),
    until=date(2100, 1, 1),
    interval=300,
    minute=725,
    first_hour=144,
)
READ = """
import resource
from pathlib import Path
from bikecollect.archive.query.duckdb_engine import connect
from bikecollect.reports.runner import Duck

def kilobytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

db = connect(Path("."), memory="64MB")
begin = kilobytes()
text = "repeat('x', 600) || i AS text"
answer = Duck(db).stream(f"SELECT {text} FROM range(420_000) AS r(i)")
count = sum(map(len, answer.batches))
print(count, (kilobytes() - begin) // 1024)
"""
"""420,000 rows of 600 characters; as a list they take 300 MB."""


@copied
def four_slots(folder: Path) -> World:
    """Return four slots of three stations, one of them stale."""
    world = World(folder / "city")
    for bikes in (4, 0, 2, 2):
        world.fetch({"0001": bikes, "a": 1, "b": 0}, after=300)
    return world


@pytest.fixture
def world(folder: Path) -> World:
    """Return a copy of `four_slots`."""
    return four_slots(folder)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[runner.Duck]:
    """Yield DuckDB with all views of `four_slots`."""
    with viewed(four_slots(tmp_path_factory.mktemp("engine") / "bikes")) as db:
        yield runner.Duck(db)


Batches = tuple[list[str], list[Rows]]


@pytest.fixture(scope="module")
def batches(engine: runner.Duck) -> Callable[[str, int], Batches]:
    """Return a reader of a report's columns and batches, of some rows at most."""

    @cache
    def read(name: str, size: int) -> Batches:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(runner, "BATCH", size)
            columns, rows = runner.stream(engine, REPORTS[name], VALUES, names=True)
            return columns, list(rows)

    return read


def printed(
    name: str, result: runner.BatchedAnswer, form: str, limit: int | None
) -> list[str]:
    """Return the parts of text that are printed of *result*, of the report *name*."""
    return list(render.answer(REPORTS[name], result, {"city": TAIPEI}, form, limit))


@pytest.mark.parametrize("form", ["text", "csv", "json"])
@pytest.mark.parametrize("limit", [None, 2])
@pytest.mark.parametrize("name", ["hours", "history", "chance", "availability"])
def test_what_is_printed_does_not_depend_on_the_batches(
    batches: Callable[[str, int], Batches], name: str, limit: int | None, form: str
) -> None:
    """Row by row, or all at once; with the names of stations, which come after ids."""
    full, in_batches = (
        printed(name, runner.BatchedAnswer(columns, iter(rows)), form, limit)
        for columns, rows in (batches(name, 1_000), batches(name, 1))
    )

    assert "".join(full).strip()
    assert "".join(in_batches) == "".join(full)


def test_a_long_result_is_printed_in_parts(
    engine: runner.Duck, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process has a month of a large city in memory: a header, and twelve rows."""
    monkeypatch.setattr(runner, "BATCH", 5)

    result = runner.stream(engine, REPORTS["history"], VALUES)
    parts = printed("history", result, "csv", None)

    assert [part.count("\n") for part in parts] == [1, 5, 5, 2]


def test_the_rows_of_a_result_are_not_in_memory_together(tmp_path: Path) -> None:
    """Only those of one batch are."""
    script = tmp_path / "read.py"
    script.write_text(READ, encoding="utf-8")

    process = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )

    count, megabytes = map(int, process.stdout.split())
    assert count == 420_000
    assert megabytes < 120


@pytest.fixture
def two_systems(world: World, config: Path) -> Path:
    """Return the settings of the world's system and of another one, both over."""
    other = World(world.folder.parent / "another", clock=world.clock)
    other.fetch({"x": 0, "y": 9}, after=300)
    with config.open("a", encoding="utf-8") as settings:
        settings.write(
            '[systems.another]\nfeed = "youbike"\ntimezone = "Asia/Taipei"\n'
            'url = "http://127.0.0.1/"\n'
        )
    return ended(config)


def rows_of(config: Path, *arguments: str) -> list[str]:
    """Return the lines of CSV that `report` prints up to a past day, no header.

    A day that goes on has more slots in a later call than in an earlier one.
    """
    arguments = (*arguments, "--until", "2026-11-23", "--format", "csv")
    process = bikecollect("--config", config, "report", *arguments)
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()[1:]


@pytest.mark.parametrize("name", ["hours", "reliability", "availability"])
def test_systems_follow_each_other(two_systems: Path, name: str) -> None:
    """They are read one by one: the rows are those of each system, by its name."""
    both = rows_of(two_systems, name)

    apart = [rows_of(two_systems, name, system) for system in ("another", "city")]
    assert both == [*apart[0], *apart[1]]
    assert all(apart)


def test_the_longest_episodes_of_all_systems_come_first(two_systems: Path) -> None:
    """Each system is read alone; their rows are sorted together."""
    both = rows_of(two_systems, "episodes")

    apart = [rows_of(two_systems, "episodes", system) for system in ("another", "city")]
    lengths = [int(row.split(",")[6]) for row in both]
    assert both == sorted(
        [*apart[0], *apart[1]], key=lambda row: -int(row.split(",")[6])
    )
    assert len(apart[0]) == 1
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize("at_once", [1, 2, 500])
def test_rows_of_systems_are_merged_however_they_are_kept(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """The longest first, equal ones by system, then in the order of their system."""
    monkeypatch.setattr(merged_rows, "AT_ONCE", at_once)
    columns = ["system_id", "station_id", "length_s"]
    a, b = [("a", "1", 900), ("a", "2", 300)], [("b", "9", 600), ("b", "3", 300)]
    more = [("b", "4", 300)]
    results = [(columns, a), (columns, b), (columns, more)]

    batches = list(merged_rows.merged(REPORTS["episodes"], results, 2))

    rows = [row for _, batch in batches for row in batch]
    assert rows == [a[0], b[0], a[1], b[1], *more]
    assert [len(batch) for _, batch in batches] == [2, 2, 1]


def test_systems_without_rows_merge_into_one_empty_batch() -> None:
    """The columns are printed all the same."""
    columns = ["system_id", "length_s"]

    assert list(merged_rows.merged(REPORTS["episodes"], [(columns, [])], 2)) == [
        (columns, [])
    ]


def test_no_report_reads_all_systems_at_once(
    two_systems: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory would grow with their number; a report of the longest episodes did."""
    groups: list[list[str]] = []
    connected = views.connected

    def record(data: Path, systems: Sequence[ViewedSystem], **more: Any) -> Any:
        groups.append([viewed.system_id for viewed in systems])
        return connected(data, systems, **more)

    monkeypatch.setattr(views, "connected", record)
    arguments = ["--config", str(two_systems), "report", "episodes"]

    result = CliRunner().invoke(cli, arguments)

    assert result.exit_code == 0, result.output
    assert groups == [["another"], ["city"]]


@pytest.mark.parametrize(
    ("systems", "code"), [((), 0), (("empty",), 64), (("city", "empty"), 0)]
)
def test_a_system_without_data_is_no_error_beside_one_with_data(
    two_systems: Path, systems: tuple[str, ...], code: int
) -> None:
    """Only if no system has any, there is nothing to report."""
    text = two_systems.read_text(encoding="utf-8")
    two_systems.write_text(text.replace("systems.another", "systems.empty"))

    process = bikecollect("--config", two_systems, "report", "hours", *systems)

    assert process.returncode == code
    assert ("no data yet" in process.stderr) == (code == 64)
