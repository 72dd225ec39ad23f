"""``bikecollect status --alert --mail``: mails that `fetch` cannot send itself."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from mailserver import MailServer
from test_fetch import bikecollect, settings
from world import TAIPEI, World

from bikecollect.cli.render.status import unattended
from bikecollect.core.errors import FeedUnavailable
from bikecollect.core.incidents import Incident
from bikecollect.core.process import Stop, Times, boot_id
from bikecollect.core.slots import Slot
from bikecollect.reports.status import Standing, survey
from bikecollect.setup.loader import load
from bikecollect.simulator.demo import Time
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.wiring.archive_alerts import report_compact
from bikecollect.wiring.late_mail import mail_problems

AWAKE = 86_400.0


@pytest.fixture
def mail(tmp_path: Path) -> MailServer:
    """Return a mail server that is not up yet."""
    return MailServer.new(tmp_path / "mail")


def config(folder: Path, mail: MailServer) -> Path:
    """Write settings for the system city, with mails by *mail*."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in mail.settings().items()]
    more = "\n".join(["[mail]", *lines])
    return settings(folder, "http://127.0.0.1:9/", interval="5min", more=more)


def test_a_collector_that_stopped_is_one_mail_a_day(
    tmp_path: Path, mail: MailServer
) -> None:
    """A second call within the day sends nothing, and neither prints anything."""
    path = config(tmp_path, mail)
    World(tmp_path / "data/city").fetch({"a": 1})

    with mail.up():
        first = bikecollect("--config", path, "status", "--alert", "--mail")
        second = bikecollect("--config", path, "status", "--alert", "--mail")

    (subject,) = mail.subjects()
    assert subject.startswith("city: no run for ")
    assert ".late.city@" in mail.mails()[0]["Message-ID"]  # others may be as late
    assert f"--config {path} schedule show" in mail.mails()[0].get_content()
    assert [(p.returncode, p.stdout, p.stderr) for p in (first, second)] == [
        (1, "", ""),
        (1, "", ""),
    ]


def test_without_a_mail_server_the_mail_waits(tmp_path: Path, mail: MailServer) -> None:
    """The next call sends it, once."""
    path = config(tmp_path, mail)
    World(tmp_path / "data/city").fetch({"a": 1})

    bikecollect("--config", path, "status", "--alert", "--mail")
    with mail.up():
        bikecollect("--config", path, "status", "--alert", "--mail")
        bikecollect("--config", path, "status", "--alert", "--mail")

    assert len(mail.subjects()) == 1


def test_without_the_password_the_problem_is_printed_for_cron(
    tmp_path: Path, mail: MailServer
) -> None:
    """The mail waits, but nobody knows for how long."""
    path = config(tmp_path, mail)
    World(tmp_path / "data/city").fetch({"a": 1})
    secret = mail.folder / "password"
    secret.rename(secret.with_name("moved"))

    with mail.up():
        without = bikecollect("--config", path, "status", "--alert", "--mail")
        secret.with_name("moved").rename(secret)
        bikecollect("--config", path, "status", "--alert", "--mail")

    assert without.returncode == 1
    assert "; no run for " in without.stdout
    assert len(mail.subjects()) == 1


def test_mail_without_alert_is_a_usage_error(tmp_path: Path, mail: MailServer) -> None:
    """The option requires --alert."""
    process = bikecollect("--config", config(tmp_path, mail), "status", "--mail")

    assert process.returncode == 64
    assert "--mail requires --alert" in process.stderr


def test_what_fetch_reports_is_not_mailed_twice(folder: Path) -> None:
    """Failing runs are late, and `fetch` mails about them."""
    standing = _failing(folder, later=30)

    assert standing.health.late
    assert unattended([standing], {}, AWAKE) == {}


def test_lost_data_whose_incident_is_open_are_not_mailed_twice(folder: Path) -> None:
    """The mails of `fetch` remind of it once a day; other damage is mailed here."""
    standing = _failing(folder, later=30)
    lost = Incident("lost-1", "lost", Slot(1), Slot(1), told=1, text="all is gone")
    days = "2 days are lost; run: a\ncompact failed"
    archive = Incident("archive-1", "archive", Slot(1), Slot(1), told=1, text=days)
    damage = ["all is gone", "2 days are lost; run: b", "a.csv is missing"]
    health = replace(standing.health, incidents=[lost, archive], damage=damage)

    found = unattended([replace(standing, health=health)], {}, AWAKE)
    assert [*found.values()] == [{"damage": "a.csv is missing"}]


def test_a_machine_that_just_started_or_woke_up_is_not_late_yet(folder: Path) -> None:
    """Its first run has not had time to start: timers fire together after a sleep."""
    standing = _failing(folder, later=7_200)
    assert standing.health.last_run
    run = replace(standing.health.last_run, boot_id=boot_id(), awake=AWAKE - 599)
    woken = replace(standing, health=replace(standing.health, last_run=run))

    assert unattended([standing], {}, 599.0) == {}
    assert unattended([woken], {}, AWAKE) == {}
    assert unattended([woken], {}, AWAKE + 2) != {}
    assert unattended([standing], {}, AWAKE) == {
        "city": {"run": "no run for 2 h 0 min"}
    }


def test_another_problem_of_a_system_is_mailed_within_the_day(
    tmp_path: Path, mail: MailServer
) -> None:
    """A damaged file does not keep a stopped collector from being reported."""
    damage = {"damage": "a.csv is missing"}
    late = {"run": "no run for 20 min", **damage}

    _mail_hourly(tmp_path, mail, damage, damage, late)

    assert mail.subjects() == ["city: a.csv is missing", "city: no run for 20 min"]


def test_another_damage_of_a_system_is_mailed_within_the_day(
    tmp_path: Path, mail: MailServer
) -> None:
    """Not again when the first is repaired, or its remedy changes."""
    first, other = "a.csv is missing; run: a", "b.csv is damaged"
    texts = (first, f"{first}\n{other}", other, "b.csv is damaged; run: b")

    _mail_hourly(tmp_path, mail, *({"damage": text} for text in texts))

    assert mail.subjects() == [
        "city: a.csv is missing",
        "city: a.csv is missing, and 1 more",
    ]
    lines = mail.mails()[1].get_content().splitlines()
    assert lines[:2] == ["To do: correct this, by the next steps below", ""]
    assert lines[2:4] == [f"city: {first}", f"city: {other}"]


def test_the_status_of_one_system_repeats_no_mail_about_another(
    tmp_path: Path, mail: MailServer
) -> None:
    """Only the systems that were asked for can be found to be well."""
    path = config(tmp_path, mail)
    text = path.read_text(encoding="utf-8")
    other = '[systems.town]\nfeed = "youbike"\nurl = "http://127.0.0.1:9/"\n'
    other += 'timezone = "Asia/Taipei"\n'
    path.write_text(f"{text}\n{other}", encoding="utf-8")
    World(tmp_path / "data/city").fetch({"a": 1})

    with mail.up():
        for systems in ([], ["town"], []):
            bikecollect("--config", path, "status", *systems, "--alert", "--mail")

    (subject,) = mail.subjects()
    assert subject.startswith("city: no run for ")


def test_a_problem_that_comes_again_is_mailed_again(
    tmp_path: Path, mail: MailServer
) -> None:
    """It was over in between."""
    _mail_hourly(
        tmp_path, mail, *({"run": "no run"} if n % 2 else {} for n in (1, 2, 3))
    )

    assert mail.subjects() == ["city: no run"] * 2


def test_a_subject_has_no_remedies_and_no_long_problem(
    tmp_path: Path, mail: MailServer
) -> None:
    """It is read in a list; the body has all of it."""
    settings = load(str(config(tmp_path, mail)))
    clock = Time(1_795_276_800.0)
    long = f"days are missing: {'2026-11-21, ' * 20}; restore them"
    problems = {"a": {"damage": long}, "b": {"run": "no run for 20 min"}}
    with mail.up():
        times = Times(clock, clock, Stop())
        mail_problems(settings, problems, times, judged=problems)

    (subject,) = mail.subjects()
    assert subject.startswith("a and 1 more: days are missing: 2026-11-21, ")
    assert subject.endswith(" ...")
    assert len(subject) < 110
    assert long in mail.mails()[0].get_content().replace("=\n", "")


def test_a_subject_ends_before_a_place_and_the_next_steps_fit(
    tmp_path: Path, mail: MailServer
) -> None:
    """A lost day has nothing to do with the schedule."""
    what = "1 archived day (2026-11-27) is missing or damaged"
    text = f"{what} in /srv/a/data/folder/archive, and the CSV is gone; restore it"
    _mail_hourly(tmp_path, mail, {"damage": text}, {"damage": text, "run": "no run"})

    lost, late = mail.mails()
    assert lost["Subject"].endswith(f"city: {what}")
    steps = [m.get_content().partition("Next steps:")[2] for m in (lost, late)]
    assert ["verify city" in step for step in steps] == [True, False]
    assert ["schedule show" in step for step in steps] == [False, True]
    assert all(" doctor" in step for step in steps)


@pytest.mark.parametrize(
    ("later", "error", "count"),
    [
        (3_600, "2 days are lost; run: b", 0),
        (3_600, "2 days are lost\n3 files cannot be read", 1),
        (90_000, "2 days are lost", 1),
    ],
)
def test_an_incident_whose_text_was_mailed_opens_without_a_mail(
    tmp_path: Path, mail: MailServer, later: float, error: str, count: int
) -> None:
    """`compact` reports the damage that this command mailed before; a day is too long.

    Reminders follow as usual, and so do the other channels.
    """
    world = World(tmp_path / "data/city")
    world.fetch({"a": 1})
    (world.folder / ".bikecollect").touch()
    told = tmp_path / "told"
    tell = f'[tell]\ncommand = ["sh", "-c", "cat >> {told}; exit 3"]\n'
    path = config(tmp_path, mail)
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{tell}", encoding="utf-8")
    clock = Time(world.clock.now)
    times = Times(clock, clock, Stop())

    with mail.up():
        settings = load(str(path))
        lost = {"city": {"damage": "2 days are lost; run: a"}}
        mail_problems(settings, lost, times, judged=lost)
        before = mail.subjects()
        clock.now += later
        report_compact(settings, {"city": error}, times)
        opened = mail.subjects()
        clock.now += 1
        report_compact(settings, {"city": ""}, times)

    assert before == ["city: 2 days are lost"]
    assert len(opened) == 1 + count
    assert "resolved" in mail.subjects()[-1]
    assert told.read_text(encoding="utf-8").count(error.rpartition("\n")[2]) >= 1
    log = (tmp_path / "data/city/bikecollect.log").read_text(encoding="utf-8")
    assert "command failed: sh exited with 3" in log


def _mail_hourly(folder: Path, mail: MailServer, *found: dict[str, str]) -> None:
    """Mail the problems of the system city that are *found* hour by hour."""
    settings = load(str(config(folder, mail)))
    clock = Time(1_795_276_800.0)
    times = Times(clock, clock, Stop())
    with mail.up():
        for problems in found:
            assert mail_problems(settings, {"city": problems}, times, judged={"city"})
            clock.now += 3_600


def _failing(folder: Path, later: float) -> Standing:
    """Return the status *later* seconds after the feed of a system failed an hour."""
    world = World(folder)
    world.fetch({"a": 1})
    world.feed.answer = FeedUnavailable("no answer in 30 s")
    for _ in range(12):
        world.fetch(after=300)
    system = SystemFolder("city", world.folder, TAIPEI, 300)
    return survey(system, now=world.clock.now + later)
