"""The alerter: reports to people what runs observed, each problem once."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.alerts import signals, space
from bikecollect.alerts.escalation import MEMORY, step
from bikecollect.alerts.state import AlertState
from bikecollect.alerts.system_state import AlertPaths, SystemAlertState
from bikecollect.core.causes import Cause
from bikecollect.core.errors import Outcome
from bikecollect.core.incidents import Event, Signal
from bikecollect.core.run import Run
from bikecollect.core.slots import CLOCK_FLOOR, DAY, HOUR, Slot, day_of
from bikecollect.storage.alert_ledger import AlertLedger
from bikecollect.storage.data_folder import is_marked
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
    changed: bool
    events: tuple[Event, ...] = ()
    is_held_back: bool = False


FEW_RUNS = 8
NO_LEDGER = Path("/nonexistent")
GRACE = 7 * DAY
"""Seconds after `csv_days` at which a CSV that was not removed becomes a signal."""
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

    def _loaded(
        self, run: Run, stack: ExitStack
    ) -> tuple[SystemAlertState, AlertLedger, AlertState]:
        """Return the state of the system of *run*, which stays locked by *stack*."""
        paths = self.systems[run.system_id]
        state_file = paths.state()
        ledger = AlertLedger(paths.system.ledger)
        if not is_marked(paths.system.path):
            ledger = AlertLedger(NO_LEDGER)  # it may be that of another system
        stack.enter_context(state_file.held())
        state = state_file.load()
        if state is None or _is_outdated(state, run, ledger):
            incidents = ledger.incidents(Slot(run.slot - MEMORY), run.slot)
            state = AlertState(ledger.last_run(run.slot), incidents)
        return state_file, ledger, state

    def _noted(
        self, run: Run, observed: Mapping[str, Signal | None], stack: ExitStack
    ) -> RunAlerts:
        """Return the alerts for signals that were *observed* outside of a fetch."""
        paths = self.systems[run.system_id]
        state_file, ledger, before = self._loaded(run, stack)
        state_file.older_copy(run.slot, paths.system, ledger)
        incidents, events = step(
            before.incidents, run.slot, observed, paths.system.grid, muted=self.muted
        )
        after = before._replace(incidents=incidents)
        changed = incidents != before.incidents
        return RunAlerts(run, paths, state_file, ledger, after, changed, events)

    def _evaluated(self, run: Run, stack: ExitStack) -> RunAlerts:
        """Return the alerts of *run*; no events if it was reported before."""
        paths = self.systems[run.system_id]
        state_file, ledger, before = self._loaded(run, stack)
        if run.run_id in before.told:
            return RunAlerts(run, paths, state_file, ledger, before, changed=False)
        run = signals.dated(run, ledger.real_start(run), paths.system.grid)
        before = self._brought_up(before, run, ledger)
        # A run whose time is unknown is reported for the latest known slot.
        slot = run.slot if run.slot >= CLOCK_FLOOR else (before.seen or run.slot)
        today = day_of(slot, paths.system.zone)
        older = state_file.older_copy(run.slot, paths.system, ledger)
        room = space.measure(paths.system.path)
        before = before._replace(space=space.noted(before.space, today, room))
        observed = self._observed(run, before, ledger, room)
        is_held_back = False
        if before.seen is not None and CLOCK_FLOOR <= run.slot <= before.seen:
            is_held_back = self._is_untold(run, before)
            # Of a killed run even these were reported.
            has_over = run.outcome is not Outcome.KILLED
            observed = {k: s for k, s in observed.items() if has_over and s and s.over}
        if older:
            observed["damage"] = observed.get("damage") or older
        earlier = signals.filled(before.incidents, run)
        if observed.get("lost", ...) is None and any(map(signals.is_older, earlier)):
            from bikecollect.alerts.earlier_data import OlderCopy

            earlier = OlderCopy(paths.system, ledger).recounted(earlier)
        incidents, events = step(
            earlier, slot, observed, paths.system.grid, self.after, muted=self.muted
        )
        if events and not state_file.save(before) and not ledger.usable():
            # Nothing can be remembered: report once an hour, instead of in each slot
            # this run and all earlier ones that could not be recorded.
            is_new = self.clock() < run.slot + self.interval
            is_due = is_new and run.slot % HOUR < self.interval
            events = events if is_due else ()
            is_held_back = is_new and not is_due
        seen = before.seen
        if not _has_wrong_clock(run):
            seen = Slot(max(run.slot, before.seen or run.slot))
        after = before._replace(
            seen=seen,
            incidents=incidents,
            archive_day=today,
            told=(*before.told[-FEW_RUNS:], run.run_id),
        )
        changed = incidents != before.incidents
        return RunAlerts(
            run, paths, state_file, ledger, after, changed, events, is_held_back
        )

    def _brought_up(
        self, state: AlertState, run: Run, ledger: AlertLedger
    ) -> AlertState:
        """Return *state* as it is before *run*, by the settings and the ledger."""
        if run.outcome is not Outcome.KILLED:
            state = state.until(run.slot, self.interval, ledger.last_run)
        state = state.with_mail_settings(self.mail_settings)
        state = state._replace(mail=self.mail_errors.get(run.system_id, state.mail))
        return self._with_ledger(state, run, ledger)

    def _observed(
        self,
        run: Run,
        before: AlertState,
        ledger: AlertLedger,
        room: space.Space | None,
    ) -> dict[str, Signal | None]:
        """Return the signals of *run* that are not muted, by kind."""
        missed = self._missed(before.seen, run, ledger)
        observed = signals.of_run(run, missed, self.muted)
        if self.mail_settings:
            observed |= signals.of_mail(before.mail, before.rejected)
        observed |= self._unarchived(run, before)
        is_alive = run.outcome is not Outcome.KILLED
        system = self.systems[run.system_id].system
        if is_alive:
            observed |= signals.of_loss(system, run.slot)
            if (lost := observed.get("lost")) and lost.cause == Cause.OLDER_FOLDER:
                from bikecollect.alerts.earlier_data import OlderCopy

                older = OlderCopy(system, ledger)
                observed |= older.counted(lost, observed, before.incidents)
            others = self.namesakes.get(system.path, ())
            if others and observed.get("lost", others) is None:
                from bikecollect.alerts import earlier_data  # a fetch seldom needs it

                observed["lost"] = earlier_data.of_new_history(
                    system, run.slot, others, ledger, before.incidents
                )
        if is_alive and not observed.get("disk"):  # a full disk is reported as such
            observed |= space.of_space(system.path, room, before.space)
        return {kind: s for kind, s in observed.items() if kind not in self.muted}

    def _is_untold(self, run: Run, before: AlertState) -> bool:
        """Return whether *run*, of a slot reported before, failed by a new problem."""
        kind = signals.ended_by(run)
        known = {i.kind for i in before.incidents if i.closed is None}
        return bool(kind) and kind not in known | self.muted

    def _with_ledger(
        self, state: AlertState, run: Run, ledger: AlertLedger
    ) -> AlertState:
        """Return *state* with open incidents that only the ledger has; once a day.

        They exist if a run was killed between the two writes, and would stay open.
        """
        if state.archive_day == day_of(
            run.slot, self.systems[run.system_id].system.zone
        ):
            return state
        known = {incident.kind for incident in state.incidents}
        recent = ledger.incidents(Slot(run.slot - MEMORY), run.slot)
        orphans = (i for i in recent if i.is_open and i.kind not in known)
        return state._replace(incidents=(*state.incidents, *orphans))

    def _unarchived(self, run: Run, before: AlertState) -> dict[str, Signal | None]:
        """Return the signal of a closed day that was never archived; once a day."""
        system = self.systems[run.system_id].system
        if before.archive_day == day_of(run.slot, system.zone):
            return {}
        oldest = oldest_csv(system.path)
        latest = Slot(max(0, run.slot - self.csv_days * DAY - GRACE))
        limit = day_of(latest, system.zone)
        if not oldest or oldest >= limit:
            return signals.of_archived(before.incidents)
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
        if self.digests and keeps_digest and state.digested != today:
            return True
        outboxes = (system.outbox, alerts.paths.spare_outbox)
        return bool(state.mail) or any(map(may_have_entries, outboxes))

    def _missed(
        self, seen: Slot | None, run: Run, ledger: AlertLedger
    ) -> Signal | None:
        grid = self.systems[run.system_id].system.grid
        if seen is None or grid.next(seen) >= run.slot:
            return None
        if _has_wrong_clock(run):
            return None  # the next run with a correct clock reports them
        if ledger.begins_with(run.slot):
            return None  # the slots of a history that its owner has removed
        filled, runs = ledger.between(seen, run.slot)
        if not ledger.is_readable():
            runs = [signals.reported_at(seen)]
        return signals.missed(seen, run, grid, filled, runs)


def _is_outdated(state: AlertState, run: Run, ledger: AlertLedger) -> bool:
    """Return whether *state*, written by an earlier version, is out of date.

    Earlier versions kept it only in a user's state folder; another user may have
    collected since.
    """
    if state.revision or state.seen is None:
        return False
    return state.seen < (ledger.last_run(run.slot) or state.seen)


def _has_wrong_clock(run: Run) -> bool:
    """Return whether the slot of *run* is an estimate: its clock was wrong."""
    return run.outcome is Outcome.DEFERRED and run.cause == "clock"


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
