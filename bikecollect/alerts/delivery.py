"""Dispatch: letters, digests and hooks, for what the alerter wants told."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path

from bikecollect.alerts import digest, messages
from bikecollect.alerts.alerter import AlertPlace, News, Told
from bikecollect.alerts.digest import Summary
from bikecollect.alerts.mail.mailer import Post
from bikecollect.alerts.mail.outbox import Outbox
from bikecollect.alerts.messages import Facts, Letter
from bikecollect.alerts.state import AlertStateFile
from bikecollect.core.errors import BikecollectError
from bikecollect.core.incidents import Event, EventType
from bikecollect.core.logs import NAME as LOG
from bikecollect.core.secrets.redact import Redact, unredacted
from bikecollect.core.slots import Slot
from bikecollect.reports import evidence
from bikecollect.reports.status import survey
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.ledger_reader import History

log = logging.getLogger(__name__)

TAIL_LINES = 8
TAIL_BYTES = 16_384
UNMAILABLE = frozenset(
    {EventType.OPENED, EventType.REMINDED, EventType.ESCALATED, EventType.RETURNED}
)
"""What a mail cannot say of the mail server."""
Hook = Callable[[str, Mapping[str, str]], str]


@dataclass(frozen=True)
class Dispatch:
    """Tells people; *post* sends mails (None: nobody is to get any).

    *hooks* are handed a short text and variables, and return what went wrong.
    *period* is that of the digest, daily or weekly, empty for none. *away* says
    which systems have no folder to write to. *redact* takes secrets out of a text, and
    names the commands in it as they work on this machine.
    """

    places: Mapping[str, AlertPlace]
    interval: int
    post: Post | None = None
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    version: str = ""
    period: str = ""
    away: frozenset[str] = frozenset()
    redact: Redact = unredacted

    def spool(self, told: Told) -> bool:
        """Put the letter about *told* into the outbox; return whether it is safe."""
        pairs = self._pairs(told)
        event, facts = pairs[0]
        if self.post is None:
            return False
        if event.incident.kind == "mail" and event.what in UNMAILABLE:
            return False
        written = Letter(
            messages.name(event, facts),
            messages.subject(pairs),
            self.redact(messages.body(pairs)),
            tuple(f".{f.system_id}.{e.incident.incident_id}." for e, f in pairs),
            escalated=any(e.incident.escalated for e, _ in pairs),
        )
        return self.post.spool(self._outbox(told[0][1].place), written)

    def drain(self) -> None:
        """Send what waits, and note in the first system's state how that went."""
        if self.post is None:
            return
        places = self.places.values()
        both = [folder for p in places for folder in (p.system.outbox, p.away)]
        error = self.post.drain([Outbox(folder) for folder in dict.fromkeys(both)])
        if error is None:
            return
        error = self.redact(error)
        state_file = AlertStateFile(next(iter(places)).state_file)
        with state_file.held():
            state = state_file.load()
            if state is not None and state.mail != error:
                state_file.save(state._replace(mail=error))

    def digest(self) -> None:
        """Spool the digest of the period that is over, where one is wished and due."""
        if not self.period or self.post is None:
            return
        place = next(iter(self.places.values()))
        state_file = AlertStateFile(place.state_file)
        with state_file.held():
            state = state_file.load()
            today = datetime.fromtimestamp(self.post.clock(), place.system.zone).date()
            if state is None or state.digested == today.isoformat():
                return
            days = digest.due(self.period, today, state.digested)
            if days is not None:
                self._spool_digest(self.post, place, today, days)
            state_file.save(state._replace(digested=today.isoformat()))

    def hook(self, told: Told) -> bool:
        """Tell the webhook and the command; return whether any of them took it."""
        if not self.hooks:
            return False
        pairs = self._pairs(told)
        event, facts = pairs[0]
        variables = {
            "BIKECOLLECT_SYSTEM": ",".join(f.system_id for _, f in pairs),
            "BIKECOLLECT_KIND": event.incident.kind,
            "BIKECOLLECT_WHAT": event.what.value,
            "BIKECOLLECT_SLOTS_LOST": str(sum(e.incident.lost for e, _ in pairs)),
            "BIKECOLLECT_RUN": facts.run_id,
        }
        taken = False
        for way, act in self.hooks.items():
            error = act(self.redact(messages.short(pairs)), variables)
            if error:
                log.warning("%s: %s", way, error, extra={"told": True})
            taken = taken or not error
        return taken

    def _outbox(self, place: AlertPlace) -> Outbox:
        away = place.system.system_id in self.away
        return Outbox(place.away if away else place.system.outbox)

    def _pairs(self, told: Told) -> Sequence[tuple[Event, Facts]]:
        return [(event, self._facts(news)) for event, news in told]

    def _facts(self, news: News) -> Facts:
        run, system = news.run, news.place.system
        return Facts(
            system_id=run.system_id,
            zone=system.zone,
            interval=self.interval,
            slot=run.slot,
            folder=str(system.path),
            last_good=news.ledger.last_block(Slot(run.slot + 1)),
            inbox=_count(system.payloads / "inbox"),
            rejected=_count(system.payloads / "rejected"),
            run_id=run.run_id,
            version=self.version,
            host=os.uname().nodename,
            tail=_tail(system.path / LOG),
        )

    def _spool_digest(
        self, post: Post, place: AlertPlace, today: date, days: tuple[date, date]
    ) -> None:
        try:
            found = [
                self._summary(place.system, days, post.clock())
                for place in self.places.values()
            ]
        except BikecollectError as error:
            log.warning("no digest could be made: %s", error)
            return
        about = f"bikecollect {self.version} on {os.uname().nodename}"
        text = self.redact(digest.body(found, about))
        name = f"{today}.digest.{self.period}"
        post.spool(self._outbox(place), Letter(name, digest.subject(*days), text))

    def _summary(
        self, system: SystemFolder, days: tuple[date, date], now: float
    ) -> Summary:
        """Return what became of the slots of *days*, in the system's own time."""
        first, last = (
            datetime.combine(day, time(), system.zone).timestamp()
            for day in (days[0], days[1] + timedelta(days=1))
        )
        begin, end = Slot(int(first)), Slot(int(last))
        history = History(system.system_id, system.path)
        begun = min(end, max(begin, history.first() or end))
        account = evidence.read_account(system, begun, end, now=now)
        flags = [words for slot, words in history.flags(begun) if slot < end]
        seen = survey(system, now=last)
        return Summary(
            system_id=system.system_id,
            coverage=account.total,
            lost=account.causes,
            flags=Counter(flag for words in flags for flag in words.split()),
            inbox=seen.inbox,
            rejected=seen.rejected,
            used=seen.disk.used,
            free=seen.disk.free,
            days_left=seen.disk.days_left,
        )


def _count(folder: Path) -> int:
    with suppress(OSError):
        return sum(each.suffix == ".zip" for each in folder.iterdir())
    return 0


def _tail(path: Path) -> list[str]:
    with suppress(OSError), path.open("rb") as opened:
        opened.seek(max(0, path.stat().st_size - TAIL_BYTES))
        text = opened.read().decode("utf-8", "replace").removesuffix("\n")
        return text.split("\n")[-TAIL_LINES:]
    return []
