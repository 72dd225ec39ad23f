"""Write a dataset aside, then rename the whole folder into place."""

import json
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bikecollect.archive.certificates import Certificate
from bikecollect.cli.output_file import complain_if_stopped, make_listable, written
from bikecollect.cli.publishing.tables import READABLE, WrittenTable
from bikecollect.core.errors import StorageError, UsageError
from bikecollect.reports.data_dictionary import PACKAGE
from bikecollect.storage.files import flock
from bikecollect.storage.files.regular_file import sha256_of

CITATION, ZENODO = "CITATION.cff", ".zenodo.json"
README, SUMS, CERTIFICATES = "README.md", "SHA256SUMS", "certificates.jsonl"
LEFTOVER = re.compile(r"\.[0-9a-f]{8}\.(part|old)")
NEW = 60.0
"""Seconds for which an empty folder may be new and not locked yet."""
CHUNK = 1 << 20


@contextmanager
def placed_folder(folder: Path, *, force: bool) -> Iterator[Path]:
    """Yield a folder that becomes *folder* if the context succeeds, else is removed.

    If *force*, an earlier dataset there is replaced. Raises UsageError for any other
    folder that has files, StorageError if it cannot be written.
    """
    _tidy(folder.absolute())
    _check(folder, force=force)
    name = folder.absolute().name
    aside = folder.absolute().with_name(f".{name}.{os.urandom(4).hex()}.part")
    try:
        aside.mkdir(parents=True)
        with _locked(aside):
            yield aside
            make_listable(aside)
            _check(folder, force=force)  # something may have been put there meanwhile
            _put_in_place(aside, folder.absolute())
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror}") from error
    except BaseException as error:
        complain_if_stopped(error, folder)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _check(folder: Path, *, force: bool) -> None:
    """Raise UsageError if *folder* has files that may not be replaced."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / PACKAGE).is_file() or not (folder / SUMS).is_file():
            raise UsageError(f"{folder} has files that are not of a dataset")
        if not force:
            raise UsageError(f"{folder} already exists (use --force to overwrite)")


def _put_in_place(aside: Path, folder: Path) -> None:
    """Rename *aside* to *folder*, then remove the earlier dataset."""
    old = aside.with_suffix(".old")
    with _locked(folder):
        if folder.exists():
            folder.rename(old)
        try:
            aside.rename(folder)
        except BaseException:  # also a signal
            with suppress(OSError):
                old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock *folder* during the context; yield whether no other process holds it."""
    with flock.open_folder(folder) as fd:
        is_free = False
        with suppress(OSError):
            is_free = fd is not None and flock.try_lock(fd)
        yield is_free


def _tidy(folder: Path) -> None:
    """Remove what killed calls left beside *folder*, or put its dataset back."""
    begin = f".{folder.name}"
    with suppress(OSError):
        for path in folder.parent.iterdir():
            kind = LEFTOVER.fullmatch(path.name.removeprefix(begin))
            if kind is None or not path.name.startswith(begin) or not _is_left(path):
                continue
            with _locked(path) as is_free:
                if is_free and kind[1] == "old" and not folder.exists():
                    path.rename(folder)
                elif is_free:
                    shutil.rmtree(path, ignore_errors=True)


def _is_left(path: Path) -> bool:
    """Return whether *path* is an own folder, not one that is not locked yet."""
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        return False
    return any(path.iterdir()) or time.time() - info.st_mtime > NEW


def write_text(path: Path, text: str) -> None:
    """Write *text* to *path*, readable by everybody."""
    with written(path, READABLE) as out:
        out.write(text)


def with_checksum(folder: Path, table: WrittenTable) -> WrittenTable:
    """Return *table* with the size and the sha256 of its file in its resource."""
    path = folder / table.path
    more: Mapping[str, Any] = {
        "bytes": path.stat().st_size,
        "hash": f"sha256:{sha256_of(path)}",
    }
    return table._replace(resource={**table.resource, **more})


def write_sums(folder: Path) -> None:
    """Write the checksums of all files in *folder*, in the format of sha256sum."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{sha256_of(path)}  {path.relative_to(folder)}\n" for path in paths]
    write_text(folder / SUMS, "".join(lines))


def certificate_lines(
    dataset: Sequence[Certificate], collected: Mapping[str, str]
) -> str:
    """Return a line of JSON per day: its certificate, and the collector's."""
    lines = [
        json.dumps(
            {
                "system": certificate.system_id,
                "date": certificate.date,
                **certificate.summary._asdict(),
                "collector_sha256": collected.get(certificate.date, ""),
            }
        )
        for certificate in dataset
    ]
    return "".join(f"{line}\n" for line in lines)
