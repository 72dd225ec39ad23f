"""A letter as a mail: the bytes that lie in the outbox."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bikecollect.alerts.mail.smtp import RECIPIENTS
from bikecollect.alerts.messages import Letter
from bikecollect.core.text import visible

if TYPE_CHECKING:
    from email.message import EmailMessage

WIDEST = 900
"""Characters of a line; RFC 5322 allows 998. Folded, few people can search them."""
MOST = 200_000
"""Bytes of text that a combined mail may have."""


def mail(
    letter: Letter, *, sender: str, to: Sequence[str], host: str, now: float
) -> bytes:
    """Return *letter* as a mail; the same letter always has the same Message-ID."""
    from email import policy  # only when there is something to tell
    from email.message import EmailMessage
    from email.utils import format_datetime

    message = EmailMessage(policy=policy.SMTP.clone(max_line_length=WIDEST))
    message[RECIPIENTS] = ", ".join(to)
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Subject"] = visible(letter.subject)
    message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    message["Message-ID"] = f"<{letter.name}@{host}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(visible(letter.body, lines=True))
    return message.as_bytes()


def left_to(data: bytes, to: Sequence[str]) -> bytes:
    """Return the mail *data*, with only *to* still to be served."""
    message = _read(data)
    del message[RECIPIENTS]
    message[RECIPIENTS] = ", ".join(to)
    return message.as_bytes()


def combined(mails: Sequence[bytes], name: str, *, host: str, now: float) -> bytes:
    """Return one mail that holds the texts of all *mails*, the oldest first."""
    read = [_read(each) for each in mails]
    recipients = [str(each[RECIPIENTS]).split(", ") for each in read]
    to = list(dict.fromkeys(who for each in recipients for who in each))
    texts = [f"{each['Date']}\n{each['Subject']}\n\n{_text(each)}" for each in read]
    text = f"\n{'-' * 72}\n".join(texts)
    title = f"[bikecollect] {len(mails)} mails that waited for the mail server"
    letter = Letter(name, title, text.encode()[:MOST].decode("utf-8", "ignore"))
    return mail(letter, sender=str(read[-1]["From"]), to=to, host=host, now=now)


def _read(data: bytes) -> "EmailMessage":
    from email import message_from_bytes, policy  # only for a mail

    return message_from_bytes(data, policy=policy.SMTP.clone(max_line_length=WIDEST))


def _text(message: "EmailMessage") -> str:
    return str(message.get_content()).replace("\r\n", "\n")
