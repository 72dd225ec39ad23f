"""A report's rows are read, and printed, in parts."""

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from keeping import viewed
from world import TAIPEI, World

from bikecollect.cli.render import reports as render
from bikecollect.reports import runner
from bikecollect.reports.registry import REPORTS, Values

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
columns = ", ".join(f"i + {n}.5 AS c{n}" for n in range(12))
answer = Duck(db).stream(f"SELECT {columns} FROM range(600_000) AS r(i)")
first = next(answer.batches)
begin = kilobytes()
count = len(first) + sum(map(len, answer.batches))
print(count, (kilobytes() - begin) // 1024)
"""
"""600,000 rows of 12 numbers; as a list they take 300 MB."""


@pytest.fixture
def world(folder: Path) -> World:
    """Return four slots of three stations, one of them stale."""
    world = World(folder / "city")
    for bikes in (4, 0, 2, 2):
        world.fetch({"0001": bikes, "a": 1, "b": 0}, after=300)
    return world


def printed(
    world: World, name: str, form: str, limit: int | None, **more: Any
) -> list[str]:
    """Return the parts of text that are printed of the report *name*."""
    with viewed(world) as db:
        result = runner.stream(runner.Duck(db), REPORTS[name], VALUES, **more)
        zones = {"city": TAIPEI}
        return list(render.answer(REPORTS[name], result, zones, form, limit))


@pytest.mark.parametrize("form", ["text", "csv", "json"])
@pytest.mark.parametrize("limit", [None, 2])
@pytest.mark.parametrize("name", ["hours", "history", "chance", "availability"])
def test_what_is_printed_does_not_depend_on_the_batches(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    limit: int | None,
    form: str,
) -> None:
    """Row by row, or all at once; with the names of stations, which come after ids."""
    full = printed(world, name, form, limit, names=True)
    for module in (runner, render):
        monkeypatch.setattr(module, "BATCH", 1)

    in_batches = printed(world, name, form, limit, names=True)

    assert "".join(full).strip()
    assert "".join(in_batches) == "".join(full)


def test_a_long_result_is_printed_in_parts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process has a month of a large city in memory: a header, and twelve rows."""
    monkeypatch.setattr(render, "BATCH", 5)

    parts = printed(world, "history", "csv", None)

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
    assert count == 600_000
    assert megabytes < 120
