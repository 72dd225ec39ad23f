"""The five-minute path of one system: fetch, accept, commit all waiting payloads."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bikecollect.collect.commit import Committer
from bikecollect.collect.quality import ClockCheck, check_clock
from bikecollect.core.errors import (
    BikecollectError,
    FeedError,
    Interrupted,
    Outcome,
    RateLimited,
    StorageError,
)
from bikecollect.core.logs import Stopwatch
from bikecollect.core.payload import FeedClient, Payload
from bikecollect.core.run import (
    Notice,
    Result,
    Run,
    block_source,
    check_not_before,
    concluded,
    deferred_by_clock,
    payload_name,
    postponed,
    rest_note,
    with_killed_runs,
    with_notice,
)
from bikecollect.core.secrets.redact import (
    Placeholders,
    Redact,
    changed_notes,
    unredacted,
)
from bikecollect.core.slots import DAY, Slot, day_of
from bikecollect.core.timeline.grid import Grid
from bikecollect.feeds import Feed
from bikecollect.storage.payload_store import run_of
from bikecollect.storage.recovery import Recovery
from bikecollect.storage.run_notes import OpenNote, RunNotes

if TYPE_CHECKING:
    from bikecollect.core.blocks import Block
    from bikecollect.storage.ledger import Ledger
    from bikecollect.storage.lock import Lock
    from bikecollect.storage.payload_store import Payloads

NOT_BEFORE = "bikecollect.not_before"
PUBLIC_HOST = "bikecollect.public_host"


log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, repr=False)
class Cycle:
    """The path of one system from its feed to its files.

    *working* is held while payloads are read and committed, but not during the fetch.
    """

    feed: Feed
    client: FeedClient
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
    host: str = ""
    watch: Stopwatch = field(default_factory=Stopwatch)
    notes: dict[str, str] = field(default_factory=dict)
    redact: Redact = unredacted
    placeholders: Placeholders = field(default_factory=Placeholders)
    newest_block: "Callable[[], Block | None]" = lambda: None
    reports: bool = False
    working: AbstractContextManager[object] = field(default_factory=nullcontext)
    checks: list[ClockCheck] = field(default_factory=list)

    written: list[bool] = field(default_factory=list)

    def run(self, run: Run, refusal: FeedError | None = None) -> Run:
        """Collect one snapshot; errors end the run and are recorded in it.

        If there is a *refusal*, nothing is fetched: it is recorded as the error.
        """
        run = self._begin(run)
        run = run.noticed(*(Notice("columns", text) for text in self.troubles))
        try:
            payload = self._fetch(run, refusal)
            run, payload = self._check_clock(run, payload)
            run = self._accept(run, payload)
        except (BikecollectError, OSError) as error:
            run, _ = self._check_clock(run, Payload(()))
            run = self._failed(run, _translated(error))
        if run.outcome is Outcome.INTERRUPTED:
            return self._end(run, written=False)
        return self._settle(run)

    def open_note(self) -> OpenNote:
        """Return the note of the run, which is closed after the run was reported."""
        return OpenNote(self.run_notes, all(self.written))

    def _note_notices(self, run: Run) -> None:
        """Store the notices of *run* in its note, without an outcome."""
        if run.notices:
            with suppress(BikecollectError):  # the disk is reported by its own errors
                noted = Result(notices=run.notices)
                self.run_notes.update(replace(run, result=noted))

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
        documents = tuple(
            replace(document, fetched_at=document.fetched_at + check.offset)
            for document in payload.documents
        )
        fetched_at = payload.fetched_at + check.offset
        payload = replace(
            payload, slot=slot, fetched_at=fetched_at, documents=documents
        )
        return run.noticed(Notice("clock", check.error)), payload

    def dry(self, run: Run) -> Run:
        """Fetch and read without writing anything; raises BikecollectError."""
        payload = self._fetch(run)
        size, vehicles = payload.size, self.committer.vehicles
        with self.watch("read"):
            if vehicles and vehicles.is_alone(payload):
                rows, listed = vehicles.read(payload).rows.rows, 0
            else:
                snapshot = self.committer.reader.feed.read(payload.documents)
                rows = len(snapshot.statuses)
                listed = rows + snapshot.dropped
        result = Result(Outcome.DRY, rows=rows, stations=listed)
        run = concluded(replace(run, bytes=size), result)
        return self._with_measurements(run)

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
            run = postponed(run, _translated(error))
        finally:
            self.ledger.close()
            if self.committer.vehicles:
                self.committer.vehicles.close()
        return self._end(run, written=written)

    def _recover_and_commit(self, run: Run) -> tuple[Run, bool]:
        """Recover and commit; return the run, and whether the ledger can record it.

        On a full disk it still can, because data files leave a reserve for the ledger.
        """
        vehicles = self.committer.vehicles
        try:
            with self.watch("heal"):
                self._ignore_future_blocks()
                run = with_notice(run, "ledger", self.ledger.open())
                for change in () if self.checks else self.record_facts():
                    log.warning("the settings have changed: %s", change)
                run = run.noticed(*self.recovery.recover_files())
                self._note_notices(run)
                if vehicles:
                    run = run.noticed(*vehicles.open())
                run = with_killed_runs(
                    run, self.recovery.recover_runs(run, self.run_notes)
                )
            if self.checks:
                return deferred_by_clock(run, self.checks[-1].error), True
            for name in self._waiting(run):
                own = name == payload_name(run)
                result = self.committer.commit(name, block_source(mine=own))
                run = concluded(run, result) if own else run.noticed(*result.notices)
                self._note_notices(run)
            run = self._outcome_from_ledger(run)
            if run.outcome is Outcome.COLLECTED and not vehicles:
                interval = self.committer.reader.interval
                newer = self.recovery.find_newer_payloads(run.slot, interval)
                run = run.noticed(*newer)
            self.ledger.remember(self.notes)
            run = with_notice(run, "pruned", self._prune(run.slot))
        except (BikecollectError, OSError) as failure:
            error = _translated(failure)
            return postponed(run, error), error.cause == "disk"
        return run, True

    def _ignore_future_blocks(self) -> None:
        """Make the ledgers ignore blocks written while the clock was ahead."""
        latest = Slot(int(self.clock()) + self.committer.reader.interval)
        self.ledger.latest = latest
        if self.committer.vehicles:
            self.committer.vehicles.ledger.latest = latest

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

    def _begin(self, run: Run) -> Run:
        try:
            self.run_notes.begin(run)
        except BikecollectError as error:
            return run.noticed(Notice(error.cause, str(error)))
        return run

    def _fetch(self, run: Run, refusal: FeedError | None = None) -> Payload:
        if refusal is not None:
            raise refusal
        with self.watch("fetch"):
            memory = self.ledger.recall()
            notes = changed_notes(self.placeholders.undone, memory.notes)
            memory = memory._replace(notes=notes, now=self.clock())
            rest = memory.notes.get(NOT_BEFORE, "")
            check_not_before(rest, memory.now, self.host)
            known = self.client.public_host = memory.notes.get(PUBLIC_HOST, "")
            payload = self.feed.fetch(self.client, memory)
            if self.client.public_host != known:
                self.notes[PUBLIC_HOST] = self.client.public_host
        return replace(
            payload,
            system_id=run.system_id,
            slot=run.slot,
            run_id=run.run_id,
            fetched_at=payload.fetched_at
            or max(document.fetched_at for document in payload.documents),
            documents=tuple(
                replace(document, url=self.redact(document.url))
                for document in payload.documents
            ),
            boot_id=run.boot_id,
            uptime=run.uptime,
            incomplete=self.redact(payload.incomplete),
            beside=self.redact(payload.beside),
            notes=changed_notes(self.placeholders.put, payload.notes),
            findings={k: self.redact(text) for k, text in payload.findings.items()},
        )

    def _accept(self, run: Run, payload: Payload) -> Run:
        """Make *payload* durable; if that fails, keep it in memory."""
        size = payload.size
        run = replace(run, bytes=size, http_status=payload.documents[-1].http_status)
        try:
            with self.watch("accept"):
                self.payloads.accept(payload)
        except BikecollectError as error:
            return run.noticed(Notice(error.cause, str(error)))
        return replace(run, accepted=True)

    def _failed(self, run: Run, error: BikecollectError) -> Run:
        if isinstance(error, RateLimited):
            note = rest_note(error.not_before, self.clock(), self.host)
            self.notes[NOT_BEFORE] = note
        if isinstance(error, Interrupted):
            return run.failed(error)
        return run.failed(error).noticed(Notice("fetch", str(error)))

    def _outcome_from_ledger(self, run: Run) -> Run:
        """Return *run* with its outcome, if another run has committed its payload."""
        if run.outcome is not None:
            return run
        vehicles = self.committer.vehicles
        block = self.ledger.block(run.slot)
        if block is None and vehicles:
            block = vehicles.block_alone(run.slot)
        if block is None:
            return run.ended(Outcome.REJECTED, "shape")
        if block.run_id != run.run_id:
            return concluded(run, Result(Outcome.DUPLICATE, file=block.span.file))
        return concluded(
            run, Result(Outcome.COLLECTED, rows=block.rows, file=block.span.file)
        )

    def _prune(self, slot: Slot) -> str:
        """Remove payloads that were kept long enough; return a text for people."""
        oldest = Slot(max(0, slot - self.payload_days * DAY))
        first_day = day_of(oldest, self.committer.zone)
        return self.payloads.prune(first_day, self.payload_days + 1, oldest)

    def _with_measurements(self, run: Run) -> Run:
        measured = replace(
            run,
            finished=self.clock() + sum(check.offset for check in self.checks),
            attempts=tuple(self.client.attempts),
            seconds=dict(self.watch.seconds),
        )
        return measured.redacted(self.redact)

    def _end(self, run: Run, *, written: bool) -> Run:
        run = self._with_measurements(run)
        self.client.close()
        self.written[:] = [written]
        try:
            if self.reports:
                self.run_notes.update(run)
            else:
                self.run_notes.end(run, written=written)
        except BikecollectError as error:
            return run.noticed(Notice(error.cause, str(error)))
        return run


def _translated(error: BikecollectError | OSError) -> BikecollectError:
    """Return *error*, converted to a StorageError if it is an OSError.

    Memory, files or permissions may be missing for a moment: that is not a bug.
    """
    if isinstance(error, OSError):
        return StorageError(f"cannot use the disk: {error}")
    return error
