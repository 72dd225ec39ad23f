"""``bikecollect runs``: the list, and everything known about one slot."""

import json
import os
import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import in_process
import pytest
from json_shapes import documented
from served import Answer, serving
from test_fetch import GOOD, bikecollect, settings
from world import NOON, TAIPEI, World

from bikecollect.cli.render import runs as screens
from bikecollect.cli.render.backfill import remedy
from bikecollect.cli.timeparse import moment
from bikecollect.core.errors import FeedUnavailable, Outcome, PayloadError, UsageError
from bikecollect.core.payload import Attempt
from bikecollect.core.run import Notice, Result, Run
from bikecollect.core.slots import Slot
from bikecollect.storage.data_folder import MARKER
from bikecollect.storage.files.marker import text_of
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.run_notes import RunNotes
from bikecollect.storage.runs.log_lines import log_lines
from bikecollect.storage.runs.noted import running_runs

SLOT = Slot(int(NOON))
OTHER = '[systems.other]\nfeed = "youbike"\nurl = "http://127.0.0.1:9/"\n'
MORE = f'{OTHER}timezone = "Asia/Taipei"'


@pytest.fixture
def world(folder: Path) -> World:
    """Return a system in an empty folder."""
    return World(folder)


def shown(world: World, slot: Slot) -> str:
    """Return the screen of *slot*."""
    history = History("city", world.folder)
    runs = history.runs(slot, Slot(slot + 1))
    known = screens.Slotted(
        system_id="city",
        slot=slot,
        zone=TAIPEI,
        interval=300,
        runs=runs,
        block=history.block(slot),
        payloads=history.payloads(slot),
        logs={run.run_id: log_lines(world.folder, run.run_id) for run in runs},
    )
    return click.unstyle(screens.show(known))


def table(runs: list[Run]) -> str:
    """Return the table of *runs* of one system."""
    return click.unstyle(screens.table(runs, {"city": TAIPEI}, many=False))


def test_the_table_has_a_line_per_run_with_flags_and_a_bar(world: World) -> None:
    """Slot in the system's time, outcome, flags, rows; never wider than a screen."""
    world.fetch({"a": 1, "b": 2, "c": 3})
    world.fetch({"a": 1}, after=300)
    world.feed.answer = FeedUnavailable("out", cause="http-503", http_status=503)
    world.fetch(after=300)

    head, bad, short, good = table(History("city", world.folder).runs()).splitlines()

    assert head.split() == ["slot", "outcome", "rows", "seconds", "run"]
    assert bad.startswith("2026-11-22 12:10  unavailable (http-503)        -")
    assert short.startswith("2026-11-22 12:05  collected [short]             1")
    assert good.startswith("2026-11-22 12:00  collected                     3")
    assert {line.rstrip()[-1] for line in (bad, short, good)} <= {"█", "#"}
    assert max(map(len, (head, bad, short, good))) <= 80


def test_a_long_outcome_is_cut_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cause that fits stays whole; in a pipe everything does."""
    result = Result(Outcome.REJECTED, cause="x" * 40, flags=("late",))
    run = Run("0000000a", "city", SLOT, NOON, result=result)

    short = replace(run, result=result._replace(cause="x" * 16))

    piped = table([run, short])
    monkeypatch.setattr(screens, "terminal_columns", lambda: 80)
    _, line, other = table([run, short]).splitlines()

    assert f"rejected ({'x' * 40}) [late]      -    0.00" in piped
    assert line.startswith("2026-11-22 12:00  rejected (xxxxxxxxxxxx..      -    0.00")
    assert other.startswith("2026-11-22 12:00  xxxxxxxxxxxxxxxx [late]       -    0.00")


def test_no_two_slots_of_the_table_look_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots of seconds have them; the hour that occurs twice has its offset."""
    summer = 1_792_889_940  # 02:59 in Oslo, an hour before it is 02:59 again
    moments = summer, summer + 3_600, summer + 3_660
    killed = Result(Outcome.KILLED)
    runs = [
        Run("0000000a", "city", Slot(slot), NOON, result=killed) for slot in moments
    ]
    odd = replace(runs[2], slot=Slot(summer + 3_690))
    oslo: dict[str, tzinfo] = {"city": ZoneInfo("Europe/Oslo")}

    def printed(*runs: Run) -> list[str]:
        text = click.unstyle(screens.table(runs, oslo, many=False))
        return [line.partition("      -")[0].rstrip() for line in text.splitlines()]

    assert printed(*runs)[1:] == [
        "2026-10-25 02:59 (+02:00)  killed",
        "2026-10-25 02:59 (+01:00)  killed",
        "2026-10-25 03:00           killed",
    ]
    assert printed(runs[2], odd)[1:] == [
        "2026-10-25 03:00:00  killed",
        "2026-10-25 03:00:30  killed",
    ]
    monkeypatch.setattr(screens, "columns", lambda: 44)
    assert printed(runs[0], odd) == [
        "10-25 02:59:00 (+02:00) 0000000a killed",
        "10-25 03:00:30 0000000a killed",
    ]


def test_a_run_that_is_running_is_listed_and_shown(folder: Path) -> None:
    """Since when, and for how long; as JSON only if it is asked for."""
    config = settings(folder.parent, "http://127.0.0.1:9/")
    world = World(folder.parent / "data/city")
    (world.folder / MARKER).write_bytes(text_of("city"))
    world.clock.now = time.time() - 400
    world.fetch({"a": 1})
    world.clock.now += 100
    run = world.begin()
    RunNotes(world.folder / "payloads/inbox").begin(run)
    since = datetime.fromtimestamp(run.started, TAIPEI)
    say = partial(in_process.bikecollect, "--config", config)

    listed = say("runs").stdout.splitlines()
    failed = say("runs", "--failed")
    plain = say("runs", "--format", "json").stdout.splitlines()
    asked = say("runs", "--outcome", "running", "--format", "json").stdout
    shown = say("runs", "show", run.run_id).stdout
    status = say("status", "city").stdout
    (values,) = json.loads(say("status", "--format", "json").stdout)["running"]

    assert f"running since {since:%H:%M:%S} " in listed[1]
    assert "collected" in listed[2]
    assert "running" not in failed.stdout
    assert [json.loads(line)["outcome"] for line in plain] == ["collected"]
    (line,) = documented(asked, screens.KEYS)
    assert (line["run_id"], line["outcome"]) == (run.run_id, "running")
    assert (line["exit_code"], line["finished"]) == (None, None)
    assert f"running since {since:%H:%M:%S}" in shown
    assert "exit code" not in shown
    assert re.search(rf"Running +since {since:%F %T}, for 5 min, longer than", status)
    assert f" runs show {run.run_id}" in " ".join(status.split())
    assert (values["run_id"], values["running_s"] >= 300) == (run.run_id, True)


def test_a_run_that_only_sends_its_mails_is_not_running(folder: Path) -> None:
    """It is in the ledger: it would be listed twice."""
    world = World(folder)
    notes, run = RunNotes(folder / "payloads/inbox"), world.begin()
    notes.begin(run)

    before = running_runs(folder)
    notes.update(run.ended(Outcome.COLLECTED))

    assert before == [run]
    assert running_runs(folder) == []


def test_a_good_slot_shows_its_block_its_payload_and_its_stages(world: World) -> None:
    """The files of rows and payload, and the duration of each stage."""
    run = world.fetch({"a": 1, "b": 2})

    text = shown(world, SLOT)

    assert text.startswith("city, slot 2026-11-22T12:00:00+08:00\n")
    assert "Block: 2 rows in station_status/2026-11-22.csv, source: fetch,\n" in text
    assert f"20261122T040000Z.{run.run_id}.zip" in text
    assert f"Run {run.run_id}: collected\n" in text
    stages = [line.split()[0] for line in text.splitlines() if " s  " in line]
    assert stages[:2] == ["fetch", "accept"]


def test_a_failed_slot_shows_its_tries_and_its_error_once(world: World) -> None:
    """Address, status and length; equal requests in a row are one line."""
    first = Attempt("http://x/", NOON, 0.5, 503, "answered 503")
    second = Attempt("http://x/", NOON, 0.75, 503, "answered 503")
    tries = (first, second, Attempt("http://y/", NOON, 0.1, 503, "answered 503"))
    run = Run(
        *("0000000a", "city", SLOT, NOON),
        attempts=tries,
        result=Result(error="answered 503"),
    ).failed(FeedUnavailable("answered 503", cause="http-503"))
    world.ledger.open()
    world.ledger.record([run])
    world.ledger.close()

    text = shown(world, SLOT)

    assert "No block: this slot is missing." in text
    assert "Run 0000000a: unavailable (http-503)" in text
    assert (
        "  Requests 1 to 2: HTTP 503 after 0.50 to 0.75 s, http://x/\n"
        "  Request 3: HTTP 503 after 0.10 s, http://y/\n"
    ) in text
    assert text.count("answered 503") == 1


def test_a_rejected_payload_is_shown(world: World) -> None:
    """With its reason."""
    world.feed.answer = b"{}"
    world.fetch()

    text = shown(world, SLOT)

    assert "rejected (shape)" in text
    assert "payloads/rejected/20261122T040000Z.00000001.zip\n" in text
    assert ".zip.reason.txt" in text
    assert text.count("Payload: ") == text.count("Reason for its rejection: ") == 1


@pytest.mark.parametrize(
    ("words", "right"),
    [
        ("runs show 10:05 city", "runs show city 10:05"),
        ("rename town city", "rename city town"),
        ("forget 2026-11-22 city", "forget city 2026-11-22"),
        ("report city days", "report days city"),
        ("report city --system town", "report NAME city"),
        ("runs show '2026-11-22 10:05' city", "runs show city '2026-11-22 10:05'"),
    ],
)
def test_words_in_the_wrong_order_get_the_right_one(
    tmp_path: Path, words: str, right: str
) -> None:
    """Of each command with a system and another argument."""
    config = settings(tmp_path, "http://127.0.0.1:9/")

    process = in_process.bikecollect("--config", config, *shlex.split(words))

    assert process.returncode in {64, 78}
    assert f" {right}\n" in process.stderr.partition("the order of the words is: ")[2]


def test_lines_for_the_settings_are_shown_as_they_are_pasted(world: World) -> None:
    """And a payload that a restore did not bring back is not said to be kept."""
    run = Run("0000000a", "city", SLOT, NOON)
    error = PayloadError("no bikes; the payload is kept in /old/x.zip")
    run = run.noticed(
        *(Notice("fields", line) for line in ("put these:", "[systems.x]", 'a = "b"'))
    ).failed(error)
    world.ledger.open()
    world.ledger.record([run])
    world.ledger.close()

    text = shown(world, SLOT)

    assert text.endswith('\n\n  put these:\n\n[systems.x]\na = "b"\n')
    assert "    no bikes\n" in text
    assert "is kept" not in text
    world.fetch({"a": 1})
    assert "put these" not in shown(world, SLOT)  # the slot is filled


@pytest.mark.parametrize(
    "lines",
    [
        ("put these:", "[systems.x]", 'a = "b"', "then run: bikecollect backfill x"),
        ("put these, then run: bikecollect backfill x", "[systems.x]", 'a = "b"'),
    ],
    ids=["now", "of earlier versions"],
)
def test_the_command_stands_after_the_lines_that_it_is_about(
    lines: Sequence[str],
) -> None:
    """They are pasted first, and only they."""
    assert remedy(lines) == (
        '\n  put these:\n\n[systems.x]\na = "b"\n\n'
        "  then run:\n    bikecollect backfill x\n"
    )


def test_a_slot_whose_run_still_runs_is_not_said_to_be_missing(world: World) -> None:
    """Nor is its run said to have accepted nothing."""
    runs = screens.so_far([world.begin()], NOON + 9)

    text = screens.show(screens.Slotted("city", SLOT, TAIPEI, 300, runs, None))

    assert text.splitlines()[1] == "No block yet."
    assert "accepted" not in text


def test_a_killed_run_is_shown_with_its_beginning(world: World) -> None:
    """Before any later run has recorded it (fault 69)."""
    run = world.begin()
    world.run_notes.begin(run)
    os.close(world.run_notes._notes.pop(run.run_id))

    text = shown(world, SLOT)

    assert f"Run {run.run_id}: killed\n  started 2026-11-22 12:00 (+08:00)" in text


def test_log_lines_of_the_run_are_shown(world: World) -> None:
    """Those with its id only."""
    run = world.fetch({"a": 1})
    text = f"INFO {run.run_id} city: collected\nINFO deadbeef another\n"
    (world.folder / "bikecollect.log").write_text(text, encoding="utf-8")

    text = shown(world, SLOT)

    assert f"  Log:\n    INFO {run.run_id} city: collected\n" in text
    assert "another" not in text


def test_a_slot_whose_run_is_not_known_still_shows_its_block(world: World) -> None:
    """A lost ledger is rebuilt with blocks and without runs."""
    world.fetch({"a": 1})
    for path in world.folder.glob("ledger.sqlite3*"):
        path.unlink()
    world.fetch({"a": 1}, after=300)

    text = shown(world, SLOT)

    assert "source: adopted," in text
    assert "No run of this slot is recorded." in text


def test_times_are_read_in_each_form() -> None:
    """A duration, a day, a time with and without offset, a time of day.

    Ten seconds ahead are today's: a run that starts early fills the slot ahead.
    """
    now = NOON + 60

    assert moment("24h", TAIPEI, now) == now - 86_400
    assert moment("7d", TAIPEI, now) == now - 7 * 86_400
    assert moment("2026-11-22", TAIPEI, now) == NOON - 12 * 3600
    assert moment("today", TAIPEI, now) == NOON - 12 * 3600
    assert moment("yesterday", TAIPEI, now) == NOON - 36 * 3600
    assert moment("2026-11-22T12:05", TAIPEI, now) == NOON + 300
    assert moment("2026-11-22T04:00:00+00:00", TAIPEI, now) == NOON
    assert moment("11:55", TAIPEI, now) == NOON - 300
    assert moment("12:05", TAIPEI, now) == NOON + 300 - 86_400
    assert moment("12:05", TAIPEI, NOON + 290) == NOON + 300  # a run may fill it now
    assert moment("12:05", TAIPEI, NOON + 289) == NOON + 300 - 86_400


@pytest.mark.parametrize("text", ["", "tomorrow", "25:00", "7 moons", "2026-13-01"])
def test_an_invalid_time_is_reported(text: str) -> None:
    """With valid examples."""
    with pytest.raises(UsageError, match="2026-11-22T10:05"):
        moment(text, TAIPEI, NOON)


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    """Return the settings of a system with one good run and then a bad one."""
    answers = [GOOD, Answer(b"gone", 404)]
    with serving(lambda _: answers[0]) as url:
        path = settings(tmp_path, url, interval="12s", more=MORE)
        bikecollect("--config", path, "fetch", "city")
        answers.pop(0)
        bikecollect("--config", path, "fetch", "city")
    return path


def _ids(text: str) -> list[str]:
    return [json.loads(line)["run_id"] for line in text.splitlines()]


def test_the_list_is_filtered_and_limited(collected: Path) -> None:
    """By system, outcome, failure, time and number; it says when there are more."""

    def runs(*more: str) -> tuple[list[str], str]:
        process = bikecollect("--config", collected, "runs", *more, "--format", "json")
        assert process.returncode == 0
        return _ids(process.stdout), process.stderr

    (bad, good), _ = runs()

    assert runs("city") == runs("list", "city") == ([bad, good], "")
    assert runs("--system", "city")[0] == [bad, good]
    assert runs("other")[0] == []
    assert runs("--failed")[0] == runs("--outcome", "unavailable")[0] == [bad]
    assert runs("--outcome", "collected")[0] == [good]
    assert runs("--outcome", "disk", "--since", "2d")[0] == []
    note = "bikecollect: only the newest run is shown; for older ones: --limit N\n"
    assert runs("--limit", "1") == ([bad], note)


def test_json_has_the_keys_of_fetch_and_more(collected: Path) -> None:
    """One object per line; times with offset."""
    process = bikecollect("--config", collected, "runs", "city", "--format", "json")
    bad, run = documented(process.stdout, screens.KEYS)

    assert (run["system"], run["outcome"], run["rows"]) == ("city", "collected", 20)
    assert (bad["http_status"], bad["attempts"]) == (404, len(bad["tries"]))
    assert datetime.fromisoformat(run["started"]).utcoffset() is not None
    assert run["finished"] >= run["started"]


def test_show_finds_a_run_by_its_id_and_its_slot(collected: Path) -> None:
    """A slot has all its runs, an id only one.

    If vehicles are collected, it is said that they are missing, or cannot be read.
    """
    listed = bikecollect("--config", collected, "runs", "city", "--format", "json")
    run = json.loads(listed.stdout.splitlines()[-1])

    by_id = bikecollect("--config", collected, "runs", "show", run["run_id"])
    by_slot = bikecollect(
        *("--config", collected, "runs", "show", run["slot"], "--system", "city")
    )
    of_system = bikecollect("--config", collected, "runs", "show", "city", run["slot"])

    assert f"Run {run['run_id']}: collected" in by_slot.stdout
    assert f"Run {run['run_id']}: collected" in by_id.stdout
    assert by_id.stdout.count("Run ") == 1
    assert of_system.stdout == by_slot.stdout
    assert "Block: 20 rows" in by_id.stdout
    assert "  Log:" in by_id.stdout

    text = collected.read_text("utf-8")
    collected.write_text(text.replace('"youbike"', '"gbfs"\nvehicles = true', 1))
    ledger = collected.parent / "data/city/vehicles/ledger.sqlite3"
    ledger.parent.mkdir()
    told = []
    for content in (b"", b"no ledger" * 99):
        ledger.write_bytes(content)
        again = bikecollect("--config", collected, "runs", "show", run["run_id"])
        told.append(" ".join(again.stdout.split()))
    assert " No block of vehicles. " in told[0]
    assert f" Vehicles: cannot read {ledger}: " in told[1]


def test_a_time_of_day_means_the_latest_that_had_a_run(tmp_path: Path) -> None:
    """Yesterday's slot is found, at any time of today; an empty list names it."""
    path = settings(tmp_path, "http://127.0.0.1:9/", interval="5min")
    world = World(tmp_path / "data/city")
    world.clock.now = datetime.now(TAIPEI).timestamp() // 300 * 300 - 86_400 - 3600
    run = world.fetch({"a": 1})
    at = datetime.fromtimestamp(run.slot, TAIPEI)

    process = bikecollect("--config", path, "runs", "show", f"{at:%H:%M}")
    exact = bikecollect("--config", path, "runs", "show", f"{at:%H:%M:%S}")
    later = bikecollect("--config", path, "runs", "show", f"{at:%H:%M}:01")
    listed = bikecollect("--config", path, "runs")

    assert f"city, slot {at.isoformat()}\n" in process.stdout
    assert process.stdout == exact.stdout == later.stdout
    assert listed.stdout == "No runs.\n"
    last = f"the last such run was of slot {at.isoformat()}"
    last += f"; to list it: --since {at.date()}"
    assert listed.stderr == f"bikecollect: {last}\n"


def test_a_slot_that_was_missed_is_shown_with_its_cause(tmp_path: Path) -> None:
    """The cause of `backfill-report`; a slot before the first run was not expected."""
    path = settings(tmp_path, "http://127.0.0.1:9/", more="")
    now = int(time.time()) // 300 * 300
    missed = datetime.fromtimestamp(now - 1_200, TAIPEI)
    before = datetime.fromtimestamp(now - 7_200, TAIPEI)
    world = World(tmp_path / "data" / "city")
    world.clock.now = now - 3_595.0
    world.fetch({"a": 1, "b": 2})
    world.fetch({"a": 1, "b": 2}, after=3_000)

    shown = bikecollect("--config", path, "runs", "show", missed.isoformat())
    early = bikecollect("--config", path, "runs", "show", before.isoformat())
    report = bikecollect("--config", path, "backfill-report", "--what", "gaps")

    assert shown.returncode == 0
    head, block, run, cause = shown.stdout.splitlines()[:4]
    assert head == f"city, slot {missed.isoformat()}"
    assert block == "No block: this slot is missing."
    assert run == "No run of this slot is recorded."
    word = cause.removeprefix("Cause: ").partition(":")[0]
    assert word == "not-started"
    assert word in report.stdout
    assert early.returncode == 64
    assert "no run found for" in early.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["show", "deadbeef"], 64, "no run found for deadbeef;"),
        (["show", "10:05"], 64, "no run found for 10:05 in Asia/Taipei;"),
        (["show", "soon"], 64, "or a run's id"),
        (["show", "10:05:60"], 64, "10:05, 10:05:30), or a duration"),
        (["--since", "soon"], 64, "invalid time"),
        (["--since", "2026-11-31"], 64, '"2026-11-31": November 2026 has 30 days'),
        (["--since", "2027-02-29T10:05"], 64, "February 2027 has 28 days"),
        (["--since", "2026-13-01"], 64, 'invalid time "2026-13-01"; use a day'),
        (["--outcome", "odd"], 64, "unknown outcome"),
        (["--until", "2020-01-01"], 64, 'is not before --until "2020-01-01"'),
        (["--limit", "0"], 64, "--limit"),
        (["atlantis"], 78, "unknown system"),
        (["shwo", "10:00"], 78, 'Did you mean "show"?'),
    ],
)
def test_a_wrong_call_is_reported(
    tmp_path: Path, arguments: list[str], code: int, word: str
) -> None:
    """With a message, and the code of usage or settings."""
    path = settings(tmp_path, "http://127.0.0.1:9/")

    process = bikecollect("--config", path, "runs", *arguments)

    assert process.returncode == code
    assert word in process.stderr
    assert "Traceback" not in process.stderr


def test_a_damaged_ledger_is_74(tmp_path: Path) -> None:
    """Named, without a traceback (fault 64)."""
    path = settings(tmp_path, "http://127.0.0.1:9/")
    (tmp_path / "data/city").mkdir(parents=True)
    (tmp_path / "data/city/ledger.sqlite3").write_bytes(b"no ledger" * 999)

    process = bikecollect("--config", path, "runs")

    assert process.returncode == 74
    assert "ledger.sqlite3" in process.stderr
    assert "Traceback" not in process.stderr
