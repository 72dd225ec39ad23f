"""Results reach the place they are sent to, or the command says that they did not."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from world import World

pytest.importorskip("duckdb")

RESULTS = (
    "runs",
    "status --format json",
    "verify",
    "backfill-report --format csv",
    "report availability --format csv",
    "report",
    "export",
    "query --format csv 'FROM slots'",
    "query 'SELECT 1 AS one'",
    "compact --format json",
    "backfill",
    "feeds",
    "--help",
)


@pytest.fixture
def config(world: World, tmp_path: Path) -> Path:
    """Return the settings of *world*'s only system."""
    path = tmp_path / "bikecollect.toml"
    path.write_text(
        f'data_dir = "{world.folder.parent}"\n[systems.city]\nfeed = "youbike"\n'
        'timezone = "Asia/Taipei"\nurl = "http://127.0.0.1/"\n',
        encoding="utf-8",
    )
    return path


@pytest.fixture
def world(folder: Path) -> World:
    """Return a world with a slot of one closed day."""
    world = World(folder / "city")
    (world.folder / ".bikecollect").touch()
    world.clock.now -= 86_400 * 900
    world.fetch({"a": 1})
    return world


def run(config: Path, line: str, stdout: int) -> "subprocess.CompletedProcess[str]":
    """Run the command *line* with its results going to *stdout*."""
    command = [sys.executable, "-m", "bikecollect", "--config", str(config)]
    return subprocess.run(
        [*command, *shlex.split(line)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("line", RESULTS)
def test_a_result_that_does_not_fit_on_the_disk_is_an_error(
    config: Path, line: str
) -> None:
    """Exit code 74, and a sentence that says why (fault 70)."""
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = run(config, line, full)
    finally:
        os.close(full)

    assert done.returncode == 74
    assert "cannot be written: No space left on device" in done.stderr


@pytest.mark.parametrize("line", RESULTS)
def test_a_reader_that_has_seen_enough_is_no_error(config: Path, line: str) -> None:
    """As `bikecollect export | head` has it: exit code 0, and not a word."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run(config, line, writer)
    finally:
        os.close(writer)

    assert (done.returncode, done.stderr) == (0, "")


def test_work_goes_on_when_what_it_tells_is_lost(config: Path, world: World) -> None:
    """The day is archived though nobody could be told of it."""
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        run(config, "compact", full)
    finally:
        os.close(full)

    assert list((world.folder.parent / "archive").rglob("station_status/*/*/*.parquet"))
