"""Skip syncs to the disk: simulated data that are lost can be recreated."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from bikecollect.storage.sqlite import ledger_file


@contextmanager
def without_syncs() -> Iterator[None]:
    """Write only to the page cache during the context, and to the disk at its end.

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
