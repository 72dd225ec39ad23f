"""A connection that remains open until new data are committed."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from bikecollect.archive.query import views
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


class _Held(NamedTuple):
    """An open connection, and the *state* of the data when it was opened.

    *skipped* has a message for each file that was skipped.
    """

    state: State
    db: "DuckDBPyConnection"
    stack: ExitStack
    skipped: list[str]


class Held:
    """One connection at a time, to the system of *settings* that was used last.

    It is reopened for another system and after a commit. That takes a quarter of a
    second for a year of days, and half a second more for the newest day.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._kept = ExitStack()
        self._settled: Path | None = None
        self._lock = threading.Lock()
        self._open: _Held | None = None

    @contextmanager
    def connection(self, name: str, state: State) -> Iterator["DuckDBPyConnection"]:
        """Yield a connection to the system *name* at *state*; other threads wait.

        Raises StorageError, NotInstalled.
        """
        with self._lock:
            held = self._open
            if held is None or held.state != (name, state):
                self._close()
                held = self._open = self._opened(name, (name, state))
            try:
                yield held.db
            except BaseException:
                self._close()  # a file may have been archived in the meantime
                raise

    def skipped(self, name: str, state: State) -> list[str]:
        """Return a message for each file of the system *name* that was skipped."""
        with self.connection(name, state):
            return list(self._open.skipped) if self._open else []

    def close(self) -> None:
        """Close the connection, and remove the files kept for the next one."""
        with self._lock:
            self._close()
            self._kept.close()
            self._settled = None

    def _close(self) -> None:
        if self._open is not None:
            self._open.stack.close()
            self._open = None

    def _opened(self, name: str, state: State) -> _Held:
        if self._settled is None:
            self._settled = self._kept.enter_context(scratch())
        with ExitStack() as stack:
            shown = history.shown(self._settings, name, self._clock)
            skipped: list[str] = []
            db = stack.enter_context(
                views.connected(
                    self._settings.data,
                    [shown],
                    memory=MEMORY,
                    settled=self._settled,
                    fails_on=(),
                    on_skip=lambda _, day, loss: skipped.append(f"{day}: {loss.why}"),
                )
            )
            return _Held(state, db, stack.pop_all(), skipped)
