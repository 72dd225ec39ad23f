"""A connection that remains open until new data are committed."""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from bikecollect.archive.query import views
from bikecollect.archive.query.open_days import Loss
from bikecollect.core.errors import StorageError
from bikecollect.core.process import Clock
from bikecollect.setup.settings import Settings
from bikecollect.storage.files.scratch import scratch
from bikecollect.wiring import history

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

MEMORY = "160MB"
"""The memory limit of DuckDB: the app runs beside a collector on a small machine."""
State = tuple[object, ...]
Answer = TypeVar("Answer")
log = logging.getLogger(__name__)


class _Held(NamedTuple):
    """An open connection, and the *state* of the data when it was opened.

    *skipped* has the day and the reason for each file that was skipped.
    """

    state: State
    db: "DuckDBPyConnection"
    stack: ExitStack
    skipped: list[tuple[str, Loss]]


class Held:
    """One connection at a time, to the system that was used last.

    It is reopened for another system and after a commit. That takes a quarter of a
    second for a year of days, and half a second more for the newest day.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept = ExitStack()
        self._settled: Path | None = None
        self._lock = threading.Lock()
        self._open: _Held | None = None
        self.failures = 0
        """How often a query failed on a connection that had been opened before."""

    def run(
        self,
        settings: Settings,
        name: str,
        state: State,
        query: Callable[["DuckDBPyConnection"], Answer],
        since: str = "",
    ) -> Answer:
        """Return what *query* returns for a connection to the system *name* at *state*.

        It must need no archived rows of days before *since*.

        Other threads wait. A query that fails is repeated on a new connection, unless
        its own was new: a file may have been archived, or removed, since it was opened.
        Raises StorageError, NotInstalled.
        """
        with self._lock:
            opened = (name, state, since)
            if self._open is not None and self._open.state == opened:
                try:
                    return self._queried(self._open, query)
                except StorageError as error:
                    log.info("%s: %s; reading it again", name, error)
                    self.failures += 1
            self._close()
            self._open = self._opened(settings, name, opened)
            return self._queried(self._open, query)

    def skipped(
        self, settings: Settings, name: str, state: State, since: str = ""
    ) -> list[tuple[str, Loss]]:
        """Return day and reason for each file of the system *name* that was skipped."""
        return self.run(
            settings,
            name,
            state,
            lambda _: list(self._open.skipped) if self._open else [],
            since,
        )

    def close(self) -> None:
        """Close the connection, and remove the files kept for the next one."""
        with self._lock:
            self._close()
            self._kept.close()
            self._settled = None

    def _queried(
        self, held: _Held, query: Callable[["DuckDBPyConnection"], Answer]
    ) -> Answer:
        try:
            return query(held.db)
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        if self._open is not None:
            self._open.stack.close()
            self._open = None

    def _opened(
        self, settings: Settings, name: str, opened: tuple[str, State, str]
    ) -> _Held:
        if self._settled is None:
            self._settled = self._kept.enter_context(scratch())
        with ExitStack() as stack:
            shown = history.shown(settings, name, self._clock)
            skipped: list[tuple[str, Loss]] = []
            db = stack.enter_context(
                views.connected(
                    settings.data,
                    [shown],
                    memory=MEMORY,
                    settled=self._settled,
                    fails_on=(),
                    on_skip=lambda _, day, loss: skipped.append((day, loss)),
                    compared_since=opened[2],
                )
            )
            return _Held(opened, db, stack.pop_all(), skipped)
