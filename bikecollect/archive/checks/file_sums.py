"""The sha256 of archived files that are read for figures, compared with the certified.

A file is read once for each of its states (size, times, inode): the app opens the
history after every slot.
"""

import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from bikecollect.archive.parts import damage_of_file
from bikecollect.storage.files.regular_file import open_plain

THREADS = 4
"""Files that are read at a time; hashing releases the lock of the interpreter."""
State = tuple[int, ...]
_sums: dict[Path, tuple[State, str]] = {}


def damaged_files(certified: Mapping[Path, str]) -> dict[Path, str]:
    """Return what is wrong with each file that has not its *certified* sha256."""
    if not certified:
        return {}
    check = partial(damage_of_file, sha256_of=known_sha256)
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(check, certified.keys(), certified.values())
        return {path: why for path, why in zip(certified, found, strict=True) if why}


def known_sha256(path: Path) -> str:
    """Return the sha256 of the file at *path*; raises OSError.

    It is computed again only if the file was changed or replaced.
    """
    with open_plain(path) as file:
        info = os.fstat(file.fileno())
        times = info.st_mtime_ns, info.st_ctime_ns
        state = info.st_dev, info.st_ino, info.st_size, *times
        known_state, known = _sums.get(path, ((), ""))
        if known_state == state:
            return known
        found = hashlib.file_digest(file, "sha256").hexdigest()
    _sums[path] = state, found
    return found
