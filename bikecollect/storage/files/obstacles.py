"""What keeps a system's files from being used: another kind of entry, or no access."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.text import to_run
from bikecollect.storage.files.durable import REMEDIES
from bikecollect.storage.files.entries import is_own
from bikecollect.storage.files.trusted_files import quoted


class Obstacle(NamedTuple):
    """Why a file or a folder cannot be used, and the command that helps."""

    text: str
    command: str


def obstacles(files: Iterable[Path], folders: Iterable[Path]) -> Iterator[Obstacle]:
    """Yield what is wrong with those of *files* and *folders* that exist."""
    for path in files:
        if path.is_dir():
            command = f"mv {quoted(path)} {quoted(path)}.aside"
            yield Obstacle(f"{path} is a folder, in place of a file", command)
        elif is_own(path) and not os.access(path, os.R_OK | os.W_OK):
            yield Obstacle(f"no access to {path}", f"chmod u+rw {quoted(path)}")
    for path in folders:
        if path.exists() and not path.is_dir():
            command = f"mv {quoted(path)} {quoted(path)}.aside"
            yield Obstacle(f"{path} is a file, in place of a folder", command)


def remedy_of(path: Path) -> str:
    """Return what helps with the file *path*, to append to an error, empty if none."""
    with suppress(OSError):
        if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
            return f"; {REMEDIES[errno.EROFS]}"  # no mode of a file changes that
        found = obstacles([path], ())
        return "".join(f"; {what.text}; {to_run(what.command)}" for what in found)
    return ""
