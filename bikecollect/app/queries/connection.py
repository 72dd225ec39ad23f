"""Connections that are held open until something new is committed."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bikecollect.archive import views as view
from bikecollect.setup.settings import Settings
from bikecollect.wiring import history as keeper

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "160MB"
"""What DuckDB may take: the app lives beside a collector, on a small machine."""
State = tuple[object, ...]


class _Held(NamedTuple):
    """What is open: *state* is that of the data when it was opened."""

    state: State
    db: "DuckDBPyConnection"
    aside: Path
    stack: ExitStack


class Held:
    """One connection at a time, to the system of *settings* that was asked last.

    Whoever asks another system, or after a commit, waits until it is opened anew:
    a quarter of a second for a year of days, half a second more for the newest one.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._settled: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()
        self._open: _Held | None = None

    @contextmanager
    def connection(
        self, name: str, state: State
    ) -> Iterator[tuple["DuckDBPyConnection", Path]]:
        """Yield a connection to *name* at *state*, and a folder for what it needs.

        The others wait meanwhile. Raises StorageError, NotInstalled.
        """
        with self._lock:
            held = self._open
            if held is None or held.state != (name, state):
                self._close()
                held = self._open = self._opened(name, (name, state))
            try:
                yield held.db, held.aside
            except BaseException:
                self._close()  # a file may have gone since: archived, or moved
                raise

    def close(self) -> None:
        """Let go of the connection, and of what was kept for the next one."""
        with self._lock:
            self._close()
            if self._settled is not None:
                self._settled.cleanup()
                self._settled = None

    def _close(self) -> None:
        if self._open is not None:
            self._open.stack.close()
            self._open = None

    def _opened(self, name: str, state: State) -> _Held:
        if self._settled is None:
            self._settled = tempfile.TemporaryDirectory(prefix="bikecollect-")
        with ExitStack() as stack:
            aside = tempfile.TemporaryDirectory(prefix="bikecollect-")
            folder = Path(stack.enter_context(aside))
            shown = keeper.shown(self._settings, name)
            db = stack.enter_context(
                view.connected(
                    self._settings.data,
                    [shown],
                    memory=MEMORY,
                    settled=Path(self._settled.name),
                )
            )
            return _Held(state, db, folder, stack.pop_all())
