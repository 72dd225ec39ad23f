"""The main line: fetch one payload, accept it, commit all that wait."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bikecollect.collect.commit import Committer
from bikecollect.core.errors import BikecollectError, Interrupted, Outcome, RateLimited
from bikecollect.core.logs import Stopwatch
from bikecollect.core.payload import FeedClient, Payload
from bikecollect.core.run import (
    Notice,
    Result,
    Run,
    block_source,
    check_not_before,
    concluded,
    payload_name,
    postponed,
    with_killed_runs,
    with_notice,
)
from bikecollect.core.secrets.redact import Placeholders, Redact, unredacted
from bikecollect.core.slots import DAY, Slot, day_of
from bikecollect.feeds import Feed
from bikecollect.storage.payload_store import run_of
from bikecollect.storage.recovery import Recovery
from bikecollect.storage.run_notes import RunNotes

if TYPE_CHECKING:
    from bikecollect.storage.ledger import Ledger
    from bikecollect.storage.lock import Lock
    from bikecollect.storage.payload_store import Payloads


NOT_BEFORE = "bikecollect.not_before"
PUBLIC_HOST = "bikecollect.public_host"


@dataclass(frozen=True, eq=False, repr=False)
class Cycle:
    """One system's line from its feed to its file, with all real parts."""

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
    troubles: tuple[str, ...] = ()
    watch: Stopwatch = field(default_factory=Stopwatch)
    notes: dict[str, str] = field(default_factory=dict)
    redact: Redact = unredacted
    placeholders: Placeholders = field(default_factory=Placeholders)

    def run(self, run: Run) -> Run:
        """Carry one snapshot from the feed into its file; our errors end the run."""
        run = self._begin(run)
        run = run.noticed(*(Notice("columns", text) for text in self.troubles))
        try:
            payload = self._fetch(run)
            run = self._accept(run, payload)
        except BikecollectError as error:
            run = self._failed(run, error)
        if run.outcome is Outcome.INTERRUPTED:
            return self._end(run, written=False)
        return self._settle(run)

    def dry(self, run: Run) -> Run:
        """Fetch and read, and write nothing; raises our errors."""
        payload = self._fetch(run)
        with self.watch("read"):
            snapshot = self.committer.feed.read(payload.documents)
        size = sum(len(each.body) for each in payload.documents)
        rows, listed = len(snapshot.statuses), len(snapshot.statuses) + snapshot.dropped
        result = Result(Outcome.DRY, rows=rows, stations=listed)
        run = concluded(replace(run, bytes=size), result)
        return self._finished(run)

    def _settle(self, run: Run) -> Run:
        """Under the lock: heal, commit all payloads that wait, write down the run."""
        written = False
        try:
            with self.lock.held():
                run, well = self._worked(run)
                if well:
                    run = self._finished(run)
                    self.ledger.record([run])
                    written = True
        except BikecollectError as error:
            run = postponed(run, error)
        finally:
            self.ledger.close()
        return self._end(run, written=written)

    def _worked(self, run: Run) -> tuple[Run, bool]:
        """Heal and commit; return the run, and whether the ledger can take its end.

        Also on a full disk it can: of that data leave a reserve.
        """
        try:
            with self.watch("heal"):
                run = with_notice(run, "ledger", self.ledger.open())
                run = run.noticed(*self.recovery.files())
                run = with_killed_runs(run, self.recovery.runs(run, self.run_notes))
            for name in self._waiting(run):
                mine = name == payload_name(run)
                done = self.committer.commit(name, block_source(mine=mine))
                run = concluded(run, done) if mine else run.noticed(*done.notices)
            run = self._looked_up(run)
            self.ledger.remember(self.notes)
            self.payloads.prune(self._first_day(run.slot))
        except BikecollectError as error:
            return postponed(run, error), error.cause == "disk"
        return run, True

    def _waiting(self, run: Run) -> list[str]:
        """Return the payloads that wait, in the order in which they are committed.

        By slot, that of *run* last; then those that may have killed a run, for
        they may kill this one too.
        """
        mine = payload_name(run)

        def place(name: str) -> int:
            return 1 if name == mine else 2 * self._may_kill(name)

        return sorted(self.payloads.waiting(), key=place)

    def _may_kill(self, name: str) -> bool:
        killed = self.payloads.kills(name) > 0
        return killed or not self.ledger.has_ended(run_of(name))

    def _begin(self, run: Run) -> Run:
        try:
            self.run_notes.begin(run)
        except BikecollectError as error:
            return run.noticed(Notice(error.cause, str(error)))
        return run

    def _fetch(self, run: Run) -> Payload:
        with self.watch("fetch"):
            memory = self.ledger.recall()
            notes = _kept(self.placeholders.undone, memory.notes)
            memory = memory._replace(notes=notes, now=self.clock())
            check_not_before(memory.notes.get(NOT_BEFORE, ""), memory.now)
            known = self.client.public_host = memory.notes.get(PUBLIC_HOST, "")
            fetched = self.feed.fetch(self.client, memory)
            if self.client.public_host != known:
                self.notes[PUBLIC_HOST] = self.client.public_host
        return Payload(
            system_id=run.system_id,
            slot=run.slot,
            run_id=run.run_id,
            fetched_at=fetched.fetched_at
            or max(each.fetched_at for each in fetched.documents),
            documents=tuple(
                replace(each, url=self.redact(each.url)) for each in fetched.documents
            ),
            boot_id=run.boot_id,
            uptime=run.uptime,
            incomplete=self.redact(fetched.incomplete),
            notes=_kept(self.placeholders.put, fetched.notes),
            findings={k: self.redact(text) for k, text in fetched.findings.items()},
        )

    def _accept(self, run: Run, payload: Payload) -> Run:
        """Make *payload* durable; where the disk refuses, hold on to it in memory."""
        size = sum(len(each.body) for each in payload.documents)
        run = replace(run, bytes=size, http_status=payload.documents[-1].http_status)
        try:
            with self.watch("accept"):
                self.payloads.accept(payload)
        except BikecollectError as error:
            return run.noticed(Notice(error.cause, str(error)))
        return replace(run, accepted=True)

    def _failed(self, run: Run, error: BikecollectError) -> Run:
        if isinstance(error, RateLimited):
            self.notes[NOT_BEFORE] = repr(error.not_before)
        if isinstance(error, Interrupted):
            return run.failed(error)
        return run.failed(error).noticed(Notice("fetch", str(error)))

    def _looked_up(self, run: Run) -> Run:
        """Return *run* with its end, where another run has settled its payload."""
        if run.outcome is not None:
            return run
        there = self.ledger.block(run.slot)
        if there is None:
            return run.ended(Outcome.REJECTED, "shape")
        if there.run_id != run.run_id:
            return concluded(run, Result(Outcome.DUPLICATE, file=there.span.file))
        return concluded(
            run, Result(Outcome.COLLECTED, rows=there.rows, file=there.span.file)
        )

    def _first_day(self, slot: Slot) -> str:
        oldest = Slot(slot - self.payload_days * DAY)
        return day_of(oldest, self.committer.zone)

    def _finished(self, run: Run) -> Run:
        ended = replace(
            run,
            finished=self.clock(),
            attempts=tuple(self.client.attempts),
            seconds=dict(self.watch.seconds),
        )
        return ended.redacted(self.redact)

    def _end(self, run: Run, *, written: bool) -> Run:
        run = self._finished(run)
        self.client.close()
        try:
            self.run_notes.end(run, written=written)
        except BikecollectError as error:
            return run.noticed(Notice(error.cause, str(error)))
        return run


def _kept(
    change: Callable[[str], str | None], notes: Mapping[str, str]
) -> dict[str, str]:
    """Return *notes* as *change* makes them, without those that it cannot."""
    changed = {name: change(text) for name, text in notes.items()}
    return {name: text for name, text in changed.items() if text is not None}
