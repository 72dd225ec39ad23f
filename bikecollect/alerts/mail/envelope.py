"""Build and rewrite the mails in the outbox."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bikecollect.alerts.mail.headers import (
    ESCALATED,
    INCIDENTS,
    MAX_LINE,
    RECIPIENTS,
    RETRY,
    SETTINGS,
    addresses,
    read,
)
from bikecollect.alerts.messages import Letter
from bikecollect.core.slots import HOUR
from bikecollect.core.text import visible

if TYPE_CHECKING:
    from email.message import EmailMessage

PAUSE = HOUR
"""Seconds until a mail that the server rejected permanently is retried. One that the
server may have delivered is retried at once, then in longer and longer intervals."""
MAX_BYTES = 200_000
"""Maximum bytes of the text of a combined mail."""


@dataclass(frozen=True)
class Audience:
    """The sender and the recipients of mails in the settings.

    *fingerprint* identifies the mail settings: waiting mails are readdressed when they
    change.
    """

    sender: str
    to: Sequence[str]
    escalate_to: Sequence[str] = ()
    fingerprint: str = ""

    def recipients(self, *, escalated: bool) -> list[str]:
        """Return the recipients of a mail, each once."""
        more = self.escalate_to if escalated else ()
        return list(dict.fromkeys((*self.to, *more)))


def mail(
    letter: Letter,
    audience: Audience,
    *,
    host: str,
    now: float,
    without: frozenset[str] = frozenset(),
) -> bytes:
    """Return *letter* as a mail to *audience*, but not to the addresses *without*.

    The Message-ID depends only on the letter's name.
    """
    from email import policy  # only if there is something to report
    from email.message import EmailMessage
    from email.utils import format_datetime

    to = audience.recipients(escalated=letter.escalated)
    to = [address for address in to if address not in without] or to
    message = EmailMessage(policy=policy.SMTP.clone(max_line_length=MAX_LINE))
    message[RECIPIENTS] = ", ".join(to)
    message[SETTINGS] = audience.fingerprint
    message[RETRY] = _second(0)
    if letter.escalated:
        message[ESCALATED] = "yes"
    if letter.incidents:
        message[INCIDENTS] = " ".join(letter.incidents)
    message["From"] = audience.sender
    message["To"] = ", ".join(to)
    message["Subject"] = visible(letter.subject)
    message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    message["Message-ID"] = f"<{letter.name}@{host}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(visible(letter.body, lines=True))
    return message.as_bytes()


def readdressed(data: bytes, audience: Audience) -> bytes:
    """Return the mail *data*, addressed by the current settings.

    It is unchanged if it was addressed by the same settings. Recipients that have
    received it do not get it again. Raises ValueError if the mail has lost its list of
    remaining recipients: it would count as received by all.
    """
    message = read(data)
    if message[RECIPIENTS] is None:
        raise ValueError("no list of recipients")
    if message[SETTINGS] == audience.fingerprint:
        return data
    to = addresses(message, "To")
    served = set(to) - set(addresses(message, RECIPIENTS))
    escalated = message[ESCALATED] is not None or not set(to).isdisjoint(
        audience.escalate_to
    )
    recipients = audience.recipients(escalated=escalated)
    for header in (RECIPIENTS, SETTINGS, RETRY, "From", "To"):
        del message[header]
    left = [address for address in recipients if address not in served]
    message[RECIPIENTS] = ", ".join(left)
    message[SETTINGS] = audience.fingerprint
    message[RETRY] = _second(0)
    message["From"] = audience.sender
    message["To"] = ", ".join(recipients)
    return message.as_bytes()


def left_to(data: bytes, to: Sequence[str]) -> bytes:
    """Return the mail *data* with *to* as the remaining recipients."""
    return _with_header(data, RECIPIENTS, ", ".join(to))


def paused(data: bytes, until: float) -> bytes:
    """Return the mail *data*, marked not to be retried before *until*."""
    return _with_header(data, RETRY, _second(until))


def is_paused(data: bytes, now: float) -> bool:
    """Return whether the mail *data* must not be retried yet.

    A longer pause than any that is set means that the clock was ahead then.
    """
    until = str(read(data)[RETRY] or "0")
    return until.isdecimal() and now < int(until) <= now + PAUSE + 1


def combined(
    mails: Sequence[bytes], name: str, audience: Audience, *, host: str, now: float
) -> bytes:
    """Return one mail with the texts of all *mails*, the oldest first."""
    messages = [read(data) for data in mails]
    waiting = [address for m in messages for address in addresses(m, RECIPIENTS)]
    texts = [f"{m['Date']}\n{m['Subject']}\n\n{_text(m)}" for m in messages]
    text = f"\n{'-' * 72}\n".join(texts)
    title = f"[bikecollect] {len(mails)} mails that waited for the mail server"
    text = text.encode()[:MAX_BYTES].decode("utf-8", "ignore")
    escalated = any(m[ESCALATED] is not None for m in messages)
    letter = Letter(name, title, text, escalated=escalated)
    return left_to(
        mail(letter, audience, host=host, now=now), list(dict.fromkeys(waiting))
    )


def _second(epoch: float) -> str:
    """Return *epoch* with always as many digits: on a full disk no mail gets longer."""
    return f"{epoch:010.0f}"


def _with_header(data: bytes, header: str, value: str) -> bytes:
    message = read(data)
    del message[header]
    message[header] = value
    return message.as_bytes()


def _text(message: "EmailMessage") -> str:
    return str(message.get_content()).replace("\r\n", "\n")
