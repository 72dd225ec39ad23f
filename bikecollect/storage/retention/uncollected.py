"""Find folders of systems into which nothing was ever collected.

A wrong `data_dir` leaves such a folder. It looks like a history, but may be deleted:
everything in it is looked at, and what is not known, or cannot be read, keeps it.
"""

import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.errors import ExitCode, Outcome, StorageError
from bikecollect.storage.data_folder import LEDGER, MARKER, PARTS
from bikecollect.storage.files import known_folders, marker
from bikecollect.storage.files.entries import VEHICLES, folders_with, paths_in
from bikecollect.storage.files.regular_file import read_plain
from bikecollect.storage.ledger_reader import History

FILES = re.compile(
    rf"{re.escape(MARKER)}|lock|facts\.json|alerts\.state|bikecollect\.log(\.\d+)?"
    rf"|({VEHICLES}/)?{re.escape(LEDGER)}(-wal|-shm)?"
)
"""The files of a folder, relative to it, that exist without any payload or row."""
TABLES = ("blocks", "files", "stations", "absent", "archives", "packed_runs")
"""The tables of a ledger that are empty before a payload was accepted."""
ROWS = "SELECT " + " + ".join(f"(SELECT count(*) FROM main.{t})" for t in TABLES)
RUNS = "SELECT outcome, accepted + rows + bytes FROM main.runs"
FAILURES = frozenset(o.value for o in Outcome if o.exit_code is not ExitCode.OK)


class UncollectedPlace(NamedTuple):
    """The *folders* in *place* without any payload or row, and their failed *runs*.

    *was_data_dir* says that it is not `data_dir` any more; *is_all* that nothing else
    is in it, so that it may be deleted as a whole.
    """

    place: Path
    folders: tuple[Path, ...]
    runs: int
    was_data_dir: bool
    is_all: bool


def uncollected_places(
    data: Path, names: Collection[str], source: str, before: float
) -> Iterator[UncollectedPlace]:
    """Yield the places that have such folders of the settings file *source*.

    These are its `data_dir`, *data*, with systems that are none of *names*, and its
    earlier ones. A folder that was changed at *before* (epoch seconds) or later may be
    in use with other settings, as is that of a system that other known settings collect
    into the same place: they are left out.
    """
    for place in (data, *known_folders.earlier_places(source, data)):
        own = names if place == data else ()
        folders = (f for f in folders_with(MARKER, place) if f.name not in own)
        counts = {f: _failed_runs(f, before) for f in sorted(folders)}
        runs = {folder: count for folder, count in counts.items() if count is not None}
        others = known_folders.collected_by_others(place, source) if runs else set()
        if runs and others.isdisjoint(folder.name for folder in runs):
            is_whole = place != data and not (place.is_symlink() or place.is_mount())
            yield UncollectedPlace(
                place,
                tuple(runs),
                sum(runs.values()),
                was_data_dir=place != data,
                is_all=is_whole and {*paths_in(place)} == {*runs},
            )


def _failed_runs(folder: Path, before: float) -> int | None:
    """Return the number of runs in *folder*, None if it may have anything else."""
    with suppress(OSError, StorageError):
        text = marker.text_of(folder.name)
        if (
            not folder.is_symlink()
            and read_plain(folder / MARKER) == text  # nor stopped, nor begun anew
            and _is_known_and_idle(folder, before)
            and not known_folders.is_archived(folder)
        ):
            parts = (folder, folder / VEHICLES)
            histories = [History(folder.name, part) for part in parts]
            if not any(map(_has_rows, histories)):
                return sum(len(history.select(RUNS)) for history in histories)
    return None


def _is_known_and_idle(folder: Path, before: float) -> bool:
    """Return whether all in *folder* is known, and no run changed it since *before*.

    Raises OSError.
    """
    for place, folders, files in os.walk(folder, onerror=_raise):
        paths = [Path(place, name) for name in (*folders, *files)]
        names = [str(path.relative_to(folder)) for path in paths]
        parts, others = names[: len(folders)], names[len(folders) :]
        is_known = {*parts} <= {*PARTS} and all(map(FILES.fullmatch, others))
        if not is_known or any(path.is_symlink() for path in paths):
            return False
        # A reader, too, creates files beside a ledger.
        written = (path for path in paths if not path.name.startswith(LEDGER))
        if any(path.stat().st_mtime >= before for path in written):
            return False
    return True


def _raise(error: OSError) -> None:
    raise error


def _has_rows(history: History) -> bool:
    """Return whether *history* has rows, or a run that may have had a payload."""
    is_failed = (o in FAILURES and not got for o, got in history.select(RUNS))
    return history.select(ROWS) != [(0,)] or not all(is_failed)
