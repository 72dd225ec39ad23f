"""The record of copies to the mirror: verified objects, and the last result.

It only saves requests: without it every object is compared with the mirror.
"""

import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from bikecollect.archive.mirror.store.object_store import StoredObject
from bikecollect.core.errors import StorageError
from bikecollect.storage.data_folder import ARCHIVE
from bikecollect.storage.files.durable import make_folder, temporary, write_file
from bikecollect.storage.repair.lost_days import missing_archive

FOLDER = ".mirror"
LIVE = "live"
"""The folder in the mirror with the days that are not archived yet."""
REPLACED = "replaced"
"""The folder in the mirror with earlier contents."""


class MirrorState(NamedTuple):
    """The state of the mirror at *address* for a system.

    *last_day* is the last day of the unbroken copy, *waiting* the number of archived
    days that are not in the mirror, *tried* and *succeeded* are epoch seconds (0:
    never), *error* is why the last attempt failed.
    """

    address: str
    last_day: str = ""
    waiting: int = 0
    tried: float = 0.0
    succeeded: float = 0.0
    error: str = ""


class MirrorRecord:
    """The record of the mirror at *address* for a system, in the folder *data*."""

    def __init__(self, data: Path, system_id: str, address: str) -> None:
        self.path = record_path(data, system_id, address)
        self._archive = data / ARCHIVE
        values = _read(self.path)
        self._objects: dict[str, Any] = values.get("objects", {})
        self._saved = dict(self._objects)
        self.state = _state(values, address)

    def has(self, stored: StoredObject | None, sha256: str) -> bool:
        """Return whether *stored* is known to have the content *sha256*."""
        known = self._objects.get(stored.path) if stored else None
        return stored is not None and known == [sha256, stored.tag]

    def add(self, stored: StoredObject, sha256: str) -> None:
        """Remember that *stored* was verified to have the content *sha256*."""
        self._objects[stored.path] = [sha256, stored.tag]

    def doubt(self, path: str) -> None:
        """Let the next call of `push` compare the object at *path*, which it copied."""
        self._objects[path] = [self.copied_sha256(path), None]

    def is_doubted(self, path: str) -> bool:
        """Return whether the object at *path* was found to be damaged."""
        return _is_doubt(self._objects.get(path))

    def copied_sha256(self, path: str) -> str:
        """Return the sha256 of the last copy of *path*, empty if there is none."""
        known = self._objects.get(path)
        return str(known[0]) if isinstance(known, list) and known else ""

    def paths(self) -> Iterator[str]:
        """Yield the paths of all copies."""
        yield from self._objects

    def save(self) -> None:
        """Write the record atomically; raises StorageError.

        What `verify --mirror` has doubted since the record was read stays doubted.
        Nothing is written into an archive that is missing: its disk may not be mounted.
        That is asked before the first record only: it reads the ledgers of all systems.
        """
        if not self.path.parent.is_dir() and missing_archive(self._archive):
            return
        for path, known in _read(self.path).get("objects", {}).items():
            if _is_doubt(known) and not _is_doubt(self._saved.get(path)):
                self._objects[path] = known
        text = json.dumps({**self.state._asdict(), "objects": self._objects})
        new = temporary(self.path)
        try:
            make_folder(self.path.parent)
            write_file(new, text.encode())
            new.rename(self.path)
            self._saved = dict(self._objects)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise StorageError(f"cannot write {self.path}: {error.strerror}") from error


def replaced_path(path: str, sha256: str) -> str:
    """Return the path in the mirror of the replaced content *sha256* of *path*."""
    return f"{REPLACED}/{path}/{sha256}"


def live_address(address: object) -> str:
    """Return the address of the open days in the mirror at *address*."""
    return f"{address}/{LIVE}"


def record_path(data: Path, system_id: str, address: str) -> Path:
    """Return the path of the record of a system for the mirror at *address*."""
    mark = f"{zlib.crc32(address.encode()):08x}"
    return data / ARCHIVE / FOLDER / mark / f"{system_id}.json"


def is_any_copied(data: Path, address: str) -> bool:
    """Return whether files of any system in *data* were copied to *address*."""
    records = record_path(data, "any", address).parent.glob("*.json")
    return any(_read(path).get("objects") for path in records)


def _is_doubt(known: Any) -> bool:
    """Return whether *known* of an object says that it was found to be damaged."""
    return isinstance(known, list) and known[1:] == [None]


def _read(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        values = json.loads(path.read_bytes())
        if isinstance(values, dict) and isinstance(values.get("objects"), dict):
            return values
    return {}


def _state(values: dict[str, Any], address: str) -> MirrorState:
    known = MirrorState(address)
    same = {
        name: values[name]
        for name, default in known._asdict().items()
        if name != "address" and type(values.get(name)) is type(default)
    }
    return known._replace(**same)
