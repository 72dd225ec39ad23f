"""The demo: which files it leaves, and where."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from hashlib import sha256
from pathlib import Path

import pytest
from in_process import bikecollect

from bikecollect.cli.commands.demo import forget_earlier, reading, steps
from bikecollect.core.errors import StorageError
from bikecollect.core.run import Run
from bikecollect.core.slots import Slot
from bikecollect.setup.program import extra_command
from bikecollect.setup.settings import DEMO_MARKER
from bikecollect.simulator import demo
from bikecollect.simulator.syncs import without_syncs
from bikecollect.storage.data_folder import MARKER, prepare, state_home
from bikecollect.storage.files.known_folders import is_known, remember
from bikecollect.storage.files.marker import lost_by
from bikecollect.storage.sqlite import ledger_file


def _around_the_outage(midnight: float) -> Iterator[int]:
    """Yield four slots: one before the feed is down, three in it."""
    begin = int(midnight) + 8 * 3600
    yield from range(begin - 300, begin + 900, 300)


def test_incidents_of_the_demo_stay_beside_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's own state has none: its feed does not exist."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "mine"))
    monkeypatch.setattr(demo, "_slots", _around_the_outage)
    folder = tmp_path / "demo-data"
    folder.mkdir()

    result = demo.collect_a_day(folder, stations=5, seed=1, step=lambda _: None)

    assert [gap.slots for gap in result.gaps(demo.YOUBIKE)] == [3]
    assert list(folder.glob(".state/bikecollect/incidents/*.json"))
    assert not (tmp_path / "mine").exists()
    assert os.environ["XDG_STATE_HOME"] == str(tmp_path / "mine")
    assert state_home() == tmp_path / "mine/bikecollect"


def test_only_the_demo_skips_syncing() -> None:
    """Simulated data need no sync; later writes are synced again."""
    fsync = os.fsync

    with without_syncs():
        inside = (os.fsync, ledger_file.SYNCHRONOUS)

    assert inside[0] is not fsync
    assert inside[1] == "OFF"
    assert (os.fsync, ledger_file.SYNCHRONOUS) == (fsync, "FULL")


def test_the_demo_names_the_extra_that_reports_need(tmp_path: Path) -> None:
    """With the command that installs it, unless it is installed."""
    config = tmp_path / "bikecollect.toml"

    without = "\n".join(reading(config, has_duckdb=False))
    complete = "\n".join(reading(config, has_duckdb=True))

    assert "report, export and query, which need DuckDB:\n" in without
    assert f"  {extra_command('archive')}\n" in without
    assert f"--config {config} report availability" in complete
    assert "archive" not in complete
    assert "install" not in complete


def test_a_demo_without_a_terminal_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At the start, and at each tenth once."""
    with steps(25, "Collecting 30 days") as step:
        for number in range(1, 26):
            step(number)

    tenths = [f"  {percent} %" for percent in range(10, 101, 10)]
    assert capsys.readouterr().err.splitlines() == ["Collecting 30 days ...", *tenths]


def test_a_demo_that_was_removed_is_no_lost_history(tmp_path: Path) -> None:
    """The next one in its place is new."""
    remember(tmp_path / "demo/city")
    remember(tmp_path / "bikes")
    with chdir(tmp_path):
        forget_earlier(Path("demo"))
    prepare(tmp_path / "demo/city")

    assert lost_by(tmp_path / "demo/city" / MARKER) is None
    assert is_known(tmp_path / "bikes")


def test_a_demo_ends_at_the_first_failure_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would fail in each of the slots, and there would be no file to show."""
    run = Run("1", demo.YOUBIKE, Slot(0), 0.0).failed(StorageError("the disk is full"))
    monkeypatch.setattr(demo, "collect", lambda *_, **__: [run])

    with pytest.raises(StorageError, match="the disk is full"):
        demo.collect_a_day(tmp_path, stations=1, seed=1, step=bool)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("november.csv", "november.csv"),
        ("bikecollect.toml", "bikecollect.toml (edited)"),
    ],
)
def test_a_second_demo_removes_nothing_of_the_users(
    tmp_path: Path, name: str, named: str
) -> None:
    """A file that was put beside the first one, or its settings once edited."""
    folder = tmp_path / "demo-data"
    folder.mkdir()
    (folder / "bikecollect.toml").write_text("", encoding="utf-8")
    (folder / DEMO_MARKER).write_text(sha256(b"").hexdigest(), encoding="utf-8")
    (folder / name).write_text("# mine\n", encoding="utf-8")

    process = bikecollect("demo", "--folder", folder)

    assert process.returncode == 78
    assert f"has what is not of a demo: {named}; move it away" in process.stderr
    assert (folder / name).read_text(encoding="utf-8") == "# mine\n"


def test_a_demo_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    """Neither half a city, which the app would show, nor a traceback.

    An earlier demo is replaced, which is said.
    """
    folder = tmp_path / "demo-data"
    (folder / DEMO_MARKER).parent.mkdir(parents=True)
    (folder / DEMO_MARKER).touch()
    command = [sys.executable, "-m", "bikecollect", "demo", "--folder", str(folder)]
    process = subprocess.Popen(
        [*command, "--days", "30", "--stations", "5"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr
    replaced, *printed = [process.stderr.readline() for _ in range(3)]

    os.killpg(process.pid, signal.SIGINT)  # as a terminal does

    printed += process.communicate(timeout=60)[1].splitlines()
    assert process.returncode == 130
    assert replaced == f"bikecollect: replacing the demo in {folder}\n"
    assert "  10 %\n" in printed
    assert not any("Traceback" in line for line in printed)
    assert not folder.exists()
