"""Connections that are held open until something new is committed."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from bikecollect.archive.query import views
from bikecollect.setup.settings import Settings
from bikecollect.storage.files.scratch import scratch
from bikecollect.wiring import history

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

MEMORY = "160MB"
"""What DuckDB may take: the app lives beside a collector, on a small machine."""
State = tuple[object, ...]


class _Held(NamedTuple):
    """What is open: *state* is that of the data when it was opened."""

    state: State
    db: "DuckDBPyConnection"
    stack: ExitStack


class Held:
    """One connection at a time, to the system of *settings* that was asked last.

    Whoever asks another system, or after a commit, waits until it is opened anew:
    a quarter of a second for a year of days, half a second more for the newest one.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept = ExitStack()
        self._settled: Path | None = None
        self._lock = threading.Lock()
        self._open: _Held | None = None

    @contextmanager
    def connection(self, name: str, state: State) -> Iterator["DuckDBPyConnection"]:
        """Yield a connection to *name* at *state*.

        The others wait meanwhile. Raises StorageError, NotInstalled.
        """
        with self._lock:
            held = self._open
            if held is None or held.state != (name, state):
                self._close()
                held = self._open = self._opened(name, (name, state))
            try:
                yield held.db
            except BaseException:
                self._close()  # a file may have gone since: archived, or moved
                raise

    def close(self) -> None:
        """Let go of the connection, and of what was kept for the next one."""
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
            shown = history.shown(self._settings, name)
            db = stack.enter_context(
                views.connected(
                    self._settings.data,
                    [shown],
                    memory=MEMORY,
                    settled=self._settled,
                    fails_on=(),
                )
            )
            return _Held(state, db, stack.pop_all())
