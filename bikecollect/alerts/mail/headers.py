"""The headers that a mail has only in the outbox; they are not sent."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from bikecollect.alerts.mail.smtp_dialogue import wired

if TYPE_CHECKING:
    from email.message import EmailMessage

RECIPIENTS = "X-Bikecollect-Recipients"
"""The recipients that have not received the mail yet."""
SETTINGS = "X-Bikecollect-Settings"
"""The fingerprint of the mail settings that addressed the mail."""
ESCALATED = "X-Bikecollect-Escalated"
"""Present if the mail is also for the recipients of escalations."""
INCIDENTS = "X-Bikecollect-Incidents"
"""The incidents that the mail reports, separated by blanks."""
RETRY = "X-Bikecollect-Retry"
"""The epoch second before which a rejected mail is not tried again."""
DAMAGED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""Errors of the library about a mail that was damaged on the disk."""
MAX_LINE = 900
"""Maximum characters of a line; longer ones are folded. RFC 5322 allows 998."""


def read(data: bytes) -> "EmailMessage":
    """Return the mail *data* for reading and changing."""
    from email import message_from_bytes, policy  # only for a mail

    return message_from_bytes(data, policy=policy.SMTP.clone(max_line_length=MAX_LINE))


def addresses(mail: "EmailMessage", header: str) -> tuple[str, ...]:
    """Return the comma-separated addresses in *header* of *mail*."""
    parts = str(mail[header] or "").split(",")
    return tuple(address.strip() for address in parts if address.strip())


def recipients(data: bytes) -> tuple[str, ...]:
    """Return the recipients that have not received the mail *data* yet."""
    return addresses(read(data), RECIPIENTS)


def is_partly_served(data: bytes, left: Collection[str]) -> bool:
    """Return whether somebody but *left* is a recipient of the mail *data*."""
    return not set(left) >= set(addresses(read(data), "To"))


def incidents(data: bytes) -> frozenset[str]:
    """Return the incidents that the mail *data* reports."""
    return frozenset(str(read(data)[INCIDENTS] or "").split())


def settings(data: bytes) -> str:
    """Return the fingerprint of the settings that addressed the mail *data*."""
    return str(read(data)[SETTINGS] or "")


def dated(data: bytes) -> float:
    """Return when the mail *data* was written, in epoch seconds."""
    moment = getattr(read(data)["Date"], "datetime", None)
    return float(moment.timestamp()) if moment else 0.0


def parsed(data: bytes) -> tuple[str, tuple[str, ...], bytes]:
    """Return the sender, the remaining recipients, and the mail to be sent.

    Raises ValueError if the mail has lost its sender.
    """
    mail = read(data)
    to = addresses(mail, RECIPIENTS)
    for header in (RECIPIENTS, SETTINGS, ESCALATED, INCIDENTS, RETRY):
        del mail[header]
    sender = bare(str(mail["From"] or ""))
    if not sender:
        raise ValueError("no sender")
    for header in ("From", "To"):
        listed = getattr(mail[header], "addresses", ())
        for domain in {a.domain for a in listed if not a.domain.isascii()}:
            # Otherwise it would become an encoded word, which addresses must not have.
            text = str(mail[header]).replace(f"@{domain}", wired(f"@{domain}"))
            mail.replace_header(header, text)
    return sender, to, mail.as_bytes()


def bare(address: str) -> str:
    """Return *address* without the name in front.

    >>> bare("Bikes <bikes@example.org>")
    'bikes@example.org'
    """
    return address.rpartition("<")[2].rstrip(">")
