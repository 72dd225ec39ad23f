"""Calls of `fetch` that could note nothing in a folder, until a later call does.

They had no usable settings, or the data folder did not answer.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bikecollect.core.errors import StorageError
from bikecollect.core.run import Run, from_json
from bikecollect.storage.data_folder import SystemFolder, is_marked
from bikecollect.storage.files.regular_file import read_file
from bikecollect.storage.run_notes import RunNotes

MOST = 1_000
"""Maximum calls that are recorded for a system: three days of five minutes."""
MOST_NOTES = 10_000
"""Maximum calls that are recorded for all systems."""
MAX_BYTES = 4_000_000
"""Maximum bytes of the file of calls."""


def note(path: Path, run: Run) -> None:
    """Append *run*, a call that failed, to the file *path*, if the disk allows it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, flags, 0o600)
        try:
            if os.fstat(fd).st_size < MAX_BYTES:
                os.write(fd, f"{run.to_json()}\n".encode("utf-8", "backslashreplace"))
        finally:
            os.close(fd)


def hand_over(path: Path, systems: Sequence[SystemFolder]) -> None:
    """Leave a note of each call in *path* in the folders of *systems*; remove *path*.

    Their next runs record them, so that the slots have the cause. A folder that may be
    an empty mount point gets none.
    """
    most = min(MOST, 1 + MOST_NOTES // max(1, len(systems)))
    runs = _read(path)[-most:]
    for system in systems:
        notes = RunNotes(system.inbox)
        for run in runs if is_marked(system.path) else ():
            slot = system.grid.at(run.started)
            own = replace(run, system_id=system.system_id, slot=slot)
            with suppress(StorageError):
                notes.begin(own)
                notes.end(own, written=False)
    with suppress(OSError):
        path.unlink()


def _read(path: Path) -> list[Run]:
    """Return the runs in the file *path*, but for lines that are damaged."""
    runs = []
    with suppress(OSError):
        for line in read_file(path, MAX_BYTES + 4_096).splitlines():
            with suppress(ValueError):
                runs.append(from_json(line.decode("utf-8")))
    return runs
