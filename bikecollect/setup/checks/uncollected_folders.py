"""Check for folders into which nothing was collected, as a wrong `data_dir` leaves."""

import time
from collections.abc import Iterator, Sequence

from bikecollect.core.slots import HOUR
from bikecollect.core.text import count_of
from bikecollect.setup.checks.check import Checks, note
from bikecollect.setup.settings import Settings
from bikecollect.storage.data_folder import ARCHIVE
from bikecollect.storage.files.trusted_files import quoted
from bikecollect.storage.retention.uncollected import (
    UncollectedPlace,
    uncollected_places,
)

SHOWN = 3
"""Maximum systems that are named."""


def uncollected(settings: Settings) -> list[UncollectedPlace]:
    """Return the places with such folders, without those that had a run just now."""
    names = {*settings.systems, *settings.others, ARCHIVE}
    before = time.time() - max(HOUR, 3 * settings.seconds)
    return list(uncollected_places(settings.data, names, settings.source, before))


def check_uncollected(settings: Settings) -> Checks:
    """Yield a note for each such place: what it is, and the command that deletes it."""
    for left in uncollected(settings):
        names = [folder.name for folder in left.folders]
        runs = count_of(left.runs, "failed run")
        place = f"{left.place} was data_dir before, and has"
        other = f"{left.place} has, of systems that the settings do not have,"
        text = f"nothing of {_listed(names)}: {runs}, no payload and no row"
        gone = [left.place] if left.is_all else left.folders
        yield note(
            "folders without data",
            f"{place if left.was_data_dir else other} {text}",
            f"what may be deleted: rm -r {' '.join(map(quoted, gone))}",
        )


def mentions(settings: Settings) -> Iterator[str]:
    """Yield a line about each such place, for `status`."""
    for left in uncollected(settings):
        names = _listed([folder.name for folder in left.folders])
        yield (
            f"nothing was ever collected into {left.place} of {names}; what may be "
            "deleted: bikecollect doctor"
        )


def _listed(names: Sequence[str]) -> str:
    """Return the first of *names*, and how many others there are.

    >>> _listed(["oslo", "paris", "rome", "taipei", "vienna"])
    'oslo, paris, rome and 2 more'
    """
    more = f" and {len(names) - SHOWN} more" if names[SHOWN:] else ""
    return ", ".join(names[:SHOWN]) + more
