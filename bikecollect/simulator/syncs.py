"""Skips the waits for the disk: simulated data that is lost is made again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from bikecollect.storage.files import ledger_file


@contextmanager
def without_syncs() -> Iterator[None]:
    """Write to the page cache only meanwhile, and to the disk once at the end.

    A month of simulated slots would wait for the disk 40,000 times otherwise.
    """
    fsync, synchronous = os.fsync, ledger_file.SYNCHRONOUS
    os.fsync = lambda _: None  # type: ignore[assignment]
    ledger_file.SYNCHRONOUS = "OFF"
    try:
        yield
    finally:
        os.fsync, ledger_file.SYNCHRONOUS = fsync, synchronous
        os.sync()
