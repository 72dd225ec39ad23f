"""The dispatcher: mails, digests, webhooks and commands for the alerter's events."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from pathlib import Path
from time import monotonic

from bikecollect.alerts import digest, messages
from bikecollect.alerts.alerter import Notification, RunAlerts
from bikecollect.alerts.digest import DigestSummary, UnreadableSystem
from bikecollect.alerts.mail.mailer import Mailer, MailOutcome
from bikecollect.alerts.mail.outbox import Outbox
from bikecollect.alerts.messages import Letter, MessageFacts
from bikecollect.alerts.state import AlertState
from bikecollect.alerts.system_state import AlertPaths
from bikecollect.core.errors import BikecollectError
from bikecollect.core.incidents import Event, EventType, Incident
from bikecollect.core.logs import NAME as LOG
from bikecollect.core.logs import of_run
from bikecollect.core.secrets.redact import Redact, unredacted
from bikecollect.core.slots import DAY, Slot
from bikecollect.reports import evidence
from bikecollect.reports.status import survey
from bikecollect.storage.data_folder import SystemFolder, is_marked
from bikecollect.storage.ledger_reader import History

log = logging.getLogger(__name__)

TAIL_LINES = 8
RUN_LINES = 40
"""Maximum lines of the log in a mail: a traceback is long."""
TAIL_BYTES = 16_384
UNMAILABLE = frozenset(
    {
        EventType.OPENED,
        EventType.REMINDED,
        EventType.ESCALATED,
        EventType.RETURNED,
    }
)
"""Events that cannot be mailed while the mail server accepts no mail."""
SHORT = 0.5
"""A hook is not called again if fewer seconds than these are left of its time."""
Hook = Callable[[str, Mapping[str, str], float], str]


@dataclass(frozen=True)
class Dispatcher:
    """Reports events; *mailer* sends mails, None without a mail server.

    *hooks* take a short text, variables and seconds, and return an error or an empty
    text; together all calls of one may take *hook_seconds*, in *spent* so far.
    *period* is that of the digest: daily, weekly or empty. *unusable* are the systems
    whose folder cannot be written to. *zone* is the time zone of mails, None for this
    machine's. *redact* removes secrets from a text and completes the commands in it.
    *is_mailed* says of a system and a text whether `status --alert --mail` mailed that
    within the last day.
    """

    systems: Mapping[str, AlertPaths]
    mailer: Mailer | None = None
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    hook_seconds: float = 10.0
    spent: dict[str, float] = field(default_factory=dict)
    version: str = ""
    period: str = ""
    unusable: frozenset[str] = frozenset()
    redact: Redact = unredacted
    zone: tzinfo | None = None
    is_mailed: Callable[[str, str], bool] = lambda _system_id, _text: False

    def spool(self, notification: Notification) -> bool:
        """Put a mail about *notification* into the outbox; return whether it worked.

        There is none about an incident that opens if people know its text already.
        """
        pairs = self._pairs(notification)
        event, facts = pairs[0]
        _, alerts = notification[0]
        if self.mailer is None or _is_unmailable(event, alerts):
            return False
        if event.what is EventType.OPENED and all(
            self.is_mailed(f.system_id, e.incident.text) for e, f in pairs
        ):
            return True
        letter = Letter(
            messages.name(event, facts),
            messages.subject(pairs),
            self.redact(messages.body(pairs)),
            tuple(f".{f.system_id}.{e.incident.incident_id}." for e, f in pairs),
            escalated=any(e.incident.escalated for e, _ in pairs),
        )
        with of_run(facts.system_id, facts.run_id):  # in the log of that system
            return self.mailer.spool(
                self._outbox(alerts.paths),
                letter,
                others=_outboxes(alerts.paths for _, alerts in notification),
                without=_unreachable(event, alerts),
            )

    def drain(
        self, failing: Iterable[AlertPaths] = (), left: Iterable[Path] = ()
    ) -> None:
        """Send the waiting mails, and store the outcome in the first system's state.

        *failing* are the systems whose state says that mails cannot be sent: the first
        one, and those that were the first of another call, or of other settings. *left*
        are the outboxes of systems that are not in the settings.
        """
        if self.mailer is None:
            return
        outboxes = _outboxes(self.systems.values())
        outcome = self.mailer.drain(outboxes, left=[Outbox(folder) for folder in left])
        first = next(iter(self.systems.values()))
        others = [paths for paths in failing if paths != first]
        state_file = first.state()
        with state_file.held():
            state = state_file.load()
            if outcome is None and (others or (state is not None and state.mail)):
                error = self.mailer.check()
                if not error and state and self.mailer.has_undelivered(outboxes):
                    error = state.mail or ""
                outcome = MailOutcome(error)
            if outcome is None:
                return
            after = None if state is None else self._with_outcome(state, outcome)
            if after is not None and after != state:
                state_file.save(after)
        for paths in others if not outcome.error else ():
            paths.state().clear_mail_error()

    def _with_outcome(self, state: AlertState, outcome: MailOutcome) -> AlertState:
        rejected = dict(state.rejected)
        for address in outcome.accepted:
            rejected.pop(address, None)
        for address, reply in outcome.rejected.items():
            rejected[address] = self.redact(reply)
        return state._replace(mail=self.redact(outcome.error), rejected=rejected)

    def digest(self) -> None:
        """Spool the digest of the last period, if it is over for all systems."""
        if not self.period or self.mailer is None:
            return
        now = datetime.fromtimestamp(self.mailer.clock(), UTC)
        zones = {paths.system.zone for paths in self.systems.values()}
        today = min(now.astimezone(zone).date() for zone in zones)
        paths = next(iter(self.systems.values()))
        state_file = paths.state()
        with state_file.held():
            state = state_file.load()
            if state is None or state.digested == today.isoformat():
                return
            days = digest.due(self.period, today, state.digested)
            if days and not self._spool_digest(self.mailer, paths, today, days):
                return  # neither kept nor sent: the next run tries again
            state_file.save(state._replace(digested=today.isoformat()))

    def call_hooks(self, notification: Notification) -> bool:
        """Call the webhook and the command; return whether any of them succeeded."""
        if not self.hooks:
            return False
        pairs = self._pairs(notification)
        event, facts = pairs[0]
        variables = {
            "BIKECOLLECT_SYSTEM": ",".join(f.system_id for _, f in pairs),
            "BIKECOLLECT_KIND": event.incident.kind,
            "BIKECOLLECT_WHAT": event.what.value,
            "BIKECOLLECT_SLOTS_LOST": str(sum(e.incident.lost for e, _ in pairs)),
            "BIKECOLLECT_RUN": facts.run_id,
        }
        text = self.redact(messages.short(pairs))
        errors = {name: self._called(name, text, variables) for name in self.hooks}
        runs = dict.fromkeys((f.system_id, f.run_id) for _, f in pairs)
        for run in runs:
            with of_run(*run):  # in the log of each system that the text is about
                _log_failed(errors)
        return not all(errors.values())

    def _called(self, name: str, text: str, variables: Mapping[str, str]) -> str:
        """Call the hook *name* with the rest of its time; return the error."""
        left = self.hook_seconds - self.spent.get(name, 0.0)
        if left < min(SHORT, self.hook_seconds):
            return "not called: earlier calls took all of its time"
        begin = monotonic()
        error = self.hooks[name](text, variables, left)
        self.spent[name] = self.spent.get(name, 0.0) + monotonic() - begin
        return error

    def _outbox(self, paths: AlertPaths) -> Outbox:
        is_unusable = paths.system.system_id in self.unusable
        is_unusable = is_unusable or not is_marked(paths.system.path)
        return Outbox(paths.spare_outbox if is_unusable else paths.system.outbox)

    def _pairs(self, notification: Notification) -> list[tuple[Event, MessageFacts]]:
        return [(e, self._facts(alerts, e.incident)) for e, alerts in notification]

    def _facts(self, alerts: RunAlerts, incident: Incident) -> MessageFacts:
        run, system = alerts.run, alerts.paths.system
        return MessageFacts(
            system_id=run.system_id,
            zone=system.zone,
            reader_zone=self.zone or _local_zone(run.slot),
            interval=system.grid.interval_at(incident.last),
            slot=run.slot,
            folder=str(system.path),
            last_good=alerts.ledger.last_block(Slot(run.slot + 1)),
            inbox=_count(system.inbox),
            rejected=_count(system.rejected),
            run_id=run.run_id,
            version=self.version,
            host=os.uname().nodename,
            tail=_tail(system.path / LOG, run.run_id),
            mirror=system.mirror,
        )

    def _spool_digest(
        self, mailer: Mailer, paths: AlertPaths, today: date, days: tuple[date, date]
    ) -> bool:
        """Put the digest of *days* into the outbox; return whether it worked."""
        summaries: list[DigestSummary | UnreadableSystem] = []
        for name, own in self.systems.items():
            try:
                summaries.append(self._summary(own.system, days, mailer.clock()))
            except BikecollectError as error:
                log.warning("%s: the digest has no figures: %s", name, error)
                summaries.append(UnreadableSystem(name, str(error)))
        sender = f"bikecollect {self.version} on {os.uname().nodename}"
        text = self.redact(digest.body(summaries, sender))
        # With the system: other calls of this machine have their own digest.
        name = f"{today}.digest.{self.period}.{paths.system.system_id}"
        letter = Letter(name, digest.subject(*days, summaries), text)
        return mailer.spool(self._outbox(paths), letter)

    def _summary(
        self, system: SystemFolder, days: tuple[date, date], now: float
    ) -> DigestSummary:
        """Return the figures of *days*, which are local days of the system."""
        first, last = (
            datetime.combine(day, time(), system.zone).timestamp()
            for day in (days[0], days[1] + timedelta(days=1))
        )
        begin, end = Slot(int(first)), Slot(int(last))
        history = History(system.system_id, system.path)
        start = min(end, max(begin, history.first() or end))
        account = evidence.read_account(system, start, end, now=now)
        flags = [words for slot, words in history.flags(start) if slot < end]
        standing = survey(system, now=last)
        return DigestSummary(
            system_id=system.system_id,
            coverage=account.total,
            vehicles=account.vehicles,
            lost=account.causes,
            flags=Counter(flag for words in flags for flag in words.split()),
            inbox=standing.inbox,
            rejected=standing.rejected,
            used=standing.disk.used,
            free=standing.disk.free,
            time_left=standing.disk.time_left,
        )


def _log_failed(errors: Mapping[str, str]) -> None:
    """Log the *errors* of hooks, by their names."""
    for name, error in errors.items():
        if error:
            log.warning("%s failed: %s", name, error, extra={"is_reported": True})


def _outboxes(systems: Iterable[AlertPaths]) -> list[Outbox]:
    """Return the outboxes of *systems*, each once."""
    folders = [f for p in systems for f in (p.system.outbox, p.spare_outbox)]
    return [Outbox(folder) for folder in dict.fromkeys(folders)]


def _is_unmailable(event: Event, alerts: RunAlerts) -> bool:
    is_about_mail = event.incident.kind == "mail" and event.what in UNMAILABLE
    return is_about_mail and bool(alerts.state.mail)


def _unreachable(event: Event, alerts: RunAlerts) -> frozenset[str]:
    """Return the recipients to leave out of the mail that reports their rejection.

    Once a day they are tried all the same: the server may accept them again.
    """
    incident = event.incident
    if incident.kind != "mail" or incident.told_at - incident.opened >= DAY:
        return frozenset()
    return frozenset(alerts.state.rejected)


def _local_zone(moment: float) -> tzinfo:
    """Return this machine's UTC offset at *moment*, as a time zone."""
    offset = datetime.fromtimestamp(moment, UTC).astimezone().utcoffset()
    return timezone(offset or timedelta())


def _count(folder: Path) -> int:
    with suppress(OSError):
        return sum(path.suffix == ".zip" for path in folder.iterdir())
    return 0


def _tail(path: Path, run_id: str) -> list[str]:
    """Return the last lines of the log *path*: a few, or all of *run_id* if more."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        text = file.read().decode("utf-8", "replace").removesuffix("\n")
        lines = text.split("\n")[-RUN_LINES:]
        own = next((n for n, line in enumerate(lines) if run_id in line), len(lines))
        return lines[min(own, max(0, len(lines) - TAIL_LINES)) :]
    return []
