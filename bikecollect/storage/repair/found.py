"""The damage that `verify` found, remembered for `status`, which reads no contents.

It is remembered with the state of its file, and counts until that is replaced, or until
`verify` finds the file sound.
"""

import json
import os
import zlib
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bikecollect.core.text import count_of
from bikecollect.storage.data_folder import SystemFolder, state_home
from bikecollect.storage.files.durable import temporary, write_file
from bikecollect.storage.files.regular_file import read_file

NAME = "verify.state"
MOST = 1 << 24
MAX_NAMED = 3
UNREADABLE = (ValueError, TypeError, RecursionError)
"""What reading a damaged record raises."""


class FileState(NamedTuple):
    """The state of the file *path*, which changes when it is replaced or repaired."""

    path: str
    inode: int
    size: int
    modified: int

    @property
    def is_current(self) -> bool:
        """Whether the file is in this state, or longer: `fetch` appended rows."""
        with suppress(OSError, ValueError):
            now = state_of(Path(self.path))
            return now.inode == self.inode and (now.size > self.size or now == self)
        return False


class FoundDamage(NamedTuple):
    """Damage of a day or a file (*where*) in a file of *state*, with its *remedy*."""

    where: str
    what: str
    remedy: str
    state: FileState


def verified_at(data: Path) -> float:
    """Return when all data in the folder *data* were verified, 0 if that is unknown."""
    with suppress(OSError):
        return _note(data).stat().st_mtime
    return 0.0


def note_verified(data: Path) -> None:
    """Note that this user has verified all data in the folder *data*."""
    with suppress(OSError):
        _note(data).parent.mkdir(parents=True, exist_ok=True)
        _note(data).touch()


def _note(data: Path) -> Path:
    return state_home() / f"verified.{zlib.crc32(os.fsencode(data)):08x}"


def state_of(path: Path) -> FileState:
    """Return the state of the file at *path*; raises OSError."""
    info = path.lstat()
    return FileState(str(path), info.st_ino, info.st_size, info.st_mtime_ns)


def found_damage(folder: Path) -> list[FoundDamage]:
    """Return the remembered damage in *folder* that has not been repaired since."""
    with suppress(*UNREADABLE):
        return [damage for damage in _recorded(folder) if damage.state.is_current]
    return []


def _recorded(folder: Path) -> list[FoundDamage]:
    """Return all damage in the record of *folder*; raises one of `UNREADABLE`."""
    try:
        text = read_file(folder / NAME, MOST)
    except OSError:  # nothing was found, or it is of another user
        return []
    return [
        FoundDamage(str(where), str(what), str(remedy), FileState(*state))
        for where, what, remedy, state in json.loads(text)
    ]


def remember(folder: Path, found: Sequence[FoundDamage]) -> None:
    """Let `status` name the damage *found*, and no other.

    Nothing is remembered on a read-only disk, nor in a folder of another user, who
    could not read it.
    """
    path = folder / NAME
    with suppress(OSError):
        if folder.stat().st_uid != os.geteuid():
            return
        if not found:
            path.unlink(missing_ok=True)
            return
        new = temporary(path)
        write_file(new, json.dumps(found).encode())
        new.rename(path)


def describe_found(
    system: SystemFolder, known: Sequence[str], days: Container[str]
) -> Iterator[str]:
    """Yield a message for remembered damage of *system*, with the remedy.

    Those of files that the messages *known* are about are left out, and those of
    archived *days* that are named already. So is a record that is damaged.
    """
    try:
        _recorded(system.path)
    except UNREADABLE:
        again = f"run: bikecollect verify {system.system_id}"
        yield f"{NAME} is damaged: what `verify` found is not known; {again}"
    found = [
        damage
        for damage in found_damage(system.path)
        if damage.where not in days
        and not any(text.startswith(f"{damage.where} ") for text in known)
    ]
    for where, what, remedy, _ in found[:MAX_NAMED]:
        yield f"{where}: {what}, as `verify` found; {remedy}"
    if more := found[MAX_NAMED:]:
        findings = count_of(len(more), "more finding")
        yield f"{findings} of `verify`; run: bikecollect verify {system.system_id}"
