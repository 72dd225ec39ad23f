"""Mails about several systems that wait for the mail server or for the morning."""

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alerting_world import World
from mailserver import MailServer

from bikecollect.alerts.delivery import Dispatcher
from bikecollect.alerts.mail.outbox import Outbox
from bikecollect.alerts.system_state import stored_incidents
from bikecollect.core.errors import StorageError
from bikecollect.wiring.alerting import is_of_another


@pytest.fixture
def mailserver(tmp_path: Path) -> MailServer:
    """Return a mail server that has not been started."""
    return MailServer.new(tmp_path / "mail")


def subjects_after(
    tmp_path: Path, mailserver: MailServer, *outages: str, last: str = ""
) -> list[str]:
    """Return the subjects that are sent once the mail server is up again.

    *outages* has the systems that are down in each slot before, *last* those in its
    first slot.
    """
    world = World(tmp_path / "data", "a", "b", mail=mailserver.settings())
    with world.served() as settings:
        for down in outages:
            world.slot(settings, down=down)
        with mailserver.up():
            world.slot(settings, down=last)
    return mailserver.subjects()


def test_one_system_is_well_again_while_the_mail_about_two_waits(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """The mail that says that the other one is down is sent all the same."""
    subjects = subjects_after(tmp_path, mailserver, "", "ab", "b", "b", last="b")

    assert subjects[:2] == [
        "a and 1 more: feed down since 00:10",
        "a: resolved: feed down 00:10 to 00:15, 1 slot lost",
    ]


def test_a_recovery_of_two_systems_replaces_the_waiting_mail_of_each(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """No mail says that a system is down after the one that says it is well."""
    subjects = subjects_after(tmp_path, mailserver, "", "b", "ab", "")

    assert subjects == [
        "a and 1 more: resolved: feed down 00:10 to 00:20, 3 slots lost in 2 systems"
    ]


def test_waiting_mails_of_several_systems_are_sent_in_their_order(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """Each system has its own outbox; the oldest mail of all is sent first."""
    subjects = subjects_after(tmp_path, mailserver, "", "b", "ab", last="ab")

    assert subjects == [
        "b: feed down since 00:10",
        "a: feed down since 00:15",
    ]


def test_mails_of_a_system_that_was_removed_are_sent(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """They may be about the others, too; those of other settings are not ours.

    Nor are those of systems that are not named in a call, which would be one more to
    report that the mail server is down.
    """
    both, one = (
        World(tmp_path / "data", *names, mail=mailserver.settings())
        for names in ("ab", "b")
    )
    with both.served() as settings:
        both.slot(settings)
        both.slot(settings, down="ab")
        both.clock.now -= 300
        both.slot(settings, names="b", down="b")
        both.slot(settings, names="b", down="b")
        kinds = [i.kind for i in stored_incidents(settings.system_folder("b"))]
    assert kinds == ["fetch"]
    [mail] = Outbox(tmp_path / "data" / "a" / "outbox").folder.iterdir()
    foreign = Outbox(tmp_path / "data" / "c" / "outbox")
    foreign.put("foreign", mail.read_bytes().replace(b"-Settings: ", b"-Settings: x"))
    one.clock = both.clock
    with one.served() as settings, mailserver.up():
        one.slot(settings, down="b")

    assert mailserver.subjects() == ["a and 1 more: feed down since 00:10"]
    assert foreign.waiting() == ["foreign"]


def test_an_error_of_the_mail_server_ends_whichever_system_was_first(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """A call for one system met the error; later calls for both clear it."""
    world = World(tmp_path / "data", "a", "b", mail=mailserver.settings())
    with world.served() as both:
        world.slot(both)
        alone = replace(both, systems={"b": both.systems["b"]})
        for down in ("b", "b", "b", "", ""):
            world.slot(alone, down=down)
        waiting = stored_incidents(both.system_folder("b"))
        with mailserver.up():
            for _ in range(30):
                world.slot(both)

    assert [i.kind for i in waiting if i.is_open] == ["mail"]
    assert not any(i.is_open for i in stored_incidents(both.system_folder("b")))
    assert "b: resolved: mails not sent 00:15 to 00:40" in mailserver.subjects()


def test_digests_of_separate_calls_are_different_mails(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """Mail servers drop a second mail with the same Message-ID."""
    mail = mailserver.settings(digest="daily")
    world = World(tmp_path / "data", "a", "b", mail=mail, tell={"mute": ["missed"]})
    with world.served() as both, mailserver.up():
        for skip in (0, 287):
            for name in world.names:
                alone = replace(both, systems={name: both.systems[name]})
                world.slot(alone, skip=skip if name == "a" else 0)

    shares = {"a 0.3 %", "b 0.3 %"}
    assert set(mailserver.subjects()) == {f"digest: 2026-11-22: {s}" for s in shares}
    assert len({mail["Message-ID"] for mail in mailserver.mails()}) == 2


def test_a_ledger_that_cannot_be_read_leaves_the_digest_of_the_others(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """The digest says so of that system."""
    mail = mailserver.settings(digest="daily")
    world = World(tmp_path / "data", "a", "b", mail=mail, tell={"mute": ["missed"]})
    with world.served(dated=True) as settings, mailserver.up():
        world.slot(settings)
        with closing(sqlite3.connect(tmp_path / "data/b/ledger.sqlite3")) as ledger:
            ledger.execute("PRAGMA user_version = 9999")
        world.slot(settings, skip=287)

    (text,) = (
        message.get_content()
        for message in mailserver.mails()
        if "digest" in message["Subject"]
    )
    assert "a\n  Collected  1 of 287" in text.replace("\r", "")
    assert "b\n  Unknown    " in text.replace("\r", "")


def test_a_digest_that_could_be_neither_kept_nor_sent_is_sent_later(
    tmp_path: Path, mailserver: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full at midnight, and the mail server was down."""

    def full(self: Outbox, name: str, _: bytes) -> None:
        raise StorageError(f"cannot keep {name} in {self.folder}")

    mail = mailserver.settings(digest="daily")
    world = World(tmp_path / "data", "a", mail=mail, tell={"mute": ["missed"]})
    with world.served() as settings:
        world.slot(settings)
        with monkeypatch.context() as disk:
            disk.setattr(Outbox, "put", full)
            world.slot(settings, skip=287, down="a")
        with mailserver.up():
            world.slot(settings)
            world.slot(settings)

    log = (tmp_path / "data/a/bikecollect.log").read_text(encoding="utf-8")
    assert log.count("sent from memory: no") == 1  # the mail that the feed is down
    digests = [text for text in mailserver.subjects() if text.startswith("digest")]
    assert digests == ["digest: 2026-11-22: a 0.3 %"]


def test_runs_between_two_digests_import_nothing_for_them(
    tmp_path: Path, mailserver: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the state of the first system has the day of the latest digest."""
    world = World(tmp_path / "data", "a", "b", mail=mailserver.settings(digest="daily"))
    asked: list[float] = []
    monkeypatch.setattr(Dispatcher, "digest", lambda _: asked.append(world.clock.now))
    with world.served() as settings:
        world.slot(settings)
        monkeypatch.undo()
        for _ in range(2):
            world.slot(settings)
        monkeypatch.setattr(Dispatcher, "digest", lambda _: asked.append(0.0))
        world.slot(settings)

    assert len(asked) == 1


def test_a_digest_has_the_whole_day_of_each_system(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """A system in Los Angeles ends its day 16 hours after one in Taipei.

    That with the lower coverage comes first.
    """
    zones = {"b": "America/Los_Angeles"}
    mail = mailserver.settings(digest="daily")
    mute = {"mute": ["fetch", "missed", "stale", "drift"]}
    world = World(tmp_path / "data", "a", "b", mail=mail, tell=mute, zones=zones)
    with world.served() as settings, mailserver.up():
        for hour in range(48):
            world.slot(settings, skip=11, down="b" if hour == 35 else "")

    days = [text.split(": ")[1] for text in mailserver.subjects()]
    assert days == ["2026-11-21", "2026-11-22"]
    text = mailserver.mails()[1].get_content()
    assert re.findall(r"Collected  (.*),", text) == ["23 of 288", "23 of 276"]
    assert "264 not-started, 1 http-503" in text


def test_a_disk_that_becomes_read_only_is_not_that_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner is told in the first slot; a reader's error concerns nobody."""
    world = World(tmp_path / "data", "a")
    with world.served() as settings:
        world.slot(settings)
    system = settings.system_folder("a")
    monkeypatch.setattr("os.access", lambda *_: False)

    assert not is_of_another(system, world.clock.now + 300)

    monkeypatch.setattr("os.geteuid", lambda: 54_321)
    assert is_of_another(system, world.clock.now + 300)


def test_a_fetch_of_one_system_by_hand_leaves_the_digest_of_all_to_cron(
    tmp_path: Path, mailserver: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A digest of it alone would be taken for that of the day (`2>file` or not)."""
    mail = mailserver.settings(digest="daily")
    world = World(tmp_path / "data", "a", "b", mail=mail, tell={"mute": ["missed"]})
    with world.served() as settings, mailserver.up():
        world.slot(settings)
        with monkeypatch.context() as terminal:
            terminal.setattr("sys.stdin", None)  # as for a script: `<&-`
            terminal.setattr("os.isatty", lambda stream: stream == 1)
            world.slot(settings, skip=287, names=["a"])
        by_hand = mailserver.subjects()
        world.slot(settings)

    assert by_hand == []
    assert mailserver.subjects() == ["digest: 2026-11-22: a 0.3 %, b 0.3 %"]
    assert "b\r\n  Collected" in mailserver.mails()[0].get_content()


def test_two_folders_with_a_system_of_the_same_name_have_separate_mails(
    tmp_path: Path, mailserver: MailServer
) -> None:
    """While their disks are away, the mails wait in one folder of the user."""
    worlds = [
        World(
            tmp_path / name, "a", mail=mailserver.settings(to=[f"{name}@example.org"])
        )
        for name in ("one", "two")
    ]
    for world in worlds:
        with world.served() as settings:
            world.slot(settings)
            (world.folder / "a").rename(world.folder / "away")
            (world.folder / "a").mkdir()
            world.slot(settings)
    for world in worlds:
        with world.served() as settings, mailserver.up():
            world.slot(settings)

    mails = mailserver.mails()
    first = [m["X-Got-By"] for m in mails if "disk unusable" in m["Subject"]]
    assert first == ["one@example.org", "two@example.org"]
    assert len({mail["Message-ID"] for mail in mails}) == len(mails)
