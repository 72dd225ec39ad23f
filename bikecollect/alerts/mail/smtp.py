"""Send mails by SMTP: over one connection, with verified TLS and a deadline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bikecollect.alerts.mail.headers import parsed
from bikecollect.core.process import DeadlineError, deadline
from bikecollect.core.text import message

if TYPE_CHECKING:
    import smtplib

IDLE = 10.0
DEADLINE = 20.0
PERMANENT = 500
"""The first reply code of permanent errors (RFC 5321, 4.2.1)."""


@dataclass(frozen=True)
class Server:
    """A mail server; *security* is starttls, tls or none.

    If there is an *error* in its settings, it is not connected to: each attempt fails.
    """

    host: str
    port: int = 587
    security: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    ca_bundle: str = ""
    error: str = ""


@dataclass(frozen=True)
class Delivery:
    """The delivery of one mail.

    *left* are the recipients that may get it later; *rejected* maps those that the
    server rejected permanently to its reply. *is_final* is set if the whole mail was
    rejected permanently: a retry with the same settings is useless.
    """

    left: tuple[str, ...] = ()
    error: str = ""
    rejected: Mapping[str, str] = field(default_factory=dict)
    is_final: bool = False


@dataclass
class SmtpResult:
    """The deliveries of some mails, in their order; *error* is why sending stopped."""

    deliveries: list[Delivery]
    error: str = ""


def send(
    server: Server, mails: Sequence[bytes], *, seconds: float = DEADLINE
) -> SmtpResult:
    """Send *mails* of the outbox over one connection within *seconds*.

    Never raises: the result says why a mail was not sent.
    """
    envelopes = [parsed(mail) for mail in mails]
    result = SmtpResult([Delivery(to, "not tried") for _, to, _ in envelopes])

    def converse() -> None:
        connection = _connected(server)
        try:
            for number, (sender, to, data) in enumerate(envelopes):
                result.deliveries[number] = _delivered(connection, sender, to, data)
        finally:
            connection.close()

    error = server.error or _error_of(converse, seconds)
    return SmtpResult(list(result.deliveries), error)


def check(server: Server, *, seconds: float = DEADLINE) -> str:
    """Log in to *server*; return the error, empty if there was none."""
    return send(server, [], seconds=seconds).error


def _error_of(converse: Callable[[], None], seconds: float) -> str:
    try:
        deadline(converse, seconds)
    except DeadlineError:
        return f"the mail server timed out after {seconds:.0f} s"
    except Exception as error:  # noqa: BLE001 - after any error the mails are kept
        return _error_text(error)
    return ""


def _delivered(
    connection: "smtplib.SMTP", sender: str, to: tuple[str, ...], data: bytes
) -> Delivery:
    import smtplib  # only if there is a mail

    options = ["SMTPUTF8"] if not "".join((sender, *to)).isascii() else []
    try:
        refused = connection.sendmail(sender, list(to), data, options)
    except smtplib.SMTPRecipientsRefused as error:
        refused = error.recipients
    except smtplib.SMTPResponseException as error:
        # The server rejects this mail: others may be accepted.
        connection.rset()
        return Delivery(to, _error_text(error), is_final=error.smtp_code >= PERMANENT)
    except smtplib.SMTPNotSupportedError as error:
        return Delivery(to, _error_text(error), is_final=True)
    return _partial(
        to, {recipient: _reply(reply) for recipient, reply in refused.items()}
    )


def _partial(to: tuple[str, ...], refused: Mapping[str, tuple[int, str]]) -> Delivery:
    """Return the delivery to all of *to* except those *refused*, with code and text.

    If no recipient received the mail, no rejection is final: the mail is kept for all.
    """
    final = {
        recipient: text
        for recipient, (code, text) in refused.items()
        if code >= PERMANENT
    }
    error = "; ".join(
        f"{recipient}: {text}" for recipient, (_, text) in refused.items()
    )
    if len(refused) == len(to):
        return Delivery(to, error, is_final=len(final) == len(to))
    left = tuple(
        recipient for recipient in to if recipient in refused and recipient not in final
    )
    return Delivery(left, error, final)


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
            prepared = smtp_connection.prepared
            connection.login(prepared(server.user), prepared(server.password))
    except BaseException:
        connection.close()
        raise
    return connection


def _reply(reply: tuple[int, bytes]) -> tuple[int, str]:
    code, text = reply
    return code, message(f"{code} {text.decode('utf-8', 'replace')}".replace("\n", " "))


def _error_text(error: Exception) -> str:
    """Return the reply of the server, or the error of the library, in one line."""
    code, reply = getattr(error, "smtp_code", None), getattr(error, "smtp_error", b"")
    if code is not None:
        return _reply((code, reply if isinstance(reply, bytes) else reply.encode()))[1]
    return message(f"{type(error).__name__}: {error}".replace("\n", " "))
