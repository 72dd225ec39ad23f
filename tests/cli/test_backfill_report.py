"""The report on the past as text, JSON, CSV, page and mail."""

import csv
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest
from in_process import bikecollect
from json_shapes import documented
from mailserver import MailServer
from templates import copied
from world import NOON, World

from bikecollect.cli.render import coverage, station_coverage
from bikecollect.cli.render.coverage_html import page
from bikecollect.core.slots import DAY, Slot
from bikecollect.reports import evidence
from bikecollect.reports.coverage import Gap
from bikecollect.reports.evidence import read_account
from bikecollect.storage import data_folder
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.files import known_folders, marker

TAIL = ("--until", "2026-11-22T12:40")


@pytest.fixture
@copied
def world(tmp_path: Path) -> World:
    """Return a world with eight slots at noon: 2 without a run, 1 not understood."""
    world = World(tmp_path / "bikes/city")
    for number in (0, 1, 4, 5, 7):
        world.clock.now = NOON + 300 * number
        world.uptime = 1_000.0 + 300 * number
        world.fetch({"a": 1, "b": 2} if number < 5 else {"a": 1})
    world.clock.now = NOON + 1800
    world.feed.answer = b"<html>"
    world.cycle().run(world.begin())
    return world


def config(world: World, more: str = "") -> Path:
    """Return the settings of *world*."""
    path = world.folder.parents[1] / "bikecollect.toml"
    path.write_text(
        'data_dir = "bikes"\n[systems.city]\nfeed = "youbike"\n'
        f'timezone = "Asia/Taipei"\nurl = "http://127.0.0.1/"\n{more}',
        encoding="utf-8",
    )
    path.chmod(0o600)
    return path


def report(world: World, *arguments: object, code: int = 0) -> str:
    """Return what the report prints."""
    process = bikecollect(
        "--config", config(world), "backfill-report", *TAIL, *arguments
    )
    assert (process.returncode, process.stderr) == (code, "")
    return process.stdout


def test_the_text_fits_a_terminal_and_names_each_gap(world: World) -> None:
    """A strip for the day, the gaps with their causes, and what can be filled."""
    text = report(world)

    assert "Coverage 62.5 %: 5 of 8 slots" in text
    assert re.search(r"2026-11-22 12:10  12:20 +2  not-started", text)
    assert re.search(r"12:30  12:35 +1  rejected: shape +kept, unreadable", text)
    *lines, command = text.splitlines()
    why = "  kept: 1 payload that this version cannot read; for the reasons:"
    assert lines[-1] == why
    assert re.fullmatch(r"    \S*bikecollect --config \S+ backfill --dry-run", command)
    assert all(len(line) <= 80 for line in lines)


def test_a_long_cause_and_several_sources_leave_a_table(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty gaps of five lines each would be no overview."""
    monkeypatch.setattr(coverage, "terminal_columns", lambda: 80)
    account = read_account(
        SystemFolder("city", world.folder, ZoneInfo("Asia/Taipei"), 300), now=NOON
    )
    end = Slot(int(NOON) + DAY)
    gap = Gap(Slot(int(NOON)), end, 288, "asleep or not-started", 12, "inbox, kept")

    text = click.unstyle(coverage.text(replace(account, gaps=[gap])))

    (line,) = (line for line in text.splitlines() if "2026-11-22 12:00" in line)
    assert "2026-11-23 12:00" in line
    assert "  asleep or not-" in line
    assert len(line) <= 80


def test_the_intervals_are_those_of_the_range(world: World) -> None:
    """Slots have ten minutes since 12:20, and an hour since the next day."""
    facts = [
        {"since": since, "interval": interval, "timezone": "Asia/Taipei"}
        | {"columns": ["occupancy"], "local": True}
        for since, interval in ((0, 300), (NOON + 1_200, 600), (NOON + DAY, 3_600))
    ]
    (world.folder / "facts.json").write_text(json.dumps({"facts": facts}))

    assert ", slots of 5 min, then 10 min\n" in report(world)
    (account,) = documented(report(world, "--format", "json"), coverage.KEYS)
    assert account["interval_s"] == 600
    page = report(world, "--format", "html")
    assert "one slot every 5 min, then 10 min" in page

    facts[1:] = [facts[1] | {"interval": 90}]
    (world.folder / "facts.json").write_text(json.dumps({"facts": facts}))
    text = report(world)
    assert ", slots of 5 min, then 90 s\n" in text
    assert "2026-11-22 12:10:00  12:20:00      2  not-started" in text
    assert "2026-11-22 12:25:30  12:30:00      3  not-started" in text
    assert "2026-11-22 12:25:30</td>" in report(world, "--format", "html")


def test_a_long_outage_is_reported_without_reading_all_its_payloads(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest are tried; of the others the report says that they were not."""
    monkeypatch.setattr(evidence, "MAX_TRIED", 2)
    for number in range(8, 12):
        world.clock.now = NOON + 300 * number
        world.cycle().run(world.begin())
    folder = SystemFolder("city", world.folder, ZoneInfo("Asia/Taipei"), 300)
    tried: list[str] = []

    def can_read(path: Path) -> bool:
        tried.append(path.name[:15])
        return len(tried) == 1

    account = read_account(folder, now=NOON + 300 * 12, can_read=can_read)

    assert tried == ["20261122T045500", "20261122T045000"]
    gap = account.gaps[-1]
    assert (gap.slots, gap.backfillable, gap.unreadable, gap.untried) == (4, 1, 1, 2)
    assert account.gaps[-2].untried == 1
    shown = click.unstyle(coverage.text(account))
    assert shown.startswith("city: 2026-11-22, slots of 5 min")
    assert "1  rejected: shape  kept, not tried" in shown
    assert "  the kept payloads of 3 older slots were not tried; to try all:\n" in shown
    assert "1 can be filled from kept payloads" in shown
    # The app and shared pages try none: a rejected one is not said to be fillable.
    untried = read_account(folder, now=NOON + 300 * 12)
    assert {gap.fillable for gap in untried.gaps} == {"", "kept, not tried"}
    others = replace(untried, gaps=[gap for gap in untried.gaps if not gap.untried])
    assert 'shows "kept, unreadable" where that fails' in page([untried], "")
    assert '"kept, unreadable" where that fails' not in page([others], "")


def test_the_json_has_the_shape_that_scripts_hold_on_to(world: World) -> None:
    """One object a line and system."""
    account = json.loads(report(world, "--format", "json"))

    assert account == {
        "system": "city",
        "since": "2026-11-22T12:00:00+08:00",
        "until": "2026-11-22T12:40:00+08:00",
        "interval_s": 300,
        "expected": 8,
        "collected": 5,
        "stale": 0,
        "partial": 0,
        "missing": 3,
        "coverage": 0.625,
        "days": [
            {
                "date": "2026-11-22",
                "expected": 8,
                "collected": 5,
                "stale": 0,
                "partial": 0,
                "missing": 3,
                "coverage": 0.625,
            }
        ],
        "gaps": [
            {
                "start": "2026-11-22T12:10:00+08:00",
                "end": "2026-11-22T12:20:00+08:00",
                "slots": 2,
                "cause": "not-started",
                "backfillable": 0,
                "from": "",
            },
            {
                "start": "2026-11-22T12:30:00+08:00",
                "end": "2026-11-22T12:35:00+08:00",
                "slots": 1,
                "cause": "rejected: shape",
                "backfillable": 0,
                "from": "",
            },
        ],
    }


@pytest.mark.parametrize("since", ["2026-11-22T11:00", "2026-11-16", "1970-01-02"])
def test_slots_before_the_first_run_are_not_expected(world: World, since: str) -> None:
    """The coverage of a new system is not 0.4 % of a week."""
    full = report(world, "--format", "json")

    assert report(world, "--since", since, "--format", "json") == full


def test_a_range_before_the_first_run_is_an_error(world: World) -> None:
    """Not an empty report with exit code 0."""
    words = ("backfill-report", "--until", "2026-11-20")

    process = bikecollect("--config", config(world), *words)

    assert process.returncode == 64
    assert process.stderr == (
        "bikecollect: no slot is expected in that range: it ends before the first run, "
        "of slot 2026-11-22 12:00\n"
    )


@pytest.mark.parametrize(
    ("command", "nothing"),
    [("backfill-report", "nothing yet: 0 of 0 slots"), ("backfill", "nothing to fill")],
)
def test_a_range_that_is_not_over_may_have_no_slot_yet(
    tmp_path: Path, command: str, nothing: str
) -> None:
    """In the first slot of a system, a weekly job has nothing to report: no error."""
    world = World(tmp_path / "bikes/city")
    words = ("--config", config(world), command)

    whole, week = bikecollect(*words), bikecollect(*words, "--since", "7d")
    over = bikecollect(*words, "--since", "9d", "--until", "2d")
    future = bikecollect(*words, "--since", "2150-01-01")
    checked = bikecollect(*words[:2], "backfill-report", "--min-coverage", 0.9)

    assert nothing in whole.stdout
    assert checked.returncode == 0, "no slot is missing yet"
    assert (week.returncode, week.stdout, week.stderr) == (0, whole.stdout, "")
    assert (over.returncode, future.returncode) == (64, 64)
    assert over.stderr.endswith("in that range: there has been no run yet\n")
    assert future.stderr.endswith("in that range: it has not begun\n")


def test_a_range_after_the_end_of_a_system_says_that_it_has_ended(
    world: World,
) -> None:
    """It is not said to lie before the first run."""
    (world.folder / ".bikecollect").write_bytes(marker.text_of("city") + b"stopped\n")

    process = bikecollect(
        "--config", config(world), "backfill-report", "--since", "2026-11-24"
    )

    assert process.returncode == 64
    assert (
        ": the system ended before it, with slot 2026-11-22 12:35\n" in process.stderr
    )


def test_csv_has_a_line_per_day_or_gap(world: World) -> None:
    """Both with a header, for a spreadsheet."""
    days = list(csv.DictReader(report(world, "--format", "csv").splitlines()))
    text = report(world, "--format", "csv", "--what", "gaps")
    gaps = list(csv.DictReader(text.splitlines()))

    assert [row["missing"] for row in days] == ["3"]
    assert [row["cause"] for row in gaps] == ["not-started", "rejected: shape"]


def test_the_page_is_self_contained(world: World, tmp_path: Path) -> None:
    """It refers to no other address: it opens without a network."""
    path = tmp_path / "gaps.html"
    report(world, "--format", "html", "--output", path)

    text = path.read_text(encoding="utf-8")
    assert re.findall(r"(?:src|href|url\(|@import|https?://)", text) == []
    assert "62.5 %" in text
    assert "rejected: shape" in text
    assert text.count("<rect") == 1 + 168


def test_markup_is_escaped_on_the_page(world: World) -> None:
    """In a reason, or anywhere else."""
    system = SystemFolder("city", world.folder, ZoneInfo("Asia/Taipei"), 300)
    account = read_account(system, now=NOON + 2400)
    gaps = [replace(gap, cause="<i>&") for gap in account.gaps]
    account = replace(account, system_id="<b>city</b>", gaps=gaps)

    text = page([account], "<script>")

    assert "<h1>&lt;b&gt;city&lt;/b&gt;</h1>" in text
    assert "<td>&lt;i&gt;&amp;</td>" in text
    assert "<script>" not in text


@pytest.mark.parametrize(("least", "code"), [(0.6, 0), (0.63, 1), (1, 1)])
def test_low_coverage_ends_with_1(world: World, least: float, code: int) -> None:
    """Below --min-coverage the exit code is 1."""
    report(world, "--min-coverage", least, code=code)


def test_a_coverage_in_percent_is_named(world: World) -> None:
    """A share is expected; the error has it."""
    arguments = ("--config", config(world), "backfill-report", "--min-coverage", 99)
    process = bikecollect(*arguments)

    assert process.returncode == 64
    assert "99 is not a share from 0 to 1; 99 % is 0.99" in process.stderr


def test_stations_with_missing_rows_are_listed(world: World) -> None:
    """Of five slots, "b" has rows in three."""
    text = report(world, "--stations", "--format", "csv")

    rows = {row["station_id"]: row for row in csv.DictReader(text.splitlines())}
    assert (rows["a"]["slots"], rows["a"]["verdict"]) == ("5", "")
    assert (rows["b"]["coverage"], rows["b"]["verdict"]) == ("0.6", "thin")
    text = report(world, "--stations")
    assert re.search(r"^  verdict +station +seen ", text, re.MULTILINE)
    assert "  1 other station: seen in 90 % or more of collected slots.\n" in text


def test_stations_of_a_system_without_a_run_are_none_yet(tmp_path: Path) -> None:
    """An empty answer would look like a command that failed."""
    (tmp_path / "bikes").mkdir()
    world = World(tmp_path / "bikes/city")

    process = bikecollect("--config", config(world), "backfill-report", "--stations")

    assert process.stdout == "No station has been collected yet.\n"


def test_the_longest_gap_of_a_station_passes_midnights_and_missing_days(
    world: World,
) -> None:
    """A day without any slot belongs to it, as does a day on which others have rows."""
    names = "abc"
    for at, listed in ((DAY, "ac"), (3 * DAY, "abc"), (3 * DAY + 900, "ab")):
        world.clock.now = NOON + at
        world.fetch(dict.fromkeys(listed, 1))
    until = ("--until", "2026-11-26", "--stations", "--format", "json")

    text = report(world, *until)

    stations = documented(text, station_coverage.KEYS)
    rows = {row["station_id"]: row for row in stations}
    gaps = [rows[name]["longest_gap_s"] for name in names]
    assert gaps == [2 * DAY - 300, 3 * DAY - 1_500, 2 * DAY - 300]


def test_the_longest_gap_of_a_station_may_be_within_a_day(world: World) -> None:
    """Neither on the first nor on the last day, nor over a midnight."""
    for hours in (24, 24 + 14, 24 + 32, 24 + 37):
        world.clock.now = NOON + hours * 3_600
        world.fetch({"a": 1})
    span = ("--since", "2026-11-23", "--until", "2026-11-26")

    text = report(world, *span, "--stations", "--format", "csv")

    rows = {row["station_id"]: row for row in csv.DictReader(text.splitlines())}
    assert int(rows["a"]["longest_gap_s"]) == 18 * 3_600 - 300


def test_the_report_is_mailed_and_waits_if_the_server_is_down(
    world: World, tmp_path: Path
) -> None:
    """By the settings of all mails; in the outbox until the server accepts it.

    It names a system that cannot be read, town without its ledger, and data that are
    lost, or in the folder of another `data_dir`.
    """
    (world.folder / ".bikecollect").touch()
    mail = MailServer.new(tmp_path / "mail")
    lines = "".join(
        f"{key} = {json.dumps(value)}\n" for key, value in mail.settings().items()
    )
    town = (
        '[systems.town]\nfeed = "youbike"\ntimezone = "UTC"\nurl = "http://127.0.0.1"\n'
    )
    path = config(world, f"{town}[mail]\n{lines}")
    command = ("--config", path, "backfill-report", *TAIL, "--mail")

    down = bikecollect(*command)
    waiting = list((world.folder / "outbox").glob("*.eml"))
    csv_file = world.folder.with_name("town") / "station_status" / "2026-11-22.csv"
    csv_file.parent.mkdir(parents=True)
    csv_file.touch()
    with (world.folder / ".bikecollect").open("ab") as file:
        file.write(marker.mark(NOON + 1))
    earlier = tmp_path / "earlier/city"
    shutil.copytree(world.folder, earlier)
    os.utime(earlier / "payloads/inbox", (NOON - 3600,) * 2)
    known_folders.remember_place(str(path), earlier.parent)
    with mail.up():
        up = bikecollect(*command)

    assert (down.returncode, up.returncode) == (0, 74)
    assert "waits in the outbox" in down.stderr
    assert len(waiting) == 1
    assert "coverage: city 62.5 %, town unknown" in mail.subjects()
    text = str(mail.mails()[-1].get_content())
    assert "not-started" in text
    assert "\n\nDays and times are those of Asia/Taipei.\n" in text.replace("\r", "")
    assert "Cannot be read: town; see `" in text
    assert f"city: {world.folder} was gone on 2026-11-22 12:00 (+08:00)" in text
    assert f"--config {path} status`" in text
    assert f"and {earlier} has the data until 2026-11-22 11:00 (+08:00)" in text


def test_a_system_without_a_run_has_no_expected_slots(tmp_path: Path) -> None:
    """Nothing is expected of it yet, and nothing fails.

    The mail does not wait in its folder: a folder without a marker is not written to.
    """
    (tmp_path / "bikes").mkdir()
    world = World(tmp_path / "bikes/city")
    mail = '[mail]\nhost = "127.0.0.1"\nport = 1\nsender = "a@b.cd"\nto = ["a@b.cd"]\n'

    process = bikecollect("--config", config(world, mail), "backfill-report", "--mail")

    assert process.returncode == 0
    assert "nothing yet: 0 of 0 slots" in process.stdout
    assert "waits in the outbox" in process.stderr
    data_folder.prepare(world.folder)
