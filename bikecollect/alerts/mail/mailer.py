"""The post: letters into the outbox, and from there to the mail server."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from bikecollect.alerts.mail import envelope, smtp
from bikecollect.alerts.mail.outbox import KEPT_DAYS, Outbox
from bikecollect.alerts.mail.smtp import Delivery, Server
from bikecollect.alerts.messages import Letter
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import DAY

log = logging.getLogger(__name__)

MANY = 20
"""From so many waiting mails on they are sent as one."""


@dataclass(frozen=True)
class Post:
    """Mails by way of *server*, from *sender*, to *to* and in long trouble to more."""

    server: Server
    sender: str
    to: Sequence[str]
    escalate_to: Sequence[str] = ()
    clock: Callable[[], float] = time.time
    seconds: float = smtp.DEADLINE

    def spool(self, outbox: Outbox, letter: Letter) -> bool:
        """Make *letter* durable; where the disk refuses, try to send it at once.

        Returns whether it is safe or sent. Waiting mails about the same incidents
        are replaced by it: it says all that they do.
        """
        to = [*self.to, *(self.escalate_to if letter.escalated else ())]
        data = self._mail(letter, to)
        older = outbox.waiting()
        try:
            outbox.put(letter.name, data)
        except StorageError as error:
            sent = smtp.send(self.server, [data], seconds=self.seconds)
            delivered = not sent.deliveries[0].left
            log.warning("%s; sent from memory: %s", error, "yes" if delivered else "no")
            return delivered
        for name in older:
            if name != letter.name and any(each in name for each in letter.incidents):
                outbox.remove(name)
        return True

    def drain(self, outboxes: Sequence[Outbox]) -> str | None:
        """Send what waits in *outboxes*; return why it could not be, empty if it was.

        None where nothing waited, or another process is at it.
        """
        with ExitStack() as held:
            mine = [each for each in outboxes if each.waiting()]
            mine = [each for each in mine if held.enter_context(each.held())]
            try:
                waiting = [(box, name) for box in mine for name in self._ready(box)]
                mails = [(box, name, box.read(name)) for box, name in waiting]
            except StorageError as why:
                return str(why)
            if not mails:
                return None
            sent = smtp.send(
                self.server, [data for *_, data in mails], seconds=self.seconds
            )
            for (box, name, data), delivery in zip(mails, sent.deliveries, strict=True):
                with suppress(StorageError):  # it is sent again, as the same mail
                    _settle(box, name, data, delivery)
        refused = next((d.error for d in sent.deliveries if d.left), "")
        error = sent.error or refused
        if error:
            log.info("a mail waits in the outbox: %s", error)
        return error

    def _ready(self, outbox: Outbox) -> list[str]:
        """Return what to send from *outbox*: one mail for many, none too old."""
        now, names = self.clock(), []
        for name in outbox.waiting():
            if outbox.age(name, now) > KEPT_DAYS * DAY:
                log.warning("the mail %s waited for %d days: dropped", name, KEPT_DAYS)
                outbox.remove(name)
            else:
                names.append(name)
        if len(names) < MANY:
            return names
        whole = f"{names[-1]}.combined"
        mails = [outbox.read(each) for each in names]
        host = os.uname().nodename
        outbox.put(whole, envelope.combined(mails, whole, host=host, now=now))
        for name in names:
            outbox.remove(name)
        return [whole]

    def _mail(self, letter: Letter, to: Sequence[str]) -> bytes:
        host = os.uname().nodename
        now = self.clock()
        return envelope.mail(letter, sender=self.sender, to=to, host=host, now=now)


def _settle(box: Outbox, name: str, data: bytes, delivery: Delivery) -> None:
    """Take a mail out of *box* where all got it; else keep it for the others."""
    if not delivery.left:
        box.remove(name)
        return
    before = smtp.recipients(data)
    if set(delivery.left) != set(before):
        box.put(name, envelope.left_to(data, delivery.left))
    if delivery.error not in {"", "not tried"}:
        log.info("mail %s: %s", name, delivery.error)
