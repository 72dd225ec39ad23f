"""Mail by SMTP: one connection, verified TLS, and an end to every wait."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bikecollect.core.text import message

if TYPE_CHECKING:
    import smtplib

IDLE = 10.0
DEADLINE = 20.0
RECIPIENTS = "X-Bikecollect-Recipients"
"""The header that holds, in the outbox only, who has yet to get the mail."""


@dataclass(frozen=True)
class Server:
    """The mail server, and how to reach it; *security* is starttls, tls or none."""

    host: str
    port: int = 587
    security: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    ca_bundle: str = ""


@dataclass
class Delivery:
    """What became of one mail: *left* are the recipients that did not get it."""

    left: tuple[str, ...]
    error: str = ""


@dataclass
class Sent:
    """What became of some mails, in their order; *error* is why it stopped."""

    deliveries: list[Delivery]
    error: str = ""


def send(server: Server, mails: Sequence[bytes], *, seconds: float = DEADLINE) -> Sent:
    """Send *mails* (as the outbox has them) over one connection within *seconds*.

    Never raises: what could not be sent is in the answer, with its reason. The
    work is done by a thread that is left alone when its time is over, because a
    server that drips its banner or the resolver can hold it for ever.
    """
    parsed = [_parsed(each) for each in mails]
    sent = Sent([Delivery(to, "not tried") for _, to, _ in parsed])
    done = threading.Event()

    def labour() -> None:
        try:
            _converse(server, parsed, sent)
        except Exception as error:  # noqa: BLE001 - whatever it is, the mails stay
            sent.error = _said(error)
        done.set()

    threading.Thread(target=labour, daemon=True).start()
    if not done.wait(seconds):
        sent.error = f"the mail server did not finish within {seconds:.0f} s"
    return Sent([Delivery(d.left, d.error) for d in sent.deliveries], sent.error)


def check(server: Server, *, seconds: float = DEADLINE) -> str:
    """Log in and out again; return what went wrong, empty where nothing did."""
    return send(server, [], seconds=seconds).error


def recipients(data: bytes) -> tuple[str, ...]:
    """Return who has yet to get the mail *data*."""
    return _parsed(data)[1]


def _converse(
    server: Server, mails: Sequence[tuple[str, tuple[str, ...], bytes]], sent: Sent
) -> None:
    connection = _connected(server)
    try:
        for number, (sender, to, data) in enumerate(mails):
            sent.deliveries[number] = _delivered(connection, sender, to, data)
    finally:
        connection.close()


def _delivered(
    connection: "smtplib.SMTP", sender: str, to: tuple[str, ...], data: bytes
) -> Delivery:
    import smtplib  # only when there is a mail

    try:
        refused: Any = connection.sendmail(sender, list(to), data)
    except smtplib.SMTPRecipientsRefused as error:
        refused = error.recipients
    except smtplib.SMTPResponseException as error:
        # The server is there and says no to this one: the others may pass.
        connection.rset()
        return Delivery(to, _said(error))
    why = "; ".join(f"{who}: {_said(answer)}" for who, answer in refused.items())
    return Delivery(tuple(who for who in to if who in refused), why)


def _connected(server: Server) -> "smtplib.SMTP":
    from bikecollect.alerts.mail import smtp_connection

    connection = smtp_connection.connect(
        server.host,
        server.port,
        security=server.security,
        timeout=IDLE,
        ca_bundle=server.ca_bundle,
    )
    try:
        connection.ehlo_or_helo_if_needed()
        if server.user:
            connection.login(server.user, server.password)
    except BaseException:
        connection.close()
        raise
    return connection


def _parsed(data: bytes) -> tuple[str, tuple[str, ...], bytes]:
    """Return sender, recipients still to be served, and the mail as it is sent."""
    from email import message_from_bytes, policy  # only for a mail

    wide = policy.SMTP.clone(max_line_length=900)
    message = message_from_bytes(data, policy=wide)
    to = tuple(each.strip() for each in str(message[RECIPIENTS]).split(","))
    del message[RECIPIENTS]
    _, _, sender = str(message["From"]).rpartition("<")
    return sender.rstrip(">"), to, message.as_bytes()


def _said(error: object) -> str:
    """Return in one line what the server or the library said."""
    if isinstance(error, tuple):
        code, text = error
        words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return message(f"{code} {words}".replace("\n", " "))
    code = getattr(error, "smtp_code", None)
    if code is not None:
        return _said((code, getattr(error, "smtp_error", b"")))
    return message(f"{type(error).__name__}: {error}".replace("\n", " "))
