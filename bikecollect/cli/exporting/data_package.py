"""Write the datapackage.json beside exported files, which describes the columns."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bikecollect import __version__
from bikecollect.cli.output_file import written
from bikecollect.reports.data_dictionary import package
from bikecollect.storage.files.regular_file import read_file

NAME = "datapackage.json"
OURS = "bikecollect-export"
MAX_BYTES = 16 << 20
"""Maximum bytes of a description, more than thousands of files need."""


def describe(path: Path, resource: Mapping[str, Any]) -> Path:
    """Describe the exported file *path* by *resource*; return the path written.

    Other exports to the same folder are kept in its datapackage.json. If another
    program wrote that, it is unchanged and the description is named after the file.
    """
    for place in (path.with_name(NAME), path.with_name(f"{path.name}.{NAME}")):
        others = _resources(place)
        if others is not None:
            break
    kept = [other for other in others or [] if other.get("path") != path.name]
    document = package(OURS, [*kept, resource], __version__)
    with written(place) as out:
        out.write(json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    return place


def _resources(place: Path) -> list[dict[str, Any]] | None:
    """Return the resources listed in *place*: [] for a new file, None for another's."""
    try:
        document = json.loads(read_file(place, MAX_BYTES))
        resources = [dict(resource) for resource in document["resources"]]
        return resources if document["name"] == OURS else None
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
