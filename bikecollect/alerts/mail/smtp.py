"""Send mails by SMTP: over one connection, with verified TLS and a deadline."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from bikecollect.alerts.mail.headers import parsed
from bikecollect.core.process import DeadlineError, deadline
from bikecollect.core.text import message

if TYPE_CHECKING:
    from bikecollect.alerts.mail.smtp_connection import BoundedSmtp

IDLE = 10.0
DEADLINE = 20.0
OK, FORWARDED, CLOSING = 250, 251, 421
PERMANENT = 500
"""The first reply code of permanent errors (RFC 5321, 4.2.1)."""
UNCONFIRMED = (
    "the mail server received a mail but did not confirm it in time; it is sent again "
    "later"
)
NOT_ASCII = "the mail server supports ASCII addresses only (no SMTPUTF8)"
SPECIAL = frozenset("ßς\u200c\u200d")
"""Characters whose domains have another name in IDNA 2008 than in Python's IDNA 2003.
"""


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
    rejected permanently: a retry with the same settings is useless. *is_unconfirmed* is
    set if the server received the whole mail, and perhaps delivered it.
    """

    left: tuple[str, ...] = ()
    error: str = ""
    rejected: Mapping[str, str] = field(default_factory=dict)
    is_final: bool = False
    is_unconfirmed: bool = False


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
    deliveries = [Delivery(to, "not tried") for _, to, _ in envelopes]
    end = time.monotonic() + seconds

    def converse() -> None:
        with closing(_connected(server)) as connection:
            for number, (sender, to, data) in enumerate(envelopes):
                if connection.sock is None or time.monotonic() >= end:
                    return  # closed, or nobody waits for the result any more
                unknown = Delivery(to, UNCONFIRMED, is_unconfirmed=True)
                connection.on_sent = partial(deliveries.__setitem__, number, unknown)
                deliveries[number] = _delivered(connection, sender, to, data)

    error = server.error or _error_of(converse, seconds)
    result = SmtpResult(list(deliveries), error)
    if any(delivery.is_unconfirmed for delivery in result.deliveries):
        result.error = UNCONFIRMED
    return result


def check(
    server: Server,
    sender: str = "",
    to: Sequence[str] = (),
    *,
    seconds: float = DEADLINE,
) -> str:
    """Log in to *server*, and ask whether it takes mails of *sender* to *to*.

    Returns the error, empty if there was none. Nothing is sent; a temporary rejection
    is no error, nor is one of some recipients only.
    """
    rejections: list[str] = []

    def converse() -> None:
        with closing(_connected(server)) as connection:
            if sender:
                rejections.append(_rejection(connection, sender, tuple(to)))

    return server.error or _error_of(converse, seconds) or "".join(rejections)


def _rejection(connection: "BoundedSmtp", sender: str, to: tuple[str, ...]) -> str:
    """Return why the server rejects every mail of *sender* to *to*, or ""."""
    import smtplib  # only if there is a mail

    try:
        outcome = _partial(to, _refused(connection, sender, to))
    except smtplib.SMTPResponseException as error:
        return _error_text(error) if error.smtp_code >= PERMANENT else ""
    return outcome.error if outcome.is_final else ""


def _error_of(converse: Callable[[], None], seconds: float) -> str:
    try:
        deadline(converse, seconds)
    except DeadlineError:
        return f"the mail server timed out after {seconds:.0f} s"
    except Exception as error:  # noqa: BLE001 - after any error the mails are kept
        return _error_text(error)
    return ""


def _delivered(
    connection: "BoundedSmtp", sender: str, to: tuple[str, ...], data: bytes
) -> Delivery:
    """Return the delivery of a mail; *connection* is closed if the server ends it."""
    import smtplib  # only if there is a mail

    size = (f"size={len(data)}",) if connection.has_extn("size") else ()
    try:
        refused = _refused(connection, sender, to, size)
        if len(refused) == len(to):
            connection.rset()
        else:
            _accepted(connection.data(data))
    except smtplib.SMTPResponseException as error:
        if error.smtp_code == CLOSING:
            connection.close()
            return Delivery(to, _error_text(error))
        # The server rejects this mail: others may be accepted.
        connection.rset()
        return Delivery(to, _error_text(error), is_final=error.smtp_code >= PERMANENT)
    except smtplib.SMTPNotSupportedError as error:
        return Delivery(to, str(error), is_final=True)
    return _partial(to, refused)


def _refused(
    connection: "BoundedSmtp",
    sender: str,
    to: Sequence[str],
    options: tuple[str, ...] = (),
) -> dict[str, tuple[int, str]]:
    """Begin a mail; return the replies to those of *to* that the server refuses.

    Not with smtplib's `sendmail`: it names only some of them if the server ends the
    connection meanwhile. Raises SMTPException.
    """
    import smtplib  # only if there is a mail

    wired = {address: _wired(address) for address in (sender, *to)}
    is_ascii = "".join(wired.values()).isascii()
    can_utf8 = connection.has_extn("smtputf8")
    if not is_ascii and can_utf8:
        options = (*options, "SMTPUTF8")
    elif not wired[sender].isascii():
        raise smtplib.SMTPNotSupportedError(NOT_ASCII)
    _accepted(connection.mail(wired[sender], options))
    refused: dict[str, tuple[int, str]] = {}
    for address in to:
        if not can_utf8 and not wired[address].isascii():
            refused[address] = (PERMANENT, NOT_ASCII)
            continue
        code, reply = connection.rcpt(wired[address])
        if code == CLOSING:
            raise smtplib.SMTPResponseException(code, reply)
        if code not in {OK, FORWARDED}:
            refused[address] = _reply((code, reply))
    return refused


def _accepted(reply: tuple[int, bytes]) -> None:
    """Raise SMTPResponseException unless *reply* is an acceptance."""
    import smtplib  # only if there is a mail

    code, text = reply
    if code != OK:
        raise smtplib.SMTPResponseException(code, text)


def _wired(address: str) -> str:
    """Return *address* with its domain in ASCII, if that is certain.

    >>> _wired("me@bücher.example"), _wired("me@straße.example")
    ('me@xn--bcher-kva.example', 'me@straße.example')
    """
    local, at, domain = address.rpartition("@")
    if SPECIAL.isdisjoint(domain):
        with suppress(UnicodeError):  # sent as it is, for the server to judge
            domain = domain.encode("idna").decode("ascii")
    return f"{local}{at}{domain}"


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


def _connected(server: Server) -> "BoundedSmtp":
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
