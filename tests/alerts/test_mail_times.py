"""When mails are sent, and in which time zone."""

from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from alerting_world import World
from mailserver import MailServer

from bikecollect.alerts.mail.quiet import QuietHours
from bikecollect.alerts.system_state import stored_incidents
from bikecollect.core.errors import SettingsError
from bikecollect.setup.loader import parse
from bikecollect.setup.tables.sections import Mail
from bikecollect.storage.data_folder import state_home
from bikecollect.wiring.alerting import report_settings

OSLO = ZoneInfo("Europe/Oslo")


@pytest.fixture
def mailserver(tmp_path: Path) -> MailServer:
    """Return a mail server that has not been started."""
    return MailServer.new(tmp_path / "mail")


def slots(world: World, ups: str) -> None:
    """Collect one slot per character of *ups*; a dot means that the feed is down."""
    with world.served() as settings:
        for up in ups:
            world.slot(settings, up=up != ".")


def test_mails_begin_after_the_set_number_of_lost_slots(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """Shorter trouble sends no mail, neither at its start nor at its end."""
    mail = mailserver.settings(after=3)
    world = World(tmp_path / "data", "a", mail=mail)
    with mailserver.up():
        slots(world, "+..++++.....++")

    assert mailserver.subjects() == [
        "a: feed down since 00:40",
        "a: feed down since 00:40, for 15 min",
        "a: resolved: feed down 00:40 to 01:05, 5 slots lost",
    ]
    opened, reminded, _ = [mail.get_content() for mail in mailserver.mails()]
    assert "Since       2026-11-22 00:40 (+08:00), 10 min ago" in opened
    assert "Since       2026-11-22 00:40 (+08:00), 15 min ago" in reminded


def test_missed_slots_are_counted_too(tmp_path: Path, mailserver: MailServer) -> None:
    """Two missed slots while the machine was off are below the limit, three are not."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings(after=3))
    with mailserver.up(), world.served() as settings:
        world.slot(settings)
        world.slot(settings, skip=2)
        world.slot(settings, skip=3)

    assert mailserver.subjects() == [
        "a: slots not collected 00:25 to 00:40, 3 slots lost"
    ]


def test_mails_of_the_quiet_hours_are_sent_after_them(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """An outage that ended in the night is one mail in the morning."""
    mail = mailserver.settings(quiet="23:30-00:30")
    world = World(tmp_path / "data", "a", mail=mail)
    with mailserver.up():
        slots(world, "+..++")
        night = mailserver.subjects()
        slots(world, "+")

    assert night == []
    assert mailserver.subjects() == [
        "a: resolved: feed down 00:10 to 00:20, 2 slots lost"
    ]


def test_mails_about_the_settings_are_sent_after_the_quiet_hours(
    tmp_path: Path, mailserver: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were corrected meanwhile; later runs find nothing wrong."""
    mail = mailserver.settings(quiet="00:00-01:00")
    settings = replace(parse({"mail": mail}), source=str(tmp_path / "b.toml"))
    begin = datetime(2026, 11, 22, 0, 2, tzinfo=ZoneInfo("Asia/Taipei")).timestamp()
    error = SettingsError("columnz is unknown")
    with mailserver.up():
        for slot, wrong in enumerate([error, error, *[None] * 12]):
            monkeypatch.setattr("time.time", partial(float, begin + slot * 300))
            report_settings(settings, wrong)

    (subject,) = mailserver.subjects()
    assert subject.startswith("settings: resolved: settings wrong 00:00 to ")
    assert not [path for path in state_home().rglob("*.json") if path.is_file()]


def test_a_mail_of_an_earlier_version_about_the_settings_is_sent(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """It waits in one folder for all settings files."""
    mail = mailserver.settings()
    settings = replace(parse({"mail": mail}), source=str(tmp_path / "b.toml"))
    report_settings(settings, SettingsError("columnz is unknown"))
    (waiting,) = state_home().rglob("*.eml")
    earlier = state_home() / "settings/outbox"
    earlier.mkdir(parents=True)
    waiting.rename(earlier / waiting.name)
    waiting.parent.rmdir()
    waiting.parent.parent.rmdir()
    with mailserver.up():
        report_settings(settings, None)

    (subject,) = mailserver.subjects()
    assert subject.startswith("settings: settings wrong since ")


def test_a_kind_that_is_muted_while_it_is_open_is_not_mailed_again(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """There are no reminders, and its incident is closed for `status`, too."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with mailserver.up(), world.served() as settings:
        for up in (True, False, False):
            world.slot(settings, up=up)
        mute = [*settings.tell.mute, "fetch"]
        muted = replace(settings, tell=replace(settings.tell, mute=mute))
        for _ in range(20):
            world.slot(muted, up=False)

    assert mailserver.subjects() == ["a: feed down since 00:10"]
    assert not any(i.is_open for i in stored_incidents(settings.system_folder("a")))


def test_an_incident_about_the_mail_server_ends_without_one(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """Nobody is reminded of mails that are no longer in the settings."""
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with world.served() as settings:
        for up in "+....+++":
            world.slot(settings, up=up != ".")
        system = settings.system_folder("a")
        before = [i.kind for i in stored_incidents(system) if i.is_open]
        world.slot(replace(settings, mail=Mail()))

    assert before == ["mail"]
    assert not any(incident.is_open for incident in stored_incidents(system))


def test_a_password_that_cannot_be_read_costs_no_slot(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """The mail of an outage waits; the incident about mails ends with the password."""
    secret = mailserver.folder / "password"
    secret.rename(secret.with_name("moved"))
    world = World(tmp_path / "data", "a", mail=mailserver.settings())
    with mailserver.up(), world.served() as settings:
        runs = [world.slot(settings, up=up != ".") for up in "+++.++"]
        system = settings.system_folder("a")
        before = [i for i in stored_incidents(system) if i.is_open]
        secret.with_name("moved").rename(secret)
        for _ in range(3):
            world.slot(replace(settings))

    assert [run.exit_code for (run,) in runs] == [0, 0, 0, 69, 0, 0]
    assert [i.kind for i in before] == ["mail"]
    assert "mail.password_file: cannot read" in before[0].text
    assert mailserver.subjects()[0].startswith("a: ")
    assert not any(incident.is_open for incident in stored_incidents(system))


def test_times_are_those_of_the_zone_in_the_settings(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """A system in Taipei is reported to Oslo in Oslo's time, next steps included."""
    mail = mailserver.settings(timezone="Europe/Oslo")
    world = World(tmp_path / "data", "a", mail=mail)
    with mailserver.up():
        slots(world, "+.")

    (text,) = [message.get_content() for message in mailserver.mails()]
    assert mailserver.subjects() == ["a: feed down since 17:10"]
    since = "Since       2026-11-21 17:10 (+01:00)\n"
    own = "            00:10 (+08:00) by the system's clock, as in `runs`\n"
    assert f"{since}{own}" in "\n".join([*text.splitlines(), ""])
    assert "runs show a 2026-11-21T17:10+01:00" in text


@pytest.mark.parametrize(
    ("text", "local_time", "is_quiet"),
    [
        ("23:00-07:00", "22:59", False),
        ("23:00-07:00", "23:00", True),
        ("23:00-07:00", "06:59", True),
        ("23:00-07:00", "07:00", False),
        ("12:00-13:30", "13:29", True),
        ("12:00-13:30", "00:00", False),
    ],
)
def test_the_quiet_hours_may_pass_midnight(
    text: str, local_time: str, *, is_quiet: bool
) -> None:
    """Their start is included, their end is not."""
    moment = datetime.fromisoformat(f"2026-11-22T{local_time}").replace(tzinfo=OSLO)
    hours = QuietHours.parse(text)

    assert hours is not None
    assert hours.includes(moment.timestamp(), OSLO) is is_quiet


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("quiet", "23-7", "two times of the day"),
        ("quiet", "25:00-07:00", "two times of the day"),
        ("quiet", "07:60-08:00", "two times of the day"),
        ("quiet", "07:00-07:00", "two times of the day"),
        ("after", 0, "mail.after must be 1 or more"),
        ("timezone", "Europe/Olso", 'unknown time zone "Europe/Olso"'),
    ],
)
def test_a_wrong_value_is_named(key: str, value: object, message: str) -> None:
    """Before any run, with a valid example."""
    with pytest.raises(SettingsError, match=message):
        parse({"mail": {key: value}})
