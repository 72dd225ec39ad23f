"""Write the datapackage.json beside exported files, which describes the columns."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bikecollect import __version__
from bikecollect.cli.output_file import written
from bikecollect.reports.data_dictionary import PACKAGE, package, read_package

OURS = "bikecollect-export"


def describe(path: Path, resource: Mapping[str, Any]) -> Path:
    """Describe the exported file *path* by *resource*; return the path written.

    Other exports to the same folder are kept in its datapackage.json. If another
    program wrote that, it is unchanged and the description is named after the file.
    """
    for place in (path.with_name(PACKAGE), path.with_name(f"{path.name}.{PACKAGE}")):
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
        name, resources = read_package(place)
    except FileNotFoundError:
        return []
    except (OSError, ValueError):
        return None
    return resources if name == OURS else None
