"""The dialogue about one mail with a mail server (RFC 5321)."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bikecollect.core.text import message

if TYPE_CHECKING:
    from bikecollect.alerts.mail.smtp_connection import BoundedSmtp

log = logging.getLogger(__name__)

OK, CLOSING = 250, 421
POSITIVE = range(200, 300)
"""The reply codes of success: the first digit tells (RFC 5321, 4.3.2)."""
TEMPORARY, PERMANENT = 400, 500
"""The first reply codes of temporary and permanent errors (RFC 5321, 4.2.1)."""
NOT_ASCII = "the mail server supports ASCII addresses only (no SMTPUTF8)"
SPECIAL = frozenset("ßς\u200c\u200d")
"""Characters whose domains have another name in IDNA 2008 than in Python's IDNA 2003.
"""


@dataclass(frozen=True)
class Delivery:
    """The delivery of one mail.

    *left* are the recipients that may get it later; *rejected* maps those that the
    server rejected permanently to its reply, *put_off* those that it refused otherwise,
    or all if it refused all. *is_final* is set if the whole mail was
    rejected permanently: a retry with the same settings is useless. *is_unconfirmed* is
    set if the server received the whole mail, and perhaps delivered it, *is_silent* if
    it did not reply to those *left*: each further attempt would time out, too.
    """

    left: tuple[str, ...] = ()
    error: str = ""
    rejected: Mapping[str, str] = field(default_factory=dict)
    put_off: Mapping[str, str] = field(default_factory=dict)
    is_final: bool = False
    is_unconfirmed: bool = False
    is_silent: bool = False


class LeftError(Exception):
    """The server ended the connection because of the recipient *address*.

    Or because of the content of a mail, without an *address*.
    """

    def __init__(self, error: Exception, address: str = "") -> None:
        super().__init__(str(error))
        self.error = error
        self.address = address

    @property
    def is_timeout(self) -> bool:
        """Whether the server did not reply in time; smtplib names another error."""
        return isinstance(self.error.__context__, TimeoutError)


def delivered(
    connection: "BoundedSmtp", sender: str, to: tuple[str, ...], data: bytes
) -> Delivery:
    """Return the delivery of a mail; *connection* is closed if the server ends it.

    Raises LeftError then, and OSError (as SMTPException is one) before the first
    recipient.
    """
    import smtplib  # only if there is a mail

    size = (f"size={len(data)}",) if connection.has_extn("size") else ()
    try:
        refused = begin(connection, sender, to, size)
    except smtplib.SMTPResponseException as error:
        if error.smtp_code == CLOSING:
            raise
        _reset(connection)
        return Delivery(to, error_text(error), is_final=error.smtp_code >= PERMANENT)
    except smtplib.SMTPNotSupportedError as error:
        return Delivery(to, str(error), is_final=True)
    if len(refused) == len(to):
        _reset(connection)
        return partial_delivery(to, refused)
    try:
        _accepted(connection.data(data))
    except smtplib.SMTPResponseException as error:
        # The server rejects this mail: others may be accepted.
        _reset(connection, error.smtp_code)
        return Delivery(to, error_text(error), is_final=error.smtp_code >= PERMANENT)
    except OSError as error:
        raise LeftError(error) from error
    return partial_delivery(to, refused)


def _reset(connection: "BoundedSmtp", code: int = OK) -> None:
    """End a mail after the reply *code*; close *connection* if the server does."""
    try:
        if code != CLOSING:
            connection.rset()
            return
    except OSError:
        log.debug("the mail server ended the connection", exc_info=True)
    connection.close()


def begin(
    connection: "BoundedSmtp",
    sender: str,
    to: Sequence[str],
    options: tuple[str, ...] = (),
) -> dict[str, tuple[int, str]]:
    """Begin a mail; return the replies to those of *to* that the server refuses.

    Not with smtplib's `sendmail`: it names only some of them if the server ends the
    connection meanwhile. Raises SMTPException, and LeftError at a recipient.
    """
    import smtplib  # only if there is a mail

    names = {address: wired(address) for address in (sender, *to)}
    is_ascii = "".join(names.values()).isascii()
    can_utf8 = connection.has_extn("smtputf8")
    if not is_ascii and can_utf8:
        options = (*options, "SMTPUTF8")
    elif not names[sender].isascii():
        raise smtplib.SMTPNotSupportedError(NOT_ASCII)
    _accepted(connection.mail(names[sender], options))
    refused: dict[str, tuple[int, str]] = {}
    for address in to:
        if not can_utf8 and not names[address].isascii():
            refused[address] = (PERMANENT, NOT_ASCII)
            continue
        try:
            code, reply = connection.rcpt(names[address])
        except OSError as error:
            raise LeftError(error, address) from error
        if code == CLOSING:
            raise LeftError(smtplib.SMTPResponseException(code, reply), address)
        if code not in POSITIVE:
            refused[address] = _reply((code, reply))
    return refused


def _accepted(reply: tuple[int, bytes]) -> None:
    """Raise SMTPResponseException unless *reply* is an acceptance."""
    import smtplib  # only if there is a mail

    code, text = reply
    if code not in POSITIVE:
        raise smtplib.SMTPResponseException(code, text)


def wired(address: str) -> str:
    """Return *address* with its domain in ASCII, if that is certain.

    >>> wired("me@bücher.example"), wired("me@straße.example")
    ('me@xn--bcher-kva.example', 'me@straße.example')
    """
    local, at, domain = address.rpartition("@")
    if SPECIAL.isdisjoint(domain):
        with suppress(UnicodeError):  # sent as it is, for the server to judge
            domain = domain.encode("idna").decode("ascii")
    return f"{local}{at}{domain}"


def partial_delivery(
    to: tuple[str, ...], refused: Mapping[str, tuple[int, str]]
) -> Delivery:
    """Return the delivery to all of *to* except those *refused*, with code and text.

    If no recipient received the mail, no rejection is final: the mail is kept for all.
    """
    final = {
        recipient: text
        for recipient, (code, text) in refused.items()
        if code >= PERMANENT
    }
    replies = {recipient: text for recipient, (_, text) in refused.items()}
    error = text_of(replies)
    if len(refused) == len(to):
        is_final = len(final) == len(to)
        return Delivery(to, error, put_off=replies, is_final=is_final)
    left = tuple(
        recipient for recipient in to if recipient in refused and recipient not in final
    )
    return Delivery(left, error, final, {address: replies[address] for address in left})


def text_of(replies: Mapping[str, str]) -> str:
    """Return the server's *replies* by recipient as one text."""
    return "; ".join(f"{recipient}: {reply}" for recipient, reply in replies.items())


def _reply(reply: tuple[int, bytes]) -> tuple[int, str]:
    code, words = reply
    if code < 0:  # smtplib's, for a line that does not begin with three digits
        return code, "what answers there is not a mail server"
    text = words.decode("utf-8", "replace").replace("\n", " ")
    return code, message(f"{code} {text}")


def error_text(error: Exception) -> str:
    """Return the reply of the server, or the error of the library, in one line."""
    code, reply = getattr(error, "smtp_code", None), getattr(error, "smtp_error", b"")
    if code is not None:
        return _reply((code, reply if isinstance(reply, bytes) else reply.encode()))[1]
    name = f"{type(error).__name__}: {error}"
    if name.startswith("SMTPServerDisconnected"):
        return f"the mail server {silence(error)}"
    if isinstance(error, OSError):
        name = error.strerror or name  # "Connection refused"
    return message(name.replace("\n", " "))


def silence(error: Exception) -> str:
    """Return what the server did instead of a reply; smtplib has one error for it."""
    cause = error.__context__
    if isinstance(cause, TimeoutError):
        return "did not reply in time"
    if isinstance(cause, OSError) and cause.errno is None:
        return f"sent {cause}"  # a reply beyond the limits
    return "closed the connection"
