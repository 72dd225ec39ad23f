"""Put mails into the outbox, and send them from there."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace

from bikecollect.alerts.mail import envelope, headers, smtp
from bikecollect.alerts.mail.envelope import PAUSE, Audience
from bikecollect.alerts.mail.outbox import KEPT_DAYS, Outbox
from bikecollect.alerts.mail.smtp import Server
from bikecollect.alerts.mail.smtp_dialogue import Delivery
from bikecollect.alerts.messages import Letter
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import DAY, HOUR
from bikecollect.storage.files.trusted_files import quoted

log = logging.getLogger(__name__)

MANY = 20
"""Number of waiting mails from which they are sent as one."""


@dataclass(frozen=True)
class MailOutcome:
    """The result of sending the waiting mails.

    *error* is why mails could not be sent, empty if they were. *rejected* maps rejected
    recipients to the server's reply, if others received the mails; *accepted* are those
    that received one. *put_off* are recipients that may still get a mail that others
    have received; after an hour they count as rejected.
    """

    error: str = ""
    rejected: Mapping[str, str] = field(default_factory=dict)
    accepted: frozenset[str] = frozenset()
    put_off: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Mailer:
    """Sends mails to *audience* through *server*; they wait while *is_quiet*.

    It is called every *interval* seconds.
    """

    server: Server
    audience: Audience
    clock: Callable[[], float] = time.time
    seconds: float = smtp.DEADLINE
    is_quiet: Callable[[float], bool] = lambda _: False
    interval: int = HOUR

    def spool(
        self,
        outbox: Outbox,
        letter: Letter,
        *,
        others: Sequence[Outbox] = (),
        without: frozenset[str] = frozenset(),
    ) -> bool:
        """Write *letter* durably to *outbox*; if the disk fails, try to send it now.

        Returns whether it was stored, or sent to somebody. It replaces waiting mails
        that are only about its incidents, also in the *others*, because it has their
        content. Addresses *without* do not get it.
        """
        host, now = outbox.host(), self.clock()
        data = envelope.mail(letter, self.audience, host=host, now=now, without=without)
        older = list(_about(letter, (outbox, *others)))
        try:
            outbox.put(letter.name, data)
        except StorageError as error:
            result = smtp.send(self.server, [data], seconds=self.seconds)
            is_sent = headers.is_partly_served(data, result.deliveries[0].left)
            said = "yes" if is_sent else "no"
            extra = {"is_reported": is_sent}
            log.warning("%s; sent from memory: %s", error, said, extra=extra)
            return is_sent
        for box, name in older:
            with suppress(StorageError):  # it is sent, too
                box.remove(name)
        return True

    def drain(
        self, outboxes: Sequence[Outbox], *, left: Sequence[Outbox] = ()
    ) -> MailOutcome | None:
        """Send the mails in *outboxes*; None if there was nothing to send.

        From those *left*, of systems that are not in the settings any more, only mails
        with the same mail settings are sent: others may belong to other settings.
        Outboxes from which another process is sending are skipped.
        """
        if self.is_quiet(self.clock()):
            return None
        with ExitStack() as stack:
            usable = [box for box in (*outboxes, *left) if self._may_send_from(box)]
            unreadable: list[StorageError] = []
            held = list(_held(usable, stack, unreadable))
            waiting = [
                (box, name, data)
                for box in held
                for name, data in self._ready(
                    box, self._ours(box) if box in left else box.waiting(), unreadable
                )
            ]
            trouble = "".join(map(str, unreadable[:1]))
            if not waiting:
                return MailOutcome(trouble) if trouble else None
            waiting.sort(key=lambda item: headers.dated(item[2]))
            mails = [data for *_, data in waiting]
            result = smtp.send(self.server, mails, seconds=self.seconds)
            for (box, name, data), delivery in zip(
                waiting, result.deliveries, strict=True
            ):
                with suppress(StorageError):  # the mail will be sent again
                    self._settle(box, name, data, delivery)
                    self._drop_if_old(box, name)
        outcome = _outcome(mails, result, self.clock())
        outcome = replace(outcome, error=outcome.error or trouble)
        if outcome.error:
            log.info("a mail waits in the outbox: %s", outcome.error)
        return outcome

    def check(self) -> str:
        """Ask the server whether it takes mails; return the error, or an empty text."""
        sender, to = headers.bare(self.audience.sender), self.audience.to
        return smtp.check(self.server, sender, to, seconds=self.seconds)

    def has_undelivered(self, outboxes: Iterable[Outbox]) -> bool:
        """Return whether a mail in *outboxes* has reached nobody and is paused.

        The server has rejected its text, or not confirmed it: that it takes others, as
        far as `check` can tell, does not help this one.
        """
        now = self.clock()
        for box in outboxes:
            for name in box.waiting():
                with suppress(StorageError, *headers.DAMAGED):
                    data = box.read(name)
                    left = headers.recipients(data)
                    if envelope.is_paused(data, now) and not headers.is_partly_served(
                        data, left
                    ):
                        return True
        return False

    def _may_send_from(self, outbox: Outbox) -> bool:
        """Return whether mails of *outbox* may be sent now.

        Those that cannot be removed afterwards are sent once an hour.
        """
        return outbox.is_writable() or self.clock() % HOUR < self.interval

    def _ready(
        self, outbox: Outbox, names: Sequence[str], unreadable: list[StorageError]
    ) -> list[tuple[str, bytes]]:
        """Return the mails with *names* to send now from *outbox*; combine many.

        Old ones are tried, too: perhaps only the clock has jumped. Errors of mails that
        cannot be read are added to *unreadable*.
        """
        now = self.clock()
        outbox.remove_leftovers()
        ready = []
        for name in names:
            data = b""
            try:
                data = self._readdressed(outbox, name)
                headers.parsed(data)
                headers.dated(data)
            except StorageError as error:
                unreadable.append(error)
            except headers.DAMAGED:
                data = b""
                path = quoted(outbox.path(name))
                text = f"cannot read a mail in {outbox.folder}: {name} is damaged"
                text += f"; read what is left of it, then remove it: rm {path}"
                unreadable.append(StorageError(text))
            if data and not envelope.is_paused(data, now):
                ready.append((name, data))
            else:
                self._drop_if_old(outbox, name)
        if len(ready) < MANY:
            return ready
        # Names have local times, which are out of order when the clocks are set back.
        ready.sort(key=lambda mail: headers.dated(mail[1]))
        try:
            return self._combined(outbox, ready)
        except (StorageError, *headers.DAMAGED):
            return ready  # the disk is full, or one is damaged: as many as time allows

    def _ours(self, outbox: Outbox) -> list[str]:
        """Return the mails in *outbox* that were addressed by these settings.

        Old ones are those of a copy.
        """
        ours = []
        for name in outbox.waiting():
            with suppress(StorageError):
                settings = headers.settings(outbox.read(name))
                is_ours = settings and settings == self.audience.fingerprint
                if is_ours and not self._is_old(outbox, name):
                    ours.append(name)
        return ours

    def _is_old(self, outbox: Outbox, name: str) -> bool:
        return outbox.age(name, self.clock()) > KEPT_DAYS * DAY

    def _drop_if_old(self, outbox: Outbox, name: str) -> None:
        """Remove the mail *name* if it has waited for longer than `KEPT_DAYS`."""
        if self._is_old(outbox, name):
            log.warning("mail %s dropped after %d days", name, KEPT_DAYS)
            with suppress(StorageError):
                outbox.remove(name)

    def _readdressed(self, outbox: Outbox, name: str) -> bytes:
        """Return the mail *name* readdressed by the current settings.

        Empty if all recipients have received it.
        """
        old = outbox.read(name)
        data = envelope.readdressed(old, self.audience)
        to = headers.recipients(data)
        with suppress(StorageError):  # it is readdressed again by the next run
            if not to:
                outbox.remove(name)
            elif data != old:
                outbox.replace(name, data)
        return data if to else b""

    def _combined(
        self, outbox: Outbox, mails: Sequence[tuple[str, bytes]]
    ) -> list[tuple[str, bytes]]:
        name = f"{mails[-1][0]}.combined"
        texts, host = [data for _, data in mails], outbox.host()
        data = envelope.combined(
            texts, name, self.audience, host=host, now=self.clock()
        )
        outbox.put(name, data)
        for older, _ in mails:
            with suppress(StorageError):  # it is sent twice
                outbox.remove(older)
        return [(name, data)]

    def _settle(self, box: Outbox, name: str, data: bytes, delivery: Delivery) -> None:
        """Remove a mail from *box*, or keep it for the remaining recipients."""
        if delivery.error not in {"", "not tried"}:
            log.info("mail %s: %s", name, delivery.error)
        if not delivery.left or (delivery.is_final and _others_have_it(data, delivery)):
            box.remove(name)
        elif delivery.is_final:
            box.replace(name, envelope.paused(data, self.clock() + PAUSE))
        elif delivery.is_unconfirmed:
            box.replace(name, self._paused(box, name, data))
        elif delivery.is_silent and _others_have_it(data, delivery):
            left = envelope.left_to(data, delivery.left)
            box.replace(name, self._paused(box, name, left))
        elif set(delivery.left) != set(headers.recipients(data)):
            box.replace(name, envelope.left_to(data, delivery.left))

    def _paused(self, box: Outbox, name: str, data: bytes) -> bytes:
        """Return the mail *data*, to be tried again once it is twice as old."""
        now = self.clock()
        pause = min(PAUSE, max(0.0, box.age(name, now)))
        return envelope.paused(data, now + pause)


def _held(
    outboxes: Iterable[Outbox], stack: ExitStack, unreadable: list[StorageError]
) -> Iterator[Outbox]:
    """Yield those of *outboxes* that are free, locked until the end of *stack*.

    Errors of those that cannot be listed or locked are added to *unreadable*.
    """
    for box in outboxes:
        try:
            box.listed()
            is_held = stack.enter_context(box.held())
        except StorageError as error:
            unreadable.append(error)
        else:
            if is_held:
                yield box


def _about(letter: Letter, outboxes: Iterable[Outbox]) -> Iterator[tuple[Outbox, str]]:
    """Yield the waiting mails that are only about the incidents of *letter*."""
    for box in outboxes:
        for name in box.waiting():
            with suppress(StorageError):
                incidents = headers.incidents(box.read(name))
                if (
                    name != letter.name
                    and incidents
                    and incidents <= {*letter.incidents}
                ):
                    yield box, name


def _outcome(
    mails: Sequence[bytes], result: smtp.SmtpResult, now: float
) -> MailOutcome:
    rejected: dict[str, str] = {}
    put_off: dict[str, str] = {}
    accepted: set[str] = set()
    error = result.error
    for data, delivery in zip(mails, result.deliveries, strict=True):
        rejected |= delivery.rejected
        missing = {*delivery.left, *delivery.rejected}
        accepted |= set(headers.recipients(data)) - missing
        if delivery.left and not _others_have_it(data, delivery):
            error = error or delivery.error
            continue
        put_off |= delivery.put_off
        if delivery.is_final or now - headers.dated(data) > HOUR:
            rejected |= delivery.put_off
    return MailOutcome(error, rejected, frozenset(accepted), put_off)


def _others_have_it(data: bytes, delivery: Delivery) -> bool:
    """Return whether all but recipients who are refused have received the mail *data*.

    The server may reject the whole mail meanwhile: then it is not due to them.
    """
    are_refused = delivery.put_off.keys() >= set(delivery.left)
    return are_refused and headers.is_partly_served(data, delivery.left)
