"""Runs of which only a note in the inbox tells, read without changing anything."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bikecollect.core.errors import Outcome
from bikecollect.core.run import Run, from_json
from bikecollect.storage.data_folder import WAITING
from bikecollect.storage.files import flock
from bikecollect.storage.files.regular_file import open_plain


def killed_runs(place: Path) -> list[Run]:
    """Return the runs of the system in *place* that have ended and left a note."""
    runs = [run for run, is_active in _noted(place) if not is_active]
    return [
        run if run.outcome else run.ended(Outcome.KILLED, "killed", run.error)
        for run in runs
    ]


def running_runs(place: Path) -> list[Run]:
    """Return the runs of the system in *place* that are running now, newest first.

    A run that has a result and is still sending mails is not among them.
    """
    runs = [run for run, is_active in _noted(place) if is_active]
    unended = [run for run in runs if run.outcome is None]
    return sorted(unended, key=lambda run: -run.started)


def _noted(place: Path) -> Iterator[tuple[Run, bool]]:
    """Yield each run in *place* with a readable note, and whether it holds its lock."""
    for path in place.glob(f"{WAITING}/*.run"):
        with suppress(OSError, ValueError), open_plain(path) as note:
            is_active = not flock.try_lock(note.fileno(), shared=True)
            yield from_json(note.read().decode()), is_active
