"""Write quiet slots of a simulated city without HTTP, and closed days in parallel.

Rows, ledger and archive are the same as by `fetch` and `compact` of the same payloads.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from bikecollect import __version__
from bikecollect.archive.archived_days import opened_days
from bikecollect.archive.day_archive import Archive
from bikecollect.archive.encoding.day_writer import Contents
from bikecollect.core import process
from bikecollect.core.payload import Attempt, Document, Payload
from bikecollect.core.process import Times
from bikecollect.core.run import Run, block_source, concluded, payload_name
from bikecollect.core.slots import Slot
from bikecollect.setup.settings import Settings
from bikecollect.simulator import dialects
from bikecollect.simulator.city import City
from bikecollect.simulator.demo import second_process
from bikecollect.storage.payload_store import Payloads
from bikecollect.wiring.collection import cycle
from bikecollect.wiring.history import compactor

if TYPE_CHECKING:
    from multiprocessing.pool import AsyncResult

PAGE = "page-0"
"""The name of the only document of a YouBike payload."""


class HeldPayloads(Payloads):
    """Holds the payload that is being committed in memory, and keeps none."""

    def accept(self, payload: Payload) -> None:
        """Hold *payload*."""
        self._payload = payload

    def open(self, name: str) -> Payload:
        """Return the payload that is held."""
        return self._payload

    def kills(self, name: str) -> int:
        """Return 0: a simulation is not resumed."""
        return 0

    @contextmanager
    def mark_reading(self, name: str) -> Iterator[None]:
        """Mark nothing: a simulation is not resumed."""
        yield

    def keep(self, name: str, day: str) -> None:
        """Forget the payload."""


class StraightWriter:
    """Commits payloads of *city* to the system *name*, and keeps its ledger open."""

    def __init__(self, settings: Settings, name: str, city: City, times: Times) -> None:
        self._city, self._name = city, name
        self._url = settings.systems[name].url
        line = cycle(settings, name, times)
        self._payloads = HeldPayloads(Path())
        self._committer = replace(
            line.committer, payloads=self._payloads, bounded=nullcontext
        )
        self._ledger, self._watch = line.ledger, line.watch
        self._runs: list[Run] = []

    def __enter__(self) -> Self:
        self._ledger.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ledger.record(self._runs)
        self._ledger.close()

    def write(self, slot: int, now: float, up: float, awake: float) -> None:
        """Commit the city at *now* to *slot*; *up* and *awake* are those of the run."""
        run = Run(
            run_id=process.run_id(),
            system_id=self._name,
            slot=Slot(slot),
            started=now,
            boot_id=process.boot_id(),
            uptime=up,
            awake=awake,
            version=__version__,
        )
        body = dialects.youbike(self._city, now)
        document = Document(PAGE, body, self._url, fetched_at=now, date=now)
        payload = Payload(
            (document,),
            system_id=self._name,
            slot=run.slot,
            run_id=run.run_id,
            fetched_at=now,
            boot_id=run.boot_id,
            uptime=up,
        )
        self._payloads.accept(payload)
        self._watch.seconds.clear()
        name = payload_name(run)
        result = self._committer.commit(name, block_source(mine=True))
        run = replace(
            concluded(run, result),
            finished=now,
            http_status=document.http_status,
            attempts=(Attempt(self._url, now, 0.0, document.http_status),),
            bytes=payload.size,
            accepted=True,
            seconds=dict(self._watch.seconds),
        )
        self._runs.append(run)


class DayArchiver:
    """Prepares closed days for the archive, in a second process.

    The next compaction publishes them.
    """

    def __init__(self) -> None:
        self._pool = second_process()
        self._days: list[AsyncResult[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish()
        self._pool.terminate()
        self._pool.join()

    @property
    def waiting(self) -> int:
        """The number of days that no compaction has published yet."""
        return len(self._days)

    def finish(self) -> None:
        """Wait until all days are prepared, to be published by a compaction."""
        for day in self._days:
            day.get()
        self._days.clear()

    def add(self, settings: Settings, name: str, day: str, times: Times) -> None:
        """Prepare *day*, which is complete, at the time of *times*."""
        days = compactor(settings, name, times)
        sizes = days.store.sizes()
        size = sum(sizes.get(file, 0) for file in days.store.segments(day))
        with opened_days(days.lock, days.ledger) as archived_days:
            contents = days.contents(archived_days, day, size)
            # The other process gets the rows, because their readers cannot be sent.
            contents = contents._replace(pieces=list(contents.pieces))
        self._days.append(self._pool.apply_async(_prepare, (days.archive, contents)))


def _prepare(archive: Archive, contents: Contents) -> None:
    archive.prepare(contents)
