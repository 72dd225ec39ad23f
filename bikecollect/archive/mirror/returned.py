"""Put lost files of archived days back from a copy of the archive, byte by byte.

A file of the copy is only used if it has the very sha256 that the ledger knows.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bikecollect.archive.archived_days import Archived, certified
from bikecollect.archive.checks.recertify import is_of
from bikecollect.archive.datasets import VEHICLE_LAYOUT, DatasetLayout, part
from bikecollect.archive.parts import DAMAGED
from bikecollect.core.errors import StorageError
from bikecollect.storage.data_folder import VEHICLES
from bikecollect.storage.files.durable import (
    make_folder,
    replacing,
    write_all,
    writing,
)
from bikecollect.storage.files.regular_file import (
    PIECE,
    open_file,
    read_file,
    sha256_of,
)

MOST = 10_000_000
"""The maximum bytes of a certificate."""
READABLE = 0o644


class Returned(NamedTuple):
    """The number of *files* of *day* that were put back; *left* are still lost.

    If *differs*, the copy has the rows of that day in another state.
    """

    day: str
    files: int
    left: Sequence[str]
    differs: bool = False


@dataclass(frozen=True)
class CopiedArchive:
    """The archive in the data folder *origin*, a copy of the one in *data*.

    There the system *system_id* may be called like the *names*. If *dry*, nothing is
    written.
    """

    data: Path
    system_id: str
    origin: Path
    names: Sequence[str]
    layout: DatasetLayout
    dry: bool = False

    def is_whole(self, archived: Archived) -> bool:
        """Return whether the files of a day and its certificate are here."""
        day, name = archived.day, self.system_id
        return self.layout.certificate(self.data, name, day).exists() and all(
            _has(part(self.data, dataset, name, day), values["sha256"])
            for dataset, values in archived.parts.items()
        )

    def put_back(self, archived: Archived) -> Returned | None:
        """Put back the files of a day that are missing or damaged; None if none is.

        Raises StorageError if that fails.
        """
        day, files = archived.day, 0
        left, differs = [], False
        for dataset, values in archived.parts.items():
            target = part(self.data, dataset, self.system_id, day)
            sha256 = values["sha256"]
            if _has(target, sha256):
                continue
            names = dict.fromkeys(self.names)
            places = [part(self.origin, dataset, name, day) for name in names]
            places = [place for place in places if place != target]
            if any(self._copied(place, target, sha256) for place in places):
                files += 1
                continue
            left.append(dataset)
            if dataset == self.layout.rows:
                differs = any(self._has_rows(name, day) for name in names)
        files += self._put_certificate_back(archived)
        return Returned(day, files, left, differs) if files or left else None

    def _copied(self, source: Path, target: Path, sha256: str) -> bool:
        """Return whether *source* has the content *sha256*; then *target* has it."""
        try:
            if sha256_of(source) != sha256:
                return False
            if not self.dry:
                _copy(source, target, sha256)
        except OSError:
            return False  # it cannot be read
        return True

    def _has_rows(self, name: str, day: str) -> bool:
        """Return whether the copy has other rows of *day*: archived, or as CSV."""
        own = VEHICLES if self.layout is VEHICLE_LAYOUT else ""
        files = (self.origin / name / own / self.layout.rows).glob(f"{day}*.csv")
        with suppress(OSError):
            if any(file.stat().st_size for file in files):
                return True
        return self._is_certified(name, day)

    def _is_certified(self, name: str, day: str) -> bool:
        """Return whether the rows of *day* in the copy are those of its certificate."""
        rows = self.layout.rows
        with suppress(OSError, *DAMAGED):
            text = read_file(self.layout.certificate(self.origin, name, day), MOST)
            parts = certified(day, json.loads(text), rows).parts
            return _has(part(self.origin, rows, name, day), parts[rows]["sha256"])
        return False

    def _put_certificate_back(self, archived: Archived) -> bool:
        """Return whether the certificate was missing and the copy has that one."""
        target = self.layout.certificate(self.data, self.system_id, archived.day)
        if target.exists():
            return False
        for name in self.names:
            source = self.layout.certificate(self.origin, name, archived.day)
            with suppress(OSError, *DAMAGED):
                text = read_file(source, MOST)
                values = json.loads(text)
                same = certified(archived.day, values, self.layout.rows)
                is_ours = values.get("system_id") == self.system_id
                if is_ours and is_of(same, archived):
                    if not self.dry:
                        _write(target, text)
                    return True
        return False


def _has(path: Path, sha256: str) -> bool:
    """Return whether *path* has the content *sha256*, or may not be read."""
    try:
        return sha256_of(path) == sha256
    except PermissionError:
        return True
    except OSError:
        return False


def _write(target: Path, text: bytes) -> None:
    with writing(target):
        make_folder(target.parent)
    with replacing(target, len(text)) as fd:
        write_all(fd, text)


def _copy(source: Path, target: Path, sha256: str) -> None:
    with writing(target):
        make_folder(target.parent)
    with os.fdopen(open_file(source), "rb") as file:
        info = os.fstat(file.fileno())
        with replacing(target, info.st_size) as fd:
            digest = hashlib.sha256()
            while piece := file.read(PIECE):
                digest.update(piece)
                write_all(fd, piece)
            os.fchmod(fd, info.st_mode & READABLE)
            if digest.hexdigest() != sha256:
                raise StorageError(f"{source} was changed meanwhile; run that again")
