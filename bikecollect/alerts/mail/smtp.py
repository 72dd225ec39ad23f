"""Send mails by SMTP: over one connection, with verified TLS and a deadline."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from bikecollect.alerts.mail.headers import parsed
from bikecollect.alerts.mail.smtp_dialogue import (
    PERMANENT,
    TEMPORARY,
    Delivery,
    LeftError,
    begin,
    delivered,
    error_text,
    partial_delivery,
    text_of,
)
from bikecollect.core.process import DeadlineError, NoThreadError, deadline

if TYPE_CHECKING:
    from bikecollect.alerts.mail.smtp_connection import BoundedSmtp

IDLE = 10.0
DEADLINE = 20.0
CONNECTIONS = 5
"""Maximum connections of one call: the server may end one because of a single mail."""
UNCONFIRMED = (
    "the mail server received a mail but did not confirm it in time; it is sent again "
    "later"
)


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


@dataclass
class SmtpResult:
    """The deliveries of some mails, in their order; *error* is why sending stopped."""

    deliveries: list[Delivery]
    error: str = ""


def send(
    server: Server, mails: Sequence[bytes], *, seconds: float = DEADLINE
) -> SmtpResult:
    """Send *mails* of the outbox within *seconds*.

    Over one connection, unless the server ends it because of a mail or a recipient: the
    others are sent all the same. Never raises: the result says why a mail was not sent.
    """
    batch = _Batch([parsed(mail) for mail in mails])
    end = time.monotonic() + seconds
    error = server.error or _error_of(lambda: batch.send(server, end), seconds)
    result = SmtpResult(list(batch.deliveries), error)
    if any(delivery.is_unconfirmed for delivery in result.deliveries):
        result.error = UNCONFIRMED
    return result


class _Batch:
    """Mails that are sent one after the other.

    *avoided* are the recipients at which the server has ended a connection, and its
    replies: they are left out.
    """

    def __init__(self, envelopes: list[tuple[str, tuple[str, ...], bytes]]) -> None:
        self.envelopes = envelopes
        self.deliveries = [Delivery(to, "not tried") for _, to, _ in envelopes]
        self.avoided: dict[str, str] = {}
        self._silent: set[str] = set()  # avoided ones to which it did not reply
        self._number = 0
        self._left: Exception | None = None  # why the server ended a connection

    def send(self, server: Server, end: float) -> None:
        """Send the mails until *end*, at which nobody waits for the result any more.

        Raises OSError (that of SMTP, too) if the server takes no mail at all, or has
        ended all connections before the last mail.
        """
        for _ in range(CONNECTIONS):
            if self._is_due(end):
                self._send_over(server, end)
        if self._left and self._is_due(end):
            raise self._left

    def _send_over(self, server: Server, end: float) -> None:
        """Send mails over one connection, until *end* or until the server ends it.

        Raises OSError if it does that before the first of them.
        """
        first = self._number
        with closing(_connected(server)) as connection:
            try:
                while connection.sock and self._is_due(end):
                    self._send_next(connection)
            except OSError as error:
                if self._number == first:
                    raise
                self._left = error  # after a mail: a new connection may work

    def _is_due(self, end: float) -> bool:
        """Return whether a mail is left to send before *end*."""
        return self._has_next() and time.monotonic() < end

    def _has_next(self) -> bool:
        """Return whether a mail is left; skip mails to avoided recipients only."""
        while self._number < len(self.envelopes):
            _, to, _ = self.envelopes[self._number]
            if not self.avoided.keys() >= set(to):
                return True
            self._settle(Delivery())
        return False

    def _send_next(self, connection: "BoundedSmtp") -> None:
        sender, to, data = self.envelopes[self._number]
        unknown = Delivery(to, UNCONFIRMED, is_unconfirmed=True)
        connection.on_sent = partial(self.deliveries.__setitem__, self._number, unknown)
        tried = tuple(address for address in to if address not in self.avoided)
        try:
            delivery = delivered(connection, sender, tried, data)
        except LeftError as left:
            connection.close()
            self._left, reply = left.error, error_text(left.error)
            if left.address:
                self.avoided[left.address] = reply
                self._silent |= {left.address} if left.is_timeout else set()
                return  # the mail is sent to the others
            if self.deliveries[self._number].is_unconfirmed:
                self._number += 1
                return
            delivery = Delivery(tried, reply)
        self._settle(delivery)

    def _settle(self, delivery: Delivery) -> None:
        """Store the *delivery* to the recipients of a mail that are not avoided."""
        _, to, _ = self.envelopes[self._number]
        avoided = {a: reply for a, reply in self.avoided.items() if a in to}
        if avoided:
            delivery = replace(
                delivery,
                left=(*delivery.left, *avoided),
                error="; ".join(filter(None, (delivery.error, text_of(avoided)))),
                put_off={**delivery.put_off, **avoided},
                is_final=False,
                is_silent=self._silent >= {*delivery.left, *avoided},
            )
        self.deliveries[self._number] = delivery
        self._number += 1


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
        outcome = partial_delivery(to, begin(connection, sender, to))
    except smtplib.SMTPResponseException as error:
        is_temporary = TEMPORARY <= error.smtp_code < PERMANENT
        return "" if is_temporary else error_text(error)
    except LeftError as left:
        is_reply = isinstance(left.error, smtplib.SMTPResponseException)
        return "" if is_reply else error_text(left.error)
    return outcome.error if outcome.is_final else ""


def _error_of(converse: Callable[[], None], seconds: float) -> str:
    try:
        deadline(converse, seconds)
    except NoThreadError as error:
        return str(error)
    except DeadlineError:
        return f"the mail server timed out after {seconds:.0f} s"
    except Exception as error:  # noqa: BLE001 - after any error the mails are kept
        return error_text(error)
    return ""


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
            smtp_connection.log_in(connection, server.user, server.password)
    except BaseException:
        connection.close()
        raise
    return connection
