"""``status`` and ``runs``: their output for people and scripts."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import on_terminal
from in_process import bikecollect as run_bikecollect
from json_shapes import documented

from bikecollect.cli.render.programs import status_json
from bikecollect.cli.timeparse import moment
from bikecollect.core.incidents import Incident
from bikecollect.core.run import Run
from bikecollect.core.slots import DAY, Slot, SlotState
from bikecollect.core.timeline.grid import Grid
from bikecollect.reports.health import Past, judge
from bikecollect.setup.loader import parse
from bikecollect.simulator.city import City
from bikecollect.simulator.demo import Time
from bikecollect.simulator.server import LiveFeed, Outage
from bikecollect.storage.ledger_reader import History
from bikecollect.wiring.collection import collect

HOUR = 3_600
TAIPEI = parse({}).zones()["youbike-taipei"]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with settings and three hours of runs up to now.

    The second hour was out; of the third, the slots of its first half were missed.
    """
    folder = tmp_path_factory.mktemp("played")
    now = int(time.time()) // 300 * 300
    begin = now - 3 * HOUR + 300
    clock = Time(begin)
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    trouble = [Outage(begin + HOUR, begin + 2 * HOUR, "outage")]
    with LiveFeed(City(20), clock=clock, outages=trouble) as feed:
        table = {"feed": "youbike", "url": feed.youbike_url, "timezone": "Asia/Taipei"}
        values = {"data_dir": str(folder / "data"), "systems": {"city": table}}
        lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
        (folder / "bikecollect.toml").write_text(
            'data_dir = "data"\n[systems.city]\n' + "\n".join(lines), encoding="utf-8"
        )
        for slot in range(begin, now + 1, 300):
            if 2 * HOUR <= slot - begin < 2.5 * HOUR:
                continue
            clock.now = slot + 2.0
            collect(parse(values), clock=clock, monotonic=clock, stop=clock)
    del os.environ["XDG_STATE_HOME"]
    return folder


def bikecollect(
    folder: Path, *words: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as a separate process, with the settings in *folder*."""
    return run_bikecollect("--config", folder / "bikecollect.toml", *words, **more)


def test_status_shows_the_day_in_eighty_columns(played: Path) -> None:
    """The strip has a mark for the state of each slot."""
    process = bikecollect(played, "status")
    assert (process.returncode, process.stderr) == (0, "")
    wide = [line for line in process.stdout.splitlines() if len(line) >= 80]
    assert [line for line in wide if not line.endswith("schedule install")] == []
    strip = "".join(
        line[9:]
        for line in process.stdout.splitlines()
        if re.match(r"  \d\d:\d\d  ", line)
    )
    assert (strip.count("▇"), strip.count("╳")) == (18, 18)
    assert "18 of 30 good, 60.0 %" in process.stdout
    assert "\x1b[" not in process.stdout


def test_status_without_utf8_is_plain_ascii(played: Path) -> None:
    """An ASCII terminal shows the same."""
    process = bikecollect(played, "status", PYTHONIOENCODING="ascii")
    assert process.returncode == 0
    assert process.stdout.isascii()
    assert "######" in process.stdout


def test_colour_is_for_terminals_and_never_with_no_color(played: Path) -> None:
    """As https://no-color.org defines."""
    command = ("--config", played / "bikecollect.toml", "status")
    coloured = {
        "terminal": "\x1b[3" in on_terminal(*command),
        "no-color": "\x1b[3" in on_terminal(*command, NO_COLOR="1"),
        "dumb": "\x1b[3" in on_terminal(*command, TERM="dumb"),
    }
    assert coloured == {"terminal": True, "no-color": False, "dumb": False}


def test_status_as_json_has_every_number(played: Path) -> None:
    """Times with offset, lengths and sizes with their unit in the name."""
    text = bikecollect(played, "status", "--format", "json").stdout
    (values,) = documented(text, status_json.KEYS)
    assert values["system"] == "city"
    assert values["runs_24h"] == 30
    assert values["coverage"]["7d"] == {
        "collected": 18,
        "expected": 36,
        "coverage": 0.5,
    }
    assert values["next_slot"].endswith("+08:00")
    assert len(values["slots_24h"]) == 288
    assert values["used_bytes"] > 10_000
    assert values["late"] is False


def test_metrics_can_be_read_by_prometheus(played: Path, tmp_path: Path) -> None:
    """Each family with HELP and TYPE, written in one step, readable for all."""
    target = tmp_path / "bikecollect.prom"
    words = ("status", "--format", "prometheus", "--output", str(target))
    assert bikecollect(played, *words).returncode == 0
    text = target.read_text(encoding="utf-8")
    assert target.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert 'bikecollect_coverage_ratio{system="city",window="7d"} 0.5\n' in text
    assert 'bikecollect_incident_open{system="city",kind="fetch"} 0\n' in text
    sample = re.compile(r'bikecollect_[a-z_]+\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\} \S+$')
    for line in text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or sample.match(line), line


def test_alert_is_silent_and_0_when_all_is_well(played: Path) -> None:
    """For a second cron line."""
    process = bikecollect(played, "status", "--alert")
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


def test_alert_ends_with_1_where_nothing_is_collected(tmp_path: Path) -> None:
    """A system without a run is late once its settings are older than that."""
    path = tmp_path / "bikecollect.toml"
    path.write_text('data_dir = "data"\n', encoding="utf-8")
    assert bikecollect(tmp_path, "status", "--alert").returncode == 0
    hour_ago = time.time() - 3_600
    os.utime(path, (hour_ago, hour_ago))
    process = bikecollect(tmp_path, "status", "--alert")
    assert process.returncode == 1
    assert process.stdout == "youbike-taipei: late: no data\n"
    assert not (tmp_path / "data").exists()


def test_watch_ends_with_130(played: Path) -> None:
    """After Ctrl-C, without a traceback."""
    config = str(played / "bikecollect.toml")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "bikecollect", "--config", config),
            *("status", "--watch", "30"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in stderr


def test_runs_are_listed_newest_first_and_filtered(played: Path) -> None:
    """By outcome, by time, by number."""
    lines = bikecollect(played, "runs", "city").stdout.splitlines()
    assert len(lines) == 31
    assert max(map(len, lines)) < 80
    slots = [line[:16] for line in lines[1:]]
    assert slots == sorted(slots, reverse=True)
    failed = bikecollect(played, "runs", "--failed").stdout.splitlines()
    assert len(failed) == 13
    assert all("unavailable (http-503)" in line for line in failed[1:])
    some = bikecollect(played, "runs", "list", "--limit", "3")
    assert len(some.stdout.splitlines()) == 4
    assert "only the newest 3 runs" in some.stderr
    none = bikecollect(played, "runs", "--outcome", "disk", "--since", "30d")
    assert (none.stdout, none.returncode) == ("No runs.\n", 0)


@pytest.mark.parametrize(
    "command",
    [
        ("runs",),
        ("runs", "--format", "json", "--failed"),
        ("backfill-report",),
        ("backfill",),
        ("verify",),
        ("verify", "--format", "json"),
        ("export",),
        ("export", "--what", "gaps"),
        ("report", "hours"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    "days",
    [("--since", "2019-01-01", "--until", "2020-01-01"), ("--since", "2099-01-01")],
)
def test_a_range_without_any_data_is_an_error(
    played: Path, command: tuple[str, ...], days: tuple[str, ...]
) -> None:
    """It is a mistyped year more often than a history without a fault."""
    process = bikecollect(played, *command, *days)

    assert (process.returncode, process.stdout) == (64, "")
    assert process.stderr.startswith("bikecollect: no ")


def test_a_time_as_the_end_of_days_is_said_to_be_a_whole_day(played: Path) -> None:
    """The figures have all of that day; a day, a week or `0d` has no note.

    That of a time before now is for a person at a terminal: cron would mail it.
    """
    toml, call = played / "bikecollect.toml", ("report", "coverage", "--until")
    ends = ("2199-11-22T00:00", "1min", "2199-W47", "0d")
    told = [on_terminal("--config", toml, *call, end, columns=200) for end in ends]
    by_cron = [bikecollect(played, *call, end).stderr for end in ends]

    note = "whole days are read, that one too"
    assert [note in text for text in told] == [True, True, False, False]
    assert [note in text for text in by_cron] == [True, False, False, False]
    assert by_cron[1:] == [""] * 3


def test_runs_as_json_have_ids_and_tries(played: Path) -> None:
    """One object per line."""
    words = ("runs", "--outcome", "unavailable", "--format", "json")
    values = [json.loads(x) for x in bikecollect(played, *words).stdout.splitlines()]
    assert len(values) == 12
    assert values[0]["exit_code"] == 69
    assert len(values[0]["tries"]) == values[0]["attempts"] > 1


def test_a_slot_shows_its_stages_tries_payload_and_log(played: Path) -> None:
    """Everything known about it."""
    words = ("runs", "--outcome", "collected", "--format", "json", "--limit", "1")
    run = json.loads(bikecollect(played, *words).stdout)
    text = bikecollect(played, "runs", "show", run["slot"][:16]).stdout
    for stage in ("fetch", "accept", "heal", "read", "rows", "append", "ledger"):
        assert re.search(rf"^  {stage} +\d+\.\d\d\d s  █", text, re.MULTILINE), stage
    assert "Block: 20 rows in station_status/" in text
    assert "payloads/kept/" in text
    assert "Request 1: HTTP 200" in text
    assert bikecollect(played, "runs", "show", run["run_id"]).stdout == text


def test_an_unknown_run_or_slot_ends_with_64(played: Path) -> None:
    """With what to write instead."""
    for words, message in {
        ("runs", "show", "2001-01-01"): "no run found",
        ("runs", "show", "soon"): "invalid time",
        ("runs", "--outcome", "fine"): "unknown outcome",
    }.items():
        process = bikecollect(played, *words)
        assert process.returncode == 64
        assert message in process.stderr
    assert bikecollect(played, "status", "nowhere").returncode == 78


def test_a_killed_run_is_listed_before_any_run_has_recorded_it(
    tmp_path: Path,
) -> None:
    """Its unlocked note is in the inbox: listed, and counted by `status`."""
    inbox = tmp_path / "payloads" / "inbox"
    inbox.mkdir(parents=True)
    run = Run("0123abcd", "city", Slot(1_795_276_800), 1_795_276_801.0)
    (inbox / "20261121T160000Z.0123abcd.run").write_text(
        run.to_json(), encoding="utf-8"
    )
    history = History("city", tmp_path)
    (killed,) = history.runs()
    assert killed.outcome is not None
    assert killed.outcome.value == "killed"
    assert history.outcomes(Slot(1_795_276_800)) == [(1_795_276_800, "killed")]
    assert history.outcomes(Slot(1_795_277_100)) == []


def test_a_damaged_ledger_ends_with_74(played: Path, tmp_path: Path) -> None:
    """No traceback, and a reading command repairs nothing."""
    shutil.copytree(played, tmp_path / "copy")
    path = tmp_path / "copy/data/city/ledger.sqlite3"
    path.write_bytes(b"x" * 5_000)
    process = bikecollect(tmp_path / "copy", "status")
    assert process.returncode == 74
    assert "cannot read" in process.stderr
    assert path.read_bytes() == b"x" * 5_000


def test_a_folder_that_may_only_be_read_is_read(played: Path, tmp_path: Path) -> None:
    """Another user's archive, or a snapshot."""
    shutil.copytree(played / "data/city", tmp_path / "city")
    db = sqlite3.connect(tmp_path / "city/ledger.sqlite3")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    (tmp_path / "city").chmod(0o500)
    try:
        assert len(History("city", tmp_path / "city").runs()) == 30
    finally:
        (tmp_path / "city").chmod(0o700)


def test_a_day_of_25_hours_expects_300_slots() -> None:
    """The clocks of Paris go back on 25 October 2026: days are the calendar's."""
    paris = parse({"systems": {"velib-paris": {}}}).zones()["velib-paris"]
    midnight = int(moment("2026-10-25", paris, 0))
    filled = set(range(midnight - 3 * DAY, midnight + 25 * HOUR, 300))
    past = Past(
        Slot(midnight - 3 * DAY), {Slot(slot): SlotState.COLLECTED for slot in filled}
    )
    health = judge(past, midnight + 25 * HOUR - 1.0, Grid.of(300), paris)
    assert health.coverage["today"].expected == 300
    assert health.coverage["today"].ratio == 1


def test_a_slot_is_missing_only_once_it_is_over() -> None:
    """While it is running, it is due."""
    first = Slot(1_795_276_800)
    past = Past(first, {first: SlotState.COLLECTED}, newest=first)
    strip = dict(judge(past, first + 330.0, Grid.of(300), TAIPEI).strip)
    assert strip[Slot(first + 300)] is SlotState.DUE
    strip = dict(judge(past, first + 600.0, Grid.of(300), TAIPEI).strip)
    assert strip[Slot(first + 300)] is SlotState.MISSING
    assert not judge(past, first + 590.0, Grid.of(300), TAIPEI).late
    assert judge(past, first + 1_000.0, Grid.of(300), TAIPEI).late


def test_an_open_incident_is_a_problem() -> None:
    """Even while data are collected in time."""
    first = Slot(1_795_276_800)
    drift = Incident("disk-1", "disk", first, first, told=1)
    past = Past(first, {first: SlotState.COLLECTED}, newest=first, incidents=[drift])
    assert judge(past, first + 100.0, Grid.of(300), TAIPEI).in_trouble
