"""Mail servers that reply in unusual ways, and what becomes of the mails."""

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from alerting_world import World
from mailserver import ME, MailServer

from bikecollect.alerts.mail import headers, smtp
from bikecollect.alerts.mail.envelope import Audience
from bikecollect.alerts.mail.mailer import Mailer, MailOutcome
from bikecollect.alerts.mail.outbox import Outbox
from bikecollect.alerts.mail.smtp import Server
from bikecollect.alerts.mail.smtp_dialogue import error_text
from bikecollect.alerts.messages import Letter

YOU, HIM = "you@example.org", "jürgen@example.org"
DOT = "."
"""The end of a mail, as a command."""


class Post:
    """A mail server whose replies are scripted; *bodies* are the mails it received.

    *replies* maps the begin of a command to a reply; None disconnects, "" hangs. That
    to the end of a mail is only for those whose body *is_bad*. A connection takes at
    *most* so many mails.
    """

    def __init__(self, replies: Mapping[str, str | None]) -> None:
        self.replies = dict(replies)
        self.bodies: list[bytes] = []
        self.commands: list[str] = []
        self.seconds = 0.0
        self.is_bad: Callable[[bytes], bool] = bool
        self.most = 99

    def serve(self, peer: socket.socket) -> None:
        """Serve one connection."""
        lines = peer.makefile("rb")
        peer.sendall(b"220 here\r\n")
        end = len(self.bodies) + self.most
        while line := lines.readline():
            command = line.decode().strip()
            self.commands.append(command)
            is_over = command.upper().startswith("MAIL") and len(self.bodies) >= end
            usual = "421 enough mails" if is_over else "250 ok"
            reply = self._reply(command, usual)
            if command.upper() == "DATA" and reply == "250 ok":
                peer.sendall(b"354 go on\r\n")
                rows = iter(lines.readline, b".\r\n")
                self.bodies.append(b"".join(rows))
                time.sleep(self.seconds)
                is_bad = self.is_bad(self.bodies[-1])
                reply = self._reply(DOT, "250 taken") if is_bad else "250 taken"
            if reply is None:
                peer.shutdown(socket.SHUT_RDWR)
                return
            peer.sendall(f"{reply}\r\n".encode() if reply else b"")
            if reply.startswith("421"):
                peer.shutdown(socket.SHUT_RDWR)
                return

    def _reply(self, command: str, usual: str) -> str | None:
        found = (r for c, r in self.replies.items() if command.upper().startswith(c))
        return next(found, usual)


@contextmanager
def posting(replies: Mapping[str, str | None]) -> Iterator[tuple[Post, int]]:
    """Serve mail on loopback with the scripted *replies*; yield the server's port."""
    post = Post(replies)

    def serve(peer: socket.socket) -> None:
        with peer, suppress(OSError):
            post.serve(peer)

    def listen() -> None:
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                threading.Thread(target=serve, args=(peer,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, daemon=True).start()
        yield post, int(listener.getsockname()[1])
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    """Return an outbox with one mail to two recipients."""
    box = Outbox(tmp_path / "outbox")
    mailer(0).spool(box, Letter("a", "[bikecollect] s", "b", (".a.",)))
    return box


def mailer(
    port: int,
    *,
    to: Sequence[str] = (ME, YOU),
    clock: Callable[[], float] = time.time,
    seconds: float = 5.0,
) -> Mailer:
    """Return a mailer to the server at *port*."""
    audience = Audience("bikes@example.org", to)
    return Mailer(Server("127.0.0.1", port, "none"), audience, clock, seconds)


@pytest.mark.parametrize("reply", ["421 too many recipients", None])
def test_a_server_that_leaves_at_a_recipient_gets_the_mail_for_the_others(
    outbox: Outbox, reply: str | None
) -> None:
    """It has received nothing, though it accepted the first one (fault 102).

    The mails of the one recipient wait; they do not stop the others for a week.
    """
    mailer(0).spool(outbox, Letter("b", "[bikecollect] t", "b", (".b.",)))
    with posting({f"RCPT TO:<{YOU.upper()}": reply}) as (post, port):
        outcome = mailer(port).drain([outbox])
        assert len(post.bodies) == 2
    assert outcome is not None
    assert (reply or "closed the connection") in outcome.put_off[YOU]
    assert outcome.error == ""
    assert outcome.accepted == {ME}
    assert [headers.recipients(outbox.read(name)) for name in "ab"] == [(YOU,)] * 2


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("MAIL", "421 overloaded"),
        ("RCPT", f"{ME}: 421 overloaded; {YOU}: 421 overloaded"),
        ("DATA", "421 overloaded"),
        (DOT, "421 overloaded"),
    ],
)
def test_the_reply_of_a_server_that_leaves_is_the_error(
    outbox: Outbox, command: str, error: str
) -> None:
    """And not that the connection is closed."""
    with posting({command: "421 overloaded"}) as (_, port):
        outcome = mailer(port).drain([outbox])
        many = mailer(port, to=[f"{number}@example.org" for number in range(7)])
        many.spool(outbox, Letter("b", "[bikecollect] t", "b", (".b.",)))
        outbox.remove("a")
        outcome_of_many = many.drain([outbox])
    assert outcome is not None
    assert outcome.error == error
    assert outcome_of_many is not None
    assert "421 overloaded" in outcome_of_many.error
    assert outbox.waiting() == ["b"]


@pytest.mark.parametrize("reply", ["421 virus", "550 virus", None])
def test_a_mail_at_which_a_server_leaves_does_not_stop_later_ones(
    outbox: Outbox, reply: str | None
) -> None:
    """It may be because of its text; a server may leave after a rejection, too."""
    mailer(0).spool(outbox, Letter("b", "[bikecollect] t", "b", (".b.",)))
    with posting({DOT: reply, "RSET": None}) as (post, port):
        post.is_bad = lambda body: b"Subject: [bikecollect] s" in body
        mailer(port).drain([outbox])
    assert [b"[bikecollect] t" in body for body in post.bodies] == [False, True]
    assert outbox.waiting() == ["a"]


@pytest.mark.parametrize(("mails", "waiting"), [(4, []), (7, ["5", "6"])])
def test_a_server_that_takes_few_mails_by_a_connection_gets_them_by_several(
    tmp_path: Path, mails: int, waiting: list[str]
) -> None:
    """Up to a limit; its reply is the error then."""
    box = Outbox(tmp_path / "outbox")
    for name in map(str, range(mails)):
        mailer(0).spool(box, Letter(name, name, "b", (f".{name}.",)))
    with posting({}) as (post, port):
        post.most = 1
        outcome = mailer(port).drain([box])
    assert outcome is not None
    assert outcome.error == ("421 enough mails" if waiting else "")
    assert box.waiting() == waiting


@pytest.mark.parametrize("command", ["MAIL", "DATA"])
def test_a_mail_that_some_have_got_is_kept_if_the_server_rejects_it(
    outbox: Outbox, command: str
) -> None:
    """Such as beyond a daily quota; that is not due to the recipient who waits."""
    with posting({f"RCPT TO:<{YOU.upper()}": "450 later"}) as (post, port):
        mailer(port).drain([outbox])
        post.replies = {command: "550 daily quota exceeded"}
        outcome = mailer(port).drain([outbox])
    assert outcome is not None
    assert outcome.error == "550 daily quota exceeded"
    assert headers.recipients(outbox.read("a")) == (YOU,)


def test_a_mail_that_cannot_be_kept_is_sent_once_to_those_whom_it_reaches(
    tmp_path: Path,
) -> None:
    """A digest on a full disk: else they get it in every slot, because of the other."""
    (tmp_path / "outbox").touch()
    with posting({f"RCPT TO:<{YOU.upper()}": "450 later"}) as (post, port):
        is_safe = mailer(port).spool(Outbox(tmp_path / "outbox"), Letter("d", "d", "b"))
    assert len(post.bodies) == 1
    assert is_safe


def test_a_mail_without_receipt_is_not_sent_again_in_each_slot(outbox: Outbox) -> None:
    """A server that checks it for a minute may have delivered it all the same."""
    began = time.time()
    with posting({}) as (post, port):
        post.seconds = 1.0
        for slot in range(24):
            clock = partial(float, began + slot * 300)
            outcome = mailer(port, clock=clock, seconds=0.4).drain([outbox])
            assert outcome is None or "did not confirm" in outcome.error
        assert 4 <= len(post.bodies) <= 6
        post.seconds = 0.0
        mailer(port, clock=lambda: began + 10_000).drain([outbox])
    assert outbox.waiting() == []


def test_a_server_may_take_its_time_for_the_receipt(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filters read the mail then: the limit of other replies is too short."""
    monkeypatch.setattr(smtp, "IDLE", 0.3)
    with posting({}) as (post, port):
        post.seconds = 0.8
        outcome = mailer(port).drain([outbox])
    assert outcome is not None
    assert outcome.error == ""
    assert outbox.waiting() == []


def posted(outbox: Outbox, *to: str) -> tuple[Post, MailOutcome]:
    """Return what a server without SMTPUTF8 received of a mail to *to*."""
    mailer(0, to=to).spool(outbox, Letter("b", "s", "b", (".b.",)))
    outbox.remove("a")
    with posting({}) as (post, port):
        outcome = mailer(port, to=to).drain([outbox])
    assert outcome is not None
    assert outcome.error == ""
    return post, outcome


def test_an_address_that_a_server_cannot_write_does_not_stop_the_others(
    outbox: Outbox,
) -> None:
    """Without SMTPUTF8 it accepts ASCII addresses only (RFC 6531)."""
    post, outcome = posted(outbox, ME, HIM)
    assert outcome.accepted == {ME}
    assert "SMTPUTF8" in outcome.rejected[HIM]
    assert len(post.bodies) == 1
    assert outbox.waiting() == []


def test_a_foreign_domain_needs_no_support_of_the_server(outbox: Outbox) -> None:
    """It has a name in ASCII, too (RFC 5890); so has the header of the mail."""
    post, _ = posted(outbox, "me@bücher.example")
    assert b"\r\nTo: me@xn--bcher-kva.example\r\n" in post.bodies[0]
    commands = [command.lower() for command in post.commands]
    assert "rcpt to:<me@xn--bcher-kva.example>" in commands
    assert outbox.waiting() == []


@pytest.mark.parametrize("rejected", ["MAIL", "RCPT", DOT])
def test_a_server_that_rejects_every_mail_is_reported_by_the_other_channels(
    tmp_path: Path, rejected: str
) -> None:
    """That one can connect to it, or name recipients, is no proof that it takes mails.

    It may be the text that it rejects, as spam.
    """
    said = tmp_path / "said"
    script = f'echo "$BIKECOLLECT_KIND $BIKECOLLECT_WHAT" >> {said}'
    tell = {"command": ["sh", "-c", script]}
    mail = MailServer.new(tmp_path / "mail").settings(security="none", user="")
    with posting({rejected: "550 not allowed"}) as (post, port):
        mail = {**mail, "host": "127.0.0.1", "port": port}
        world = World(tmp_path / "data", "a", mail=mail, tell=tell)
        with world.served() as settings:
            world.slot(settings)
            for _ in range(8):
                world.slot(settings, up=False)
            assert "mail trouble" in said.read_text(encoding="utf-8")
            assert "mail recovered" not in said.read_text(encoding="utf-8")
            post.replies.clear()
            for _ in range(14):
                world.slot(settings)
    assert "mail recovered" in said.read_text(encoding="utf-8")


def test_a_recipient_at_which_a_server_hangs_is_tried_less_and_less(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt would cost every run ten seconds; the others have the mail."""
    monkeypatch.setattr(smtp, "IDLE", 0.1)
    now = time.time()
    with posting({f"RCPT TO:<{YOU.upper()}": ""}) as (post, port):
        for minute in range(0, 180, 10):
            mailer(port, clock=lambda m=minute: now + 60 * m).drain([outbox])  # type: ignore[misc]
        asked = [command for command in post.commands if YOU in command]
        assert len(post.bodies) == 1
        assert 3 <= len(asked) <= 6
        post.replies.clear()
        mailer(port, clock=lambda: now + 245 * 60).drain([outbox])
        assert len(post.bodies) == 2
    assert outbox.waiting() == []


def test_the_others_are_told_of_a_recipient_that_is_always_put_off(
    tmp_path: Path,
) -> None:
    """After an hour: less is usual for a server that knows no sender (greylisting)."""
    mail = MailServer.new(tmp_path / "mail").settings(security="none", user="")
    with posting({f"RCPT TO:<{YOU.upper()}": "421 not now"}) as (post, port):
        mail = {**mail, "host": "127.0.0.1", "port": port, "to": [ME, YOU]}
        world = World(tmp_path / "data", "a", mail=mail, tell={"mute": ["missed"]})
        with world.served() as settings:
            world.slot(settings)
            world.slot(settings, up=False)
            for _ in range(2):
                world.slot(settings)
            assert not [body for body in post.bodies if b"421 not now" in body]
            world.slot(settings, skip=12)
            for _ in range(4):
                world.slot(settings)
            told, *_ = [body for body in post.bodies if b"421 not now" in body]
            assert f"To: {ME}".encode() in told
            post.replies.clear()
            for _ in range(4):
                world.slot(settings)
    assert b"a: resolved: mails not sent" in post.bodies[-1]


def test_any_reply_of_success_is_one(outbox: Outbox) -> None:
    """Its first digit decides (RFC 5321, 4.3.2), or the mail would be sent forever."""
    with posting({"RCPT": "252 will try", "MAIL": "251 ok", DOT: "220 ok"}) as (
        post,
        port,
    ):
        post.is_bad = lambda _: True
        outcome = mailer(port).drain([outbox])
    assert outcome is not None
    assert outcome.error == ""
    assert outcome.accepted == {ME, YOU}
    assert outbox.waiting() == []


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        (
            {"EHLO": "250-here\r\n250 AUTH XOAUTH2 NTLM"},
            "a password, only XOAUTH2, NTLM",
        ),
        ({"EHLO": "250 here"}, "the mail server offers no login"),
        (
            {"EHLO": "250-here\r\n250 AUTH PLAIN", "AUTH": "oops"},
            "there is not a mail server",
        ),
        (
            {"EHLO": "250-here\r\n250 AUTH PLAIN", "AUTH": None},
            "server closed the connection",
        ),
        ({"EHLO": None}, "server closed the connection"),
        (
            {"EHLO": "250-here\r\n250 AUTH PLAIN", "AUTH": "235 ok", "MAIL": "oops"},
            "a mail server",
        ),
    ],
)
def test_an_error_is_in_the_words_of_an_operator(
    replies: Mapping[str, str | None], error: str
) -> None:
    """Not in those of Python's library."""
    with posting(replies) as (_, port):
        server = Server("127.0.0.1", port, "none", "me", "secret-password")
        assert smtp.check(server, "bikes@example.org", [ME]).endswith(error)


def test_a_server_that_is_down_is_told_in_the_words_of_the_system() -> None:
    """Other errors keep their class, without which they may say little."""
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    assert error_text(refused) == "Connection refused"
    assert error_text(ValueError("no")) == "ValueError: no"
