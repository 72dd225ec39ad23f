"""Mail: a real mail server process with TLS and a login, and its failures."""

import fcntl
import hmac
import logging
import os
import socket
import threading
import time
import tracemalloc
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from mailserver import BOSS, ME, MailServer
from ports import free_port
from syncs import noted_syncs

from bikecollect.alerts.mail import envelope, headers, smtp
from bikecollect.alerts.mail.envelope import Audience
from bikecollect.alerts.mail.mailer import Mailer
from bikecollect.alerts.mail.outbox import Outbox
from bikecollect.alerts.mail.smtp import Server
from bikecollect.alerts.messages import Letter
from bikecollect.core.slots import DAY

NOW = 1_795_312_800.0


@pytest.fixture
def mailserver(tmp_path: Path) -> MailServer:
    """Return a mail server that has not been started."""
    return MailServer.new(tmp_path / "mail")


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    """Return an empty outbox."""
    return Outbox(tmp_path / "outbox")


def letter(name: str = "a.city.fetch-1.1", incident: str = ".city.fetch-1.") -> Letter:
    """Return a mail about one incident."""
    return Letter(name, "[bikecollect] city: trouble", f"Body of {name}\n", (incident,))


def post(
    server: Server,
    *,
    to: Sequence[str] = (ME,),
    escalate_to: Sequence[str] = (),
    clock: Callable[[], float] = time.time,
    seconds: float = 5.0,
    fingerprint: str = "",
) -> Mailer:
    """Return a mailer that sends through *server*."""
    audience = Audience("bikes@example.org", to, escalate_to, fingerprint)
    return Mailer(server, audience, clock, seconds)


def drain(mailer: Mailer, outbox: Outbox) -> str | None:
    """Send the mails in *outbox*; return the error, or None."""
    outcome = mailer.drain([outbox])
    return None if outcome is None else outcome.error


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_is_sent_over_verified_tls(
    mailserver: MailServer, outbox: Outbox, security: str
) -> None:
    """It leaves the outbox only after the server has accepted it."""
    sender = post(mailserver.server(security=security))
    assert sender.spool(outbox, letter())
    assert outbox.waiting() == ["a.city.fetch-1.1"]
    with mailserver.up(*(["tls"] if security == "tls" else [])):
        assert drain(sender, outbox) == ""

    assert outbox.waiting() == []
    (mail,) = mailserver.mails()
    assert mail["To"] == ME
    assert mail["Message-ID"].startswith("<a.city.fetch-1.1@")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail[headers.RECIPIENTS] is None
    assert mail.get_content().strip() == "Body of a.city.fetch-1.1"


def test_a_mail_server_that_is_down_loses_no_mail(
    mailserver: MailServer, outbox: Outbox
) -> None:
    """The mails wait in their order until it is up (fault 99)."""
    sender = post(mailserver.server())
    sender.spool(outbox, letter("a", ".city.fetch-1."))
    sender.spool(outbox, letter("b", ".city.disk-1."))
    place = f"localhost:{mailserver.port}"
    assert drain(sender, outbox) == f"cannot connect to {place}: connection refused"
    assert outbox.waiting() == ["a", "b"]
    with mailserver.up():
        assert drain(sender, outbox) == ""
    assert [m["Message-ID"][:3] for m in mailserver.mails()] == ["<a@", "<b@"]


def test_a_mail_is_durable_before_it_waits(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power loss leaves a whole mail, or none."""
    outbox.put("a", b"first")  # the folder has its own sync
    steps = noted_syncs(monkeypatch, "rename")

    outbox.put("b", b"second")

    assert steps == ["sync", "rename", "sync folder"]


def test_a_newer_mail_replaces_those_that_wait(
    mailserver: MailServer, outbox: Outbox
) -> None:
    """It contains their information; three mails about one outage are too many."""
    sender = post(mailserver.server())
    for name in ("1.city.fetch-1.1", "2.city.disk-1.1", "3.city.fetch-1.2"):
        kind = name.split(".")[2]
        sender.spool(outbox, letter(name, f".city.{kind}."))
    assert outbox.waiting() == ["2.city.disk-1.1", "3.city.fetch-1.2"]


def test_a_certificate_of_somebody_else_is_not_trusted(
    mailserver: MailServer, outbox: Outbox, tmp_path: Path
) -> None:
    """Neither mail nor password is sent without a valid certificate (fault 101)."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    for security, words in (("starttls", []), ("tls", ["tls"])):
        wrong = mailserver.server(ca_bundle=str(other), security=security)
        with mailserver.up(*words):
            sender = post(wrong)
            sender.spool(outbox, letter())
            assert "cannot be verified: unable to get" in (drain(sender, outbox) or "")
    assert outbox.waiting() == ["a.city.fetch-1.1"]
    assert mailserver.mails() == []


def test_certificates_are_those_of_a_file_or_a_folder(
    mailserver: MailServer, tmp_path: Path
) -> None:
    """As for feeds; one that cannot be used is named, and not in Python's words."""
    empty, gone, text = (tmp_path / name for name in ("empty", "gone", "text"))
    empty.mkdir()
    text.write_text("no certificate", encoding="utf-8")

    with mailserver.up():
        found = {
            path: smtp.check(mailserver.server(ca_bundle=str(path)))
            for path in (empty, gone, text)
        }
    assert "cannot be verified: unable to get local issuer" in found[empty]
    assert found[gone] == f"ca_bundle {gone}: No such file or directory"
    assert found[text] == f"ca_bundle {text}: no valid certificate in it"


@pytest.mark.parametrize(
    ("security", "words", "hint"),
    [("tls", [], "starttls"), ("starttls", ["tls"], "tls")],
)
def test_the_other_security_is_suggested(
    mailserver: MailServer,
    monkeypatch: pytest.MonkeyPatch,
    security: str,
    words: list[str],
    hint: str,
) -> None:
    """The usual mistake: port 465 with starttls, or port 587 with tls."""
    monkeypatch.setattr(smtp, "IDLE", 0.5)
    with mailserver.up(*words):
        error = smtp.check(mailserver.server(security=security))
    assert f"localhost:{mailserver.port}" in error
    assert error.endswith(f'; does this port require security = "{hint}"?')


def test_a_host_name_that_none_can_be_is_named() -> None:
    """Python has an error of text for it, not one of a connection."""
    error = smtp.check(Server("smtp..example.org", 25, "none"))
    assert error == "cannot connect to smtp..example.org:25: not a valid host name"


def test_starttls_that_is_not_offered_sends_nothing(outbox: Outbox) -> None:
    """A stripped STARTTLS must not lead to a login in clear text (fault 101)."""
    received: list[bytes] = []

    def plain(peer: socket.socket) -> None:
        peer.sendall(b"220 here\r\n")
        while data := peer.recv(1000):
            received.append(data)
            peer.sendall(b"250-here\r\n250 AUTH PLAIN LOGIN\r\n")

    with listening(plain) as port:
        sender = post(Server("127.0.0.1", port, "starttls", "me", "secret-password"))
        sender.spool(outbox, letter())
        assert "STARTTLS" in (drain(sender, outbox) or "")
    assert b"AUTH" not in b"".join(received)
    assert outbox.waiting()


def test_a_wrong_password_is_reported_without_the_password(
    mailserver: MailServer, outbox: Outbox
) -> None:
    """The server's answer is kept, the password is not (fault 108)."""
    sender = post(mailserver.server(password="wrong-canary"))
    sender.spool(outbox, letter())
    with mailserver.up():
        error = drain(sender, outbox) or ""
    assert "535" in error
    assert "canary" not in error
    assert outbox.waiting()


def test_a_refused_recipient_is_tried_again_alone(
    mailserver: MailServer, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    """The other recipients do not get the mail twice (fault 102)."""
    sender = post(mailserver.server(), to=[ME, BOSS])
    sender.spool(outbox, letter())
    with mailserver.up(f"later={BOSS}"), caplog.at_level(logging.INFO):
        outcome = sender.drain([outbox])
    assert outcome is not None
    assert outcome.error == ""
    assert "451" in outcome.put_off[BOSS]
    assert "451" in caplog.text
    assert headers.recipients(outbox.read("a.city.fetch-1.1")) == (BOSS,)
    with mailserver.up():
        assert drain(sender, outbox) == ""
    assert [m["X-Got-By"] for m in mailserver.mails()] == [ME, BOSS]
    assert outbox.waiting() == []


def test_an_escalation_is_sent_to_escalate_to(
    mailserver: MailServer, outbox: Outbox
) -> None:
    """Its recipients get mails about long trouble only."""
    sender = post(mailserver.server(), escalate_to=[BOSS])
    sender.spool(outbox, Letter("a", "s", "b", (".a.",)))
    sender.spool(outbox, Letter("b", "s", "b", (".b.",), escalated=True))
    with mailserver.up():
        drain(sender, outbox)
    assert [m["X-Got-By"] for m in mailserver.mails()] == [ME, f"{ME}, {BOSS}"]


def hang(peer: socket.socket) -> None:
    """Accept the connection and send nothing."""
    peer.recv(1)


def drip(peer: socket.socket) -> None:
    """Send a banner that never ends, one byte at a time."""
    for _ in range(200):
        peer.sendall(b"2")
        time.sleep(0.05)


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve one connection with *serve*; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def labour() -> None:
            try:
                peer, _ = server.accept()
                with peer:
                    serve(peer)
            except OSError:
                return

        thread = threading.Thread(target=labour, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])


@pytest.mark.parametrize("misdeed", [hang, drip])
def test_a_mail_server_that_hangs_or_drips_times_out(
    outbox: Outbox, misdeed: Callable[[socket.socket], None]
) -> None:
    """The wait is limited for any behaviour of the server (fault 100)."""
    with listening(misdeed) as port:
        sender = post(Server("127.0.0.1", port, "none"), seconds=0.5)
        sender.spool(outbox, letter())
        assert "timed out after" in (drain(sender, outbox) or "")
    assert outbox.waiting()


GREETING = b"220 hello\r\n"


@pytest.mark.parametrize(
    ("polite", "line"),
    [
        (b"", b"220-" + b"x" * 70 + b"\r\n"),
        (b"", b"220-\r\n"),
        (b"", b"220-" + b"x" * 8_000 + b"\r\n"),
        (b"", b"x" * 70_000),
        (GREETING, b"250-X-FEATURE " + b"y" * 70 + b"\r\n"),
        (GREETING + b"250 hello\r\n", b"250-sender " + b"y" * 70 + b"\r\n"),
    ],
    ids=["greeting", "empty lines", "long lines", "no line end", "EHLO", "MAIL FROM"],
)
def test_a_reply_without_end_is_cut_off(
    outbox: Outbox, polite: bytes, line: bytes
) -> None:
    """Soon, with little memory, and the mail waits (735 MiB in twenty seconds)."""

    def flood(peer: socket.socket) -> None:
        peer.sendall(polite)
        while True:
            peer.sendall(line * (100_000 // len(line) + 1))

    with listening(flood) as port:
        sender = post(Server("127.0.0.1", port, "none"), seconds=20)
        sender.spool(outbox, letter())
        tracemalloc.start()
        error = drain(sender, outbox) or ""
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert "a reply of more than" in error or "Line too long" in error
    assert peak < 5_000_000
    assert outbox.waiting()


def test_a_week_old_mail_is_dropped(outbox: Outbox) -> None:
    """The ledger still has what it reports (fault 99)."""
    server = Server("127.0.0.1", free_port(), "none")
    post(server).spool(outbox, letter())
    later = post(server, clock=lambda: time.time() + 8 * DAY)
    assert "refused" in (drain(later, outbox) or "").lower()
    assert outbox.waiting() == []


def test_a_clock_that_jumps_ahead_drops_no_mail_untried(
    mailserver: MailServer, outbox: Outbox
) -> None:
    """A machine without a clock of its own was off for weeks: its time is set late."""
    post(mailserver.server()).spool(outbox, letter())
    later = post(mailserver.server(), clock=lambda: time.time() + 30 * DAY)
    with mailserver.up():
        assert drain(later, outbox) == ""

    assert len(mailserver.mails()) == 1


def test_many_waiting_mails_are_sent_as_one(
    mailserver: MailServer, outbox: Outbox
) -> None:
    """More than a few waiting mails are combined."""
    sender = post(mailserver.server())
    for number in range(30):
        sender.spool(outbox, letter(f"{number:02}.c.k-{number}.1", f".k-{number}."))
    with mailserver.up():
        assert drain(sender, outbox) == ""
    (mail,) = mailserver.mails()
    assert mail["Subject"] == "[bikecollect] 30 mails that waited for the mail server"
    assert "Body of 00.c.k-0.1" in mail.get_content()
    assert "Body of 29.c.k-29.1" in mail.get_content()
    assert outbox.waiting() == []


def test_a_newer_mail_does_not_replace_combined_ones(
    mailserver: MailServer, outbox: Outbox
) -> None:
    """They have the content of other incidents too."""
    sender = post(mailserver.server())
    for number in range(30):
        sender.spool(outbox, letter(f"{number:02}.c.k-{number}.1", f".k-{number}."))
    drain(sender, outbox)
    sender.spool(outbox, letter("30.c.k-29.2", ".k-29."))
    with mailserver.up():
        assert drain(sender, outbox) == ""

    combined, last = (mail.get_content() for mail in mailserver.mails())
    assert "Body of 00.c.k-0.1" in combined
    assert last.strip() == "Body of 30.c.k-29.2"


def test_two_processes_do_not_send_the_same_mail(
    mailserver: MailServer, outbox: Outbox
) -> None:
    """The second process skips a mail that the first is sending."""
    sender = post(mailserver.server())
    sender.spool(outbox, letter())
    with mailserver.up(), Outbox(outbox.folder).held() as mine:
        assert mine
        assert drain(sender, outbox) is None
    assert mailserver.mails() == []


def test_without_a_disk_the_mail_is_sent_from_memory(
    mailserver: MailServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A full or missing disk must be reported, too; once, not on stderr as well."""
    blocked = tmp_path / "file"
    blocked.touch()
    with mailserver.up():
        assert post(mailserver.server()).spool(Outbox(blocked / "outbox"), letter())
    assert len(mailserver.mails()) == 1
    assert not post(mailserver.server()).spool(Outbox(blocked / "outbox"), letter())
    warned = [(r.getMessage()[-3:], vars(r)["is_reported"]) for r in caplog.records]
    assert warned == [("yes", True), (" no", False)]


@pytest.mark.parametrize(
    "text", ["a\nBcc: x@example.org", "lone \udc80 surrogate", "nul \0 here"]
)
def test_foreign_text_does_not_break_a_mail(
    mailserver: MailServer, outbox: Outbox, text: str
) -> None:
    """It appears only in the body, escaped where necessary (fault 103)."""
    from bikecollect.alerts.messages import (  # what the body goes through
        bounded,
    )

    sender = post(mailserver.server())
    sender.spool(outbox, Letter("a", "[bikecollect] s", bounded(text), (".a.",)))
    with mailserver.up():
        assert drain(sender, outbox) == ""
    (mail,) = mailserver.mails()
    assert mail["Bcc"] is None
    assert mail["X-Got-By"] == ME


def test_a_recipient_rejected_for_good_is_not_tried_again(
    mailserver: MailServer, outbox: Outbox
) -> None:
    """A 5xx is permanent for that mail; the outcome names the address (RFC 5321)."""
    sender = post(mailserver.server(), to=[ME, BOSS])
    sender.spool(outbox, letter())
    with mailserver.up(f"refuse={BOSS}"):
        outcome = sender.drain([outbox])

    assert outcome is not None
    assert outcome.error == ""
    assert outcome.rejected == {BOSS: "550 no such user here"}
    assert outcome.accepted == {ME}
    assert outbox.waiting() == []

    sender.spool(outbox, letter())
    with mailserver.up(f"later={BOSS}"):
        sender.drain([outbox])
    with mailserver.up(f"refuse={BOSS}"):
        outcome = sender.drain([outbox])
    assert outcome is not None
    assert (outcome.error, outcome.rejected) == ("", {BOSS: "550 no such user here"})
    assert outbox.waiting() == []


def test_a_mail_that_everybody_rejects_waits_an_hour(
    mailserver: MailServer, outbox: Outbox
) -> None:
    """It is kept, and tried once an hour instead of in each slot."""
    sender = post(mailserver.server(), to=[BOSS])
    sender.spool(outbox, letter())
    with mailserver.up(f"refuse={BOSS}"):
        assert "550" in (drain(sender, outbox) or "")
        assert drain(sender, outbox) is None
        later = post(mailserver.server(), to=[BOSS], clock=lambda: time.time() + 3601)
        assert "550" in (drain(later, outbox) or "")
    assert outbox.waiting() == ["a.city.fetch-1.1"]


def test_a_clock_that_was_ahead_pauses_no_mail(
    mailserver: MailServer, outbox: Outbox
) -> None:
    """It was rejected while the clock showed next year: not for a year."""
    later = time.time() + 365 * DAY
    ahead = post(mailserver.server(), clock=lambda: later)
    ahead.spool(outbox, letter())
    os.utime(outbox.folder / "a.city.fetch-1.1.eml", (later, later))
    with mailserver.up(f"refuse={ME}"):
        assert "550" in (drain(ahead, outbox) or "")
    with mailserver.up():
        assert drain(post(mailserver.server()), outbox) == ""
    assert outbox.waiting() == []


def test_corrected_settings_take_effect_on_waiting_mails(
    mailserver: MailServer, outbox: Outbox
) -> None:
    """A new recipient and sender take effect immediately; no mail is sent twice."""
    old = post(mailserver.server(), to=[ME, BOSS], fingerprint="old")
    old.spool(outbox, letter())
    with mailserver.up(f"later={BOSS}"):
        drain(old, outbox)
    new = Mailer(
        mailserver.server(),
        Audience("new@example.org", [ME, "you@example.org"], fingerprint="new"),
    )
    with mailserver.up():
        assert drain(new, outbox) == ""

    first, second = mailserver.mails()
    assert first["X-Got-By"] == ME
    assert second["X-Got-By"] == "you@example.org"
    assert second["From"] == "new@example.org"
    assert second["To"] == f"{ME}, you@example.org"
    assert second[headers.SETTINGS] is None


def test_a_mail_is_readdressed_once_for_new_settings() -> None:
    """It is tried at once then; a pause that follows is kept."""
    old = Audience("bikes@example.org", [ME], fingerprint="old")
    new = Audience("new@example.org", [ME], fingerprint="new")
    mail = envelope.mail(letter(), old, host="h", now=NOW)

    readdressed = envelope.readdressed(mail, new)
    paused = envelope.paused(readdressed, NOW + 600)

    assert headers.read(readdressed)["From"] == "new@example.org"
    assert envelope.readdressed(paused, new) == paused


def test_a_paused_mail_is_tried_at_once_with_new_settings(
    mailserver: MailServer, outbox: Outbox
) -> None:
    """A correction ends the pause of an hour."""
    old = post(mailserver.server(), to=[BOSS], fingerprint="old")
    old.spool(outbox, letter())
    with mailserver.up(f"refuse={BOSS}"):
        drain(old, outbox)
    assert old.has_undelivered([outbox])
    with mailserver.up():
        assert drain(post(mailserver.server(), fingerprint="new"), outbox) == ""
    assert [m["X-Got-By"] for m in mailserver.mails()] == [ME]


def test_a_partly_delivered_mail_keeps_its_age(
    mailserver: MailServer, outbox: Outbox
) -> None:
    """It is tried for seven days from its creation, not for ever."""
    sender = post(mailserver.server(), to=[ME, BOSS], clock=lambda: NOW + 1)
    sender.spool(outbox, letter())
    path = outbox.folder / "a.city.fetch-1.1.eml"
    os.utime(path, (NOW, NOW))
    with mailserver.up(f"later={BOSS}"):
        drain(sender, outbox)
    assert path.stat().st_mtime == NOW
    assert not sender.has_undelivered([outbox])


@pytest.mark.parametrize("password", ["pässwörd€", "pa\u0308sswo\u0308rd€"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_a_password_with_umlauts_logs_in(mechanism: str, password: str) -> None:
    """UTF-8, composed by SASLprep (RFC 4616, RFC 4013); smtplib knows ASCII only."""
    received: list[bytes] = []

    def serve(peer: socket.socket) -> None:
        peer.sendall(b"220 here\r\n")
        lines = peer.makefile("rb")
        answers = [f"250-here\r\n250 AUTH {mechanism}\r\n".encode()]
        answers += [b"334 PGNoYWxsZW5nZT4=\r\n"] * (mechanism != "PLAIN")
        for answer in [*answers, b"235 ok\r\n"]:
            received.append(lines.readline())
            peer.sendall(answer)

    with listening(serve) as port:
        server = Server("127.0.0.1", port, "none", "me", password)
        assert smtp.check(server, seconds=5) == ""

    digest = hmac.new("pässwörd€".encode(), b"<challenge>", "md5").hexdigest()
    sent = {
        "PLAIN": b64encode("\0me\0pässwörd€".encode()),
        "LOGIN": b64encode("pässwörd€".encode()),
        "CRAM-MD5": b64encode(f"me {digest}".encode()),
    }
    assert received[-1].split()[-1] == sent[mechanism]


def test_machines_of_the_same_name_have_different_message_ids(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Such as "raspberrypi": a mail client hides the second mail with the same ID."""
    hosts = []
    for number in range(2):
        identity = tmp_path / f"machine-{number}"
        identity.write_text(f"{number}\n", encoding="utf-8")
        monkeypatch.setattr("bikecollect.alerts.mail.outbox.MACHINE", identity)
        hosts.append(outbox.host())

    assert hosts[0] != hosts[1]


def test_a_half_written_mail_of_a_killed_run_is_removed(
    mailserver: MailServer, outbox: Outbox
) -> None:
    """A file that another process is writing at the moment is kept."""
    sender = post(mailserver.server())
    sender.spool(outbox, letter())
    dead, alive = outbox.folder / "dead.1.tmp", outbox.folder / "alive.2.tmp"
    dead.write_bytes(b"From: bik")
    with mailserver.up(), alive.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert drain(sender, outbox) == ""
    assert [path.name for path in outbox.folder.iterdir()] == ["alive.2.tmp"]
