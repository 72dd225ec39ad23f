"""The five-minute path of one system: fetch, accept, commit all waiting payloads."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bikecollect.collect.commit import Committer
from bikecollect.collect.fetching.clock import ClockCheck, check_clock, corrected
from bikecollect.collect.fetching.fetcher import Fetcher
from bikecollect.core.errors import (
    BikecollectError,
    FeedError,
    Interrupted,
    Outcome,
    RateLimited,
    StorageError,
)
from bikecollect.core.logs import Stopwatch
from bikecollect.core.payload import Payload
from bikecollect.core.run import (
    Notice,
    Result,
    Run,
    block_source,
    concluded,
    deferred_by_clock,
    payload_name,
    postponed,
    with_killed_runs,
    with_notice,
)
from bikecollect.core.slots import DAY, Slot, day_of
from bikecollect.core.timeline.grid import Grid
from bikecollect.storage.data_folder import INBOX, REJECTED
from bikecollect.storage.payload_store import run_of
from bikecollect.storage.recovery import Recovery
from bikecollect.storage.repair import found_at_open
from bikecollect.storage.run_notes import OpenNote, RunNotes

if TYPE_CHECKING:
    from bikecollect.collect.reading.dry_run import Stored
    from bikecollect.core.blocks import Block
    from bikecollect.storage.ledger import Ledger
    from bikecollect.storage.lock import Lock
    from bikecollect.storage.payload_store import Payloads

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, repr=False)
class Cycle:
    """The path of one system from its feed to its files.

    *committer* has the parser of the stations, and that of vehicles if collected.
    *troubles* are those of the user's columns. *stored* reads stations for a dry run.
    *working* is held while payloads are read and committed, but not during the fetch.
    With *reports* the note of the run stays open until the run was reported. *checks*
    are the failed checks of the clock, *written* whether the ended run is recorded.
    """

    fetcher: Fetcher
    run_notes: RunNotes
    payloads: "Payloads"
    lock: "Lock"
    ledger: "Ledger"
    recovery: Recovery
    committer: Committer
    payload_days: int
    clock: Callable[[], float]
    record_facts: Callable[[], Sequence[str]] = tuple
    troubles: tuple[str, ...] = ()
    watch: Stopwatch = field(default_factory=Stopwatch)
    newest_block: "Callable[[], Block | None]" = lambda: None
    stored: "Stored" = dict
    reports: bool = False
    working: AbstractContextManager[object] = field(default_factory=nullcontext)
    checks: list[ClockCheck] = field(default_factory=list)
    written: list[bool] = field(default_factory=list)

    def run(self, run: Run, refusal: FeedError | None = None) -> Run:
        """Collect one snapshot; errors end the run and are recorded in it.

        If there is a *refusal*, nothing is fetched: it is recorded as the error.
        """
        run = self._begin(run)
        try:
            payload = self._fetch(run, refusal)
            run, payload = self._check_clock(run, payload)
            run = self._accept(run, payload)
        except (BikecollectError, OSError) as error:
            run, _ = self._check_clock(run, Payload(()))
            run = self._failed(run, translated(error))
        if run.outcome is Outcome.INTERRUPTED:
            return self._end(run, written=False)
        return self._settle(run)

    def dry(self, run: Run) -> Run:
        """Fetch and read without writing anything; errors end the run."""
        from bikecollect.collect.reading import dry_run  # not for cron

        try:
            payload = self._fetch(run)
            run = replace(run, bytes=payload.size, http_status=payload.http_status)
            with self.watch("read"):
                result = dry_run.read(self.committer, payload, self.stored)
                run = concluded(run, result)
        except (BikecollectError, OSError) as error:
            run = run.failed(translated(error))
        return self._with_measurements(run)

    def open_note(self) -> OpenNote:
        """Return the note of the run, which is closed after the run was reported."""
        return OpenNote(self.run_notes, all(self.written))

    def _begin(self, run: Run) -> Run:
        """Write the note of the run, which tells the next run if this one is killed."""
        try:
            self.run_notes.begin(run)
        except BikecollectError as error:
            run = run.noticed(Notice(error.cause, str(error)))
        return run.noticed(*(Notice("columns", text) for text in self.troubles))

    def _fetch(self, run: Run, refusal: FeedError | None = None) -> Payload:
        if refusal is not None:
            raise refusal
        with self.watch("fetch"):
            return self.fetcher.fetch(run)

    def _check_clock(self, run: Run, payload: Payload) -> tuple[Run, Payload]:
        """Return both with corrected times and slot if the clock is far off.

        Such a run commits nothing: its payload waits for a run with a correct clock.
        """
        check = check_clock(self.clock(), payload.documents, run, self.newest_block)
        if not check.error:
            return run, payload
        self.checks.append(check)
        grid = Grid.of(self.committer.reader.interval, self.committer.zone)
        slot = grid.at(run.started + check.offset)
        run = replace(run, slot=slot, started=run.started + check.offset)
        payload = corrected(payload, slot, check.offset)
        return run.noticed(Notice("clock", check.error)), payload

    def _accept(self, run: Run, payload: Payload) -> Run:
        """Make *payload* durable; if that fails, keep it in memory."""
        size = payload.size
        run = replace(run, bytes=size, http_status=payload.http_status)
        try:
            with self.watch("accept"):
                self.payloads.accept(payload)
        except BikecollectError as error:
            return run.noticed(Notice(error.cause, str(error)))
        return replace(run, accepted=True)

    def _failed(self, run: Run, error: BikecollectError) -> Run:
        if isinstance(error, RateLimited):
            self.fetcher.note_rate_limit(error)
        if isinstance(error, Interrupted):
            return run.failed(error)
        return run.failed(error).noticed(Notice("fetch", str(error)))

    def _settle(self, run: Run) -> Run:
        """Under the lock: recover, commit all waiting payloads, record the run."""
        written = False
        try:
            with self.working, self.lock.held():
                run, recordable = self._recover_and_commit(run)
                if not all(check.is_known for check in self.checks):
                    written = True  # the time is unknown: the run is not recorded
                elif recordable:
                    run = self._with_measurements(run)
                    self.ledger.record([run])
                    written = True
        except (BikecollectError, OSError) as error:
            run = postponed(run, translated(error))
        finally:
            self.ledger.close()
            if self.committer.vehicles:
                self.committer.vehicles.close()
        return self._end(run, written=written)

    def _recover_and_commit(self, run: Run) -> tuple[Run, bool]:
        """Recover and commit; return the run, and whether the ledger can record it.

        On a full disk it still can, because data files leave a reserve for the ledger.
        """
        try:
            with self.watch("heal"):
                run = self._open_ledger(run)
                self._log_changed_settings()
                run = self._recover_files(run)
                run = self._open_vehicles(run)
                run = self._recover_runs(run)
            if self.checks:
                return deferred_by_clock(run, self.checks[-1].error), True
            for name in self._waiting(run):
                run = self._commit(run, name)
            run = self._outcome_from_ledger(run)
            run = self._find_newer_payloads(run)
            self.ledger.remember(self.fetcher.notes)
            run = self._prune(run)
        except (BikecollectError, OSError) as failure:
            error = translated(failure)
            return postponed(run, error), error.cause == "disk"
        return run, True

    def _open_ledger(self, run: Run) -> Run:
        """Open the ledger, which is rebuilt if it was lost."""
        self._ignore_future_blocks()
        self.ledger.open()
        return run.noticed(*found_at_open(self.ledger, self.recovery.mirror))

    def _ignore_future_blocks(self) -> None:
        """Make the ledgers ignore blocks written while the clock was ahead."""
        latest = Slot(int(self.clock()) + self.committer.reader.interval)
        self.ledger.latest = latest
        if self.committer.vehicles:
            self.committer.vehicles.ledger.latest = latest

    def _log_changed_settings(self) -> None:
        for change in () if self.checks else self.record_facts():
            log.warning("the settings have changed: %s", change)

    def _recover_files(self, run: Run) -> Run:
        """Repair what killed runs left in the files, and store what was found."""
        run = run.noticed(*self.recovery.recover_files())
        self._note_notices(run)
        return run

    def _note_notices(self, run: Run) -> None:
        """Store the notices of *run* in its note, without an outcome."""
        if run.notices:
            with suppress(BikecollectError):  # the disk is reported by its own errors
                noted = Result(notices=run.notices)
                self.run_notes.update(replace(run, result=noted))

    def _open_vehicles(self, run: Run) -> Run:
        vehicles = self.committer.vehicles
        return run.noticed(*vehicles.open(self.ledger.notes())) if vehicles else run

    def _recover_runs(self, run: Run) -> Run:
        """Record the earlier runs that were killed, with a notice for each."""
        ended = self.recovery.recover_runs(run, self.run_notes)
        return with_killed_runs(run, ended)

    def _waiting(self, run: Run) -> list[str]:
        """Return the waiting payloads in the order in which they are committed.

        Oldest slot first, then the payload of *run*, then payloads that may have
        killed an earlier run, because they may kill this one too.
        """
        own = payload_name(run)

        def rank(name: str) -> int:
            return 1 if name == own else 2 * self._may_kill(name)

        return sorted(self.payloads.waiting(), key=rank)

    def _may_kill(self, name: str) -> bool:
        killed = self.payloads.kills(name) > 0
        return killed or not self.ledger.has_ended(run_of(name))

    def _commit(self, run: Run, name: str) -> Run:
        """Commit the payload called *name*, which an earlier run may have left."""
        own = name == payload_name(run)
        result = self.committer.commit(name, block_source(mine=own))
        run = concluded(run, result) if own else run.noticed(*result.notices)
        self._note_notices(run)
        return run

    def _outcome_from_ledger(self, run: Run) -> Run:
        """Return *run* with its outcome, if its payload was no longer in the inbox."""
        if run.outcome is not None:
            return run
        vehicles = self.committer.vehicles
        block = self.ledger.block(run.slot)
        if block is None and vehicles:
            block = vehicles.block_alone(run.slot)
        if block is None:
            return self._without_block(run)
        if block.run_id != run.run_id:
            return concluded(run, Result(Outcome.DUPLICATE, file=block.span.file))
        return concluded(
            run, Result(Outcome.COLLECTED, rows=block.rows, file=block.span.file)
        )

    def _without_block(self, run: Run) -> Run:
        """Return *run* as rejected by another run, or as waiting where its payload is.

        That is unknown: the folder was moved away after the payload was accepted.
        """
        name = payload_name(run)
        path = self.payloads.path(name, REJECTED)
        if path.exists():
            text = f"another run rejected the payload, see {path}.reason.txt"
            return run.ended(Outcome.REJECTED, "shape", text)
        text = (
            f"{self.payloads.path(name, INBOX)} is gone: the folder was moved or "
            "removed meanwhile; put it back in its place"
        )
        return run.ended(Outcome.DEFERRED, "disk", text).noticed(Notice("disk", text))

    def _find_newer_payloads(self, run: Run) -> Run:
        """Return *run* with a notice if the folder was replaced by an older copy."""
        if run.outcome is not Outcome.COLLECTED or self.committer.vehicles:
            return run
        interval = self.committer.reader.interval
        return run.noticed(*self.recovery.find_newer_payloads(run.slot, interval))

    def _prune(self, run: Run) -> Run:
        """Remove payloads that were kept long enough; early removals are a notice."""
        oldest = Slot(max(0, run.slot - self.payload_days * DAY))
        first_day = day_of(oldest, self.committer.zone)
        text = self.payloads.prune(first_day, self.payload_days + 1, oldest)
        return with_notice(run, "pruned", text)

    def _end(self, run: Run, *, written: bool) -> Run:
        run = self._with_measurements(run)
        self.fetcher.client.close()
        self.written[:] = [written]
        try:
            if self.reports:
                self.run_notes.update(run)
            else:
                self.run_notes.end(run, written=written)
        except BikecollectError as error:
            return run.noticed(Notice(error.cause, str(error)))
        return run

    def _with_measurements(self, run: Run) -> Run:
        measured = replace(
            run,
            finished=self.clock() + sum(check.offset for check in self.checks),
            attempts=tuple(self.fetcher.client.attempts),
            http_status=run.http_status or self.fetcher.last_status,
            seconds=dict(self.watch.seconds),
        )
        return measured.redacted(self.fetcher.redact)


def translated(error: BikecollectError | OSError) -> BikecollectError:
    """Return *error*, converted to a StorageError if it is an OSError.

    Memory, files or permissions may be missing for a moment: that is not a bug.
    """
    if isinstance(error, OSError):
        return StorageError(f"cannot use the disk: {error}")
    return error
