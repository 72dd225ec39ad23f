"""``bikecollect status``: its output for real folders, for people and programs."""

import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from command import on_terminal
from json_shapes import documented
from served import serving
from templates import copied
from test_fetch import GOOD, bikecollect, settings
from world import NOON, TAIPEI, World, body, noon_of_last_month

from bikecollect.alerts.signals import of_run
from bikecollect.alerts.state import AlertState, AlertStateFile
from bikecollect.cli import cli
from bikecollect.cli.render import status
from bikecollect.cli.render.programs import status_json
from bikecollect.cli.render.programs.metrics import metrics
from bikecollect.collect.remedy import lines
from bikecollect.core.errors import (
    FeedUnavailable,
    Outcome,
    RateLimited,
    StorageError,
)
from bikecollect.core.incidents import Incident
from bikecollect.core.run import Notice, Result, Run
from bikecollect.core.slots import Slot
from bikecollect.core.timeline.grid import Grid, Period
from bikecollect.feeds.reading.renames import Rename, Renames
from bikecollect.reports.disk_usage import Disk
from bikecollect.reports.evidence import read_account
from bikecollect.reports.status import Standing, survey
from bikecollect.reports.status_facts import overview
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.data_folder import MARKER, SystemFolder, spare_outbox_path
from bikecollect.storage.files import marker

OTHER = '[systems.other]\nfeed = "youbike"\nurl = "http://127.0.0.1:9/"\n'
MORE = f'{OTHER}timezone = "Asia/Taipei"'


def stand(world: World, after: float = 5.0) -> Standing:
    """Return the status of the system *after* seconds."""
    now = world.clock.now + after
    return survey(SystemFolder("city", world.folder, TAIPEI, 300), now=now)


def plain(standing: Standing) -> str:
    """Return the screen without its colours."""
    return click.unstyle(status.screen([standing]))


def incident(folder: Path, kind: str, opened: float) -> None:
    """Write an open incident into the ledger."""
    db = sqlite3.connect(folder / "ledger.sqlite3")
    sql = "INSERT INTO incidents VALUES ('i', ?, ?, ?, NULL, 3, 2, 1, '{}', ?)"
    db.execute(sql, (kind, int(opened), int(opened), "no space is left"))
    db.commit()
    db.close()


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return a system with six slots: one lost, one partial, one stale."""
    world = World(folder)
    world.fetch({"a": 1, "b": 2, "c": 3, "d": 4})
    world.fetch({"a": 1, "b": 2, "c": 3, "d": 4}, after=300)
    world.feed.answer = FeedUnavailable("no answer in 30 s")
    world.fetch(after=300)
    world.fetch({"a": 1}, after=300)
    world.fetch({"a": 1, "b": 2, "c": 3, "d": 4}, after=300, last_updated=1)
    world.fetch({"a": 1, "b": 2, "c": 3, "d": 4}, after=300)
    return world


def test_the_strip_marks_each_slot(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 12:00: two good, one lost, one partial, one stale, one good."""
    monkeypatch.setattr(status, "unicode", lambda: True)

    text = plain(stand(world))

    assert re.search(r"^  12:00  ▇▇╳▄▒▇$", text, re.MULTILINE)
    assert "▇ collected  ▒ stale  ▄ partial  ╳ missing  · not over yet" in text
    assert "five minutes" not in text


def test_a_mark_is_of_five_minutes_at_least(world: World) -> None:
    """Of several slots it is the worst one; the legend says so."""
    standing = stand(world)
    health = replace(standing.health, interval=60)
    of_seconds = replace(standing.health, interval=5)

    text = plain(replace(standing, health=health))
    exact = plain(replace(standing, health=of_seconds))

    assert "a mark is the worst slot of five minutes\n" in text
    assert "Next slot    2026-11-22 12:30 (+08:00)\n" in text
    assert "Next slot    2026-11-22 12:30:00 (+08:00)\n" in exact


def test_a_slot_is_stale_in_status_when_it_is_in_the_report(folder: Path) -> None:
    """A killed run's payload is committed by the next one; its block is stale."""
    world = World(folder)
    world.fetch({"a": 1}, last_updated=NOON)
    world.clock.now += 300
    world.feed.answer = body({"a": 1}, last_updated=1)
    killed = world.cycle()
    killed.payloads.accept(killed._fetch(world.begin()))
    world.fetch({"a": 1}, after=300, last_updated=NOON + 600)

    account = read_account(SystemFolder("city", folder, TAIPEI, 300), now=NOON + 900)
    strip = dict(stand(world).health.strip)

    assert [judged.state for judged in account.judged] == [
        "collected",
        "stale",
        "collected",
    ]
    assert [strip[judged.slot].value for judged in account.judged] == [
        *("collected", "stale", "collected")
    ]


def test_the_ascii_marks_differ(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One ASCII character per state."""
    monkeypatch.setattr(status, "unicode", lambda: False)

    text = plain(stand(world))

    assert re.search(r"^  12:00  ##x-o#$", text, re.MULTILINE)
    assert text.isascii()


def test_the_screen_shows_what_was_lost_and_fits(world: World) -> None:
    """Success rate, coverage, waiting payloads, next slot; in 80 columns."""
    text = plain(stand(world))

    assert text.startswith("city: all is well\n")
    assert "Runs, 24 h   5 of 6 good, 83.3 %" in text
    assert "today 83.3 %, 7 days 83.3 %, 30 days 83.3 %" in text
    assert "0 in the inbox, 0 mails in the outbox, 0 rejected" in text
    assert "Next slot    2026-11-22 12:30 (+08:00)" in text
    assert max(map(len, text.splitlines())) <= 80


def test_waiting_files_are_counted(world: World) -> None:
    """Payloads, mails and rejected ones; not half-written files.

    Mails wait in the user's state folder while the data folder cannot be used.
    """
    spare = spare_outbox_path("city", str(world.folder))
    spare.mkdir(parents=True)
    (spare / "n.eml").touch()
    for name in ("payloads/inbox/a.zip", "payloads/inbox/b.zip.tmp", "outbox/m.eml"):
        path = world.folder / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (world.folder / "payloads/rejected").mkdir()
    (world.folder / "payloads/rejected/c.zip").touch()
    (world.folder / "payloads/rejected/c.zip.reason.txt").touch()

    text = plain(stand(world))

    assert "1 in the inbox, 2 mails in the outbox, 1 rejected" in text


def test_an_open_incident_is_shown_with_its_lost_slots(world: World) -> None:
    """Kind, since when, slots lost, and its text; also by --alert, and in the list."""
    incident(world.folder, "disk", NOON)

    standing = stand(world)

    line = "the disk cannot be used, since 2026-11-22 12:00 (+08:00); slots lost: 2"
    assert f"  ! {line}\n    no space is left\n" in plain(standing)
    assert status.alerts([standing]) == f"city: {line}\n"
    assert plain(standing).startswith("city: disk unusable since 12:00\n")
    (tomorrow,) = overview([stand(world, after=86_400)])
    assert tomorrow.verdict.text == "late and disk unusable since 2026-11-22"


def test_lines_for_the_settings_can_be_pasted_from_the_screen(world: World) -> None:
    """They are valid TOML, below what explains them and above the command."""
    rename = Rename("num_vehicles_available", "tot", "bikes")
    texts = lines("city", {}, Renames((rename,), ("lat",), ("x",)))
    result = Result(
        Outcome.REJECTED,
        cause="drift",
        error="no field is known; the payload is kept: /a.zip",
        notices=tuple(Notice("fields", text) for text in texts),
    )
    run = Run("0000000a", "city", Slot(int(NOON)), NOON, result=result)
    signal = of_run(run, None)["payload"]
    assert signal is not None
    known = Incident("i", "payload", run.slot, run.slot, text=signal.text)
    standing = stand(world)
    health = replace(standing.health, incidents=[known])

    screen = plain(replace(standing, health=health))

    head, pasted, command, *_ = screen.partition("    no field")[2].split("\n\n")
    assert "kept: /a.zip\n    most likely a field was renamed: tot" in head
    assert tomllib.loads(pasted) == {
        "systems": {"city": {"fields": {"num_vehicles_available": "bikes"}}}
    }
    assert command.rstrip() == "    then run:\n      bikecollect backfill city"


def test_a_stopped_cron_is_reported(world: World) -> None:
    """Half an hour without a run: on the screen and in one line of --alert."""
    standing = stand(world, after=1800)

    hint = "no run for 30 min; see:\n               bikecollect schedule show\n"
    assert f"Schedule     {hint}" in plain(standing)
    assert click.unstyle(status.alerts([standing])) == (
        "city: late: the newest slot with data began 30 min ago; no run for 30 min\n"
    )


def test_a_slot_that_was_fetched_early_is_no_future(world: World) -> None:
    """Ten seconds before its boundary a fetch fills the next slot."""
    standing = stand(world, after=-10)

    assert "Newest data  the newest slot with data began just now\n" in plain(standing)


def test_without_a_schedule_the_screen_says_so(world: World) -> None:
    """Manual runs do not look like a schedule."""
    standing = replace(stand(world, after=60), scheduled=False)

    assert (
        "Schedule     6 runs in 24 h, the last 1 min ago; no schedule found, see:\n"
        "               bikecollect schedule install\n"
    ) in plain(standing)

    several = click.unstyle(status.screen([standing, standing]))
    assert several.count("No schedule found, see: bikecollect schedule install") == 1
    assert "schedule" not in status.screen([replace(standing, scheduled=None)] * 2)


def test_growth_is_known_from_closed_days(world: World) -> None:
    """All segments of a day count, and the current day does not."""
    files = world.folder / "station_status"
    (files / "2026-11-20.csv").write_bytes(b"x" * 1000)
    (files / "2026-11-20.2.csv").write_bytes(b"x" * 500)
    (files / "2026-11-21.csv").write_bytes(b"x" * 2500)

    disk = stand(world).disk

    assert disk.daily == 2000
    assert disk.days_left == disk.free / 2000


def test_a_disk_that_is_full_within_a_day_is_the_headline(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is well until then, but nobody reads on after these words."""
    standing = stand(world)
    monkeypatch.setitem(vars(standing), "disk", Disk(2_000, 1_000, 24_000.0))

    text = plain(standing)

    assert "city: collects, but the disk will be full in 1 h 0 min\n" in text
    assert "2.0 kB used, 1.0 kB free; 24.0 kB a day, full in 1 h 0 min\n" in text
    monkeypatch.setitem(vars(standing), "disk", Disk(2_000, 0, 24_000.0))
    full = plain(standing)
    assert "city: collects, but the disk is full\n" in full
    assert "0 B free: no slot can be collected\n" in full


def test_growth_of_an_empty_folder_is_not_known(tmp_path: Path, world: World) -> None:
    """There is no forecast, nor a picture with a legend."""
    standing = survey(SystemFolder("city", tmp_path / "new", TAIPEI, 300), now=NOON)

    assert "growth not yet known" in plain(standing)
    assert "Last run     none yet" in plain(standing)
    assert "not over yet" not in plain(standing)
    assert "not over yet" in plain(stand(world))


def test_a_rate_limit_is_shown_with_its_end(world: World) -> None:
    """The feed is sound then, and nobody knows why nothing is fetched."""
    world.feed.answer = RateLimited("too many", not_before=world.clock.now + 1_200)
    world.fetch(after=300)
    world.fetch(after=300)

    text = " ".join(plain(stand(world)).split())

    assert "s; rate-limited until 2026-11-22 04:45 (+00:00) Newest data" in text


def test_a_system_that_is_over_promises_no_slot_and_no_growth(world: World) -> None:
    """Neither on its screen and in JSON, nor for `doctor` and the digest."""
    before = stand(world)
    with (world.folder / ".bikecollect").open("a", encoding="utf-8") as marker:
        marker.write("stopped\n")

    over = stand(world)

    (values,) = documented(status_json.as_json(over), status_json.KEYS)
    keys = "next_slot", "growth_bytes_a_day", "full_in_s"
    assert [values[key] for key in keys] == [None, None, None]
    assert "Next slot    none\n" in plain(over)
    assert before.disk.time_left != over.disk.time_left == ""


def test_json_has_times_with_offset_and_named_units(world: World) -> None:
    """The shape on which scripts rely."""
    incident(world.folder, "disk", NOON)
    (values,) = documented(status_json.as_json(stand(world)), status_json.KEYS)

    assert values["system"] == "city"
    assert (values["interval_s"], values["behind_s"], values["late"]) == (
        300,
        5,
        False,
    )
    assert values["next_slot"] == "2026-11-22T12:30:00+08:00"
    assert values["last_run"]["slot"] == "2026-11-22T12:25:00+08:00"
    assert values["coverage"]["today"] == {
        "collected": 5,
        "expected": 6,
        "coverage": 5 / 6,
    }
    states = [slot["state"] for slot in values["slots_24h"]]
    assert (len(states), states[-4:]) == (
        288,
        ["missing", "partial", "stale", *["collected"]],
    )
    assert values["free_bytes"] > 0


def test_an_incident_that_comes_and_goes_is_named_so(world: World) -> None:
    """Three bad slots in a day are not a feed that is down since then."""
    begin, end = Slot(int(NOON)), Slot(int(NOON) + 86_400)
    known = Incident("i", "fetch", begin, end, slots=3, lost=3, told=1)
    flapping = known._replace(streak=known.last)
    # Three of eleven slots of 30 seconds: the interval was changed since then.
    before = flapping._replace(last=Slot(begin + 300), streak=Slot(begin + 300))
    grid = Grid((Period(0, 30), Period(begin + 600, 300)))
    standing = stand(world)
    healths = [
        replace(standing.health, incidents=[known]),
        replace(standing.health, incidents=[flapping]),
        replace(standing.health, incidents=[before], grid=grid),
    ]
    shown = [status.alerts([replace(standing, health=health)]) for health in healths]
    assert "city: the feed cannot be fetched, since" in shown[0]
    assert "city: the feed cannot be fetched at times, since" in shown[1]
    assert "fetched at times, since 2026-11-22 12:00:00 (+08:00); slots" in shown[2]


def test_incidents_that_are_over_are_named_for_a_day(world: World) -> None:
    """Also one that was over when it was noticed; the latest first, some of many."""
    noon, now = Slot(int(NOON)), Slot(int(world.clock.now) + 5)
    feed = Incident("f", "fetch", noon, Slot(noon + 300), lost=2, told=1, text="503")
    repaired = Incident("l", "ledger", noon, noon, noon, told=1, text="was damaged")
    old = feed._replace(incident_id="o", closed=Slot(now - 86_401))
    untold = feed._replace(incident_id="u", closed=noon, told=0)
    ended = feed._replace(closed=Slot(noon + 900))
    ledger = AlertLedger(world.folder / "ledger.sqlite3")
    ledger.save([ended, old])
    system = SystemFolder("city", world.folder, TAIPEI, 300)

    standing = survey(system, now=now, noted=[ended, repaired, untold])
    lines = plain(standing).splitlines()
    (values,) = documented(status_json.as_json(standing), status_json.KEYS)
    many = [ended._replace(incident_id=str(n)) for n in range(7)]
    long = replace(standing, health=replace(standing.health, ended=many))

    place = lines.index("  Over in the last 24 hours:")
    assert lines[place + 1 :] == [
        "    2026-11-22 12:00 to 12:10: the feed cannot be fetched; slots lost: 2",
        "    2026-11-22 12:00 to 12:05: the ledger was missing, damaged or incomplete",
    ]
    assert not standing.health.incidents
    assert [i["id"] for i in values["incidents_over"]] == ["f", "l"]
    assert values["incidents_over"][0]["closed"] == "2026-11-22T12:15:00+08:00"
    assert plain(long).endswith("; slots lost: 2\n    and 2 more\n")
    assert "Over" not in plain(survey(system, now=now + 2 * 86_400))


def test_metrics_are_in_prometheus_form(world: World) -> None:
    """Each family has HELP and TYPE once, before its samples."""
    incident(world.folder, "disk", NOON)
    standing = stand(world)
    damaged = replace(standing, health=replace(standing.health, damage=["a.csv"]))
    text = metrics([standing])
    stamp = int(NOON) + 1500

    assert 'bikecollect_data_damaged{system="city"} 0\n' in text
    assert 'bikecollect_data_damaged{system="city"} 1\n' in metrics([damaged])

    assert (
        f'bikecollect_last_block_timestamp_seconds{{system="city"}} {stamp}\n' in text
    )
    assert 'bikecollect_coverage_ratio{system="city",window="7d"} 0.8333' in text
    assert 'bikecollect_incident_open{system="city",kind="disk"} 1\n' in text
    assert 'bikecollect_incident_open{system="city",kind="fetch"} 0\n' in text
    names = re.findall(r"^# TYPE (\w+) gauge$", text, re.MULTILINE)
    assert len(names) == len(set(names))
    sample = r'bikecollect_\w+\{system="\w+"(,\w+="\w+")?\} [0-9.e+-]+'
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(sample, line)] == []


def test_the_metrics_have_the_runs_that_are_running(world: World) -> None:
    """An alert can tell a run that hangs from none."""
    standing, run = stand(world), world.begin()
    runs = [run, replace(run, started=run.started - 60)]

    none, two = metrics([standing]), metrics([replace(standing, running=runs)])

    assert 'bikecollect_running_runs{system="city"} 0\n' in none
    assert 'bikecollect_running_seconds{system="city"} 0\n' in none
    assert 'bikecollect_running_runs{system="city"} 2\n' in two
    assert 'bikecollect_running_seconds{system="city"} 65\n' in two


def test_alert_is_silent_when_all_is_well_and_1_when_not(tmp_path: Path) -> None:
    """A fresh slot: 0 and nothing; then an incident: 1 and a line."""
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url)
        before = bikecollect("--config", path, "status", "--alert")
        bikecollect("--config", path, "fetch")
    well = bikecollect("--config", path, "status", "--alert")
    incident(tmp_path / "data/city", "disk", time.time())
    bad = bikecollect("--config", path, "status", "--alert")

    assert (before.returncode, before.stdout) == (0, "")
    assert (well.returncode, well.stdout, well.stderr) == (0, "", "")
    assert bad.returncode == 1
    assert bad.stdout.startswith("city: the disk cannot be used, since ")


def test_a_new_system_waits_for_its_first_slot(tmp_path: Path) -> None:
    """It is not late; no file is created."""
    path = settings(tmp_path, "http://127.0.0.1:9/")

    process = bikecollect("--config", path, "status")

    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith("city: waiting for its first slot\n")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("lost", "words"),
    [("data/city", "is its disk mounted?"), ("data", "is gone, with all data")],
)
def test_a_folder_that_has_lost_its_data_is_late(
    tmp_path: Path, lost: str, words: str
) -> None:
    """A folder whose disk is not mounted is no new system, and named."""
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url)
        bikecollect("--config", path, "fetch")
    (tmp_path / lost).rename(tmp_path / "disk")
    if lost == "data/city":
        (tmp_path / lost).mkdir()

    alert = bikecollect("--config", path, "status", "--alert")
    with path.open("a", encoding="utf-8") as file:
        file.write('[systems.new]\nurl = "http://127.0.0.1:9/"\nfeed = "youbike"\n')
        file.write('timezone = "Asia/Taipei"\n')
    several = bikecollect("--config", path, "status").stdout

    is_gone = words.startswith("is gone")
    assert several.count("late and its folder is gone") == is_gone
    late, unmounted = alert.stdout.splitlines()
    assert (alert.returncode, late) == (1, "city: late: no data")
    assert words in unmounted


def test_coverage_of_lost_data_is_in_doubt_for_one_system_and_for_several(
    world: World,
) -> None:
    """What was lost is not among the slots that are counted."""
    with (world.folder / MARKER).open("ab") as file:
        file.write(marker.mark(world.clock.now))
    standing = stand(world)

    assert "; in doubt: files are missing or damaged" in " ".join(
        plain(standing).split()
    )
    several = click.unstyle(status.screen([standing, standing]))
    assert several.count("7 days 83.3 %, in doubt\n") == 2

    (text,) = standing.health.damage  # also that of the incident which a run opens
    known = Incident("lost-1", "lost", Slot(0), Slot(0), told=1, text=text)
    health = replace(standing.health, incidents=[known])
    assert plain(replace(standing, health=health)).count(" all data until then") == 1
    is_lost = replace(standing.health, is_lost=True)
    several = status.screen([replace(standing, health=is_lost)] * 2)
    assert several.count("7 days unknown\n") == 2


@pytest.mark.parametrize("absence", ["missing", "empty"])
def test_a_lost_ledger_is_named_and_the_next_fetch_rebuilds_it(
    tmp_path: Path, absence: str
) -> None:
    """It does not look like a new system; afterwards there is no problem."""
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url)
        bikecollect("--config", path, "fetch")
        for file in (tmp_path / "data/city").glob("ledger.sqlite3*"):
            file.write_bytes(b"") if absence == "empty" else file.unlink()
        lost = bikecollect("--config", path, "status", "--alert")
        screen = bikecollect("--config", path, "status")
        rebuilt = bikecollect("--config", path, "fetch")
    (tmp_path / "data/city/ledger.sqlite3").stat()

    assert f"city/ledger.sqlite3 was {absence}: a new one is rebuilt" in rebuilt.stderr
    assert (
        f"city: ledger.sqlite3 is {absence}; the next fetch rebuilds it" in lost.stdout
    )
    assert "city: late: unknown without the ledger" in lost.stdout
    assert "  Newest data  unknown without the ledger\n" in screen.stdout
    assert "no data" not in screen.stdout
    assert "none yet" not in screen.stdout


def test_a_run_that_could_not_be_recorded_is_no_silence(world: World) -> None:
    """On a full disk the ledger lacks it; the state of the alerts has its slot."""
    system = SystemFolder("city", world.folder, TAIPEI, 300)
    now = world.clock.now + 3_600
    silent = survey(system, now=now)
    seen = survey(system, now=now, seen=Slot(int(now) // 300 * 300 - 300))
    ahead = survey(system, now=now, seen=Slot(int(now) + 3_600))

    assert "Schedule     no run for 1 h 0 min" in plain(silent)
    assert "Schedule     the run 5 min ago could not be recorded" in plain(seen)
    assert (seen.health.late, seen.health.silent) == (True, None)
    assert ahead.health.silent == silent.health.silent


def test_many_systems_are_a_line_each(tmp_path: Path) -> None:
    """A single one is shown in full."""
    more = "\n".join(
        OTHER.replace("other", f"s{n}") + 'timezone = "UTC"' for n in range(9)
    )
    path = settings(tmp_path, "http://127.0.0.1:9/", more=more)

    many = bikecollect("--config", path, "status").stdout.splitlines()
    single = bikecollect("--config", path, "status", "s3").stdout

    assert many[0].split("  ")[0] == "city"
    assert [line.split("  ")[0] for line in many[1:10]] == [f"s{n}" for n in range(9)]
    assert many[-3].startswith("Details: ")
    assert "Newest data" in single


def test_one_damaged_ledger_does_not_hide_the_others(tmp_path: Path) -> None:
    """The others are shown, it is named, and the exit code is that of a disk error."""
    path = settings(tmp_path, "http://127.0.0.1:9/", more=MORE)
    (tmp_path / "data/city").mkdir(parents=True)
    (tmp_path / "data/city/ledger.sqlite3").write_bytes(b"no ledger" * 999)

    process = bikecollect("--config", path, "status")

    assert process.returncode == 74
    assert process.stdout.startswith("other: waiting for its first slot\n")
    assert "city/ledger.sqlite3" in process.stderr
    assert "Traceback" not in process.stderr


def test_systems_are_chosen_by_name(tmp_path: Path) -> None:
    """One object for the named one; an unknown name is 78."""
    path = settings(tmp_path, "http://127.0.0.1:9/", more=MORE)

    one = bikecollect("--config", path, "status", "--format", "json", "other")
    none = bikecollect("--config", path, "status", "atlantis")

    assert [json.loads(line)["system"] for line in one.stdout.splitlines()] == ["other"]
    assert none.returncode == 78


def test_output_is_a_complete_file_that_all_may_read(tmp_path: Path) -> None:
    """Under cron's umask too, and no temporary file is left."""
    path = settings(tmp_path, "http://127.0.0.1:9/")
    target = tmp_path / "metrics/bikecollect.prom"
    target.parent.mkdir()
    target.write_text("old", encoding="utf-8")

    process = bikecollect(
        *("--config", path, "status", "--format", "prometheus", "--output", target)
    )

    assert (process.returncode, process.stdout) == (0, "")
    assert target.read_text(encoding="utf-8").startswith("# HELP bikecollect_")
    assert target.stat().st_mode & 0o777 == 0o644
    assert list(target.parent.iterdir()) == [target]


def test_an_output_that_cannot_be_written_is_74(tmp_path: Path) -> None:
    """One line with its name."""
    path = settings(tmp_path, "http://127.0.0.1:9/")

    process = bikecollect(
        "--config", path, "status", "--output", tmp_path / "no/x.prom"
    )

    assert process.returncode == 74
    assert "no/" in process.stderr
    assert process.stderr.count("\n") == 1


def test_watching_ends_with_130_when_interrupted(tmp_path: Path) -> None:
    """The screen is drawn again; Ctrl-C leaves no traceback."""
    path = settings(tmp_path, "http://127.0.0.1:9/")
    command = [sys.executable, "-m", "bikecollect", "--config", str(path), "status"]
    process = subprocess.Popen(
        [*command, "--watch=0.5"],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    drawn = (line for line in process.stdout if "city: waiting" in line)
    assert all([next(drawn), next(drawn)])
    process.send_signal(signal.SIGINT)
    for _ in range(12):
        try:
            _, stderr = process.communicate(timeout=5)
            break
        except subprocess.TimeoutExpired:  # as a person would, on a busy machine
            process.send_signal(signal.SIGINT)

    assert process.returncode == 130
    assert "Traceback" not in stderr


@pytest.mark.parametrize(("target", "code"), [("closed pipe", 0), ("/dev/full", 74)])
def test_watching_ends_when_nobody_reads_it(
    tmp_path: Path, target: str, code: int
) -> None:
    """`status --watch | head -1` ends with head."""
    path = settings(tmp_path, "http://127.0.0.1:9/")
    command = [sys.executable, "-m", "bikecollect", "--config", str(path), "status"]
    if target == "closed pipe":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open(target, os.O_WRONLY)
    process = subprocess.run(
        [*command, "--watch=0.5"],
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    os.close(writer)
    assert process.returncode == code


def test_an_output_file_has_no_colours(tmp_path: Path) -> None:
    """They are for terminals."""
    path = settings(tmp_path, "http://127.0.0.1:9/")
    bikecollect("--config", path, "status", "--output", tmp_path / "status.txt")
    text = (tmp_path / "status.txt").read_text(encoding="utf-8")
    assert text.startswith("city: ")


def late(tmp_path: Path) -> Path:
    """Return settings of a system with one slot, a month ago."""
    world = World(tmp_path / "data/city")
    (world.folder / ".bikecollect").touch()
    world.clock.now = noon_of_last_month()
    world.fetch({"a": 1})
    return settings(tmp_path, "http://127.0.0.1:9/")


def test_colour_is_only_for_terminals_without_no_color(tmp_path: Path) -> None:
    """Neither in a pipe nor with NO_COLOR."""
    path = late(tmp_path)

    command = ("--config", path, "status")
    assert "\x1b[31m" in on_terminal(*command)
    uncoloured = on_terminal(*command, NO_COLOR="1")  # a hint on stderr is erased
    assert "\x1b[" not in uncoloured.replace("\x1b[K", "")
    assert "\x1b[" not in bikecollect("--config", path, "status").stdout


def test_ascii_is_printed_where_the_output_takes_no_more(tmp_path: Path) -> None:
    """No error and no question marks."""
    path = late(tmp_path)
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}

    process = bikecollect("--config", path, "status", env=env)

    assert process.returncode == 0
    assert process.stdout.isascii()
    assert "# collected" in process.stdout
    assert "?" not in process.stdout


def ruined(tmp_path: Path) -> Path:
    """Return settings of two systems; the ledger of one cannot be read."""
    path = settings(tmp_path, "http://127.0.0.1:9/", more=MORE)
    (tmp_path / "data/city").mkdir(parents=True)
    (tmp_path / "data/city/ledger.sqlite3").write_bytes(b"no ledger" * 999)
    return path


def test_nagios_counts_systems_that_cannot_be_read(tmp_path: Path) -> None:
    """One of two, and not of one."""
    process = bikecollect("--config", ruined(tmp_path), "status", "--nagios")

    first = process.stdout.splitlines()[0]
    assert first.endswith(": 0 of 2 systems in trouble, 1 cannot be read")
    errors = {"": StorageError("x"), "a": StorageError("y")}
    of_state = "0 of 1 system in trouble, 1 cannot be read; alerts have a problem"
    assert status.nagios_summary([], errors) == of_state


def test_metrics_of_an_unreadable_ledger_are_0_and_hide_no_other(
    tmp_path: Path,
) -> None:
    """Otherwise no alert rule would fire."""
    path = ruined(tmp_path)
    out = tmp_path / "bikes.prom"

    form = ("--format", "prometheus", "--output", str(out))
    assert bikecollect("--config", path, "status", *form).returncode == 74

    text = out.read_text(encoding="utf-8")
    assert 'bikecollect_up{system="city"} 0\n' in text
    assert 'bikecollect_up{system="other"} 1\n' in text
    assert 'bikecollect_late{system="other"} 0\n' in text
    assert 'bikecollect_late{system="city"}' not in text


def test_metrics_of_unreadable_settings_are_0(tmp_path: Path) -> None:
    """The file is replaced: yesterday's samples would look healthy.

    Its name says that it has metrics.
    """
    out = tmp_path / "bikes.prom"
    out.write_text("bikecollect_up 1\n", encoding="utf-8")

    process = bikecollect("--config", tmp_path / "none.toml", "status", "-o", str(out))

    assert process.returncode == 78
    assert "bikecollect_up 0\n" in out.read_text(encoding="utf-8")


def test_alert_is_1_for_unreadable_systems(tmp_path: Path) -> None:
    """One line each, on stdout, like other problems."""
    bad = bikecollect("--config", ruined(tmp_path), "status", "--alert")
    none = bikecollect("--config", tmp_path / "none.toml", "status", "--alert")

    assert bad.returncode == 1
    assert bad.stdout.startswith("city: cannot read ")
    assert none.returncode == 1
    assert "none.toml does not exist; to write a settings file: " in none.stdout


def test_open_incidents_of_unreadable_systems_are_shown(tmp_path: Path) -> None:
    """They are in the state of the alerts, too; the ledger's loss may be one."""
    path, begin = ruined(tmp_path), Slot(int(NOON))
    state = AlertStateFile(tmp_path / "data/city/alerts.state")
    known = Incident("disk-1", "disk", begin, begin, lost=2, told=1)
    with state.held():
        untold, over = known._replace(kind="bug", told=0), known._replace(good=1)
        state.save(AlertState(incidents=(known, untold, over._replace(kind="mail"))))

    text = bikecollect("--config", path, "status")
    alert = bikecollect("--config", path, "status", "--alert")
    with state.held():  # by an older copy
        copy = known._replace(kind="lost", causes={"older-folder": 1})
        none = copy._replace(lost=0)
        losses = (copy._replace(lost=4), none, none._replace(causes={}))
        state.save(AlertState(incidents=losses))
    older = bikecollect("--config", path, "status", "--alert")

    assert re.findall("slots lost: (.*)", older.stdout) == ["4", "0", "all until then"]
    line = (
        "city: the disk cannot be used, since 2026-11-22 12:00 (+08:00); slots lost: 2"
    )
    seen = (
        "city: mails cannot be sent, since 2026-11-22 12:00 (+08:00), last seen "
        "2026-11-22 12:00 (+08:00); slots lost: 2"
    )
    assert text.stdout.splitlines()[-5:-1] == ["city: cannot be read", line, seen, ""]
    assert alert.stdout.splitlines()[-2:] == [line, seen]


def test_nagios_ends_with_0_to_3(tmp_path: Path) -> None:
    """OK, WARNING, CRITICAL and UNKNOWN, by the rules for plugins."""
    unknown = bikecollect("--config", tmp_path / "none.toml", "status", "--nagios")
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url)
        new = bikecollect("--config", path, "status", "--nagios")
        bikecollect("--config", path, "fetch")
        well = bikecollect("--config", path, "status", "--nagios")
        text = path.read_text()
        path.write_text(text.replace('"data"', '"dta"'))
        bikecollect("--config", path, "fetch")
    typo, alert, screen = (
        bikecollect("--config", path, "status", *form)
        for form in (["--nagios"], ["--alert"], [])
    )
    path.write_text(text)
    incident(tmp_path / "data/city", "disk", time.time())
    lost = bikecollect("--config", path, "status", "--nagios")

    assert [process.returncode for process in (unknown, new, well, lost)] == [
        3,
        0,
        0,
        2,
    ]
    assert well.stdout == "BIKECOLLECT OK: 0 of 1 system in trouble\n"
    assert lost.stdout.startswith("BIKECOLLECT CRITICAL: 1 of 1 system in trouble\n")
    line = f"city: a new history begins in {tmp_path}/dta/city, and {tmp_path}/data/"
    assert (typo.returncode, alert.returncode, screen.returncode) == (1, 1, 0)
    warning = f"BIKECOLLECT WARNING: 1 of 1 system in trouble\n{line}"
    assert typo.stdout.startswith(warning)
    assert alert.stdout.startswith(line)
    assert alert.stdout.endswith(" doctor city\n")
    assert screen.stdout.startswith("city: earlier data in another folder\n")
    assert screen.stdout.count(line) == 1
    assert unknown.stdout.startswith("BIKECOLLECT UNKNOWN: the settings cannot be ")


def test_a_state_folder_that_cannot_be_used_costs_no_slot(tmp_path: Path) -> None:
    """After one `sudo -E` the slot is fetched; doctor and --alert report the folder."""
    (tmp_path / "state/bikecollect").mkdir(parents=True)
    (tmp_path / "state/bikecollect/incidents").touch()  # what also root cannot use
    env = {"XDG_STATE_HOME": str(tmp_path / "state")}
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url)
        fetched = bikecollect("--config", path, "fetch", env=env)
        alert = bikecollect("--config", path, "status", "--alert", env=env)
        doctor = bikecollect("--config", path, "doctor", "--offline", env=env)

    assert fetched.returncode == 0
    assert alert.returncode == 1
    assert alert.stdout.startswith("cannot use the state folder ")
    assert "Not a directory; run: chown -R" in alert.stdout
    assert "alert state" in doctor.stdout


def test_a_state_home_that_nobody_can_write_costs_no_slot(tmp_path: Path) -> None:
    """The state is then in the data folder."""
    env = {"XDG_STATE_HOME": f"/{'x' * 300}"}  # what also root cannot use
    env["TMPDIR"] = str(tmp_path)  # not where a test before knows this folder
    with serving(lambda _: GOOD) as url:
        path = settings(tmp_path, url)
        fetched = bikecollect("--config", path, "fetch", env=env)
        alert = bikecollect("--config", path, "status", "--alert", env=env)

    assert (fetched.returncode, alert.returncode) == (0, 0)


def test_a_clock_at_1970_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By each command but `fetch`: newer data look as if there were none."""
    path = settings(tmp_path, "http://127.0.0.1:9/")
    monkeypatch.setattr(time, "time", lambda: 600.0)

    result = CliRunner().invoke(cli, ["--config", str(path), "status"])

    assert "the clock of this machine shows 1970-01-01T00:10:00+00:00" in result.stderr


@pytest.mark.parametrize(
    "file", ["station_status/2026-11-22.csv", "station_information.csv"]
)
def test_a_linked_file_is_named_with_a_remedy_that_works(
    world: World, file: str
) -> None:
    """Nothing is written to it, so that each fetch fails (fault 111)."""
    path, elsewhere = world.folder / file, world.folder.parent / "else where.csv"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)

    (line,) = stand(world).health.damage
    told, _, remedy = line.partition("; run: ")

    assert told == f"{file} is a link to {elsewhere}, and links are not followed"
    subprocess.run(shlex.split(remedy), check=True)
    assert not stand(world).health.damage
