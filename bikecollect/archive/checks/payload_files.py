"""Verify payload files: they are readable, and are the ones that were committed."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from bikecollect.storage.files.regular_file import open_plain


def check_payload(path: Path, sums: Mapping[str, str]) -> str:
    """Return what is wrong with the payload file *path*, empty if nothing is.

    *sums* has the sha256 of the documents that were committed, by the id of the run.
    """
    run_id = path.name.split(".")[1] if path.name.count(".") > 1 else ""
    try:
        digest = _documents(path)
    except FileNotFoundError:
        return ""  # moved by a run in the meantime
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        return f"cannot be read: {error}"
    if sums.get(run_id) and digest != sums[run_id]:
        return "is not the payload that was committed"
    return ""


def _documents(path: Path) -> str:
    """Return the sha256 of the documents in the payload *path*, in their order."""
    digest = hashlib.sha256()
    with open_plain(path) as data, zipfile.ZipFile(data) as file:
        details = json.loads(file.read("fetch.json"))
        for document in details["documents"]:
            digest.update(file.read(document["body"]))
    return digest.hexdigest()
