"""Find a new history of a system whose earlier data are in another folder.

That is what a wrong `data_dir` leads to. The other folder is one into which the same
settings file collected before, and is asked when its last run was: if both go on being
collected, that is meant.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bikecollect.core.slots import DAY, Slot
from bikecollect.core.text import local_minute
from bikecollect.storage.data_folder import MARKER, SystemFolder
from bikecollect.storage.files import known_folders, marker
from bikecollect.storage.files.known_folders import Elsewhere
from bikecollect.storage.files.trusted_files import quoted
from bikecollect.storage.ledger_reader import History

RECENT = 7 * DAY
"""Seconds between two histories after which the second one was surely meant."""


def new_histories(
    source: str,
    folders: Iterable[Path],
    system_of: Callable[[str], SystemFolder],
    now: float,
) -> Iterator[tuple[str, str]]:
    """Yield each system of *folders* whose earlier data are elsewhere, with a text.

    *source* is the settings file; *system_of* returns the system of a name.
    """
    for folder, others in known_folders.namesakes(source, folders).items():
        other, system = known_folders.latest(others), system_of(folder.name)
        ends = History(system.system_id, folder).ends()
        first = ends[0] if ends else Slot(int(now))
        if other and system.grid.floor(other.until) <= first <= other.until + RECENT:
            yield system.system_id, text_of(system, other)


def text_of(system: SystemFolder, other: Elsewhere) -> str:
    """Return that the data of *system* until now are in *other*, and what to do."""
    fill = f"bikecollect backfill {system.system_id} --from"
    return (
        f"a new history begins in {system.path}, and {other.folder} has the data until "
        f"{local_minute(other.until, system.zone)}; if data_dir is wrong, correct it, "
        f"and fill in what was collected meanwhile: {fill} {quoted(system.path)}; to "
        f"go on here: {fill} {quoted(other.folder)}; if a new history is meant: echo "
        f"{marker.STOPPED} >> {quoted(other.folder / MARKER)}"
    )
