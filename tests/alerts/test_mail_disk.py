"""Waiting mails on a disk that is full, read-only or damaged."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from mailserver import BOSS, ME, MailServer
from small_disk import fill, mounted, remount
from syncs import noted_syncs

from bikecollect.alerts.mail import envelope, headers
from bikecollect.alerts.mail.envelope import Audience
from bikecollect.alerts.mail.mailer import MANY, Mailer
from bikecollect.alerts.mail.outbox import Outbox
from bikecollect.alerts.mail.smtp import Server
from bikecollect.alerts.messages import Letter
from bikecollect.storage.files.entries import may_have_entries


@pytest.fixture
def mailserver(tmp_path: Path) -> MailServer:
    """Return a mail server that has not been started."""
    return MailServer.new(tmp_path / "mail")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a small disk of its own; skip the test where it cannot be mounted."""
    with mounted(tmp_path / "disk") as place:
        yield place


def letter(name: str) -> Letter:
    """Return a mail about one incident."""
    return Letter(name, f"[bikecollect] {name}", f"Body of {name}\n", (f".{name}.",))


def test_a_mail_that_cannot_be_read_does_not_stop_the_others(
    mailserver: MailServer, tmp_path: Path
) -> None:
    """It may be root's, on a bad sector, or damaged; the outcome names it."""
    outbox = Outbox(tmp_path / "outbox")
    audience = Audience("bikes@example.org", [ME], fingerprint="ours")
    mailer = Mailer(mailserver.server(), audience)
    for name in "abcdefgh":
        mailer.spool(outbox, letter(name))
    (outbox.folder / "a.eml").unlink()
    (outbox.folder / "a.eml").mkdir()
    for name in ("i.eml", "j.1.tmp"):
        os.mkfifo(outbox.folder / name)
    outbox.put("d", outbox.read("d").replace(b"From: bikes@example.org", b"From: <"))
    outbox.put("e", outbox.read("e").replace(b" +0000", b" +" + b"9" * 20))
    outbox.put("f", outbox.read("f").replace(b"-Recipients", b"-Recipient3"))
    outbox.put("g", bytes(512) + outbox.read("g")[512:])
    outbox.put("h", outbox.read("h").replace(b"From: ", b"Fron: "))
    with mailserver.up():
        first, second = mailer.drain([outbox]), mailer.drain([outbox])

    assert mailserver.subjects() == ["b", "c"]
    assert outbox.waiting() == ["a", "d", "e", "f", "g", "h", "i"]
    for outcome in (first, second):
        assert outcome is not None
        assert "cannot read a mail in" in outcome.error
    (outbox.folder / "a.eml").rmdir()
    damaged = mailer.drain([outbox])
    assert damaged is not None
    assert damaged.error.endswith(f" remove it: rm {outbox.folder}/d.eml")


@pytest.mark.parametrize(
    ("call", "number"), [("scandir", errno.EIO), ("flock", errno.ENOLCK)]
)
def test_mails_in_a_folder_that_cannot_be_used_are_not_silent(
    tmp_path: Path, call: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else they wait for ever, and nobody knows: it is not "no mails"."""
    outbox = Outbox(tmp_path / "outbox")
    audience = Audience("bikes@example.org", [ME])
    mailer = Mailer(Server("localhost", 9), audience)
    mailer.spool(outbox, letter("a"))

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl if call == "flock" else os, call, fail)
    monkeypatch.setattr(os, "listdir", fail if call == "scandir" else os.listdir)
    outcome = mailer.drain([outbox])

    assert outcome is not None
    assert os.strerror(number) in outcome.error
    assert call == "flock" or may_have_entries(outbox.folder)


def test_corrected_settings_take_effect_on_a_full_disk(
    mailserver: MailServer, disk: Path
) -> None:
    """There is no room for the corrected mails, nor for a combined one."""
    outbox = Outbox(disk / "outbox")
    old = Mailer(mailserver.server(), Audience("bikes@example.org", ["typo@example"]))
    for number in range(MANY):
        old.spool(outbox, letter(f"{number:02}"))
    fill(disk)
    audience = Audience("bikes@example.org", [ME, BOSS], fingerprint="new")
    with mailserver.up():
        outcome = Mailer(mailserver.server(), audience).drain([outbox])

    assert outcome is not None
    assert outcome.error == ""
    assert {mail["X-Got-By"] for mail in mailserver.mails()} == {f"{ME}, {BOSS}"}
    assert outbox.waiting() == []


def test_on_a_full_disk_nobody_gets_a_mail_again_because_of_another(
    mailserver: MailServer, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who still has to get it is written in place, into the first block of the mail.

    A kill meanwhile leaves either mail, never a mixture: the rest stays as it is.
    """
    outbox = Outbox(disk / "outbox")
    audience = Audience("bikes@example.org", [ME, BOSS], fingerprint="ours")
    mailer = Mailer(mailserver.server(), audience)
    mailer.spool(outbox, replace(letter("a"), body="Body\n" * 2000))
    before = outbox.read("a")
    fill(disk)
    steps = noted_syncs(monkeypatch, "rename")
    outbox.replace("a", envelope.paused(before, time.time() + 60))
    assert steps == ["sync"]
    assert envelope.is_paused(outbox.read("a"), time.time())
    outbox.replace("a", before)
    with mailserver.up(f"later={BOSS}"):
        mailer.drain([outbox])
        mailer.drain([outbox])
    assert [mail["X-Got-By"] for mail in mailserver.mails()] == [ME]
    assert headers.recipients(outbox.read("a")) == (BOSS,)
    assert [path.name for path in outbox.folder.iterdir()] == ["a.eml"]
    assert outbox.read("a")[4096:] == before[4096:]


def test_a_mail_that_cannot_be_removed_is_sent_once_an_hour(
    mailserver: MailServer, disk: Path
) -> None:
    """The disk became read-only while it waited: else it is sent in each slot."""
    outbox = Outbox(disk / "outbox")
    audience = Audience("bikes@example.org", [ME])
    Mailer(mailserver.server(), audience).spool(outbox, letter("a"))
    remount(disk, "ro")
    hour = time.time() // 3600 * 3600
    with mailserver.up():
        for slot in range(24):
            mailer = Mailer(
                mailserver.server(),
                audience,
                partial(float, hour + slot * 300 + 7),
                interval=300,
            )
            mailer.drain([outbox])
    assert mailserver.subjects() == ["a", "a"]
