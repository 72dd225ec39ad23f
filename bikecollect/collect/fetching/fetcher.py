"""Fetch the payload of a run, with what earlier runs noted, and without secrets."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bikecollect.collect.fetching.rate_limit import (
    NOT_BEFORE,
    check_rate_limit,
    rate_limit_note,
)
from bikecollect.core.errors import RateLimited
from bikecollect.core.payload import FeedClient, Payload, RefusedDocumentsError
from bikecollect.core.run import Run
from bikecollect.core.secrets.redact import (
    Placeholders,
    Redact,
    changed_notes,
    unredacted,
)
from bikecollect.feeds import Feed

if TYPE_CHECKING:
    from bikecollect.storage.ledger import Ledger

MACHINE = "bikecollect.machine"
"""The key of the note about the name of the machine that collects."""
PUBLIC_HOST = "bikecollect.public_host"
"""The key of the note about the host that was resolved to a public address."""


@dataclass(frozen=True, eq=False, repr=False)
class Fetcher:
    """Fetches the payloads of one system by its *feed*, whose host is *host*.

    *notes* are for later runs; the ledger has them once the run is committed. *machine*
    is the name of this one, noted if not empty: the mirror's copy of the ledger tells
    by it who sent it.
    """

    feed: Feed
    client: FeedClient
    ledger: "Ledger"
    clock: Callable[[], float]
    host: str = ""
    machine: str = ""
    redact: Redact = unredacted
    placeholders: Placeholders = field(default_factory=Placeholders)
    notes: dict[str, str] = field(default_factory=dict)

    def fetch(self, run: Run) -> Payload:
        """Return the payload of *run* as it is stored, with all secrets removed.

        If a document that leads to the others was refused, it is the payload. Raises
        FeedError, RateLimited before any request if an earlier run noted it.
        """
        memory = self.ledger.recall()
        notes = changed_notes(self.placeholders.undone, memory.notes)
        memory = memory._replace(notes=notes, now=self.clock())
        check_rate_limit(notes.get(NOT_BEFORE, ""), memory.now, self.host)
        known = self.client.public_host = notes.get(PUBLIC_HOST, "")
        if self.machine and notes.get(MACHINE) != self.machine:
            self.notes[MACHINE] = self.machine
        try:
            payload = self.feed.fetch(self.client, memory)
        except RefusedDocumentsError as refused:
            payload = Payload(refused.documents)  # its reader says why, and it is kept
        if self.client.public_host != known:
            self.notes[PUBLIC_HOST] = self.client.public_host
        return self._as_stored(run, payload)

    @property
    def last_status(self) -> int | None:
        """The HTTP status of the last request, None without a response."""
        statuses = [attempt.http_status for attempt in self.client.attempts]
        return statuses[-1] if statuses else None

    def note_rate_limit(self, error: RateLimited) -> None:
        """Note for later runs until when the host gets no request."""
        self.notes[NOT_BEFORE] = rate_limit_note(
            error.not_before, self.clock(), self.host, error.limited
        )

    def _as_stored(self, run: Run, payload: Payload) -> Payload:
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
