"""Killed runs: the next run reports them before it can be killed too."""

import json
import signal
import sys
from pathlib import Path

import pytest
from command import bikecollect
from served import Answer, serving
from world import MINUTES, World

from bikecollect.core.errors import Outcome
from bikecollect.core.run import Notice, Run
from bikecollect.core.slots import Slot, stamp
from bikecollect.storage.run_notes import RunNotes
from bikecollect.storage.runs.noted import running_runs

DEADLY = """
import os, signal

def column(row):
    if row["station_id"] == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"own": 1}

column.columns = ("own",)
"""
HEARD = """#!{python}
import sys
with open("{file}", "a", encoding="utf-8") as heard:
    heard.write(sys.stdin.read() + "\\n")
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Return settings with a column that kills and a command for alerts."""
    (tmp_path / "own.py").write_text(DEADLY, encoding="utf-8")
    hear = tmp_path / "hear"
    text = HEARD.format(python=sys.executable, file=tmp_path / "heard")
    hear.write_text(text, encoding="utf-8")
    hear.chmod(0o755)
    path = tmp_path / "bikecollect.toml"
    path.write_text(
        'data_dir = "data"\n'
        '[systems.city]\nfeed = "youbike"\nurl = "URL"\ntimezone = "Asia/Taipei"\n'
        f'columns = ["own:column"]\n[tell]\ncommand = ["{hear}"]\n',
        encoding="utf-8",
    )
    return path


def fetch(settings: Path, *stations: str) -> int:
    """Fetch *stations*; return the exit status of the command."""
    listed = [
        {"sno": name, "available_rent_bikes": 1, "available_return_bikes": 2}
        for name in stations
    ]
    with serving(lambda _: Answer(json.dumps(listed).encode())) as url:
        text = settings.read_text(encoding="utf-8").replace("URL", url)
        now = settings.with_name("now.toml")
        now.write_text(text, encoding="utf-8")
        env = {"XDG_STATE_HOME": str(settings.with_name("state"))}
        return bikecollect("--config", now, "fetch", **env).returncode


def test_killed_runs_are_reported_although_every_run_is_killed(settings: Path) -> None:
    """The second run is killed like the first, after it reported the first."""
    ended = [fetch(settings, "deadly"), fetch(settings, "deadly")]

    output = settings.with_name("heard").read_text(encoding="utf-8")
    assert ended == [-signal.SIGKILL, -signal.SIGKILL]
    assert "was killed before it ended; its payload waits in the inbox" in output


def test_a_killed_run_is_reported_once(settings: Path) -> None:
    """Later runs do not mention it."""
    fetch(settings, "deadly")
    fetch(settings, "good")
    before = settings.with_name("heard").read_text(encoding="utf-8")
    fetch(settings, "good")

    output = settings.with_name("heard").read_text(encoding="utf-8")
    assert before.count("was killed before it ended") == 1
    assert output.count("was killed before it ended") == 1


def test_the_payload_of_a_run_with_a_corrected_slot_is_not_removed(
    tmp_path: Path,
) -> None:
    """Its note has the slot that the wrong clock gave; other leftovers are removed."""
    run = Run(run_id="abcdef01", system_id="city", slot=Slot(600), started=601.0)
    RunNotes(tmp_path).begin(run)
    written, left = (
        tmp_path / f"{stamp(Slot(900))}.{run_id}.zip.tmp"
        for run_id in (run.run_id, "abcdef02")
    )
    written.touch()
    left.touch()

    RunNotes(tmp_path).remove_half_written()

    assert (written.exists(), left.exists()) == (True, False)


def test_an_empty_note_of_this_slot_is_left(tmp_path: Path) -> None:
    """Its run may be about to write it; one of an earlier slot is removed."""
    world = World(tmp_path / "city")
    world.fetch({"a": 1})
    inbox = world.folder / "payloads/inbox"
    for slot in ("20261122T040000Z", "20261122T040500Z"):
        (inbox / f"{slot}.0badcafe.run").touch()

    world.fetch({"a": 2}, after=5 * MINUTES)

    assert world.inbox() == ["20261122T040500Z.0badcafe.run"]


def test_a_note_that_becomes_shorter_is_read(tmp_path: Path) -> None:
    """Nothing of its former text is left after its end."""
    world = World(tmp_path / "city")
    run = world.begin()
    world.run_notes.begin(run.noticed(Notice("columns", "x" * 500)))

    world.run_notes.end(run.ended(Outcome.DISK, "disk", "full"), written=False)

    assert [noted.error for noted in world.run_notes.unreported()] == ["full"]


def test_runs_that_are_running_are_listed_newest_first(tmp_path: Path) -> None:
    """A run of the slot before may still wait for a slow disk."""
    world = World(tmp_path / "city")
    runs = [world.begin()]
    world.clock.now += 300
    runs.append(world.begin())
    for run in runs:
        world.run_notes.begin(run)

    names = [run.run_id for run in running_runs(world.folder)]
    for run in runs:
        world.run_notes.end(run, written=True)

    assert names == ["00000002", "00000001"]
    assert running_runs(world.folder) == []
