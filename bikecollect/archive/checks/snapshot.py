"""The files and the ledger of a system as they are at one moment."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from bikecollect.core.blocks import Block
from bikecollect.storage.csv_store import Store, is_segment
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.lock import Lock

BLOCKS = 'SELECT * FROM main.blocks ORDER BY file, start, "end"'
FILES = 'SELECT file, "end", damaged, header FROM files'
PATIENCE, PAUSE = 10, 0.3
"""Maximum waits for a commit that is in progress, and seconds of each."""


class FilesAndLedger(NamedTuple):
    """Sizes of the files, and rows of the ledger, at one moment."""

    sizes: Mapping[str, int]
    blocks: Sequence[Block]
    files: Sequence[Sequence[Any]]
    stations: Sequence[Sequence[Any]]
    archives: Sequence[Sequence[Any]]


def read_snapshot(
    system: SystemFolder,
    store: Store,
    history: History,
    lock: Lock,
    sleep: Callable[[float], object],
) -> FilesAndLedger:
    """Return the state of the files and the ledger of *system*.

    A user without write permission cannot hold the lock, but waits for a commit that is
    in progress, at most about three seconds.
    """
    can_lock = os.access(system.path, os.W_OK)
    for _ in range(PATIENCE):
        snapshot = _read(store, history, lock, can_lock=can_lock)
        if can_lock or not _is_amid_commit(snapshot):
            return snapshot
        sleep(PAUSE)
    return snapshot


def _read(
    store: Store, history: History, lock: Lock, *, can_lock: bool
) -> FilesAndLedger:
    with _held(lock, can_lock=can_lock), history.session():
        return FilesAndLedger(
            sizes=store.sizes(),
            blocks=[Block.from_row(row) for row in history.select(BLOCKS)],
            files=history.select(FILES),
            stations=history.select("SELECT * FROM stations"),
            archives=history.select("SELECT * FROM archives"),
        )


@contextmanager
def _held(lock: Lock, *, can_lock: bool) -> Iterator[None]:
    """Hold the lock, so that no run is in the middle of a commit."""
    if not can_lock:
        yield
        return
    with lock.held():
        yield


def _is_amid_commit(snapshot: FilesAndLedger) -> bool:
    """Return whether the size of a file differs from the ledger."""
    ends = {file: end for file, end, is_damaged, _ in snapshot.files if not is_damaged}
    known = {file for file, *_ in snapshot.files}
    return any(
        ends.get(file, 0) != size
        for file, size in snapshot.sizes.items()
        if file in ends or (is_segment(file) and file not in known)
    )
