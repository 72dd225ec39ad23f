"""Whether the archive has the rows of a day, and how to do without its daily file."""

import json
from pathlib import Path

from bikecollect.storage.data_folder import ARCHIVE
from bikecollect.storage.files.regular_file import sha256_of
from bikecollect.storage.repair import folder_of_system

PREFIX, PART = "date=", "part.parquet"


def part_of(archive: Path, dataset: str, system_id: str, day: str) -> Path:
    """Return the path of the file of an archived *day*."""
    return archive / dataset / f"system_id={system_id}" / f"{PREFIX}{day}" / PART


def archived_remedy(folder: Path, system_id: str, file: str, parts: str) -> str:
    """Return how to do without *file* of *folder*, whose archived day has *parts*.

    The text is empty if the archive lacks its rows.
    """
    dataset, _, name = file.partition("/")
    archive = folder_of_system(folder).parent / ARCHIVE
    if not has_rows(archive, dataset, system_id, name[:10], parts):
        return ""
    return f"its day is archived; run: bikecollect compact {system_id}"


def has_rows(archive: Path, dataset: str, system_id: str, day: str, parts: str) -> bool:
    """Return whether the archive has the rows of *day*, by their checksum.

    *parts* is the ledger's JSON. Rows that this user may not read are taken for sound.
    """
    path = part_of(archive, dataset, system_id, day)
    try:
        return bool(sha256_of(path) == json.loads(parts)[dataset]["sha256"])
    except PermissionError:
        return True
    except (OSError, ValueError, TypeError, LookupError):
        return False
