"""The alerter: reports to people what runs observed, each problem once."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.alerts import signals, space
from bikecollect.alerts.escalation import step
from bikecollect.alerts.state import AlertState
from bikecollect.alerts.system_state import AlertPaths, SystemAlertState, with_orphans
from bikecollect.core.causes import Cause
from bikecollect.core.errors import Outcome
from bikecollect.core.incidents import Event, Incident, Signal
from bikecollect.core.run import Run
from bikecollect.core.slots import CLOCK_FLOOR, DAY, HOUR, Slot, day_of
from bikecollect.core.user_folders import NOWHERE
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.data_folder import LEDGER, is_marked
from bikecollect.storage.files.entries import may_have_entries, oldest_csv

if TYPE_CHECKING:
    from bikecollect.alerts.delivery import Dispatcher


@dataclass(eq=False, repr=False)
class RunAlerts:
    """The alerts of one run: the *state* after it, and the *events* to report.

    *is_held_back* is set if the events are not sent, to limit reports to one an hour,
    or if the run failed in a slot whose report said nothing of that.
    """

    run: Run
    paths: AlertPaths
    state_file: SystemAlertState
    ledger: AlertLedger
    state: AlertState
    changed: bool = False
    events: tuple[Event, ...] = ()
    is_held_back: bool = False

    def after(self, state: AlertState, events: tuple[Event, ...]) -> "RunAlerts":
        """Return the alerts with the *state* after the run, instead of that before."""
        changed = state.incidents != self.state.incidents
        return replace(self, state=state, changed=changed, events=events)


NO_LEDGER = NOWHERE / LEDGER
GRACE = 7 * DAY
"""Seconds after `csv_days` at which a CSV that was not removed becomes a signal."""
OFF = 5 * DAY
"""Seconds without a run after which `compact` gets a night before that signal."""
Notification = Sequence[tuple[Event, RunAlerts]]
"""The events of one kind and type, which are reported together."""


@dataclass(frozen=True, eq=False, repr=False)
class Alerter:
    """Decides what is reported; *dispatcher* returns the object that reports it.

    *mail_settings* is their fingerprint, empty without mails; *mail_errors* says by
    system why they cannot be used. *digests* and *has_channel* are set if there are
    some. CSVs are kept for *csv_days*. The first report follows after *after* lost
    slots. *left* returns outboxes with mails of systems that are not in the settings;
    *namesakes* are other folders of systems of the same name, by folder.
    """

    systems: Mapping[str, AlertPaths]
    interval: int
    dispatcher: Callable[[], "Dispatcher"]
    digests: bool = False
    has_channel: bool = False
    muted: frozenset[str] = frozenset()
    mail_settings: str = ""
    mail_errors: Mapping[str, str] = field(default_factory=dict)
    csv_days: int = 7
    after: int = 1
    left: Callable[[], Sequence[Path]] = tuple
    namesakes: Mapping[Path, Sequence[Path]] = field(default_factory=dict)
    clock: Callable[[], float] = time.time

    def report(self, runs: Iterable[Run]) -> bool:
        """Report *runs*; return whether an alert was sent or queued by any channel."""
        runs = [run for run in runs if _is_reportable(run)]
        return self._report(lambda stack: [self._evaluated(r, stack) for r in runs])

    def report_signals(
        self, kind: str, signals: Mapping[str, Signal | None], run: Run
    ) -> bool:
        """Report the *signals* of one *kind* by system; None closes its incident.

        *run* has the time and the id of the command that reports; it fetched no feed.
        """
        if kind in self.muted:
            return self.has_channel
        return self._report(
            lambda stack: [
                self._noted(replace(run, system_id=name), {kind: signal}, stack)
                for name, signal in signals.items()
            ]
        )

    def _report(self, evaluate: Callable[[ExitStack], list[RunAlerts]]) -> bool:
        with ExitStack() as stack:
            evaluated = evaluate(stack)
            notifications = _grouped(evaluated)
            # Usually there is nothing to report, and nothing is imported for it.
            left = self.left() if self.mail_settings else ()
            is_needed = left or notifications or any(map(self._has_mail, evaluated))
            dispatcher = self.dispatcher() if is_needed else None
            spooled = [dispatcher.spool(n) for n in notifications] if dispatcher else []
            for alerts in evaluated:
                _save(alerts)
        # A run whose report is held back is named on stderr, for cron to mail.
        can_report = self.has_channel and not any(a.is_held_back for a in evaluated)
        if dispatcher is None:
            return can_report
        if self.mail_settings:
            dispatcher.digest()
            states = ((alerts.paths, alerts.state) for alerts in evaluated)
            failing = [p for p, state in states if state.mail or state.rejected]
            dispatcher.drain(failing, left)
        called = [dispatcher.call_hooks(n) for n in notifications]
        reported = (a or b for a, b in zip(spooled, called, strict=True))
        return can_report and all(reported)

    def _begun(self, run: Run, stack: ExitStack) -> RunAlerts:
        """Return *run* with the state before it, whose file *stack* keeps locked."""
        paths = self.systems[run.system_id]
        state_file = paths.state()
        ledger = AlertLedger(paths.system.ledger)
        if not is_marked(paths.system.path):
            ledger = AlertLedger(NO_LEDGER)  # it may be that of another system
        stack.enter_context(state_file.held())
        state = state_file.load_or_recover(run.slot, ledger)
        return RunAlerts(run, paths, state_file, ledger, state)

    def _noted(
        self, run: Run, observed: Mapping[str, Signal | None], stack: ExitStack
    ) -> RunAlerts:
        """Return the alerts for signals that were *observed* outside of a fetch."""
        begun = self._begun(run, stack)
        system, before = begun.paths.system, begun.state
        begun.state_file.older_copy(run.slot, system, begun.ledger)
        incidents, events = step(
            before.incidents, run.slot, observed, system.grid, muted=self.muted
        )
        return begun.after(before._replace(incidents=incidents), events)

    def _evaluated(self, run: Run, stack: ExitStack) -> RunAlerts:
        """Return the alerts of *run*; no events if it was reported before."""
        begun = self._begun(run, stack)
        if run.run_id in begun.state.told:
            return begun
        begun = self._brought_up(begun)
        run, system = begun.run, begun.paths.system
        # A run whose time is unknown is reported for the latest known slot.
        slot = run.slot if run.slot >= CLOCK_FLOOR else (begun.state.seen or run.slot)
        today, room = day_of(slot, system.zone), space.measure(system.path)
        before = begun.state._replace(space=space.noted(begun.state.space, today, room))
        begun = replace(begun, state=before)
        observed = self._observed(begun, room)
        incidents = _without_filled(begun, observed)
        incidents, events = step(
            incidents, slot, observed, system.grid, self.after, muted=self.muted
        )
        alerts = begun.after(before.evaluated(run, incidents, today), events)
        if events and not begun.state_file.save(before) and not begun.ledger.usable():
            return self._once_an_hour(alerts)
        return replace(alerts, is_held_back=self._is_untold(run, before))

    def _once_an_hour(self, alerts: RunAlerts) -> RunAlerts:
        """Return *alerts*, which cannot be remembered, with events once an hour.

        In each slot they would be reported again: those of this run, and of all earlier
        ones that could not be recorded.
        """
        slot = alerts.run.slot
        is_new = self.clock() < slot + self.interval
        is_due = is_new and slot % HOUR < self.interval
        events = alerts.events if is_due else ()
        return replace(alerts, events=events, is_held_back=is_new and not is_due)

    def _brought_up(self, begun: RunAlerts) -> RunAlerts:
        """Return the run as of its real time, and the state as it is before it.

        By the settings; and once a day by the ledger.
        """
        run, state, ledger = begun.run, begun.state, begun.ledger
        system = begun.paths.system
        run = signals.dated(run, ledger.real_start(run), system.grid)
        if run.outcome is not Outcome.KILLED:
            state = state.until(run.slot, self.interval, ledger.last_run)
        state = state.with_mail_settings(self.mail_settings)
        state = state._replace(mail=self.mail_errors.get(run.system_id, state.mail))
        if state.archive_day != day_of(run.slot, system.zone):
            state = with_orphans(state, run.slot, ledger)
        return replace(begun, run=run, state=state)

    def _observed(
        self, begun: RunAlerts, room: space.Space | None
    ) -> dict[str, Signal | None]:
        """Return the signals of a run that are not muted, by kind.

        If its slot was reported before, only of problems that are over.
        """
        run, system = begun.run, begun.paths.system
        older = begun.state_file.older_copy(run.slot, system, begun.ledger)
        observed = self._signals(begun, room)
        if begun.state.has_seen(run.slot):
            # Of a killed run even these were reported.
            has_over = run.outcome is not Outcome.KILLED
            observed = {k: s for k, s in observed.items() if has_over and s and s.over}
        if older:
            observed["damage"] = observed.get("damage") or older
        return observed

    def _signals(
        self, begun: RunAlerts, room: space.Space | None
    ) -> dict[str, Signal | None]:
        run, before = begun.run, begun.state
        missed = self._missed(before.seen, run, begun.ledger)
        observed = signals.of_run(run, missed, self.muted)
        if self.mail_settings:
            observed |= signals.of_mail(before.mail, before.rejected)
        observed |= self._unarchived(run, before)
        if run.outcome is not Outcome.KILLED:
            observed |= self._of_loss(begun, observed)
            if not observed.get("disk"):  # a full disk is reported as such
                path = begun.paths.system.path
                observed |= space.of_space(path, room, before.space)
        return {kind: s for kind, s in observed.items() if kind not in self.muted}

    def _of_loss(
        self, begun: RunAlerts, observed: Mapping[str, Signal | None]
    ) -> dict[str, Signal | None]:
        """Return the signals of a loss of earlier data, with its slots."""
        slot, system, ledger = begun.run.slot, begun.paths.system, begun.ledger
        incidents = begun.state.incidents
        found = signals.of_loss(system, slot)
        if (lost := found.get("lost")) and lost.cause == Cause.OLDER_FOLDER:
            from bikecollect.alerts.earlier_data import OlderCopy

            older = OlderCopy(system, ledger)
            found |= older.counted(lost, observed, incidents)
        others = self.namesakes.get(system.path, ())
        if others and found.get("lost", others) is None:
            from bikecollect.alerts import earlier_data  # a fetch seldom needs it

            found["lost"] = earlier_data.of_new_history(
                system, slot, others, ledger, incidents
            )
        return found

    def _is_untold(self, run: Run, before: AlertState) -> bool:
        """Return whether *run*, of a slot reported before, failed by a new problem."""
        if not before.has_seen(run.slot):
            return False
        kind = signals.ended_by(run)
        known = {i.kind for i in before.incidents if i.closed is None}
        return bool(kind) and kind not in known | self.muted

    def _unarchived(self, run: Run, before: AlertState) -> dict[str, Signal | None]:
        """Return the signal of a closed day that was never archived; once a day."""
        system = self.systems[run.system_id].system
        if before.archive_day == day_of(run.slot, system.zone):
            return {}
        oldest = oldest_csv(system.path)
        latest = max(0, run.slot - self.csv_days * DAY - GRACE)
        limit = day_of(Slot(latest), system.zone)
        if not oldest or oldest >= limit:
            return signals.of_archived(before.incidents)
        if run.slot - (before.seen or run.slot) > OFF:
            return {}
        text = (
            f"the CSV of {oldest} was not archived and removed after "
            f"{self.csv_days} days: `bikecollect compact` does not run or fails"
        )
        return {"archive": Signal(signals.NOT_ARCHIVED, text)}

    def _has_mail(self, alerts: RunAlerts) -> bool:
        """Return whether mails wait or could not be sent, or a digest may be due."""
        if not self.mail_settings:
            return False
        system, state = alerts.paths.system, alerts.state
        keeps_digest = alerts.run.system_id == next(iter(self.systems))
        today = day_of(alerts.run.slot, system.zone)
        if state.mail or (self.digests and keeps_digest and state.digested != today):
            return True
        return any(map(may_have_entries, (system.outbox, alerts.paths.spare_outbox)))

    def _missed(
        self, seen: Slot | None, run: Run, ledger: AlertLedger
    ) -> Signal | None:
        system = self.systems[run.system_id].system
        if seen is None or system.grid.next(seen) >= run.slot:
            return None
        if run.has_estimated_slot:
            return None  # the next run with a correct clock reports them
        if ledger.begins_with(run.slot):
            return None  # the slots of a history that its owner has removed
        from bikecollect.reports.evidence import read_missing  # a fetch seldom needs it

        lost, now = signals.of_lost_runs(run), signals.as_seen(run)
        return signals.missed(read_missing(system, seen, now, lost))


def _without_filled(
    begun: RunAlerts, observed: Mapping[str, Signal | None]
) -> tuple[Incident, ...]:
    """Return the incidents before a run, without lost slots that have been filled."""
    incidents = signals.filled(begun.state.incidents, begun.run)
    is_over = observed.get("lost", ...) is None
    if not (is_over and any(map(signals.is_older, incidents))):
        return incidents
    from bikecollect.alerts.earlier_data import OlderCopy

    return OlderCopy(begun.paths.system, begun.ledger).recounted(incidents)


def _is_reportable(run: Run) -> bool:
    return run.outcome not in {Outcome.INTERRUPTED, Outcome.DRY}


def _grouped(evaluated: Iterable[RunAlerts]) -> list[Notification]:
    """Return the notifications: one for all systems with the same kind and type."""
    pairs = sorted(((e, a) for a in evaluated for e in a.events), key=_group)
    return [list(group) for _, group in groupby(pairs, key=_group)]


def _group(pair: tuple[Event, RunAlerts]) -> tuple[str, str]:
    return pair[0].incident.kind, pair[0].what.value


def _save(alerts: RunAlerts) -> None:
    # The state first: the next change writes all its incidents to the ledger again.
    alerts.state_file.save(alerts.state)
    if alerts.changed:
        alerts.ledger.save(alerts.state.incidents)
