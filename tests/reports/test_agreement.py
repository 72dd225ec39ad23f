"""One history, the same coverage in status, reports, mails and the app."""

import csv
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import click
import pytest
import trail
from click.testing import CliRunner
from in_process import bikecollect
from json_shapes import documented
from keeping import compactor, data_service, viewed
from publisher import MISSING, publishing
from quiet_settings import write_settings
from templates import copied
from vehicles import publish, station, vehicle
from world import NOON, TAIPEI, World

from bikecollect.alerts.delivery import Dispatcher
from bikecollect.alerts.digest import body
from bikecollect.app.queries.coverage_days import days_of
from bikecollect.archive.archived_days import ArchivedDays
from bikecollect.cli import cli
from bikecollect.cli.render import coverage_html, status
from bikecollect.cli.render.coverage import as_json, text
from bikecollect.cli.render.programs import status_json
from bikecollect.core import process
from bikecollect.core.errors import FeedUnavailable
from bikecollect.core.slots import DAY, Slot, SlotState, day_of
from bikecollect.reports.coverage import Coverage
from bikecollect.reports.evidence import read_account, slot_rows
from bikecollect.reports.health import WINDOWS
from bikecollect.reports.status import Standing, survey
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.wiring import history

pytest.importorskip("duckdb")
MAPS = (
    *("--map", "time=time", "--map", "station_id=station_id"),
    *("--map", "num_vehicles_available=bikes", "--map", "num_docks_available=docks"),
)
TODAY = date(2026, 11, 22)


def standing(world: World, now: float) -> Standing:
    """Return the status of *world* at *now*."""
    return survey(world.system, now=now)


def reported(world: World, now: float) -> Coverage:
    """Return the coverage of the last week by `backfill-report --since 7d`."""
    since = Slot(int(now) - 7 * DAY)
    return read_account(world.system, since, now=now).total


def digested(world: World, now: float) -> Coverage:
    """Return the coverage of today in a digest."""
    dispatcher = Dispatcher(systems={}, mailer=None, period="daily")
    return dispatcher._summary(world.system, (TODAY, TODAY), now).coverage


def counted_by_app(world: World, now: float) -> tuple[Coverage, Coverage]:
    """Return today's coverage by the app: in its figures, and in its calendar."""
    world.clock.now = now
    service = data_service(world)
    tomorrow = date(2026, 11, 23)
    account = service.account("city", TODAY, tomorrow).total
    (day,) = days_of(service.ask("city", "coverage", TODAY, tomorrow))
    service.close()
    return account, Coverage(day.expected, day.collected)


@pytest.fixture
@copied
def world(folder: Path) -> World:
    """Return a city that began at noon: four slots, the third one is lost."""
    world = World(folder / "city")
    world.fetch({"a": 1, "b": 2})
    world.fetch({"a": 1, "b": 2}, after=300)
    world.feed.answer = FeedUnavailable("no answer in 30 s")
    world.fetch(after=300)
    world.fetch({"a": 1, "b": 2}, after=300)
    return world


@pytest.fixture
def imported(world: World, config: Path, tmp_path: Path) -> None:
    """Import an hour of the morning, and one of a day three weeks before."""
    path = tmp_path / "other.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["time", "station_id", "bikes", "docks"])
        for begin in (int(NOON) - 3 * 3600, int(NOON) - 21 * DAY):
            for slot in range(begin, begin + 3600, 300):
                out.writerow([slot, "a", 1, 5])
    command = ("--config", config, "backfill", "city", "--from", path)
    process = bikecollect(*command, *MAPS)
    assert "24 slots filled" in process.stdout, process.stdout + process.stderr


@pytest.mark.parametrize("seconds", [902, 1000, 1195, 1390, 1499, 3 * 3600])
def test_every_place_shows_the_same_coverage(world: World, seconds: int) -> None:
    """While the present slot is collected, almost over, missing, and hours later."""
    now = NOON + seconds

    shown = standing(world, now).health.coverage
    app = counted_by_app(world, now)

    states = Counter(state for _, state in standing(world, now).health.strip)
    assert shown["7d"] == shown["30d"] == shown["today"]
    assert shown["today"].missing == states[SlotState.MISSING]
    assert shown["7d"].missing == reported(world, now).missing
    assert shown["7d"].expected == reported(world, now).expected
    assert (digested(world, now).expected, digested(world, now).missing) == (
        shown["today"].expected,
        shown["today"].missing,
    )
    assert [(c.expected, c.collected) for c in app] == [
        (shown["today"].expected, shown["today"].collected)
    ] * 2


@pytest.mark.parametrize("seconds", [1_000, 1_210])
def test_blocks_off_the_grid_are_in_every_report(world: World, seconds: int) -> None:
    """The facts were lost, so that the past interval is not known any more.

    12:00, 12:05 and 12:15 were collected; the grid has 12:00, 12:10 and 12:20 only.
    """
    now = NOON + seconds
    lost = SystemFolder("city", world.folder, TAIPEI, 600)

    health = survey(lost, now=now).health
    account = read_account(lost, now=now)
    begin = account.since
    rows = slot_rows(lost, begin, Slot(begin + DAY), clock=lambda: now)

    shown = health.coverage["today"]
    assert (account.total.expected, account.total.collected) == (4, 3)
    assert (shown.expected, shown.collected) == (4, 3)
    assert [item[:2] for item in account.judged] == [(row[0], row[3]) for row in rows]
    states = Counter(state for _, state in health.strip)
    assert states[SlotState.COLLECTED] == 3


def test_slots_of_the_future_are_in_no_report(world: World) -> None:
    """They were written while the clock was ahead, and prove nothing."""
    world.fetch({"a": 1, "b": 2}, after=3_600)
    now = NOON + 905.0

    account, calendar = counted_by_app(world, now)

    assert standing(world, now).health.coverage["today"] == Coverage(4, 3)
    assert (account.expected, account.collected) == (4, 3)
    assert calendar == Coverage(4, 3)


def test_missing_vehicles_are_counted_where_coverage_is(tmp_path: Path) -> None:
    """In the report, its JSON and the digest, up to the last slot of the stations.

    Three slots have stations, the second one has vehicles. They are not expected before
    their first slot, nor once the settings do not collect them any more.
    """
    with publishing(tmp_path) as city:
        publish(city, [vehicle()], stations=[station()])
        city.fetch()
        city.more = {"vehicles": True}
        city.fetch()
        city.documents["/free_bike_status.json"] = MISSING
        city.fetch()
        collecting, now = city.settings.system_folder("city"), city.clock.now
        city.more = {}
        stopped = city.settings.system_folder("city")

    account = read_account(collecting, now=now)
    without = read_account(stopped, now=now)
    dispatcher = Dispatcher(systems={}, mailer=None, period="daily")
    summary = dispatcher._summary(collecting, (TODAY, TODAY), now)

    shown = survey(collecting, now=now)
    (values,) = documented(status_json.as_json(shown), status_json.KEYS)

    assert shown.health.vehicles == dict.fromkeys(WINDOWS, Coverage(2, 1))
    assert values["vehicle_coverage"]["7d"]["collected"] == 1
    line = "  Vehicles     today 50.0 %, 7 days 50.0 %, 30 days 50.0 %\n"
    assert line in click.unstyle(status.screen([shown]))
    assert survey(stopped, now=now).health.vehicles["today"] == Coverage(1, 1)
    assert (account.total.expected, account.total.collected) == (3, 3)
    assert account.vehicles == summary.vehicles == Coverage(2, 1)
    assert without.vehicles == Coverage(1, 1)
    assert "  Vehicles 50.0 %: 1 of 2 slots\n" in text(account)
    assert json.loads(as_json(account))["vehicles"] == {"expected": 2, "collected": 1}
    words = " ".join(coverage_html.page([account], "").split())
    assert "0 partial. Vehicles: 1 of 2 slots collected.</p>" in words
    assert "  Vehicles   1 of 2, 50.0 %\n" in body([summary], "")
    assert "Vehicles" not in body([replace(summary, vehicles=Coverage())], "")
    collecting.vehicles.ledger.write_bytes(b"damaged" * 999)
    assert read_account(collecting, now=now).vehicles == Coverage()  # status says why


@pytest.mark.usefixtures("imported")
@pytest.mark.parametrize("source", [reported, digested])
def test_an_import_from_before_the_first_run_changes_no_coverage(
    world: World, source: Callable[[World, float], Coverage]
) -> None:
    """Three of four slots since noon; imported slots are not expected."""
    now = NOON + 905.0

    shown = standing(world, now).health.coverage

    assert [(c.expected, c.collected) for c in shown.values()] == [(4, 3)] * 3
    assert (source(world, now).expected, source(world, now).collected) == (4, 3)


@pytest.mark.usefixtures("imported")
def test_an_import_does_not_change_the_forecast_of_the_disk(
    world: World, tmp_path: Path
) -> None:
    """A day of one hour, three weeks ago, is no basis for a day's growth."""
    now = NOON + 905.0
    today = (world.folder / "station_status/2026-11-22.csv").stat().st_size

    daily = standing(world, now).disk.daily

    assert daily is not None
    assert daily == pytest.approx(today / 3 * 288, rel=0.7)


@pytest.mark.usefixtures("imported")
def test_the_imported_days_can_be_reported(config: Path) -> None:
    """A range before the first run has imported and missing slots."""
    arguments = ("backfill-report", "--until", "2026-11-02", "--format", "json")

    process = bikecollect("--config", config, *arguments)

    day = json.loads(process.stdout)["days"][0]
    assert (day["date"], day["collected"]) == ("2026-11-01", 12)


def test_a_new_system_expects_nothing_of_the_week_before(
    world: World, config: Path
) -> None:
    """`--since 7d` of a system of twenty minutes begins with its first run."""
    now = NOON + 905.0

    assert reported(world, now) == Coverage(4, 3)
    process = bikecollect("--config", config, "export", "--what", "slots")
    assert process.stdout.splitlines()[1].startswith("2026-11-22T12:00:00+08:00")


@pytest.fixture
def machine(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return *world*, on whose machine the reports run, too."""
    monkeypatch.setattr(process, "boot_id", lambda: "boot")
    monkeypatch.setattr(process, "uptime", lambda: world.uptime)
    monkeypatch.setattr(process, "awake", lambda: 0.0)
    return world


def compacted(world: World) -> list[str]:
    """Let `compact` archive the days that are due, without CSV; return them."""
    rows = partial(slot_rows, world.system, clock=world.clock)
    steps = replace(compactor(world, csv_days=0), slot_rows=rows).run()
    return [step.day for step in steps if step.what == "archived"]


def causes(world: World) -> tuple[list[tuple[Slot, str]], list[tuple[Slot, str]]]:
    """Return the first day's missing slots: as archived, and as derived now."""
    with viewed(world) as db:
        archived = db.execute(
            "SELECT slot, cause FROM slots WHERE date = DATE '2026-11-22'"
            " AND state = 'missing' ORDER BY slot"
        ).fetchall()
    end = Slot(int(NOON) + DAY // 2)
    account = read_account(world.system, until=end, now=world.clock())
    derived = [(s.slot, s.cause) for s in account.judged if s.cause]
    return archived, derived


def test_a_cause_that_only_a_later_run_shows_is_archived(machine: World) -> None:
    """At night the machine is on, without runs; it restarts before the next one."""
    machine.clock.now = NOON + 15 * 3600
    machine.uptime += 15 * 3600
    assert compacted(machine) == ["2026-11-22"]
    assert causes(machine)[0][-1][1] == "not-started"
    assert compacted(machine) == []
    machine.clock.now += 7 * 3600
    machine.uptime = 600.0
    machine.fetch({"a": 1})

    assert compacted(machine) == ["2026-11-22"]

    archived, derived = causes(machine)
    assert archived == derived
    assert archived[-1] == (NOON + DAY // 2 - 300, "host-off")
    assert compacted(machine) == []


def test_slots_that_only_earlier_runs_make_expected_are_archived(
    machine: World,
) -> None:
    """Another machine collected until the evening before; its runs are taken over."""
    machine.clock.now = NOON + 15 * 3600
    machine.fetch({"a": 1})
    assert compacted(machine) == ["2026-11-22"]
    evening = int(NOON) - 15 * 3600
    with closing(machine.ledger):
        machine.ledger.open()
        days = ArchivedDays(machine.ledger)
        (run, *_) = days.runs(Slot(int(NOON)), Slot(int(NOON) + 300))
        days.add_runs([("earlier", evening, evening, *run[3:])], TAIPEI)

    assert "2026-11-22" in compacted(machine)

    archived, derived = causes(machine)
    assert archived == [item for item in derived if item[0] >= NOON - DAY // 2]
    assert len(archived) > 144


@pytest.mark.parametrize("is_asked", [False, True])
def test_a_current_outage_counts_on_shared_pages(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_asked: bool
) -> None:
    """Three days without a run: coverage ends now, as in the app, unless asked."""
    pytest.importorskip("numpy")
    world = World(folder / "city")
    world.clock.now = time.time() - 3 * DAY
    world.fetch({"a": 1, "b": 0})
    day = ("--day", day_of(Slot(int(world.clock.now)), TAIPEI)) if is_asked else ()

    config = write_settings(tmp_path / "x.toml", folder, "city")
    monkeypatch.setattr(history, "TRAIL_DAYS", trail.TRAIL_DAYS)
    words = ["--config", config, "share", *day, "-o", tmp_path / "pages"]
    shared = CliRunner().invoke(cli, [*map(str, words)])

    assert shared.exit_code == 0, shared.output
    coverage = (tmp_path / "pages/coverage.html").read_text("utf-8")
    (missing,) = re.findall(r"; (\d+) missing", coverage)
    assert (int(missing) > 288) == (not is_asked)
